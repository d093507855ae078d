"""What is wrong with a schedule's words: a reason and an advice come in, an error that says both goes out. Decides nothing."""

import difflib
from collections.abc import Iterable


class ScheduleError(ValueError):
    """A schedule can't be as it was written; says why and what to write in its place."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(f"{reason}; {advice}")


class RuleError(ScheduleError):
    """The rule's words can't be read, or name days that there aren't."""


class ZoneError(ScheduleError):
    """There is no such time zone."""


class CalendarError(ScheduleError):
    """There are no such holidays."""


class QuietError(ScheduleError):
    """The quiet hours can't be read, or leave no time to ask."""


CLOSE_MAX = 4


def closest(word: str, known: Iterable[str]) -> list[str]:
    """The known words that look most like this one, whatever their case; none when nothing does."""
    by_lower = {name.lower(): name for name in sorted(known, reverse=True)}
    found = difflib.get_close_matches(word.lower(), by_lower, n=CLOSE_MAX, cutoff=0.6)
    return [by_lower[name] for name in found]


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """An advice: the close words, or what to do where there are none."""
    close = closest(word, known)
    return f"did you mean {' or '.join(close)}?" if close else otherwise
