"""Asking again: each reason of MTN's has its wait, told by hand in the payer's own days; and whatever happens, the bounds hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.mtn.reasons import CODES
from momo_worker.timing.asking_again import (
    OUTCOMES,
    Again,
    Happened,
    Outcome,
    Policy,
    Stop,
    Why,
    again,
    outcome_of,
    problems,
)
from momo_worker.timing.local_time import DAY_MS, HOUR_MS, local, zone_of
from momo_worker.timing.quiet import QuietHours, quiet_hours, quiet_until

KAMPALA = zone_of("Africa/Kampala")
NIGHT = quiet_hours("20:00-07:00")
POLICY = Policy()


def at(text: str) -> int:
    """A moment by Kampala's clocks."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() - 3 * 3600) * 1000


def asked(code: str, ended: str, **others: object) -> Happened:
    """Asked once, five minutes before the ask ended."""
    ended_ms = at(ended)
    begun = ended_ms - 300_000
    return replace(Happened(code, begun, begun, ended_ms, asks=1, declines=0), **others)


#: (reason, when the ask ended) and when the next comes, all by Kampala's clocks. 5 December 2026 is a Saturday.
WAITS = {
    "expired in the morning": ("EXPIRED", "2026-12-05T09:05", "2026-12-05T18:00"),
    "no PIN in the morning": ("COULD_NOT_PERFORM_TRANSACTION", "2026-12-05T09:05", "2026-12-05T18:00"),
    "expired three hours before an ask hour": ("EXPIRED", "2026-12-05T15:00", "2026-12-05T18:00"),
    "expired a minute too late for it": ("EXPIRED", "2026-12-05T15:01", "2026-12-06T09:00"),
    "expired in the evening": ("EXPIRED", "2026-12-05T18:05", "2026-12-06T09:00"),
    "expired before midnight": ("EXPIRED", "2026-12-31T23:30", "2027-01-01T09:00"),
    "declined": ("APPROVAL_REJECTED", "2026-12-05T09:05", "2026-12-08T09:00"),
    "declined in the evening": ("PAYMENT_NOT_APPROVED", "2026-12-05T18:05", "2026-12-08T09:00"),
    "cancelled by somebody": ("TRANSACTION_CANCELED", "2026-12-05T18:05", "2026-12-08T09:00"),
    "no money early in the month": ("NOT_ENOUGH_FUNDS", "2026-12-05T09:05", "2026-12-25T09:00"),
    "no money, as the Congo says it": (
        "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED",
        "2026-12-24T18:05",
        "2026-12-25T09:00",
    ),
    "no money on a pay day": ("NOT_ENOUGH_FUNDS", "2026-12-25T09:05", "2026-12-28T09:00"),
    "asked late before a pay day": ("NOT_ENOUGH_FUNDS", "2026-12-25T00:02", "2026-12-25T09:00"),
    "no money on the last pay day of the month": ("PAYER_LIMIT_REACHED", "2026-12-30T09:05", "2027-01-01T09:00"),
    "no word why": ("INTERNAL_PROCESSING_ERROR", "2026-12-20T09:05", "2026-12-25T09:00"),
    "a word that nobody listed": ("WALLET_ON_THE_MOON", "2026-12-20T09:05", "2026-12-25T09:00"),
    "MTN away": ("SERVICE_UNAVAILABLE", "2026-12-05T09:05", "2026-12-05T18:00"),
    "MTN away in the evening": ("SERVICE_UNAVAILABLE", "2026-12-05T18:00", "2026-12-06T09:00"),
    "our own wallet is full": ("PAYEE_LIMIT_REACHED", "2026-12-05T09:05", "2026-12-06T09:00"),
}


@pytest.mark.parametrize("told", WAITS.values(), ids=WAITS)
def test_each_reason_has_its_wait(told: tuple[str, str, str]) -> None:
    code, ended, expected = told

    assert again(POLICY, asked(code, ended), KAMPALA, NIGHT) == Again(at(expected))


STOPS = {
    "no wallet": (asked("PAYER_NOT_FOUND", "2026-12-05T09:05"), Why.NUMBER),
    "a blocked wallet": (asked("SENDER_ACCOUNT_NOT_ACTIVE", "2026-12-05T09:05"), Why.NUMBER),
    "a refused request": (asked("BAD_REQUEST", "2026-12-05T09:05"), Why.NUMBER),
    "a second no": (asked("APPROVAL_REJECTED", "2026-12-08T09:05", asks=2, declines=2), Why.DECLINED),
    "four asks": (asked("EXPIRED", "2026-12-08T09:05", asks=4), Why.ASKED),
    "three weeks": (asked("EXPIRED", "2026-12-26T09:05", first_asked_ms=at("2026-12-05T09:00"), asks=2), Why.LATE),
    "pay day comes too late": (asked("NOT_ENOUGH_FUNDS", "2026-12-02T09:05"), Why.LATE),
}


@pytest.mark.parametrize("told", STOPS.values(), ids=STOPS)
def test_it_ends(told: tuple[Happened, Why]) -> None:
    assert again(POLICY, told[0], KAMPALA, NIGHT) == Stop(told[1])


def test_a_pay_day_that_the_month_hasnt_is_its_last_day() -> None:
    policy = replace(POLICY, pay_days=(31,), stop_after_days=60)

    assert again(policy, asked("NOT_ENOUGH_FUNDS", "2027-02-05T09:05"), KAMPALA, NIGHT) == Again(at("2027-02-28T09:00"))
    assert again(policy, asked("NOT_ENOUGH_FUNDS", "2027-02-28T09:05"), KAMPALA, NIGHT) == Again(at("2027-03-31T09:00"))


