"""What a person's decision rests on, read under the payment's lock, and what the decision writes beside the move. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text, update

from momo_worker.ledger import intake, moves, schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.rows import payment_columns, payment_from
from momo_worker.payment.operator import Standing
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import State, Trigger

_CONTRADICTIONS = text(
    "SELECT detail FROM transition WHERE payment_id = :payment_id AND trigger = :trigger ORDER BY id"
)
_UNANSWERED = text(
    "SELECT detail FROM transition WHERE payment_id = :payment_id AND trigger = :trigger AND id > "
    "(SELECT coalesce(max(id), 0) FROM transition WHERE payment_id = :payment_id AND trigger = :answer) ORDER BY id"
)
_CLOSED_BY = text(
    "SELECT trigger FROM transition WHERE payment_id = :payment_id AND attempt = :attempt AND after = :failed "
    "AND before <> :failed ORDER BY id DESC LIMIT 1"
)
#: What ended without a payment is no second one.
_UNPAID = (State.FAILED.value, State.CANCELLED.value)


def standing_of(tx: Tx, payment: Payment, *, alike_within_ms: int | None = None) -> Standing:
    """Everything beside the payment itself; look-alikes only where asked for: from so long before it was accepted, to this day."""
    return Standing(
        sends=tuple(moves.sends_of(tx, [payment.id])[payment.id]),
        contradictions=contradictions_of(tx, payment.id),
        successor=successor_of(tx, payment.id),
        closed_by=closed_by(tx, payment.id, payment.attempt),
        alike=None if alike_within_ms is None else _alike(tx, payment, payment.accepted_at_ms - alike_within_ms),
    )


def closed_by(tx: Tx, payment_id: str, attempt: int) -> Trigger | None:
    """What made an attempt failed, where it is."""
    values = {"payment_id": payment_id, "attempt": attempt, "failed": State.FAILED.value}
    found = tx.conn.execute(_CLOSED_BY, values).scalar_one_or_none()
    return Trigger(found) if found else None


def contradictions_of(tx: Tx, payment_id: str) -> tuple[str, ...]:
    """What MTN said against what was held for settled, on any attempt (M8)."""
    values = {"payment_id": payment_id, "trigger": Trigger.CONTRADICTION.value}
    return tuple(str(row[0]) for row in tx.conn.execute(_CONTRADICTIONS, values))


def unanswered_contradictions_of(tx: Tx, payment_id: str) -> tuple[str, ...]:
    """Those that came after the last time that a person said how it ended."""
    values = {
        "payment_id": payment_id,
        "trigger": Trigger.CONTRADICTION.value,
        "answer": Trigger.RESOLVED.value,
    }
    return tuple(str(row[0]) for row in tx.conn.execute(_UNANSWERED, values))


def successor_of(tx: Tx, payment_id: str) -> str | None:
    """The payment that replaces this one."""
    return tx.conn.execute(
        select(schema.payment.c.id).where(schema.payment.c.replaces == payment_id)
    ).scalar_one_or_none()


def _alike(tx: Tx, payment: Payment, since_ms: int) -> str | None:
    """A payment of the same operation, number and amount that may be this payer's own second try, or the first of this one."""
    if payment.msisdn is None:
        return None
    recent = intake.recent_of(tx, payment.account, [payment.msisdn], [payment.amount_minor], since_ms)
    same = [like.payment_id for like in recent if like.operation == payment.operation and like.payment_id != payment.id]
    others = moves.read(tx, same)
    return next((name for name in same if others[name].state not in _UNPAID), None)


def prolong(tx: Tx, payment_id: str, not_after_ms: int) -> None:
    """Let a payment be sent until then: the one thing of what was asked for that a person may change."""
    statement = update(schema.payment).where(schema.payment.c.id == payment_id).values(not_after_ms=not_after_ms)
    tx.conn.execute(statement)


@dataclass(frozen=True, slots=True)
class Decision:
    """A line of the journal: who decided what about a payment, when and why."""

    actor: str
    action: str
    reason: str
    at_ms: int


def decisions_about(tx: Tx, subjects: Sequence[str]) -> list[Decision]:
    """What people decided about these, oldest first."""
    columns = (schema.journal.c.actor, schema.journal.c.action, schema.journal.c.reason, schema.journal.c.at_ms)
    statement = select(*columns).where(schema.journal.c.subject.in_(subjects)).order_by(schema.journal.c.id)
    return [Decision(*row) for row in tx.conn.execute(statement)]


#: More than this in one command is nobody's considered decision.
CHOSEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which payments a person speaks of at once; `before_ms` is since when they stand where they do, at the latest."""

    account: str | None
    states: Sequence[str]
    causes: Sequence[str]
    before_ms: int | None


def chosen(tx: Tx, wanted: Filter, *, limit: int) -> list[Payment]:
    """The payments of a filter, those that wait longest first."""
    payment = schema.payment.c
    statement = select(*payment_columns).where(payment.state.in_(wanted.states))
    if wanted.account is not None:
        statement = statement.where(payment.account == wanted.account)
    if wanted.causes:
        statement = statement.where(payment.held_cause.in_(wanted.causes))
    if wanted.before_ms is not None:
        statement = statement.where(payment.state_since_ms < wanted.before_ms)
    rows = tx.conn.execute(statement.order_by(payment.state_since_ms, payment.id).limit(limit))
    return [payment_from(row) for row in rows]


def contradicted_among(tx: Tx, payment_ids: Sequence[str]) -> frozenset[str]:
    """Which of these MTN has contradicted."""
    columns = schema.transition.c
    statement = select(columns.payment_id).where(
        columns.payment_id.in_(payment_ids), columns.trigger == Trigger.CONTRADICTION.value
    )
    return frozenset(tx.conn.execute(statement).scalars()) if payment_ids else frozenset()
