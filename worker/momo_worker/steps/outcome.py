"""Reports become outcomes: what MTN answered comes in, is decided under lock and recorded. The only room that ends a payment.

A failure to record is never an answer: the send stays without an ending, the look is made again.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import structlog

from momo_worker.commons import gatekeeping, noticing, recording
from momo_worker.commons.parts import Parts
from momo_worker.ledger import moves, recovery, stops
from momo_worker.ledger.engine import LEDGER_FAILURES, Tx
from momo_worker.ledger.late import Late
from momo_worker.payment import after_look, after_send
from momo_worker.payment.deciding import due_look, let_go
from momo_worker.payment.payment import Attempt, Change, Payment, Product, Send
from momo_worker.payment.rules import MINUTE
from momo_worker.payment.transitions import State, Trigger
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, SendAnswer, SendVerdict

log = structlog.get_logger(__name__)

Report = TypeVar("Report", after_send.SendReport, after_look.LookReport)


def record_sends(parts: Parts, reports: Sequence[after_send.SendReport]) -> None:
    """Record answers to POSTs, as a batch and, when the batch's transaction fails, one by one."""
    _record(parts, reports, _record_send_batch)


def record_looks(parts: Parts, reports: Sequence[after_look.LookReport]) -> None:
    """Record what MTN said when it was asked, likewise."""
    _record(parts, reports, _record_look_batch)


def _record(parts: Parts, reports: Sequence[Report], write: Callable[[Parts, Sequence[Report]], None]) -> None:
    try:
        write(parts, reports)
        return
    except (moves.MoveLostError, *LEDGER_FAILURES):
        if len(reports) == 1:
            log.exception(
                "an answer could not be recorded; the payment is looked up",
                payment_id=reports[0].payment_id,
                action="lost_word",
            )
            return
        log.warning("a batch of answers could not be recorded; recording one by one", count=len(reports))
    for report in reports:
        _record(parts, [report], write)


def _record_send_batch(parts: Parts, reports: Sequence[after_send.SendReport]) -> None:
    with parts.ledger.write() as tx:
        payments = moves.lock(tx, [report.payment_id for report in reports])
        lost = _lost_claim(payments, reports)
        reports = _of_known(payments, reports)
        sends = moves.sends_of(tx, list(payments))
        moves.add_attempts(tx, _lost_attempts(tx, payments, reports, sends))
        told: list[recording.Told] = []
        closed: list[gatekeeping.Closed | None] = []
        for (account, product), group in _by_product(payments, reports).items():
            changes, shut = _decide(tx, parts, account, product, group, payments, sends)
            told += recording.conclude(tx, parts, changes)
            closed.append(shut)
    recording.tell(parts, told)
    gatekeeping.tell_closed(closed)
    if lost is not None:
        noticing.begin_for_lost_claim(parts, lost.payment_id, lost.began_at_ms)
    _slow_sends(parts, payments, reports)


def _lost_claim(payments: dict[str, Payment], reports: Sequence[Report]) -> Report | None:
    """The last answer to a claim that this process committed, and of which the ledger knows nothing: a fence never goes back."""
    lost = [
        report
        for report in reports
        if report.payment_id not in payments or payments[report.payment_id].fence < report.fence
    ]
    return max(lost, key=lambda report: report.began_at_ms, default=None)


def _lost_attempts(
    tx: Tx, payments: dict[str, Payment], reports: Sequence[after_send.SendReport], sends: dict[str, list[Send]]
) -> list[Attempt]:
    """Attempts that MTN has and this ledger, restored under the call, has not: as they were sent, or nobody could ask about them."""
    heard = [
        (payments[report.payment_id].but(attempt=report.attempt), report.request)
        for report in reports
        if report.verdict.answer is SendAnswer.ACCEPTED
        and all((send.attempt, send.fence) != (report.attempt, report.fence) for send in sends[report.payment_id])
    ]
    stored = moves.attempts_of(tx, [payment.id for payment, _ in heard])
    lost = {
        payment.id: Attempt.of(payment, request, tx.now_ms)
        for payment, request in heard
        if request is not None and (payment.id, payment.attempt) not in stored
    }
    return list(lost.values())


def _of_known(payments: dict[str, Payment], reports: Sequence[Report]) -> list[Report]:
    """Those whose payment this ledger holds. It was restored under the call where it doesn't, and the recovery will ask MTN."""
    for report in reports:
        if report.payment_id not in payments:
            _tell_unknown(report.payment_id, report.attempt)
    return [report for report in reports if report.payment_id in payments]


