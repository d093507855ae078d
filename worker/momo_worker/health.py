"""Whether something is due, allowed and not moving: the ledger's due times come in, healthy or the reason why not goes out.

Red by lag and not by silence: a process that answers and moves nothing is as dead as one that doesn't answer.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis
from sqlalchemy.exc import DBAPIError

from momo_worker.commons.parts import Parts
from momo_worker.ledger import outbox, recovery, stops, views
from momo_worker.ledger.engine import LEDGER_FAILURES, Tx
from momo_worker.payment.payment import Queue, Work


@dataclass(frozen=True, slots=True)
class Limits:
    """How late is too late."""

    #: Due work that is allowed and this late isn't moving, unless its head changes: pace alone explains a long queue.
    late_ms: int = 120_000
    results_late_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy, or why not."""

    healthy: bool
    reasons: tuple[str, ...]
    #: What a person should know and a restart wouldn't mend.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Head:
    """What is due first in a queue, and since when it has been the first and allowed to go."""

    due_at_ms: int
    since_ms: int


class Health:
    """Answers /healthz; remembers the head of each queue to tell slow from stuck."""

    def __init__(
        self, parts: Parts, client: redis.Redis, alive: Callable[[], bool], limits: Limits | None = None
    ) -> None:
        self._parts = parts
        self._redis = client
        self._alive = alive
        self._limits = limits or Limits()
        self._heads: dict[tuple[str, ...], _Head] = {}
        self._lock = threading.Lock()

    def ask(self) -> Verdict:
        """Look at the ledger and Redis now."""
        reasons: list[str] = [] if self._alive() else ["a loop of this process has stopped"]
        notes: list[str] = []
        try:
            reasons += self._ledger_reasons()
            notes += self._notes()
        except LEDGER_FAILURES as error:
            reasons.append(f"the ledger can't be read: {error.orig if isinstance(error, DBAPIError) else error}")
        try:
            self._redis.ping()
        except redis.RedisError as error:
            reasons.append(f"Redis doesn't answer: {error}")
        return Verdict(not reasons, tuple(reasons), tuple(notes))

    def _notes(self) -> list[str]:
        with self._parts.ledger.read() as tx:
            found = recovery.current(tx)
        if found is None:
            return []
        return [
            f"the ledger was restored ({found.why}) and is in recovery: nothing is sent until `momo recover --release`"
        ]

    def _ledger_reasons(self) -> list[str]:
        with self._lock, self._parts.ledger.read() as tx:
            reasons = [
                f"{' '.join(queue)} is {(tx.now_ms - head.due_at_ms) / 1000:.0f} s late and nothing moves"
                for queue, head in self._look_at_heads(tx).items()
                if tx.now_ms - head.since_ms > self._limits.late_ms and not self._sends(tx, queue)
            ]
            waiting, oldest = outbox.lag(tx)
            if oldest is not None and tx.now_ms - oldest > self._limits.results_late_ms:
                reasons.append(f"{waiting} result events wait, the oldest for {(tx.now_ms - oldest) / 1000:.0f} s")
        return reasons

    def _sends(self, tx: Tx, queue: tuple[str, ...]) -> bool:
        """Thousands that were taken in together share one due time, and go one after another under an unchanged head."""
        account, product, work, _ = queue
        return work == Work.SEND and outbox.sent_since(tx, account, product, tx.now_ms - self._limits.late_ms)

    def _look_at_heads(self, tx: Tx) -> dict[tuple[str, ...], _Head]:
        """The heads of all queues that are late, each with the moment from which it should have gone."""
        moving = outbox.moved_since(tx, tx.now_ms - self._limits.late_ms)
        stopped = _Stopped(tx)
        found: dict[tuple[str, ...], _Head] = {}
        for due in _heads(tx, self._parts):
            if due.due_at_ms >= tx.now_ms:
                continue
            queue = (due.account, due.product, due.work, due.queue)
            known = self._heads.get(queue)
            if stopped.holds(due):
                since = tx.now_ms
            elif known is not None and known.due_at_ms == due.due_at_ms:
                since = known.since_ms
            else:
                # A head that this process sees for the first time may be late because many stood before it.
                since = due.due_at_ms if known is None and not moving else tx.now_ms
            found[queue] = _Head(due.due_at_ms, since)
        self._heads = found
        return found


def _heads(tx: Tx, parts: Parts) -> Iterator[views.DueLag]:
    works, queues = [work.value for work in Work], [queue.value for queue in Queue]
    for account in parts.accounts.values():
        for product in account.credentials:
            yield from views.earliest_due(tx, account.name, product.value, works, queues)


class _Stopped:
    """What may not go at this moment: a closed gate holds everything, a pause sends, a recovery that searches looks as well."""

    def __init__(self, tx: Tx) -> None:
        self._pauses = stops.holding(tx)
        self._searching = stops.searching(tx)
        self._closed = {key for key, gate in stops.gates(tx).items() if gate.closed_at_ms is not None}

    def holds(self, due: views.DueLag) -> bool:
        where = (due.account, due.product)
        if where in self._closed or self._searching:
            return True
        return due.work == Work.SEND and any(pause.covers(*where) for pause in self._pauses)
