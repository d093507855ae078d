"""Writes decisions: changed payments, their transitions and their result events, in one transaction (M9). Decides nothing.

A move is one UPDATE guarded by id, state and fence; its row count is the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.many import Many
from momo_worker.ledger.rows import (
    ATTEMPT_FIELDS,
    MUTABLE_FIELDS,
    SEND_FIELDS,
    attempt_columns,
    attempt_from,
    attempt_values,
    payment_columns,
    payment_from,
    payment_values,
    send_columns,
    send_from,
    send_values,
)
from momo_worker.payment.events import ResultEvent
from momo_worker.payment.payment import Attempt, Payment, Send
from momo_worker.payment.transitions import Trigger


class MoveLostError(Exception):
    """A guarded move found its payment in another state or under another fence; nothing of the transaction is kept."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A row of a payment's history."""

    payment_id: str
    attempt: int
    sequence: int
    before: str | None
    after: str
    trigger: Trigger
    detail: str | None
    actor: str | None
    fence: int


_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_select_by_id = select(*payment_columns).where(schema.payment.c.id.in_(_ids)).order_by(schema.payment.c.id)
# NO KEY UPDATE: a refund that is being inserted holds a key-share lock on its collection, and two such that both
# wanted the full lock would wait for each other.
_lock_by_id = _select_by_id.with_for_update(key_share=True)
_lock_free_by_id = _select_by_id.with_for_update(skip_locked=True, key_share=True)
_update_payment = Many(
    update(schema.payment)
    .where(
        schema.payment.c.id == bindparam("guard_id"),
        schema.payment.c.state == bindparam("guard_state"),
        schema.payment.c.fence == bindparam("guard_fence"),
    )
    .values({name: bindparam(name) for name in MUTABLE_FIELDS})
)
_select_sends = select(*send_columns).where(schema.send.c.payment_id.in_(_ids)).order_by(schema.send.c.number)
_select_attempts = select(*attempt_columns).where(schema.attempt.c.payment_id.in_(_ids))
_end_send = Many(
    update(schema.send)
    .where(
        schema.send.c.payment_id == bindparam("guard_payment"),
        schema.send.c.attempt == bindparam("guard_attempt"),
        schema.send.c.number == bindparam("guard_number"),
        # A ledger that was restored counts the sends of an attempt anew: an answer to one that it lost isn't this one's.
        schema.send.c.fence == bindparam("guard_fence"),
        schema.send.c.ending.is_(None),
    )
    .values({name: bindparam(name) for name in ("ended_at_ms", "ending", "never_left", "http_status", "code")})
)


_add_attempt = Many(insert(schema.attempt).inline(), ATTEMPT_FIELDS)
_add_send = Many(insert(schema.send).inline(), SEND_FIELDS)
_TRANSITION = ("payment_id", "attempt", "sequence", "before", "after", "trigger", "detail", "actor", "fence", "at_ms")
_add_transition = Many(insert(schema.transition).inline(), _TRANSITION)
_EVENT = ("event_id", "partition", "payment_id", "type", "body", "created_at_ms", "replayed")
_add_event = {
    "sqlite": Many(sqlite.insert(schema.outbox).on_conflict_do_nothing(index_elements=["event_id"]).inline(), _EVENT),
    "postgresql": Many(
        postgresql.insert(schema.outbox).on_conflict_do_nothing(index_elements=["event_id"]).inline(), _EVENT
    ),
}


def lock(tx: Tx, ids: Sequence[str], *, skip_locked: bool = False) -> dict[str, Payment]:
    """The payments of these ids, locked in the order of their ids until the transaction ends."""
    if not ids:
        return {}
    statement = _lock_free_by_id if skip_locked else _lock_by_id
    return {row[0]: payment_from(row) for row in tx.conn.execute(statement, {"ids": list(ids)})}


def read(tx: Tx, ids: Sequence[str]) -> dict[str, Payment]:
    """The payments of these ids, as they are now."""
    if not ids:
        return {}
    return {row[0]: payment_from(row) for row in tx.conn.execute(_select_by_id, {"ids": list(ids)})}


def sends_of(tx: Tx, ids: Sequence[str]) -> dict[str, list[Send]]:
    """All sends of these payments, of every attempt, in order."""
    found: dict[str, list[Send]] = {payment_id: [] for payment_id in ids}
    if not ids:
        return found
    for row in tx.conn.execute(_select_sends, {"ids": list(ids)}):
        send = send_from(row)
        found[send.payment_id].append(send)
    return found