def _tell_unknown(payment_id: str, attempt: int) -> None:
    log.error(
        "an answer came for a payment that this ledger doesn't hold; was it restored?",
        payment_id=payment_id,
        attempt=attempt,
        action="lost_word",
    )


def _by_product(
    payments: dict[str, Payment], reports: Sequence[after_send.SendReport]
) -> dict[tuple[str, Product], list[after_send.SendReport]]:
    groups: dict[tuple[str, Product], list[after_send.SendReport]] = defaultdict(list)
    for report in reports:
        payment = payments[report.payment_id]
        groups[payment.account, payment.product].append(report)
    # In one order, since each product's gate is locked: two workers must not wait for each other's.
    return dict(sorted(groups.items()))


def _decide(
    tx: Tx,
    parts: Parts,
    account: str,
    product: Product,
    reports: Sequence[after_send.SendReport],
    payments: dict[str, Payment],
    sends: dict[str, list[Send]],
) -> tuple[list[Change], gatekeeping.Closed | None]:
    verdicts = [report.verdict for report in reports]
    before = gatekeeping.bad_requests_before(tx, account, product, verdicts)
    verdicts, streak = gatekeeping.speaks_of_us(verdicts, before, parts.rules.bad_requests_in_a_row)
    changes: list[Change] = []
    endings: list[Send] = []
    heard: list[gatekeeping.Heard] = []
    adopting = _adopting(tx, parts, verdicts)
    for report, verdict in zip(reports, verdicts, strict=True):
        judged = report if verdict is report.verdict else replace(report, verdict=verdict)
        payment = payments[report.payment_id]
        ending = after_send.ended_send(judged, tx.now_ms, unbroken=after_send.unbroken(payment, judged, tx.now_ms))
        endings.append(ending)
        current = [
            ending if (send.number, send.fence) == (report.number, report.fence) else send
            for send in sends[payment.id]
            if send.attempt == report.attempt
        ]
        change = after_send.decide(
            payment,
            current,
            judged,
            now_ms=tx.now_ms,
            rules=parts.rules,
            rng=parts.rng,
            adopting=adopting is not None,
        )
        changes.append(change)
        if adopting is not None and change.trigger is Trigger.ADOPTED:
            recovery.look_for_anew(tx, adopting.id, payment.id)
        accepted = verdict.answer is SendAnswer.ACCEPTED and not verdict.conflict
        heard.append(
            gatekeeping.Heard(
                payment.id, verdict.cause, verdict.code or verdict.message, accepted, _named_wait_seconds(verdict)
            )
        )
    moves.end_sends(tx, endings)
    return changes, gatekeeping.keep_gate(tx, parts, account, product, heard, streak)


def _adopting(tx: Tx, parts: Parts, verdicts: Sequence[SendVerdict]) -> recovery.Recovery | None:
    """The recovery whose lost ledger may have used these references (M6): the last one, while its jobs may still come again."""
    if not any(verdict.conflict for verdict in verdicts):
        return None
    return recovery.lately(tx, within_ms=parts.rules.recovery_adopt_ms)


def _slow_sends(parts: Parts, payments: dict[str, Payment], reports: Sequence[after_send.SendReport]) -> None:
    """A 429 or a quota 403 slows the product's pace for the time it names."""
    for report in reports:
        if report.verdict.cause is Cause.THROTTLED:
            payment = payments[report.payment_id]
            parts.slots.slow(
                parts.accounts[payment.account], payment.product, report.verdict.retry_after_seconds or 1.0, look=False
            )


def _record_look_batch(parts: Parts, reports: Sequence[after_look.LookReport]) -> None:
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payments = moves.lock(tx, [report.payment_id for report in reports])
        lost = _lost_claim(payments, reports)
        reports = _of_known(payments, reports)
        # Only a search needs the sends: what MTN has found or is still pending doesn't.
        searched = [payment.id for payment in payments.values() if payment.state is State.UNKNOWN]
        sends = moves.sends_of(tx, searched)
        changes: list[Change] = []
        heard: dict[tuple[str, Product], list[gatekeeping.Heard]] = defaultdict(list)
        for report in reports:
            payment = payments[report.payment_id]
            current = [send for send in sends.get(payment.id, ()) if send.attempt == payment.attempt]
            changes.append(
                after_look.decide(payment, current, report, now_ms=tx.now_ms, rules=parts.rules, rng=parts.rng)
            )
            heard[payment.account, payment.product].append(_heard(payment.id, report.verdict))
        if any(_fails(change) for change in changes):
            too_soon = _too_soon_to_fail(tx, least)
            changes = [
                _asked_again(change, report, None if too_soon else tx.now_ms + MINUTE)
                if _fails(change) and (too_soon or _may_have_been_retried(tx, parts, change))
                else change
                for change, report in zip(changes, reports, strict=True)
            ]
        told = recording.conclude(tx, parts, changes)
        closed = [gatekeeping.keep_gate(tx, parts, *where, group, None) for where, group in sorted(heard.items())]
    recording.tell(parts, told)
    gatekeeping.tell_closed(closed)
    if lost is not None:
        noticing.begin_for_lost_claim(parts, lost.payment_id, lost.began_at_ms)
    for report in reports:
        payment = payments[report.payment_id]
        _slow_looks(parts, payment.account, payment.product, report.verdict)


