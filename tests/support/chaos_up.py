"""Settings come in, `momo up` as a user starts it goes out, with a journal of every end of its parts, read from its own log. Starts again only `momo up` itself; Linux alone.

The other fleet has a launcher, so that a process can end at a named point. Here nothing stands between the product and its
processes: who is killed is started again by the product's own supervisor, or not at all.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.chaos_fleet import Ending, Fleet, Member, signalled
from tests.support.waiting import eventually

UP = "up"
UP_KILLED = "momo up killed"
WITH_UP = "with momo up"
_STOP_SECONDS_MAX = 90.0
_STARTED, _ENDED = b'"part started"', b'"a part ended and is started again"'
#: As /proc/net/tcp writes it.
_LISTENING = "0A"


@dataclass
class UpMember(Member):
    """A part of `momo up`; all of them write into one log, so that its open door is looked up in the system."""

    up_as_pid: int = 0

    def came_up(self) -> bool:
        if self.pid and self.up_as_pid != self.pid and _listens(self.pid):
            self.up_as_pid = self.pid
        return self.up_as_pid == self.pid


class Up:
    """`momo up` through all its lives, and what it tells of its parts."""

    knows_points = False

    def __init__(self, folder: Path, environment: Mapping[str, str], *, workers: int, pumps: int) -> None:
        self._words = ["up", "--json", "--workers", str(workers), "--pumps", str(pumps)]
        self._folder, self._environment = folder, environment
        self._log_path = folder / "up.log"
        self._log_path.touch()
        self._at_byte = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._parts: dict[str, int] = {}
        #: How each process of a part ended, and since when one sleeps.
        self.codes: dict[int, int] = {}
        self.stopped: dict[int, float] = {}
        #: Ended because `momo up` did.
        self.orphans: set[int] = set()
        self.left_asleep: dict[int, float] = {}

    def run(self) -> None:
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "momo_worker", *self._words],
                cwd=self._folder,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self, order: Mapping[str, Any]) -> int | None:
        """Who it started in this part's place since the last one ended; None: nobody yet."""
        pid = self._parts.get(order["name"])
        return None if pid is None or pid in self.codes else pid

    def read(self) -> None:
        """What it told since the last time."""
        with self._log_path.open("rb") as log:
            log.seek(self._at_byte)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._at_byte += len(whole) + len(newline)
        for line in whole.splitlines():
            # The parts' own lines stand between, and a killed one's may be cut, so that the next begins behind it. These are flat.
            if _STARTED in line or _ENDED in line:
                self._hear(json.loads(line[line.rfind(b"{") :]))

    def _hear(self, line: dict[str, Any]) -> None:
        if "code" in line:
            self.codes[line["pid"]] = line["code"]
        else:
            self._parts[line["part"]] = line["pid"]

    def orphaned(self, wake_at: Mapping[int, float]) -> None:
        """It is dead, and the leash ends its parts; one that sleeps ends when it wakes, into what the next `momo up` does."""
        left = {pid for pid in self._parts.values() if pid not in self.codes}
        self.orphans |= left
        self.codes |= dict.fromkeys(left, 0)
        self.left_asleep |= {pid: at for pid, at in wake_at.items() if pid in left}

    def wake(self, now: float) -> None:
        for pid in [pid for pid, at in self.left_asleep.items() if now >= at]:
            signalled(pid, signal.SIGCONT)
            del self.left_asleep[pid]

    def close(self) -> None:
        """SIGTERM, as a user ends it; nothing of it may stay."""
        self.wake(float("inf"))
        for pid in [pid for pid in self.stopped if pid not in self.codes]:
            signalled(pid, signal.SIGCONT)
        self.process.terminate()
        try:
            code = self.process.wait(_STOP_SECONDS_MAX)
        finally:
            # One that doesn't end fails the run and stays behind no more than another; the leash ends its parts.
            self.process.kill()
        assert code == 0, f"momo up ended with {code}: {self._log_path.read_text(errors='replace')[-3000:]}"
        eventually(lambda: not self._ours_alive(), within_seconds=_STOP_SECONDS_MAX)

    def _ours_alive(self) -> list[int]:
        known = {*self._parts.values(), *self.codes}
        return [pid for pid in known if b"momo_worker" in _read(Path(f"/proc/{pid}/cmdline"))]


@dataclass
class UpFleet(Fleet):
    """`momo up` and its parts. `launcher` and `up` are one."""

    up: Up = field(kw_only=True)
    _up_fate: str | None = None

    def start(self) -> "UpFleet":
        self.up.run()
        super().start()
        return self

    def kill_up(self) -> None:
        """kill -9 of `momo up` itself."""
        with self._lock:
            self._up_fate = UP_KILLED
            self.up.process.kill()

    def stop(self) -> None:
        self._rest()
        self.up.close()

    def put_to_sleep(self, member: Member, how: str, seconds: float) -> bool:
        with self._lock:
            slept = super().put_to_sleep(member, how, seconds)
            if slept:
                # Nobody but its parent is told, and that is `momo up`.
                self.up.stopped[member.pid] = time.time()
            return slept

    def _look(self) -> None:
        self.up.read()
        code = self.up.process.poll()
        if code is not None:
            self._up_ended(code)
        self.up.wake(time.time())
        for member in self.members:
            member.came_up()
        super()._look()

    def _up_ended(self, code: int) -> None:
        self.journal.append(Ending(time.time(), UP, UP, self._up_fate or "by itself", code))
        self._up_fate = None
        self.up.orphaned({one.pid: one.wakes_at for one in self.members if one.wakes_at is not None})
        self.up.run()

    def _cause(self, member: Member, code: int) -> str:
        return WITH_UP if member.pid in self.up.orphans else super()._cause(member, code)


def _listens(pid: int) -> bool:
    """Whether a process has a listening TCP socket of 127.0.0.1: its metrics door."""
    try:
        links = [str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ended meanwhile, or closed one
        return False
    rows = [line.split() for line in _read(Path("/proc/net/tcp")).decode("ascii").splitlines()[1:]]
    return any(f"socket:[{row[9]}]" in links for row in rows if row[3] == _LISTENING)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
