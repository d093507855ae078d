"""Runs calls to MTN side by side: work and items come in, results go out as they come. Knows nothing of payments."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Generic, cast

from momo_worker.clock import Clock
from momo_worker.commons.parts import Item, Result

_PATIENCE_SECONDS = 1.0
_NOTHING = object()


class _Batch(Generic[Item, Result]):
    """Items that threads take one by one, and what came of them; the batch's own thread is woken at its end, not for each."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self._work = work
        self._items = iter(items)
        self._lock = threading.Lock()
        self._left = len(items)
        self._done: list[Result] = []
        self._over = threading.Event()
        self.broken: BaseException | None = None

    def serve(self, pool: ThreadPoolExecutor, closing: threading.Event) -> None:
        """Take one item after another until none is left; where one raises, another thread goes on in this one's place."""
        while not closing.is_set():
            with self._lock:
                # Two threads may not step one iterator at once.
                item = next(self._items, _NOTHING)
            if item is _NOTHING:
                return
            results: list[Result] = []
            try:
                results.append(self._work(cast("Item", item)))
            finally:
                error = sys.exception()
                self._keep(results, error)
                if error is not None and not closing.is_set():
                    pool.submit(self.serve, pool, closing)

    def _keep(self, results: list[Result], error: BaseException | None) -> None:
        with self._lock:
            self._done += results
            self.broken = self.broken or error
            self._left -= 1
            if not self._left:
                self._over.set()

    def wait(self, seconds: float) -> tuple[list[Result], bool]:
        """What came since the last time, at the latest after so many seconds; and whether that was all."""
        self._over.wait(seconds)
        with self._lock:
            came, self._done = self._done, []
            return came, not self._left


class ThreadRunner:
    """A process-wide pool of threads for calls; each batch waits for its own only."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._closing = threading.Event()
        self._closed = threading.Event()

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | None]:
        """Yield results about once a second, None where none came in it, and the rest as soon as all are there.

        Not each as it comes: being woken for every answer cost as much as recording it. An exception of `work` is raised at the
        end: its neighbours' answers are known and must not be lost with it. Raises CancelledError when `close` came before the last.
        """
        batch = _Batch(work, items)
        for _ in range(min(self._threads, len(items))):
            self._pool.submit(batch.serve, self._pool, self._closing)
        over = not items
        while not over:
            # Asked before the wait: what came until then is in what the wait brings.
            closed = self._closed.is_set()
            came, over = batch.wait(_PATIENCE_SECONDS)
            yield from came
            if closed and not over:
                raise CancelledError("the process ends; the rest of the batch was not begun")
            if not came:
                yield None
        if batch.broken is not None:
            raise batch.broken

    def close(self) -> None:
        """Wait for calls on the wire; begin no new one."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._closed.set()


class InlineRunner:
    """One call after another in the caller's own thread: for simulations that must repeat to the byte."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | None]:
        """Yield each result in the order of the items; an exception is raised after its neighbours' answers, as in threads."""
        for place, item in enumerate(items):
            answered = False
            try:
                result = work(item)
                answered = True
            finally:
                if not answered:
                    yield from self.run(work, items[place + 1 :])
            yield result


def in_batches(clock: Clock, results: Iterable[Result | None], *, every_seconds: float = 1.0) -> Iterator[list[Result]]:
    """Gather results into lists, each yielded at the latest `every_seconds` after the one before it.

    A slow neighbour must not keep known answers in memory, where a kill would make them unknown again.
    """
    waiting: list[Result] = []
    yielded_at = clock.elapsed()
    try:
        for result in results:
            if result is not None:
                waiting.append(result)
            if waiting and clock.elapsed() - yielded_at >= every_seconds:
                yield waiting
                waiting, yielded_at = [], clock.elapsed()
    except Exception:
        if waiting:
            yield waiting
        raise
    if waiting:
        yield waiting
