"""A payer has paid by other means: who, for which period, how much and who says so come in; what is still owed goes out. Moves no money.

What isn't sent yet is taken back; a prompt that is open is left to end, and a success after it is told as overpaid (money-review H5).
"""

import uuid
from dataclasses import dataclass

from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedule_dues, schedules, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_desk import subject_of
from momo_worker.ledger.schedule_dues import Due, Settled
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.events import rfc3339
from momo_worker.payment.money import format_amount
from momo_worker.payment.reference import payment_id
from momo_worker.payment.transitions import ScheduleEventType
from momo_worker.schedules import telling
from momo_worker.steps import operator


class NotSettledError(Exception):
    """Nothing was written; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Settling:
    """What somebody says was paid. `amount_minor` None is all that is still owed."""

    account: str
    name: str
    period: str
    payer_id: str
    amount_minor: int | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class AfterSettling:
    """What a payer owes now, and whether a prompt is open that may still be paid."""

    schedule: Schedule
    due: Due
    amount_minor: int
    prompt_is_open: bool


def settle(parts: Parts, said: Settling) -> AfterSettling:
    """Count what was paid by other means. Raises NotSettledError."""
    with parts.ledger.write() as tx:
        schedule, due = _owing(tx, said)
        amount_minor = due.outstanding_minor if said.amount_minor is None else said.amount_minor
        if amount_minor > due.outstanding_minor:
            left = f"{format_amount(due.outstanding_minor, schedule.exponent)} {schedule.currency}"
            raise NotSettledError(
                f"{said.payer_id} owes {left} for {said.period}, and {format_amount(amount_minor, schedule.exponent)} was given: "
                "settle at most what is owed; what is above it is between you and the payer"
            )
        _refuse_the_same(tx, schedule, due, amount_minor, said)
        new = Settled(str(uuid.uuid4()), due.payer_id, due.period, amount_minor, said.reason, said.by, tx.now_ms)
        schedule_dues.add_settlement(tx, schedule.id, new)
        paid = due.outstanding_minor == amount_minor
        ends = paid and due.state in ("due", "waiting", "stopped")
        moved: dict[str, object] = {"state": "settled", "why": "", "again_at_ms": None} if ends else {}
        schedule_dues.change(tx, due, settled_minor=due.settled_minor + amount_minor, **moved)
        stops.journal(
            tx,
            actor=said.by,
            action="schedule settled",
            subject=subject_of(schedule.id, schedule.account),
            reason=f"{due.payer_id} for {due.period}, {format_amount(amount_minor, schedule.exponent)}: {said.reason}",
        )
        now = _again(tx, due)
        more = {"paid": format_amount(amount_minor, schedule.exponent), "reason": said.reason, "by": said.by}
        telling.tell_of_payer(tx, parts, schedule, ScheduleEventType.SETTLED, now, more, moment=new.id)
    is_open = now.state == "asked" and not _take_back(parts, schedule, now, said)
    return AfterSettling(schedule, now, amount_minor, is_open)


def _owing(tx: Tx, said: Settling) -> tuple[Schedule, Due]:
    schedule = schedules.named(tx, said.account, said.name)
    if schedule is None:
        raise NotSettledError(
            f"account {said.account} has no schedule {said.name}; `momo schedule list` names those there are"
        )
    due = schedule_dues.due_of(tx, schedule.id, said.period, said.payer_id, lock=True)
    if due is None and not schedules.is_decided(tx, schedule.id, said.period):
        raise NotSettledError(
            f"{said.name} has asked nobody for {said.period} yet, so that nothing is owed for it: say it again once that period has "
            f"fired; `momo schedule preview {said.name}` shows when, `momo schedule history {said.name}` those that have"
        )
    if due is None:
        raise NotSettledError(
            f"{said.payer_id} owes nothing for {said.period} in {said.name}; `momo schedule arrears {said.name}` shows who does"
        )
    if due.outstanding_minor == 0:
        raise NotSettledError(
            f"{said.payer_id} has paid for {said.period}: {format_amount(due.collected_minor, schedule.exponent)} collected, "
            f"{format_amount(due.settled_minor, schedule.exponent)} settled"
        )
    return schedule, due


def _refuse_the_same(tx: Tx, schedule: Schedule, due: Due, amount_minor: int, said: Settling) -> None:
    """A command that is given once more, of which nobody knows whether it was done, counts no receipt twice."""
    for one in schedule_dues.settlements_of(tx, schedule.id, due.period):
        if (one.payer_id, one.amount_minor, one.reason) == (due.payer_id, amount_minor, said.reason):
            amount = f"{format_amount(amount_minor, schedule.exponent)} {schedule.currency}"
            raise NotSettledError(
                f"{amount} of {due.payer_id} for {due.period} was settled by {one.actor} at {rfc3339(one.at_ms)}, for the same reason "
                f"({one.reason}), and nothing was counted again: where it is another payment, say so in --reason"
            )


def _again(tx: Tx, due: Due) -> Due:
    now = schedule_dues.due_of(tx, due.schedule_id, due.period, due.payer_id)
    assert now is not None  # noqa: S101 (it is locked by this transaction, and nothing deletes it)
    return now


def _take_back(parts: Parts, schedule: Schedule, due: Due, said: Settling) -> bool:
    """Cancel an ask that wasn't sent yet: what is left is asked for anew. False where a prompt may be open."""
    if due.ask_key is None:
        return False
    asked = payment_id(parts.namespace, schedule.account, due.ask_key)
    decided = operator.cancel(parts, asked, actor=said.by, reason=f"settled: {said.reason}")
    # Not in the ledger yet: its run hands it over soon, and what is asked then ends as overpaid or as failed.
    return decided is not None and decided.refused is None
