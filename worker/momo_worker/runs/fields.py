"""Fields of one line of a file: cells come in, checked values go out, with what is wrong or doubtful told of each; decides nothing about rows.

Reads what files of runs and of a schedule's payers have in common: a number, an amount, a name, a text without hidden marks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from momo_worker.payment.job import Terms
from momo_worker.payment.money import AmountError, parse_amount
from momo_worker.payment.msisdn import MsisdnError
from momo_worker.runs.amounts import SIGNS, other_currency, plain_amount
from momo_worker.runs.columns import HEADERS, Column, Header, HeaderError, Headers, find_columns, looks_like_header
from momo_worker.runs.marks import hides_something
from momo_worker.runs.numbers import read_number
from momo_worker.runs.sheets import Cell, FileError, Kind, Line

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


def find_header(
    lines: Iterator[Line], named: Mapping[Column, str], needed: Sequence[Column], headers: Headers = HEADERS
) -> tuple[int, Header]:
    """The first line that names fields. Where none does, the first that isn't empty says what is missing."""
    first: Line | None = None
    for seen, line in enumerate(lines):
        titles = [cell.text for cell in line.cells]
        if looks_like_header(titles, named, headers):
            return line.number, find_columns(titles, named, needed, headers)
        first = first or (None if line.empty else line)
        if seen + 1 >= _HEADER_WITHIN:
            break
    if first is None:
        raise FileError("has no line with anything in it", "`momo run template` writes an example")
    find_columns([cell.text for cell in first.cells], named, needed, headers)
    raise HeaderError(
        [(" | ".join(cell.text for cell in first.cells), "is no header", "name the columns in the first line")]
    )


def refuse_other_currency(header: Header, terms: Terms) -> None:
    """An amount's header that names another currency than the account's. Raises HeaderError."""
    place = header.places.get(Column.AMOUNT)
    title = "" if place is None else header.titles[place]
    other = other_currency(title, terms.currency)
    if other is not None:
        reason = f"is in {other}, and this account pays in {terms.currency.code}"
        raise HeaderError([(title, reason, "use the account of that market, or correct the header")])


_ABSENT = Cell("")


class FieldReader:
    """Reads the fields of one line after another, collecting problems instead of stopping at the first."""

    def __init__(self, header: Header, terms: Terms) -> None:
        self.header = header
        self.terms = terms
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self.line = Line(0, ())
        self.failed = False
        # A note may be what an amount's other half has fallen into; the other fields would refuse it.
        self.places_of_fields = {place for column, place in header.places.items() if column is not Column.NOTE}

    def begin(self, line: Line) -> None:
        """Turn to the next line, and see whether it holds together."""
        self.line, self.failed = line, False
        self.check_currency()
        self.check_shape()

    def cell(self, column: Column) -> Cell:
        place = self.header.places.get(column)
        if place is None or place >= len(self.line.cells):
            return _ABSENT
        return self.line.cells[place]

    def problem(self, column: Column, value: str, reason: str, advice: str) -> None:
        self.failed = True
        self.problems.append(self._finding(column, value, reason, advice))

    def warning(self, column: Column, value: str, reason: str) -> None:
        self.warnings.append(self._finding(column, value, reason, ""))

    def _finding(self, column: Column, value: str, reason: str, advice: str) -> Finding:
        place = self.header.places.get(column)
        title = self.header.titles[place] if place is not None else column.value
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
        cells, titles = self.line.cells, self.header.titles
        astray = [
            cell.text for place, cell in enumerate(cells) if cell.text and not (place < len(titles) and titles[place])
        ]
        if astray:
            self.failed = True
            advice = "put quotes around a value with the delimiter in it; give each column a header"
            self.problems.append(self._of_line(" | ".join(astray), "stands under no header", advice))
        if self.line.height > 1:
            reason = f"runs on to line {self.line.number + self.line.height - 1}: if these are several rows, a quote isn't closed"
            self.warnings.append(self._of_line("", reason))
        self.check_torn()

    def check_torn(self) -> None:
        """`150,000` without quotes is two cells: a hundred and fifty, and three zeros in the next column."""
        if Column.AMOUNT not in self.header.places:
            return
        place = self.header.places[Column.AMOUNT] + 1
        if place >= len(self.line.cells) or place in self.places_of_fields:
            return
        amount, behind = self.cell(Column.AMOUNT).text, self.line.cells[place].text
        if _THREE_DIGITS.fullmatch(behind) and _TORN.search(amount):
            reason = f"may be torn from {behind!r} behind it: an amount with a comma in it needs quotes around it"
            self.warning(Column.AMOUNT, amount, reason)

    def _of_line(self, value: str, reason: str, advice: str = "") -> Finding:
        return Finding(self.line.number, "the whole line", value, reason, advice)
