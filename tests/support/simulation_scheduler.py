"""Deeds and moments come in and are done one at a time, in an order that the seed alone decides; time is the hand-turned clock's.

A task is a greenlet, so that production code can be stopped in the middle of a call, and exactly one runs at any time: all of it in
one thread. A task that is killed meets `Killed`, which no production code catches; its transaction rolls back.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from greenlet import getcurrent, greenlet
from tests.support.ledger_world import HandClock


class Killed(BaseException):
    """The process is gone, at this very point."""


@dataclass
class Task:
    """A process's work on one message, or one pass of a pump's chore."""

    name: str
    #: The point at which it meets its fate, how often it passes that point before, and what the fate is: None dies, a number sleeps for so many seconds.
    fate_at: str | None = None
    passes: int = 0
    fate: float | None = None
    fated: bool = False
    #: Runs in the scheduler's own greenlet, and so can't wait.
    inline: bool = False
    #: The part of a pump that it is, and that may die between any two commits; empty: it dies elsewhere, or never.
    part: str = ""
    #: How long it was suspended against its will since the last point that asked for it.
    asleep_seconds: float = 0.0
    #: Under which fences it may send, by reference, and whether its last read of the ledger failed.
    fences: dict[str, int] = field(default_factory=dict)
    blind: bool = False
    #: Its process was ended from outside: none of its further calls leaves.
    gone: bool = False
    #: Counts its wakings: who was roused isn't woken again when its time comes.
    wakings: int = 0
    body: greenlet | None = field(default=None, repr=False)


class Scheduler:
    """Events by time, ties by the seed."""

    def __init__(self, clock: HandClock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self.current: Task | None = None
        self.running: list[Task] = []
        self._end = clock.elapsed_seconds
        self._events: list[tuple[float, float, int, Callable[[], None]]] = []
        self._count = 0

    @property
    def now(self) -> float:
        return self.clock.elapsed_seconds

    def at(self, when: float, deed: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self.rng.random(), self._count, deed))

    def after(self, seconds: float, deed: Callable[[], None]) -> None:
        self.at(self.now + seconds, deed)

    def run_until(self, end: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Do what is due until then, or until `done`; True when it is."""
        self._end = end
        while not done():
            if not self._events or self._events[0][0] > end:
                return False
            when, _, _, deed = heapq.heappop(self._events)
            if when > self.now:
                self.clock.on(when - self.now)
            deed()
        return True

    # ---- tasks ------------------------------------------------------------------------------------------------------

    def start(self, task: Task, deed: Callable[[], None]) -> None:
        """Begin a task; it runs up to its first wait. What it raises comes out here, or where it was woken."""
        task.body = greenlet(lambda: self._live(task, deed))
        self.running.append(task)
        self._wake(task)

    def inline(self, task: Task, deed: Callable[[], None]) -> bool:
        """Do it at once, without waits; False when it died on the way."""
        outer, self.current = self.current, task
        try:
            deed()
        except Killed:
            return False
        finally:
            self.current = outer
        return True

    def sleep(self, seconds: float) -> None:
        """The running task waits; others go on."""
        task = self.current
        assert task is not None
        if task.inline:
            return
        wakes_at = self.now + seconds
        if wakes_at <= self._end and (not self._events or wakes_at < self._events[0][0]):
            # Nobody else does anything meanwhile.
            self.clock.on(seconds)
            return
        self.rouse(task, seconds)
        assert task.body is not None
        assert task.body.parent is not None
        task.body.parent.switch()

    def check_alive(self) -> None:
        """Where a call would leave: a process that was ended makes none, though its batch goes on in our one thread."""
        if self.current is not None and self.current.gone:
            raise Killed

    def rouse(self, task: Task, seconds: float) -> None:
        """Wake it then, unless it has woken before."""
        wakings = task.wakings
        self.after(seconds, lambda: self._wake(task) if task.wakings == wakings else None)

    def end_all(self) -> None:
        """Kill what runs: every process at once, or at the end, so that nothing outlives its simulation."""
        for task in list(self.running):
            self.end(task)

    def end(self, task: Task) -> None:
        """Kill this one where it waits; who has ended, or runs just now, isn't touched."""
        if task is self.current or task not in self.running:
            return
        task.gone = True
        outer, self.current = self.current, task
        assert task.body is not None
        # Who ends it goes on afterwards, whichever greenlet that is.
        task.body.parent = getcurrent()
        task.body.throw(Killed)
        self.current = outer

    def _live(self, task: Task, deed: Callable[[], None]) -> None:
        try:
            deed()
        except Killed:
            pass
        finally:
            self.running.remove(task)

    def _wake(self, task: Task) -> None:
        if task not in self.running:
            return
        task.wakings += 1
        outer, self.current = self.current, task
        assert task.body is not None
        try:
            task.body.switch()
        finally:
            self.current = outer
