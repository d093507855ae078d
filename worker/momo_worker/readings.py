"""The gauges' figures, read from the ledger and Redis at the moment they are asked for."""

from collections.abc import Iterator

import redis
import structlog
from sqlalchemy.exc import DBAPIError

from momo_worker.celery_settings import QUEUE_KEYS
from momo_worker.commons.parts import Parts
from momo_worker.ledger import outbox, recovery, run_release, schedule_dues, stops, views
from momo_worker.ledger.engine import Tx
from momo_worker.metrics import Reading
from momo_worker.payment.payment import Queue, Work
from momo_worker.payment.transitions import State
from momo_worker.streams import JobsStream

log = structlog.get_logger(__name__)

#: States in which nobody has anything to do.
_RUNS_AT_REST = frozenset({"settled", "cancelled", "superseded"})


def readings(parts: Parts, client: redis.Redis) -> Iterator[Reading]:
    """Every gauge; what can't be read is left out, so that an alert on its absence tells."""
    try:
        with parts.ledger.read() as tx:
            yield from _ledger(tx, parts)
    except DBAPIError as error:
        log.warning("gauges of the ledger can't be read", why=str(error.orig))
    try:
        yield from _redis(client)
    except redis.RedisError as error:
        log.warning("gauges of Redis can't be read", why=str(error))


def _ledger(tx: Tx, parts: Parts) -> Iterator[Reading]:
    yield from _states(tx)
    for cause, count in views.held_by_cause(tx).items():
        yield Reading("momo_held", (("cause", cause),), count)
    yield from due_lags(tx, parts)
    count, oldest = outbox.lag(tx)
    yield Reading("momo_outbox_events", (), count)
    yield Reading("momo_outbox_lag_seconds", (), max(0, tx.now_ms - oldest) / 1000 if oldest else 0)
    for pause in stops.pauses(tx):
        yield Reading("momo_paused", (("account", pause.account), ("product", pause.product), ("run", pause.run)), 1)
    for state, count, oldest_ms in run_release.by_state(tx):
        yield Reading("momo_runs", (("state", state),), count)
        if state not in _RUNS_AT_REST:
            yield Reading("momo_runs_oldest_age_seconds", (("state", state),), max(0, tx.now_ms - oldest_ms) / 1000)
    for state, count, oldest_ms in schedule_dues.open_by_state(tx):
        yield Reading("momo_schedule_dues", (("state", state),), count)
        yield Reading(
            "momo_schedule_dues_oldest_age_seconds", (("state", state),), max(0, tx.now_ms - oldest_ms) / 1000
        )
    restored = recovery.current(tx)
    if restored is not None:
        yield Reading("momo_recovery", (("why", restored.why),), 1)
        yield Reading("momo_recovery_searches", (), recovery.open_searches(tx, restored.id))
    for (account, product), gate in stops.gates(tx).items():
        if gate.closed_at_ms is not None:
            yield Reading(
                "momo_suspended", (("account", account), ("product", product), ("cause", gate.cause or "")), 1
            )


def _states(tx: Tx) -> Iterator[Reading]:
    found = views.by_state(tx)
    for gauge in found:
        labels = (("state", gauge.state), ("currency", gauge.currency))
        yield Reading("momo_payments", labels, gauge.count)
        yield Reading("momo_payments_amount", labels, gauge.amount_minor / 10**gauge.exponent)
        if gauge.oldest_since_ms is not None:
            yield Reading("momo_payments_oldest_age_seconds", labels, max(0, tx.now_ms - gauge.oldest_since_ms) / 1000)
    empty = {state.value for state in State} - {gauge.state for gauge in found}
    for state in sorted(empty):
        yield Reading("momo_payments", (("state", state), ("currency", "")), 0)


def due_lags(tx: Tx, parts: Parts) -> Iterator[Reading]:
    """How late the earliest due work of each account, product, kind and queue is; what isn't late yet is left out."""
    for account in parts.accounts.values():
        for product in account.credentials:
            works, queues = [work.value for work in Work], [queue.value for queue in Queue]
            for due in views.earliest_due(tx, account.name, product.value, works, queues):
                if due.due_at_ms < tx.now_ms:
                    labels = (
                        ("account", due.account),
                        ("product", due.product),
                        ("work", due.work),
                        ("queue", due.queue),
                    )
                    yield Reading("momo_due_lag_seconds", labels, (tx.now_ms - due.due_at_ms) / 1000)


def _redis(client: redis.Redis) -> Iterator[Reading]:
    try:
        length, pending = JobsStream(client).sizes()
    except redis.ResponseError:
        length, pending = 0, 0  # no stream yet, or none of its type; the doors' own loop tells which
    yield Reading("momo_jobs_stream_entries", (), length)
    yield Reading("momo_jobs_unacknowledged", (), pending)
    for key in QUEUE_KEYS:
        yield Reading("momo_work_messages", (("queue", key),), _length(client, key))
        yield Reading("momo_invalid_messages", (("queue", key),), _length(client, f"{key}.invalid"))


def _length(client: redis.Redis, key: str) -> int:
    return int(client.llen(key)) if client.type(key) in (b"list", "list") else 0
