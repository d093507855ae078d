"""What the deeds of `momo schedule` share: schedules and refusals come in, lines and JSON objects go out. Writes nothing."""

from typing import Any

from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, WrongUse
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.money import format_amount
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.timing.local_time import local
from momo_worker.timing.periods import Period, Timetable

_PROBLEMS_SHOWN = 20


def refused(error: NotChangedError) -> AnswerIsNo:
    """Nothing was changed; every problem is in the answer for programs, the first of them in the one for people."""
    lines = [error.why, *(f"  {problem}" for problem in error.problems[:_PROBLEMS_SHOWN])]
    if len(error.problems) > _PROBLEMS_SHOWN:
        lines.append(f"  and {len(error.problems) - _PROBLEMS_SHOWN:,} more")
    facts = [
        {"where": one.where, "value": one.value, "reason": one.reason, "advice": one.advice} for one in error.problems
    ]
    return AnswerIsNo("\n".join(lines), {"problems": facts})


def needs_reason(reason: str, what: str) -> None:
    """A decision that is kept says why."""
    if not reason.strip():
        raise WrongUse(f"--reason is missing: say {what}, in a few words")


def money(schedule: Schedule, minor: int) -> str:
    """An amount with its currency."""
    return f"{format_amount(minor, schedule.exponent)} {schedule.currency}"


def schedule_facts(schedule: Schedule) -> dict[str, Any]:
    """A schedule as a JSON object."""
    return {
        "schedule_id": schedule.id,
        "name": schedule.name,
        "account": schedule.account,
        "state": schedule.state,
        "rule": schedule.rule,
        "zone": schedule.zone,
        "starts": schedule.starts_on,
        "ends": schedule.ends_on,
        "begins_after": schedule.after_day,
        "amount": None if schedule.amount_minor is None else format_amount(schedule.amount_minor, schedule.exponent),
        "currency": schedule.currency,
        "note": schedule.note,
        "holidays": schedule.holidays,
        "on_holiday": schedule.on_holiday,
        "extra_holidays": schedule.extra_holidays.split(),
        "catch_up": schedule.catch_up,
        "maker": schedule.maker,
        "made_at": moment(schedule.made_at_ms),
        "changed_at": moment(schedule.changed_at_ms),
    }


def schedule_lines(schedule: Schedule) -> list[str]:
    """The same for people."""
    ends = f", until {schedule.ends_on}" if schedule.ends_on else ""
    lines = [
        f"  id         {schedule.id}",
        f"  rule       {schedule.rule}, by the clock of {schedule.zone}, counted from {schedule.starts_on}{ends}",
        f"  begins     with the first period after {schedule.after_day}",
        f"  made by    {schedule.maker}, {moment(schedule.made_at_ms)}; last changed {moment(schedule.changed_at_ms)}",
        f"  catch-up   {schedule.catch_up}",
    ]
    if schedule.holidays or schedule.extra_holidays:
        known = " and ".join(part for part in (schedule.holidays, schedule.extra_holidays) if part)
        lines.append(f"  holidays   {known}; such a day: {schedule.on_holiday}")
    if schedule.note:
        lines.append(f"  note       {schedule.note}")
    return lines


def period_facts(period: Period, timetable: Timetable) -> dict[str, Any]:
    """A period that is to come."""
    return {
        "period": period.name,
        "begins": period.begins.isoformat(),
        "ends": period.ends.isoformat(),
        "day": period.nominal.isoformat(),
        "moved_to": period.moved.isoformat() if period.moved != period.nominal else None,
        "why_moved": why_moved(period, timetable) or None,
        "skipped": period.skipped or None,
        "fires_at": moment(period.fires_at_ms),
        "local_time": local(timetable.zone, period.fires_at_ms).isoformat(),
    }


def why_moved(period: Period, timetable: Timetable) -> str:
    """Which holiday has moved it."""
    return timetable.working.holiday(period.nominal) if period.moved != period.nominal else ""


def when(period: Period, timetable: Timetable) -> str:
    """A period's moment in a few words, with why it isn't on its day."""
    at = local(timetable.zone, period.fires_at_ms)
    said = f"{period.name}: {at:%a %Y-%m-%d %H:%M} ({timetable.zone.key}, {moment(period.fires_at_ms)})"
    if period.skipped:
        return f"{said}, skipped: {period.skipped}"
    moved = why_moved(period, timetable)
    return f"{said}, moved from {period.nominal}: {moved}" if moved else said
