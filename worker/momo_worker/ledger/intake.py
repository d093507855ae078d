"""Jobs into the ledger: new payments, rejected jobs, jobs that wait. The unique index decides who was first, row by row (M10)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.rows import payment_columns, payment_from, payment_values
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import FINAL_STATES

#: How much of a rejected job is kept beside its digest.
PAYLOAD_KEPT_BYTES = 64 * 1024

_keys: BindParameter[Any] = bindparam("keys", expanding=True)
_select_by_key = select(*payment_columns).where(
    schema.payment.c.account == bindparam("account"), schema.payment.c.idempotency_key.in_(_keys)
)
_insert_payment = {
    "sqlite": sqlite.insert(schema.payment).on_conflict_do_nothing().returning(schema.payment.c.id),
    "postgresql": postgresql.insert(schema.payment).on_conflict_do_nothing().returning(schema.payment.c.id),
}


def add_payments(tx: Tx, payments: Sequence[Payment]) -> frozenset[str]:
    """Insert what is new; returns the ids that went in. Sorted by key, so that two pumps never wait for each other in a circle."""
    if not payments:
        return frozenset()
    ordered = sorted(payments, key=lambda payment: (payment.account, payment.idempotency_key))
    rows = [payment_values(payment) for payment in ordered]
    added = frozenset(row[0] for row in tx.conn.execute(_insert_payment[tx.dialect], rows))
    for payment in {each.id: each for each in ordered if each.id in added}.values():
        tx.count(payment.state.value, payment.currency, payment.exponent, payment.amount_minor, +1)
    return added


def take_back(tx: Tx, payment: Payment) -> None:
    """Remove a payment that this very transaction inserted and that turned out to be refused."""
    tx.conn.execute(text("DELETE FROM payment WHERE id = :id"), {"id": payment.id})
    tx.count(payment.state.value, payment.currency, payment.exponent, payment.amount_minor, -1)


def by_key(tx: Tx, account: str, keys: Sequence[str]) -> dict[str, Payment]:
    """The payments of an account under these keys."""
    if not keys:
        return {}
    rows = tx.conn.execute(_select_by_key, {"account": account, "keys": list(keys)})
    return {payment.idempotency_key: payment for payment in map(payment_from, rows)}


def named(tx: Tx, account: str, names: Sequence[str]) -> dict[str, Payment]:
    """Payments of an account by key, by the reference of one of their attempts, or by MTN's transaction id, where that names one."""
    found = by_key(tx, account, names)
    attempt = schema.attempt.c
    asked = select(attempt.reference_id, attempt.payment_id)
    others = tx.conn.execute(asked.where(attempt.reference_id.in_([name for name in names if name not in found])))
    ids = {row[0]: row[1] for row in others}
    left = [name for name in names if name not in found and name not in ids]
    table = schema.payment.c
    of_ids = table.id.in_(sorted(set(ids.values())))
    of_mtn = table.financial_transaction_id.in_(left)
    rows = tx.conn.execute(select(*payment_columns).where(table.account == account, of_ids | of_mtn))
    payments = [payment_from(row) for row in rows]
    owned = {payment.id: payment for payment in payments}
    found |= {name: owned[payment_id] for name, payment_id in ids.items() if payment_id in owned}
    for name in left:
        same = [payment for payment in payments if payment.financial_transaction_id == name]
        if len(same) == 1:
            found[name] = same[0]
    return found


#: By account and number, which a refund has from its collection, since these are what an index leads to.
_OPEN_REFUND = text(
    "SELECT 1 FROM payment WHERE account = :account AND msisdn = :msisdn AND refund_of = :collection "
    "AND state NOT IN :final LIMIT 1"
).bindparams(bindparam("final", expanding=True))


def has_open_refund(tx: Tx, collection: Payment) -> bool:
    """Whether a refund of this collection hasn't ended."""
    values = {
        "account": collection.account,
        "msisdn": collection.msisdn,
        "collection": collection.id,
        "final": sorted(state.value for state in FINAL_STATES),
    }
    return tx.conn.execute(_OPEN_REFUND, values).first() is not None


@dataclass(frozen=True, slots=True)
class Likeness:
    """A recent payment of the same operation, number and amount."""

    payment_id: str
    idempotency_key: str
    operation: str
    msisdn: str
    amount_minor: int


