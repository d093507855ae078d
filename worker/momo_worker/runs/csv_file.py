"""CSV files: bytes come in, numbered lines of cells go out, whatever their encoding and delimiter; nothing is cut off without a word."""

import csv
import io
import re
from collections.abc import Iterator

from momo_worker.runs.cells import CELLS_MAX, Cell, FileError, Kind, Line, Sheet, refuse_too_wide, text_cell
from momo_worker.runs.columns import looks_like_header

_DELIMITERS = ",;\t|"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
#: Excel's own way of saying what parts a CSV file.
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
#: Where a header is looked for, to tell by it what parts the file.
_LINES_TASTED = 20


def comma_separated(content: bytes) -> Sheet:
    """The lines of a CSV file."""
    text, notes = _decoded(content)
    if not text.strip():
        raise FileError("is empty", "`momo run template` writes an example")
    told, skipped = _told_delimiter(text)
    delimiter = told or _delimiter(text)
    return Sheet(f"CSV, parted by {delimiter!r}", _csv_lines(text, delimiter, skipped), notes)


def _decoded(content: bytes) -> tuple[str, tuple[str, ...]]:
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), None)
    note = ""
    try:
        text = content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None:
            raise FileError(f"begins as {encoding} and isn't", "save it again as CSV in UTF-8") from None
        text = _windows(content)
        note = "read as Windows-1252, since it isn't UTF-8: look whether the names' accents are right"
    if "\x00" in text:
        utf16 = encoding is None and "\x00" in text[:2]
        what = "is UTF-16 without the mark that says so" if utf16 else "holds bytes that no text has"
        raise FileError(what, "save it again as CSV in UTF-8, or as XLSX")
    return text, (note,) if note else ()


def _windows(content: bytes) -> str:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        raise FileError("is in no encoding that is known here", "save it again as CSV in UTF-8") from None


def _told_delimiter(text: str) -> tuple[str | None, int]:
    """The delimiter that the first line tells, and how many lines that takes."""
    told = _SEP_LINE.fullmatch(next(io.StringIO(text, newline=""), "").strip("\r\n"))
    return (told[1], 1) if told is not None else (None, 0)


def _delimiter(text: str) -> str:
    """What parts a header out of the first lines; where none does, what parts most lines alike, and most often."""
    return max(_DELIMITERS, key=lambda delimiter: _taste(text, delimiter))


def _taste(text: str, delimiter: str) -> tuple[bool, int, int]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) >= _LINES_TASTED:
                break
    except csv.Error:
        return (False, 0, 0)
    widths = [len(row) for row in rows if len(row) > 1]
    commonest = max(widths, key=widths.count, default=1)
    return (any(looks_like_header(row) for row in rows), widths.count(commonest), commonest)


def _csv_lines(text: str, delimiter: str, skipped: int) -> Iterator[Line]:
    source = io.StringIO(text, newline="")
    for _ in range(skipped):
        next(source)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    begins = skipped + 1
    try:
        for row in reader:
            ends = reader.line_num + skipped
            refuse_too_wide(begins, any(row[CELLS_MAX:]))
            yield Line(begins, tuple(map(_csv_cell, row[:CELLS_MAX])), ends - begins + 1)
            begins = ends + 1
    except csv.Error as error:
        raise FileError(
            f"can't be read from line {begins} on ({error})", "look for a quote that isn't closed"
        ) from None


def _csv_cell(value: str) -> Cell:
    cell = text_cell(value)
    # A spreadsheet would show what it computes, and not what stands here.
    return Cell(cell.text, Kind.FORMULA) if cell.text.startswith("=") else cell
