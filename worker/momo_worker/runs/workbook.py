"""XLSX workbooks: bytes come in, numbered lines of one visible sheet's cells go out; what hides or merges rows is refused.

Which sheets there are and what a style means is asked of openpyxl. The sheet itself and its texts are read in `sheet_lines` and
`shared_texts`: openpyxl's reader leaves out hidden rows, merged cells and rows out of order without a word, and takes three times as long.
"""

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError

from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import BUILTIN_FORMATS, BUILTIN_FORMATS_MAX_SIZE
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import SHARED_STRINGS

from momo_worker.runs.cell_values import CellValues, Styles
from momo_worker.runs.cells import FileError, Line, Sheet
from momo_worker.runs.shared_texts import shared_texts
from momo_worker.runs.sheet_lines import sheet_lines

UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
#: Of a part that openpyxl takes whole: the list of sheets, the styles.
PART_BYTES_MAX = 8 * 1024 * 1024
#: What zipfile, the XML parsers and openpyxl say to a file that isn't whole.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, ParseError, ExpatError, InvalidFileException, KeyError, ValueError, TypeError, AttributeError,
    IndexError, OSError, EOFError, NotImplementedError, RuntimeError, OverflowError,
)  # fmt: skip
_NOT_WHOLE = ("is no whole XLSX workbook", "open it, save it again as .xlsx, or save it as CSV")
_TOO_LARGE = ("unpacks to more than a gigabyte", "save only the sheet with the rows, without formats")
#: Percent, and a comma behind the last digit, which leaves out thousands.
_SCALING = re.compile(r"%|[0#?],+(?![0#?,])")
_NO_FORMAT_SIGNS = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


@dataclass(frozen=True, slots=True)
class _Tab:
    """A sheet, as its workbook names it."""

    title: str
    visible: bool
    part: str


class _Packed(zipfile.ZipFile):
    """A workbook's file, of which nothing large is taken whole; what is large is read in pieces."""

    def read(self, name: Any, pwd: bytes | None = None) -> bytes:
        entry = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)
        if entry.file_size > PART_BYTES_MAX:
            what = f"has {entry.file_size:,} bytes of {entry.filename}, and {PART_BYTES_MAX:,} are the most"
            raise FileError(what, "copy only the rows into a new workbook, without formats")
        return super().read(entry, pwd)


def workbook(content: bytes, wanted: str | None) -> Sheet:
    """The lines of a workbook's only visible sheet, or of the one that is named."""
    try:
        packed, book = _opened(content)
        tabs = _tabs(book)
    except _BROKEN as error:
        raise _as_told(error) from None
    chosen = _chosen(tabs, wanted)
    notes = [f"sheet {tab.title!r} is hidden and wasn't read" for tab in tabs if not tab.visible]
    notes += [f"sheet {tab.title!r} wasn't read" for tab in tabs if tab.visible and tab is not chosen]
    return Sheet(f"XLSX, sheet {chosen.title!r}", _lines(packed, book, chosen), tuple(notes))


def _as_told(error: Exception) -> FileError:
    """FileError is a ValueError, and says better than we could here what is wrong."""
    return error if isinstance(error, FileError) else FileError(*_NOT_WHOLE)


def _opened(content: bytes) -> tuple[_Packed, ExcelReader]:
    packed = _Packed(io.BytesIO(content))
    entries = packed.infolist()
    if sum(entry.file_size for entry in entries) > UNPACKED_BYTES_MAX:
        raise FileError(*_TOO_LARGE)
    if len({entry.filename for entry in entries}) < len(entries):
        raise FileError("holds two parts of one name, of which programs show one or the other", _NOT_WHOLE[1])
    with warnings.catch_warnings():
        # It warns of what it doesn't read: neither do we.
        warnings.simplefilter("ignore")
        book = ExcelReader(io.BytesIO(content), read_only=True, keep_links=False)
        book.archive.close()
        book.archive = packed
        book.read_manifest()
        book.read_workbook()
        apply_stylesheet(packed, book.wb)
    return packed, book


def _tabs(book: ExcelReader) -> list[_Tab]:
    """The sheets with cells, in the workbook's order; a chart that has a sheet of its own holds no rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            (sheet, relation) for sheet, relation in book.parser.find_sheets() if relation.target in book.valid_files
        ]
    return [
        _Tab(sheet.name, sheet.state == "visible", relation.target)
        for sheet, relation in found
        if "chartsheet" not in relation.Type
    ]


def _chosen(tabs: list[_Tab], wanted: str | None) -> _Tab:
    visible = [tab for tab in tabs if tab.visible]
    if wanted is None and len(visible) == 1:
        return visible[0]
    if wanted is None:
        names = ", ".join(repr(tab.title) for tab in visible) or "none that is visible"
        raise FileError(f"has {len(visible)} visible sheets ({names})", "name the one with the rows: --sheet NAME")
    found = next((tab for tab in visible if tab.title == wanted), None)
    if found is None:
        titles = [tab.title for tab in tabs]
        why = "is hidden" if wanted in titles else f"isn't among {', '.join(map(repr, titles))}"
        raise FileError(f"sheet {wanted!r} {why}", "name a visible one")
    return found


def _lines(packed: _Packed, book: ExcelReader, tab: _Tab) -> Iterator[Line]:
    """The sheet's lines. Raises FileError, also at the end."""
    try:
        texts = book.package.find(SHARED_STRINGS)  # type: ignore[no-untyped-call]
        cells = shared_texts(packed, texts.PartName.removeprefix("/")) if texts is not None else []
        yield from sheet_lines(packed, tab.part, CellValues(cells, _styles(book.wb)))
    except _BROKEN as error:
        raise _as_told(error) from None


def _styles(book: Any) -> Styles:
    return Styles(
        dates=frozenset(book._date_formats),  # noqa: SLF001 (a cell that is streamed knows its style's place only)
        durations=frozenset(book._timedelta_formats),  # noqa: SLF001
        scaled=_scaled_styles(book),
        epoch=book.epoch,
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
