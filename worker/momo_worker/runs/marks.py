"""What a cell's text looks like: text as a program saved it comes in, as a person reads it goes out; no letter or digit is ever changed.

NFKC isn't used: it makes a plain 2 of the footnote's ², and one digit more is another amount and another number.
"""

import unicodedata

_SPACES = dict.fromkeys((0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
#: Marks from left to right and of no width, as address books and web pages put them around numbers. Those that turn the order of
#: what is shown are not among them.
_UNSEEN = dict.fromkeys((0x00AD, 0x200B, 0x200E, 0x2060, 0x2066, 0x2069, 0x202A, 0x202C, 0xFEFF), None)
_APOSTROPHES = dict.fromkeys((0x2019, 0x02BC), "'")
_SEEN: dict[int, str | None] = {**_SPACES, **_UNSEEN, **_APOSTROPHES}
#: Joiners, which some scripts write names with.
_JOINERS = "\u200c\u200d"


def as_seen(text: str) -> str:
    """Any space as a plain one, any apostrophe as `'`, and nothing that can't be seen; a spreadsheet's apostrophe for text is left out."""
    if not text.isascii():
        text = text.translate(_SEEN)
    return text.strip().lstrip("'").strip()


def hides_something(text: str) -> bool:
    """Whether a line break, a control mark or one that nobody sees stands in it."""
    if text.isprintable():
        return False
    return any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS for char in text)