def test_an_ask_hour_in_quiet_hours_is_their_end() -> None:
    policy = replace(POLICY, ask_hours=(6, 21))

    assert again(policy, asked("SERVICE_UNAVAILABLE", "2026-12-05T09:05"), KAMPALA, NIGHT) == Again(
        at("2026-12-06T07:00")
    )
    assert again(policy, asked("SERVICE_UNAVAILABLE", "2026-12-05T05:05"), KAMPALA, NIGHT) == Again(
        at("2026-12-05T07:00")
    )


def test_days_and_hours_are_the_payers() -> None:
    """The same moment is evening in Kampala and noon in Sao Paulo."""
    happened = asked("EXPIRED", "2026-12-05T19:05")

    assert again(POLICY, happened, zone_of("America/Sao_Paulo"), NIGHT) == Again(at("2026-12-06T00:00"))


def test_a_day_on_which_clocks_change_has_its_ask_hours() -> None:
    paris = zone_of("Europe/Paris")
    ended_ms = int(datetime(2026, 3, 28, 18, 5, tzinfo=paris).timestamp()) * 1000

    found = again(POLICY, Happened("EXPIRED", ended_ms, ended_ms, ended_ms, 1, 0), paris, NIGHT)

    assert found == Again(int(datetime(2026, 3, 29, 9, 0, tzinfo=paris).timestamp()) * 1000)


#: Reasons that are placed by default alone, each on purpose: none is known to end a collection.
UNPLACED = {
    "RESOURCE_NOT_FOUND", "RESOURCE_ALREADY_EXIST", "TRANSACTION_NOT_FOUND", "TRANSFER_TYPE_UNKNOWN", "TRANSACTION_NOT_COMPLETED",
    "NOT_FOUND", "CONSENT_MISMATCH", "INFORMATIONAL_SCOPE_INSTRUCTION", "MISSING_SCOPE_INSTRUCTION",
    "MORE_THAN_ONE_FINANCIAL_SCOPE_NOT_SUPPORTED", "UNSUPPORTED_SCOPE", "UNSUPPORTED_SCOPE_COMBINATION",
}  # fmt: skip


def test_every_reason_that_we_know_is_placed() -> None:
    assert set(OUTCOMES) <= set(CODES)
    assert set(CODES) - set(OUTCOMES) == UNPLACED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ask_hours", ()), ("ask_hours", (9, 24)), ("ask_hours", (-1,)), ("pay_days", ()), ("pay_days", (0,)), ("pay_days", (32,)),
        ("expired_again_hours", 0), ("declined_again_days", 0), ("declines_max", 0), ("asks_max", 0), ("stop_after_days", 367),
    ],
)  # fmt: skip
def test_a_policy_that_cant_be_is_named_with_its_field(field: str, value: object) -> None:
    assert problems(POLICY) == ()
    assert [found[0] for found in problems(replace(POLICY, **{field: value}))] == [field]


policies = st.builds(
    Policy,
    st.lists(st.integers(0, 23), min_size=1, max_size=4).map(tuple),
    st.integers(1, 48),
    st.integers(1, 14),
    st.integers(1, 5),
    st.integers(1, 8),
    st.lists(st.integers(1, 31), min_size=1, max_size=4).map(tuple),
    st.integers(1, 60),
)
codes = st.one_of(st.sampled_from(sorted(CODES)), st.just("NEVER_HEARD_OF"))
zones = st.sampled_from(["Africa/Kampala", "Africa/Casablanca", "Europe/Paris", "America/Sao_Paulo"]).map(zone_of)
hours = st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda ends: (ends[1] - ends[0]) % 24 not in (0, 23))
quiets = st.one_of(st.none(), hours.map(lambda ends: quiet_hours(f"{ends[0]:02}:00-{ends[1]:02}:00")))


@settings(max_examples=400)
@given(
    policies,
    st.lists(st.tuples(codes, st.integers(0, 600)), min_size=1, max_size=12),
    st.integers(at("2018-01-01T00:00") // 1000, at("2030-01-01T00:00") // 1000),
    zones,
    quiets,
)
def test_whatever_happens_the_bounds_hold(
    policy: Policy, story: list[tuple[str, int]], first: int, zone, quiet: QuietHours | None
) -> None:
    """A payer is asked, each ask ends somehow after some minutes, and is asked again when the calendar says so."""
    first_ms = asked_ms = first * 1000
    declines = 0
    for asks, (code, minutes) in enumerate(story, 1):
        ended_ms = asked_ms + minutes * 60_000
        declines += outcome_of(code) is Outcome.DECLINED
        found = again(policy, Happened(code, first_ms, asked_ms, ended_ms, asks, declines), zone, quiet)
        if isinstance(found, Stop):
            return
        assert asks < policy.asks_max
        assert declines < policy.declines_max
        assert ended_ms < found.at_ms <= first_ms + policy.stop_after_days * DAY_MS
        assert quiet_until(quiet, zone, found.at_ms) is None
        wait_ms = found.at_ms - ended_ms
        if outcome_of(code) is Outcome.EXPIRED:
            assert wait_ms >= policy.expired_again_hours * HOUR_MS
        if outcome_of(code) is Outcome.DECLINED:
            days = (local(zone, found.at_ms).date() - local(zone, ended_ms).date()).days
            assert days >= policy.declined_again_days
        if outcome_of(code) is Outcome.NO_FUNDS:
            # The pay day itself, or the morning after it, where its first ask hour lies in quiet hours.
            near = [local(zone, found.at_ms).date() - timedelta(days=back) for back in (0, 1)]
            assert any(is_pay_day(day, policy.pay_days) for day in near)
        asked_ms = found.at_ms


def is_pay_day(day, pay_days: tuple[int, ...]) -> bool:
    ends = (day + timedelta(days=1)).day == 1
    return day.day in pay_days or (ends and max(pay_days) > day.day)
