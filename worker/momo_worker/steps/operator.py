"""A person's decision about one payment becomes a fact, or is refused: an id comes in, what it is now goes out. Sends nothing."""

from dataclasses import dataclass

from momo_worker.accounts import SameAgain
from momo_worker.commons import recording
from momo_worker.commons.parts import Parts
from momo_worker.ledger import desk, moves, stops
from momo_worker.ledger.engine import Tx
from momo_worker.payment import operator
from momo_worker.payment.operator import By, NotPermitted, Retry
from momo_worker.payment.payment import Change, Operation, Payment
from momo_worker.payment.reference import reference_id


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


def retry(
    parts: Parts,
    payment_id: str,
    *,
    by: By,
    until_ms: int | None = None,
    seen_attempt: int | None = None,
    producer_knows: bool = False,
) -> Decided | None:
    """Give a payment its next attempt (M8), under the payment's lock: of two who ask at once one is first, and the other is told.

    `seen_attempt` is the one that whoever asks saw failed. Nothing is sent here: the payment is due like any accepted one.
    """
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id]).get(payment_id)
        if payment is None:
            return None
        asked = Retry(by, _next_reference(parts, payment), until_ms, seen_attempt, producer_knows)
        standing = desk.standing_of(tx, payment, look_alikes=_minds_look_alikes(parts, payment))
        change = operator.retry(payment, standing, tx.now_ms, asked, parts.rules)
        if isinstance(change, Change):
            change = _counted_against_its_collection(tx, change)
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        told = recording.conclude(tx, parts, [change])
        _prolong(tx, change)
        stops.journal(tx, actor=by.actor, action="retry", subject=payment_id, reason=by.reason)
    recording.tell(parts, told)
    return Decided(told[0].change.after)


def _next_reference(parts: Parts, payment: Payment) -> str:
    key = (payment.account, payment.operation.value, payment.idempotency_key)
    return reference_id(parts.namespace, *key, payment.attempt + 1)


def _minds_look_alikes(parts: Parts, payment: Payment) -> bool:
    account = parts.accounts.get(payment.account)
    return account is None or account.same_again is not SameAgain.OFF


def _counted_against_its_collection(tx: Tx, change: Change) -> Change | NotPermitted:
    """A failed refund was taken off its collection, and is added again with its retry, if there is still room (M14)."""
    payment = change.before
    if payment.operation is not Operation.REFUND or payment.refund_of is None:
        return change
    if moves.change_refunded(tx, payment.refund_of, payment.amount_minor):
        return change
    return NotPermitted(
        f"is a refund of payment {payment.refund_of}, of which not enough is left to refund",
        "others have been refunded since; nothing more can be given back",
    )


def _prolong(tx: Tx, change: Change) -> None:
    if change.after.not_after_ms != change.before.not_after_ms:
        desk.prolong(tx, change.after.id, change.after.not_after_ms)
