"""One sheet's XML becomes lines of cells, and what hides lines or cells of it refuses the whole; holds no more of it than a piece.

Read straight off the parser: objects for each cell, as openpyxl makes them, take longer than all that is done with a run's rows.
"""

import re
import zipfile
from bisect import bisect_left
from collections.abc import Iterator

from openpyxl.utils import column_index_from_string, get_column_letter, range_boundaries

from momo_worker.runs.cell_values import CellValues
from momo_worker.runs.cells import CELLS_MAX, Cell, FileError, Line, refuse_too_wide
from momo_worker.runs.figures import figure
from momo_worker.runs.xml_pieces import main, read_pieces

_ROWS_MAX = 1_048_576
#: So many are named in a refusal.
_SHOWN = 10
_SAVE_AGAIN = "open it and save it again as .xlsx"
_UNSEEN = "nobody approves what isn't seen"
_NO_CELL = Cell("")
_CELL, _VALUE, _FORMULA, _INLINE, _TEXT, _SPOKEN = map(main, ("c", "v", "f", "is", "t", "rPh"))
_ROWS, _ROW, _COLUMN, _MERGED = map(main, ("sheetData", "row", "col", "mergeCell"))
_PLACE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})", re.ASCII)


def sheet_lines(packed: zipfile.ZipFile, part: str, values: CellValues) -> Iterator[Line]:
    """The sheet's lines; FileError, too, at the end of it, where merged cells are told and hidden rows are all known.

    Raises ValueError or KeyError for what no spreadsheet writes.
    """
    told = _Sheet(values)
    for _ in read_pieces(packed, part, told):
        yield from told.taken()
    told.refuse_what_hides()


