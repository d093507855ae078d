"""Orders come in, one JSON a line; processes of the product go out, each a fork of this one, which has its modules loaded. Reports starts, stops and ends.

A start costs a tenth of what a new interpreter costs, so that a thousand kills fit into half an hour. Nothing is built before
the fork: no thread, no connection, no settings. Ends with its starter, and its children with it.
"""

import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

from tests.support import chaos_points

from momo_worker import celery_settings
from momo_worker.cli.app import run

#: What a worker or a pump loads before it builds anything. `momo_worker.tasks` isn't here: its import builds the parts.
_LOADED = (
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.worker.worker",
    "celery.bin.worker",
    "momo_worker.cli.deeds.processes",
    "momo_worker.cli.processes",
    "momo_worker.process",
    "momo_worker.pump.main",
    "momo_worker.steps.outcome",
    "momo_worker.steps.polling",
    "momo_worker.steps.submission",
    "psycopg.pq",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
_PR_SET_PDEATHSIG = 1
#: Production's is no setting; here a message of a dead worker must come back while somebody looks. Over the lease, as there.
_VISIBILITY_SECONDS = 12


def main() -> int:
    _end_with_the_starter(signal.SIGTERM)
    for name in _LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    order = _serve()
    return 0 if order is None else _become(order)


def _end_with_the_starter(number: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _serve() -> dict[str, Any] | None:
    """In the launcher until its input ends; in each child it returns the child's order."""
    woken, wakes = socket.socketpair()
    for end in (woken, wakes):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes.fileno())
    print(json.dumps({"ready": os.getpid()}), flush=True)
    buffer = b""
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            woken.recv(4096)
            for report in _changes():
                print(json.dumps(report), flush=True)
        if 0 not in readable:
            continue
        read = os.read(0, 65536)
        if not read:
            return None
        *lines, buffer = (buffer + read).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                woken.close()
                wakes.close()
                return order
            print(json.dumps({"started": order["id"], "pid": pid}), flush=True)


def _changes() -> Iterator[dict[str, Any]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if os.WIFSTOPPED(status):
            yield {"pid": pid, "stopped": True}
        elif os.WIFCONTINUED(status):
            yield {"pid": pid, "stopped": False}
        else:
            yield {"pid": pid, "code": os.waitstatus_to_exitcode(status)}


def _become(order: dict[str, Any]) -> int:
    """One of our processes, as `momo WORDS` starts it."""
    _end_with_the_starter(signal.SIGKILL)
    os.setpgid(0, 0)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    random.seed()
    sys.argv = ["momo", *order["words"]]
    options: dict[str, object] = celery_settings._TRANSPORT_OPTIONS
    options["visibility_timeout"] = _VISIBILITY_SECONDS
    if order.get("point"):
        chaos_points.arm(order["point"], passing=order["passing"], act=order["act"])
    return run(order["words"])


if __name__ == "__main__":
    sys.exit(main())
