"""Numbers: MTN gets digits with the country code first, exactly those that were checked, or the job is refused."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.msisdn import MsisdnError, masked, parse_msisdn


@pytest.mark.parametrize(
    ("text", "region", "digits"),
    [
        ("256772123456", "UG", "256772123456"),
        ("+256772123456", "UG", "256772123456"),
        ("+233241234567", "GH", "233241234567"),
        ("2250501234567", "CI", "2250501234567"),  # its leading zero is part of the number
        ("+256772123456", None, "256772123456"),
        ("46733123450", None, "46733123450"),
        ("56733123453", None, "56733123453"),
    ],
)
def test_an_international_number_is_taken_with_or_without_plus(text: str, region: str | None, digits: str) -> None:
    assert parse_msisdn(text, region) == digits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "0772123456",
        "00256772123456",
        "2560772123456",  # the zero of the local form kept behind the country code
        "+2560772123456",
        "256 772 123456",
        "256-772-123456",
        "25677212345",
        "2567721234567",
        "256772123456\n",
        "256772123456\x00",
        "tel:+256772123456",
        "\u0662\u0665\u0666\u0667\u0667\u0662\u0661\u0662\u0663\u0664\u0665\u0666",
        "\uff12\uff15\uff16\uff17\uff17\uff12\uff11\uff12\uff13\uff14\uff15\uff16",
        "++256772123456",
        "999999999999",
        "256000000000",
    ],
)
def test_what_is_no_whole_international_number_is_refused(text: str) -> None:
    with pytest.raises(MsisdnError) as refusal:
        parse_msisdn(text, "UG")
    assert refusal.value.reason
    assert refusal.value.advice


@pytest.mark.parametrize("text", ["0772123456", "00256772123456", "+0772123456"])
def test_a_number_as_it_is_dialled_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(MsisdnError, match=r'country code first, such as "256772123456".*leading zero'):
        parse_msisdn(text, "UG")


def test_a_number_of_another_country_is_refused_by_name() -> None:
    with pytest.raises(MsisdnError, match="is a number of GH, and this account pays in UG"):
        parse_msisdn("233241234567", "UG")


def test_the_sandbox_numbers_are_no_numbers_of_a_market() -> None:
    with pytest.raises(MsisdnError):
        parse_msisdn("46733123450", "UG")


@given(st.text(max_size=20), st.sampled_from(["UG", "GH", None]))
def test_any_text_is_a_number_or_a_refusal(text: str, region: str | None) -> None:
    try:
        digits = parse_msisdn(text, region)
    except MsisdnError:
        return
    assert digits == text.removeprefix("+")


@given(st.from_regex(r"\+?[0-9]{8,15}", fullmatch=True), st.sampled_from(["UG", "GH", "ZM", None]))
def test_what_goes_to_mtn_is_the_number_that_was_checked(text: str, region: str | None) -> None:
    try:
        digits = parse_msisdn(text, region)
    except MsisdnError:
        return
    if region is None and digits.startswith(("46733123", "56733123453")):
        return
    number = phonenumbers.parse("+" + digits, None)
    assert phonenumbers.is_valid_number(number)
    assert f"+{digits}" == phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert parse_msisdn("+" + digits, region) == digits


def test_a_log_shows_country_and_end_of_a_number_only() -> None:
    assert masked("256772123456") == "256…56"
    assert masked(None) == "-"
