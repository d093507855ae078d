"""Number ranges of one market: a national number comes in, its kind and its operator go out, by the phone library's own data and never by ours.

The library asks its patterns through a dozen of layers, for any country in the world. Asked straight for one country they say the same in
a tenth of the time; a test holds both against each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumberDesc,
    PhoneNumberType,
    country_code_for_region,
)
from phonenumbers.carrierdata import CARRIER_DATA

_Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Ranges:
    """What the library knows of the numbers behind one country code."""

    code: str
    #: The zero that is dialled within the country; empty where there is none.
    zero: str
    #: By a number's length, in the order in which the library asks: the first kind that fits is the number's.
    _kinds: Mapping[int, tuple[tuple[int, _Pattern], ...]]
    _operators: Mapping[str, str]
    #: Longest first: the longest prefix that is known names the operator.
    _operator_lengths: tuple[int, ...]

    def kind(self, national: str) -> int:
        """A PhoneNumberType; UNKNOWN for what is no number of the country. `national` is in ASCII digits, without the zero."""
        for kind, pattern in self._kinds.get(len(national), ()):
            if pattern.fullmatch(national):
                return kind
        return PhoneNumberType.UNKNOWN

    def operator(self, msisdn: str) -> str:
        """Who was given the number's range; empty where nobody is known."""
        for length in self._operator_lengths:
            name = self._operators.get(msisdn[:length])
            if name is not None:
                return name
        return ""


@lru_cache
def ranges_of(region: str) -> Ranges | None:
    """None where a country code is shared by regions, or a prefix changes the number behind it: there only the library itself knows."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None or metadata.national_prefix_transform_rule is not None:
        return None
    number = country_code_for_region(region)
    zero = metadata.national_prefix or ""
    # A pattern that stands for other prefixes than the one that people dial isn't ours to read.
    if (metadata.national_prefix_for_parsing or "") != zero or not re.fullmatch("[0-9]?", zero):
        return None
    # Who dials abroad begins with 00 in all of them, and such a number is read as international before it comes here.
    if not (metadata.international_prefix or "").startswith("00"):
        return None
    if COUNTRY_CODE_TO_REGION_CODE.get(number) != (region,):
        return None
    code = str(number)
    operators = {
        prefix: names["en"]
        for prefix, names in CARRIER_DATA.items()
        if "en" in names and (prefix.startswith(code) or code.startswith(prefix))
    }
    lengths = sorted({len(prefix) for prefix in operators}, reverse=True)
    return Ranges(code, zero, _kinds(metadata), operators, tuple(lengths))


def _kinds(metadata: PhoneMetadata) -> Mapping[int, tuple[tuple[int, _Pattern], ...]]:
    """Every kind with the lengths that it has, and the country's own pattern as a condition in front of each."""
    country = metadata.general_desc
    if country is None:
        return {}
    both = PhoneNumberType.FIXED_LINE_OR_MOBILE
    same = metadata.same_mobile_and_fixed_line_pattern
    asked = (
        (PhoneNumberType.PREMIUM_RATE, (metadata.premium_rate,)),
        (PhoneNumberType.TOLL_FREE, (metadata.toll_free,)),
        (PhoneNumberType.SHARED_COST, (metadata.shared_cost,)),
        (PhoneNumberType.VOIP, (metadata.voip,)),
        (PhoneNumberType.PERSONAL_NUMBER, (metadata.personal_number,)),
        (PhoneNumberType.PAGER, (metadata.pager,)),
        (PhoneNumberType.UAN, (metadata.uan,)),
        (PhoneNumberType.VOICEMAIL, (metadata.voicemail,)),
        (both, (metadata.fixed_line,) if same else (metadata.fixed_line, metadata.mobile)),
        (PhoneNumberType.FIXED_LINE, (metadata.fixed_line,)),
        (PhoneNumberType.MOBILE, (None if same else metadata.mobile,)),
    )
    lengths = range(1, 20)
    found = {length: tuple(_of_length(length, country, asked)) for length in lengths}
    return {length: kinds for length, kinds in found.items() if kinds}


def _of_length(
    length: int, country: PhoneNumberDesc, asked: tuple[tuple[int, tuple[PhoneNumberDesc | None, ...]], ...]
) -> list[tuple[int, _Pattern]]:
    found = []
    for kind, wanted in asked:
        patterns = [_pattern(desc, length) for desc in (country, *wanted)]
        if None not in patterns:
            # All of them at once: looks forward through each, and takes the last.
            ahead = "".join(rf"(?=(?:{pattern})\Z)" for pattern in patterns[:-1])
            found.append((kind, re.compile(f"{ahead}(?:{patterns[-1]})", re.ASCII)))
    return found


def _pattern(desc: PhoneNumberDesc | None, length: int) -> str | None:
    if desc is None or not desc.national_number_pattern:
        return None
    # A kind without lengths of its own has the country's.
    fits = not desc.possible_length or length in desc.possible_length
    return desc.national_number_pattern if fits else None
