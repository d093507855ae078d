"""What a POST's answer makes of a payment: payment, sends and verdict come in, a Change goes out. Pure; never fails a payment (M4).

Evidence isn't symmetric: that MTN has it counts whoever brings it and whenever; that MTN has it not counts only under an unbroken lease.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from momo_worker.payment.after_restore import until_searched
from momo_worker.payment.backoff import about_us_delay_ms, jittered, named_wait_ms, not_now_delay_ms, queue_of
from momo_worker.payment.deciding import (
    acknowledged,
    contradicted_by_earlier,
    contradiction,
    due_look,
    is_final,
    let_go,
    look_for,
    moved,
    mtn_may_end,
    put_on_desk,
    search_anew,
)
from momo_worker.payment.payment import Change, Payment, Queue, Send, Work
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import Cause, RenderedRequest, SendAnswer, SendVerdict


@dataclass(frozen=True, slots=True)
class SendReport:
    """One POST that has come back: the row it belongs to and what became of it."""

    payment_id: str
    attempt: int
    number: int
    fence: int
    #: When the claim was made, by the ledger's clock.
    began_at_ms: int
    verdict: SendVerdict
    #: What was sent, from the store: a ledger that has lost the claim keeps it with the answer.
    request: RenderedRequest | None = field(default=None, repr=False)


def as_recorded(report: SendReport, *, unbroken: bool) -> SendAnswer:
    """The ending that the ledger keeps: what says "MTN has it not" is worth nothing once the lease was broken.

    A call that never left is known from our own flag, but under a broken lease another worker may have sent in the meantime;
    its own send row tells that, so "never left" stays true of this row.
    """
    if report.verdict.answer is SendAnswer.ACCEPTED or report.verdict.never_left or unbroken:
        return report.verdict.answer
    return SendAnswer.UNKNOWN


def ended_send(report: SendReport, now_ms: int, *, unbroken: bool) -> Send:
    """The send row of this answer, with its ending."""
    return Send(
        report.payment_id,
        report.attempt,
        report.number,
        report.fence,
        began_at_ms=now_ms,
        ended_at_ms=now_ms,
        ending=as_recorded(report, unbroken=unbroken),
        never_left=report.verdict.never_left,
        http_status=report.verdict.http_status,
        code=report.verdict.code,
    )


def unbroken(payment: Payment, report: SendReport, now_ms: int) -> bool:
    """Whether the claim under which this send was made still holds: only then does "MTN has it not" count."""
    return (
        payment.state is State.SENDING
        and payment.attempt == report.attempt
        and payment.fence == report.fence
        and payment.lease_until_ms is not None
        and now_ms < payment.lease_until_ms
    )


def decide(
    payment: Payment,
    sends: Sequence[Send],
    report: SendReport,
    *,
    now_ms: int,
    rules: Rules,
    rng: random.Random,
    adopting: bool = False,
) -> Change:
    """Decide on one answer. `sends` are all of the attempt, this one with its ending already set; `adopting` only in recovery."""
    verdict = report.verdict
    if verdict.answer is SendAnswer.ACCEPTED:
        if adopting and _uses_a_lost_send(payment, sends, report):
            # Later attempts are asked about before MTN's word on this one counts (money-review R6).
            found = until_searched(acknowledged(payment, now_ms, rules, rng))
            return Change(payment, found, Trigger.ADOPTED, detail=_said(verdict))
        return _after_acceptance(payment, sends, report, now_ms=now_ms, rules=rules, rng=rng, adopting=adopting)
    if not unbroken(payment, report, now_ms):
        # Somebody else decides about this payment now; the send row keeps what we saw.
        return Change(payment, _searched_from_now(payment, report, now_ms))
    if verdict.answer is SendAnswer.NOT_NOW:
        return _after_not_now(payment, sends, verdict, now_ms=now_ms, rules=rules, rng=rng)
    if verdict.answer is SendAnswer.REFUSED:
        searched = search_anew(moved(let_go(payment), State.UNKNOWN, now_ms), now_ms)
        after = searched.but(reason_code=verdict.code, reason_message=verdict.message)
        # A refusal may fail a payment only after a GET answered RESOURCE_NOT_FOUND, so the look comes at once.
        return Change(payment, due_look(after, now_ms), Trigger.REFUSED, detail=_said(verdict))
    after = search_anew(moved(let_go(payment), State.UNKNOWN, now_ms), now_ms)
    due_at = now_ms + jittered(rules.first_look_unknown_ms, rng)
    return Change(payment, look_for(after, due_at), Trigger.SEND_UNKNOWN, detail=_said(verdict))


def lease_over(payment: Payment, *, now_ms: int, rules: Rules, rng: random.Random) -> Change:
    """Rescue found a claim whose lease has ended without a word: its send has no ending, so its fate is unknown."""
    # The sleeper may still send up to the end of its lease: M1's check refuses it later than that. After a clock that jumped
    # forward the lease's end lies in the past, and the send may have left this very moment.
    unclaimed = moved(payment, State.UNKNOWN, now_ms).but(lease_until_ms=None, released_until_ms=None)
    after = search_anew(unclaimed, max(payment.lease_until_ms or 0, now_ms))
    return Change(payment, look_for(after, now_ms + jittered(rules.first_look_unknown_ms, rng)), Trigger.LEASE_OVER)


def _searched_from_now(payment: Payment, report: SendReport, now_ms: int) -> Payment:
    """A sleeper's send may have left after the looks that seemed to prove that it never came (money-review S5): they prove nothing."""
    if report.verdict.never_left or payment.attempt != report.attempt:
        return payment
    if payment.state is State.UNKNOWN and payment.work is Work.SEND:
        return look_for(search_anew(payment, now_ms), now_ms)
    if payment.state in (State.SENDING, State.UNKNOWN, State.HELD):
        return search_anew(payment, now_ms)
    return payment


