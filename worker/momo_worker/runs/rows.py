"""Rows of a run: a file's lines come in, checked rows go out with every problem and warning at once; nothing is dropped without a word.

Decides nothing about money: what is wrong with a row is told with line, column, value and what to do, and the run isn't imported.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from momo_worker.payment.job import Terms
from momo_worker.payment.notes import NOTE_MAX
from momo_worker.payment.payment import Operation
from momo_worker.runs.columns import Column, Header
from momo_worker.runs.fields import ID_MAX, FieldReader, Finding, find_header, refuse_other_currency
from momo_worker.runs.sheets import FileError, Line

ROWS_MAX = 100_000


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
    header_line, header = find_header(numbered, named or {}, needed_columns(operation))
    found = Rows(header, header_line)
    refuse_other_currency(header, terms)
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


class _Reader(FieldReader):
    """Reads one line after another into the rows."""

    def __init__(self, found: Rows, operation: Operation, terms: Terms) -> None:
        super().__init__(found.header, terms)
        self.found = found
        self.operation = operation
        self.problems, self.warnings = found.problems, found.warnings

    def take(self, line: Line) -> None:
        self.begin(line)
        refund = self.operation is Operation.REFUND
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


def by_line(findings: Sequence[Finding]) -> dict[int, list[Finding]]:
    """Findings by the line they speak of."""
    found: dict[int, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.line, []).append(finding)
    return found
