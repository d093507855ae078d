"""A report as a workbook: outcomes come in by pieces, a sheet of totals and a sheet of rows go out; written as it grows, never held whole.

Amounts are numbers, written digit by digit as they are: a float that stood between would change the last digits of some.
"""

from collections.abc import Sequence
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from momo_worker.runs.export import plain_cell, writable
from momo_worker.runs.outcomes import Outcome, Totals
from momo_worker.runs.report import AMOUNT, COLUMNS, COUNTS, OVERRIDES, WORDS, Subject, cells, override_cells

#: A spreadsheet keeps fifteen digits of a number; one with more stands as text.
_DIGITS_KEPT = 15
_CELL_MAX = 32_000
_WIDTHS = (7, 7, 14, 26, 16, 14, 9, 20, 38, 38, 20, 9, 38, 22, 24, 24, 24, 26, 34, 30, 14, 24, 40)
_BOLD = Font(bold=True)


class XlsxReport:
    """A workbook on its way."""

    def __init__(self, path: Path, subject: Subject) -> None:
        self._path = path
        self._subject = subject
        self._book = Workbook(write_only=True)
        self._summary: WriteOnlyWorksheet = self._book.create_sheet("Summary")
        self._rows: WriteOnlyWorksheet = self._book.create_sheet("Rows")
        self._money = "0" if subject.run.exponent == 0 else "0." + "0" * subject.run.exponent
        self._rows.freeze_panes = "A2"
        for place, width in enumerate(_WIDTHS):
            self._rows.column_dimensions[chr(ord("A") + place)].width = width
        for letter, width in (("A", 26), ("B", 20), ("C", 20), ("D", 46), ("E", 46)):
            self._summary.column_dimensions[letter].width = width
        self._rows.append([_text(self._rows, title, bold=True) for title in COLUMNS])

    def rows(self, piece: Sequence[Outcome]) -> None:
        """Write a piece of the rows."""
        for one in piece:
            told = cells(one, self._subject)
            self._rows.append([self._cell(place, text) for place, text in enumerate(told)])

    def _cell(self, place: int, text: str) -> Cell | None:
        if place == AMOUNT:
            return _number(self._rows, text, self._money)
        if place in COUNTS:
            return _number(self._rows, text, "0")
        return _text(self._rows, text) if text else None

    def finish(self, totals: Totals) -> None:
        """Write the sheet of totals, and the file."""
        sheet, subject = self._summary, self._subject
        for word, value in subject.facts():
            sheet.append([_text(sheet, word, bold=True), _text(sheet, value)])
        heads = ("state", "rows", f"amount ({subject.run.currency})")
        sheet.append([])
        sheet.append([_text(sheet, head, bold=True) for head in heads])
        counted = [(WORDS[state], count) for state, count in totals.by_state()]
        for word, count in (*counted, ("all", totals.all)):
            sheet.append([_text(sheet, word), *self._counts(sheet, count.rows, count.minor)])
        sheet.append([])
        sheet.append([_text(sheet, head, bold=True) for head in (*heads, "reason", "what to do")])
        for (state, _, reason, advice), count in totals.why_not():
            words = [_text(sheet, reason), _text(sheet, advice)]
            sheet.append([_text(sheet, WORDS[state]), *self._counts(sheet, count.rows, count.minor), *words])
        self._overrides(totals)
        self._book.save(self._path)

    def _overrides(self, totals: Totals) -> None:
        """Below the reasons: rows that the check would have stopped, with who answers for them."""
        sheet = self._summary
        if not totals.overrides:
            return
        sheet.append([])
        sheet.append([_text(sheet, head, bold=True) for head in OVERRIDES])
        for one in totals.overrides:
            sheet.append([_text(sheet, cell) for cell in override_cells(one, self._subject)])
        left = totals.overridden.rows - len(totals.overrides)
        if left:
            sheet.append([_text(sheet, f"and {left:,} more, which stand with the rows")])

    def close(self) -> None:
        """Nothing is held open: what openpyxl keeps beside goes with its process."""

    def _counts(self, sheet: WriteOnlyWorksheet, rows: int, minor: int) -> list[Cell]:
        return [_number(sheet, str(rows), "0"), _number(sheet, self._subject.money(minor), self._money)]


def _text(sheet: WriteOnlyWorksheet, text: str, *, bold: bool = False) -> Cell:
    cell = WriteOnlyCell(sheet, value=plain_cell(writable(text))[:_CELL_MAX])
    # Said and not guessed: what begins with "=" would be a formula, and what looks like one of its errors an error.
    cell.data_type = "s"
    if bold:
        cell.font = _BOLD
        cell.alignment = Alignment(vertical="top")
    return cell


def _number(sheet: WriteOnlyWorksheet, digits: str, shown_as: str) -> Cell:
    """A number by its digits: given as text and said to be a number, it is written as it is."""
    if len(digits.replace(".", "").lstrip("0")) > _DIGITS_KEPT:
        return _text(sheet, digits)
    cell = WriteOnlyCell(sheet, value=digits)
    cell.data_type = "n"
    cell.number_format = shown_as
    return cell