_LIKE = text(
    "SELECT id, idempotency_key, operation, msisdn, amount_minor FROM payment "
    "WHERE account = :account AND msisdn IN :msisdns AND amount_minor IN :amounts AND accepted_at_ms >= :since "
    "ORDER BY accepted_at_ms LIMIT :limit"
).bindparams(bindparam("msisdns", expanding=True), bindparam("amounts", expanding=True))
#: More look-alikes than this within ten minutes tell nothing new.
_LIKE_MAX = 2_000


def recent_of(
    tx: Tx, account: str, msisdns: Sequence[str], amounts_minor: Sequence[int], since_ms: int
) -> list[Likeness]:
    """What was accepted since then for these numbers and amounts."""
    if not msisdns:
        return []
    rows = tx.conn.execute(
        _LIKE,
        {
            "account": account,
            "msisdns": list(msisdns),
            "amounts": list(amounts_minor),
            "since": since_ms,
            "limit": _LIKE_MAX,
        },
    )
    return [Likeness(*row) for row in rows]


_OUTFLOW = text(
    "INSERT INTO outflow (account, day, direct_minor) VALUES (:account, :day, :amount) "
    "ON CONFLICT (account, day) DO UPDATE SET direct_minor = outflow.direct_minor + excluded.direct_minor "
    "WHERE outflow.direct_minor + excluded.direct_minor <= :limit RETURNING direct_minor"
)


def add_outflow(tx: Tx, account: str, day: str, amount_minor: int, limit_minor: int) -> bool:
    """Count a payment against the account's daily limit; False when it would exceed it, and then nothing was counted."""
    if amount_minor > limit_minor:
        return False
    values = {"account": account, "day": day, "amount": amount_minor, "limit": limit_minor}
    return tx.conn.execute(_OUTFLOW, values).first() is not None


_REJECTED = text("SELECT source FROM rejected_job WHERE source IN :sources").bindparams(
    bindparam("sources", expanding=True)
)


def rejected_among(tx: Tx, sources: Sequence[str]) -> frozenset[str]:
    """Which of these entries were rejected before."""
    if not sources:
        return frozenset()
    return frozenset(row[0] for row in tx.conn.execute(_REJECTED, {"sources": list(sources)}))


_WAIT = text("SELECT source FROM waiting_job WHERE source IN :sources").bindparams(bindparam("sources", expanding=True))


def sources_waiting(tx: Tx, sources: Sequence[str]) -> frozenset[str]:
    """Which of these entries wait; locks none."""
    return frozenset(row[0] for row in tx.conn.execute(_WAIT, {"sources": list(sources)}))


def waits_for(tx: Tx, source: str) -> str | None:
    """Why the job of this entry waits; None where it doesn't."""
    statement = select(schema.waiting_job.c.why).where(schema.waiting_job.c.source == source)
    return tx.conn.execute(statement).scalar_one_or_none()


_WAITS = text("SELECT (SELECT count(*) FROM waiting_job), why FROM waiting_job ORDER BY first_seen_at_ms LIMIT 1")


def waiting(tx: Tx) -> tuple[int, str]:
    """How many jobs wait, and why the oldest does."""
    row = tx.conn.execute(_WAITS).first()
    return (0, "") if row is None else (int(row[0]), row[1])


def accepted_from(tx: Tx, source: str) -> str | None:
    """The payment that this entry became. Reads the whole table: only for entries that end their readers, which are few."""
    statement = select(schema.payment.c.id).where(schema.payment.c.source == source)
    return tx.conn.execute(statement).scalars().first()


