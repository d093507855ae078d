"""Figures of a workbook's cells: a number's text as the file has it comes in, the decimal text that people see comes out; never through a float.

A spreadsheet keeps binary numbers and saves them with seventeen digits: 150000.1 stands in the file as 150000.10000000001. It shows
fifteen and no more, whatever a cell's format: every decimal of up to fifteen digits comes back from that as it was entered, being also
the shortest one that is the same binary number. What is left behind the fifteenth digit is the binary's, as of 0.1 + 0.2, which is
saved as 0.30000000000000004 and seen by everybody as 0.3.
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal

SHOWN_DIGITS = 15
#: A double takes 24 characters at most; what is far longer was written by no spreadsheet.
_CHARACTERS_MAX = 400
_FIGURE = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_AS_SHOWN = Context(prec=SHOWN_DIGITS, rounding=ROUND_HALF_EVEN)
#: What is smaller, or has more digits in front of the point than are kept, is shown with an exponent.
_PLAIN_FROM = -4


def figure(text: str) -> str:
    """`150000.10000000001` and `1.5000010000000001E5` become `150000.1`; raises ValueError for what is no number."""
    # As most are written. A whole number that a program wrote in full is exact, however long it is.
    if text.isascii() and text.isdecimal() and len(text) <= _CHARACTERS_MAX:
        return text.lstrip("0") or "0"
    text = text.strip()
    if len(text) > _CHARACTERS_MAX or not _FIGURE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no number")
    number = _AS_SHOWN.create_decimal(text)
    if not number:
        return "0"
    return f"{number.normalize():f}" if _PLAIN_FROM <= number.adjusted() < SHOWN_DIGITS else _scientific(number)


def _scientific(number: Decimal) -> str:
    sign, digits, _ = number.normalize().as_tuple()
    first, *rest = map(str, digits)
    point = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{point}e{number.adjusted():+03d}"
