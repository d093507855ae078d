"""Phone numbers as people write them in files: a cell's text comes in, MTN's form goes out with what was done to it, or why it can't be.

Local forms are read in the account's market only, and only here: at every other door a number is international (design.md 6.1).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType, carrier

from momo_worker.payment.msisdn import DIGITS_MAX, DIGITS_MIN, MsisdnError, parse_msisdn
from momo_worker.runs.marks import as_seen
from momo_worker.runs.ranges import Ranges, ranges_of

#: A dash in front is a minus, and a slash parts two numbers: neither is read over.
_WRITTEN = re.compile(r"\(?\+?[ (]*[0-9][0-9 ().\-\u2010-\u2015]*", re.ASCII)
_SEPARATORS = re.compile(r"[ ().\-\u2010-\u2015]+")
_DIGITS = re.compile(r"\+?[0-9]+", re.ASCII)
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?E\+?[0-9]+", re.ASCII | re.IGNORECASE)
#: Programs that take the column for figures write it with decimals.
_WITH_DECIMALS = re.compile(r"([0-9]{7,})\.([0-9]{1,2})", re.ASCII)
#: The zero that is dialled within the country only, as in `+256 (0) 772 123456`.
_ZERO_AT_HOME = re.compile(r"(?<=[0-9 ])\(0\)")
#: No number of the markets is shorter or longer without its zero; what is goes the library's own way.
_NATIONAL_DIGITS_MIN, _NATIONAL_DIGITS_MAX = 7, 11
#: A longer one was meant to be international.
_LOCAL_DIGITS_MAX = 10
_AS_TEXT = "format the column as text, enter the number again and save"
_ZERO_PUT_BACK = "its first zero was lost, and put back"
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.PAGER)
OPERATOR = "MTN"
#: A number of the region, and of which kind.
_Found = tuple[phonenumbers.PhoneNumber, int]


@dataclass(frozen=True, slots=True)
class Number:
    """A number in MTN's form, and what a person should know of how it was read."""

    msisdn: str
    warnings: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def read_number(text: str, region: str | None) -> Number:
    """`0772 123 456`, `772123456` and `+256 772-123456` become `256772123456` in Uganda; raises MsisdnError for what doesn't."""
    digits = _digits(as_seen(text))
    if region is None:
        return Number(parse_msisdn(digits, None))
    return _quickly(digits, region) or _asked_of_the_library(digits, region)


def _quickly(digits: str, region: str) -> Number | None:
    """What the library would say of a number as nearly all are written, international or as it is dialled; None where it must be asked.

    Numbers are found here and none is refused: what isn't at once a number of the market, such as one with a zero behind its country code,
    goes the library's own way, which also knows what is wrong with it.
    """
    ranges = ranges_of(region)
    national = _national(digits, ranges) if ranges is not None else None
    if ranges is None or national is None:
        return None
    kind = ranges.kind(national)
    warnings: tuple[str, ...] = ()
    if kind == PhoneNumberType.UNKNOWN and national == digits and not ranges.zero and digits[0] != "0":
        # Where no zero is dialled in front of a number, one may be part of it.
        national, warnings = f"0{digits}", (_ZERO_PUT_BACK,)
        kind = ranges.kind(national)
    if kind == PhoneNumberType.UNKNOWN:
        return None
    msisdn = ranges.code + national
    return Number(msisdn, (*warnings, *_told_of(kind, ranges.operator(msisdn))))


def _national(digits: str, ranges: Ranges) -> str | None:
    """The digits behind country code or zero, where they can be told apart in one way only."""
    international = digits.removeprefix("+")
    if international.startswith(ranges.code):
        national = international.removeprefix(ranges.code)
        fits = DIGITS_MIN <= len(international) <= DIGITS_MAX and not (ranges.zero and national.startswith(ranges.zero))
        return national if fits else None
    if len(international) < len(digits):
        return None
    if not ranges.zero:
        return digits
    national = digits.removeprefix(ranges.zero)
    return national if _NATIONAL_DIGITS_MIN <= len(national) <= _NATIONAL_DIGITS_MAX else None


