"""Periods against a model that walks day by day: every period exactly once, its name, its bounds and its day; and rules edited in between."""

from datetime import date, time, timedelta
from itertools import islice, pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.schedule_days import rfc_walk, walk
from tests.support.schedule_rules import a_rule, an_rfc_text

from momo_worker.timing import rfc
from momo_worker.timing.calendars import OnHoliday, work_calendar
from momo_worker.timing.local_time import local, moment_ms, zone_of
from momo_worker.timing.periods import (
    HORIZON,
    Period,
    Timetable,
    due,
    first_after,
    first_since,
    period_named,
    periods,
)
from momo_worker.timing.problems import RuleError
from momo_worker.timing.rules import Rule, Unit, WorkingDay, rule_of

KAMPALA = zone_of("Africa/Kampala")
ZONES = st.sampled_from(
    ["Africa/Kampala", "Africa/Casablanca", "Europe/Paris", "America/Sao_Paulo", "Pacific/Apia"]
).map(zone_of)
DAY = timedelta(days=1)
starts = st.dates(date(2017, 1, 1), date(2045, 12, 31))


def not_too_long(rule: Rule) -> bool:
    """The model walks every day: four periods of ten years each would take it a minute."""
    return rule.unit is not Unit.YEAR or rule.every <= 2


@settings(max_examples=400)
@given(a_rule().filter(not_too_long), starts)
def test_every_period_is_there_once_with_name_bounds_and_day(rule: Rule, start: date) -> None:
    expected = walk(rule, start, 4)

    found = list(islice(periods(Timetable(rule, KAMPALA, start), start - 400 * DAY), 4))

    assert [(p.name, p.begins, p.ends, p.nominal) for p in found] == [
        (w.name, w.begins, w.ends, w.day) for w in expected
    ][: len(found)]
    assert len(found) == 4 or expected[len(found)].begins > start - 400 * DAY + HORIZON


@settings(max_examples=200)
@given(an_rfc_text(), starts, st.integers(-200, 2000))
def test_an_rfc_rules_days_are_the_models(text: str, start: date, later: int) -> None:
    since = start + later * DAY
    until = since + 800 * DAY
    rule = readable(text)
    expected = rfc_walk(text, start, since, until)
    # dateutil looks for a day that never comes until the year 9999; what never fires has tests of its own.
    assume(expected)

    assert list(rfc.days(rule, start, since, until)) == expected


def readable(text: str) -> rfc.RfcRule:
    try:
        return rfc.rfc_rule(text)
    except RuleError:
        return assume(False)


RFC_RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=45",
    "FREQ=WEEKLY;BYDAY=WE",
    "FREQ=WEEKLY;BYDAY=SU;WKST=SU",
    "FREQ=WEEKLY;BYDAY=MO,TH",
    "FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,MO;WKST=SU",
    "FREQ=WEEKLY;BYDAY=MO;BYMONTH=1,2,3,9,10,11",
    "FREQ=MONTHLY;BYMONTHDAY=5",
    "FREQ=MONTHLY;BYMONTHDAY=31",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYMONTHDAY=5,20",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
    "FREQ=MONTHLY;INTERVAL=2;BYDAY=-1FR",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=31",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1",
    "FREQ=YEARLY;BYYEARDAY=-1",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
    "FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO",
    "FREQ=YEARLY;BYMONTH=1,5,9;BYDAY=1MO",
]
any_rule = st.one_of(a_rule(), st.sampled_from(RFC_RULES).map(rule_of))


@settings(max_examples=150)
@given(any_rule, starts, st.one_of(st.none(), st.integers(0, 3000)), st.integers(-500, 3000), ZONES)
def test_names_are_unique_sorted_and_the_same_from_wherever_one_looks(
    rule: Rule, start: date, length: int | None, later: int, zone
) -> None:
    end = None if length is None else start + length * DAY
    timetable = Timetable(rule, zone, start, end)
    early = list(periods(timetable, start - 500 * DAY))
    since = start + later * DAY

    late = list(periods(timetable, since))

    names = [period.name for period in early]
    assert names == sorted(set(names))
    assert all(start <= period.nominal and (end is None or period.nominal <= end) for period in early)
    assert all(period.begins <= period.nominal <= period.ends for period in early)
    horizon = min(start - 500 * DAY, since) + HORIZON
    assert [p for p in late if p.begins <= horizon] == [p for p in early if since <= p.begins <= horizon]
    for period in late[:3]:
        assert period_named(timetable, period.name) == period
        assert first_since(timetable, period.begins) == first_since(timetable, period.ends) == period
        assert first_after(timetable, period.begins - DAY) == period
    for before, after in pairwise(early):
        gap = after.begins - before.ends
        assert gap == DAY or (rule.unit is Unit.RFC and gap > DAY and before.ends == before.begins + 365 * DAY)


