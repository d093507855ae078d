"""Text on its way out comes in, the same text without secrets goes out; keeps what to hide in memory only and never prints it.

Whatever `settings` reads as a secret is registered here; what is minted later (tokens) is known by its form.
"""

import base64
import re
from urllib.parse import quote, quote_plus

HIDDEN = "«hidden»"

#: Below this a value is too common a piece of text to be searched for: hiding "momo" would shred every line.
_SECRET_LENGTH_MIN = 6

_registered: set[str] = set()

#: Credentials by their form: an Authorization value, a JSON web token, the password of a URL, MTN's header and JSON names.
_BY_FORM = (
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9+/=_.~-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)*"), HIDDEN),
    (re.compile(r"(?<=://)([^\s/@:'\"]*):[^\s/'\"]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"((?:Ocp-Apim-Subscription-Key|Authorization|access_token|apiKey|api_key)['\"]?\s*[:=]\s*['\"]?)"
            rf"(?!(?:Bearer|Basic)\s|{HIDDEN})[^\s'\",;}}]+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


def register_secret(value: str | None) -> None:
    """Hide this value, and the forms in which it travels, in everything that is scrubbed from now on."""
    if value is None or len(value) < _SECRET_LENGTH_MIN:
        return
    _registered.update({value, quote(value, safe=""), quote_plus(value), repr(value)[1:-1]})


def register_basic(user: str, password: str) -> None:
    """Hide a user and password as HTTP's Basic scheme joins them."""
    register_secret(base64.b64encode(f"{user}:{password}".encode()).decode())


def forget_secrets() -> None:
    """For tests: nothing is registered any more."""
    _registered.clear()


def scrub(text: str) -> str:
    """Replace registered secrets, then everything that looks like a credential."""
    # The longest first, so that a secret inside another leaves no rest behind.
    for secret in sorted(_registered, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for pattern, shown in _BY_FORM:
        text = pattern.sub(shown, text)
    return text
