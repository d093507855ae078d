"""Periods told by hand: month ends, leap days, week 53, year ends, holidays, edits, and rules that never fire."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest

from momo_worker.timing.calendars import NO_WORKING_DAY, OnHoliday, work_calendar
from momo_worker.timing.local_time import local, zone_of
from momo_worker.timing.periods import (
    Period,
    Timetable,
    check_fires,
    due,
    first_after,
    first_since,
    next_periods,
    period_named,
    periods,
)
from momo_worker.timing.problems import RuleError
from momo_worker.timing.rules import rule_of

KAMPALA = zone_of("Africa/Kampala")
UGANDA = work_calendar("UG")


def day(text: str) -> date:
    return date.fromisoformat(text)


def a_timetable(rule: str, start: str = "2026-01-01", end: str | None = None, **others: object) -> Timetable:
    return Timetable(rule_of(rule), others.pop("zone", KAMPALA), day(start), day(end) if end else None, **others)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


#: (rule, start) and its first periods: name, begins, ends, day.
TOLD = {
    "month ends": (
        "monthly on 31",
        "2027-01-15",
        ["2027-01 2027-01-01 2027-01-31 2027-01-31", "2027-02 2027-02-01 2027-02-28 2027-02-28", "2027-03 2027-03-01 2027-03-31 2027-03-31"],
    ),
    "30 in a leap February": ("monthly on 30", "2028-02-01", ["2028-02 2028-02-01 2028-02-29 2028-02-29", "2028-03 2028-03-01 2028-03-31 2028-03-30"]),
    "a leap day every year": (
        "yearly on 29 february",
        "2027-01-01",
        ["2027 2027-01-01 2027-12-31 2027-02-28", "2028 2028-01-01 2028-12-31 2028-02-29", "2029 2029-01-01 2029-12-31 2029-02-28"],
    ),
    "a leap day by RFC 5545": (
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "2027-01-01",
        ["2028-02-29 2028-02-29 2029-02-28 2028-02-29", "2032-02-29 2032-02-29 2033-02-28 2032-02-29"],
    ),
    "the 31st by RFC 5545": (
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "2026-01-01",
        ["2026-01-31 2026-01-31 2026-03-30 2026-01-31", "2026-03-31 2026-03-31 2026-05-30 2026-03-31"],
    ),
    "the last Friday by RFC 5545": ("FREQ=MONTHLY;BYDAY=-1FR", "2026-12-01", ["2026-12 2026-12-01 2026-12-31 2026-12-25"]),
    "week 53, and the year's end within it": (
        "weekly on friday",
        "2026-12-24",
        ["2026-W52 2026-12-21 2026-12-27 2026-12-25", "2026-W53 2026-12-28 2027-01-03 2027-01-01", "2027-W01 2027-01-04 2027-01-10 2027-01-08"],
    ),
    "week 1 begins in the old year": ("weekly on monday", "2024-12-30", ["2025-W01 2024-12-30 2025-01-05 2024-12-30"]),
    "two weeks from the first Friday after the start": (
        "every 2 weeks on friday",
        "2026-11-28",
        ["2026-W49 2026-11-30 2026-12-13 2026-12-04", "2026-W51 2026-12-14 2026-12-27 2026-12-18", "2026-W53 2026-12-28 2027-01-10 2027-01-01"],
    ),
    "three months from the first 1st after the start": (
        "every 3 months on 1",
        "2026-11-28",
        ["2026-12 2026-12-01 2027-02-28 2026-12-01", "2027-03 2027-03-01 2027-05-31 2027-03-01"],
    ),
    "quarters": (
        "quarterly on 5",
        "2026-07-06",
        ["2026-10 2026-10-01 2026-12-31 2026-10-05", "2027-01 2027-01-01 2027-03-31 2027-01-05"],
    ),
    "ten days": ("every 10 days", "2026-12-24", ["2026-12-24 2026-12-24 2027-01-02 2026-12-24", "2027-01-03 2027-01-03 2027-01-12 2027-01-03"]),
    "twice a week": (
        "FREQ=WEEKLY;BYDAY=MO,TH",
        "2026-12-29",
        ["2026-12-31 2026-12-31 2027-01-03 2026-12-31", "2027-01-04 2027-01-04 2027-01-06 2027-01-04"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_a_period_has_name_begin_end_and_day(told: tuple[str, str, list[str]]) -> None:
    rule, start, expected = told

    found = islice(periods(a_timetable(rule, start), day(start) - timedelta(days=400)), len(expected))

    assert [f"{period.name} {period.begins} {period.ends} {period.nominal}" for period in found] == expected


def test_start_and_end_are_in_it() -> None:
    timetable = a_timetable("monthly on 5", "2026-10-05", "2026-12-05")

    assert [period.name for period in periods(timetable, day("2026-01-01"))] == ["2026-10", "2026-11", "2026-12"]


#: (rule, what becomes of holidays, further holidays, name) and the day on which it fires, or why it doesn't.
MOVED = {
    "kept": ("monthly on 25", "keep", [], "2026-12", "2026-12-25"),
    "after Christmas, Boxing Day and a Sunday": ("monthly on 25", "after", [], "2026-12", "2026-12-28"),
    "before": ("monthly on 25", "before", [], "2026-12", "2026-12-24"),
    "a Saturday that is no holiday stays": ("monthly on 5", "after", [], "2026-12", "2026-12-05"),
    "into the old year, under the new one's name": ("monthly on 1", "before", [], "2027-01", "2026-12-31"),
    "declared at short notice": ("monthly on 7", "after", ["2026-12-07", "2026-12-08"], "2026-12", "2026-12-09"),
    "skipped": ("monthly on 25", "skip", [], "2026-12", "Christmas Day"),
    "the last working day before it": ("last working day", "skip", ["2026-12-31", "2026-12-30"], "2026-12", "2026-12-29"),
    "the first working day after New Year": ("first working day", "keep", [], "2027-01", "2027-01-04"),
    "a month of holidays": ("monthly on 7", "after", [f"2026-12-{n:02}" for n in range(1, 32)] + [f"2027-01-{n:02}" for n in range(1, 32)], "2026-12", NO_WORKING_DAY),
}  # fmt: skip


@pytest.mark.parametrize("told", MOVED.values(), ids=MOVED)
def test_a_holiday_moves_the_day(told: tuple[str, str, list[str], str, str]) -> None:
    rule, on_holiday, extra, name, expected = told
    working = work_calendar("UG", extra=[day(text) for text in extra])

    found = period_named(a_timetable(rule, working=working, on_holiday=OnHoliday(on_holiday)), name)

    assert found
    assert (found.skipped or str(found.moved)) == expected


def test_a_period_fires_at_its_local_time_however_clocks_change() -> None:
    timetable = a_timetable("daily at 02:30", "2026-03-28", zone=zone_of("Europe/Paris"))

    found = [period.fires_at_ms for period in islice(periods(timetable, timetable.start), 3)]

    assert found == [ms("2026-03-28T01:30"), ms("2026-03-29T01:00"), ms("2026-03-30T00:30")]


def after_an_edit(fired: Period, rule: str) -> str:
    found = first_after(a_timetable(rule), fired.ends)
    return f"{found.name} {found.nominal}" if found else ""


#: (rule that fired, its period, the rule after the edit) and the first period under that. H1 of the money review.
EDITS = {
    "another day of the month": ("monthly on 5", "2026-12", "monthly on 10", "2027-01 2027-01-10"),
    "by RFC 5545 from then on": ("monthly on 5", "2026-12", "FREQ=MONTHLY;BYMONTHDAY=10", "2027-01 2027-01-10"),
    "by weeks from then on": ("monthly on 5", "2026-12", "weekly on monday", "2027-W01 2027-01-04"),
    "by days from then on": ("monthly on 5", "2026-12", "daily", "2027-01-01 2027-01-01"),
    "from weeks to months": ("weekly on monday", "2026-W49", "monthly on 5", "2027-01 2027-01-05"),
    "another day of the week": ("weekly on monday", "2026-W49", "weekly on friday", "2026-W50 2026-12-11"),
    "from a quarter to months": ("quarterly on 5", "2026-10", "monthly on 5", "2027-01 2027-01-05"),
    "from a year to months": ("yearly on 31 march", "2026", "monthly on 5", "2027-01 2027-01-05"),
    "from ten days to a day": ("every 10 days", "2026-12-27", "daily", "2027-01-06 2027-01-06"),
}


@pytest.mark.parametrize("told", EDITS.values(), ids=EDITS)
def test_an_edit_holds_from_the_first_period_after_the_last_that_fired(told: tuple[str, str, str, str]) -> None:
    before, name, after, expected = told
    fired = period_named(a_timetable(before), name)

    assert fired
    assert after_an_edit(fired, after) == expected


def test_a_new_schedule_begins_with_the_first_period_after_it_was_made() -> None:
    timetable = a_timetable("monthly on 25", "2026-12-01")

    made_on_the_first = first_after(timetable, day("2026-12-01"))
    from_december = first_since(timetable, day("2026-12-03"))

    assert made_on_the_first
    assert made_on_the_first.name == "2027-01"
    assert from_december
    assert from_december.name == "2026-12"


def test_what_is_next_is_what_fires_after_now() -> None:
    timetable = a_timetable("monthly on 5", "2026-01-01")

    at_nine = [period.name for period in next_periods(timetable, ms("2026-12-05T06:00"), 2)]
    just_before = [period.name for period in next_periods(timetable, ms("2026-12-05T06:00") - 1, 2)]

    assert at_nine == ["2027-01", "2027-02"]
    assert just_before == ["2026-12", "2027-01"]


def test_a_period_moved_before_its_own_begin_is_due_then() -> None:
    timetable = a_timetable("monthly on 1", working=UGANDA, on_holiday=OnHoliday.BEFORE)
    fires = ms("2026-12-31T06:00")

    assert [p.name for p in due(timetable, fires, {"2026-12"}, day("2026-12-01"))] == ["2027-01"]
    assert due(timetable, fires - 1, {"2026-12"}, day("2026-12-01")) == ()
    assert next_periods(timetable, fires - 1, 1)[0].name == "2027-01"
    assert next_periods(timetable, fires, 1)[0].name == "2027-02"


def test_a_week_of_downtime_leaves_every_period_due_in_order() -> None:
    timetable = a_timetable("daily")

    found = due(timetable, ms("2026-12-12T07:00"), {"2026-12-05", "2026-12-08"}, day("2026-12-05"))

    assert [period.name for period in found] == [f"2026-12-{n:02}" for n in (6, 7, 9, 10, 11, 12)]
    assert all(local(KAMPALA, period.fires_at_ms).hour == 9 for period in found)


NEVER = {
    "a day that no month has": (a_timetable("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"), "never fires from 2026-11-28 on"),
    "a weekday that an interval never meets": (a_timetable("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "2027-01-01"), "never fires"),
    "nothing before its end": (a_timetable("monthly on 25", end="2026-12-24"), "never fires from 2026-11-28 to 2026-12-24"),
    "an end that is past": (a_timetable("monthly on 25", end="2026-11-27"), "which is past"),
    "an end before its start": (a_timetable("monthly on 25", "2027-01-01", "2026-12-31"), "before it starts"),
    "skipped each time": (a_timetable("yearly on 25 december", working=UGANDA, on_holiday=OnHoliday.SKIP), "skipped each time: Christmas"),
}  # fmt: skip


@pytest.mark.parametrize("told", NEVER.values(), ids=NEVER)
def test_a_rule_that_never_fires_is_refused(told: tuple[Timetable, str]) -> None:
    with pytest.raises(RuleError) as refused:
        check_fires(told[0], day("2026-11-28"))

    assert told[1] in refused.value.reason
    assert refused.value.advice


def test_a_rule_that_fires_says_when_first() -> None:
    assert check_fires(a_timetable("monthly on 28"), day("2026-11-28")).name == "2026-11"
    assert check_fires(a_timetable("every 10 years on 1 march", "2026-01-02"), day("2026-11-28")).name == "2036"
    assert check_fires(a_timetable("yearly on 1 march", "2026-01-02"), day("2026-11-28")).name == "2027"


@pytest.mark.parametrize(
    "name", ["", "2026-13", "2026-W54", "2026-W1x", "december", "2026-12-32", "2025-12", "2026-W49", "2026"]
)
def test_a_name_that_the_timetable_hasnt_is_nothing(name: str) -> None:
    assert period_named(a_timetable("monthly on 5"), name) is None