class _Sheet:
    """Gathers lines, and keeps in mind what of them nobody sees."""

    def __init__(self, values: CellValues) -> None:
        self.values = values
        self.lines: list[Line] = []
        #: Of the text that is being read.
        self.parts: list[str] | None = None
        #: Of the row.
        self.number, self.written_number = 0, "0"
        self.in_row = self.hidden_row = self.rows_ended = False
        self.cells: list[Cell] = []
        #: Of the cell: None where it has none.
        self.in_cell = self.spoken = False
        self.column = 0
        self.attributes: dict[str, str] = {}
        self.value: str | None = None
        self.text: str | None = None
        self.formula: str | None = None
        self.formula_attributes: dict[str, str] = {}
        #: Of the sheet.
        self.columns: dict[str, int] = {}
        self.hidden_columns: set[int] = set()
        self.hidden: list[int] = []
        self.full: list[int] = []
        self.merged: list[str] = []

    def taken(self) -> list[Line]:
        lines, self.lines = self.lines, []
        return lines

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == _VALUE:
            self.parts = []
        elif name == _CELL:
            self.begin_cell(attributes)
        elif name == _ROW:
            self.begin_row(attributes)
        elif name == _TEXT:
            self.parts = None if self.spoken or self.text is None else []
        elif name == _INLINE:
            _refuse(self.text is not None, "two texts in a cell")
            self.text = ""
        elif name == _FORMULA:
            self.parts, self.formula_attributes = [], attributes
        elif name == _SPOKEN:
            self.spoken = True
        elif name == _COLUMN:
            self.see_column(attributes)
        elif name == _MERGED:
            self.see_merged(attributes["ref"])

    def end(self, name: str) -> None:
        if name == _VALUE:
            _refuse(self.value is not None, "two values in a cell")
            self.value = self.gathered()
        elif name == _CELL:
            self.end_cell()
        elif name == _ROW:
            self.end_row()
        elif name == _TEXT and self.parts is not None:
            self.text = (self.text or "") + self.gathered()
        elif name == _FORMULA:
            _refuse(self.formula is not None, "two formulas in a cell")
            self.formula = self.gathered()
        elif name == _SPOKEN:
            self.spoken = False
        elif name == _ROWS:
            self.rows_ended = True

    def gathered(self) -> str:
        parts, self.parts = self.parts or (), None
        return parts[0] if len(parts) == 1 else "".join(parts)

    def begin_row(self, attributes: dict[str, str]) -> None:
        _refuse(self.in_row or self.rows_ended, "a row where none may be")
        self.in_row = True
        written = attributes.get("r")
        number = self.number + 1 if written is None else int(figure(written))
        if number <= self.number:
            raise self.misplaced(number)
        self.number, self.written_number = number, str(number)
        self.hidden_row = _is_hidden(attributes, "ht")
        self.cells, self.column = [], 0

    def begin_cell(self, attributes: dict[str, str]) -> None:
        _refuse(self.in_cell or not self.in_row, "a cell where none may be")
        self.in_cell = True
        place = attributes.get("r")
        self.column = self.column + 1 if place is None else self.column_of(place)
        self.attributes = attributes
        self.value = self.text = self.formula = None

    def column_of(self, place: str) -> int:
        """The column of `D12` in row 12; the same letters come again in each row."""
        number = self.written_number
        column = self.columns.get(place[: -len(number)]) if place.endswith(number) else None
        if column is not None:
            return column
        told = _PLACE.fullmatch(place)
        if told is None:
            raise ValueError(f"{place!r} is no place of a cell")
        if int(told[2]) != self.number:
            raise self.misplaced(self.number)
        column = self.columns[told[1]] = column_index_from_string(told[1])
        return column

    def misplaced(self, number: int) -> FileError:
        return FileError(f"has row {number} in another place than its number says", _SAVE_AGAIN)

    def end_cell(self) -> None:
        self.in_cell = False
        if self.formula is not None:
            place = f"{get_column_letter(self.column)}{self.number}"
            cell: Cell | None = self.values.of_formula(self.formula, self.formula_attributes, place)
        else:
            cell = self.values.of(self.attributes, self.value, self.text)
        if cell is None:
            return
        place_in_line, cells = self.column - 1, self.cells
        refuse_too_wide(self.number, place_in_line >= CELLS_MAX)
        if place_in_line != len(cells):
            if place_in_line < len(cells):
                raise FileError(f"has two cells in one place in row {self.number}", _SAVE_AGAIN)
            cells.extend([_NO_CELL] * (place_in_line - len(cells)))
        cells.append(cell)

    def end_row(self) -> None:
        self.in_row = False
        texts = 0
        for cell in self.cells:
            if cell.text:
                texts += 1
        if texts > 1:
            self.full.append(self.number)
        if texts and self.hidden_row:
            self.hidden.append(self.number)
        for column in self.hidden_columns:
            if column <= len(self.cells) and self.cells[column - 1].text:
                what = f"has a hidden column ({get_column_letter(column)})"
                raise FileError(what, f"show it or delete it: {_UNSEEN}")
        self.lines.append(Line(self.number, tuple(self.cells)))

    def see_column(self, attributes: dict[str, str]) -> None:
        # After the first row, it would come too late for it.
        _refuse(self.number > 0, "a column's look behind its cells")
        first, last = int(attributes["min"]), int(attributes["max"])
        if _is_hidden(attributes, "width"):
            self.hidden_columns.update(range(first, min(last, CELLS_MAX) + 1))

    def see_merged(self, area: str) -> None:
        """A title alone in its line may be merged over several cells: it is no row of the run."""
        _refuse(not self.rows_ended, "merged cells in front of their rows")
        _, first, _, last = range_boundaries(area)
        at = bisect_left(self.full, first or 1)
        # Only so many are named, and a file may hold any number of them.
        if len(self.merged) <= _SHOWN and at < len(self.full) and self.full[at] <= (last or _ROWS_MAX):
            self.merged.append(area)

    def refuse_what_hides(self) -> None:
        if self.hidden:
            shown = ", ".join(map(str, self.hidden[:_SHOWN])) + (" …" if len(self.hidden) > _SHOWN else "")
            what = f"has {len(self.hidden):,} hidden rows ({shown})"
            raise FileError(what, f"show them or delete them: {_UNSEEN}")
        if self.merged:
            what = f"has merged cells ({', '.join(self.merged[:_SHOWN])})"
            raise FileError(what, "unmerge them: each row needs its own cells")


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    return attributes.get("hidden", "0") in ("1", "true") or attributes.get(size, "") in ("0", "0.0")


def _refuse(wrong: bool, what: str) -> None:
    """What would be read in two ways, by one program so and by another otherwise."""
    if wrong:
        raise ValueError(f"it has {what}")
