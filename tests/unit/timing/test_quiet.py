"""Quiet hours: told by hand, on days on which clocks change too, and a model that walks minute by minute until clocks show an open time."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.timing.local_time import moment_ms, zone_of
from momo_worker.timing.problems import QuietError
from momo_worker.timing.quiet import QuietHours, quiet_hours, quiet_until

NIGHT = "20:00-07:00"
#: (window, zone, UTC moment) and the UTC moment at which it is open again; '' when it is open.
TOLD = {
    "by day": (NIGHT, "Africa/Kampala", "2026-12-05T09:00", ""),
    "in the evening": (NIGHT, "Africa/Kampala", "2026-12-05T17:00", "2026-12-06T04:00"),
    "a minute before": (NIGHT, "Africa/Kampala", "2026-12-05T16:59", ""),
    "in the morning": (NIGHT, "Africa/Kampala", "2026-12-05T03:59", "2026-12-05T04:00"),
    "at its end": (NIGHT, "Africa/Kampala", "2026-12-05T04:00", ""),
    "over noon": ("12:00-14:00", "Africa/Kampala", "2026-12-05T10:30", "2026-12-05T11:00"),
    "off": ("off", "Africa/Kampala", "2026-12-05T22:00", ""),
    "a night that is an hour shorter": (NIGHT, "Europe/Paris", "2026-03-28T22:00", "2026-03-29T05:00"),
    "a night that is an hour longer": (NIGHT, "Europe/Paris", "2026-10-24T22:00", "2026-10-25T06:00"),
    "its end in the gap": ("20:00-02:30", "Europe/Paris", "2026-03-28T22:00", "2026-03-29T01:00"),
    "its end twice, before the first": ("20:00-02:30", "Europe/Paris", "2026-10-25T00:00", "2026-10-25T00:30"),
    "its end twice, in between": ("20:00-02:30", "Europe/Paris", "2026-10-25T00:45", ""),
    "its end twice, before the second": ("20:00-02:30", "Europe/Paris", "2026-10-25T01:15", "2026-10-25T01:30"),
    "over a day that Samoa left out": (NIGHT, "Pacific/Apia", "2011-12-30T08:00", "2011-12-30T17:00"),
}


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize("told", TOLD.values(), ids=TOLD)
def test_nobody_is_asked_until_the_window_ends(told: tuple[str, str, str, str]) -> None:
    window, zone, now, expected = told

    found = quiet_until(quiet_hours(window), zone_of(zone), utc_ms(now))

    assert found == (utc_ms(expected) if expected else None)


@pytest.mark.parametrize(
    "text", ["", "20-07", "20:00", "20:00-25:00", "20:00-07:60", "night", "20:00-07:00-08:00", "8pm-7am"]
)
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(QuietError, match="20:00-07:00"):
        quiet_hours(text)


@pytest.mark.parametrize("text", ["07:00-06:01", "00:00-23:01", "20:00-20:00", "00:00-00:00"])
def test_a_window_that_leaves_no_hour_is_refused(text: str) -> None:
    with pytest.raises(QuietError, match="less than an hour"):
        quiet_hours(text)


@pytest.mark.parametrize("text", ["07:00-06:00", "20:00-07:00", "12:00-12:01"])
def test_a_window_is_written_back(text: str) -> None:
    assert str(quiet_hours(text)) == text


CHANGES = (
    "2018-02-17",
    "2018-11-03",
    "2026-02-14",
    "2026-03-28",
    "2026-04-23",
    "2026-10-24",
    "2026-10-29",
    "2011-12-29",
)
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))
ZONES = ("Africa/Casablanca", "Africa/Cairo", "Europe/Paris", "America/Sao_Paulo", "Pacific/Apia")


@settings(max_examples=300)
@given(st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(0, 4 * 24 * 60), minutes, minutes)
def test_it_is_the_next_minute_that_clocks_show_as_open(
    name: str, day: str, later: int, begins: time, ends: time
) -> None:
    zone = zone_of(name)
    quiet = QuietHours(
        begins, ends if ends != begins else (datetime.combine(date.min, begins) + timedelta(hours=1)).time()
    )
    now = moment_ms(zone, date.fromisoformat(day), time(0)) // 60_000 + later
    minute = now

    def closed(at: int) -> bool:
        clock = datetime.fromtimestamp(at * 60, tz=zone).time()
        inside = [quiet.begins <= clock, clock < quiet.ends]
        return all(inside) if quiet.begins < quiet.ends else any(inside)

    while closed(minute):
        minute += 1

    assert quiet_until(quiet, zone, now * 60_000) == (None if minute == now else minute * 60_000)
