"""Whether something is due, allowed and not moving: the ledger's due times come in, healthy or the reason why not goes out.

Red by lag and not by silence: a process that answers and moves nothing is as dead as one that doesn't answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import redis
from sqlalchemy.exc import DBAPIError

from momo_worker.commons.parts import Parts
from momo_worker.ledger import outbox, stops
from momo_worker.metrics import Reading
from momo_worker.readings import due_lags

#: Due work that is allowed and this late isn't moving; pace alone explains a lag only while something moves.
LAG_SECONDS_MAX = 120
OUTBOX_LAG_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy, or why not."""

    healthy: bool
    reasons: tuple[str, ...]


class Health:
    """Answers /healthz; remembers the last lag of each queue to tell slow from stuck."""

    def __init__(self, parts: Parts, client: redis.Redis, alive: Callable[[], bool]) -> None:
        self._parts = parts
        self._redis = client
        self._alive = alive

    def ask(self) -> Verdict:
        """Look at the ledger and Redis now."""
        reasons: list[str] = [] if self._alive() else ["a loop of this process has stopped"]
        try:
            reasons += self._ledger_reasons()
        except DBAPIError as error:
            reasons.append(f"the ledger can't be read: {error.orig}")
        try:
            self._redis.ping()
        except redis.RedisError as error:
            reasons.append(f"Redis doesn't answer: {error}")
        return Verdict(not reasons, tuple(reasons))

    def _ledger_reasons(self) -> list[str]:
        with self._parts.ledger.read() as tx:
            pauses = stops.pauses(tx)
            closed = {key for key, gate in stops.gates(tx).items() if gate.closed_at_ms is not None}
            late = [
                lag
                for lag in due_lags(tx, self._parts)
                if lag.value > LAG_SECONDS_MAX and not _stopped(lag, pauses, closed)
            ]
            moving = outbox.moved_since(tx, tx.now_ms - LAG_SECONDS_MAX * 1000)
            waiting, oldest = outbox.lag(tx)
            outbox_lag = (tx.now_ms - oldest) / 1000 if oldest else 0
        # A long queue at MTN's pace is late and healthy: it moves. Late and nothing moved is stuck.
        reasons = [f"{_names(lag)} is {lag.value:.0f} s late and nothing moves" for lag in late if not moving]
        if outbox_lag > OUTBOX_LAG_SECONDS_MAX:
            reasons.append(f"{waiting} result events wait, the oldest for {outbox_lag:.0f} s")
        return reasons


def _names(lag: Reading) -> str:
    return " ".join(f"{value}" for _, value in lag.labels)


def _stopped(lag: Reading, pauses: list[stops.Pause], closed: set[tuple[str, str]]) -> bool:
    labels = dict(lag.labels)
    where = (labels["account"], labels["product"])
    if where in closed:
        return True
    return labels["work"] == "send" and any(pause.covers(*where) for pause in pauses)