def _after_acceptance(
    payment: Payment,
    sends: Sequence[Send],
    report: SendReport,
    *,
    now_ms: int,
    rules: Rules,
    rng: random.Random,
    adopting: bool,
) -> Change:
    verdict = report.verdict
    if payment.attempt != report.attempt:
        why = f"attempt {report.attempt} was accepted ({_said(verdict)}) after a later one had begun"
        return contradicted_by_earlier(payment, now_ms, rules, rng, why)
    twice = _accepted_before(sends, report)
    if twice is not None:
        return contradiction(
            payment, f"MTN accepted sends {twice} and {report.number} of one reference; it may have paid twice"
        )
    if is_final(payment):
        # A used reference is no news where MTN itself has spoken of it; elsewhere it is: somebody held that it never came.
        known = verdict.conflict and payment.acknowledged_at_ms is not None
        if payment.state is State.SUCCESSFUL or known:
            return Change(payment, payment)
        return contradiction(payment, f"MTN accepted the request ({_said(verdict)})")
    explained = any(send.number < report.number and send.may_use_reference for send in sends)
    if verdict.conflict and not explained and not adopting and payment.acknowledged_at_ms is None:
        why = "MTN says that this reference was used, but by this ledger nothing was sent under it"
        if payment.state is State.HELD and not mtn_may_end(payment):
            return Change(payment, let_go(payment))
        return put_on_desk(payment, HeldCause.REFERENCE_USED, now_ms, rules, rng, why)
    if payment.state is State.PENDING:
        return Change(payment, payment)
    if payment.state is State.HELD:
        # A person's desk is left by MTN's compared word only, so ask for it now.
        accepted = payment.but(acknowledged_at_ms=payment.acknowledged_at_ms or now_ms)
        return Change(payment, due_look(accepted, now_ms, Queue.RESCUE))
    return Change(payment, acknowledged(payment, now_ms, rules, rng), Trigger.ACKNOWLEDGED, detail=_said(verdict))


def _uses_a_lost_send(payment: Payment, sends: Sequence[Send], report: SendReport) -> bool:
    """A 409 that no send on record explains: after a restore, the send that used the reference was lost with the ledger's last hours."""
    return (
        report.verdict.conflict
        and payment.attempt == report.attempt
        and payment.acknowledged_at_ms is None
        and payment.state in (State.ACCEPTED, State.SENDING, State.UNKNOWN)
        and not any(send.number < report.number and send.may_use_reference for send in sends)
    )


def _accepted_before(sends: Sequence[Send], report: SendReport) -> int | None:
    """Another send of the attempt that was answered 202, where this one was, too: only a 409 is what a second one may get."""
    if report.verdict.conflict:
        return None
    return next(
        (
            send.number
            for send in sends
            if send.number != report.number
            and send.ending is SendAnswer.ACCEPTED
            and send.http_status == HTTPStatus.ACCEPTED
        ),
        None,
    )


def _after_not_now(
    payment: Payment, sends: Sequence[Send], verdict: SendVerdict, *, now_ms: int, rules: Rules, rng: random.Random
) -> Change:
    delay = not_now_delay_ms(payment.not_now_count, rules, rng)
    if verdict.cause is Cause.CONFIGURATION:
        delay = about_us_delay_ms(payment.not_now_count, rules, rng)
    if verdict.retry_after_seconds is not None:
        delay = max(delay, named_wait_ms(verdict.retry_after_seconds, rng))
    counted = let_go(payment).but(not_now_count=payment.not_now_count + 1)
    if not all(send.ending is SendAnswer.NOT_NOW for send in sends):
        after = look_for(moved(counted, State.UNKNOWN, now_ms), now_ms + delay)
        return Change(payment, after, Trigger.NOT_NOW, detail=_said(verdict))
    # Nothing was sent, so the hours in which an unknown send may be repeated haven't begun either (M5).
    back = moved(counted, State.ACCEPTED, now_ms).but(
        work=Work.SEND,
        queue=queue_of(payment),
        due_at_ms=now_ms + delay,
        first_send_at_ms=None,
    )
    return Change(payment, back, Trigger.NOT_NOW, detail=_said(verdict))


def _said(verdict: SendVerdict) -> str:
    parts = [verdict.answer.value, str(verdict.http_status or "-"), verdict.code or "-", verdict.cause.value]
    return " ".join(parts)
