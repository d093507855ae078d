"""What a status read makes of a payment: payment, sends and verdict come in, a Change goes out. Pure.

Status decides, reason explains (M7); every 200 is compared with ours (M6); a 404 counts only under an unbroken lease (M4, M5).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from momo_worker.payment.backoff import jittered, look_delay_ms, named_wait_ms, wordless_delay_ms
from momo_worker.payment.deciding import (
    RESOLVED_CODE,
    acknowledged,
    contradicted_by_earlier,
    contradiction,
    due_look,
    ended,
    is_final,
    let_go,
    look_again,
    mtn_may_end,
    put_on_desk,
)
from momo_worker.payment.money import format_amount, same_amount
from momo_worker.payment.payment import Change, Payment, Queue, Send, Work
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import Cause, Facts, LookAnswer, LookVerdict, SendAnswer, Status

_NO_SLOT_DELAY_MS = 1_000
#: Where a look is claimed; a look's silence means nothing to a payment that is being sent.
_LOOKED_UP = frozenset({State.UNKNOWN, State.PENDING, State.HELD})


@dataclass(frozen=True, slots=True)
class LookReport:
    """One status read that has come back: whose it was, when it began, and what it said."""

    payment_id: str
    attempt: int
    fence: int
    began_at_ms: int
    verdict: LookVerdict


@dataclass(frozen=True, slots=True)
class _Moment:
    """What every branch needs."""

    report: LookReport
    now_ms: int
    rules: Rules
    rng: random.Random


def mismatch(payment: Payment, facts: Facts) -> str | None:
    """The first fact of a 200 that isn't ours, in words; None when every fact that is there is equal."""
    if facts.amount is not None and not same_amount(facts.amount, payment.amount_minor, payment.exponent):
        return f"amount is {facts.amount}, ours is {format_amount(payment.amount_minor, payment.exponent)}"
    if facts.currency is not None and facts.currency.strip().upper() != payment.currency:
        return f"currency is {facts.currency}, ours is {payment.currency}"
    if facts.party is not None and payment.msisdn is not None and facts.party.strip().lstrip("+") != payment.msisdn:
        return "the party is another number than ours"
    if facts.external_id is not None and facts.external_id.strip() != payment.external_id.strip():
        return "externalId is not ours"
    return None


def decide(
    payment: Payment, sends: Sequence[Send], report: LookReport, *, now_ms: int, rules: Rules, rng: random.Random
) -> Change:
    """Decide on one answer; `sends` are all of the current attempt."""
    moment = _Moment(report, now_ms, rules, rng)
    if payment.attempt != report.attempt:
        return _after_earlier_attempt(payment, moment)
    if report.verdict.answer is LookAnswer.FOUND:
        return _after_found(payment, moment)
    if not _unbroken(payment, moment):
        return Change(payment, payment)
    if report.verdict.cause is Cause.NOT_DEPARTED:
        # We held it back ourselves, for want of a slot: it wasn't a look, so nothing is counted and nothing backs off.
        soon = let_go(payment).but(due_at_ms=now_ms + jittered(_NO_SLOT_DELAY_MS, rng))
        return Change(payment, soon)
    payment_heard = payment.but(hint_at_ms=hint_left(payment, report))
    if report.verdict.answer is LookAnswer.NOT_FOUND:
        return _after_not_found(payment, payment_heard, sends, moment)
    if payment.state is State.UNKNOWN and _window_over(payment, now_ms, rules):
        why = "its fate isn't known, MTN says nothing about it, and no further send is allowed"
        return replace(put_on_desk(payment_heard, HeldCause.TOO_OLD, now_ms, rules, rng, why), before=payment)
    again = look_again(payment_heard, now_ms, rules, rng)
    if payment.state is State.UNKNOWN and again.due_at_ms is not None:
        # A search counts its looks half a minute apart; one that gets no word backs off like any other.
        again = again.but(due_at_ms=max(again.due_at_ms, now_ms + wordless_delay_ms(payment, rules, rng)))
    wait = report.verdict.retry_after_seconds
    if wait is not None and again.due_at_ms is not None:
        again = again.but(due_at_ms=max(again.due_at_ms, now_ms + named_wait_ms(wait, rng)))
    return Change(payment, again)


def decide_closed(payment: Payment, report: LookReport, *, now_ms: int, rules: Rules, rng: random.Random) -> Change:
    """Decide on one answer about an attempt that isn't the one the payment stands on (M8)."""
    return _after_earlier_attempt(payment, _Moment(report, now_ms, rules, rng))


def _window_over(payment: Payment, now_ms: int, rules: Rules) -> bool:
    """Past the hours in which the reference might have been sent again (M5)."""
    return now_ms - (payment.first_send_at_ms or payment.state_since_ms) >= rules.send_window_ms


