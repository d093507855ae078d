"""Catching up: periods whose moment has come and a policy come in; which are fired, missed or skipped goes out, each accounted for once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from momo_worker.timing.local_time import DAY_MS
from momo_worker.timing.periods import Period
from momo_worker.timing.problems import RuleError

DAYS_MAX = 3650


class Catch(StrEnum):
    """What is done about periods whose moment passed while nobody fired them."""

    ALL = "all"
    LATEST = "latest"
    WITHIN = "within"


@dataclass(frozen=True, slots=True)
class CatchUp:
    """A policy; `days` is that of `within` alone."""

    catch: Catch
    days: int = 0

    def __str__(self) -> str:
        return f"within:{self.days}d" if self.catch is Catch.WITHIN else self.catch.value


@dataclass(frozen=True, slots=True)
class Missed:
    """A period that isn't fired, and why, for whoever is told."""

    period: Period
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Every period that came in, in one of three lists; oldest first."""

    fire: tuple[Period, ...]
    missed: tuple[Missed, ...]
    skipped: tuple[Missed, ...]


def catch_up_of(text: str) -> CatchUp:
    """Read `all`, `latest` or `within:3d`. Raises RuleError."""
    said = text.strip().lower()
    if said in (Catch.ALL, Catch.LATEST):
        return CatchUp(Catch(said))
    found = re.fullmatch(r"within:\s*([0-9]{1,4})\s*d(?:ays?)?", said)
    if not found or not 1 <= int(found[1]) <= DAYS_MAX:
        raise RuleError(
            f"`{text}` is no way to catch up", f"write `all`, `latest` or `within:3d`, 1 to {DAYS_MAX} days"
        )
    return CatchUp(Catch.WITHIN, int(found[1]))


def decide(due: Sequence[Period], now_ms: int, policy: CatchUp) -> Decision:
    """Of periods whose moment has come (`periods.due`, oldest first): which to fire now. Skipped ones are told and crowd out none."""
    asking = [period for period in due if not period.skipped]
    # By the moment, not by the name: two periods that a holiday moved onto one day were both on time.
    newest_ms = max((period.fires_at_ms for period in asking), default=0)
    oldest_ms = now_ms - policy.days * DAY_MS
    fire: list[Period] = []
    missed: list[Missed] = []
    for period in asking:
        reason = ""
        if policy.catch is Catch.LATEST and period.fires_at_ms < newest_ms:
            reason = "a later period was due as well, and only the latest is caught up"
        if policy.catch is Catch.WITHIN and period.fires_at_ms < oldest_ms:
            reason = f"it was due {(now_ms - period.fires_at_ms) // DAY_MS} days ago, and none older than {policy.days} is caught up"
        if reason:
            missed.append(Missed(period, reason))
        else:
            fire.append(period)
    skipped = tuple(Missed(period, period.skipped) for period in due if period.skipped)
    return Decision(tuple(fire), tuple(missed), skipped)
