"""A broker URL and a folder come in, a real worker process and its journal go out; ends only the process it started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from celery import Celery
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.celery_settings import BULK, WORKER_ARGUMENTS, celery_settings
from momo_worker.transport import Amqp

# Shorter than in production, so that a test waits seconds and not minutes; the same code runs.
QUICK = {"socket_timeout": 2, "socket_connect_timeout": 2, "health_check_interval": 1, "unacked_restore_interval": 1}
# Celery's own defaults, which ours leave out: with several channels on one connection the stock transport ends the worker.
TALKATIVE = {"arguments": (), "settings": {"worker_enable_remote_control": True}}
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Note:
    event: str
    name: str
    pid: int
    at: float


class CeleryWorker:
    """`journal()` tells which tasks began and ended, when and in which process."""

    def __init__(
        self,
        broker_url: str,
        folder: Path,
        *,
        concurrency: int = 4,
        transport_options: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        task_limit_seconds: float | None = None,
        arguments: Sequence[str] = WORKER_ARGUMENTS,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.arguments = tuple(arguments)
        self.journal_path = folder / "journal"
        self.log_path = folder / "worker.log"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MOMO_TEST_")},
            "MOMO_TEST_BROKER": broker_url,
            "MOMO_TEST_CONCURRENCY": str(concurrency),
            "MOMO_TEST_JOURNAL": str(self.journal_path),
            "MOMO_TEST_TRANSPORT_OPTIONS": json.dumps(dict(transport_options or {})),
            "MOMO_TEST_SETTINGS": json.dumps(dict(settings or {})),
        }
        if task_limit_seconds is not None:
            self.environment["MOMO_TEST_TASK_LIMIT"] = str(task_limit_seconds)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "tests.support.worker_app",
                    "worker",
                    "-l",
                    "INFO",
                    *self.arguments,
                ],
                cwd=CHECKOUT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.eventually(
            lambda: any(n.event == "ready" and n.pid == self.pid for n in self.journal()),
            within_seconds=PATIENCE_SECONDS,
        )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_seconds: float) -> int:
        assert self._process is not None
        return self._process.wait(timeout_seconds)

    def stop(self) -> None:
        if self.alive():
            self.kill()

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def journal(self) -> list[Note]:
        if not self.journal_path.exists():
            return []
        lines = [line.split() for line in self.journal_path.read_text().splitlines()]
        return [Note(event, name, int(pid), float(at)) for event, name, pid, at in lines]

    def names(self, event: str) -> list[str]:
        """Each beginning (`start`) or end (`end`) of a task, sorted; a task run twice is there twice."""
        return sorted(n.name for n in self.journal() if n.event == event)

    def eventually(self, condition, *, within_seconds: float):
        return eventually(condition, within_seconds=within_seconds, otherwise=self._story)

    def runs_a_task(self, sender: "Sender", name: str, *, within_seconds: float) -> float:
        """Send one and give the seconds until it began."""
        began = time.time()
        sender.send(name, 0)
        self.eventually(lambda: name in self.names("start"), within_seconds=within_seconds)
        return next(n.at for n in self.journal() if n.event == "start" and n.name == name) - began

    def _story(self) -> str:
        return f"alive: {self.alive()}\n{self.journal()}\n{self.log()[-3000:]}"


class Sender:
    """Publishes as the pump does: by name, through our settings and transport."""

    def __init__(self, broker_url: str) -> None:
        self.app = Celery("sender", amqp=Amqp, set_as_current=False)
        self.app.conf.update(celery_settings(broker_url, concurrency=1))

    def send(self, name: str, seconds: float, *, queue: str = BULK) -> None:
        self.app.send_task("tests.work", args=[name, seconds], queue=queue)

    def close(self) -> None:
        self.app.close()


@contextmanager
def a_worker(broker_url: str, folder: Path, **options) -> Iterator[tuple[CeleryWorker, Sender]]:
    """A running worker and somebody who sends it work."""
    options = {**options, "transport_options": {**QUICK, **options.get("transport_options", {})}}
    worker = CeleryWorker(broker_url, folder, **options)
    sender = Sender(broker_url)
    try:
        yield worker.start(), sender
    finally:
        worker.stop()
        sender.close()
