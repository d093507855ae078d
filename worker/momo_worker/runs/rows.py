"""Rows of a run: a file's lines come in, checked rows go out with every problem and warning at once; nothing is dropped without a word.

Decides nothing about money: what is wrong with a row is told with line, column, value and what to do, and the run isn't imported.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from momo_worker.payment.job import Terms
from momo_worker.payment.money import AmountError, parse_amount
from momo_worker.payment.msisdn import MsisdnError
from momo_worker.payment.notes import NOTE_MAX
from momo_worker.payment.payment import Operation
from momo_worker.runs.amounts import SIGNS, other_currency, plain_amount
from momo_worker.runs.columns import Column, Header, HeaderError, find_columns, looks_like_header
from momo_worker.runs.marks import hides_something
from momo_worker.runs.numbers import read_number
from momo_worker.runs.sheets import Cell, FileError, Kind, Line

ROWS_MAX = 100_000
NAME_MAX = 120
ID_MAX = 64
KEY_MAX = 128
#: A title, a date and an empty line may stand above the header.
_HEADER_WITHIN = 20
#: A job's own rule for keys (design.md 6.1), so that no row is refused only when it is paid.
_KEY = re.compile(r"[A-Za-z0-9._:/@+=-]{1,128}", re.ASCII)
_EXACT = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_THREE_DIGITS = re.compile(r"[0-9]{3}", re.ASCII)
_TORN = re.compile(r"(?<![0-9])[0-9]{1,3}$", re.ASCII)
_REFUSED_KINDS = {
    Kind.FORMULA: ("is a formula", "copy the column and paste it as values"),
    Kind.ERROR: ("is an error or a yes/no of the spreadsheet", "write the value itself"),
    Kind.DATE: ("is a date", "format the column as text and enter the value again"),
    Kind.SCALED: (
        "is shown in percent or in thousands, so that people see another number",
        "format the column as a plain number",
    ),
    Kind.LONG: ("is far too long for a cell of a run", "write one value in it"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One payment of a run, as the file has it and MTN will be asked for it."""

    line: int
    row_id: str | None
    name: str | None
    msisdn: str | None
    amount_minor: int
    note: str | None = None
    collection: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or that a person should know: where it stands, what stands there, and what to do."""

    line: int
    column: str
    value: str
    reason: str
    advice: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "the file"
        shown = f" {self.value!r}" if self.value else ""
        return f"{where}, {self.column}:{shown} {self.reason}" + (f"; {self.advice}" if self.advice else "")


@dataclass(slots=True)
class Rows:
    """Everything that a file holds."""

    header: Header
    header_line: int
    rows: list[Row] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def total_minor(self) -> int:
        return sum(row.amount_minor for row in self.rows)


def needed_columns(operation: Operation) -> tuple[Column, ...]:
    """What a file of this operation can't do without."""
    if operation is Operation.REFUND:
        return (Column.COLLECTION, Column.AMOUNT)
    return (Column.NUMBER, Column.AMOUNT)


def read_rows(
    lines: Iterable[Line], operation: Operation, terms: Terms, named: Mapping[Column, str] | None = None
) -> Iterator[Rows]:
    """Yield the rows as they grow, each thousand lines and at the end, for whoever shows progress: always the same object.

    Raises FileError or HeaderError for a file without rows that could be read.
    """
    numbered = iter(lines)
    header_line, header = _header(numbered, operation, named or {})
    found = Rows(header, header_line)
    _refuse_other_currency(header, terms)
    reader = _Reader(found, operation, terms)
    taken = 0
    for count, line in enumerate(numbered, start=1):
        if not line.empty:
            taken += 1
            if taken > ROWS_MAX:
                raise FileError(f"has more than {ROWS_MAX:,} rows", "split it into several runs")
            reader.take(line)
        if count % 1_000 == 0:
            yield found
    if not found.rows and not found.problems:
        raise FileError("has a header and no rows", "write one row for each payment below it")
    yield found


def _header(lines: Iterator[Line], operation: Operation, named: Mapping[Column, str]) -> tuple[int, Header]:
    """The first line that names fields. Where none does, the first that isn't empty says what is missing."""
    first: Line | None = None
    for seen, line in enumerate(lines):
        titles = [cell.text for cell in line.cells]
        if looks_like_header(titles, named):
            return line.number, find_columns(titles, named, needed_columns(operation))
        first = first or (None if line.empty else line)
        if seen + 1 >= _HEADER_WITHIN:
            break
    if first is None:
        raise FileError("has no line with anything in it", "`momo run template` writes an example")
    find_columns([cell.text for cell in first.cells], named, needed_columns(operation))
    raise HeaderError(
        [(" | ".join(cell.text for cell in first.cells), "is no header", "name the columns in the first line")]
    )


def _refuse_other_currency(header: Header, terms: Terms) -> None:
    title = header.titles[header.places[Column.AMOUNT]]
    other = other_currency(title, terms.currency)
    if other is not None:
        reason = f"is in {other}, and this account pays in {terms.currency.code}"
        raise HeaderError([(title, reason, "use the account of that market, or correct the header")])


_ABSENT = Cell("")


