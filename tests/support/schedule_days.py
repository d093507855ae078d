"""Periods found by walking day by day: a rule and a start come in, what its periods must be goes out. Shares nothing with the code that it judges."""

from dataclasses import dataclass
from datetime import date, timedelta

from momo_worker.timing.rules import MonthDay, NthWeekday, Rule, Unit, Weekday, WorkingDay, YearDay

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Walked:
    """A period as the walk found it."""

    name: str
    begins: date
    ends: date
    day: date


def label(unit: Unit, day: date) -> str:
    """Which unit a day lies in: days of one unit share it, and no others."""
    if unit is Unit.QUARTER:
        return f"{day.year}-Q{(day.month + 2) // 3}"
    return day.strftime({Unit.DAY: "%Y-%m-%d", Unit.WEEK: "%G-W%V", Unit.MONTH: "%Y-%m", Unit.YEAR: "%Y"}[unit])


def last_of_month(day: date) -> bool:
    return (day + DAY).month != day.month


def first_weekday_of(day: date, step: int) -> bool:
    """No Monday to Friday lies on this side of it within the month."""
    other = day - step * DAY
    while other.month == day.month:
        if other.weekday() < 5:
            return False
        other -= step * DAY
    return day.weekday() < 5


def is_meant(rule: Rule, day: date) -> bool:
    """Whether the rule, fired in every unit, means this day."""
    if rule.unit is Unit.QUARTER and day.month not in (1, 4, 7, 10):
        return False
    match rule.on:
        case Weekday(weekday):
            return day.weekday() == weekday
        case MonthDay(number):
            return day.day == number or (number > day.day and last_of_month(day))
        case NthWeekday(-1, weekday):
            return day.weekday() == weekday and (day + 7 * DAY).month != day.month
        case NthWeekday(nth, weekday):
            return day.weekday() == weekday and (day.day - 1) // 7 == nth - 1
        case WorkingDay(last):
            return first_weekday_of(day, -1 if last else 1)
        case YearDay(2, 29):
            return day.month == 2 and last_of_month(day)
        case YearDay(month, number):
            return (day.month, day.day) == (month, number)
        case _:
            return True


def walk(rule: Rule, start: date, count: int) -> list[Walked]:
    """The first periods on or after a start."""
    meant: list[date] = []
    day = start
    while len(meant) <= count * rule.every:
        if is_meant(rule, day):
            meant.append(day)
        day += DAY
    chosen = meant[:: rule.every]
    begins = [_begin(rule.unit, found) for found in chosen]
    names = [label(Unit.MONTH if rule.unit is Unit.QUARTER else rule.unit, found) for found in chosen]
    return [Walked(names[index], begins[index], begins[index + 1] - DAY, chosen[index]) for index in range(count)]


def _begin(unit: Unit, day: date) -> date:
    while label(unit, day - DAY) == label(unit, day):
        day -= DAY
    return day


def rfc_walk(text: str, start: date, since: date, until: date) -> list[date]:
    """The days of an RFC 5545 rule that names its days, found by asking each day of each interval."""
    parts = dict(part.split("=") for part in text.split(";"))
    of_interval: dict[int, list[date]] = {}
    week_begin = WEEKDAYS.index(parts.get("WKST", "MO"))
    unit = {
        "DAILY": date.toordinal,
        "WEEKLY": lambda day: (day.toordinal() - 1 - week_begin) // 7,
        "MONTHLY": lambda day: day.year * 12 + day.month,
        "YEARLY": lambda day: day.year,
    }[parts["FREQ"]]
    interval = int(parts.get("INTERVAL", "1"))
    day = start - 366 * DAY
    while day <= until + 366 * DAY:
        if (unit(day) - unit(start)) % interval == 0 and _fits(parts, day, week_begin):
            of_interval.setdefault(unit(day), []).append(day)
        day += DAY
    chosen = [day for days in of_interval.values() for index, day in enumerate(days) if _at(parts, index, len(days))]
    return [day for day in chosen if max(start, since) <= day <= until]


WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def _at(parts: dict[str, str], index: int, count: int) -> bool:
    places = [int(place) for place in parts.get("BYSETPOS", "").split(",") if place]
    return not places or index + 1 in places or index - count in places


def _fits(parts: dict[str, str], day: date, week_begin: int) -> bool:
    year_days = (date(day.year, 12, 31) - date(day.year, 1, 1)).days + 1
    month_days = next(number for number in (31, 30, 29, 28) if _exists(day.year, day.month, number))
    day_of_year = (day - date(day.year, 1, 1)).days + 1
    week, weeks = _week(day, week_begin)
    counted = {
        "BYMONTH": (day.month, 12),
        "BYMONTHDAY": (day.day, month_days),
        "BYYEARDAY": (day_of_year, year_days),
        "BYWEEKNO": (week, weeks),
    }
    for part, (number, most) in counted.items():
        wanted = [int(value) for value in parts.get(part, "").split(",") if value]
        if wanted and number not in wanted and number - most - 1 not in wanted:
            return False
    by_month = parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts
    here, most = (day.day, month_days) if by_month else (day_of_year, year_days)
    return "BYDAY" not in parts or any(_fits_day(item, day, here, most) for item in parts["BYDAY"].split(","))


def _fits_day(item: str, day: date, here: int, most: int) -> bool:
    if WEEKDAYS[day.weekday()] != item[-2:]:
        return False
    which = int(item[:-2] or 0)
    return which in (0, (here - 1) // 7 + 1, -((most - here) // 7 + 1))


def _exists(year: int, month: int, number: int) -> bool:
    try:
        date(year, month, number)
    except ValueError:
        return False
    return True


def _week(day: date, week_begin: int) -> tuple[int, int]:
    """(number of its week, weeks of the year that the week belongs to), weeks beginning on this weekday; the year has most of its days."""
    first = day - (day.weekday() - week_begin) % 7 * DAY
    year = (first + 3 * DAY).year
    return (_first_week(year, week_begin) - first).days // -7 + 1, (
        _first_week(year + 1, week_begin) - _first_week(year, week_begin)
    ).days // 7


def _first_week(year: int, week_begin: int) -> date:
    fourth = date(year, 1, 4)
    return fourth - (fourth.weekday() - week_begin) % 7 * DAY
