"""Attempts that are closed and still followed (M8): which are due for a late look."""

from dataclasses import dataclass

from sqlalchemy import select, update

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.rows import attempt_columns, attempt_from
from momo_worker.payment.payment import Attempt


@dataclass(frozen=True, slots=True)
class Late:
    """A closed attempt that is due, and how often it was looked up since."""

    attempt: Attempt
    looks: int


def late_claimed(tx: Tx, *, limit: int, lease_ms: int) -> list[Late]:
    """Due attempts, their time moved forward by a lease so that no other process takes them too."""
    statement = (
        select(*attempt_columns, schema.attempt.c.late_looks)
        .where(schema.attempt.c.late_due_at_ms.is_not(None), schema.attempt.c.late_due_at_ms <= tx.now_ms)
        .order_by(schema.attempt.c.late_due_at_ms)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [Late(attempt_from(row[:-1]), row[-1]) for row in tx.conn.execute(statement)]
    for late in found:
        tx.conn.execute(
            update(schema.attempt)
            .where(
                schema.attempt.c.payment_id == late.attempt.payment_id, schema.attempt.c.number == late.attempt.number
            )
            .values(late_due_at_ms=tx.now_ms + lease_ms)
        )
    return found
