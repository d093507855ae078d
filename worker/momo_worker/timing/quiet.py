"""Quiet hours: a window of the day and a moment come in; until when nobody may be asked goes out, or that it is open. Asks no clock.

They hold by what clocks show in the payer's zone: an hour that there is twice is quiet twice, and one that there isn't is over at once.
"""

import re
from dataclasses import dataclass
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from momo_worker.timing.local_time import local, moment_ms
from momo_worker.timing.problems import QuietError

DAY_MINUTES = 24 * 60
OPEN_MINUTES_MIN = 60
OFF = "off"
#: The day of a moment and those after it: a zone may leave a whole day out, as Samoa did.
DAYS_LOOKED_AT = 4


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begins` to just before `ends`, over midnight where that is earlier."""

    begins: time
    ends: time

    def holds(self, clock: time) -> bool:
        """Whether this time of day lies in them."""
        if self.begins < self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"


def quiet_hours(text: str) -> QuietHours | None:
    """Read `20:00-07:00`; None is `off`. Raises QuietError."""
    said = text.strip().lower()
    if said == OFF:
        return None
    clock = "([01]?[0-9]|2[0-3]):([0-5][0-9])"
    found = re.fullmatch(rf"{clock}\s*(?:-|to)\s*{clock}", said)
    if not found:
        raise QuietError(f"`{text}` are no quiet hours", "write them with 24 hours, such as `20:00-07:00`, or `off`")
    begins, ends = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    # Equal ends are either no minute or the whole day: nobody can tell which was meant.
    quiet = (_minutes(ends) - _minutes(begins)) % DAY_MINUTES or DAY_MINUTES
    if DAY_MINUTES - quiet < OPEN_MINUTES_MIN:
        raise QuietError(f"`{text}` leaves less than an hour of the day to ask in", "make them shorter, or write `off`")
    return QuietHours(begins, ends)


def quiet_until(quiet: QuietHours | None, zone: ZoneInfo, now_ms: int) -> int | None:
    """None when it is open at this moment; else the first moment after it that is."""
    if quiet is None:
        return None
    here = local(zone, now_ms)
    if not quiet.holds(here.time()):
        return None
    ends = {
        moment_ms(zone, here.date() + timedelta(days=days), quiet.ends, fold)
        for days in range(DAYS_LOOKED_AT)
        for fold in (0, 1)
    }
    # When clocks go back at the window's end, its end comes twice; a gap may end inside the window: such an end is none.
    open_again = (moment for moment in sorted(ends) if moment > now_ms and not quiet.holds(local(zone, moment).time()))
    return next(open_again)


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute
