"""Rows that may be one payment written twice: a file's rows come in, what a person must answer goes out. Drops nothing: salary and bonus are legal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.runs.rows import Row

_LINES_TOLD = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that blocks the approval until somebody has answered it."""

    kind: str
    line: int
    told: str


def within_file(rows: Sequence[Row], exponent: int) -> list[Asked]:
    """Numbers, staff numbers and collections that stand in several rows, with all their lines."""
    by_number = _repeated(rows, lambda row: row.msisdn)
    by_id = _repeated(rows, lambda row: row.row_id)
    by_collection = _repeated(rows, lambda row: row.collection)
    asked = [_number_asked(number, group, exponent) for number, group in by_number.items()]
    for name, group in by_id.items():
        # One person under one number twice is asked about above.
        if len({row.msisdn for row in group}) > 1:
            asked.append(Asked("same_id", group[0].line, f"{name} has different numbers in lines {_lines(group)}"))
    for key, group in by_collection.items():
        asked.append(Asked("same_collection", group[0].line, f"{key} is refunded in lines {_lines(group)}"))
    return sorted(asked, key=lambda one: one.line)


def _repeated(rows: Sequence[Row], name_of: Callable[[Row], str | None]) -> dict[str, list[Row]]:
    """The rows of each name that more than one row has. A list for each row of a large run would cost more than all else here."""
    first: dict[str, Row] = {}
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = name_of(row)
        if name is None:
            continue
        before = first.setdefault(name, row)
        if before is not row:
            found.setdefault(name, [before]).append(row)
    return found


def _number_asked(number: str, group: Sequence[Row], exponent: int) -> Asked:
    amounts = [format_amount(row.amount_minor, exponent) for row in group]
    equal = len(set(amounts)) < len(amounts)
    kind = "same_number_and_amount" if equal else "same_number"
    told = f"{masked(number)} is in lines {_lines(group)} with {', '.join(amounts[:_LINES_TOLD])}"
    names = sorted({row.name for row in group if row.name})
    return Asked(kind, group[0].line, told + (f", as {' and '.join(names[:5])}" if len(names) > 1 else ""))


def _lines(group: Sequence[Row]) -> str:
    return listed_lines([row.line for row in group])


def listed_lines(lines: Sequence[int]) -> str:
    """Line numbers as people read them, the first of many."""
    shown = ", ".join(map(str, lines[:_LINES_TOLD]))
    return shown if len(lines) <= _LINES_TOLD else f"{shown} and {len(lines) - _LINES_TOLD:,} more"
