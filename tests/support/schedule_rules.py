"""Made-up rules for schedules: strategies go out, for the tests of rules and of periods."""

from datetime import time

from hypothesis import strategies as st

from momo_worker.timing.rules import (
    EVERY_MAX,
    MonthDay,
    NthWeekday,
    On,
    Rule,
    Unit,
    Weekday,
    WorkingDay,
    YearDay,
)

_DAYS_OF_MONTHS = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
_month_days: st.SearchStrategy[On] = st.one_of(
    st.integers(1, 31).map(MonthDay),
    st.builds(NthWeekday, st.sampled_from([1, 2, 3, 4, -1]), st.integers(0, 6)),
    st.booleans().map(WorkingDay),
)
_quarter_days: st.SearchStrategy[On] = st.one_of(
    st.integers(1, 28).map(MonthDay),
    st.builds(NthWeekday, st.integers(1, 4), st.integers(0, 6)),
    st.just(WorkingDay(last=False)),
)
_year_days: st.SearchStrategy[On] = st.integers(1, 12).flatmap(
    lambda month: st.integers(1, _DAYS_OF_MONTHS[month]).map(lambda day: YearDay(month, day))
)
_ON: dict[Unit, st.SearchStrategy[On]] = {
    Unit.DAY: st.none(),
    Unit.WEEK: st.integers(0, 6).map(Weekday),
    Unit.MONTH: _month_days,
    Unit.QUARTER: _quarter_days,
    Unit.YEAR: _year_days,
}
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@st.composite
def a_rule(draw: st.DrawFn) -> Rule:
    """A rule in words."""
    unit = draw(st.sampled_from([unit for unit in Unit if unit is not Unit.RFC]))
    every = draw(st.one_of(st.just(1), st.integers(1, EVERY_MAX[unit])))
    return Rule(unit, every, draw(_ON[unit]), draw(times))


def _listed(values: st.SearchStrategy[int | str]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(lambda items: ",".join(map(str, items)))


_signed = {most: st.one_of(st.integers(1, most), st.integers(-most, -1)) for most in (3, 31, 53, 366)}
_weekdays = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
_nth_weekdays = st.builds(lambda nth, day: f"{nth}{day}", st.sampled_from([1, 2, 3, 4, 5, -1, -2]), _weekdays)
_PARTS = {
    "BYMONTH": _listed(st.integers(1, 12)),
    "BYMONTHDAY": _listed(_signed[31]),
    "BYYEARDAY": _listed(_signed[366]),
    "BYWEEKNO": _listed(_signed[53]),
    "BYDAY": st.one_of(_listed(_weekdays), _listed(_nth_weekdays)),
    "BYSETPOS": _listed(_signed[3]),
    "WKST": _weekdays,
}
_LIKELY = {
    "DAILY": [()],
    "WEEKLY": [("BYDAY",), ("BYDAY", "WKST"), ("BYDAY", "BYMONTH"), ("BYDAY", "BYSETPOS", "WKST")],
    "MONTHLY": [("BYMONTHDAY",), ("BYDAY",), ("BYDAY", "BYSETPOS"), ("BYMONTH", "BYMONTHDAY"), ("BYDAY", "BYMONTHDAY")],
    "YEARLY": [
        ("BYMONTH", "BYMONTHDAY"),
        ("BYMONTH", "BYDAY"),
        ("BYYEARDAY",),
        ("BYWEEKNO", "BYDAY"),
        ("BYDAY",),
        ("BYDAY", "BYSETPOS"),
    ],
}


@st.composite
def an_rfc_text(draw: st.DrawFn) -> str:
    """An RFC 5545 rule as someone may write it; some are refused."""
    freq = draw(st.sampled_from(sorted(_LIKELY)))
    interval = draw(st.sampled_from([1, 1, 2, 3, 10]))
    parts = draw(st.sampled_from(_LIKELY[freq]))
    values = [f"{part}={draw(_PARTS[part])}" for part in parts]
    return ";".join([f"FREQ={freq}", f"INTERVAL={interval}", *draw(st.permutations(values))])