def attempts_of(tx: Tx, ids: Sequence[str]) -> dict[tuple[str, int], Attempt]:
    """All attempts of these payments, by payment id and number."""
    if not ids:
        return {}
    attempts = (attempt_from(row) for row in tx.conn.execute(_select_attempts, {"ids": list(ids)}))
    return {(attempt.payment_id, attempt.number): attempt for attempt in attempts}


def write_payments(tx: Tx, pairs: Sequence[tuple[Payment, Payment]]) -> None:
    """Write (before, after) pairs; raises MoveLostError when one of them isn't as it was believed."""
    changed = [(before, after) for before, after in pairs if before != after]
    if not changed:
        return
    rows = [
        {
            "guard_id": before.id,
            "guard_state": before.state.value,
            "guard_fence": before.fence,
            **payment_values(after, MUTABLE_FIELDS),
        }
        for before, after in changed
    ]
    for before, after in changed:
        if before.state is not after.state:
            tx.count(before.state.value, before.currency, before.exponent, before.amount_minor, -1)
            tx.count(after.state.value, after.currency, after.exponent, after.amount_minor, +1)
    if _update_payment.run(tx, rows) != len(rows):
        raise MoveLostError(f"of {len(rows)} payments at least one had moved meanwhile")


def add_attempts(tx: Tx, attempts: Sequence[Attempt]) -> None:
    """Keep new attempts; the schema refuses a reference that is already there."""
    _add_attempt.run(tx, [attempt_values(attempt) for attempt in attempts])


def add_sends(tx: Tx, sends: Sequence[Send]) -> None:
    """Keep sends without an ending, before the first byte leaves (M1)."""
    _add_send.run(tx, [send_values(send) for send in sends])


def end_sends(tx: Tx, sends: Sequence[Send]) -> None:
    """Give sends their ending; one that has an ending keeps it."""
    if not sends:
        return
    rows = [
        {
            "guard_payment": send.payment_id,
            "guard_attempt": send.attempt,
            "guard_number": send.number,
            "guard_fence": send.fence,
            "ended_at_ms": send.ended_at_ms,
            "ending": send.ending.value if send.ending else None,
            "never_left": send.never_left,
            "http_status": send.http_status,
            "code": send.code,
        }
        for send in sends
    ]
    _end_send.run(tx, rows)


def add_transitions(tx: Tx, transitions: Sequence[Transition]) -> None:
    """Append to the history."""
    if not transitions:
        return
    rows: list[dict[str, Any]] = [
        {
            "payment_id": item.payment_id,
            "attempt": item.attempt,
            "sequence": item.sequence,
            "before": item.before,
            "after": item.after,
            "trigger": item.trigger.value,
            "detail": item.detail,
            "actor": item.actor,
            "fence": item.fence,
            "at_ms": tx.now_ms,
        }
        for item in transitions
    ]
    _add_transition.run(tx, rows)


def add_events(tx: Tx, events: Sequence[ResultEvent]) -> None:
    """Put result events into the outbox; an event id that is there already is the same event and is left alone."""
    if not events:
        return
    rows = [
        {
            "event_id": event.event_id,
            "partition": event.partition,
            "payment_id": event.payment_id,
            "type": event.type,
            "body": event.body,
            "created_at_ms": tx.now_ms,
            "replayed": False,
        }
        for event in events
    ]
    _add_event[tx.dialect].run(tx, rows)


def follow_late(tx: Tx, payment_id: str, attempt: int, due_at_ms: int | None, looks: int) -> None:
    """Set when a closed attempt is looked up again (M8); None ends it."""
    tx.conn.execute(
        update(schema.attempt)
        .where(schema.attempt.c.payment_id == payment_id, schema.attempt.c.number == attempt)
        .values(late_due_at_ms=due_at_ms, late_looks=looks)
    )


def change_refunded(tx: Tx, collection_id: str, delta_minor: int) -> bool:
    """Add to or take from what a collection has been refunded; False when it would exceed what was collected (M14)."""
    total = schema.payment.c.refunded_minor + delta_minor
    statement = (
        update(schema.payment)
        .where(schema.payment.c.id == collection_id, total >= 0, total <= schema.payment.c.amount_minor)
        .values(refunded_minor=total)
    )
    return tx.conn.execute(statement).rowcount == 1


def owner_of(tx: Tx, reference_id: str) -> str | None:
    """The payment whose attempt has this reference."""
    return tx.conn.execute(
        select(schema.attempt.c.payment_id).where(schema.attempt.c.reference_id == reference_id)
    ).scalar_one_or_none()
