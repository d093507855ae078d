"""Runs calls to MTN side by side: work and items come in, results go out as they come. Knows nothing of payments."""

import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from momo_worker.clock import Clock
from momo_worker.commons.parts import Item, Result


class ThreadRunner:
    """A process-wide pool of threads for calls; each batch waits for its own only."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="call")

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result | None]:
        """Yield each result as it comes, and None about once a second while nothing does.

        An exception of `work` is raised at the end: its neighbours' answers are known and must not be lost with it.
        """
        broken: BaseException | None = None
        done: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        for item in items:
            self._pool.submit(work, item).add_done_callback(done.put)
        left = len(items)
        while left:
            try:
                future = done.get(timeout=1)
            except queue.Empty:
                yield None
                continue
            left -= 1
            broken = broken or future.exception()
            if future.exception() is None:
                yield future.result()
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Wait for calls on the wire; begin no new one."""
        self._pool.shutdown(wait=True, cancel_futures=True)


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
