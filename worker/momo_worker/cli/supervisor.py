"""Commands come in, processes that are running go out: what dies is started again, what must end ends in its order. Knows nothing of payments.

Children are separate commands and no forks: a worker has threads, and a fork of a process with threads inherits their locks without
the threads. Start them from the main thread: the leash is tied to the thread that made the child.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import structlog

from momo_worker.clock import Clock

log = structlog.get_logger(__name__)

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MOST_SECONDS = 30.0
#: Having lived so long, a child that dies is started again at once.
SETTLED_SECONDS = 60.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Part:
    """One process that must run."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    #: How long it may take to end by itself once it is asked to.
    stop_seconds: float = 10.0
    #: Where its standard output and its logs go; None is where ours go.
    output: int | IO[str] | None = None
    logs: IO[str] | None = None


@dataclass(slots=True)
class _Child:
    part: Part
    process: subprocess.Popen[str]
    started_at: float
    deaths: int = 0
    again_at: float | None = None


def leashed(command: Sequence[str]) -> list[str]:
    """The command, tied to this process."""
    return [sys.executable, "-m", "momo_worker.cli.leash", str(os.getpid()), *command]


class Supervisor:
    """Starts parts, watches them until it is told to stop, and stops them in the reverse order of their start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._children: list[_Child] = []
        self._stopping = threading.Event()

    def start(self, part: Part) -> subprocess.Popen[str]:
        """Start one part; it is watched from now on."""
        child = _Child(part, _spawn(part), self._clock.elapsed())
        self._children.append(child)
        log.info("part started", part=part.name, pid=child.process.pid, action="started")
        return child.process

    def pids(self) -> dict[str, int]:
        """The process of each part, as it is now."""
        return {child.part.name: child.process.pid for child in self._children}

    def ask_to_stop(self) -> None:
        """For signal handlers: the watch ends soon."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """SIGTERM, Ctrl-C and a closed terminal end the watch."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.ask_to_stop())

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Restart what dies until `until` says so or somebody asked to stop."""
        while not self._stopping.is_set() and not until():
            self.look()
            self._stopping.wait(_LOOK_SECONDS)

    @property
    def asked_to_stop(self) -> bool:
        """Whether a signal came."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Watch for so long, or until somebody asks to stop."""
        ends_at = self._clock.elapsed() + seconds
        self.watch(until=lambda: self._clock.elapsed() >= ends_at)

    def look(self) -> None:
        """One look at every child: note who died, start again whose time has come."""
        for child in self._children:
            if child.again_at is not None:
                if self._clock.elapsed() >= child.again_at:
                    self._again(child)
            elif child.process.poll() is not None:
                self._died(child)

    def _died(self, child: _Child) -> None:
        lived = self._clock.elapsed() - child.started_at
        child.deaths = 1 if lived >= SETTLED_SECONDS else child.deaths + 1
        delay = min(BACKOFF_FIRST_SECONDS * 2 ** (child.deaths - 1), BACKOFF_MOST_SECONDS)
        child.again_at = self._clock.elapsed() + delay
        log.error(
            "a part ended and is started again",
            part=child.part.name,
            pid=child.process.pid,
            code=child.process.returncode,
            lived_seconds=round(lived, 1),
            again_in_seconds=delay,
            action="restart",
        )

    def _again(self, child: _Child) -> None:
        child.process, child.started_at, child.again_at = _spawn(child.part), self._clock.elapsed(), None
        log.info("part started", part=child.part.name, pid=child.process.pid, action="started")

    def stop(self, names: Sequence[str] | None = None) -> bool:
        """End these parts, or all, the last started first but those of one kind together; False when one had to be killed."""
        chosen = [child for child in self._children if names is None or child.part.name in names]
        self._children = [child for child in self._children if child not in chosen]
        whole = True
        for group in _groups(chosen):
            whole = _end(group, self._clock) and whole
        return whole


def _groups(children: Sequence[_Child]) -> list[list[_Child]]:
    """Children in the order in which they end; neighbours that may take equally long are asked together."""
    groups: list[list[_Child]] = []
    for child in reversed(children):
        if groups and groups[-1][0].part.stop_seconds == child.part.stop_seconds:
            groups[-1].append(child)
        else:
            groups.append([child])
    return groups


def _end(group: Sequence[_Child], clock: Clock) -> bool:
    running = [child for child in group if child.process.poll() is None]
    for child in running:
        child.process.terminate()
    give_up_at = clock.elapsed() + max((child.part.stop_seconds for child in running), default=0.0)
    whole = True
    for child in running:
        try:
            child.process.wait(max(0.1, give_up_at - clock.elapsed()))
        except subprocess.TimeoutExpired:
            # TimeoutExpired's trace tells nobody anything.
            log.error("a part doesn't end and is killed", part=child.part.name, pid=child.process.pid, action="killed")  # noqa: TRY400
            child.process.kill()
            child.process.wait()
            whole = False
    return whole


def _spawn(part: Part) -> subprocess.Popen[str]:
    # A process group of its own: Ctrl-C reaches the supervisor alone, which ends the others in their order.
    return subprocess.Popen(  # noqa: S603 - the command is made of our own words
        leashed(part.command),
        env=dict(part.environment),
        stdin=subprocess.DEVNULL,
        stdout=part.output,
        stderr=part.logs,
        text=True,
        process_group=0,
    )
