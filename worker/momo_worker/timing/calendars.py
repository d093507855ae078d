"""Holidays and working days: a country and days that a government declared come in, what a day is goes out. Names no period, asks no clock.

The days are those of the `holidays` library; those that hang on the moon are its estimates until a government has spoken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache, lru_cache

import holidays
from holidays.registry import COUNTRIES

from momo_worker.timing.problems import CalendarError, closest, did_you_mean

SATURDAY_AND_SUNDAY = frozenset((5, 6))
#: Farther than this a day isn't moved: whoever declares a month of holidays is told that the period is skipped.
MOVE_DAYS_MAX = 31
NO_WORKING_DAY = "no working day within a month"


class OnHoliday(StrEnum):
    """What becomes of a period whose day is a holiday."""

    KEEP = "keep"
    BEFORE = "before"
    AFTER = "after"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Which days are holidays and weekends; made by `work_calendar`. Without a country only the extra days are holidays."""

    country: str = ""
    subdivision: str = ""
    extra: frozenset[date] = frozenset()

    def holiday(self, day: date) -> str:
        """The holiday's name; '' when it is none."""
        if day in self.extra:
            return "a day declared a holiday"
        return _holidays(self.country, self.subdivision, day.year).get(day, "") if self.country else ""

    def works(self, day: date) -> bool:
        """Whether it is neither weekend nor holiday."""
        weekend = _weekend(self.country) if self.country else SATURDAY_AND_SUNDAY
        return day.weekday() not in weekend and not self.holiday(day)


@dataclass(frozen=True, slots=True)
class Placed:
    """The day on which a period fires, or why it doesn't."""

    day: date
    skipped: str = ""


def work_calendar(country: str = "", subdivision: str = "", extra: Iterable[date] = ()) -> WorkCalendar:
    """The calendar of a country and, where it has them, of one of its parts. Raises CalendarError with the close names."""
    if subdivision and not country:
        raise CalendarError(f"{subdivision!r} is a part of no country", "say the country's code as well")
    if country and country not in _countries():
        raise CalendarError(f"there are no holidays for the country {country!r}", _close_countries(country))
    parts = _countries().get(country, ())
    if subdivision and subdivision not in parts:
        otherwise = f"it has {', '.join(parts)}" if parts else "leave it out: its holidays are the same everywhere"
        raise CalendarError(f"{country} has no part {subdivision!r}", did_you_mean(subdivision, parts, otherwise))
    return WorkCalendar(country, subdivision, frozenset(extra))


def placed(calendar: WorkCalendar, nominal: date, on_holiday: OnHoliday) -> Placed:
    """Where a period's day comes to lie. Only a holiday is moved: a plain Saturday stays."""
    name = calendar.holiday(nominal)
    if not name or on_holiday is OnHoliday.KEEP:
        return Placed(nominal)
    if on_holiday is OnHoliday.SKIP:
        return Placed(nominal, skipped=name)
    step = -1 if on_holiday is OnHoliday.BEFORE else 1
    for distance in range(1, MOVE_DAYS_MAX + 1):
        day = nominal + timedelta(days=step * distance)
        if calendar.works(day):
            return Placed(day)
    return Placed(nominal, skipped=NO_WORKING_DAY)


def working_day(calendar: WorkCalendar, first: date, last: date, *, from_the_end: bool) -> Placed:
    """The first or last working day of first..last."""
    days = (last - first).days
    for distance in range(days + 1):
        day = last - timedelta(days=distance) if from_the_end else first + timedelta(days=distance)
        if calendar.works(day):
            return Placed(day)
    return Placed(last if from_the_end else first, skipped=NO_WORKING_DAY)


@cache
def _countries() -> Mapping[str, tuple[str, ...]]:
    """ISO 3166 alpha-2 codes, with the codes of their parts."""
    return {code: tuple(parts) for code, parts in holidays.list_supported_countries(include_aliases=False).items()}


def _close_countries(country: str) -> str:
    """Codes that look alike, and the code of a country whose name was written."""
    codes: dict[str, str] = {}
    for name, (_, alpha2, *others) in COUNTRIES.items():
        for word in (name, name.replace("_", " "), alpha2, *others):
            codes[word.lower()] = alpha2
    found = dict.fromkeys(codes[word] for word in closest(country, codes))
    return f"did you mean {' or '.join(found)}?" if found else "write its two letters of ISO 3166, such as UG"


@lru_cache(maxsize=256)
def _holidays(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    # Not expanded: a test for a day must not make the library compute further years by itself.
    return dict(holidays.country_holidays(country, subdiv=subdivision or None, years=year, expand=False))


@cache
def _weekend(country: str) -> frozenset[int]:
    return frozenset(holidays.country_holidays(country).weekend)
