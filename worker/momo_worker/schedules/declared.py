"""`config/schedules.toml`: its text comes in, declared schedules go out, or all that is wrong with it; and a schedule becomes an entry of it.

The id alone says which schedule an entry is: its name, its place in the file and the file's own name mean nothing (money-review H1).
"""

import re
import tomllib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.money import format_amount
from momo_worker.schedules.refusals import Problem, refuse
from momo_worker.schedules.wording import NONE, PER_PAYER, Said
from momo_worker.timing.problems import did_you_mean

#: In the order in which an entry is written; those of `Said` are read as on the command line.
KEYS = (
    "id", "name", "account", "rule", "from", "zone", "starts", "ends", "amount", "payers", "note", "holidays", "on_holiday",
    "extra_holidays", "catch_up",
)  # fmt: skip
_NEEDED = ("id", "name", "rule", "payers")
_TEXT_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Declared:
    """One entry of the file."""

    number: int
    schedule_id: str
    account: str
    begins: str | None
    payers: str
    said: Said
    #: Whether the entry says a zone itself: where it doesn't, the market's counts, and not what an earlier version said.
    zone_said: bool
    file: str

    def place(self, word: str) -> str:
        """Where a key of it stands."""
        return f"{self.file}, schedule {self.number} ({self.said.name}): {word}"


def read_declared(text: str, file: str) -> tuple[Declared, ...]:
    """Every schedule of a file. Raises NotChangedError with every problem."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        refuse([Problem(file, "", f"is not TOML ({error})", "correct that line; text needs quotes, keys stand once")])
        raise
    problems = [
        Problem(
            file,
            key,
            "is read by nothing",
            did_you_mean(key, ("schedule",), "write each schedule below a line [[schedule]]"),
        )
        for key in document
        if key != "schedule"
    ]
    entries = document.get("schedule", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        refuse([*problems, Problem(file, "", "has a [schedule]", "write it with two brackets: [[schedule]]")])
    found = [_read(entry, number, file, problems) for number, entry in enumerate(entries, start=1)]
    declared = [one for one in found if one is not None]
    problems += _twice(declared)
    refuse(problems)
    return tuple(declared)


def _read(entry: Mapping[str, Any], number: int, file: str, problems: list[Problem]) -> Declared | None:
    label = entry["name"] if isinstance(entry.get("name"), str) else "no name"

    def place(word: str) -> str:
        return f"{file}, schedule {number} ({label}): {word}"

    before = len(problems)
    problems += [
        Problem(place(key), "", "is read by nothing", did_you_mean(key, KEYS, f"use {', '.join(KEYS)}"))
        for key in entry
        if key not in KEYS
    ]
    words = {key: _text(key, entry[key], place, problems) for key in KEYS if key in entry}
    problems += [Problem(place(key), "", "is missing", _ADVICE[key]) for key in _NEEDED if key not in entry]
    if "id" in entry and not _is_id(words["id"]):
        problems.append(Problem(place("id"), words["id"], "is no id of a schedule", _ADVICE["id"]))
    if len(problems) > before:
        return None
    return Declared(
        number,
        words["id"],
        words.get("account", "default"),
        words.get("from"),
        words["payers"],
        _said(words),
        "zone" in words,
        file,
    )


_ADVICE = {
    "id": "draw one once, with `momo schedule add … --print-toml`, and never change it: it says which schedule this is",
    "name": "call it fees-2026 or rent",
    "rule": "say when: monthly on 5, last working day, every 2 weeks on friday",
    "payers": "name a CSV or XLSX file, seen from this file's folder",
}


def _said(words: Mapping[str, str]) -> Said:
    """What an entry says; what it leaves out is as the defaults have it, so that a line taken out is taken back."""
    return Said(
        name=words["name"],
        rule=words["rule"],
        zone=words.get("zone"),
        starts=words.get("starts"),
        ends=words.get("ends", NONE),
        amount=words.get("amount", PER_PAYER),
        note=words.get("note", ""),
        holidays=words.get("holidays", NONE),
        on_holiday=words.get("on_holiday", "keep"),
        extra_holidays=words.get("extra_holidays", NONE),
        catch_up=words.get("catch_up", "all"),
    )


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _text(key: str, value: Any, place: Callable[[str], str], problems: list[Problem]) -> str:
    """A value as it would stand on a command line; a figure with decimals needs quotes, since a file's figure is no amount."""
    if isinstance(value, str) and len(value) <= _TEXT_MAX:
        return value
    if isinstance(value, date) and not isinstance(value, datetime) and key in ("from", "starts", "ends"):
        return value.isoformat()
    if key == "amount" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if key == "from" and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:04d}"
    if key == "extra_holidays" and isinstance(value, list) and all(_is_day(day) for day in value):
        return " ".join(day if isinstance(day, str) else day.isoformat() for day in value)
    advice = "write days as 2026-12-24" if key == "extra_holidays" else "write it as text, in quotes"
    problems.append(Problem(place(key), str(value)[:80], "is no text", advice))
    return ""


def _is_day(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, date) and not isinstance(value, datetime))


def _twice(declared: Sequence[Declared]) -> list[Problem]:
    problems, ids, names = [], dict[str, int](), dict[tuple[str, str], int]()
    for one in declared:
        other = ids.setdefault(one.schedule_id, one.number)
        if other != one.number:
            advice = "draw another for a new schedule: `momo schedule add … --print-toml`"
            problems.append(Problem(one.place("id"), one.schedule_id, f"is the id of schedule {other}, too", advice))
        other = names.setdefault((one.account, one.said.name or ""), one.number)
        if other != one.number:
            problems.append(
                Problem(
                    one.place("name"),
                    one.said.name or "",
                    f"is the name of schedule {other}, too",
                    "name one otherwise",
                )
            )
    return problems


def entry_of(schedule: Schedule, payers: str, begins: str | None) -> str:
    """A schedule as an entry of the file."""
    amount = None if schedule.amount_minor is None else format_amount(schedule.amount_minor, schedule.exponent)
    values = {
        "id": schedule.id,
        "name": schedule.name,
        "account": schedule.account,
        "rule": schedule.rule,
        "from": begins,
        "zone": schedule.zone,
        "starts": schedule.starts_on,
        "ends": schedule.ends_on,
        "amount": amount,
        "payers": payers,
        "note": schedule.note,
        "holidays": schedule.holidays,
        "on_holiday": schedule.on_holiday,
        "catch_up": schedule.catch_up,
    }
    lines = ["[[schedule]]", *(f"{key} = {_quoted(value)}" for key, value in values.items() if value is not None)]
    if schedule.extra_holidays:
        lines.append(f"extra_holidays = [{', '.join(_quoted(day) for day in schedule.extra_holidays.split())}]")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04X}", escaped) + '"'
