"""Beginnings and ends of tasks come in, the end of a process that is stuck goes out; never repairs, never restarts.

Celery's thread pool has no time limits, so a call that never returns would hold its thread for ever, and a consumer that
hangs looks alive. The process ends itself and the supervisor starts it again; the ledger's leases do the rest.
"""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import redis
from celery import signals

from momo_worker.clock import Clock

log = logging.getLogger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: the supervisor's journal tells it from a crash and from a kill.
LAST_WORDS_TIMEOUT_SECONDS = 5.0


class Watchdog:
    """Two questions: has one task run too long, and does work wait that nobody here takes?

    `work_waits` answers the second: True if a queue of this worker holds a message, False if none does, None while Redis
    can't be asked. A worker without a connection isn't stuck, and the time counts anew once there is one.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        limit_seconds: float = 120.0,  # Twice the deadline of a call: past it no deadline works any more.
        work_waits: Callable[[], bool | None] = lambda: None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self.limit_seconds = limit_seconds
        self._clock = clock
        self._work_waits = work_waits
        self._end_process = end_process
        self._began: dict[object, float] = {}
        self._untaken_since: float | None = None
        self._leaving = False
        self._lock = threading.Lock()

    def task_began(self, place: object) -> None:
        """`place` is the thread: it runs one task at a time, while one task's id may run twice."""
        with self._lock:
            self._began[place] = self._clock.elapsed()
            self._untaken_since = None

    def task_ended(self, place: object) -> None:
        with self._lock:
            self._began.pop(place, None)

    def worker_leaves(self) -> None:
        """From here on nothing is taken on purpose; a task that never ends still ends the process."""
        self._leaving = True

    def oldest_task_seconds(self) -> float:
        """For the gauge, too."""
        with self._lock:
            began = min(self._began.values(), default=None)
        return 0.0 if began is None else self._clock.elapsed() - began

    def check(self) -> None:
        """Look once; end the process if it is stuck."""
        oldest = self.oldest_task_seconds()
        if oldest > self.limit_seconds:
            self._end(f"A task has been running for {oldest:.0f} s.", "task_too_long")
            return
        untaken = self._untaken_seconds()
        if untaken > self.limit_seconds:
            self._end(f"Work has been waiting for {untaken:.0f} s and none was taken.", "no_progress")

    def _untaken_seconds(self) -> float:
        waits = None if self._leaving else self._work_waits()
        now = self._clock.elapsed()
        with self._lock:
            if not waits:
                self._untaken_since = None
                return 0.0
            if self._untaken_since is None:
                self._untaken_since = now
            return now - self._untaken_since

    def _end(self, sentence: str, action: str) -> None:
        end_with_words(sentence, action, self._end_process)


def end_with_words(sentence: str, action: str, end_process: Callable[[int], object] = os._exit) -> None:
    """Say why, show where each thread stands, and end the process."""
    # A stuck thread may hold the lock of a log handler, and a full pipe takes no more words: five seconds, no longer.
    words = threading.Thread(target=_last_words, args=(sentence, action), daemon=True)
    words.start()
    words.join(LAST_WORDS_TIMEOUT_SECONDS)
    end_process(EXIT_CODE)


def _last_words(sentence: str, action: str) -> None:
    log.error("%s This process ends now, with code %d.", sentence, EXIT_CODE, extra={"action": action})
    faulthandler.dump_traceback(file=sys.__stderr__ or 2)


def work_in_lists(client: redis.Redis, keys: Sequence[str]) -> Callable[[], bool | None]:
    """Give a `work_waits` that asks Redis for the lengths of these lists; the client needs a socket timeout."""

    def work_waits() -> bool | None:
        try:
            return any(client.llen(key) for key in keys)
        except redis.RedisError:
            return None

    return work_waits


def watch_celery(watchdog: Watchdog, *, check_interval_seconds: float = 5.0) -> None:
    """Tie the watchdog to this process's Celery worker; its thread starts once the worker is ready."""
    started = threading.Event()

    def began(**_: Any) -> None:
        watchdog.task_began(threading.get_ident())

    def ended(**_: Any) -> None:
        watchdog.task_ended(threading.get_ident())

    def leaves(**_: Any) -> None:
        watchdog.worker_leaves()

    def ready(**_: Any) -> None:
        # Not again after a reconnect.
        if not started.is_set():
            started.set()
            threading.Thread(target=look_for_ever, name="watchdog", daemon=True).start()

    def look_for_ever() -> None:
        pause = threading.Event()
        while not pause.wait(check_interval_seconds):
            try:
                watchdog.check()
            except Exception:  # A watchdog that dies of a surprise is none.
                log.exception("The watchdog could not look.", extra={"action": "watchdog_failed"})

    # Celery keeps receivers weakly by default; these would be gone when this function returns.
    signals.task_prerun.connect(began, weak=False)
    signals.task_postrun.connect(ended, weak=False)
    signals.worker_shutting_down.connect(leaves, weak=False)
    signals.worker_ready.connect(ready, weak=False)
