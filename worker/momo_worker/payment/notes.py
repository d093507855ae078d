"""Notes folded to what MTN takes: any text comes in, letters, digits, space and `. , - _` go out, never empty, at most 160.

MTN answers 400 to an apostrophe (ERR) and to `&` (NB), and 500 to an empty note in production (LMM#69).
"""

import re
import unicodedata

NOTE_MAX = 160
_UNSAFE = re.compile(r"[^A-Za-z0-9 .,_-]+", re.ASCII)
_SPACES = re.compile(r"\s+")
#: Letters that decomposition leaves whole.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "Æ": "AE",
        "œ": "oe",
        "Œ": "OE",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ŋ": "n",
        "Ŋ": "N",
        "ɛ": "e",
        "Ɛ": "E",
        "ɔ": "o",
        "Ɔ": "O",
    }
)


def fold_note(text: str, default: str) -> str:
    """`N'Guessan & fils` becomes `NGuessan fils`; what has nothing left becomes `default`."""
    plain = unicodedata.normalize("NFKD", _SPACES.sub(" ", text).translate(_LETTERS))
    safe = _UNSAFE.sub("", plain)
    return _SPACES.sub(" ", safe).strip()[:NOTE_MAX].strip() or default
