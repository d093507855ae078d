"""Local time: days on which clocks change, told by hand, and a model that walks minute by minute until clocks show the time or are past it."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.timing.local_time import moment_ms, zone_of
from momo_worker.timing.problems import ZoneError

#: (zone, day, local time) and the moment in UTC.
MOMENTS = {
    "an ordinary day": ("Africa/Kampala", "2026-12-05", "09:00", "2026-12-05T06:00"),
    "Paris before it goes forward": ("Europe/Paris", "2026-03-29", "01:59", "2026-03-29T00:59"),
    "Paris, in the gap": ("Europe/Paris", "2026-03-29", "02:30", "2026-03-29T01:00"),
    "Paris, the gap's first minute": ("Europe/Paris", "2026-03-29", "02:00", "2026-03-29T01:00"),
    "Paris after the gap": ("Europe/Paris", "2026-03-29", "03:00", "2026-03-29T01:00"),
    "Paris, the first of two": ("Europe/Paris", "2026-10-25", "02:30", "2026-10-25T00:30"),
    "Paris after it went back": ("Europe/Paris", "2026-10-25", "03:00", "2026-10-25T02:00"),
    "Casablanca goes back for Ramadan": ("Africa/Casablanca", "2026-02-15", "02:30", "2026-02-15T01:30"),
    "Casablanca in Ramadan": ("Africa/Casablanca", "2026-03-01", "09:00", "2026-03-01T09:00"),
    "Casablanca goes forward after it": ("Africa/Casablanca", "2026-03-22", "02:30", "2026-03-22T02:00"),
    "Casablanca out of Ramadan": ("Africa/Casablanca", "2026-12-05", "09:00", "2026-12-05T08:00"),
    "Sao Paulo had no midnight": ("America/Sao_Paulo", "2018-11-04", "00:00", "2018-11-04T03:00"),
    "Sao Paulo half an hour later": ("America/Sao_Paulo", "2018-11-04", "00:30", "2018-11-04T03:00"),
    "Sao Paulo had 23:30 twice": ("America/Sao_Paulo", "2018-02-17", "23:30", "2018-02-18T01:30"),
    "Sao Paulo changes no more": ("America/Sao_Paulo", "2026-11-01", "00:30", "2026-11-01T03:30"),
    "Lord Howe goes forward half an hour": ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30"),
    "Samoa left a day out": ("Pacific/Apia", "2011-12-30", "09:00", "2011-12-30T10:00"),
}


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize("told", MOMENTS.values(), ids=MOMENTS)
def test_a_local_time_is_its_first_moment_or_the_first_after_the_gap(told: tuple[str, str, str, str]) -> None:
    zone, day, at, expected = told

    assert moment_ms(zone_of(zone), date.fromisoformat(day), time.fromisoformat(at)) == utc_ms(expected)


def test_the_second_of_two_can_be_asked_for() -> None:
    paris = zone_of("Europe/Paris")

    assert moment_ms(paris, date(2026, 10, 25), time(2, 30), fold=1) == utc_ms("2026-10-25T01:30")


ZONES = (
    "Africa/Kampala",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Europe/Paris",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kathmandu",
)
#: Each within a day of a change of clocks in one of the zones.
CHANGES = (
    "2018-02-17",
    "2018-11-03",
    "2026-02-14",
    "2026-03-21",
    "2026-03-28",
    "2026-04-24",
    "2026-10-24",
    "2026-10-29",
    "2011-12-29",
)
near_changes = st.builds(
    lambda day, days: date.fromisoformat(day) + timedelta(days=days), st.sampled_from(CHANGES), st.integers(0, 3)
)
minutes = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@settings(max_examples=200)
@given(st.sampled_from(ZONES), st.one_of(near_changes, st.dates(date(2000, 1, 1), date(2037, 12, 31))), minutes)
def test_it_is_the_first_minute_at_which_clocks_show_the_time_or_are_past_it(name: str, day: date, at: time) -> None:
    zone = zone_of(name)
    wanted = datetime.combine(day, at)
    minute = int((wanted - timedelta(hours=27)).replace(tzinfo=UTC).timestamp()) // 60

    while datetime.fromtimestamp(minute * 60, tz=zone).replace(tzinfo=None) < wanted:
        minute += 1

    assert moment_ms(zone, day, at) == minute * 60_000


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("Africa/Kampla", "Africa/Kampala"),
        ("africa/kampala", "Africa/Kampala"),
        ("Europe/Pariss", "Europe/Paris"),
        ("UTC+3", "UTC"),
        ("", "IANA list"),
        ("localtime", "IANA list"),
        ("right/Africa/Kampala", "Africa/Kampala"),
        ("../../etc/passwd", "IANA list"),
        ("Africa", "Africa/"),
    ],
)
def test_a_zone_that_there_isnt_is_refused_with_the_closest(name: str, close: str) -> None:
    with pytest.raises(ZoneError, match=r"there is no time zone") as refused:
        zone_of(name)

    assert close in refused.value.advice


def test_a_machine_without_zones_has_those_of_the_package() -> None:
    asked = "from momo_worker.timing.local_time import *; print(local(zone_of('Africa/Kampala'), 0).isoformat())"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={"PYTHONTZPATH": "", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout == "1970-01-01T03:00:00+03:00\n", done.stderr
