"""XLSX workbooks: bytes come in, numbered lines of one visible sheet's cells go out; what hides or merges rows is refused.

The lines are asked of openpyxl's parser of one sheet: its public reader leaves out hidden rows, merged cells and rows out of order
without a word.
"""

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import INLINE_STRING, VALUE_TAG, WorkSheetParser

from momo_worker.runs.cells import CELLS_MAX, Cell, FileError, Kind, Line, Sheet, refuse_too_wide, text_cell

UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
#: What zipfile, the XML parser and openpyxl say to a file that isn't whole.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, ParseError, InvalidFileException, KeyError, ValueError, TypeError, AttributeError, IndexError,
    OSError, EOFError, NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip
_NOT_WHOLE = ("is no whole XLSX workbook", "open it, save it again as .xlsx, or save it as CSV")
#: Percent, and a comma behind the last digit, which leaves out thousands.
_SCALING = re.compile(r"%|[0#?],+(?![0#?,])")
_NO_FORMAT_SIGNS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_LINES_AT_ONCE = 500
#: So many are named in a refusal.
_SHOWN = 10
_WHOLE_FLOAT_MAX = 10**15
_NO_CELL = Cell("")


def workbook(content: bytes, wanted: str | None) -> Sheet:
    """The lines of a workbook's only visible sheet, or of the one that is named."""
    try:
        book = _opened(content)
    except FileError:
        raise
    except _BROKEN:
        raise FileError(*_NOT_WHOLE) from None
    visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    hidden = [sheet.title for sheet in book.worksheets if sheet.sheet_state != "visible"]
    chosen = _chosen(visible, [sheet.title for sheet in book.worksheets], wanted)
    notes = [f"sheet {title!r} is hidden and wasn't read" for title in hidden]
    notes += [f"sheet {sheet.title!r} wasn't read" for sheet in visible if sheet is not chosen]
    return Sheet(f"XLSX, sheet {chosen.title!r}", _lines(book, chosen), tuple(notes))


def _opened(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > UNPACKED_BYTES_MAX:
            raise FileError("unpacks to more than a gigabyte", "save only the sheet with the rows, without formats")
    with warnings.catch_warnings():
        # It warns of charts and rules that it doesn't read: neither do we.
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)


def _chosen(visible: list[Any], titles: list[str], wanted: str | None) -> Any:
    if wanted is None and len(visible) == 1:
        return visible[0]
    if wanted is None:
        names = ", ".join(repr(sheet.title) for sheet in visible) or "none that is visible"
        raise FileError(f"has {len(visible)} visible sheets ({names})", "name the one with the rows: --sheet NAME")
    found = next((sheet for sheet in visible if sheet.title == wanted), None)
    if found is None:
        why = "is hidden" if wanted in titles else f"isn't among {', '.join(map(repr, titles))}"
        raise FileError(f"sheet {wanted!r} {why}", "name a visible one")
    return found


def _lines(book: Any, sheet: Any) -> Iterator[Line]:
    """The sheet's lines; FileError, too, at the end of it, where merged cells are told and hidden rows are all known."""
    reader = _SheetReader(book)
    try:
        with book._archive.open(sheet._worksheet_path) as source:  # noqa: SLF001 (see above: the public reader drops what hides)
            parser = _Parser(
                source,
                sheet._shared_strings,  # noqa: SLF001
                epoch=book.epoch,
                date_formats=book._date_formats,  # noqa: SLF001
                timedelta_formats=book._timedelta_formats,  # noqa: SLF001
            )
            parsed = parser.parse()
            while batch := _next_lines(parsed):
                yield from (reader.line(parser, number, cells) for number, cells in batch)
            reader.refuse_what_hides(parser)
    except FileError:
        raise
    except _BROKEN:
        raise FileError(*_NOT_WHOLE) from None


class _Parser(WorkSheetParser):
    """openpyxl's, with a shorter way for plain texts and numbers, which nearly all cells are: a third of the time."""

    def parse_cell(self, element: Any) -> dict[str, Any]:
        place, style = element.get("r"), int(element.get("s", 0))
        plain = self.plain(element, style) if place and len(element) == 1 else None
        if plain is None:
            return super().parse_cell(element)
        letters = place.rstrip("0123456789")
        self.col_counter = column_index_from_string(letters)
        row = int(place[len(letters) :])
        return {"row": row, "column": self.col_counter, "value": plain[0], "data_type": plain[1], "style_id": style}

    def plain(self, element: Any, style: int) -> tuple[Any, str] | None:
        """Value and type of a cell with nothing but a text or a number in it."""
        kind, child = element.get("t", "n"), element[0]
        if child.tag == VALUE_TAG and child.text:
            if kind == "s":
                return self.shared_strings[int(child.text)], "s"
            if kind == "n" and style not in self.date_formats:
                return _number(child.text), "n"
        if kind == "inlineStr" and child.tag == INLINE_STRING and len(child) == 1 and len(child[0]) == 0:
            return child[0].text or "", "s"
        return None


def _number(text: str) -> int | float:
    # Told apart by their form and not by trying: a spreadsheet's own numbers come in either.
    return int(text) if text.isdecimal() else float(text)


