"""Holidays: those of a country and its parts, weekends that aren't Saturday and Sunday, and codes that there aren't."""

from datetime import date

import pytest

from momo_worker.timing.calendars import WorkCalendar, work_calendar
from momo_worker.timing.problems import CalendarError


@pytest.mark.parametrize(
    ("country", "subdivision", "day", "works"),
    [
        ("UG", "", "2026-10-09", False),  # Independence Day, a Friday
        ("UG", "", "2026-10-08", True),
        ("UG", "", "2026-10-10", False),  # a Saturday
        ("ZA", "", "2026-08-10", False),  # Women's Day was a Sunday, and is kept on Monday
        ("CI", "", "2026-08-07", False),
        ("EG", "", "2026-12-04", False),  # a Friday, which is weekend there
        ("EG", "", "2026-12-06", True),  # a Sunday, which isn't
        ("", "", "2026-12-25", True),
        ("", "", "2026-12-26", False),
        ("DE", "BY", "2026-11-01", False),
        ("DE", "BY", "2026-01-06", False),  # Epiphany is a holiday there and not everywhere
        ("DE", "", "2026-01-06", True),
    ],
)
def test_a_day_is_worked_or_not(country: str, subdivision: str, day: str, works: bool) -> None:
    assert work_calendar(country, subdivision).works(date.fromisoformat(day)) == works


def test_a_day_may_be_declared_a_holiday() -> None:
    declared = work_calendar("UG", extra=[date(2026, 12, 7)])

    assert not declared.works(date(2026, 12, 7))
    assert "declared" in declared.holiday(date(2026, 12, 7))
    assert work_calendar("UG").works(date(2026, 12, 7))


def test_asking_for_one_year_doesnt_change_another() -> None:
    first = [day for day in range(1, 29) if work_calendar("UG").works(date(2027, 3, day))]
    work_calendar("UG").works(date(2050, 1, 1))

    assert [day for day in range(1, 29) if work_calendar("UG").works(date(2027, 3, day))] == first
    assert work_calendar("UG") == WorkCalendar("UG")


@pytest.mark.parametrize(
    ("country", "subdivision", "reason", "advice"),
    [
        ("Uganda", "", "no holidays for the country 'Uganda'", "UG"),
        ("ug", "", "no holidays", "UG"),
        ("UGA", "", "no holidays", "UG"),
        ("Ivory Coast", "", "no holidays", "CI"),
        ("ugnda", "", "no holidays", "UG"),
        ("??", "", "no holidays", "ISO 3166"),
        ("UG", "C", "UG has no part 'C'", "the same everywhere"),
        ("DE", "XX", "DE has no part 'XX'", "it has BB"),
        ("", "BY", "a part of no country", "code"),
    ],
)
def test_a_code_that_there_isnt_is_refused_with_the_close_ones(
    country: str, subdivision: str, reason: str, advice: str
) -> None:
    with pytest.raises(CalendarError) as refused:
        work_calendar(country, subdivision)

    assert reason in refused.value.reason
    assert advice in refused.value.advice
