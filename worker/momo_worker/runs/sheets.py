"""Files of rows: a CSV or XLSX file's bytes come in, numbered lines of cells go out; what no run can be read from is refused whole.

What a file is, is told by its first bytes and not by its name. A cell keeps what it was (a number, a date, a formula), since a
spreadsheet's damage can only be recognised by that.
"""

import os
import stat
from pathlib import Path

from momo_worker.runs.cells import CELL_CHARACTERS_MAX, CELLS_MAX, Cell, FileError, Kind, Line, Sheet
from momo_worker.runs.csv_file import comma_separated
from momo_worker.runs.workbook import workbook

#: What a file is made of is asked for here; how each form is read stands in `csv_file` and `workbook`.
__all__ = ["CELLS_MAX", "CELL_CHARACTERS_MAX", "Cell", "FileError", "Kind", "Line", "Sheet", "open_sheet", "read_bytes"]

BYTES_MAX = 64 * 1024 * 1024
_FOREIGN = (
    (b"%pdf", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "a workbook of before 2007 (.xls), or one with a password"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<table", "a web page"),
    (b"<?xml", "an XML document"),
    (b"\x1f\x8b", "a compressed file"),
)


def read_bytes(path: Path) -> bytes:
    """The whole file at one moment. Raises FileError where it isn't there, is too large or changed meanwhile."""
    try:
        # Without waiting: a pipe would keep us until somebody writes into it.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            before = os.fstat(file.fileno())
            _refuse_what_is_no_file(before)
            content = file.read(BYTES_MAX + 1)
        after = path.stat()
    except FileNotFoundError:
        raise FileError("isn't there", "check the path") from None
    except IsADirectoryError:
        raise FileError("is a folder", "name a file in it") from None
    except PermissionError:
        raise FileError("can't be read by this user", "check who may read it") from None
    except OSError as error:
        raise FileError(f"can't be read ({error.strerror})", "check the path and the disk") from None
    if _identity(before) != _identity(after) or len(content) != before.st_size:
        raise FileError("changed while it was read", "close it in other programs and import it again")
    return content


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _refuse_what_is_no_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise FileError("is a pipe or a device", "write it to a file first, so that everyone can see what was imported")
    if status.st_size > BYTES_MAX:
        raise FileError(f"has {status.st_size:,} bytes", f"split it: {BYTES_MAX:,} are the most")


def _refuse_foreign(content: bytes) -> None:
    """What neither is CSV nor a workbook, whatever its name says."""
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for mark, what in _FOREIGN:
        if start.startswith(mark):
            raise FileError(
                f"is {what}, whatever its name says", "open it and save it as CSV or XLSX, without a password"
            )


def open_sheet(content: bytes, sheet: str | None = None) -> Sheet:
    """The lines of a file's only visible sheet, or of the one that is named. Raises FileError, also while the lines are read."""
    if not content or content.isspace():
        raise FileError("is empty", "`momo run template` writes an example")
    _refuse_foreign(content)
    if content.startswith(b"PK\x03\x04"):
        return workbook(content, sheet)
    if sheet is not None:
        raise FileError("is no workbook and has no sheets", "leave --sheet out")
    return comma_separated(content)
