"""What somebody says of a schedule, as text, becomes the schedule's fields, or every problem at once. Reads no ledger and no clock.

A word that isn't said leaves its field as it is; `none` empties one that may be empty.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, TypeVar

from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.payment.notes import NOTE_MAX
from momo_worker.runs.amounts import plain_amount
from momo_worker.runs.marks import hides_something
from momo_worker.schedules.refusals import Problem
from momo_worker.timing.calendars import OnHoliday, work_calendar
from momo_worker.timing.catching_up import catch_up_of
from momo_worker.timing.local_time import zone_of
from momo_worker.timing.problems import ScheduleError, did_you_mean
from momo_worker.timing.rules import rule_of

#: As for runs, since the rounds of a schedule are named after it.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
NONE = "none"
PER_PAYER = "per-payer"
_EXTRA_MAX = 200
_RULE_MAX = 500
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Said:
    """A schedule as a person writes it; None is not said."""

    name: str | None = None
    rule: str | None = None
    zone: str | None = None
    starts: str | None = None
    ends: str | None = None
    amount: str | None = None
    note: str | None = None
    holidays: str | None = None
    on_holiday: str | None = None
    extra_holidays: str | None = None
    catch_up: str | None = None

    def told(self) -> Mapping[str, str]:
        """What was said, by its word."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


@dataclass(frozen=True, slots=True)
class Read:
    """What was said, as fields of the ledger's schedule, and what is wrong with the rest."""

    values: Mapping[str, Any]
    problems: tuple[Problem, ...]


#: How a field is called where it is written: `--on-holiday`, or `schedules.toml, schedule 2 (fees): on_holiday`.
Place = Callable[[str], str]


def as_option(word: str) -> str:
    """Where a word stands on a command line."""
    return "--" + word.replace("_", "-")


def read_words(said: Said, currency: Currency, place: Place = as_option) -> Read:
    """Fields of a schedule, each as the ledger keeps it."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for word, text in said.told().items():
        field, read = _READERS[word]
        try:
            values[field] = read(text.strip(), currency)
        except ScheduleError as error:
            problems.append(Problem(place(word), text, error.reason, error.advice))
        except AmountError as error:
            problems.append(Problem(place(word), text, error.reason, error.advice))
    return Read(values, tuple(problems))


def day_of(text: str) -> date:
    """A day as ISO writes it. Raises ScheduleError."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        raise ScheduleError("is no day of the calendar", "check the month's length") from None
    raise ScheduleError("is no day", "write it as 2026-12-05: year, month, day")


def day_in(text: str) -> date:
    """A day, or the first day of a period's name: `2026-12`, `2026-W49`, `2026`. Raises ScheduleError."""
    try:
        if re.fullmatch(r"[0-9]{4}", text):
            return date(int(text), 1, 1)
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
            return date.fromisoformat(f"{text}-01")
        if re.fullmatch(r"[0-9]{4}-W[0-9]{2}", text):
            return date.fromisocalendar(int(text[:4]), int(text[6:]), 1)
    except ValueError:
        raise ScheduleError("is no period of the calendar", "write it as 2026-12, 2026-W49, 2026 or a day") from None
    return day_of(text)


def _or_none(read: Callable[[str, Currency], _Value]) -> Callable[[str, Currency], _Value | None]:
    return lambda text, currency: None if text.lower() in ("", NONE) else read(text, currency)


def _name(text: str, _: Currency) -> str:
    if not NAME.fullmatch(text):
        raise ScheduleError(
            "is no name of a schedule",
            "use up to 40 of A-Z a-z 0-9 . _ - and begin with a letter or digit, such as fees-2026",
        )
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise ScheduleError("looks like the id of a schedule", "names are for people: call it fees or rent")
    return text


def _rule(text: str, _: Currency) -> str:
    if len(text) > _RULE_MAX:
        raise ScheduleError(f"has {len(text)} characters", f"a rule has at most {_RULE_MAX}")
    # As we would write it: two spellings of one rule are no edit.
    return str(rule_of(text))


def _zone(text: str, _: Currency) -> str:
    return zone_of(text).key


def _day(text: str, _: Currency) -> str:
    return day_of(text).isoformat()


def _amount(text: str, currency: Currency) -> int | None:
    if text.lower() in (PER_PAYER, "per payer", ""):
        return None
    return parse_amount(plain_amount(text, currency), currency)


def _note(text: str, _: Currency) -> str | None:
    if hides_something(text):
        raise ScheduleError("has a line break or a mark that nobody sees in it", "write it anew, in one line")
    if len(text) > NOTE_MAX:
        raise ScheduleError(f"has {len(text)} characters", f"give at most {NOTE_MAX}")
    return text or None


def _holidays(text: str, _: Currency) -> str:
    country, dash, part = text.partition("-")
    country, part = country.strip(), part.strip()
    work_calendar(country.upper() if len(country) == 2 else country, part)  # noqa: PLR2004 - ISO 3166's two letters
    return f"{country.upper()}{dash}{part}"


def _on_holiday(text: str, _: Currency) -> str:
    words = tuple(OnHoliday)
    if text.lower() not in words:
        raise ScheduleError("is not known", did_you_mean(text.lower(), words, f"use one of {', '.join(words)}"))
    return text.lower()


def _extra_holidays(text: str, _: Currency) -> str:
    days = sorted({day_of(word).isoformat() for word in re.split(r"[\s,;]+", text) if word})
    if len(days) > _EXTRA_MAX:
        raise ScheduleError(f"are {len(days)} days", f"give at most {_EXTRA_MAX}")
    return " ".join(days)


def _catch_up(text: str, _: Currency) -> str:
    return str(catch_up_of(text))


_READERS: Mapping[str, tuple[str, Callable[[str, Currency], Any]]] = {
    "name": ("name", _name),
    "rule": ("rule", _rule),
    "zone": ("zone", _zone),
    "starts": ("starts_on", _day),
    "ends": ("ends_on", _or_none(_day)),
    "amount": ("amount_minor", _amount),
    "note": ("note", _note),
    "holidays": ("holidays", _or_none(_holidays)),
    "on_holiday": ("on_holiday", _on_holiday),
    "extra_holidays": ("extra_holidays", lambda text, currency: _or_none(_extra_holidays)(text, currency) or ""),
    "catch_up": ("catch_up", _catch_up),
}
