"""A figure of a workbook is the number that people see, exactly: whatever digits a spreadsheet's binary numbers bring along into the file."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.runs.figures import figure

#: Every number of up to fifteen digits, which is all that a spreadsheet lets anybody enter or see.
ENTERED = st.builds(
    lambda sign, digits, places: Decimal(sign * digits).scaleb(-places),
    st.sampled_from([1, 1, 1, -1]),
    st.integers(0, 10**15 - 1),
    st.integers(0, 18),
)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("150000.10000000001", "150000.1"),
        ("1.5000010000000001E5", "150000.1"),
        ("0.29999999999999999", "0.3"),
        ("0.30000000000000004", "0.3"),
        ("1234.5600000000004", "1234.56"),
        ("999999999999.98999", "999999999999.99"),
        ("150000", "150000"),
        ("150000.0", "150000"),
        ("1.5E5", "150000"),
        ("2.56772123456E+11", "256772123456"),
        ("007", "7"),
        ("000", "0"),
        ("-0", "0"),
        ("+5", "5"),
        ("-12.50", "-12.5"),
        (" 12.5 ", "12.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1234567890123456789", "1234567890123456789"),
        ("1.2345678901234568E18", "1.23456789012346e+18"),
        ("2.56772E15", "2.56772e+15"),
        ("0.0001", "0.0001"),
        ("1e-5", "1e-05"),
        ("-1.25E-7", "-1.25e-07"),
    ],
)
def test_a_figure_is_what_people_see(written: str, seen: str) -> None:
    assert figure(written) == seen


@pytest.mark.parametrize(
    "written", ["", " ", "five", "1,5", "1 5", "1_000", "٣", "²", "nan", "INF", "1e", "e5", "--5", "1.2.3", "0x10", "1e9999", "9" * 401]
)  # fmt: skip
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is no number"):
        figure(written)


@settings(max_examples=500)
@given(ENTERED)
def test_what_was_entered_comes_back_from_the_seventeen_digits_that_are_saved(entered: Decimal) -> None:
    binary = float(entered)
    for written in (f"{binary:.17g}", f"{binary:.17G}", f"{binary:.16e}", repr(binary), str(entered), f"{entered:f}"):
        assert Decimal(figure(written)) == entered, written


@settings(max_examples=500)
@given(st.floats(1e-12, 1e22) | st.floats(1, 1e12))
def test_a_figure_is_the_shortest_decimal_of_its_binary_number_or_that_in_fifteen_digits(binary: float) -> None:
    shortest = Decimal(repr(binary))
    for written in (f"{binary:.17g}", repr(binary)):
        found = Decimal(figure(written))
        if written.isdecimal():
            # In full, and so as it stands.
            assert found == Decimal(written)
        elif len(shortest.normalize().as_tuple().digits) <= 15:
            assert found == shortest
            assert float(found) == binary
        else:
            assert abs(found - Decimal(written)) * 2 <= Decimal(1).scaleb(shortest.adjusted() - 14)
            assert len(found.normalize().as_tuple().digits) <= 15


@given(ENTERED)
def test_whole_numbers_and_fractions_have_no_other_digits_than_were_written(entered: Decimal) -> None:
    assert Decimal(figure(f"{entered:f}")) == entered


@settings(max_examples=500)
@given(st.floats(0, 1e18), st.integers(0, 14), st.integers(1, 9))
def test_two_amounts_that_differ_never_become_one(binary: float, place: int, step: int) -> None:
    """By one in any of the fifteen digits that are shown."""
    one = Decimal(f"{binary:.15g}")
    other = one + Decimal(step).scaleb(max(one.adjusted(), 0) - place)
    if one.adjusted() == other.adjusted():
        assert figure(f"{float(one):.17g}") != figure(f"{float(other):.17g}")