def _unbroken(payment: Payment, moment: _Moment) -> bool:
    """Whether the claim under which this look was made still holds: only then does what MTN has not count (M4)."""
    return (
        payment.state in _LOOKED_UP
        and payment.fence == moment.report.fence
        and payment.lease_until_ms is not None
        and moment.now_ms < payment.lease_until_ms
    )


def hint_left(payment: Payment, report: LookReport) -> int | None:
    """A hint that came before this look began has been followed; one that came after is still to be."""
    if payment.hint_at_ms is not None and payment.hint_at_ms <= report.began_at_ms:
        return None
    return payment.hint_at_ms


def _after_earlier_attempt(payment: Payment, moment: _Moment) -> Change:
    verdict = moment.report.verdict
    if verdict.answer is LookAnswer.FOUND and verdict.status is not Status.FAILED:
        why = f"attempt {moment.report.attempt}, which was closed, is {verdict.raw_status} at MTN"
        return contradicted_by_earlier(payment, moment.now_ms, moment.rules, moment.rng, why)
    return Change(payment, payment)


def _after_found(payment: Payment, moment: _Moment) -> Change:
    verdict, now, rules, rng = moment.report.verdict, moment.now_ms, moment.rules, moment.rng
    wrong = mismatch(payment, verdict.facts)
    if is_final(payment):
        return _against_final(payment, moment, wrong)
    # The hint has been followed; kept, it would make a desk that is looked up hourly due at once, again and again.
    heard = payment.but(hint_at_ms=hint_left(payment, moment.report))
    if payment.state is State.ACCEPTED:
        # Only another attempt's or a stranger's payment can be found while ours was never sent.
        why = "found at MTN before it was sent"
        return replace(put_on_desk(heard, HeldCause.REFERENCE_USED, now, rules, rng, why), before=payment)
    if not mtn_may_end(payment):
        return Change(payment, look_again(heard, now, rules, rng))
    if wrong is not None:
        why = f"MTN's answer under our reference isn't our payment: {wrong}"
        return replace(put_on_desk(heard, HeldCause.MISMATCH, now, rules, rng, why), before=payment)
    if verdict.status is Status.SUCCESSFUL:
        after = ended(payment, State.SUCCESSFUL, now, None, None).but(
            financial_transaction_id=verdict.financial_transaction_id,
            acknowledged_at_ms=payment.acknowledged_at_ms or now,
        )
        return Change(payment, after, Trigger.FOUND_SUCCESSFUL)
    if verdict.status is Status.FAILED:
        code = verdict.reason_code or "UNSPECIFIED"
        after = ended(payment, State.FAILED, now, code, verdict.reason_message).but(
            acknowledged_at_ms=payment.acknowledged_at_ms or now,
        )
        return Change(payment, after, Trigger.FOUND_FAILED, detail=verdict.reason_code)
    return _after_pending(payment, moment)


def _after_pending(payment: Payment, moment: _Moment) -> Change:
    heard = payment.but(
        hint_at_ms=hint_left(payment, moment.report),
        not_found_count=0,
        not_found_first_at_ms=None,
        not_found_last_at_ms=None,
    )
    if payment.state is State.PENDING:
        return Change(payment, look_again(heard, moment.now_ms, moment.rules, moment.rng))
    after = acknowledged(heard, moment.now_ms, moment.rules, moment.rng)
    return Change(payment, after, Trigger.FOUND_PENDING, detail=moment.report.verdict.raw_status)


def _against_final(payment: Payment, moment: _Moment, wrong: str | None) -> Change:
    verdict = moment.report.verdict
    # Asked before it ended, and heard after: no news, where the end is MTN's own word.
    older = verdict.status is Status.PENDING and moment.report.began_at_ms < payment.state_since_ms
    if payment.state is State.SUCCESSFUL and wrong is None and (verdict.status is Status.SUCCESSFUL or older):
        return Change(payment, payment)
    if payment.state is State.FAILED:
        mtns_own = payment.acknowledged_at_ms is not None and payment.reason_code != RESOLVED_CODE
        if verdict.status is Status.FAILED or (older and mtns_own and wrong is None):
            return Change(payment, payment)
    return contradiction(
        payment, f"MTN says {verdict.raw_status or verdict.status}" + (f", and {wrong}" if wrong else "")
    )


