"""What we write into spreadsheets: any text comes in, text that no spreadsheet runs goes out."""

import re

#: A cell that begins so is taken for a formula by one spreadsheet or another, also behind a tab or a line break.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
#: A spreadsheet of a country that writes decimals with a comma parts a CSV file by semicolons, also within our quotes.
_BEHIND_A_PART = re.compile(r"([;\t|]\s*\"?)(?=[=+@-])")
#: What no XML holds, and halves of characters that no encoding writes: an answer of MTN's may have either.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def writable(text: str) -> str:
    """The text, with a mark in place of what no file can hold."""
    return _UNWRITABLE.sub("\ufffd", text)


def plain_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would run it: names and notes come from outside."""
    # "+256772123456" and "-" alone calculate nothing that wasn't there.
    if text.startswith(_FORMULA_STARTS) and not text.lstrip("+-").replace(" ", "").isdigit() and text.strip("-"):
        return f"'{text}"
    return text


def csv_cell(text: str) -> str:
    """The same for a CSV file that people only look at: also what would be a cell of its own where another mark parts them."""
    return plain_cell(_BEHIND_A_PART.sub(r"\1'", writable(text)))
