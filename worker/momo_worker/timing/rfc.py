"""RFC 5545 rules: `FREQ=…` comes in, a checked rule and its days go out. Start, end, hour and count are the schedule's own and refused here.

Every rule must name its days itself: RFC 5545 takes what is missing from the start's day, and a start that is moved would move the days.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from dateutil.rrule import rrulestr

from momo_worker.timing.problems import RuleError, did_you_mean

INTERVAL_MAX = {"DAILY": 366, "WEEKLY": 52, "MONTHLY": 24, "YEARLY": 10}
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: Parts that are lists of whole numbers, and how large those may be; only BYMONTH has no negative ones.
_NUMBERS = {"BYMONTH": 12, "BYWEEKNO": 53, "BYYEARDAY": 366, "BYMONTHDAY": 31, "BYSETPOS": 366}
_ORDER = ("FREQ", "INTERVAL", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYSETPOS", "WKST")
_DAY_ORDINALS_MAX = {"MONTHLY": 5, "YEARLY": 53}
#: What each frequency needs one of, so that nothing is taken from the start's day.
_NEEDS = {
    "DAILY": (),
    "WEEKLY": ("BYDAY",),
    "MONTHLY": ("BYMONTHDAY", "BYDAY"),
    "YEARLY": ("BYMONTHDAY", "BYDAY", "BYYEARDAY"),
}
#: What can't stand beside a frequency.
_FORBIDDEN = {
    # Not by RFC 5545 but by us: WEEKLY, MONTHLY and YEARLY say the same, and dateutil looks for a day that never
    # comes until the year 9999, day by day.
    "DAILY": ("BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYSETPOS"),
    "WEEKLY": ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    "MONTHLY": ("BYWEEKNO", "BYYEARDAY"),
    "YEARLY": (),
}
_OTHER_FREQ = {
    "BYDAY": "use FREQ=WEEKLY, with the same BYDAY",
    "BYMONTHDAY": "use FREQ=MONTHLY, with the same BYMONTHDAY",
    **dict.fromkeys(("BYMONTH", "BYWEEKNO", "BYYEARDAY"), "use FREQ=YEARLY"),
    "BYSETPOS": "use FREQ=MONTHLY or FREQ=WEEKLY",
}
_ELSEWHERE = {
    "COUNT": "give the schedule an end date instead",
    "UNTIL": "give the schedule an end date instead",
    "DTSTART": "give the schedule a start date instead",
    "BYHOUR": "write the time behind the rule: … at 09:00",
    "BYMINUTE": "write the time behind the rule: … at 09:00",
    "BYSECOND": "write the time behind the rule: … at 09:00",
}
MONTHS = 12


@dataclass(frozen=True, slots=True)
class RfcRule:
    """A checked rule; `parts` are its BY… parts and week start, in one order and spelling, so that equal rules are equal."""

    freq: str
    interval: int
    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        interval = [("INTERVAL", str(self.interval))] if self.interval > 1 else []
        return ";".join(f"{key}={value}" for key, value in [("FREQ", self.freq), *interval, *self.parts])


def rfc_rule(text: str) -> RfcRule:
    """Read and check `FREQ=…` without its `RRULE:`. Raises RuleError."""
    parts = _split(text)
    freq = _freq(parts.pop("FREQ", ""))
    interval = _interval(freq, parts.pop("INTERVAL", "1"))
    checked = {key: _checked(key, value, freq) for key, value in parts.items()}
    if checked.get("WKST") == "MO":  # the default of RFC 5545, said or not
        del checked["WKST"]
    _fit(freq, checked)
    return RfcRule(freq, interval, tuple((key, checked[key]) for key in _ORDER if key in checked))


def _split(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.strip().upper().rstrip(";").split(";"):
        key, equals, value = part.strip().partition("=")
        if key in _ELSEWHERE:
            raise RuleError(f"{key} has no place in the rule of a schedule", _ELSEWHERE[key])
        if key not in _ORDER:
            raise RuleError(
                f"an RFC 5545 rule has no part {key!r} here", did_you_mean(key, _ORDER, "see RFC 5545, 3.3.10")
            )
        if not equals or not value:
            raise RuleError(f"the part {key} has no value", f"write {key}=…")
        if key in parts:
            raise RuleError(f"the part {key} stands twice", "join its values with commas")
        parts[key] = value.replace(" ", "")
    return parts


def _freq(value: str) -> str:
    if value in _NEEDS:
        return value
    if value in ("HOURLY", "MINUTELY", "SECONDLY"):
        raise RuleError(f"FREQ={value} would ask people several times a day", "use DAILY at most")
    raise RuleError(f"FREQ={value or '…'} is no frequency", f"use one of {', '.join(_NEEDS)}")


def _interval(freq: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= INTERVAL_MAX[freq]:
        raise RuleError(f"INTERVAL={value} can't be for FREQ={freq}", f"use 1 to {INTERVAL_MAX[freq]}")
    return int(value)


def _checked(key: str, value: str, freq: str) -> str:
    if key == "WKST":
        if value not in WEEKDAYS:
            raise RuleError(f"WKST={value} is no weekday", f"use one of {', '.join(WEEKDAYS)}")
        return value
    items = value.split(",")
    if key == "BYDAY":
        return ",".join(_text_of_day(day) for day in sorted({_day(item, freq) for item in items}))
    return ",".join(str(number) for number in sorted({_number(key, item) for item in items}))


def _number(key: str, item: str) -> int:
    most = _NUMBERS[key]
    sign = "" if key == "BYMONTH" else "[+-]?"
    if not re.fullmatch(sign + "[0-9]{1,3}", item) or not 1 <= abs(int(item)) <= most:
        minus = "" if key == "BYMONTH" else f", or -1 to -{most} from the end"
        raise RuleError(f"{key} can't be {item!r}", f"use 1 to {most}{minus}")
    return int(item)


def _day(item: str, freq: str) -> tuple[int, int]:
    """(weekday, which of them; 0 is each)."""
    found = re.fullmatch(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", item)
    if not found:
        raise RuleError(f"BYDAY can't be {item!r}", f"use {', '.join(WEEKDAYS)}, or 1MO, -1FR within a month or a year")
    which = int(found[1] or 0)
    if found[1] and not 1 <= abs(which) <= _DAY_ORDINALS_MAX.get(freq, 0):
        raise RuleError(f"BYDAY={item} can't be with FREQ={freq}", "leave the figure out, or use FREQ=MONTHLY")
    return WEEKDAYS.index(found[2]), which


def _text_of_day(day: tuple[int, int]) -> str:
    weekday, which = day
    return f"{which or ''}{WEEKDAYS[weekday]}"


def _fit(freq: str, parts: dict[str, str]) -> None:
    for key in _FORBIDDEN[freq]:
        if key in parts:
            raise RuleError(f"{key} can't be with FREQ={freq}", _OTHER_FREQ[key])
    needs = _NEEDS[freq]
    if needs and not any(key in parts for key in needs):
        raise RuleError(f"FREQ={freq} doesn't say on which day", f"add {' or '.join(needs)}")
    if "BYWEEKNO" in parts and re.search("[0-9]", parts.get("BYDAY", "1")):
        raise RuleError("BYWEEKNO doesn't say on which day of its week", "add BYDAY with a weekday and no figure")
    if "BYSETPOS" in parts and not any(key in parts for key in _ORDER[2:7]):
        raise RuleError("BYSETPOS has nothing to choose from", "add BYDAY or BYMONTHDAY")
    if freq == "WEEKLY" and "BYSETPOS" in parts:
        most = len(parts["BYDAY"].split(","))
        if max(abs(int(position)) for position in parts["BYSETPOS"].split(",")) > most:
            raise RuleError(f"BYSETPOS chooses from {most} days of the week", "name no more than there are in BYDAY")


def days(rule: RfcRule, anchor: date, since: date, until: date) -> Iterator[date]:
    """The rule's days in since..until, from the anchor on; intervals count from the anchor's week, month or year."""
    since = max(since, anchor)
    begin = _interval_begin(rule, anchor, since)
    text = f"{rule};UNTIL={until:%Y%m%d}T235959"
    for found in rrulestr(text, dtstart=datetime.combine(begin, time(0))):
        day = found.date()
        if day >= since:
            yield day


def _interval_begin(rule: RfcRule, anchor: date, since: date) -> date:
    """The first day of the interval, counted from the anchor's, in which `since` lies: what comes before needn't be walked through."""
    if rule.freq == "DAILY":
        return since - timedelta(days=(since - anchor).days % rule.interval)
    if rule.freq == "WEEKLY":
        first = _week_begin(rule, anchor)
        return since - timedelta(days=(since - first).days % (7 * rule.interval))
    if rule.freq == "MONTHLY":
        month = since.year * MONTHS + since.month - 1
        month -= (month - (anchor.year * MONTHS + anchor.month - 1)) % rule.interval
        return date(month // MONTHS, month % MONTHS + 1, 1)
    return date(since.year - (since.year - anchor.year) % rule.interval, 1, 1)


def _week_begin(rule: RfcRule, day: date) -> date:
    first = WEEKDAYS.index(dict(rule.parts).get("WKST", "MO"))
    return day - timedelta(days=(day.weekday() - first) % 7)
