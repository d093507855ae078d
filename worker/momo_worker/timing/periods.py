"""The periods of a schedule: its timetable comes in, periods with names, days and moments go out. Asks neither ledger nor clock.

A period is named by the calendar and begins and ends with it: `2026-12` is December whatever day the fee is due on. `every 2 weeks` lasts two
weeks from the Monday of the week it is named by, `every 3 months` three from the month it is named by, a quarter is named by its first month.
What is named by its day (`every 10 days`, most RFC rules) lasts until the day before the next. So "the first period that begins after
the last one fired has ended" never asks twice for one stretch of time, whatever rule follows which.

Names, their order and their number hang on rule, start and end alone. Holidays, zones and hours only move the moment of firing.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from momo_worker.timing.calendars import MOVE_DAYS_MAX, OnHoliday, Placed, WorkCalendar, placed, working_day
from momo_worker.timing.local_time import local, moment_ms
from momo_worker.timing.problems import RuleError
from momo_worker.timing.rules import Rule, Unit, WorkingDay
from momo_worker.timing.slots import Slot, slots

#: How far ahead anything is looked for.
HORIZON = timedelta(days=3653)
#: Where the calendar ends for us: far from where Python's does, so that no step beyond it is one too many.
LAST_DAY = date(9900, 1, 1)


_UNIT_DAYS_MAX = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.QUARTER: 92, Unit.YEAR: 366, Unit.RFC: 366}


@dataclass(frozen=True, slots=True)
class Timetable:
    """All that decides when a schedule fires. Its periods are those whose day lies in start..end, before holidays move it."""

    rule: Rule
    zone: ZoneInfo
    start: date
    end: date | None = None
    working: WorkCalendar = field(default_factory=WorkCalendar)
    on_holiday: OnHoliday = OnHoliday.KEEP


@dataclass(frozen=True, slots=True)
class Period:
    """One period: begins..ends is what it is for, `nominal` the day the rule says, `moved` the day on which it fires."""

    name: str
    begins: date
    ends: date
    nominal: date
    moved: date
    fires_at_ms: int
    #: Why nobody is asked in it, told when its moment comes; '' when people are.
    skipped: str = ""


def periods(timetable: Timetable, since: date) -> Iterator[Period]:
    """The periods that begin on or after a day and within ten years of it, in order."""
    return _periods(timetable, since, since)


def first_after(timetable: Timetable, day: date) -> Period | None:
    """The first period that begins after a day: the one made on, or the last of the period that fired last before an edit."""
    return next(periods(timetable, day + timedelta(days=1)), None)


def first_since(timetable: Timetable, day: date) -> Period | None:
    """The period in which a day lies, or else the first after it: what `--from` means."""
    return next((period for period in _periods_about(timetable, day) if period.ends >= day), None)


def period_named(timetable: Timetable, name: str) -> Period | None:
    """The period of this name, when the timetable has it."""
    begins = _begins_of(name)
    found = next(periods(timetable, begins), None) if begins else None
    return found if found and found.name == name else None


def next_periods(timetable: Timetable, now_ms: int, count: int) -> tuple[Period, ...]:
    """The next that fire after a moment, skipped ones among them; in the order of their names."""
    today = local(timetable.zone, now_ms).date()
    coming = (period for period in _periods_about(timetable, today) if period.fires_at_ms > now_ms)
    return tuple(islice(coming, count))


def due(timetable: Timetable, now_ms: int, accounted: Collection[str], since: date) -> tuple[Period, ...]:
    """The periods from `since` on whose moment has come and whose names nobody has accounted for, oldest first."""
    last = local(timetable.zone, now_ms).date() + timedelta(days=MOVE_DAYS_MAX + 1)
    begun = takewhile(lambda period: period.begins <= last, periods(timetable, since))
    return tuple(period for period in begun if period.fires_at_ms <= now_ms and period.name not in accounted)


def check_fires(timetable: Timetable, today: date) -> Period:
    """The first period that asks anybody from today on. Raises RuleError where there is none within ten years."""
    start, end = timetable.start, timetable.end
    if end is not None and end < max(start, today):
        when = f"before it starts on {start}" if end < start else "which is past"
        raise RuleError(f"the schedule ends on {end}, {when}", "give it a later end, or none")
    since = max(start, today)
    found = (period for period in _periods_about(timetable, since) if period.moved >= since)
    skipped = ""
    for period in found:
        if not period.skipped:
            return period
        skipped = period.skipped
    if skipped:
        raise RuleError(
            f"`{timetable.rule}` is skipped each time: {skipped}", "move it before or after holidays instead"
        )
    bounds = f"from {since}" + (f" to {end}" if end else " on, for ten years")
    raise RuleError(f"`{timetable.rule}` never fires {bounds}", "check its days, its start and its end")


def _begins_of(name: str) -> date | None:
    """The day on which a period of this name begins, whatever its rule: the first of the year, month or week, or the day itself."""
    for form in ("%Y", "%Y-%m", "%Y-%m-%d"):
        with suppress(ValueError):
            return datetime.strptime(name, form).replace(tzinfo=UTC).date()
    with suppress(ValueError):
        return date.fromisocalendar(int(name[:4]), int(name[6:]), 1) if name[4:6] == "-W" else None
    return None


def _periods_about(timetable: Timetable, day: date) -> Iterator[Period]:
    """Those that still last or may still fire on a day, perhaps some before them, and those of ten years after it."""
    rule = timetable.rule
    longest = _UNIT_DAYS_MAX[rule.unit] * (1 if rule.unit is Unit.RFC else rule.every)
    return _periods(timetable, day - timedelta(days=longest + MOVE_DAYS_MAX), day)


def _periods(timetable: Timetable, since: date, day: date) -> Iterator[Period]:
    """Those that begin in since..day and in the ten years after it."""
    until = min(day, LAST_DAY) + HORIZON
    for slot in slots(timetable.rule, min(timetable.start, LAST_DAY), min(since, LAST_DAY), until):
        if timetable.end is not None and slot.day > timetable.end:
            return
        yield _period(timetable, slot)


def _period(timetable: Timetable, slot: Slot) -> Period:
    where = _placed(timetable, slot)
    nominal = where.day if isinstance(timetable.rule.on, WorkingDay) else slot.day
    fires_at_ms = moment_ms(timetable.zone, where.day, timetable.rule.at)
    return Period(slot.name, slot.begins, slot.ends, nominal, where.day, fires_at_ms, where.skipped)


def _placed(timetable: Timetable, slot: Slot) -> Placed:
    rule = timetable.rule
    if not isinstance(rule.on, WorkingDay):
        return placed(timetable.working, slot.day, timetable.on_holiday)
    first = slot.day.replace(day=1)
    month_end = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return working_day(timetable.working, first, month_end, from_the_end=rule.on.last)
