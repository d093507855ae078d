"""What became of an ask: payments that have ended come in, what their payers still owe and when they are asked again goes out. Sends nothing.

A failed ask is tried again by M8's retry, which refuses while anything isn't proven; after a part was settled the rest is another ask.
"""

from dataclasses import dataclass
from typing import Any

import structlog

from momo_worker.commons import noticing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import desk, moves, prompts, runs, schedule_dues, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_dues import Due, Ended
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.events import rfc3339
from momo_worker.payment.money import format_amount
from momo_worker.payment.operator import CANCELLED_CODE, By
from momo_worker.payment.payment import Payment
from momo_worker.payment.reference import derive, payment_id
from momo_worker.payment.rules import MINUTE
from momo_worker.payment.transitions import ScheduleEventType, State, Trigger
from momo_worker.schedules import telling
from momo_worker.schedules.firing import ask
from momo_worker.settings_schedules import Etiquette
from momo_worker.steps import operator
from momo_worker.timing.asking_again import Again, Happened, Outcome, Stop, Why, again, outcome_of
from momo_worker.timing.local_time import DAY_MS, zone_or_utc

log = structlog.get_logger(__name__)

OVERPAID_RULE = "momo-overpaid-1"
BY = By("schedule", "the schedule asks again")
_PIECE = 200
_PASSES_MS = 10 * MINUTE
_CANCELLED_RUN = ("stopped", "cancelled")
_NO_REASON = "NO_REASON"


