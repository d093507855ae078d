"""What a file of rows is made of: cells that keep what they were, in numbered lines; a file that can't be read says why and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

CELL_CHARACTERS_MAX = 4_096
CELLS_MAX = 200


class FileError(ValueError):
    """A file that can't be read as a whole; `reason` says why, `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason
        self.advice = advice


class Kind(StrEnum):
    """What a cell holds. A CSV file has text only."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    FORMULA = "formula"
    ERROR = "error"
    #: Shown in percent or in thousands: what it holds is another number than what people see.
    SCALED = "scaled"
    #: Longer than anything that is read here; only its beginning is kept.
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell's text, as a person sees it, and what it is."""

    text: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file under the number that an editor or a spreadsheet shows; `height` is how many of a CSV file's it takes."""

    number: int
    cells: tuple[Cell, ...]
    height: int = 1

    @property
    def empty(self) -> bool:
        return not any(cell.text for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Lines to be read once, and what a person should know of how they were read."""

    form: str
    lines: Iterator[Line]
    notes: tuple[str, ...] = field(default=())


def refuse_too_wide(number: int, wide: bool) -> None:
    """A cell that no one would read must not be cut off without a word."""
    if wide:
        raise FileError(
            f"has more than {CELLS_MAX} columns in line {number}", "save only the columns that the run needs"
        )


def text_cell(value: str) -> Cell:
    """A cell of text without the spaces around it."""
    value = value.strip()
    if len(value) > CELL_CHARACTERS_MAX:
        return Cell(value[:CELL_CHARACTERS_MAX], Kind.LONG)
    return Cell(value)