def _next_lines(parsed: Iterator[tuple[int, list[dict[str, Any]]]]) -> list[tuple[int, list[dict[str, Any]]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(islice(parsed, _LINES_AT_ONCE))


class _SheetReader:
    """Makes lines of a sheet's rows, and keeps in mind what of them nobody sees."""

    def __init__(self, book: Any) -> None:
        self.scaled = _scaled_styles(book)
        self.last = 0
        self.full: set[int] = set()
        self.hidden: list[int] = []
        self.hidden_columns: frozenset[int] | None = None

    def line(self, parser: Any, number: int, cells: list[dict[str, Any]]) -> Line:
        if number <= self.last or any(cell["row"] != number for cell in cells):
            raise FileError(
                f"has row {number} in another place than its number says", "open it and save it again as .xlsx"
            )
        self.last = number
        read: list[Cell] = []
        for cell in cells:
            if cell["value"] is None:
                continue
            place = cell["column"] - 1
            refuse_too_wide(number, place >= CELLS_MAX)
            if place < len(read):
                raise FileError(f"has two cells in one place in row {number}", "open it and save it again as .xlsx")
            read.extend([_NO_CELL] * (place - len(read)))
            read.append(_cell(cell["value"], cell["data_type"], scaled=cell["style_id"] in self.scaled))
        line = Line(number, tuple(read))
        self.look(parser, line)
        return line

    def look(self, parser: Any, line: Line) -> None:
        """What hides this line or a cell of it."""
        row = parser.row_dimensions.pop(str(line.number), {})
        texts = sum(1 for cell in line.cells if cell.text)
        if texts > 1:
            self.full.add(line.number)
        if texts and _is_hidden(row, "ht"):
            self.hidden.append(line.number)
        if self.hidden_columns is None:
            self.hidden_columns = _hidden_columns(parser.column_dimensions.values())
        for place in self.hidden_columns:
            if place <= len(line.cells) and line.cells[place - 1].text:
                letter = get_column_letter(place)
                raise FileError(
                    f"has a hidden column ({letter})", "show it or delete it: nobody approves what isn't seen"
                )

    def refuse_what_hides(self, parser: Any) -> None:
        if self.hidden:
            shown = ", ".join(map(str, self.hidden[:_SHOWN])) + (" …" if len(self.hidden) > _SHOWN else "")
            what = f"has {len(self.hidden):,} hidden rows ({shown})"
            raise FileError(what, "show them or delete them: nobody approves what isn't seen")
        ranges = parser.merged_cells.mergeCell if parser.merged_cells is not None else ()
        # A title alone in its line may be merged over several cells: it is no row of the run.
        merged = [area.ref for area in ranges if not self.full.isdisjoint(range(area.min_row, area.max_row + 1))]
        if merged:
            raise FileError(
                f"has merged cells ({', '.join(merged[:_SHOWN])})", "unmerge them: each row needs its own cells"
            )


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    return attributes.get("hidden", "0") in ("1", "true") or attributes.get(size, "") in ("0", "0.0")


def _hidden_columns(columns: Any) -> frozenset[int]:
    hidden = [column for column in columns if _is_hidden(column, "width")]
    return frozenset(
        place for column in hidden for place in range(int(column["min"]), min(int(column["max"]), CELLS_MAX) + 1)
    )


def _scaled_styles(book: Any) -> frozenset[int]:
    """The styles under which a number is shown as another than it is."""
    return frozenset(
        place
        for place, style in enumerate(book._cell_styles)  # noqa: SLF001 (a cell that is streamed knows its style's place only)
        if _SCALING.search(_NO_FORMAT_SIGNS.sub("", _format(book, style.numFmtId)))
    )


def _format(book: Any, number: int) -> str:
    if number < BUILTIN_FORMATS_MAX_SIZE:
        return str(BUILTIN_FORMATS.get(number, ""))
    return str(book._number_formats[number - BUILTIN_FORMATS_MAX_SIZE])  # noqa: SLF001


def _cell(value: Any, data_type: str, *, scaled: bool) -> Cell:
    if data_type == "f":
        # An array's formula is an object with the text in it.
        return Cell(text_cell(str(getattr(value, "text", value))).text or "=", Kind.FORMULA)
    if data_type == "e":
        return Cell(text_cell(str(value)).text, Kind.ERROR)
    if isinstance(value, bool):
        return Cell(str(value).upper(), Kind.ERROR)
    if isinstance(value, (int, float)):
        return Cell(_plain(value), Kind.SCALED if scaled else Kind.NUMBER)
    if isinstance(value, (datetime, date, time)):
        return Cell(value.isoformat(), Kind.DATE)
    if isinstance(value, timedelta):
        return Cell(str(value), Kind.DATE)
    return text_cell(str(value))


def _plain(value: int | float) -> str:  # noqa: PYI041 (a spreadsheet has both, and they are told apart here)
    """Fifteen digits are what a spreadsheet keeps and shows; what a float has behind them is the binary's."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < _WHOLE_FLOAT_MAX):
        return str(int(value))
    return f"{value:.15g}"
