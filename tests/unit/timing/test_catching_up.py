"""Catching up: each policy on a week of downtime, told by hand; and whatever is due, each period ends in one list."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.timing.catching_up import CatchUp, catch_up_of, decide
from momo_worker.timing.local_time import DAY_MS
from momo_worker.timing.periods import Period
from momo_worker.timing.problems import RuleError

NOW_MS = 2_000_000_000_000


def a_period(number: int, days_ago: int, skipped: str = "") -> Period:
    day = date(2026, 12, 1) + timedelta(days=number)
    return Period(str(day), day, day, day, day, NOW_MS - days_ago * DAY_MS, skipped)


WEEK = [a_period(number, 6 - number) for number in range(7)]


@pytest.mark.parametrize(
    ("policy", "fired"), [("all", WEEK), ("latest", WEEK[-1:]), ("within:3d", WEEK[3:]), ("within:30d", WEEK)]
)
def test_after_a_week_of_downtime(policy: str, fired: list[Period]) -> None:
    found = decide(WEEK, NOW_MS, catch_up_of(policy))

    assert list(found.fire) == fired
    assert [missed.period for missed in found.missed] == WEEK[: 7 - len(fired)]
    assert all(missed.reason for missed in found.missed)


def test_what_is_on_time_is_fired_under_every_policy() -> None:
    for policy in ("all", "latest", "within:1d"):
        assert decide(WEEK[-1:], NOW_MS, catch_up_of(policy)).fire == (WEEK[-1],)


def test_periods_that_a_holiday_moved_onto_one_day_are_both_the_latest() -> None:
    moved = [a_period(0, 0), a_period(1, 0), a_period(2, 1)]

    assert decide(moved, NOW_MS, catch_up_of("latest")).fire == (moved[0], moved[1])


def test_a_skipped_period_is_told_and_crowds_out_none() -> None:
    due = [a_period(0, 1), a_period(1, 0, "Christmas Day")]

    found = decide(due, NOW_MS, catch_up_of("latest"))

    assert found.fire == (due[0],)
    assert [(told.period, told.reason) for told in found.skipped] == [(due[1], "Christmas Day")]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["", "", "Eid"])), max_size=12),
    st.sampled_from(["all", "latest", "within:1d", "within:7d"]),
)
def test_each_period_is_in_one_list(made: list[tuple[int, str]], policy: str) -> None:
    due = [a_period(number, days, skipped) for number, (days, skipped) in enumerate(made)]

    found = decide(due, NOW_MS, catch_up_of(policy))

    told = [*found.fire, *(missed.period for missed in (*found.missed, *found.skipped))]
    assert sorted(told, key=lambda period: period.name) == due
    assert bool(found.fire) or policy.startswith("within") or all(period.skipped for period in due)


@pytest.mark.parametrize("text", ["all", "latest", "within:3d"])
def test_a_policy_is_written_back(text: str) -> None:
    assert str(catch_up_of(text)) == text
    assert catch_up_of(f" {text.upper()} ") == catch_up_of(text)


@pytest.mark.parametrize(
    "text", ["", "none", "within", "within:0d", "within:3", "within:3h", "within:-1d", "within:9999d"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="within:3d"):
        catch_up_of(text)


def test_policies_are_values() -> None:
    assert catch_up_of("within: 3 days") == CatchUp(catch_up_of("within:1d").catch, 3)
