"""The texts that a workbook keeps apart from its sheets: that part of it comes in, the cells that they stand for go out, in its order.

What a hostile file could let grow is bounded: the whole part, the number of texts, and each of them.
"""

import zipfile

from momo_worker.runs.cells import Cell, FileError, text_cell
from momo_worker.runs.xml_pieces import main, read_pieces

#: As a CSV file may have. Ten texts of their own in each row of the largest run are a million.
BYTES_MAX = 64 * 1024 * 1024
TEXTS_MAX = 1_000_000
_ADVICE = "copy only the sheet with the rows into a new workbook, or save that sheet as CSV"
_ENTRY, _TEXT, _SPOKEN = main("si"), main("t"), main("rPh")


def shared_texts(packed: zipfile.ZipFile, part: str) -> list[Cell]:
    """One cell for each text, which every cell with that text is."""
    size = packed.getinfo(part).file_size
    if size > BYTES_MAX:
        raise FileError(f"holds {size:,} bytes of texts, and {BYTES_MAX:,} are the most", _ADVICE)
    told = _Texts()
    for _ in read_pieces(packed, part, told):
        if len(told.cells) > TEXTS_MAX:
            raise FileError(f"holds more than {TEXTS_MAX:,} different texts", _ADVICE)
    return told.cells


class _Texts:
    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.parts: list[str] | None = None
        self.text = ""
        #: Within a reading aid, as Japanese names have: it is shown above the text, and is none of it.
        self.spoken = False

    def start(self, name: str, _: dict[str, str]) -> None:
        if name == _TEXT and not self.spoken:
            self.parts = []
        elif name == _ENTRY:
            self.text = ""
        elif name == _SPOKEN:
            self.spoken = True

    def end(self, name: str) -> None:
        if name == _TEXT and self.parts is not None:
            # A text in several colours has several parts.
            self.text += "".join(self.parts)
            self.parts = None
        elif name == _ENTRY:
            # Excel's mark that an underscore behind it is only one.
            self.cells.append(text_cell(self.text.replace("x005F_", "")))
        elif name == _SPOKEN:
            self.spoken = False