@dataclass(frozen=True, slots=True)
class Following:
    """Goes through what has ended, and through whose time has come."""

    parts: Parts
    etiquette: Etiquette

    def follow(self) -> int:
        """One pass; returns how many payers moved."""
        # Before any of it is read: a ledger that shows less was restored, and says nothing of what was asked since.
        least = self.parts.tidemark.least()
        with self.parts.ledger.read() as tx:
            if noticing.in_recovery(tx, least):
                return 0
            ended = schedule_dues.ended_asks(tx, limit=_PIECE)
            due_again = schedule_dues.to_ask_again(tx, limit=_PIECE)
            lost = schedule_dues.without_payment(tx, limit=_PIECE)
            waiting = schedule_dues.periods_with_due(tx)
        for one in ended:
            self._conclude(one, least)
        for due in lost:
            self._without_payment(due, least)
        for due in due_again:
            self._ask_again(due, least)
        for schedule_id, period in waiting:
            self._ask_those_left(schedule_id, period, least)
        return len(ended) + len(lost) + len(due_again)

    def _conclude(self, ended: Ended, least: int) -> None:
        with self.parts.ledger.write() as tx:
            if noticing.in_recovery(tx, least):
                return
            schedule = schedules.find(tx, ended.due.schedule_id)
            due = schedule_dues.due_of(tx, ended.due.schedule_id, ended.due.period, ended.due.payer_id, lock=True)
            payment = moves.read(tx, [ended.payment_id]).get(ended.payment_id)
            if schedule is None or due is None or due.state != "asked" or due.ask_key != ended.due.ask_key:
                return
            if payment is None or payment.state.value != ended.state:
                # A retry, or MTN's word after a restore, was faster: its end is waited for.
                return
            if payment.state is State.SUCCESSFUL:
                self._paid(tx, schedule, due, payment.amount_minor, ended)
            elif due.outstanding_minor == 0:
                schedule_dues.change(tx, due, state="settled", why="", again_at_ms=None)
            elif schedule.state == "removed":
                self._stop(tx, schedule, due, schedule_dues.REMOVED, payment.reason_code)
            elif payment.state is State.CANCELLED:
                self._never_sent(tx, schedule, due, payment)
            else:
                self._failed(tx, schedule, due, ended, now_ms=tx.now_ms)

    def _without_payment(self, seen: Due, least: int) -> None:
        with self.parts.ledger.write() as tx:
            if noticing.in_recovery(tx, least):
                return
            schedule = schedules.find(tx, seen.schedule_id)
            due = schedule_dues.due_of(tx, seen.schedule_id, seen.period, seen.payer_id, lock=True)
            if schedule is None or due != seen:
                return
            if due.outstanding_minor == 0:
                schedule_dues.change(tx, due, state="settled", why="", again_at_ms=None)
            else:
                self._stop(tx, schedule, due, "was cancelled with its run, or refused: see the run's report")

    def _paid(self, tx: Tx, schedule: Schedule, due: Due, amount_minor: int, ended: Ended) -> None:
        schedule_dues.change(
            tx, due, state="collected", why="", again_at_ms=None, collected_minor=due.collected_minor + amount_minor
        )
        now = schedule_dues.due_of(tx, due.schedule_id, due.period, due.payer_id) or due
        paid = {"paid": format_amount(amount_minor, schedule.exponent), "payment_id": ended.payment_id}
        telling.tell_of_payer(tx, self.parts, schedule, ScheduleEventType.COLLECTED, now, paid, moment=ended.payment_id)
        if now.overpaid_minor:
            over = {**paid, "overpaid": format_amount(now.overpaid_minor, schedule.exponent)}
            job = self._refund_job(schedule, now, ended)
            telling.tell_of_payer(
                tx,
                self.parts,
                schedule,
                ScheduleEventType.OVERPAID,
                now,
                {**over, "refund_job": job},
                moment=ended.payment_id,
            )
            log.warning(
                "a payer has paid more than what was owed",
                schedule=schedule.name,
                period=due.period,
                payer=due.payer_id,
                payment_id=ended.payment_id,
                action="told",
                advice="send the refund job of the event momo.schedule.overpaid",
            )

    def _refund_job(self, schedule: Schedule, due: Due, ended: Ended) -> dict[str, Any]:
        """The job that gives back what is too much, as any producer may send it: twice is once."""
        key = derive(OVERPAID_RULE, str(self.parts.namespace), ended.payment_id)
        over_minor = min(due.overpaid_minor, ended.amount_minor)
        return {
            "operation": "refund",
            "account": schedule.account,
            "idempotency_key": f"overpaid-{key}",
            "refund_of": due.ask_key,
            "amount": format_amount(over_minor, schedule.exponent),
            "currency": schedule.currency,
        }

    def _never_sent(self, tx: Tx, schedule: Schedule, due: Due, payment: Payment) -> None:
        """A person has cancelled it, or it waited for too long: nothing was asked."""
        if desk.contradictions_of(tx, payment.id):
            # A lost ledger had sent it: another ask beside it would be paid twice.
            self._stop(tx, schedule, due, "MTN speaks against its cancel: compare with its statement, then settle it")
            return
        run = runs.find(tx, payment.run)
        of_all = payment.amount_minor == due.outstanding_minor or (run is not None and run.state in _CANCELLED_RUN)
        if payment.reason_code == CANCELLED_CODE and of_all:
            self._stop(tx, schedule, due, "was cancelled before the payer was asked")
            return
        # Nothing of this ask is at MTN, so the next one corrects none.
        schedule_dues.change(tx, due, state="due", why="", ask_key=None, again_at_ms=None)

    def _failed(self, tx: Tx, schedule: Schedule, due: Due, ended: Ended, *, now_ms: int) -> None:
        code = ended.reason_code or _NO_REASON
        taken_back = desk.closed_by(tx, ended.payment_id, ended.attempt)
        if taken_back is Trigger.RETRY_CANCELLED and ended.amount_minor == due.outstanding_minor:
            self._stop(tx, schedule, due, "was cancelled before the payer was asked again")
            return
        if taken_back in (Trigger.RETRY_CANCELLED, Trigger.EXPIRED):
            # It never left: the failure before it stands, and was counted.
            schedule_dues.change(tx, due, state="waiting", attempt=ended.attempt, again_at_ms=now_ms)
            return
        declines = due.declines + (1 if outcome_of(code) is Outcome.DECLINED else 0)
        happened = Happened(
            code=code,
            first_asked_ms=due.first_asked_at_ms or now_ms,
            asked_ms=due.state_since_ms,
            ended_ms=now_ms,
            asks=due.tries + 1,
            declines=declines,
        )
        decision = self._decide(schedule, due, happened)
        if isinstance(decision, Stop):
            schedule_dues.change(tx, due, attempt=ended.attempt, tries=due.tries + 1, declines=declines)
            self._stop(tx, schedule, due, decision.why.value, code)
            return
        schedule_dues.change(
            tx,
            due,
            state="waiting",
            why=ended.reason_message or code,
            again_at_ms=decision.at_ms,
            attempt=ended.attempt,
            tries=due.tries + 1,
            declines=declines,
        )
        told = {"reason": {"code": code, "message": ended.reason_message}, "again_at": rfc3339(decision.at_ms)}
        telling.tell_of_payer(
            tx,
            self.parts,
            schedule,
            ScheduleEventType.REMINDER,
            due,
            told,
            moment=f"{ended.payment_id}/{ended.attempt}",
        )

    def _decide(self, schedule: Schedule, due: Due, happened: Happened) -> Again | Stop:
        zone = zone_or_utc(due.zone or schedule.zone)
        return again(self.etiquette.policy, happened, zone, self.etiquette.quiet)

    def _stop(self, tx: Tx, schedule: Schedule, due: Due, why: str, code: str | None = None) -> None:
        schedule_dues.change(tx, due, state="stopped", why=why, again_at_ms=None)
        told = {"why": why, **({"reason": {"code": code}} if code else {})}
        telling.tell_of_payer(tx, self.parts, schedule, ScheduleEventType.UNPAID, due, told, moment=str(tx.now_ms))

    def _ask_again(self, seen: Due, least: int) -> None:
        """Its moment has come: the same amount is a further attempt, another one a further ask."""
        with self.parts.ledger.write() as tx:
            if noticing.in_recovery(tx, least):
                return
            schedule = schedules.find(tx, seen.schedule_id, lock=True)
            due = schedule_dues.due_of(tx, seen.schedule_id, seen.period, seen.payer_id, lock=True)
            if schedule is None or due is None or due != seen or schedule.state != "active":
                return
            asked = payment_id(self.parts.namespace, schedule.account, due.ask_key or "")
            payment = moves.read(tx, [asked]).get(asked)
            if prompts.opted_out(tx, [(schedule.account, due.msisdn)]):
                self._stop(tx, schedule, due, schedule_dues.OPTED_OUT)
                return
            if payment is not None and not _is_at(payment, due.attempt):
                schedule_dues.change(tx, due, state="asked", why="", again_at_ms=None)
                return
            if tx.now_ms > self._last_moment_ms(due):
                # A schedule that was paused, or pumps that were down, for so long.
                self._stop(tx, schedule, due, Why.LATE.value)
                return
            if payment is None or payment.amount_minor != due.outstanding_minor:
                schedule_dues.change(tx, due, state="due", why="", again_at_ms=None)
                ask(tx, self.parts, schedule, due.period)
                return
            # Asked before there is an attempt, which is held against this; its time stays, so that a kill between loses neither.
            schedule_dues.change(tx, due, state="asked", why="")
        self._retry(schedule, due, asked)

    def _last_moment_ms(self, due: Due) -> int:
        """A day more than what was decided by, for what was put off by an hour."""
        policy = self.etiquette.policy
        return (due.first_asked_at_ms or due.state_since_ms) + (policy.stop_after_days + 1) * DAY_MS

    def _retry(self, schedule: Schedule, due: Due, asked: str) -> None:
        until_ms = self.parts.clock.now_ms() + self.parts.rules.expires_ms
        decided = operator.retry(
            self.parts,
            asked,
            by=BY,
            until_ms=until_ms,
            seen_attempt=due.attempt,
            producer_knows=True,
            by_schedule=True,
        )
        with self.parts.ledger.write() as tx:
            now = schedule_dues.due_of(tx, due.schedule_id, due.period, due.payer_id, lock=True)
            if now is None or now.state != "asked" or now.again_at_ms is None:
                return
            if decided is not None and decided.refused is not None and decided.refused.passes:
                # After a restore MTN is asked first: nothing was decided against this payer.
                schedule_dues.change(tx, now, state="waiting", again_at_ms=tx.now_ms + _PASSES_MS)
                return
            schedule_dues.change(tx, now, again_at_ms=None)
            if decided is None:
                self._stop(tx, schedule, now, "its payment is gone from the ledger")
            elif decided.refused is not None and _is_at(decided.payment, due.attempt):
                self._stop(tx, schedule, now, f"{decided.refused.why}; {decided.refused.advice}")

    def _ask_those_left(self, schedule_id: str, period: str, least: int) -> None:
        """Those who waited for a signature, or whose ask was never sent."""
        with self.parts.ledger.write() as tx:
            if noticing.in_recovery(tx, least):
                return
            schedule = schedules.find(tx, schedule_id, lock=True)
            if schedule is not None and schedule.state == "active":
                ask(tx, self.parts, schedule, period)


def _is_at(payment: Payment, attempt: int) -> bool:
    """Whether it still stands where it failed: otherwise it is under way, and its end is waited for."""
    return payment.state is State.FAILED and payment.attempt == attempt
