"""What a recovery's search has found, summed up for who decides on the release: payments, money, jobs that still wait. Only reads."""

from dataclasses import dataclass

from sqlalchemy import text

from momo_worker.ledger.engine import Tx


@dataclass(frozen=True, slots=True)
class Tally:
    """Payments and money of a recovery's search, by what it found and where they stand now."""

    outcome: str | None
    state: str
    held_cause: str | None
    currency: str
    exponent: int
    payments: int
    amount_minor: int
    oldest_accepted_at_ms: int


def tallies(tx: Tx, recovery_id: int) -> list[Tally]:
    """Everything on the list of this recovery, summed up."""
    rows = tx.conn.execute(
        text(
            "SELECT s.outcome, p.state, p.held_cause, p.currency, max(p.exponent), count(*), sum(p.amount_minor), min(p.accepted_at_ms) "
            "FROM search AS s JOIN payment AS p ON p.id = s.payment_id WHERE s.recovery_id = :recovery "
            "GROUP BY s.outcome, p.state, p.held_cause, p.currency ORDER BY 1, 2, 3, 4"
        ),
        {"recovery": recovery_id},
    )
    return [Tally(row[0], row[1], row[2], row[3], row[4], int(row[5]), int(row[6]), row[7]) for row in rows]


def waiting_again(tx: Tx) -> int:
    """How many jobs that were read again wait for another payment."""
    return int(tx.conn.execute(text("SELECT count(*) FROM waiting_job WHERE door = 'recovery'")).scalar_one())
