"""What a workbook's cell holds: its XML's attributes and texts come in, a cell as people see it goes out; a formula is never computed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from openpyxl.formula.tokenizer import TokenizerError
from openpyxl.formula.translate import Translator, TranslatorError
from openpyxl.utils.datetime import from_excel, from_ISO8601

from momo_worker.runs.cells import Cell, Kind, text_cell
from momo_worker.runs.figures import figure

_PLACE_OF_TEXT = re.compile(r"\s*[0-9]{1,9}\s*", re.ASCII)
_YES_NO = {"0": "FALSE", "false": "FALSE", "1": "TRUE", "true": "TRUE"}
#: As a spreadsheet shows a date that there isn't.
_NO_DATE = Cell("#VALUE!", Kind.ERROR)


@dataclass(frozen=True, slots=True)
class Styles:
    """What a number's style says of it; cells name their style by its place in the workbook's list."""

    dates: frozenset[int]
    durations: frozenset[int]
    #: Those under which a number is shown as another than it is.
    scaled: frozenset[int]
    #: The day that dates are counted from.
    epoch: datetime


@dataclass(frozen=True, slots=True)
class CellValues:
    """One workbook's texts and styles, which its cells point at."""

    texts: Sequence[Cell]
    styles: Styles
    _formulas: dict[str, Translator] = field(default_factory=dict)

    def of(self, attributes: Mapping[str, str], value: str | None, inline: str | None) -> Cell | None:
        """None for an empty cell. Raises ValueError or IndexError for what no spreadsheet writes."""
        kind = attributes.get("t", "n")
        if kind == "inlineStr":
            return None if inline is None else text_cell(inline)
        if not value:
            return None
        if kind == "n":
            return self._of_number(value, int(attributes.get("s", 0)))
        if kind == "s":
            return self._of_texts(value)
        return _of_another_kind(kind, value)

    def _of_texts(self, value: str) -> Cell:
        if not _PLACE_OF_TEXT.fullmatch(value):
            raise ValueError(f"{value!r} is no place among the texts")
        return self.texts[int(value)]

    def _of_number(self, value: str, style: int) -> Cell:
        shown = figure(value)
        if style in self.styles.dates:
            return self._of_date(value, duration=style in self.styles.durations)
        return Cell(shown, Kind.SCALED if style in self.styles.scaled else Kind.NUMBER)

    def _of_date(self, number: str, *, duration: bool) -> Cell:
        """A date is only told, and paid to nobody: days and their fractions may be a float."""
        try:
            found = from_excel(float(number), self.styles.epoch, timedelta=duration)
        except (OverflowError, ValueError):
            return _NO_DATE
        return Cell(str(found) if duration else found.isoformat(), Kind.DATE)

    def of_formula(self, written: str, attributes: Mapping[str, str], place: str) -> Cell:
        """The formula itself. A column of like formulas is written once, and the others say whose they are."""
        shown = text_cell(f"={written}").text
        if attributes.get("t") == "shared":
            shared = attributes.get("si", "")
            try:
                if shared in self._formulas:
                    shown = self._formulas[shared].translate_formula(place)
                elif written:
                    self._formulas[shared] = Translator(shown, place)
            except (TokenizerError, TranslatorError):
                # It is only told what stands there: that it is a formula, is enough.
                shown = "="
        return Cell(shown, Kind.FORMULA)


def _of_another_kind(kind: str, value: str) -> Cell:
    if kind == "e":
        return Cell(text_cell(value).text, Kind.ERROR)
    if kind == "b":
        return Cell(_YES_NO[value.strip()], Kind.ERROR)
    if kind == "d":
        found = from_ISO8601(value)  # type: ignore[no-untyped-call]
        return Cell(str(found) if isinstance(found, timedelta) else found.isoformat(), Kind.DATE)
    return text_cell(value)
