"""A schedule as the ledger holds it becomes a timetable; what is due of it and not decided comes out. Reads no ledger and no clock.

Raises ScheduleError for what an older release, or a person with the database, has left unreadable there.
"""

from collections.abc import Collection
from datetime import date, timedelta
from itertools import islice

from momo_worker.ledger.schedules import Schedule
from momo_worker.timing.calendars import MOVE_DAYS_MAX, OnHoliday, work_calendar
from momo_worker.timing.local_time import local, zone_of
from momo_worker.timing.periods import Period, Timetable, due, periods
from momo_worker.timing.rules import rule_of


def timetable_of(schedule: Schedule) -> Timetable:
    """When a schedule fires. Raises ScheduleError."""
    country, _, subdivision = (schedule.holidays or "").partition("-")
    extra = [date.fromisoformat(day) for day in schedule.extra_holidays.split()]
    return Timetable(
        rule_of(schedule.rule),
        zone_of(schedule.zone),
        date.fromisoformat(schedule.starts_on),
        None if schedule.ends_on is None else date.fromisoformat(schedule.ends_on),
        work_calendar(country, subdivision, extra),
        OnHoliday(schedule.on_holiday),
    )


def first_day(schedule: Schedule) -> date:
    """The first day on which a period of its may begin; an edit moves it behind what was decided by then (money-review H1)."""
    return date.fromisoformat(schedule.after_day) + timedelta(days=1)


def to_decide(schedule: Schedule, decided: Collection[str], now_ms: int) -> tuple[Period, ...]:
    """The periods whose moment has come and of which nothing was decided, the oldest first."""
    return due(timetable_of(schedule), now_ms, decided, first_day(schedule))


def next_moment_ms(schedule: Schedule, now_ms: int) -> int | None:
    """When something of it is to be decided next; None for never."""
    timetable = timetable_of(schedule)
    since = max(first_day(schedule), local(timetable.zone, now_ms).date() - _REACHING_BACK)
    ahead = (period.fires_at_ms for period in periods(timetable, since) if period.fires_at_ms > now_ms)
    return min(islice(ahead, _LOOKED_AT), default=None)


#: A day that holidays move may come before one that is named earlier: a few are looked at.
_LOOKED_AT = 40
#: A year's period may be due on its last day, and a holiday put that off.
_REACHING_BACK = timedelta(days=366 + MOVE_DAYS_MAX)
