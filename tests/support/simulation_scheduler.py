"""Deeds and moments come in and are done one at a time, in an order that the seed alone decides; time is the hand-turned clock's.

A task is a thread of its own, so that production code can be stopped in the middle of a call, and exactly one runs at any time:
whoever has the baton. A task that is killed meets `Killed`, which no production code catches; its transaction rolls back.
"""

import heapq
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.ledger_world import HandClock

_BATON_SECONDS_MAX = 60.0


class Killed(BaseException):
    """The process is gone, at this very point."""


@dataclass
class Task:
    """A process's work on one message, or one pass of a pump's chore."""

    name: str
    #: The point at which it meets its fate, and what that is: None dies, a number sleeps for so many seconds.
    fate_at: str | None = None
    fate: float | None = None
    fated: bool = False
    #: Runs in the scheduler's own thread, and so can't wait.
    inline: bool = False
    #: How long it was suspended against its will since the last point that asked for it.
    asleep_seconds: float = 0.0
    #: Under which fences it may send, by reference, and whether its last read of the ledger failed.
    fences: dict[str, int] = field(default_factory=dict)
    blind: bool = False
    doomed: bool = False
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0), repr=False)


class Scheduler:
    """Events by time, ties by the seed."""

    def __init__(self, clock: HandClock, rng: random.Random) -> None:
        self.clock = clock
        self.rng = rng
        self.current: Task | None = None
        self.running: list[Task] = []
        self.crashed: list[BaseException] = []
        self._back = threading.Semaphore(0)
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
        while not self.crashed:
            if done():
                return True
            if not self._events or self._events[0][0] > end:
                break
            when, _, _, deed = heapq.heappop(self._events)
            if when > self.now:
                self.clock.on(when - self.now)
            deed()
        if self.crashed:
            raise self.crashed[0]
        return done()

    # ---- tasks ------------------------------------------------------------------------------------------------------

    def start(self, task: Task, deed: Callable[[], None]) -> None:
        """Begin a task in a thread of its own; it runs up to its first wait."""
        thread = threading.Thread(target=self._live, args=(task, deed), name=task.name, daemon=True)
        self.running.append(task)
        thread.start()
        self._hand_baton(task)

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
        self.after(seconds, lambda: self._hand_baton(task))
        self._back.release()
        self._wait_for_baton(task)

    def end_all(self) -> None:
        """Kill what still runs, so that no thread outlives its simulation."""
        for task in list(self.running):
            task.doomed = True
            self._hand_baton(task)

    def _live(self, task: Task, deed: Callable[[], None]) -> None:
        try:
            self._wait_for_baton(task)
            deed()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 (raised again in the scheduler's own thread)
            self.crashed.append(error)
        finally:
            self.running.remove(task)
            self._back.release()

    def _hand_baton(self, task: Task) -> None:
        if task not in self.running:
            return
        outer, self.current = self.current, task
        task.go.release()
        assert self._back.acquire(timeout=_BATON_SECONDS_MAX), f"{task.name} never came back"
        self.current = outer

    def _wait_for_baton(self, task: Task) -> None:
        assert task.go.acquire(timeout=_BATON_SECONDS_MAX * 10), f"{task.name} was forgotten"
        if task.doomed:
            raise Killed
