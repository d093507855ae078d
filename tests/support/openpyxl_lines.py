"""The lines of a workbook as openpyxl's own parser has them, cell object by cell object: what our reader, which takes a third of the time, is held to."""

import io
import warnings
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.formula.translate import TranslatorError
from openpyxl.worksheet._reader import WorkSheetParser

from momo_worker.runs.cells import CELLS_MAX, Cell, Kind, Line, text_cell
from momo_worker.runs.workbook import _scaled_styles

#: What it says to a sheet that isn't whole.
BROKEN = (ParseError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, TranslatorError)


class RefusedError(Exception):
    """A sheet that nobody may be paid by; the message is a word of the refusal's."""


def openpyxl_lines(content: bytes) -> list[Line]:
    """Of the first sheet. Raises RefusedError, or one of BROKEN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book: Any = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        with book._archive.open(sheet._worksheet_path) as source:
            parser: Any = WorkSheetParser(
                source,
                sheet._shared_strings,
                epoch=book.epoch,
                date_formats=book._date_formats,
                timedelta_formats=book._timedelta_formats,
            )
            rows = [(number, list(cells)) for number, cells in parser.parse()]
        book.close()
    lines = [_line(number, cells, _scaled_styles(book)) for number, cells in rows]
    _refuse_what_hides(parser, lines)
    return lines


def _line(number: int, cells: list[dict[str, Any]], scaled: frozenset[int]) -> Line:
    read: list[Cell] = []
    for cell in cells:
        if cell["row"] != number:
            raise RefusedError("in another place")
        if cell["value"] is None:
            continue
        place = cell["column"] - 1
        if place >= CELLS_MAX:
            raise RefusedError("more than 200 columns")
        if place < len(read):
            raise RefusedError("two cells in one place")
        read.extend([Cell("")] * (place - len(read)))
        read.append(_cell(cell["value"], cell["data_type"], scaled=cell["style_id"] in scaled))
    return Line(number, tuple(read))


def _cell(value: Any, data_type: str, *, scaled: bool) -> Cell:
    if data_type == "f":
        return Cell(text_cell(str(getattr(value, "text", value))).text, Kind.FORMULA)
    if data_type == "e":
        return Cell(text_cell(str(value)).text, Kind.ERROR)
    if isinstance(value, bool):
        return Cell(str(value).upper(), Kind.ERROR)
    if isinstance(value, (int, float)):
        return Cell(_fifteen_digits(value), Kind.SCALED if scaled else Kind.NUMBER)
    if isinstance(value, timedelta):
        return Cell(str(value), Kind.DATE)
    return text_cell(value) if isinstance(value, str) else Cell(value.isoformat(), Kind.DATE)


def _fifteen_digits(value: int | float) -> str:  # noqa: PYI041 (a spreadsheet has both, and they are told apart here)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 10**15):
        return str(int(value))
    return f"{value:.15g}"


def _refuse_what_hides(parser: Any, lines: list[Line]) -> None:
    before = 0
    texts = {line.number: sum(1 for cell in line.cells if cell.text) for line in lines}
    for line in lines:
        if line.number <= before:
            raise RefusedError("in another place")
        before = line.number
        if texts[line.number] and _hides(parser.row_dimensions.get(str(line.number), {}), "ht"):
            raise RefusedError("hidden rows")
    for column in parser.column_dimensions.values():
        places = range(int(column["min"]), int(column["max"]) + 1)
        if _hides(column, "width") and any(
            place <= len(line.cells) and line.cells[place - 1].text for line in lines for place in places
        ):
            raise RefusedError("hidden column")
    for area in parser.merged_cells.mergeCell if parser.merged_cells is not None else ():
        if any(texts.get(number, 0) > 1 for number in range(area.min_row, area.max_row + 1)):
            raise RefusedError("merged cells")


def _hides(attributes: dict[str, str], size: str) -> bool:
    return attributes.get("hidden", "0") in ("1", "true") or attributes.get(size, "") in ("0", "0.0")
