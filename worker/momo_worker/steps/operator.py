"""A person's decision about one payment becomes a fact, or is refused: an id comes in, what it is now goes out. Sends nothing."""

from dataclasses import dataclass

from momo_worker.commons import recording
from momo_worker.commons.parts import Parts
from momo_worker.ledger import moves, stops
from momo_worker.payment import operator
from momo_worker.payment.operator import NotPermitted
from momo_worker.payment.payment import Payment


@dataclass(frozen=True, slots=True)
class Decided:
    """The payment as it is now, and why nothing was done where it wasn't."""

    payment: Payment
    refused: NotPermitted | None = None


def cancel(parts: Parts, payment_id: str, *, actor: str, reason: str) -> Decided | None:
    """Cancel under the payment's lock; returns after the commit, None where there is no such payment.

    A worker that claims at the same moment takes the same lock: one of the two is first, and the other finds the state moved.
    """
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id]).get(payment_id)
        if payment is None:
            return None
        change = operator.cancel(
            payment, moves.sends_of(tx, [payment_id])[payment_id], tx.now_ms, actor=actor, reason=reason
        )
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        told = recording.conclude(tx, parts, [change])
        stops.journal(tx, actor=actor, action="cancel", subject=payment_id, reason=reason)
    recording.tell(parts, told)
    return Decided(told[0].change.after)
