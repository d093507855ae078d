"""Which entries of the jobs stream a restored ledger has yet to read again: the tide that must be there comes in, the range goes out. Changes nothing.

What came before may have been answered by the ledger that was lost. Until it is read again, together with what was told of it, no door
takes it in: a job that was told as rejected would become a payment (money-review I5).
"""

from dataclasses import dataclass

from sqlalchemy import text

from momo_worker.ledger.engine import Tx
from momo_worker.payment.after_restore import stream_id

_OPEN = text(
    "SELECT i.tide, r.jobs_from, r.jobs_until FROM installation AS i "
    "LEFT JOIN recovery AS r ON r.is_open = 1 AND r.jobs_done_at_ms IS NULL"
)


@dataclass(frozen=True, slots=True)
class Unread:
    """Entries after the first id, up to and with the second; None: whatever there is."""

    after: str
    until: str | None

    def has(self, entry_id: str) -> bool:
        """Whether this entry is among them."""
        at = stream_id(entry_id)
        return at > stream_id(self.after) and (self.until is None or at <= stream_id(self.until))


def unread(tx: Tx, least: int) -> Unread | None:
    """What is to be read again, None where nothing is. Of a restore that nobody has noticed yet, it is everything.

    `least` is the tidemark's, asked before this transaction.
    """
    tide, after, until = tx.conn.execute(_OPEN).one()
    if tide < least:
        return Unread("0-0", None)
    return None if after is None else Unread(after, until)