@settings(max_examples=200)
@given(st.lists(st.tuples(any_rule, st.integers(0, 120)), min_size=2, max_size=4), starts)
def test_edits_never_ask_twice_for_one_day_of_the_calendar(edits: list[tuple[Rule, int]], made_on: date) -> None:
    """Each rule is held for some days, its periods fire, and the next holds from the first period after the last fired has ended."""
    fired: list[Period] = []
    today = made_on
    for rule, held_days in edits:
        since = (fired[-1].ends if fired else made_on) + DAY
        today += held_days * DAY
        timetable = Timetable(rule, KAMPALA, made_on)
        now_ms = moment_ms(KAMPALA, today, time(23, 59))
        come = due(timetable, now_ms, {period.name for period in fired}, since)
        if come:
            assert come[0].begins >= since
        fired.extend(come)

    names = [period.name for period in fired]
    assert len(names) == len(set(names))
    for before, after in pairwise(fired):
        assert before.ends < after.begins


extra_days = st.frozensets(st.integers(0, 60), max_size=20)


@settings(max_examples=300)
@given(a_rule(), starts, st.sampled_from(["", "UG", "ZA", "CI", "EG"]), extra_days, st.sampled_from(OnHoliday), ZONES)
def test_holidays_move_the_firing_and_never_the_name(
    rule: Rule, start: date, country: str, extra, on_holiday, zone
) -> None:
    calendar = work_calendar(country, extra=[start + days * DAY for days in extra])
    plain = Timetable(rule, zone, start)

    found = list(islice(periods(Timetable(rule, zone, start, None, calendar, on_holiday), start), 40))

    assert [(p.name, p.begins, p.ends) for p in found] == [
        (p.name, p.begins, p.ends) for p in islice(periods(plain, start), 40)
    ]
    for period in found:
        assert local(zone, period.fires_at_ms).date() >= period.moved
        if isinstance(rule.on, WorkingDay):
            assert period.moved == period.nominal
            assert period.skipped or calendar.works(period.moved)
            continue
        wanted = period.nominal
        if calendar.holiday(wanted) and on_holiday in (OnHoliday.BEFORE, OnHoliday.AFTER) and not period.skipped:
            step = DAY if on_holiday is OnHoliday.AFTER else -DAY
            while calendar.holiday(wanted) or not calendar.works(wanted):
                wanted += step
        assert period.moved == wanted
        assert bool(period.skipped) == (on_holiday is OnHoliday.SKIP and bool(calendar.holiday(period.nominal)))


@settings(max_examples=150)
@given(
    any_rule, starts, st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=6), st.sampled_from(OnHoliday), ZONES
)
def test_however_the_clock_goes_each_period_is_due_once_and_none_before_its_moment(
    rule: Rule, start: date, jumps: list[int], on_holiday: OnHoliday, zone
) -> None:
    """Clocks go forward and back; whoever accounts for what is due accounts for each period once, and for all in the end."""
    timetable = Timetable(rule, zone, start, None, work_calendar("UG"), on_holiday)
    zero = moment_ms(zone, start, time(0))
    accounted: list[str] = []
    for minutes in jumps:
        now_ms = zero + minutes * 60_000
        come = due(timetable, now_ms, accounted, start - 400 * DAY)
        assert all(period.fires_at_ms <= now_ms for period in come)
        accounted.extend(period.name for period in come)

    furthest = zero + max(jumps) * 60_000
    everyone = [p.name for p in periods(timetable, start - 400 * DAY) if p.fires_at_ms <= furthest]
    assert sorted(accounted) == sorted(everyone)