def _digits(told: str) -> str:
    """The digits of a number, with a plus in front where it is international for sure."""
    if _DIGITS.fullmatch(told) and not told.startswith("00"):
        return told
    if _SCIENTIFIC.fullmatch(told):
        raise MsisdnError("was shortened by the spreadsheet, and its last digits are gone", _AS_TEXT)
    decimals = _WITH_DECIMALS.fullmatch(told)
    if decimals is not None and decimals[2].strip("0"):
        raise MsisdnError("is a figure with decimals", _AS_TEXT)
    told = decimals[1] if decimals is not None else told
    if not _WRITTEN.fullmatch(told):
        raise MsisdnError("has characters that no phone number has", "one cell holds one number, in digits")
    if told.startswith(("+", "00", "(+")):
        told = _ZERO_AT_HOME.sub("", told)
    digits = _SEPARATORS.sub("", told)
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def _asked_of_the_library(digits: str, region: str) -> Number:
    if digits.startswith("+"):
        return _international(digits, region)
    # No number of the region begins otherwise, and the library takes its time to say so.
    if digits.startswith(str(phonenumbers.country_code_for_region(region))):
        try:
            return _international(digits, region)
        except MsisdnError:
            return _local(digits, region)
    return _local(digits, region)


def _international(digits: str, region: str) -> Number:
    msisdn = parse_msisdn(digits, region)
    code = phonenumbers.country_code_for_region(region)
    # Parsed once is enough: this is what the library makes of a number that it has found right.
    number = _made(code, msisdn.removeprefix(str(code)))
    return Number(msisdn, _of_its_range(number, phonenumbers.number_type(number)))


def _made(code: int, national: str) -> phonenumbers.PhoneNumber:
    zeros = len(national) - len(national.lstrip("0"))
    return phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _local(digits: str, region: str) -> Number:
    """A number as it is dialled within its country, also without the zero that spreadsheets take away."""
    for tried, warnings in ((digits, ()), (f"0{digits}", (_ZERO_PUT_BACK,))):
        found = _as_dialled(tried, region) or _parsed(tried, region)
        if found is not None:
            number, kind = found
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            return Number(e164.removeprefix("+"), (*warnings, *_of_its_range(number, kind)))
    if len(digits) > _LOCAL_DIGITS_MAX:
        parse_msisdn(digits, region)  # says better what is wrong with it
    raise MsisdnError(f"is no number of {region}", "check its digits; none may be missing")


def _as_dialled(digits: str, region: str) -> _Found | None:
    """The short way for most numbers: what is valid behind the country's own zero is what the library would parse."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.national_prefix is None or metadata.national_prefix_transform_rule is not None:
        return None
    zero = metadata.national_prefix
    if metadata.national_prefix_for_parsing != zero:
        return None
    national = digits.removeprefix(zero)
    if not _NATIONAL_DIGITS_MIN <= len(national) <= _NATIONAL_DIGITS_MAX:
        return None
    return _valid(_made(phonenumbers.country_code_for_region(region), national), region)


def _parsed(digits: str, region: str) -> _Found | None:
    try:
        return _valid(phonenumbers.parse(digits, region), region)
    except phonenumbers.NumberParseException:
        return None


def _valid(number: phonenumbers.PhoneNumber, region: str) -> _Found | None:
    kind = phonenumbers.number_type(number)
    known = kind != PhoneNumberType.UNKNOWN and phonenumbers.region_code_for_number(number) == region
    return (number, kind) if known else None


def _of_its_range(number: phonenumbers.PhoneNumber, kind: int) -> tuple[str, ...]:
    """Whose number it is by its range: a hint only, since numbers are ported."""
    return _told_of(kind, carrier.name_for_valid_number(number, "en"))


def _told_of(kind: int, owner: str) -> tuple[str, ...]:
    if kind not in _MOBILE:
        return ("is no mobile number by its range",)
    if owner and OPERATOR not in owner.upper():
        return (f"its range belongs to {owner}; MTN pays it only if it was ported",)
    return ()
