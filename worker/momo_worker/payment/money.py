"""Money: decimal text comes in, integer minor units go out and back; never a float, never a rounding.

Exponents are ISO 4217's, kept beside each market in `config/markets.toml`; babel's are CLDR's and differ.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

#: The most digits an amount may have in minor units; any of them fits a 64-bit integer with room for sums (M12).
DIGITS_MAX = 15

_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]+)?", re.ASCII)


class AmountError(ValueError):
    """An amount that can't be taken; `reason` says why, `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 code and how many decimals it has."""

    code: str
    exponent: int


def parse_amount(text: str, currency: Currency) -> int:
    """Turn plain decimal text into minor units of `currency`.

    Raises AmountError for signs, exponents, separators, zero, too many digits, or a fraction the currency doesn't have.
    """
    if not _PLAIN.fullmatch(text):
        raise AmountError(
            "is not a plain positive decimal number",
            'send digits with at most one point and no more than 12 before it, such as "150000" or "12.50"',
        )
    whole, _, fraction = text.partition(".")
    significant = fraction.rstrip("0")
    if len(significant) > currency.exponent:
        raise AmountError(
            f"has a fraction that {currency.code} doesn't have ({currency.exponent} decimals)",
            "send an amount that can be paid exactly; nothing is rounded here",
        )
    minor = int(whole + significant.ljust(currency.exponent, "0"))
    if minor == 0:
        raise AmountError("is zero", "send an amount above zero")
    if len(str(minor)) > DIGITS_MAX:
        raise AmountError(
            f"has more than {DIGITS_MAX} digits in {currency.code}'s smallest unit",
            "split the payment or check the amount",
        )
    return minor


def format_amount(minor: int, exponent: int) -> str:
    """Render minor units as MTN and producers read them: `150000` UGX is "150000", `1250` GHS is "12.50"."""
    if exponent == 0:
        return str(minor)
    sign, digits = ("-", str(-minor)) if minor < 0 else ("", str(minor))
    digits = digits.rjust(exponent + 1, "0")
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"


def same_amount(theirs: str, minor: int, exponent: int) -> bool:
    """Whether an amount in an answer of MTN's is ours, compared as Decimal ("5000" and "5000.00" are one amount, M6)."""
    text = theirs.strip()
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,6})?", text, re.ASCII):
        return False
    return Decimal(text) == Decimal(minor).scaleb(-exponent)
