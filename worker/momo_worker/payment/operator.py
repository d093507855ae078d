"""What a person may do to a payment: the payment and what stands beside it come in, the change or the reason against it goes out.

Pure; never asks a clock. Nobody hurts by haste: whatever isn't proven is refused, with why and what to do instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from momo_worker.payment.backoff import queue_of
from momo_worker.payment.deciding import ended, is_final, let_go, moved
from momo_worker.payment.events import rfc3339
from momo_worker.payment.payment import Change, Payment, Send, Work
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import SendAnswer

CANCELLED_CODE = "CANCELLED"


@dataclass(frozen=True, slots=True)
class NotPermitted:
    """Why it can't be done, and what to do instead."""

    why: str
    advice: str
    #: Whether it passes by itself in some minutes.
    passes: bool = False


@dataclass(frozen=True, slots=True)
class By:
    """Who decides, and why: kept with the transition and in the journal."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a decision rests on beside the payment itself."""

    #: Of all attempts.
    sends: Sequence[Send] = ()
    #: What MTN said against what was held for settled, on any attempt.
    contradictions: Sequence[str] = ()
    #: The payment that `replaces` this one.
    successor: str | None = None
    #: What made the last attempt failed, where it is.
    closed_by: Trigger | None = None
    #: Another payment of the same operation, number and amount, of about then or later, that didn't end unpaid.
    alike: str | None = None

    def sends_of(self, attempt: int) -> list[Send]:
        """The sends of one attempt."""
        return [send for send in self.sends if send.attempt == attempt]


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
                f"is held ({cause_of(payment)}) and was sent before, so money may have moved",
                "look at it with `momo payment show`, and compare with MTN's statement",
            )
        # A restored ledger may have no send of what the lost one paid.
        if payment.acknowledged_at_ms is not None or payment.held_cause not in _CANCELLABLE:
            return NotPermitted(
                f"is held ({cause_of(payment)}), and MTN has something under its reference, so money may have moved",
                "compare with MTN's statement, and end it with `momo payment resolve`",
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


#: A desk for these causes says nothing of money at MTN; for the others MTN has, or had, something under the reference.
_RELEASABLE = frozenset({HeldCause.SUSPECT_DUPLICATE, HeldCause.RECOVERY, HeldCause.CRASHES})
#: What was tampered with is never sent, and so may be given up.
_CANCELLABLE = _RELEASABLE | {HeldCause.TAMPERED}


def cause_of(payment: Payment) -> str:
    return payment.held_cause.value if payment.held_cause else "no cause"


# ---- retry: a new reference needs a proven failure (M8) --------------------------------------------------------------

#: What proves the last attempt failed: MTN's own word; a person's `resolve`; or that nothing of it has moved.
_PROVES_FAILURE = frozenset(
    {
        Trigger.FOUND_FAILED,
        Trigger.REFUSAL_CONFIRMED,
        Trigger.RESOLVED,
        Trigger.RETRY_CANCELLED,
        Trigger.EXPIRED,
    }
)
#: These say nothing of a send whose fate isn't known.
_NOT_OF_UNKNOWN_SENDS = frozenset({Trigger.REFUSAL_CONFIRMED, Trigger.RETRY_CANCELLED, Trigger.EXPIRED})
_FOLLOW = "follow it with `momo payment show`; only a proven failure may be tried again"
_AGAINST_RETRY: dict[State, tuple[str, str]] = {
    State.ACCEPTED: ("waits to be sent already", "wait for its outcome, or cancel it"),
    State.SENDING: ("is being sent at this moment", _FOLLOW),
    State.UNKNOWN: ("may have been paid: the fate of its last send isn't known", _FOLLOW),
    State.PENDING: ("is at MTN, which has not ended it yet", _FOLLOW),
    State.HELD: ("lies on a person's desk, and may have been paid", "end it first: `momo payment resolve`"),
    State.SUCCESSFUL: ("is paid", "there is nothing to try again"),
    State.CANCELLED: (
        "was cancelled before anything was sent, which is final",
        "send a new job under a key of its own",
    ),
}


@dataclass(frozen=True, slots=True)
class Retry:
    """What a person asks for with a retry."""

    by: By
    #: The next attempt's reference, derived (M2).
    reference_id: str
    #: A new `not_after`, where the old one has passed.
    until_ms: int | None = None
    #: The attempt that the person saw failed: if another failed since, somebody else was faster.
    seen_attempt: int | None = None
    #: The producer was asked, and doesn't pay this another way.
    producer_knows: bool = False


def retry(payment: Payment, standing: Standing, now_ms: int, asked: Retry, rules: Rules) -> Change | NotPermitted:
    """The next attempt, if the last is proven failed; everything that belonged to the last begins anew."""
    against = (
        _against_retrying(payment, standing, asked, rules)
        or _against_paying_twice(standing, asked)
        or _too_late(payment, now_ms, asked.until_ms)
    )
    if against is not None:
        return against
    after = _as_never_sent(payment, now_ms, asked.until_ms).but(
        attempt=payment.attempt + 1,
        reference_id=asked.reference_id,
        financial_transaction_id=None,
        first_send_at_ms=None,
        could_have_left_at_ms=None,
        acknowledged_at_ms=None,
        sends=0,
        not_now_count=0,
        looks=0,
        not_found_count=0,
        not_found_first_at_ms=None,
        not_found_last_at_ms=None,
        hinted_at_ms=None,
    )
    detail = f"attempt {after.attempt} asked for by {asked.by.actor}: {asked.by.reason}"
    return Change(payment, after, Trigger.RETRIED, detail=detail, actor=asked.by.actor)


def _against_retrying(payment: Payment, standing: Standing, asked: Retry, rules: Rules) -> NotPermitted | None:
    if payment.state is not State.FAILED:
        what, advice = _AGAINST_RETRY[payment.state]
        return NotPermitted(f"is {payment.state.value}: attempt {payment.attempt} {what}", advice)
    if asked.seen_attempt is not None and asked.seen_attempt != payment.attempt:
        return NotPermitted(
            f"was retried meanwhile: attempt {payment.attempt} has failed, and you had seen attempt {asked.seen_attempt}",
            "look at it again with `momo payment show`, and decide anew",
        )
    unknown = [send for send in standing.sends_of(payment.attempt) if send.fate_unknown]
    unproven = standing.closed_by not in _PROVES_FAILURE or (standing.closed_by in _NOT_OF_UNKNOWN_SENDS and unknown)
    if unproven:
        return NotPermitted(
            f"is failed, but nothing on record proves it of attempt {payment.attempt}",
            "compare with MTN's statement; this ledger wasn't written by this program alone",
        )
    if payment.attempt >= rules.attempts_max:
        return NotPermitted(
            f"has had {payment.attempt} attempts, and {rules.attempts_max} are the most",
            "find out why they fail; then send a new job that `replaces` this one",
        )
    return None


def _against_paying_twice(standing: Standing, asked: Retry) -> NotPermitted | None:
    against = _contradicted(standing) or _replaced(standing)
    if against is None and standing.alike is not None and not asked.producer_knows:
        return NotPermitted(
            f"has a look-alike: payment {standing.alike}, of about then or later, has the same operation, number and amount",
            "ask whoever sent it whether that one pays the same; if it doesn't, say so with --producer-knows",
        )
    return against


def _contradicted(standing: Standing) -> NotPermitted | None:
    if not standing.contradictions:
        return None
    return NotPermitted(
        f"was contradicted by MTN: {standing.contradictions[-1]}",
        "no further attempt is made; compare with MTN's statement whether it was paid",
    )


def _replaced(standing: Standing) -> NotPermitted | None:
    if standing.successor is None:
        return None
    return NotPermitted(
        f"was replaced by payment {standing.successor}", "follow that one; both together would pay twice"
    )


def _too_late(payment: Payment, now_ms: int, until_ms: int | None) -> NotPermitted | None:
    """After `not_after` nothing is sent, and it would expire at once."""
    if until_ms is not None:
        if until_ms > now_ms:
            return None
        return NotPermitted(f"can't be sent until {rfc3339(until_ms)}: that has passed", "give a later --until")
    if payment.not_after_ms > now_ms:
        return None
    return NotPermitted(
        f"was to be sent before {rfc3339(payment.not_after_ms)}, which has passed",
        "if it is still wanted, say until when with --until",
    )


def _as_never_sent(payment: Payment, now_ms: int, until_ms: int | None) -> Payment:
    """Accepted, due to be sent as soon as its job allows."""
    return moved(let_go(payment), State.ACCEPTED, now_ms).but(
        work=Work.SEND,
        queue=queue_of(payment),
        due_at_ms=max(now_ms, payment.not_before_ms or 0),
        hint_at_ms=None,
        not_after_ms=payment.not_after_ms if until_ms is None else until_ms,
    )


# ---- release: from a desk back to be sent, where nothing was -----------------------------------------------------------


def release(
    payment: Payment, standing: Standing, now_ms: int, by: By, until_ms: int | None = None
) -> Change | NotPermitted:
    """Accepted again, if no send of the attempt was ever begun: then it is certain that nothing of it is at MTN."""
    against = against_releasing(payment, standing) or _too_late(payment, now_ms, until_ms)
    if against is not None:
        return against
    detail = f"released by {by.actor}: {by.reason}"
    after = _as_never_sent(payment, now_ms, until_ms)
    return Change(payment, after, Trigger.RELEASED_BY_PERSON, detail=detail, actor=by.actor)


def against_releasing(payment: Payment, standing: Standing) -> NotPermitted | None:
    """Why what lies on the desk may not be sent after all, however many are let go at once."""
    return _may_be_at_mtn(payment, standing) or _contradicted(standing) or _replaced(standing)


def _may_be_at_mtn(payment: Payment, standing: Standing) -> NotPermitted | None:
    if payment.state is not State.HELD:
        return NotPermitted(
            f"is {payment.state.value}, and only what is held is released", "follow it with `momo payment show`"
        )
    sends = standing.sends_of(payment.attempt)
    if sends or payment.acknowledged_at_ms is not None:
        return NotPermitted(
            f"is held ({cause_of(payment)}) and was sent {len(sends)} times, so money may have moved",
            "it is looked up on; end it with `momo payment resolve`",
        )
    if payment.held_cause not in _RELEASABLE:
        return NotPermitted(
            f"is held ({cause_of(payment)}), so MTN has something under its reference though nothing of it was sent",
            "compare with MTN's statement, and end it with `momo payment resolve`",
        )
    return None
