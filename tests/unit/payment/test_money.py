"""Money is exact (M12): what comes in as text goes out as the same amount, or is refused; nothing is rounded, nothing is a float."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.money import DIGITS_MAX, AmountError, Currency, format_amount, parse_amount, same_amount

UGX = Currency("UGX", 0)
GHS = Currency("GHS", 2)
CURRENCIES = st.sampled_from([UGX, GHS, Currency("KWD", 3)])
MINOR = st.integers(min_value=1, max_value=10**DIGITS_MAX - 1)


@given(MINOR, CURRENCIES)
def test_an_amount_that_was_written_is_read_back_exactly(minor: int, currency: Currency) -> None:
    text = format_amount(minor, currency.exponent)
    if len(text.partition(".")[0]) > 12:
        with pytest.raises(AmountError):
            parse_amount(text, currency)
        return
    assert parse_amount(text, currency) == minor
    assert Decimal(text) == Decimal(minor).scaleb(-currency.exponent)


@given(st.integers(0, 10**12 - 1), st.integers(0, 999), CURRENCIES, st.integers(0, 20))
def test_an_amount_is_taken_exactly_or_not_at_all(whole: int, thousandths: int, currency: Currency, zeros: int) -> None:
    text = f"{whole}.{thousandths:03d}" + "0" * zeros
    try:
        minor = parse_amount(text, currency)
    except AmountError:
        exact = Decimal(text).scaleb(currency.exponent)
        assert exact != exact.to_integral_value() or exact == 0 or len(str(int(exact))) > DIGITS_MAX
        return
    assert type(minor) is int
    assert Decimal(minor).scaleb(-currency.exponent) == Decimal(text)


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_a_refusal_with_reason_and_advice(text: str) -> None:
    try:
        minor = parse_amount(text, GHS)
    except AmountError as error:
        told = (error.reason, error.advice)
    else:
        assert 0 < minor < 10**DIGITS_MAX
        assert Decimal(text) == Decimal(minor).scaleb(-2)
        return
    assert all(told)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "0.00",
        "000",
        "-1",
        "+1",
        "1e3",
        "1E3",
        "1,000",
        "1 000",
        "1_000",
        ".5",
        "5.",
        "1.2.3",
        "0x10",
        "\u0661\u0662\u0663",
        "\uff11\uff12\uff13",
        "NaN",
        "Infinity",
        "150000\n",
        " 150000",
        "150000\x00",
        "1234567890123",
        "²",
    ],
)
def test_what_is_no_plain_positive_number_is_refused(text: str) -> None:
    for currency in (UGX, GHS):
        with pytest.raises(AmountError):
            parse_amount(text, currency)


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("150000", UGX, 150_000),
        ("150000.00", UGX, 150_000),
        ("000150000", UGX, 150_000),
        ("12.5", GHS, 1_250),
        ("12.50", GHS, 1_250),
        ("12.500000", GHS, 1_250),
        ("0.01", GHS, 1),
        ("90071992547.93", GHS, 9_007_199_254_793),
        ("999999999999", UGX, 999_999_999_999),
    ],
)
def test_trailing_zeros_change_nothing(text: str, currency: Currency, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(("text", "currency"), [("150000.50", UGX), ("0.1", UGX), ("12.505", GHS), ("0.001", GHS)])
def test_a_fraction_that_the_currency_does_not_have_is_refused(text: str, currency: Currency) -> None:
    with pytest.raises(AmountError, match="fraction"):
        parse_amount(text, currency)


@given(MINOR, st.integers(0, 3), st.integers(0, 2))
def test_an_amount_is_the_same_with_and_without_trailing_zeros(minor: int, exponent: int, zeros: int) -> None:
    text = format_amount(minor, exponent)
    if zeros:
        text = (text if "." in text else text + ".") + "0" * zeros
    assert same_amount(text, minor, exponent)
    assert same_amount(f" {text} ", minor, exponent)


@given(MINOR, MINOR, st.integers(0, 3))
def test_two_amounts_are_the_same_only_if_they_are_equal(ours: int, theirs: int, exponent: int) -> None:
    assert same_amount(format_amount(theirs, exponent), ours, exponent) == (ours == theirs)


@pytest.mark.parametrize(
    "theirs",
    ["", "1e5", "-150000", "150.000,00", "150000.0000001", "\u0661\u0665\u0660\u0660\u0660\u0660", "150000 UGX"],
)
def test_what_cannot_be_read_is_not_the_same_amount(theirs: str) -> None:
    assert not same_amount(theirs, 150_000, 0)


def test_small_amounts_keep_their_zero_before_the_point() -> None:
    assert format_amount(1, 2) == "0.01"
    assert format_amount(10, 2) == "0.10"
    assert format_amount(-1_250, 2) == "-12.50"
    assert format_amount(150_000, 0) == "150000"
