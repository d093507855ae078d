"""Text on its way out comes in, the same text without secrets and whole phone numbers goes out; keeps what to hide in memory only.

Whatever `settings` reads as a secret is registered here; what is minted later (tokens), and what libraries quote in their
messages, is known by its form. Works on plain text and on a rendered JSON line alike, and leaves the latter valid.
"""

import base64
import json
import re
from collections.abc import Collection
from urllib.parse import quote, quote_plus

from momo_worker.payment.msisdn import masked

HIDDEN = "«hidden»"

#: Below this a value is too common a piece of text to be searched for: hiding "momo" would shred every line.
_SECRET_LENGTH_MIN = 6

# A quote, or an escaped quote inside a JSON string.
_QUOTE = r"\\*['\"]?"
_END_OF_LINE = r"(?=\\n|\n|\"|$)"

#: Credentials by their form, and rows as databases quote them in errors (they hold numbers and names).
_BY_FORM = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=_.~-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"), HIDDEN),
    # The word `password` stands where an example tells what to write; as a real one it is registered.
    (re.compile(r"(?<=://)([^\s/@:'\"]*):(?!password@)[^\s/'\"]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            rf"((?:Ocp-Apim-Subscription-Key|Authorization|access_token|api_?key){_QUOTE}\s*[:=]\s*{_QUOTE})"
            rf"(?!(?:Bearer|Basic)\s|{HIDDEN}|None\b|null\b)[^\s'\",;\\}}]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"\[parameters: .*?\]{_END_OF_LINE}", re.DOTALL), f"[parameters: {HIDDEN}]"),
    (re.compile(rf"(Key \([^)]*\))=\(.*?\)(?=[ .]|{_END_OF_LINE})"), rf"\1=({HIDDEN})"),
    (re.compile(rf"(Failing row contains) \(.*?\)(?=\.?{_END_OF_LINE})", re.DOTALL), rf"\1 ({HIDDEN})"),
)
#: Cheap looks decide whether the patterns are tried at all: most lines have none of these words, and there are many lines.
_WORTH_A_LOOK = (
    "bearer",
    "basic",
    "eyj",
    "://",
    "ocp-apim",
    "authorization",
    "access_token",
    "apikey",
    "api_key",
    "[parameters",
    "key (",
    "failing row",
)
_NUMBER_WORDS = ("msisdn", "party", "phone", "payer", "payee")

#: Numbers by the word before them, also in a path: `msisdn='256…'`, `"partyId": "256…"`, `/accountholder/msisdn/256…`, and in
#: what others write: `payer 256…`, `PAYER_256…`.
_NUMBER = re.compile(
    rf"((?:msisdn|party_?id|phone(?:_?number)?|payer|payee){_QUOTE}(?:\s*[:=/]\s*|[\s_]+){_QUOTE})(\+?[0-9]{{6,15}})",
    re.IGNORECASE,
)


class _Registry:
    """The registered secrets in all their forms, as one pattern."""

    def __init__(self) -> None:
        self.forms: set[str] = set()
        self.pattern: re.Pattern[str] | None = None

    def add(self, forms: set[str]) -> None:
        if forms <= self.forms:
            return
        # A new set, and not more in the old: another thread may be going through it.
        self.forms = self.forms | forms
        # The longest first, so that a secret inside another leaves no rest behind.
        self.pattern = re.compile("|".join(re.escape(form) for form in sorted(self.forms, key=len, reverse=True)))

    def clear(self) -> None:
        self.forms = set()
        self.pattern = None


_registry = _Registry()


def register_secret(value: str | None) -> None:
    """Hide this value, and the forms in which it travels, in everything that is scrubbed from now on."""
    if value is None or len(value) < _SECRET_LENGTH_MIN:
        return
    shown = repr(value)[1:-1]
    as_json = (json.dumps(text, ensure_ascii=False)[1:-1] for text in (value, shown))
    quoted = (quote(value, safe="", errors="replace"), quote_plus(value, errors="replace"))
    _registry.add({value, shown, *quoted, *as_json})


def register_basic(user: str, password: str) -> None:
    """Hide a user and password as HTTP's Basic scheme joins them."""
    register_secret(base64.b64encode(f"{user}:{password}".encode(errors="replace")).decode())


def forget_secrets() -> None:
    """For tests: nothing is registered any more."""
    _registry.clear()


def scrub(text: str) -> str:
    """Replace registered secrets, then what looks like a credential, then mask numbers."""
    pattern = _registry.pattern
    if pattern is not None and _holds(text, _registry.forms):
        text = pattern.sub(HIDDEN, text)
    lowered = text.lower()
    if _holds(lowered, _WORTH_A_LOOK):
        for form, shown in _BY_FORM:
            text = form.sub(shown, text)
    if _holds(lowered, _NUMBER_WORDS):
        text = _NUMBER.sub(lambda match: match[1] + masked(match[2]), text)
    return text


def _holds(text: str, words: Collection[str]) -> bool:
    # A loop and not any(): a generator costs more than the searches, and there are several lines a payment.
    for word in words:  # noqa: SIM110
        if word in text:
            return True
    return False
