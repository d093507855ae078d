"""A schedule's rule: plain words or an RFC 5545 rule come in, a frozen Rule goes out, and can be written back. Knows no calendar of holidays.

`monthly on 29`, `30` and `31` are the last day of months that are shorter; `yearly on 29 february` is the 28th in other years.
An RFC rule keeps RFC 5545's sense: `FREQ=MONTHLY;BYMONTHDAY=31` doesn't fire in short months.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from momo_worker.timing.problems import RuleError, did_you_mean
from momo_worker.timing.rfc import RfcRule, rfc_rule

AT = time(9, 0)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = tuple(calendar.month_name[month].lower() for month in range(1, 13))
NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
LAST_DAY = 31
#: The last day of month that every month has.
SHORTEST_MONTH = 28
_A_LEAP_YEAR = 2024


class Unit(StrEnum):
    """What a rule counts in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    RFC = "rfc"


EVERY_MAX = {Unit.DAY: 366, Unit.WEEK: 52, Unit.MONTH: 24, Unit.QUARTER: 1, Unit.YEAR: 10}
_ADVERBS = {
    "daily": Unit.DAY,
    "weekly": Unit.WEEK,
    "monthly": Unit.MONTH,
    "quarterly": Unit.QUARTER,
    "yearly": Unit.YEAR,
}
_EXAMPLES = "write for example `monthly on 5`, `monthly on last friday`, `last working day`, `every 2 weeks on friday` or `daily`"
_ASK_THE_DAY = {
    Unit.WEEK: "weekly on monday",
    Unit.MONTH: "monthly on 5",
    Unit.QUARTER: "quarterly on 5",
    Unit.YEAR: "yearly on 31 march",
}


@dataclass(frozen=True, slots=True)
class MonthDay:
    """A day of the month, or the month's last where it is shorter."""

    day: int


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """The first to fourth of a weekday in a month; -1 is the last."""

    nth: int
    weekday: int


@dataclass(frozen=True, slots=True)
class WorkingDay:
    """A month's first or last day that is neither weekend nor holiday."""

    last: bool


@dataclass(frozen=True, slots=True)
class Weekday:
    """A day of the week; Monday is 0."""

    weekday: int


@dataclass(frozen=True, slots=True)
class YearDay:
    """A day of the year; 29 February is the 28th where there is none."""

    month: int
    day: int


