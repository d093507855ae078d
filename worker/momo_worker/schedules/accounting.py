"""What becomes of a period is written down, once: a period and a word about it come in, its row and, where it asks nobody, the event go out.

In the caller's transaction, under the schedule's lock. Asks nobody.
"""

from dataclasses import dataclass

from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedules import DecidedPeriod, Schedule
from momo_worker.payment.events import rfc3339
from momo_worker.payment.transitions import ScheduleEventType
from momo_worker.schedules import telling
from momo_worker.timing.periods import Period

#: Where a period stands once it was decided.
FIRED, MISSED, SKIPPED = "fired", "missed", "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one period."""

    period: Period
    state: str
    why: str = ""


def leave_out(tx: Tx, parts: Parts, schedule: Schedule, verdict: Verdict) -> None:
    """A period that asks nobody, and the event that says so: none is lost without a word."""
    schedules.add_period(tx, schedule.id, decided(verdict, 0, 0, tx.now_ms))
    period = verdict.period
    kind = ScheduleEventType.SKIPPED if verdict.state == SKIPPED else ScheduleEventType.MISSED
    data = {"due_on": period.moved.isoformat(), "due_at": rfc3339(period.fires_at_ms), "why": verdict.why}
    telling.tell(tx, parts, schedule, kind, period.name, data)


def decided(verdict: Verdict, payers: int, total_minor: int, now_ms: int) -> DecidedPeriod:
    """The row of a period of which was decided."""
    period = verdict.period
    return DecidedPeriod(
        period.name,
        period.begins.isoformat(),
        period.ends.isoformat(),
        period.nominal.isoformat(),
        period.fires_at_ms,
        verdict.state,
        verdict.why,
        payers,
        total_minor,
        now_ms,
    )
