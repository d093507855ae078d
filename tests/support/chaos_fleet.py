"""Names of workers and pumps come in, processes that are killed, stopped and started again go out, with a journal of every end. Touches only what it started."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from tests.support.chaos_points import KILL, STOP
from tests.support.waiting import eventually

CHECKOUT = Path(__file__).parents[2]
KILLED, WATCHDOG, NOT_REACHABLE = -9, 70, 3
_START_SECONDS_MAX = 30.0
#: A start that failed (its servers are away) is tried again after this; a killed process is started at once.
_FAILED_START_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Arming:
    """Where a process ends (or stops) itself: at the n-th passing of a point."""

    point: str
    passing: int
    act: str = KILL


@dataclass(frozen=True, slots=True)
class Ending:
    """One end of a process, or one sleep: when, whose, and by what."""

    at: float
    name: str
    kind: str
    how: str
    #: None: it was stopped and not ended.
    code: int | None


class Keeper(Protocol):
    """Who starts processes and is told how they ended."""

    codes: dict[int, int]
    stopped: dict[int, float]
    #: Whether a process can be armed with a point at its start.
    knows_points: bool

    def start(self, order: Mapping[str, Any]) -> int | None:
        """The new process's pid; None: not yet, and it is asked again."""
        ...

    def close(self) -> None: ...


class Launcher:
    """The process whose forks are ours."""

    knows_points = True

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.chaos_launcher"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._news = threading.Condition()
        self._orders = 0
        self._started: dict[int, int] = {}
        self.codes: dict[int, int] = {}
        self.stopped: dict[int, float] = {}
        self._ready = False
        self._reader = threading.Thread(target=self._read, name="launcher", daemon=True)
        self._reader.start()
        with self._news:
            assert self._news.wait_for(lambda: self._ready, _START_SECONDS_MAX * 3), "the launcher did not start"

    def start(self, order: Mapping[str, Any]) -> int:
        """The new process's pid."""
        assert self._process.stdin is not None
        with self._news:
            self._orders += 1
            number = self._orders
            self._process.stdin.write(json.dumps({**order, "id": number}) + "\n")
            self._process.stdin.flush()
            assert self._news.wait_for(lambda: number in self._started, _START_SECONDS_MAX), "the launcher is silent"
            return self._started[number]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            report = json.loads(line)
            with self._news:
                if "ready" in report:
                    self._ready = True
                elif "started" in report:
                    self._started[report["started"]] = report["pid"]
                elif "code" in report:
                    self.codes[report["pid"]] = report["code"]
                elif report["stopped"]:
                    self.stopped[report["pid"]] = time.time()
                else:
                    self.stopped.pop(report["pid"], None)
                self._news.notify_all()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_START_SECONDS_MAX)
        self._reader.join(_START_SECONDS_MAX)
        self._process.stdout.close()


@dataclass
class Member:
    """One worker or pump, through all its lives."""

    name: str
    kind: str
    environment: Mapping[str, str]
    folder: Path
    pid: int = 0
    arming: Arming | None = None
    started_at: float = 0.0
    began_at_byte: int = 0
    again_at: float | None = None
    #: Told beforehand, so that the end that follows has a name.
    fate: str | None = None
    wakes_at: float | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    def log_of_this_life(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self.began_at_byte)
            return log.read().decode("utf-8", errors="replace")

    def came_up(self) -> bool:
        """Whether this life got as far as its metrics door, which opens when everything was reachable."""
        return '"metrics door open"' in self.log_of_this_life()