def _after_not_found(payment: Payment, heard: Payment, sends: Sequence[Send], moment: _Moment) -> Change:
    if is_final(payment):
        return Change(payment, payment)
    counted = _counted(heard, moment)
    if payment.state is State.PENDING:
        return _after_vanishing(payment, counted, moment)
    if payment.state is not State.UNKNOWN:
        return Change(payment, look_again(counted, moment.now_ms, moment.rules, moment.rng))
    if _refused_for_good(sends):
        refusal = [send for send in sends if send.ending is SendAnswer.REFUSED][-1]
        after = ended(payment, State.FAILED, moment.now_ms, refusal.code or "REFUSED", payment.reason_message)
        return Change(payment, after, Trigger.REFUSAL_CONFIRMED, detail=refusal.code)
    return _after_search(payment, counted, sends, moment)


def _refused_for_good(sends: Sequence[Send]) -> bool:
    """Every send of the attempt has an ending, none was unknown, and MTN refused one of them (M4)."""
    return any(send.ending is SendAnswer.REFUSED for send in sends) and not any(send.fate_unknown for send in sends)


def _counted(payment: Payment, moment: _Moment) -> Payment:
    """Count this RESOURCE_NOT_FOUND if it began late enough after the last one and after any send could have left (M5)."""
    began = moment.report.began_at_ms
    if payment.could_have_left_at_ms is not None and began < payment.could_have_left_at_ms:
        return payment
    last = payment.not_found_last_at_ms
    if last is not None and began - last < moment.rules.not_found_apart_ms:
        return payment
    return payment.but(
        not_found_count=payment.not_found_count + 1,
        not_found_first_at_ms=payment.not_found_first_at_ms or began,
        not_found_last_at_ms=began,
    )


def _after_vanishing(payment: Payment, counted: Payment, moment: _Moment) -> Change:
    """404 after 202 or 409 is never final: visibility lag, or the wrong environment; after an hour of nothing else, a person."""
    rules = moment.rules
    first = counted.not_found_first_at_ms
    if (
        first is not None
        and moment.now_ms - first >= rules.vanished_after_ms
        and counted.not_found_count >= rules.not_found_needed
    ):
        why = "MTN accepted this payment and answers RESOURCE_NOT_FOUND since; check target environment and API user"
        return replace(put_on_desk(counted, HeldCause.VANISHED, moment.now_ms, rules, moment.rng, why), before=payment)
    return Change(payment, look_again(counted, moment.now_ms, rules, moment.rng))


def _after_search(payment: Payment, counted: Payment, sends: Sequence[Send], moment: _Moment) -> Change:
    rules, now = moment.rules, moment.now_ms
    proven = _proven_absent(counted, rules)
    first_send = counted.first_send_at_ms or counted.state_since_ms
    left = sum(1 for send in sends if send.left)
    if now - first_send >= rules.send_window_ms or (proven and left >= rules.sends_max):
        why = f"not found at MTN after {left} sends that may have left, and no further send is allowed"
        return replace(put_on_desk(counted, HeldCause.TOO_OLD, now, rules, moment.rng, why), before=payment)
    again = look_again(counted, now, rules, moment.rng)
    if not proven:
        return Change(payment, again)
    if now >= payment.not_after_ms:
        # Nothing is sent any more and nothing hangs on the next look: at the search's pace, three hundred such payments
        # would spend every status read there is for six hours.
        later = now + look_delay_ms(counted, now, rules, moment.rng)
        return Change(payment, due_look(again, later, payment.queue))
    # The same reference may be sent again; straight from unknown, never by way of accepted (money-review S4).
    return Change(payment, let_go(counted).but(work=Work.SEND, queue=Queue.RESCUE, due_at_ms=now))


def _proven_absent(payment: Payment, rules: Rules) -> bool:
    """Enough RESOURCE_NOT_FOUND, the last asked for when any send that could have left had had its grace (M5)."""
    last = payment.not_found_last_at_ms
    since = payment.could_have_left_at_ms or payment.state_since_ms
    return (
        payment.not_found_count >= rules.not_found_needed
        and last is not None
        and last - since >= rules.not_found_grace_ms
    )


def resend_permitted(payment: Payment, sends: Sequence[Send], now_ms: int, rules: Rules) -> bool:
    """Whether an unknown payment that is due to be sent may still be sent at this moment (asked again at the claim)."""
    last = payment.not_found_last_at_ms
    return (
        payment.state is State.UNKNOWN
        and payment.work is Work.SEND
        and _proven_absent(payment, rules)
        and last is not None
        and now_ms - last <= rules.permission_age_ms
        and now_ms - (payment.first_send_at_ms or now_ms) < rules.send_window_ms
        and now_ms < payment.not_after_ms
        and sum(1 for send in sends if send.left) < rules.sends_max
    )


def permission_lost(payment: Payment, now_ms: int) -> Payment:
    """Back to looking: the permission grew old (a pause, a closed gate) before it was used."""
    fresh = payment.but(not_found_count=0, not_found_first_at_ms=None, not_found_last_at_ms=None)
    return due_look(fresh, now_ms, Queue.RESCUE)
