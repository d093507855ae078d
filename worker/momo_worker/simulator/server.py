"""HTTP on 127.0.0.1 comes in, goes through the model, and out again: whole, slow, or cut. Never decides what MTN says."""

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from momo_worker.simulator.accounts import Account, account_from_json, accounts_by_mode
from momo_worker.simulator.bank import Callback
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.control import PREFIX, Control
from momo_worker.simulator.faults import chaos_rules
from momo_worker.simulator.messages import Reply, Request
from momo_worker.simulator.model import Model
from momo_worker.simulator.store import Store

HOST = "127.0.0.1"
_TICK_SECONDS = 0.02
_CALLBACK_TIMEOUT_SECONDS = 2.0  # CBR
_CALLBACK_AGENT = "LWAC Http Client 1.0"  # NKAP
_KEEPALIVE_SECONDS = 120.0
_HALF = 2


@dataclass(frozen=True, slots=True)
class Options:
    port: int = 0
    data: str = ":memory:"
    mode: str = "both"
    seed: int = 0
    chaos: float = 0.0
    accounts_file: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


class Server:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._control = Control(model)
        self._sending: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else b""
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(request.method, request.raw_path, headers, body)
        inside = asked.path.startswith(PREFIX) or asked.path == "/healthz"
        try:
            reply = self._control.handle(asked) if inside else self._model.handle(asked)
        except Exception:
            # A fault of the simulator itself must not pass for one of MTN's: it is counted, and the trace goes to stderr.
            self._model.record.own_errors += 1
            raise
        if reply.delivery.delay_seconds:
            await asyncio.sleep(reply.delivery.delay_seconds)
        if reply.delivery.kind != "answered":
            return await _broken(request, reply)
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def live(self, ended: asyncio.Event) -> None:
        """Time passes without requests too: payments end and callbacks leave."""
        timeout = ClientTimeout(total=_CALLBACK_TIMEOUT_SECONDS)
        async with ClientSession(timeout=timeout, trust_env=False) as session:
            while not ended.is_set():
                for callback in self._model.due_callbacks(time.time()):
                    task = asyncio.create_task(self._send(session, callback))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
                await asyncio.sleep(_TICK_SECONDS)

    async def _send(self, session: ClientSession, callback: Callback) -> None:
        if not is_loopback(callback.url):
            self._model.callback_done(callback, "not delivered: not loopback")
            return
        headers = {"Content-Type": "application/json", "User-Agent": _CALLBACK_AGENT}
        try:
            async with session.request(
                callback.method, callback.url, data=callback.body, headers=headers, allow_redirects=False
            ) as answer:
                outcome = f"delivered: {callback.method} {answer.status}"
        except (ClientError, TimeoutError, OSError) as error:
            outcome = f"not delivered: {type(error).__name__}"
        self._model.callback_done(callback, outcome)


def is_loopback(url: str) -> bool:
    """The simulator speaks to nobody but this machine, whatever URL it is given."""
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or (host.startswith("127.") and host.replace(".", "").isdigit())


async def _broken(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Cut: no byte of an answer. Halfway: some bytes, then an end of the connection."""
    transport = request.transport
    if transport is not None and reply.delivery.kind == "halfway":
        head = f"HTTP/1.1 {reply.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(reply.body) + 2}\r\n\r\n"
        transport.write(head.encode() + reply.body[: len(reply.body) // _HALF])
        transport.close()
    elif transport is not None:
        transport.abort()
    return web.Response()


async def serve(model: Model, options: Options) -> None:
    server = Server(model)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    runner = web.ServerRunner(web.Server(server.answer, keepalive_timeout=_KEEPALIVE_SECONDS, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, options.port, shutdown_timeout=0.5, backlog=1024).start()
        _announce(runner, options)
        await server.live(ended)
    finally:
        await runner.cleanup()


def build_model(store: Store, options: Options) -> Model:
    behaviour = Behaviour().changed(options.settings)
    model = Model(store, time.time, random.Random(options.seed), load_accounts(options), behaviour)  # noqa: S311 - repeatable on purpose
    for rule in chaos_rules(options.chaos) if options.chaos else ():
        model.faults.add(rule)
    return model


def load_accounts(options: Options) -> Sequence[Account]:
    if options.accounts_file is None:
        return accounts_by_mode(options.mode)
    return [account_from_json(one) for one in json.loads(Path(options.accounts_file).read_text())]


def _announce(runner: web.ServerRunner, options: Options) -> None:
    """One JSON line on standard output, when requests are taken: whoever started us reads the port from it."""
    host, port = runner.addresses[0][:2]
    line = {"url": f"http://{host}:{port}", "data": options.data, "mode": options.mode, "seed": options.seed}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT. Raises what is wrong with the options before anything listens."""
    store = Store(options.data)
    try:
        asyncio.run(serve(build_model(store, options), options))
    finally:
        store.close()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="momo simulator", description="A fake MTN Mobile Money on 127.0.0.1. No money moves."
    )
    parser.add_argument(
        "--port", type=int, default=0, help="0 takes a free one; the line on standard output says which"
    )
    parser.add_argument("--data", default=":memory:", help="SQLite file that survives a restart; default: memory only")
    parser.add_argument(
        "--mode", choices=("both", "sandbox", "market"), default="both", help="which of the default accounts to carry"
    )
    parser.add_argument(
        "--accounts", dest="accounts_file", help="JSON file with a list of accounts, instead of the default ones"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chaos", type=float, default=0.0, help="probability of each kind of fault for each request")
    parser.add_argument(
        "--settings",
        type=json.loads,
        default={},
        help='JSON, as for POST /_simulator/settings: {"settle_seconds_max": 5}',
    )
    options = Options(**vars(parser.parse_args(argv)))
    try:
        return run(options)
    except sqlite3.Error as error:
        parser.error(f"data file {options.data}: {error}; each file serves one simulator at a time")
    except OSError as error:
        parser.error(f"{error.strerror or error} (port {options.port}, accounts {options.accounts_file or 'default'})")
    except (ValueError, TypeError, KeyError) as error:
        parser.error(f"settings or accounts: {type(error).__name__}: {error}")