def add_rejected(tx: Tx, source: str, payload: bytes, errors: str) -> bool:
    """Keep a job that can't become a payment; False when this entry was kept before."""
    row = {
        "source": source,
        "payload": payload[:PAYLOAD_KEPT_BYTES],
        "payload_bytes": len(payload),
        "payload_sha256": hashlib.sha256(payload).hexdigest(),
        "errors": errors,
        "now": tx.now_ms,
    }
    statement = text(
        "INSERT INTO rejected_job (source, payload, payload_bytes, payload_sha256, errors, rejected_at_ms) "
        "VALUES (:source, :payload, :payload_bytes, :payload_sha256, :errors, :now) ON CONFLICT (source) DO NOTHING"
    )
    return tx.conn.execute(statement, row).rowcount == 1


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that may be right tomorrow."""

    source: str
    payload: bytes
    why: str
    first_seen_at_ms: int
    door: str
    envelope: bool


def keep_waiting(
    tx: Tx,
    source: str,
    payload: bytes,
    why: str,
    next_try_at_ms: int,
    *,
    door: str,
    envelope: bool,
    payment_id: str | None = None,
) -> None:
    """Keep a job that waits, or set its next try; one that is read once more after a restore is from then on one that was accepted before."""
    tx.conn.execute(
        text(
            "INSERT INTO waiting_job (source, payload, why, first_seen_at_ms, next_try_at_ms, door, envelope, payment_id) "
            "VALUES (:source, :payload, :why, :now, :next, :door, :envelope, :payment) "
            "ON CONFLICT (source) DO UPDATE SET next_try_at_ms = excluded.next_try_at_ms, why = excluded.why, payment_id = excluded.payment_id, "
            "door = CASE WHEN excluded.door = 'recovery' THEN excluded.door ELSE waiting_job.door END"
        ),
        {
            "source": source,
            "payload": payload,
            "why": why,
            "now": tx.now_ms,
            "next": next_try_at_ms,
            "door": door,
            "envelope": envelope,
            "payment": payment_id,
        },
    )


_select_waiting = select(
    *(schema.waiting_job.c[name] for name in ("source", "payload", "why", "first_seen_at_ms", "door", "envelope"))
)
_WAITING_DUE = (
    _select_waiting.where(schema.waiting_job.c.next_try_at_ms <= bindparam("now"))
    # Those that were woken together go in the order in which they came.
    .order_by(schema.waiting_job.c.next_try_at_ms, schema.waiting_job.c.first_seen_at_ms, schema.waiting_job.c.source)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def waiting_due(tx: Tx, *, limit: int) -> list[WaitingJob]:
    """Waiting jobs whose next try has come, and that no other process tries at this moment."""
    return [_waiting_job(row) for row in tx.conn.execute(_WAITING_DUE, {"now": tx.now_ms, "limit": limit})]


_WAITING_AMONG = (
    _select_waiting.where(schema.waiting_job.c.source.in_(bindparam("sources", expanding=True)))
    .order_by(schema.waiting_job.c.source)
    .with_for_update()
)


def waiting_among(tx: Tx, sources: Sequence[str]) -> list[WaitingJob]:
    """Which of these entries wait, due or not, locked until the transaction ends."""
    return [_waiting_job(row) for row in tx.conn.execute(_WAITING_AMONG, {"sources": list(sources)})]


_WAITING_BEFORE = text(
    "SELECT payment_id, source, payload, envelope FROM waiting_job WHERE payment_id IN :ids "
    "AND (door = 'recovery' OR first_seen_at_ms < :began) ORDER BY source"
).bindparams(bindparam("ids", expanding=True))


def waiting_before(tx: Tx, payment_ids: Sequence[str], began_at_ms: int) -> list[tuple[str, str, bytes, bool]]:
    """Jobs that wait and would be these payments, and that a ledger which was lost then may have known: payment, source, payload, envelope."""
    if not payment_ids:
        return []
    rows = tx.conn.execute(_WAITING_BEFORE, {"ids": list(payment_ids), "began": began_at_ms})
    return [(row[0], row[1], bytes(row[2]), bool(row[3])) for row in rows]


def _waiting_job(row: Sequence[Any]) -> WaitingJob:
    return WaitingJob(row[0], bytes(row[1]), row[2], row[3], row[4], bool(row[5]))


def wake_waiting(tx: Tx) -> None:
    """What jobs wait for may have come: each is tried again at once."""
    tx.conn.execute(
        text("UPDATE waiting_job SET next_try_at_ms = :now WHERE next_try_at_ms > :now"), {"now": tx.now_ms}
    )


def end_waiting(tx: Tx, sources: Sequence[str]) -> None:
    """Waiting is over for these, one way or the other."""
    if sources:
        statement = text("DELETE FROM waiting_job WHERE source IN :sources").bindparams(
            bindparam("sources", expanding=True)
        )
        tx.conn.execute(statement, {"sources": list(sources)})
