"""Local time: a zone's name, a day and an hour come in, moments in milliseconds go out. Asks no clock what time it is.

A local time that there isn't (clocks go forward) is the first moment after the gap; one that there is twice is its first.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from momo_worker.timing.problems import ZoneError, did_you_mean

SECOND_MS = 1_000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS


#: In some machines' lists, and no place: what they mean hangs on the machine.
_NO_PLACES = frozenset(("localtime", "posixrules", "Factory"))


@cache
def _names() -> frozenset[str]:
    """Every zone there is; read once, since it opens hundreds of files."""
    return frozenset(available_timezones()) - _NO_PLACES


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name. Raises ZoneError with the closest names.

    The list is asked, not the file system: `localtime` or `right/Africa/Kampala` would open, and mean something else on each machine.
    """
    if name in _names():
        return ZoneInfo(name)
    close = did_you_mean(name, _names(), "write a name of the IANA list, such as Africa/Kampala")
    raise ZoneError(f"there is no time zone {name!r}", close)


def zone_or_utc(name: str) -> ZoneInfo:
    """The same of what was read when it was written: if somebody has changed it since, one payer mustn't stop the others."""
    return ZoneInfo(name if name in _names() else "UTC")


def local(zone: ZoneInfo, moment_ms: int) -> datetime:
    """What clocks in the zone show at a moment."""
    # Whole seconds by division, so that no float comes near a boundary.
    return datetime.fromtimestamp(moment_ms // SECOND_MS, tz=zone)


def moment_ms(zone: ZoneInfo, day: date, at: time, fold: int = 0) -> int:
    """The moment at which clocks in the zone show this; `fold` 1 asks for the second of two."""
    there = datetime.combine(day, at, tzinfo=zone).replace(fold=fold)
    utc = there.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) == there.replace(tzinfo=None):
        return _ms(utc)
    return _after_the_gap(zone, there)


def _after_the_gap(zone: ZoneInfo, there: datetime) -> int:
    """The moment the clocks went forward: it lies between the readings of a missing time by the later and by the earlier offset."""
    before = int(there.replace(fold=1).timestamp())
    after = int(there.replace(fold=0).timestamp())
    new_offset = datetime.fromtimestamp(after, tz=zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, tz=zone).utcoffset() == new_offset:
            after = middle
        else:
            before = middle
    return after * SECOND_MS


def _ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
