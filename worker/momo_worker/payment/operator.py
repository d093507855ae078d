"""What a person may do to a payment: the payment and its sends come in, the change or the reason against it goes out. Pure; never asks a clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from momo_worker.payment.deciding import ended, is_final
from momo_worker.payment.payment import Change, Payment, Send
from momo_worker.payment.transitions import State, Trigger
from momo_worker.payment.verdict import SendAnswer

CANCELLED_CODE = "CANCELLED"


@dataclass(frozen=True, slots=True)
class NotPermitted:
    """Why it can't be done, and what to do instead."""

    why: str
    advice: str


def cancel(payment: Payment, sends: Sequence[Send], now_ms: int, *, actor: str, reason: str) -> Change | NotPermitted:
    """Cancelled, if it is certain that nothing of this attempt has moved: each of its sends ended "not now", or there was none.

    `sends` are those of all attempts. A retry that is cancelled leaves the payment as failed as it was before.
    """
    against = _against_cancelling(payment, sends)
    if against is not None:
        return against
    detail = f"cancelled by {actor}: {reason}"
    if payment.attempt > 1:
        code, message = payment.reason_code or CANCELLED_CODE, payment.reason_message or detail
        after = ended(payment, State.FAILED, now_ms, code, message)
        return Change(payment, after, Trigger.RETRY_CANCELLED, detail=detail, actor=actor)
    after = ended(payment, State.CANCELLED, now_ms, CANCELLED_CODE, detail)
    return Change(payment, after, Trigger.CANCELLED, detail=detail, actor=actor)


def _against_cancelling(payment: Payment, sends: Sequence[Send]) -> NotPermitted | None:
    if is_final(payment):
        return NotPermitted(f"is {payment.state.value}, which is final", "there is nothing left to cancel")
    if payment.state is State.HELD:
        if sends or payment.attempt > 1:
            return NotPermitted(
                f"is held ({_cause(payment)}) and was sent before, so money may have moved",
                "look at it with `momo payment show`, and compare with MTN's statement",
            )
        return None
    if payment.state is not State.ACCEPTED:
        return NotPermitted(
            f"is {payment.state.value}: it was sent, and only MTN can end it", "follow it with `momo payment show`"
        )
    doubtful = [send for send in sends if send.attempt == payment.attempt and send.ending is not SendAnswer.NOT_NOW]
    if doubtful:
        return NotPermitted(
            f"was sent, and send {doubtful[0].number} didn't end as refused for now, so money may have moved",
            "wait until it is looked up; follow it with `momo payment show`",
        )
    return None


def _cause(payment: Payment) -> str:
    return payment.held_cause.value if payment.held_cause else "no cause"
