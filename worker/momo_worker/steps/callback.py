"""A callback's reference comes in; the payment's next look comes forward, nothing else (M11). Believes nothing and writes no state."""

from momo_worker.commons.parts import Parts
from momo_worker.ledger import moves
from momo_worker.payment.payment import Work
from momo_worker.payment.transitions import FINAL_STATES


def hint(parts: Parts, reference: str) -> bool:
    """A callback's only effect: the next look comes forward, at most one extra in ten seconds and none for a final payment (M11)."""
    with parts.ledger.write() as tx:
        found = moves.owner_of(tx, reference)
        payment = moves.lock(tx, [found]).get(found) if found else None
        if payment is None or payment.state in FINAL_STATES:
            return False
        if payment.hinted_at_ms is not None and tx.now_ms - payment.hinted_at_ms < parts.rules.hint_apart_ms:
            return False
        hinted = payment.but(hint_at_ms=tx.now_ms, hinted_at_ms=tx.now_ms)
        if payment.work is Work.LOOK and payment.due_at_ms is not None:
            hinted = hinted.but(due_at_ms=min(payment.due_at_ms, tx.now_ms))
        moves.write_payments(tx, [(payment, hinted)])
    return True
