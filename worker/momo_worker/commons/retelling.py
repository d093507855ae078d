"""What a restored ledger told under its old epoch is told once more under the new one: a recovery comes in, events due for the relay go out."""

from momo_worker.commons.parts import Parts
from momo_worker.ledger import outbox
from momo_worker.ledger.recovery import Recovery

_PIECE = 200


def tell_again(parts: Parts, found: Recovery) -> None:
    """Put the newest events of older epochs under this recovery's. Its search is over; may be done again.

    Whoever recorded an outcome after the ledger was swapped under it, and before the epoch rose, was heard by nobody. And of a payment
    that stands as it was, the lost ledger may have told more than this one will ever know.
    """
    with parts.ledger.read() as tx:
        stale = outbox.of_older_epoch(tx, _told_since(found), found.id, found.epoch)
    for at in range(0, len(stale), _PIECE):
        with parts.ledger.write() as tx:
            outbox.raise_epoch(tx, parts.namespace, stale[at : at + _PIECE], found.epoch)


def _told_since(found: Recovery) -> int:
    """From when on the restored ledger may have told something under its old epoch."""
    if found.lost_from_ms is not None:
        return found.lost_from_ms
    return 0 if found.tide_found == 0 else found.began_at_ms
