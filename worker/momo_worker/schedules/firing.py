"""Periods whose moment has come are decided, once: fired with a snapshot of payers, or told as missed or skipped. Asks nobody itself.

Any number of pumps may do it: the schedule's row is locked, what was decided is read once more, and a period is unique.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from momo_worker.commons import noticing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedule_desk, schedule_dues, schedules, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.money import format_amount
from momo_worker.payment.rules import HOUR, MINUTE
from momo_worker.payment.transitions import ScheduleEventType
from momo_worker.schedules import planning, telling
from momo_worker.schedules.accounting import FIRED, MISSED, SKIPPED, Verdict, decided, leave_out
from momo_worker.schedules.rounds import make_round
from momo_worker.timing.catching_up import CatchUp, catch_up_of, decide
from momo_worker.timing.periods import Period
from momo_worker.timing.problems import ScheduleError

log = structlog.get_logger(__name__)

#: A clock that went so far ahead of the time that has passed isn't believed ...
_JUMP_MS = 2 * MINUTE
#: ... until it has stood there for so long: one that is set right again must not have asked a whole school.
_BELIEVED_AFTER_SECONDS = 600.0
#: How long a schedule that can't be read is left alone: somebody was woken.
_UNREADABLE_MS = 10 * MINUTE


@dataclass(slots=True)
class Firing:
    """One pass over all active schedules; kept by a pump, since what fires when is worked out once."""

    parts: Parts
    #: When something of a schedule is to be decided next, for the schedule as it stands.
    _next: dict[Schedule, int] = field(default_factory=dict)
    _seen: tuple[int, float] | None = None
    _doubted_since: float | None = None
    _least: int = 0

    def fire(self) -> int:
        """Decide every period whose moment has come; returns how many fired."""
        # Before any of it is read: a ledger that shows less was restored, and says nothing of what has fired since.
        self._least = self.parts.tidemark.least()
        with self.parts.ledger.read() as tx:
            if noticing.in_recovery(tx, self._least):
                return 0
            now_ms = tx.now_ms
            found = [one for one in schedules.listed(tx) if one.state == "active"]
        if not self._believes(now_ms):
            return 0
        self._next = {one: self._next[one] for one in found if one in self._next}
        return sum(self._fire_schedule(one, now_ms) for one in found if now_ms >= self._next.get(one, 0))

    def _believes(self, now_ms: int) -> bool:
        """Whether the ledger's clock went no further than the time that has passed here."""
        elapsed = self.parts.clock.elapsed()
        if self._seen is not None:
            ahead_ms = now_ms - self._seen[0] - (elapsed - self._seen[1]) * 1000
            if abs(ahead_ms) > _JUMP_MS:
                self._doubted_since = elapsed
                log.warning(
                    "the ledger's clock jumped; schedules wait until it has stood",
                    seconds=round(ahead_ms / 1000),
                    action="waits",
                )
        self._seen = (now_ms, elapsed)
        if self._doubted_since is not None and elapsed - self._doubted_since >= _BELIEVED_AFTER_SECONDS:
            self._doubted_since = None
        return self._doubted_since is None

    def _fire_schedule(self, schedule: Schedule, now_ms: int) -> int:
        with self.parts.ledger.read() as tx:
            known = schedules.decided_names(tx, schedule.id, schedule.after_day)
        try:
            ready = planning.to_decide(schedule, known, now_ms)
            upcoming = planning.next_moment_ms(schedule, now_ms)
            policy = catch_up_of(schedule.catch_up)
        except ScheduleError as error:
            self._next[schedule] = now_ms + _UNREADABLE_MS
            _say_unreadable(schedule, error)
            return 0
        fired = sum(self._decide(schedule, verdict) for verdict in _verdicts(ready, now_ms, policy))
        # Not farther than an hour: a clock that is set back must not leave a period waiting for long.
        self._next[schedule] = min(now_ms + HOUR if upcoming is None else upcoming, now_ms + HOUR)
        return fired

    def _decide(self, schedule: Schedule, verdict: Verdict) -> int:
        period = verdict.period
        with self.parts.ledger.write() as tx:
            now = schedules.find(tx, schedule.id, lock=True)
            # Somebody has edited or paused it, another pump was first, or a recovery has begun.
            if now is None or now != schedule or noticing.in_recovery(tx, self._least):
                return 0
            if schedules.is_decided(tx, schedule.id, period.name):
                return 0
            if verdict.state == FIRED:
                self._fire(tx, now, period)
            else:
                leave_out(tx, self.parts, now, verdict)
        log.info(
            "a period of a schedule was decided",
            schedule=schedule.name,
            period=period.name,
            action=verdict.state,
            why=verdict.why,
        )
        return int(verdict.state == FIRED)

    def _fire(self, tx: Tx, schedule: Schedule, period: Period) -> None:
        count, total_minor = schedules.count_payers(tx, schedule.id)
        schedules.add_period(tx, schedule.id, decided(Verdict(period, FIRED), count, total_minor, tx.now_ms))
        schedule_dues.snapshot(tx, schedule.id, period.name)
        asked = ask(tx, self.parts, schedule, period.name)
        telling.tell(
            tx,
            self.parts,
            schedule,
            ScheduleEventType.FIRED,
            period.name,
            {
                "payers": count,
                "total": format_amount(total_minor, schedule.exponent),
                "due_on": period.moved.isoformat(),
                "asked": asked,
            },
        )


