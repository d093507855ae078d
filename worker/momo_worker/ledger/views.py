"""What the ledger shows: gauges, lists, one payment's whole story. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.rows import payment_columns, payment_from
from momo_worker.ledger.stops import NO_PAUSED_RUN
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import FINAL_STATES, State, Trigger


@dataclass(frozen=True, slots=True)
class StateGauge:
    """Payments of one state and currency; `oldest_since_ms` is None for final states, where nothing waits."""

    state: str
    currency: str
    exponent: int
    count: int
    amount_minor: int
    oldest_since_ms: int | None


_TALLIES = text(
    "SELECT state, currency, max(exponent), sum(payments), sum(amount_minor) FROM tally "
    "GROUP BY state, currency HAVING sum(payments) > 0 ORDER BY state, currency"
)
_OLDEST = text("SELECT min(state_since_ms) FROM payment WHERE state = :state AND currency = :currency")


def by_state(tx: Tx) -> list[StateGauge]:
    """Count, money and age by state and currency: a few rows and a few index look-ups, however many payments there ever were."""
    return [
        StateGauge(row[0], row[1], row[2], int(row[3]), int(row[4]), _oldest(tx, row[0], row[1]))
        for row in tx.conn.execute(_TALLIES).all()
    ]


def _oldest(tx: Tx, state: str, currency: str) -> int | None:
    if State(state) in FINAL_STATES:
        return None
    found: int | None = tx.conn.execute(_OLDEST, {"state": state, "currency": currency}).scalar_one()
    return found


def rejection(tx: Tx, source: str) -> str | None:
    """Why the job of this entry was rejected, as the JSON that the event carries; None where it wasn't."""
    return tx.conn.execute(
        select(schema.rejected_job.c.errors).where(schema.rejected_job.c.source == source)
    ).scalar_one_or_none()


def held_by_cause(tx: Tx) -> dict[str, int]:
    """How many payments lie on a person's desk, by cause."""
    rows = tx.conn.execute(text("SELECT held_cause, count(*) FROM payment WHERE state = 'held' GROUP BY held_cause"))
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class DueLag:
    """How late the oldest due work of an account, product and kind is."""

    account: str
    product: str
    work: str
    queue: str
    due_at_ms: int


_DUE = text(
    "SELECT due_at_ms FROM payment WHERE account = :account AND product = :product AND work = :work AND queue = :queue "  # noqa: S608 - a constant of ours
    f"AND due_at_ms IS NOT NULL AND {NO_PAUSED_RUN} ORDER BY due_at_ms LIMIT 1"
)


def earliest_due(tx: Tx, account: str, product: str, works: Sequence[str], queues: Sequence[str]) -> list[DueLag]:
    """The earliest due payment of each kind and queue: an index look-up each."""
    found = []
    for work in works:
        for queue in queues:
            row = tx.conn.execute(_DUE, {"account": account, "product": product, "work": work, "queue": queue}).first()
            if row is not None:
                found.append(DueLag(account, product, work, queue, row[0]))
    return found


def vanished_since(tx: Tx, account: str, since_ms: int) -> int:
    """How many payments of an account were held as vanished since then."""
    found = tx.conn.execute(
        text(
            "SELECT count(*) FROM payment WHERE state = 'held' AND held_cause = 'vanished' AND account = :account AND state_since_ms >= :since"
        ),
        {"account": account, "since": since_ms},
    ).scalar_one()
    return int(found)


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the ledger knows of one payment."""

    payment: Payment
    attempts: list[dict[str, Any]]
    sends: list[dict[str, Any]]
    transitions: list[dict[str, Any]]
    #: What people decided about it.
    decisions: list[dict[str, Any]]
    #: What MTN said against what was held for settled.
    contradictions: list[str]
    #: The payment that replaces it.
    replaced_by: str | None


def find(tx: Tx, name: str, account: str | None = None) -> list[Payment]:
    """Payments by id, key, reference, external id or MTN's id; more than one where the name isn't unique."""
    found = _payments(tx, schema.payment.c.id == name)
    if not found:
        found = _payments(tx, schema.payment.c.idempotency_key == name)
    if not found:
        owner = tx.conn.execute(
            select(schema.attempt.c.payment_id).where(schema.attempt.c.reference_id == name)
        ).scalar_one_or_none()
        found = _payments(tx, schema.payment.c.id == owner) if owner else []
    if not found:
        found = _payments(
            tx, (schema.payment.c.external_id == name) | (schema.payment.c.financial_transaction_id == name)
        )
    return [payment for payment in found if account in (None, payment.account)]


def _payments(tx: Tx, condition: Any) -> list[Payment]:
    return [payment_from(row) for row in tx.conn.execute(select(*payment_columns).where(condition).limit(100))]


def story(tx: Tx, payment: Payment) -> Story:
    """The whole history of a payment."""
    tables = (
        (schema.attempt, schema.attempt.c.payment_id, (schema.attempt.c.number,)),
        (schema.send, schema.send.c.payment_id, (schema.send.c.attempt, schema.send.c.number)),
        (schema.transition, schema.transition.c.payment_id, (schema.transition.c.id,)),
        (schema.journal, schema.journal.c.subject, (schema.journal.c.id,)),
    )
    attempts, sends, transitions, decisions = (
        [dict(row) for row in tx.conn.execute(select(table).where(name == payment.id).order_by(*order)).mappings()]
        for table, name, order in tables
    )
    contradictions = [row["detail"] or "" for row in transitions if row["trigger"] == Trigger.CONTRADICTION.value]
    replaced_by = tx.conn.execute(
        select(schema.payment.c.id).where(schema.payment.c.replaces == payment.id)
    ).scalar_one_or_none()
    return Story(payment, attempts, sends, transitions, decisions, contradictions, replaced_by)


def listed(tx: Tx, *, states: Sequence[str], account: str | None, limit: int) -> list[Payment]:
    """The newest payments, of some states or an account where given."""
    statement = select(*payment_columns)
    if states:
        statement = statement.where(schema.payment.c.state.in_(states))
    if account:
        statement = statement.where(schema.payment.c.account == account)
    statement = statement.order_by(schema.payment.c.state_since_ms.desc()).limit(limit)
    return [payment_from(row) for row in tx.conn.execute(statement)]
