"""A part of a workbook, piece by piece: its packed bytes come in, calls for its elements go out; never holds more of it than a piece.

Expat itself fetches nothing from elsewhere. What makes a small file large, it isn't left to bound: a part that declares a document type, and
with it entities, is refused, and so is one whose single mark or text grows beyond all that a spreadsheet writes.
"""

import zipfile
from collections.abc import Callable, Iterator
from typing import NoReturn, Protocol
from xml.parsers import expat

from momo_worker.runs.cells import FileError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_BETWEEN = "}"
_PIECE_BYTES = 64 * 1024
#: A cell of a spreadsheet holds 32,767 characters at most.
_TEXT_CHARACTERS_MAX = 1024 * 1024
_MARK_BYTES_MAX = 1024 * 1024
_OVERGROWN = ("holds more in one place than any spreadsheet writes", "open it and save it again as .xlsx")


def main(tag: str) -> str:
    """A tag's name, as it is told to `start` and `end`."""
    return f"{MAIN}{_BETWEEN}{tag}"


class Told(Protocol):
    """Who is told of elements. While `parts` is a list, text is put into it."""

    parts: list[str] | None

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...


def read_pieces(packed: zipfile.ZipFile, part: str, told: Told) -> Iterator[None]:
    """Tell of the part's elements; comes back after each piece, for whoever takes what has been gathered."""
    parser = expat.ParserCreate(None, _BETWEEN)
    parser.buffer_text = True
    parser.StartElementHandler = told.start
    parser.EndElementHandler = told.end
    parser.CharacterDataHandler = _gathering(told)
    parser.StartDoctypeDeclHandler = _refuse_doctype
    taken = 0
    with packed.open(part) as source:
        while piece := source.read(_PIECE_BYTES):
            parser.Parse(piece, False)
            taken += len(piece)
            # A mark that goes on and on is kept whole until it ends.
            if taken - parser.CurrentByteIndex > _MARK_BYTES_MAX:
                raise FileError(*_OVERGROWN)
            yield
    parser.Parse(b"", True)
    yield


def _gathering(told: Told) -> Callable[[str], None]:
    length = 0

    def gather(text: str) -> None:
        nonlocal length
        if told.parts is None:
            return
        length = len(text) + (length if told.parts else 0)
        if length > _TEXT_CHARACTERS_MAX:
            raise FileError(*_OVERGROWN)
        told.parts.append(text)

    return gather


def _refuse_doctype(*_: object) -> NoReturn:
    raise FileError("declares a document type, as no spreadsheet does", "open it and save it again as .xlsx")
