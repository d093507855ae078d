"""`momo demo`: nothing comes in, a whole installation lives for half a minute and pays a salary file at a simulated MTN; whether the books agree goes out.

Reads no setting of the user's, speaks with 127.0.0.1 only, and leaves nothing behind.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import redis

from momo_worker import logs
from momo_worker.cli import household, producers
from momo_worker.cli.deeds import demo_books, demo_jobs
from momo_worker.cli.deeds.demo_screen import Screen
from momo_worker.cli.deeds.results import flattened
from momo_worker.cli.saying import DONE, NO, AnswerIsNo, NotReachable
from momo_worker.cli.supervisor import Part, Supervisor, leashed
from momo_worker.clock import SystemClock
from momo_worker.embedded import EmbeddedValkey
from momo_worker.redis_client import connect
from momo_worker.settings_files import shipped_config
from momo_worker.streams import RESULTS

#: Half a minute is usual, and six times as much on a machine that others keep busy.
GIVE_UP_SECONDS = 180.0
#: When it gives up nobody waits for calls to end: there is nothing real at their other end.
_STOP_SECONDS = 15.0
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_BLOCK_MS = 200


def demo(*, keep: bool, as_json: bool) -> int:
    """Run it all; gives the exit code."""
    logs.configure("WARNING", "demo")
    with _temporary_home(keep=keep) as home:
        return _Demo(home, Screen(quiet=as_json), as_json=as_json).run()


@contextmanager
def _temporary_home(*, keep: bool) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="momo-demo-"))
    try:
        yield home
    finally:
        if keep:
            sys.stderr.write(f"The demo's ledger and logs are in {home}\n")
        else:
            shutil.rmtree(home, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    """Ports that are free now, all different; whoever takes one in between makes the start fail with a clear word."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


@dataclass(frozen=True, slots=True)
class _Ports:
    redis: int
    simulator: int
    metrics: int


