"""A number in a file becomes MTN's form where only one number can be meant; what a spreadsheet did to it is said."""

import random
import tomllib
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import carrier

from momo_worker.payment.msisdn import MsisdnError, parse_msisdn
from momo_worker.runs import numbers
from momo_worker.runs.numbers import read_number
from momo_worker.runs.ranges import ranges_of

MARKETS = tomllib.loads((Path(__file__).resolve().parents[3] / "config" / "markets.toml").read_text(encoding="utf-8"))
REGIONS = sorted({market["country"] for market in MARKETS.values() if "country" in market})


@pytest.mark.parametrize(
    ("text", "region", "msisdn"),
    [
        ("0772123456", "UG", "256772123456"),
        ("0772 123 456", "UG", "256772123456"),
        ("772123456", "UG", "256772123456"),
        ("+256 772-123456", "UG", "256772123456"),
        ("00256772123456", "UG", "256772123456"),
        ("256772123456", "UG", "256772123456"),
        ("+256 (0) 772 123456", "UG", "256772123456"),
        ("(0772) 123.456", "UG", "256772123456"),
        ("'0772123456", "UG", "256772123456"),
        ("\u202a+256\u00a0772\u202f123\u2011456\u202c", "UG", "256772123456"),
        ("772123456.0", "UG", "256772123456"),
        ("0707123456", "CI", "2250707123456"),
        ("0241234567", "GH", "233241234567"),
        ("08031234567", "NG", "2348031234567"),
        ("46733123450", None, "46733123450"),
    ],
)
def test_a_number_is_understood_as_it_is_written_in_its_country(text: str, region: str | None, msisdn: str) -> None:
    assert read_number(text, region).msisdn == msisdn


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("2.56772E+11", "UG", "shortened"),
        ("2,56772e11", "UG", "shortened"),
        ("O772123456", "UG", "characters"),
        ("0772123456²", "UG", "characters"),
        ("٠٧٧٢١٢٣٤٥٦", "UG", "characters"),
        ("0772123456/57", "UG", "characters"),
        ("0772123456, 0782123456", "UG", "characters"),
        ("0772123456\n0782123456", "UG", "characters"),
        ("0772123456 0782123456", "UG", "international"),
        ("-772123456", "UG", "characters"),
        ("\u202e654321277", "UG", "characters"),
        ("772123456.5", "UG", "decimals"),
        ("+256 0772123456", "UG", "don't belong"),
        ("+250788123456", "UG", "is a number of RW"),
        ("250788123456", "UG", "is a number of RW"),
        ("077212345", "UG", "no number of UG"),
        ("12", "UG", "no number of UG"),
        ("", "UG", "characters"),
        ("0772123456", None, "no"),
    ],
)
def test_what_is_no_number_of_the_market_is_refused(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(MsisdnError) as told:
        read_number(text, region)
    assert reason in told.value.reason
    assert told.value.advice


def test_a_zero_that_the_spreadsheet_took_is_put_back_and_told() -> None:
    number = read_number("707123456", "CI")
    assert number.msisdn == "2250707123456"
    assert "its first zero was lost, and put back" in number.warnings


def test_another_carriers_range_and_a_landline_are_told() -> None:
    assert read_number("0772123456", "UG").warnings == ()
    assert "Airtel" in read_number("0752123456", "UG").warnings[0]
    assert "no mobile number" in read_number("0414123456", "UG").warnings[0]


def valid_numbers(region: str, count: int) -> list[phonenumbers.PhoneNumber]:
    """Numbers of all kinds that the library takes for the region's, near its own examples."""
    chance = random.Random(region)
    found: list[phonenumbers.PhoneNumber] = []
    for kind in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
        national = phonenumbers.national_significant_number(phonenumbers.example_number_for_type(region, kind))
        kept = [2 + chance.randrange(2) for _ in range(count)]
        drawn = [national[:keep] + "".join(chance.choices("0123456789", k=len(national) - keep)) for keep in kept]
        code = phonenumbers.country_code_for_region(region)
        parsed = [phonenumbers.parse(f"+{code}{digits}", None) for digits in drawn]
        found += [number for number in parsed if phonenumbers.is_valid_number_for_region(number, region)]
    assert len(found) > count // 2
    return found


@pytest.mark.parametrize("region", REGIONS)
def test_local_and_international_forms_are_one_number_and_the_librarys(region: str) -> None:
    for number in valid_numbers(region, 60):
        international = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        local = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        expected = parse_msisdn(international, region)
        assert read_number(local, region).msisdn == expected, local
        assert read_number(phonenumbers.national_significant_number(number), region).msisdn == expected
        assert read_number(international, region) == read_number(expected, region)
        owner = carrier.name_for_number(number, "en")
        told = any("its range belongs to" in warning for warning in read_number(international, region).warnings)
        assert told == bool(owner and "MTN" not in owner.upper()), (local, owner)


@given(
    st.sampled_from(REGIONS),
    st.integers(0, 10**11 - 1),
    st.integers(6, 11),
    st.sampled_from(["", "0", "00", "07", "01"]),
)
def test_no_digits_mean_two_numbers_of_a_market(region: str, drawn: int, width: int, head: str) -> None:
    digits = head + f"{drawn:011d}"[-width:]
    readings = set()
    for tried in (digits, f"0{digits}", f"+{digits}"):
        number = numbers._parsed(tried, region)
        if number is not None:
            readings.add(phonenumbers.format_number(number[0], phonenumbers.PhoneNumberFormat.E164).removeprefix("+"))
    try:
        read = read_number(digits, region).msisdn
    except MsisdnError:
        return
    assert readings <= {read} or digits.startswith("00")
    assert parse_msisdn(read, region) == read


@given(st.sampled_from(REGIONS), st.integers(0, 10**11 - 1), st.integers(6, 11), st.sampled_from(["", "0", "07", "01"]))
def test_the_short_way_reads_what_the_library_reads(region: str, drawn: int, width: int, head: str) -> None:
    digits = head + f"{drawn:011d}"[-width:]
    short = numbers._as_dialled(digits, region)
    if short is not None:
        whole = phonenumbers.parse(digits, region)
        assert phonenumbers.format_number(short[0], 0) == phonenumbers.format_number(whole, 0)


LIKE_NUMBERS = st.builds(
    lambda plus, code, zeros, digits: plus + code + zeros + digits,
    st.sampled_from(["", "", "+"]),
    st.sampled_from(["", "", *(str(phonenumbers.country_code_for_region(region)) for region in REGIONS)]),
    st.sampled_from(["", "0", "00", "07", "7", "01", "6", "2"]),
    st.text("0123456789", min_size=1, max_size=12),
)


def both_ways(digits: str, region: str) -> tuple[numbers.Number | None, numbers.Number | None]:
    """What is found quickly, and what the library says of the same digits when it is asked."""
    quick = numbers._quickly(digits, region)
    try:
        return quick, numbers._asked_of_the_library(digits, region)
    except MsisdnError:
        return quick, None


@settings(max_examples=1_000)
@given(st.sampled_from(REGIONS), LIKE_NUMBERS)
def test_a_number_that_is_found_quickly_is_the_librarys_and_so_is_what_is_told_of_it(region: str, written: str) -> None:
    digits = f"+{written[2:]}" if written.startswith("00") else written
    if digits.strip("+"):
        quick, whole = both_ways(digits, region)
        assert quick in (None, whole)


@pytest.mark.parametrize("region", REGIONS)
def test_of_a_markets_own_numbers_all_are_found_quickly_and_in_each_range(region: str) -> None:
    for number in valid_numbers(region, 400):
        international = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        national = phonenumbers.national_significant_number(number)
        prefix = phonenumbers.PhoneMetadata.metadata_for_region(region, None).national_prefix or ""
        for digits in (international, international[1:], prefix + national, national):
            quick, whole = both_ways(digits, region)
            assert whole is not None
            assert quick in (None, whole)
            # Local digits that begin as the country code does are for the library to tell apart.
            assert quick is not None or digits == national or len(national) < 7


@given(st.sampled_from(REGIONS), st.text("0123456789", min_size=1, max_size=12))
def test_the_kind_of_any_digits_is_the_librarys(region: str, national: str) -> None:
    ranges = ranges_of(region)
    assert ranges is not None, "a market that shares its country code is read by the library alone"
    number = numbers._made(int(ranges.code), national)
    assert ranges.kind(national) == phonenumbers.number_type(number)
    assert ranges.operator(ranges.code + national) == carrier.name_for_valid_number(number, "en")


def test_where_a_country_code_is_shared_only_the_library_is_asked() -> None:
    assert [ranges_of(region) for region in ("US", "GB", "IT", "AR", "QQ")] == [None] * 5
    assert read_number("(650) 253-0000", "US").msisdn == "16502530000"


@given(st.text(max_size=16), st.sampled_from([*REGIONS, None]))
def test_any_text_is_a_number_or_a_refusal_that_says_what_to_do(text: str, region: str | None) -> None:
    try:
        number = read_number(text, region)
    except MsisdnError as error:
        refusal = error
    else:
        assert parse_msisdn(number.msisdn, region) == number.msisdn
        return
    assert refusal.reason
    assert refusal.advice