def _fails(change: Change) -> bool:
    return change.after.state is State.FAILED and change.before.state is not State.FAILED


def _too_soon_to_fail(tx: Tx, least: int) -> bool:
    """Whether a restored ledger's payments are looked for, or nobody has noticed that it was restored: no failure is told then.

    The look was claimed before: by then the lost ledger may have paid a later attempt, and a producer who hears of a failure pays anew.
    """
    return stops.searching(tx) or noticing.unnoticed(tx, least)


def _may_have_been_retried(tx: Tx, parts: Parts, change: Change) -> bool:
    """Whether its search is still open, or was given up unasked and is opened again: the lost ledger may have told of a later attempt's success."""
    return recovery.ask_first(tx, change.before.id, within_ms=parts.rules.recovery_adopt_ms, since_ms=tx.now_ms)


def _asked_again(change: Change, report: after_look.LookReport, at_ms: int | None) -> Change:
    """As if nothing was heard: the search asks, and after it the next look, at `at_ms` where nothing else holds it back.

    Another's claim, of the ledger that came back, stays.
    """
    payment = change.before
    if payment.fence != report.fence:
        return Change(payment, payment)
    free = let_go(payment).but(hint_at_ms=after_look.hint_left(payment, report))
    return Change(payment, free if at_ms is None else due_look(free, at_ms, payment.queue))


def _heard(payment_id: str, verdict: LookVerdict) -> gatekeeping.Heard:
    return gatekeeping.Heard(payment_id, verdict.cause, verdict.reason_code, wait_seconds=_named_wait_seconds(verdict))


def _named_wait_seconds(verdict: SendVerdict | LookVerdict) -> float:
    return (verdict.retry_after_seconds or 0.0) if verdict.cause is Cause.THROTTLED else 0.0


def _slow_looks(parts: Parts, account: str, product: Product, verdict: LookVerdict) -> None:
    if verdict.cause is Cause.THROTTLED:
        parts.slots.slow(parts.accounts[account], product, verdict.retry_after_seconds or 1.0, look=True)


def record_late(parts: Parts, late: Late, verdict: LookVerdict) -> None:
    """Record a late look at a closed attempt: silence when MTN agrees, a contradiction when it doesn't."""
    if verdict.answer is LookAnswer.NO_WORD:
        return  # its time was moved forward by the claim, so it comes again
    attempt = late.attempt
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [attempt.payment_id]).get(attempt.payment_id)
        if payment is None:
            _tell_unknown(attempt.payment_id, attempt.number)
            return
        report = after_look.LookReport(payment.id, attempt.number, payment.fence, tx.now_ms, verdict)
        change = _after_late_look(tx, parts, payment, attempt, report)
        if _fails(change) and (_too_soon_to_fail(tx, least) or _may_have_been_retried(tx, parts, change)):
            return
        told = recording.conclude(tx, parts, [change] if change.trigger else [])
        delays = parts.rules.late_looks_ms
        done = bool(told) or late.looks + 1 >= len(delays)
        next_at = None if done else tx.now_ms + delays[late.looks + 1]
        moves.follow_late(tx, attempt.payment_id, attempt.number, next_at, late.looks + 1)
    recording.tell(parts, told)


def _after_late_look(tx: Tx, parts: Parts, payment: Payment, attempt: Attempt, report: after_look.LookReport) -> Change:
    if attempt.reference_id != payment.reference_id:
        return after_look.decide_closed(payment, report, now_ms=tx.now_ms, rules=parts.rules, rng=parts.rng)
    # A person may have said that an earlier attempt is the one that was paid: then that is the payment's.
    ours = replace(report, attempt=payment.attempt)
    return after_look.decide(payment, (), ours, now_ms=tx.now_ms, rules=parts.rules, rng=parts.rng)