class _Demo:
    """One run, from an empty folder to agreed books."""

    def __init__(self, home: Path, screen: Screen, *, as_json: bool) -> None:
        self.home = home
        self.screen = screen
        self.as_json = as_json
        self.clock = SystemClock()
        self.began = self.clock.elapsed()
        self.ports = _Ports(*_free_ports(3))
        self.environment = _environment(home, self.ports)
        self.salaries = shipped_config() / "examples" / "salaries.csv"
        self.jobs = demo_jobs.demo_jobs(self.salaries)
        self.books = demo_books.Books()
        self.supervisor = Supervisor(self.clock)
        self.log_path = home / "demo.log"

    def run(self) -> int:
        self.supervisor.stop_on_signals()
        server = EmbeddedValkey(self.home / "valkey", self.ports.redis, launcher=leashed([]))
        with self.log_path.open("w", encoding="utf-8") as log:
            try:
                server.start()
                self._start(log)
                record = self._pay(log)
            finally:
                self.screen.stopping()
                self.supervisor.stop()
                server.stop()
        return self._judge(record)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return self.clock.elapsed() - self.began

    def _start(self, log: IO[str]) -> None:
        """Ledger, simulator, pump and worker, each a process of its own."""
        self.screen.note(f"An empty home at {self.home}, Valkey on port {self.ports.redis}")
        if household.migrate(self.environment):
            raise AnswerIsNo("the demo's ledger couldn't be made; what it said stands above")
        part = household.simulator_part(self.environment, self.ports.simulator, self.home / "mtn.db", {})
        process = self.supervisor.start(self._quiet(part, log))
        household.wait_for_simulator(process, self.ports.simulator, self.clock)
        salaries = sum(int(job["amount"]) for job in self.jobs.all if job["operation"] == "disburse")
        balance = {"account": "uganda", "product": "disbursement", "amount": str(salaries - demo_jobs.SHORT_BY)}
        self._control("POST", "balances", balance)
        self._control("POST", "faults", demo_jobs.FAULTS)
        self.screen.note(
            f"A simulated MTN on port {self.ports.simulator}: {demo_jobs.SHORT_BY:,} UGX too little in the wallet, "
            "four customers who don't pay, three answers that get lost"
        )
        self.supervisor.start(self._quiet(household.pump_part(self.environment, 1), log))
        self.supervisor.start(self._quiet(household.worker_part(self.environment, 1), log))

    def _quiet(self, part: Part, log: IO[str]) -> Part:
        output = log if part.output is sys.stderr else part.output
        return replace(part, output=output, logs=log, stop_seconds=min(part.stop_seconds, _STOP_SECONDS))

    def _pay(self, log: IO[str]) -> dict[str, Any]:
        """Let the producers enqueue, read the results until all have ended; gives the simulator's own record."""
        waiting = self._producers()
        running: list[subprocess.Popen[str]] = []
        asked = len(self.jobs.all)
        self.screen.begin(asked)
        last_id, client = "0-0", connect(f"redis://127.0.0.1:{self.ports.redis}/0")
        try:
            while self.books.ended + len(self.books.rejected) < asked:
                self._may_go_on()
                self.supervisor.look()
                running = self._producers_now(running, waiting, log)
                last_id = self._read(client, last_id)
                self.screen.show(self.books, self.seconds)
        finally:
            client.close()
        self.screen.end(self.books, self.seconds)
        record: dict[str, Any] = self._control("GET", "movements")
        return record

    def _producers(self) -> list[list[str]]:
        """Their commands: two that can't import this package, and a few lines that somebody types."""
        folder = Path(next(iter(producers.__path__)))
        by_xadd = demo_jobs.write_lines(self.jobs.by_xadd, self.home / "by_xadd.jsonl")
        by_celery = demo_jobs.write_lines(self.jobs.by_celery, self.home / "by_celery.jsonl")
        url = self.environment["MOMO_REDIS_URL"]
        commands = [
            [sys.executable, "-I", "-S", str(folder / "xadd.py"), str(self.ports.redis), str(by_xadd)],
            [sys.executable, "-I", str(folder / "celery_by_name.py"), url, str(by_celery)],
        ]
        self.screen.note(
            f"{self.salaries}: {len(self.jobs.by_xadd)} jobs by XADD, {len(self.jobs.by_celery)} by Celery task name "
            f"(with {demo_jobs.COLLECTIONS} collections), {len(self.jobs.by_hand)} by `momo disburse`"
        )
        return commands + [list(household.momo(*_typed(job))) for job in self.jobs.by_hand]

    def _producers_now(
        self, running: list[subprocess.Popen[str]], waiting: list[list[str]], log: IO[str]
    ) -> list[subprocess.Popen[str]]:
        """Two at a time: this machine may have two cores, and the worker wants one."""
        for process in running:
            if process.poll() not in (None, 0):
                raise AnswerIsNo(f"a producer failed (code {process.returncode}): {self._log_tail()}")
        running = [process for process in running if process.poll() is None]
        while waiting and len(running) < 2:  # noqa: PLR2004 - said above
            command = leashed(waiting.pop(0))
            running.append(
                subprocess.Popen(  # noqa: S603 - our own commands
                    command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
                )
            )
        return running

    def _read(self, client: redis.Redis, last_id: str) -> str:
        """Read what is new on the results stream, as an application does."""
        found: Any = client.xread({RESULTS: last_id}, count=500, block=_BLOCK_MS)
        for entry_id, fields in flattened(found):
            self.books.apply(fields[b"event"])
            last_id = entry_id.decode()
        return last_id

    def _may_go_on(self) -> None:
        if self.supervisor.asked_to_stop:
            raise AnswerIsNo("stopped before the end; nothing is left running")
        if self.seconds > GIVE_UP_SECONDS:
            states = ", ".join(f"{count} {state}" for state, count in sorted(self.books.states().items()))
            raise AnswerIsNo(
                f"not all payments had ended after {GIVE_UP_SECONDS:.0f} s ({states or 'none was accepted'}): is this machine "
                f"very busy? {self._log_tail()}"
            )

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "the last words of its processes:\n" + "\n".join(lines) if lines else "its processes said nothing"

    def _control(self, method: str, door: str, body: object = None) -> Any:
        """The simulator's own door; MTN has none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.simulator, timeout=30)
        try:
            connection.request(method, f"/_simulator/{door}", json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            text = answer.read()
        except OSError as error:
            raise NotReachable(f"the simulator doesn't answer: {error}") from None
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise AnswerIsNo(f"the simulator refused {method} {door}: {text.decode(errors='replace')}")
        return json.loads(text)

    def _judge(self, record: dict[str, Any]) -> int:
        found = demo_books.differences(self.books, record, len(self.jobs.all))
        self.screen.judge(self.books, record, found, self.seconds, as_json=self.as_json)
        return NO if found else DONE


def _typed(job: demo_jobs.Job) -> Sequence[str]:
    """The job as somebody would type it."""
    words = [str(job["operation"]), "--key", job["idempotency_key"], "--json"]
    for name in ("amount", "currency", "msisdn", "external_id", "payee_note", "lane"):
        words += [f"--{name.replace('_', '-')}", job[name]]
    return [*words, "--metadata", json.dumps(job["metadata"])]


def _environment(home: Path, ports: _Ports) -> dict[str, str]:
    """Nobody's settings but the demo's own, and no proxy: everything is on this machine."""
    kept = {
        name: text for name, text in os.environ.items() if not name.startswith("MOMO_") and name.lower() not in _PROXIES
    }
    return {
        **kept,
        "MOMO_HOME": str(home),
        "MOMO_CONFIG": str(shipped_config()),
        "MOMO_REDIS_URL": f"redis://127.0.0.1:{ports.redis}/0",
        "MOMO_METRICS_PORT": str(ports.metrics),
        "MOMO_LOG_LEVEL": "WARNING",
        **household.Money("uganda", f"http://127.0.0.1:{ports.simulator}").variables(),
    }
