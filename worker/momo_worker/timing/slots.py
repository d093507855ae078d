"""The slots of a rule: a rule and its start come in, named stretches of the calendar with the day meant in each go out.

No holiday, zone or hour comes in here, so none can name, add or take away a period: they only move the moment at which it fires.
"""

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import chain, islice, pairwise

from momo_worker.timing import rfc
from momo_worker.timing.calendars import WorkCalendar, working_day
from momo_worker.timing.rfc import RfcRule
from momo_worker.timing.rules import MonthDay, NthWeekday, Rule, Unit, Weekday, WorkingDay, YearDay

DAY = timedelta(days=1)
WEEK_DAYS = 7
QUARTER_MONTHS = 3
YEAR_MONTHS = 12
#: A period lasts until the next, but a year at most, where an RFC rule leaves years out.
YEAR = timedelta(days=365)
PLAIN = WorkCalendar()


@dataclass(frozen=True, slots=True)
class Slot:
    """A period by the calendar alone; `day` is the one that the rule means."""

    name: str
    begins: date
    ends: date
    day: date


class Grain(StrEnum):
    """By what an RFC rule's periods are named."""

    MONTH = "month"
    WEEK = "week"
    YEAR = "year"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class _Count:
    """How the units of a kind are numbered: each day lies in one, and number n+1 begins the day after n has ended."""

    number: Callable[[date], int]
    begin: Callable[[int], date]
    name: Callable[[date], str]


_COUNTS = {
    Unit.DAY: _Count(date.toordinal, date.fromordinal, date.isoformat),
    Unit.WEEK: _Count(
        # Day 1 of the calendar was a Monday.
        lambda day: (day.toordinal() - 1) // WEEK_DAYS,
        lambda number: date.fromordinal(number * WEEK_DAYS + 1),
        lambda day: "{0.year:04d}-W{0.week:02d}".format(day.isocalendar()),
    ),
    Unit.MONTH: _Count(
        lambda day: day.year * YEAR_MONTHS + day.month - 1,
        lambda number: date(number // YEAR_MONTHS, number % YEAR_MONTHS + 1, 1),
        lambda day: f"{day.year:04d}-{day.month:02d}",
    ),
    Unit.QUARTER: _Count(
        lambda day: (day.year * YEAR_MONTHS + day.month - 1) // QUARTER_MONTHS,
        lambda number: date(number // 4, number % 4 * QUARTER_MONTHS + 1, 1),
        lambda day: f"{day.year:04d}-{day.month:02d}",
    ),
    Unit.YEAR: _Count(
        lambda day: day.year,
        lambda number: date(number, 1, 1),
        lambda day: f"{day.year:04d}",
    ),
}
_GRAIN_UNITS = {Grain.MONTH: Unit.MONTH, Grain.WEEK: Unit.WEEK, Grain.YEAR: Unit.YEAR}


def slots(rule: Rule, start: date, since: date, until: date) -> Iterator[Slot]:
    """The slots that begin in since..until, in order. The first is the one whose day comes first on or after the start."""
    if isinstance(rule.on, RfcRule):
        return _rfc_slots(rule.on, start, since, until)
    return _word_slots(rule, start, since, until)


def day_of(rule: Rule, begins: date, working: WorkCalendar = PLAIN) -> date:
    """The day that a rule in words means in the unit that begins on this day."""
    match rule.on:
        case Weekday(weekday):
            return begins + timedelta(days=weekday)
        case YearDay(month, day):
            return date(begins.year, month, min(day, _month_days(begins.year, month)))
        case MonthDay(day):
            return begins.replace(day=min(day, _month_days(begins.year, begins.month)))
        case NthWeekday(nth, weekday):
            return _nth_weekday(begins, nth, weekday)
        case WorkingDay(last):
            month_end = begins.replace(day=_month_days(begins.year, begins.month))
            return working_day(working, begins, month_end, from_the_end=last).day
        case _:
            return begins


def _month_days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _nth_weekday(first: date, nth: int, weekday: int) -> date:
    if nth > 0:
        return first + timedelta(days=(weekday - first.weekday()) % WEEK_DAYS + (nth - 1) * WEEK_DAYS)
    last = first.replace(day=_month_days(first.year, first.month))
    return last - timedelta(days=(last.weekday() - weekday) % WEEK_DAYS)


def _word_slots(rule: Rule, start: date, since: date, until: date) -> Iterator[Slot]:
    count = _COUNTS[rule.unit]
    first = count.number(start)
    if day_of(rule, count.begin(first)) < start:
        first += 1
    wanted = count.number(since)
    if count.begin(wanted) < since:
        wanted += 1
    # Rounded up to the rule's own step, counted from its first.
    number = first + max(0, -((first - wanted) // rule.every)) * rule.every
    while (begins := count.begin(number)) <= until:
        number += rule.every
        day = day_of(rule, begins)
        yield Slot(count.name(day), begins, count.begin(number) - DAY, day)


def _rfc_slots(rule: RfcRule, start: date, since: date, until: date) -> Iterator[Slot]:
    grain = grain_of(rule)
    if grain is not Grain.DATE:
        count = _COUNTS[_GRAIN_UNITS[grain]]
        for day in rfc.days(rule, start, max(start, since), until + YEAR):
            begins = count.begin(count.number(day))
            if begins > until:
                return
            if begins >= since:
                yield Slot(count.name(day), begins, count.begin(count.number(day) + 1) - DAY, day)
        return
    found = chain(rfc.days(rule, start, max(start, since), until + YEAR), (date.max,))
    for day, following in pairwise(found):
        if day > until:
            return
        yield Slot(day.isoformat(), day, min(following - DAY, day + YEAR), day)


#: The calendar repeats after 28 years, as long as no year divisible by 100 lies between: they hold every kind of year. They
#: begin on a Monday and end on a Sunday.
_CYCLE = (date(2001, 1, 1), date(2028, 12, 31))


@lru_cache(maxsize=1024)
def grain_of(rule: RfcRule) -> Grain:
    """Month, week or year, when the rule fires exactly once in each of them there is; else its days name its periods."""
    if rule.interval > 1:
        return Grain.DATE
    weeks = ((_CYCLE[1] - _CYCLE[0]).days + 1) // WEEK_DAYS
    found = list(islice(rfc.days(rule, _CYCLE[0], *_CYCLE), weeks + 1))
    for grain, unit in _GRAIN_UNITS.items():
        number = _COUNTS[unit].number
        expected = range(number(_CYCLE[0]), number(_CYCLE[1]) + 1)
        if [number(day) for day in found] == list(expected):
            return grain
    return Grain.DATE