@dataclass
class Fleet:
    """Everything of ours that runs. `supervise` in a thread: starts again what ended, wakes what slept long enough."""

    launcher: Keeper
    members: list[Member]
    journal: list[Ending] = field(default_factory=list)
    #: Asked at each start: where this life shall end. None: nowhere.
    arm_next: Callable[[Member], Arming | None] = lambda _: None
    sleep_seconds: float = 13.0
    #: The supervisor itself failed: a run without it proves nothing.
    broken: BaseException | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> Self:
        for member in self.members:
            self._start(member)
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()
        return self

    def of(self, kind: str) -> list[Member]:
        return [member for member in self.members if member.kind == kind]

    def alive(self, member: Member) -> bool:
        return bool(member.pid) and member.pid not in self.launcher.codes

    def awake(self) -> list[Member]:
        with self._lock:
            return [m for m in self.members if self.alive(m) and m.pid not in self.launcher.stopped and not m.wakes_at]

    def all_up(self) -> bool:
        return len(self.awake()) == len(self.members) and all(member.came_up() for member in self.members)

    def kill(self, member: Member, how: str) -> bool:
        """kill -9; False when it was dead already."""
        with self._lock:
            if not self.alive(member):
                return False
            if not signalled(member.pid, signal.SIGKILL):
                return False
            member.fate = how
            return True

    def put_to_sleep(self, member: Member, how: str, seconds: float) -> bool:
        """SIGSTOP, woken by the supervisor."""
        with self._lock:
            if not self.alive(member) or member.wakes_at is not None:
                return False
            if not signalled(member.pid, signal.SIGSTOP):
                return False
            member.wakes_at = time.time() + seconds
            self._note(member, how, None)
            return True

    def kills(self) -> list[Ending]:
        return [ending for ending in self.journal if ending.code == KILLED]

    def by_themselves(self) -> list[Ending]:
        """Ends that nobody caused: neither killed, nor its own watchdog, nor a start while a server was away."""
        return [ending for ending in self.journal if ending.how == "by itself"]

    def stop(self) -> None:
        self._rest()
        for member in self.members:
            if self.alive(member):
                signalled(member.pid, signal.SIGKILL)
        eventually(lambda: not any(map(self.alive, self.members)), within_seconds=10)
        self.launcher.close()

    def _rest(self) -> None:
        """Nothing is started, woken or written down any more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _supervise(self) -> None:
        try:
            while not self._over.wait(_LOOK_SECONDS):
                with self._lock:
                    self._look()
        except BaseException as error:
            self.broken = error
            raise

    def _look(self) -> None:
        for member in self.members:
            self._look_at(member)

    def _look_at(self, member: Member) -> None:
        now = time.time()
        if member.again_at is not None:
            if now >= member.again_at:
                self._start(member)
            return
        code = self.launcher.codes.get(member.pid)
        if code is not None:
            self._ended(member, code, now)
            return
        slept_since = self.launcher.stopped.get(member.pid)
        if slept_since is None:
            return
        if member.wakes_at is None:
            # It stopped itself, at its point.
            assert member.arming is not None
            member.wakes_at = slept_since + self.sleep_seconds
            self._note(member, member.arming.point, None)
            member.arming = None
        elif now >= member.wakes_at:
            signalled(member.pid, signal.SIGCONT)
            # Here and not by the launcher's report, which may come after the next look.
            self.launcher.stopped.pop(member.pid, None)
            member.wakes_at = None

    def _ended(self, member: Member, code: int, now: float) -> None:
        self._note(member, self._cause(member, code), code)
        member.fate = member.arming = member.wakes_at = None
        member.again_at = now if code in (KILLED, WATCHDOG) else now + _FAILED_START_PAUSE_SECONDS

    def _cause(self, member: Member, code: int) -> str:
        if code == KILLED:
            if member.fate is not None:
                return member.fate
            if member.arming is not None and member.arming.act == KILL:
                return member.arming.point
        if code == WATCHDOG:
            return "its own watchdog"
        if code == NOT_REACHABLE and not member.came_up():
            return "a start without its servers"
        return "by itself"

    def _note(self, member: Member, how: str, code: int | None) -> None:
        self.journal.append(Ending(time.time(), member.name, member.kind, how, code))

    def _start(self, member: Member) -> None:
        member.again_at = member.wakes_at = member.fate = None
        member.arming = self.arm_next(member) if self.launcher.knows_points else None
        member.began_at_byte = member.log_path.stat().st_size if member.log_path.exists() else 0
        order: dict[str, Any] = {
            "name": member.name,
            "words": [member.kind],
            "environment": dict(member.environment),
            "log": str(member.log_path),
            "folder": str(member.folder),
        }
        if member.arming is not None:
            order |= {"point": member.arming.point, "passing": member.arming.passing, "act": member.arming.act}
        pid = self.launcher.start(order)
        member.started_at = time.time()
        if pid is None:
            member.again_at = member.started_at
        else:
            member.pid = pid


def signalled(pid: int, number: signal.Signals) -> bool:
    """False when it ended by itself a moment ago, which the launcher hasn't told yet."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def sleeps(journal: Iterable[Ending]) -> list[Ending]:
    return [ending for ending in journal if ending.code is None]


__all__ = ["KILL", "STOP", "Arming", "Ending", "Fleet", "Launcher", "Member", "sleeps"]
