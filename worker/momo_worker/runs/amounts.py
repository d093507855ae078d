"""Amounts as people write them in files: a cell's text comes in, plain decimal text goes out, or why nobody can be sure what it means.

Understood is what has one meaning only in the account's currency; nothing is rounded and nothing is guessed.
"""

import re

from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.runs.marks import as_seen

CODES = (
    "AFN", "CDF", "EUR", "GBP", "GHS", "GNF", "KES", "LRD", "NGN", "RWF", "SSP", "SZL", "TZS", "UGX", "USD", "XAF", "XOF", "ZAR", "ZMW",
)  # fmt: skip
#: How currencies are written where they are used, besides their ISO code.
SIGNS: dict[str, tuple[str, ...]] = {
    "UGX": ("USHS", "USH", "SHS", "SH", "/=", "/-"),
    "RWF": ("FRW", "RF"),
    "GHS": ("GH₵", "GH¢", "GHC", "₵"),
    "XOF": ("F CFA", "F.CFA", "FCFA", "CFA", "F"),
    "XAF": ("F CFA", "F.CFA", "FCFA", "CFA", "F"),
    "GNF": ("FG",),
    "CDF": ("FC",),
    "ZMW": ("ZK", "K"),
    "NGN": ("₦", "N"),
    "ZAR": ("R",),
    "SZL": ("E",),
    "LRD": ("L$",),
    "EUR": ("€",),
    "USD": ("US$", "$"),
}
#: `K150` is 150 kwacha, and `150K` may be as many thousand; the other letters alone stand before a number, too.
_BEFORE_ONLY = frozenset("KNRE")
_BEHIND_ONLY = frozenset(("/=", "/-"))
#: Where a comma parts decimals by the country's custom, `150,000` can be a hundred and fifty.
DECIMAL_COMMA = frozenset(("XOF", "XAF", "GNF", "CDF", "ZAR"))
#: `SH` and shorter may be anybody's.
_WORD_LETTERS_MIN = 3
_WORDS = sorted(
    {
        *CODES,
        *(sign for signs in SIGNS.values() for sign in signs if len(sign) >= _WORD_LETTERS_MIN and sign.isalpha()),
        "KSH",
        "TSH",
    }
)
_CURRENCY = re.compile(rf"(?<![A-Z])(?:{'|'.join(_WORDS)})(?![A-Z])|US\$|L\$|GH₵|GH¢|[$€£¥₦₵]")
_NUMBER = re.compile(r"[0-9][0-9.,' ]*", re.ASCII)
_NEGATIVE = re.compile(r"[-(\u2212\u2013].*|[^/]*[0-9] ?-", re.ASCII)
#: Excel shows eleven digits and more of a general cell like this, and saves it so as text.
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?E\+?[0-9]+", re.ASCII)
_GROUPS = re.compile(r"[1-9][0-9]{0,2}(?:([.,' ])[0-9]{3})(?:\1[0-9]{3})*", re.ASCII)
#: How many digits a separator of thousands has behind it.
_GROUP = 3
_WRITE_PLAINLY = 'write it as digits only, such as "150000" or "12.50"'


def plain_amount(text: str, currency: Currency) -> str:
    """`UGX 150,000`, `150 000/=`, `150000,00` become `150000`; raises AmountError for what isn't an amount or has two meanings."""
    told = as_seen(text).upper()
    other = other_currency(told, currency)
    if other is not None:
        raise AmountError(f"is in {other}, and this account pays in {currency.code}", "use the account of that market")
    digits = _without_signs(told, currency)
    if _NEGATIVE.fullmatch(digits):
        raise AmountError("is negative", "a run only pays; take the row out, or book it elsewhere")
    if _SCIENTIFIC.fullmatch(digits):
        raise AmountError(
            "was shortened by the spreadsheet", "format the column as a number without decimals and save again"
        )
    if not _NUMBER.fullmatch(digits):
        raise AmountError("is not an amount", _WRITE_PLAINLY)
    found = _one_meaning(digits, currency)
    parse_amount(found, currency)
    return found


def other_currency(text: str, currency: Currency) -> str | None:
    """The first currency that is named in a text, if it isn't the account's."""
    own = (currency.code, *SIGNS.get(currency.code, ()))
    return next((word for word in _CURRENCY.findall(text.upper()) if word not in own), None)


def _without_signs(told: str, currency: Currency) -> str:
    signs = sorted((currency.code, *SIGNS.get(currency.code, ())), key=len, reverse=True)
    before = next((sign for sign in signs if told.startswith(sign) and sign not in _BEHIND_ONLY), None)
    if before is not None:
        told = _without_point(told.removeprefix(before), currency).strip()
    # The point of an abbreviation, as in `500 Shs.`
    told = re.sub(r"(?<=[A-Z])\.$", "", told)
    behind = next((sign for sign in signs if told.endswith(sign) and sign not in _BEFORE_ONLY), None)
    return told.removesuffix(behind).strip() if behind is not None else told


def _without_point(told: str, currency: Currency) -> str:
    """`Ush.500` is five hundred, since there is no half a shilling; `GHS.50` may be half a cedi and keeps its point."""
    if told.startswith(".") and (currency.exponent == 0 or told.startswith(". ")):
        return told[1:]
    return told


def _one_meaning(digits: str, currency: Currency) -> str:
    """Plain decimal text of digits with separators in them."""
    marks = [mark for mark in digits if not mark.isdigit()]
    if not marks:
        return digits
    if len(set(marks)) == 1:
        return _one_kind_of_mark(digits, marks[0], len(marks), currency)
    last = marks[-1]
    whole, _, fraction = digits.rpartition(last)
    if last in ".," and marks.count(last) == 1 and _GROUPS.fullmatch(whole) and fraction:
        if len(fraction) == _GROUP:
            raise AmountError("can be read in two ways", _WRITE_PLAINLY)
        return f"{_joined(whole)}.{fraction}"
    raise AmountError("has separators that make no number", _WRITE_PLAINLY)


def _one_kind_of_mark(digits: str, mark: str, count: int, currency: Currency) -> str:
    grouped = _GROUPS.fullmatch(digits) is not None
    whole, _, fraction = digits.rpartition(mark)
    if mark in " '" or count > 1:
        if not grouped:
            raise AmountError("has separators that make no number", _WRITE_PLAINLY)
        return _joined(digits)
    if not fraction:
        raise AmountError("has separators that make no number", _WRITE_PLAINLY)
    if len(fraction) != _GROUP or not whole.strip("0"):
        return f"{whole}.{fraction}"
    # `150,000` is written by every English spreadsheet for a hundred and fifty thousand; `150.000` is that in some countries, and
    # in others a hundred and fifty with three decimals; `1500,000` may be either or a slip.
    if grouped and mark == "," and currency.exponent < _GROUP and currency.code not in DECIMAL_COMMA:
        return _joined(digits)
    raise AmountError(f"can be read as {_joined(digits)} and as {whole}.{fraction}", _WRITE_PLAINLY)


def _joined(digits: str) -> str:
    return re.sub(r"[^0-9]", "", digits)
