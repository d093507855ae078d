"""Phone numbers: text comes in, MTN's form (digits, country code first) goes out; never guesses a country from a prefix."""

import re
from functools import lru_cache

import phonenumbers

#: MTN's own test numbers of the sandbox (mtn-api 7.1) are Swedish in form and need no owner.
_SANDBOX_TEST_NUMBER = re.compile(r"46733123\d{3}|56733123453", re.ASCII)
#: How many digits an international number has, its country code among them.
DIGITS_MIN, DIGITS_MAX = 8, 15
#: No country's code begins with a zero: what does is dialled from within (0772…) or from abroad (00256…).
_INTERNATIONAL = re.compile(rf"\+?[1-9][0-9]{{{DIGITS_MIN - 1},{DIGITS_MAX - 1}}}", re.ASCII)


class MsisdnError(ValueError):
    """A number that can't be taken; `reason` says why, `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}; {advice}")
        self.reason = reason
        self.advice = advice


@lru_cache(maxsize=4096)
def parse_msisdn(text: str, region: str | None) -> str:
    """Turn an international number into digits with the country code first.

    `region` is the market's ISO country ("UG"); None, as in the sandbox, takes any country's number.
    Raises MsisdnError for letters, spaces, local forms, numbers of no country or of another one.
    """
    if not _INTERNATIONAL.fullmatch(text):
        raise MsisdnError(
            "is not an international number",
            'send digits with the country code first, such as "256772123456"; no spaces, letters or leading zero',
        )
    digits = text.removeprefix("+")
    if region is None and _SANDBOX_TEST_NUMBER.fullmatch(digits):
        return digits
    try:
        number = phonenumbers.parse("+" + digits, None)
    except phonenumbers.NumberParseException:
        raise MsisdnError("belongs to no country", "check the country code in front of the number") from None
    found = phonenumbers.region_code_for_number(number)
    if found is None or not phonenumbers.is_valid_number_for_region(number, found):
        raise MsisdnError("is no number of any country", "check the digits after the country code, none may be missing")
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != "+" + digits:
        # The library reads over a zero between country code and number; MTN would be sent another number than was checked.
        raise MsisdnError(
            "has digits that don't belong into an international number",
            "leave out the zero between the country code and the number",
        )
    if region is not None and found != region:
        raise MsisdnError(
            f"is a number of {found}, and this account pays in {region}",
            f"use an account of a market in {found}, or check the number",
        )
    return digits


def masked(msisdn: str | None) -> str:
    """A number as logs and traces may show it: country and last two digits."""
    if not msisdn:
        return "-"
    return f"{msisdn[:3]}…{msisdn[-2:]}"