def _verdicts(ready: Sequence[Period], now_ms: int, policy: CatchUp) -> list[Verdict]:
    """What becomes of each, the oldest first: a kill half-way leaves the later ones for the next pass."""
    decision = decide(ready, now_ms, policy)
    found = [
        *(Verdict(period, FIRED) for period in decision.fire),
        *(Verdict(one.period, MISSED, one.reason) for one in decision.missed),
        *(Verdict(one.period, SKIPPED, one.reason) for one in decision.skipped),
    ]
    return sorted(found, key=lambda verdict: verdict.period.begins)


def _say_unreadable(schedule: Schedule, error: ScheduleError) -> None:
    log.error(
        "a schedule can't be read",
        schedule=schedule.name,
        action="stopped",
        why=error.reason,
        advice=f"{error.advice}, with `momo schedule edit`; periods that pass meanwhile are caught up",
    )


def ask(tx: Tx, parts: Parts, schedule: Schedule, period: str) -> int:
    """Ask everybody of a period who may be asked now, and tell who waits for a signature; returns how many are asked."""
    for due in schedule_dues.stop_opted_out(tx, schedule.id, period, schedule.account):
        told = {"why": due.why}
        telling.tell_of_payer(tx, parts, schedule, ScheduleEventType.UNPAID, due, told, moment=str(tx.now_ms))
    paused = _paused_round(tx, schedule, period)
    run = None if paused else make_round(tx, parts, schedule, period)
    left, left_minor = schedule_dues.still_due(tx, schedule.id, period)
    why = _WAITS_FOR_RESUME.format(name=paused) if paused else _WAITS
    advice = f"momo run resume {paused}" if paused else f"momo schedule approve {schedule.name}"
    if left and schedule_dues.mark_held(tx, schedule.id, period, why):
        telling.tell(
            tx,
            parts,
            schedule,
            ScheduleEventType.HELD,
            period,
            {
                "payers": left,
                "total": format_amount(left_minor, schedule.exponent),
                "reason": why,
                "advice": advice,
            },
            moment=str(tx.now_ms),
        )
    return 0 if run is None else run.rows


_WAITS = "waits for an approver's signature: not on the signed list, above its amounts, or above the ceiling"
_WAITS_FOR_RESUME = "waits for {name}, which asks for the same period, to be resumed"


def _paused_round(tx: Tx, schedule: Schedule, period: str) -> str:
    """The name of a round of this period that is paused, '' for none: what ended under its pause mustn't leave in another (M13)."""
    paused = {pause.run for pause in stops.pauses(tx)}
    rounds = schedule_desk.rounds(tx, schedule.id) if paused else []
    return next((one.name for one in rounds if one.period == period and one.run_id in paused), "")