On = MonthDay | NthWeekday | WorkingDay | Weekday | YearDay | RfcRule | None


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule fires: each `every` units, `on` which day of them, `at` what local time."""

    unit: Unit
    every: int
    on: On
    at: time = AT

    def __str__(self) -> str:
        """The one spelling of it: reading it gives an equal rule. The time is always said, so that a default may change one day."""
        return f"{_days_text(self)} at {self.at:%H:%M}"


def rule_of(text: str) -> Rule:
    """Read a rule. Raises RuleError with an advice."""
    words = " ".join(text.split())
    if not words:
        raise RuleError("there is no rule", _EXAMPLES)
    said, at = _time_of_day(words)
    if re.match(r"(?:rrule:|freq=)", said, re.IGNORECASE):
        rfc = rfc_rule(said[6:] if said[:6].upper() == "RRULE:" else said)
        return Rule(Unit.RFC, rfc.interval, rfc, at)
    unit, every, on = _head(_plain(said))
    if unit is Unit.DAY:
        if on:
            raise RuleError(f"a rule by days has no `on {on}`", "leave it out, or say `weekly on …` or `monthly on …`")
        return Rule(unit, every, None, at)
    if not on:
        raise RuleError(f"`{words}` doesn't say on which day", f"write for example `{_ASK_THE_DAY[unit]}`")
    return Rule(unit, every, _on(unit, on), at)


def _time_of_day(words: str) -> tuple[str, time]:
    found = re.fullmatch(r"(.*?)(?: at (.*))?", words, re.IGNORECASE)
    said, at = (found[1], found[2]) if found else (words, None)
    if at is None:
        return said, AT
    clock = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", at)
    if not clock:
        raise RuleError(f"`at {at}` is no time of day", "write it with 24 hours, such as `at 09:00`")
    return said, time(int(clock[1]), int(clock[2]))


def _plain(said: str) -> str:
    """Lower case, without the words that say nothing, and 5 for 5th."""
    words = [word for word in said.lower().replace(",", " ").split() if word not in ("the", "of")]
    return " ".join(re.sub(r"^(\d+)(?:st|nd|rd|th)$", r"\1", word) for word in words)


def _head(said: str) -> tuple[Unit, int, str]:
    """How often, and what stands behind `on`."""
    if said.split(" ", 1)[0] in NTH:
        said = f"monthly on {said}"
    head, _, on = said.partition(" on ")
    if head in _ADVERBS:
        return _ADVERBS[head], 1, on
    found = re.fullmatch(r"every (?:(\d{1,4}) )?(day|week|month|quarter|year)s?", head)
    if not found:
        known = [*_ADVERBS, "every", *NTH, *(f"every {unit}" for unit in EVERY_MAX)]
        first = head.split(" ", 1)[0]
        advice = _EXAMPLES if first in known else did_you_mean(first, [*_ADVERBS, "every", *NTH], _EXAMPLES)
        raise RuleError(f"`{said}` is no rule", advice)
    unit, every = Unit(found[2]), int(found[1] or 1)
    if unit is Unit.QUARTER and every > 1:
        raise RuleError(f"`{head}` isn't known", f"write `every {3 * every} months on …`")
    if not 1 <= every <= EVERY_MAX[unit]:
        raise RuleError(f"`{head}` can't be", f"use 1 to {EVERY_MAX[unit]} {unit.value}s")
    return unit, every, on


def _on(unit: Unit, said: str) -> On:
    if unit is Unit.WEEK:
        return Weekday(_weekday(said))
    if unit is Unit.YEAR:
        return _year_day(said)
    on = _month_day(said)
    if unit is Unit.QUARTER and _from_the_end(on):
        # Of the quarter or of its first month? People mean either, and nobody's fees hang on a guess.
        raise RuleError(
            f"`quarterly on {said}` can be read in two ways",
            f"write `every 3 months on {said}`, with a start in the month that is meant",
        )
    return on


def _from_the_end(on: On) -> bool:
    match on:
        case MonthDay(day):
            return day > SHORTEST_MONTH
        case NthWeekday(nth, _):
            return nth < 0
        case WorkingDay(last):
            return last
        case _:
            return False


def _month_day(said: str) -> On:
    if re.fullmatch(r"\d+", said):
        if not 1 <= int(said) <= LAST_DAY:
            raise RuleError(f"no month has a day {said}", "use 1 to 31; 31 is the last day of every month")
        return MonthDay(int(said))
    if said == "last day":
        return MonthDay(LAST_DAY)
    if said in ("first working day", "last working day"):
        return WorkingDay(last=said.startswith("last"))
    which, _, day = said.partition(" ")
    if which in NTH and day:
        return NthWeekday(NTH[which], _weekday(day))
    if re.fullmatch(r"\d+(?: and \d+| \d+)+", said):
        listed = ",".join(re.findall(r"\d+", said))
        raise RuleError("a rule has one day", f"make two schedules, or write `RRULE:FREQ=MONTHLY;BYMONTHDAY={listed}`")
    if which == "fifth":
        raise RuleError("not every month has a fifth one", "write `last` instead, or use an RRULE")
    raise RuleError(
        f"`on {said}` is no day of a month",
        "write a figure, `last day`, `first monday`, `last friday` or `last working day`",
    )


def _weekday(said: str) -> int:
    for index, name in enumerate(WEEKDAYS):
        if said in (name, name[:3]):
            return index
    raise RuleError(f"`{said}` is no weekday", did_you_mean(said, WEEKDAYS, "write it in English, such as `monday`"))


def _year_day(said: str) -> YearDay:
    if re.match(r"\d{4}-", said):
        raise RuleError(f"`{said}` has a year in it", f"a yearly rule has none: `yearly on {said[5:]}`")
    figures = re.fullmatch(r"(\d{1,2})-(\d{1,2})", said)
    words = re.fullmatch(r"(?:(\d{1,2}) ([^\W\d]+)|([^\W\d]+) (\d{1,2}))", said)
    if figures:
        month, day = int(figures[1]), int(figures[2])
    elif words:
        month, day = _month(words[2] or words[3]), int(words[1] or words[4])
    else:
        raise RuleError(f"`on {said}` is no day of a year", "write it as `31 march` or as `03-31`, month first")
    if not 1 <= month <= len(MONTHS):
        raise RuleError(f"there is no month {month}", "write it as `31 march` or as `03-31`, month first")
    most = calendar.monthrange(_A_LEAP_YEAR, month)[1]
    if not 1 <= day <= most:
        raise RuleError(f"{MONTHS[month - 1]} has no day {day}", f"use 1 to {most}")
    return YearDay(month, day)


def _month(said: str) -> int:
    for index, name in enumerate(MONTHS, 1):
        if said in (name, name[:3]):
            return index
    raise RuleError(f"`{said}` is no month", did_you_mean(said, MONTHS, "write it in English, such as `march`"))


def _days_text(rule: Rule) -> str:
    if isinstance(rule.on, RfcRule):
        return f"RRULE:{rule.on}"
    adverbs = {unit: adverb for adverb, unit in _ADVERBS.items()}
    often = adverbs[rule.unit] if rule.every == 1 else f"every {rule.every} {rule.unit.value}s"
    on = _on_text(rule.on)
    return f"{often} on {on}" if on else often


def _on_text(on: On) -> str:
    match on:
        case MonthDay(day):
            return "last day" if day == LAST_DAY else str(day)
        case NthWeekday(nth, weekday):
            return f"{next(word for word, figure in NTH.items() if figure == nth)} {WEEKDAYS[weekday]}"
        case WorkingDay(last):
            return "last working day" if last else "first working day"
        case Weekday(weekday):
            return WEEKDAYS[weekday]
        case YearDay(month, day):
            return f"{day} {MONTHS[month - 1]}"
        case _:
            return ""
