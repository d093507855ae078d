"""Words of a schedule are read as the ledger keeps them, and what can't be is told with what to write in its place."""

import pytest

from momo_worker.payment.money import Currency
from momo_worker.schedules.wording import Said, day_in, read_words
from momo_worker.timing.problems import ScheduleError

UGX = Currency("UGX", 0)


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        (Said(name=" fees-2026 "), "name", "fees-2026"),
        (Said(rule="Monthly on the 5th"), "rule", "monthly on 5 at 09:00"),
        (Said(zone="Africa/Kampala"), "zone", "Africa/Kampala"),
        (Said(ends="none"), "ends_on", None),
        (Said(ends="2028-02-29"), "ends_on", "2028-02-29"),
        (Said(amount="150,000"), "amount_minor", 150_000),
        (Said(amount="per-payer"), "amount_minor", None),
        (Said(note=""), "note", None),
        (Said(holidays="ug"), "holidays", "UG"),
        (Said(holidays="CA-QC"), "holidays", "CA-QC"),
        (Said(on_holiday="Before"), "on_holiday", "before"),
        (Said(extra_holidays="2026-12-27, 2026-12-24,2026-12-24"), "extra_holidays", "2026-12-24 2026-12-27"),
        (Said(extra_holidays="none"), "extra_holidays", ""),
        (Said(catch_up="within:3d"), "catch_up", "within:3d"),
    ],
)
def test_a_word_becomes_a_field(said: Said, field: str, value: object) -> None:
    read = read_words(said, UGX)
    assert (dict(read.values), read.problems) == ({field: value}, ())


@pytest.mark.parametrize(
    ("said", "where", "words"),
    [
        (Said(name="School fees"), "--name", "is no name"),
        (Said(name="3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e11"), "--name", "looks like the id"),
        (Said(rule="monthly on 32"), "--rule", "no month has a day 32"),
        (Said(rule="montly on 5"), "--rule", "did you mean monthly?"),
        (Said(zone="Kampala"), "--zone", "did you mean Africa/Kampala?"),
        (Said(starts="2026-02-29"), "--starts", "no day of the calendar"),
        (Said(ends="5 December"), "--ends", "write it as 2026-12-05"),
        (Said(amount="0"), "--amount", "is zero"),
        (Said(amount="12.50"), "--amount", "fraction"),
        (Said(amount="KES 5"), "--amount", "is in KES"),
        (Said(note="a\nb"), "--note", "line break"),
        (Said(note="a" * 161), "--note", "161 characters"),
        (Said(holidays="Uganda"), "--holidays", "did you mean UG"),
        (Said(holidays="UG-XX"), "--holidays", "no part"),
        (Said(on_holiday="aftr"), "--on-holiday", "did you mean after?"),
        (Said(extra_holidays="2026-13-01"), "--extra-holidays", "no day"),
        (Said(catch_up="some"), "--catch-up", "write `all`"),
    ],
)
def test_a_word_that_cant_be_is_told_with_what_to_write(said: Said, where: str, words: str) -> None:
    (problem,) = read_words(said, UGX).problems
    assert problem.where == where
    assert words in str(problem)
    assert problem.advice


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026", "2026-01-01"), ("2026-12", "2026-12-01"), ("2026-W49", "2026-11-30"), ("2026-12-05", "2026-12-05")],
)
def test_a_periods_name_stands_for_its_first_day(text: str, day: str) -> None:
    assert day_in(text).isoformat() == day


@pytest.mark.parametrize("text", ["2026-13", "2026-W54", "2026-W00", "0000", "december", "2026-2", "", "2026-02-30"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ScheduleError):
        day_in(text)