class _Reader:
    """Reads one line after another, collecting problems instead of stopping at the first."""

    def __init__(self, found: Rows, operation: Operation, terms: Terms) -> None:
        self.found = found
        self.operation = operation
        self.terms = terms
        self.line = Line(0, ())
        self.failed = False
        # A note may be what an amount's other half has fallen into; the other fields would refuse it.
        self.places_of_fields = {place for column, place in found.header.places.items() if column is not Column.NOTE}

    def take(self, line: Line) -> None:
        self.line, self.failed = line, False
        refund = self.operation is Operation.REFUND
        self.check_currency()
        self.check_shape()
        row = (
            line.number,
            self.text(Column.ID, ID_MAX),
            self.name(),
            None if refund else self.number(),
            self.amount(),
            self.text(Column.NOTE, NOTE_MAX),
            self.key(Column.COLLECTION, required=True) if refund else None,
            self.key(Column.REPLACES),
        )
        if not self.failed:
            self.found.rows.append(Row(*row))

    def cell(self, column: Column) -> Cell:
        place = self.found.header.places.get(column)
        if place is None or place >= len(self.line.cells):
            return _ABSENT
        return self.line.cells[place]

    def problem(self, column: Column, value: str, reason: str, advice: str) -> None:
        self.failed = True
        self.found.problems.append(self._finding(column, value, reason, advice))

    def warning(self, column: Column, value: str, reason: str) -> None:
        self.found.warnings.append(self._finding(column, value, reason, ""))

    def _finding(self, column: Column, value: str, reason: str, advice: str) -> Finding:
        place = self.found.header.places.get(column)
        title = self.found.header.titles[place] if place is not None else column.value
        return Finding(self.line.number, title, value, reason, advice)

    def plain(self, column: Column, *, required: bool = False) -> str | None:
        """The cell's text; None where it is empty or was refused."""
        cell = self.cell(column)
        refused = None if cell.kind is Kind.TEXT else _REFUSED_KINDS.get(cell.kind)
        if refused is not None:
            self.problem(column, cell.text, *refused)
        elif not cell.text and required:
            self.problem(column, "", "is missing", "fill it in, or take the line out, as one of totals")
        else:
            return cell.text or None
        return None

    def text(self, column: Column, longest: int, *, required: bool = False) -> str | None:
        value = self.plain(column, required=required)
        if value is None:
            return None
        if hides_something(value):
            self.problem(
                column, value, "has a line break or a mark that nobody sees in it", "type it anew, in one line"
            )
        elif len(value) > longest:
            self.problem(column, value[:longest] + "…", f"has {len(value)} characters", f"shorten it to {longest}")
        else:
            return value
        return None

    def key(self, column: Column, *, required: bool = False) -> str | None:
        value = self.text(column, KEY_MAX, required=required)
        if value is not None and not _KEY.fullmatch(value):
            self.problem(column, value, "has characters that no key has", "use A-Z a-z 0-9 . _ : / @ + = - only")
            return None
        return value

    def name(self) -> str | None:
        parts = [self.text(column, NAME_MAX) for column in (Column.FIRST_NAME, Column.NAME, Column.LAST_NAME)]
        return " ".join(part for part in parts if part) or None

    def number(self) -> str | None:
        value = self.plain(Column.NUMBER, required=True)
        if value is None:
            return None
        if self.cell(Column.NUMBER).kind is Kind.NUMBER and not value.isdecimal() and "e" not in value:
            self.problem(
                Column.NUMBER,
                value,
                "is a figure with a sign or decimals",
                "format the column as text and enter the number again",
            )
            return None
        try:
            number = read_number(value, self.terms.region)
        except MsisdnError as error:
            self.problem(Column.NUMBER, value, error.reason, error.advice)
            return None
        for said in number.warnings:
            self.warning(Column.NUMBER, value, said)
        return number.msisdn

    def amount(self) -> int:
        value = self.plain(Column.AMOUNT, required=True)
        if value is None:
            return 0
        try:
            # A number of a workbook has its decimals behind the point, and nothing to guess.
            exact = self.cell(Column.AMOUNT).kind is Kind.NUMBER and _EXACT.fullmatch(value)
            return parse_amount(value if exact else plain_amount(value, self.terms.currency), self.terms.currency)
        except AmountError as error:
            self.problem(Column.AMOUNT, value, error.reason, error.advice)
            return 0

    def check_currency(self) -> None:
        value = self.plain(Column.CURRENCY)
        if value is not None and value.upper() not in (
            self.terms.currency.code,
            *SIGNS.get(self.terms.currency.code, ()),
        ):
            advice = "one run pays in one currency: use the account of the other market for these rows"
            self.problem(Column.CURRENCY, value, f"is not this account's, which is {self.terms.currency.code}", advice)

    def check_shape(self) -> None:
        """What a line tells of values that were torn apart, and of lines that were run together, when the file was written."""
        cells, titles = self.line.cells, self.found.header.titles
        astray = [
            cell.text for place, cell in enumerate(cells) if cell.text and not (place < len(titles) and titles[place])
        ]
        if astray:
            self.failed = True
            advice = "put quotes around a value with the delimiter in it; give each column a header"
            self.found.problems.append(self._of_line(" | ".join(astray), "stands under no header", advice))
        if self.line.height > 1:
            reason = f"runs on to line {self.line.number + self.line.height - 1}: if these are several rows, a quote isn't closed"
            self.found.warnings.append(self._of_line("", reason))
        self.check_torn()

    def check_torn(self) -> None:
        """`150,000` without quotes is two cells: a hundred and fifty, and three zeros in the next column."""
        place = self.found.header.places[Column.AMOUNT] + 1
        if place >= len(self.line.cells) or place in self.places_of_fields:
            return
        amount, behind = self.cell(Column.AMOUNT).text, self.line.cells[place].text
        if _THREE_DIGITS.fullmatch(behind) and _TORN.search(amount):
            reason = f"may be torn from {behind!r} behind it: an amount with a comma in it needs quotes around it"
            self.warning(Column.AMOUNT, amount, reason)

    def _of_line(self, value: str, reason: str, advice: str = "") -> Finding:
        return Finding(self.line.number, "the whole line", value, reason, advice)


def by_line(findings: Sequence[Finding]) -> dict[int, list[Finding]]:
    """Findings by the line they speak of."""
    found: dict[int, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.line, []).append(finding)
    return found
