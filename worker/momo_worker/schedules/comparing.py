"""Two lists of payers are held against one another, and a list against other schedules: what differs and what is shared goes out. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from momo_worker.ledger import schedule_desk, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_desk import Sharing
from momo_worker.ledger.schedules import Payer, Schedule
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.schedules.planning import timetable_of
from momo_worker.timing.local_time import DAY_MS, local, moment_ms, zone_of
from momo_worker.timing.periods import first_since
from momo_worker.timing.problems import ScheduleError
from momo_worker.timing.rules import AT

_SHOWN = 5
#: A period lasts ten years at most, and a schedule that was removed longer ago asks nobody in one that isn't over.
_REMOVED_WITHIN_MS = 3_660 * DAY_MS


@dataclass(frozen=True, slots=True)
class Changes:
    """What a list of payers has otherwise than the one before."""

    removed: tuple[Payer, ...]
    added: tuple[Payer, ...]
    #: Those with another number or amount: before and now.
    changed: tuple[tuple[Payer, Payer], ...]
    larger: int

    @property
    def count(self) -> int:
        """How many differ."""
        return len(self.removed) + len(self.added) + len(self.changed)

    def beyond(self, percent_max: int) -> bool:
        """Whether so much differs that a file may have come to harm; a first list is none."""
        return self.larger > len(self.added) and self.count * 100 > percent_max * self.larger

    def told(self) -> str:
        """In a few words."""
        return (
            f"{len(self.removed):,} gone, {len(self.added):,} new, {len(self.changed):,} with another number or amount"
        )


def compare(before: Sequence[Payer], now: Sequence[Payer], *, amounts: bool) -> Changes:
    """Hold two lists against one another by the payers' ids. `amounts`: whether an amount of its own counts as a change."""
    old = {payer.payer_id: payer for payer in before}
    new = {payer.payer_id: payer for payer in now}
    changed = [
        (old[payer_id], payer)
        for payer_id, payer in new.items()
        if payer_id in old and _otherwise(old[payer_id], payer, amounts=amounts)
    ]
    return Changes(
        tuple(payer for payer in before if payer.payer_id not in new),
        tuple(payer for payer in now if payer.payer_id not in old),
        tuple(changed),
        max(len(before), len(now)),
    )


def _otherwise(old: Payer, new: Payer, *, amounts: bool) -> bool:
    return old.msisdn != new.msisdn or (amounts and old.amount_minor != new.amount_minor)


def examples(changes: Changes, exponent: int) -> list[str]:
    """The first few of each kind, with masked numbers."""
    lines = [f"gone: {_payer(one, exponent)}" for one in changes.removed[:_SHOWN]]
    lines += [f"new: {_payer(one, exponent)}" for one in changes.added[:_SHOWN]]
    lines += [
        f"changed: {_payer(old, exponent)} becomes {masked(new.msisdn)}, {format_amount(new.amount_minor, exponent)}"
        for old, new in changes.changed[:_SHOWN]
    ]
    return lines


def _payer(one: Payer, exponent: int) -> str:
    name = f" ({one.name})" if one.name else ""
    return f"{one.payer_id}{name}, {masked(one.msisdn)}, {format_amount(one.amount_minor, exponent)}"


#: Columns of a schedule as the command line calls them; the others have one name for both.
_CALLED = {
    "starts_on": "starts",
    "ends_on": "ends",
    "after_day": "begins after",
    "amount_minor": "amount",
    "on_holiday": "on-holiday",
    "extra_holidays": "extra-holidays",
    "catch_up": "catch-up",
}


def differing(before: Schedule, now: Schedule) -> dict[str, Any]:
    """What of a schedule is otherwise than it was, by column."""
    names = [each.name for each in fields(Schedule) if each.name != "changed_at_ms"]
    return {name: getattr(now, name) for name in names if getattr(now, name) != getattr(before, name)}


def edits(before: Schedule | None, now: Schedule, changes: Changes | None) -> tuple[str, ...]:
    """The same in words, with what became of the payers."""
    if before is None:
        made = f"{now.name}: {now.rule}, zone {now.zone}, begins after {now.after_day}"
        return (made, f"payers: {0 if changes is None else len(changes.added):,}")
    told = [
        f"{_CALLED.get(name, name)}: {_value(before, name)} becomes {_value(now, name)}"
        for name in differing(before, now)
    ]
    # Where everybody pays the same from now on, the amount is told above and the list is as it was.
    if changes is not None and (changes.count or before.amount_minor == now.amount_minor):
        told.append(f"payers: {changes.told()}")
    return tuple(told)


def _value(schedule: Schedule, name: str) -> str:
    value = getattr(schedule, name)
    if name == "amount_minor":
        return "per-payer" if value is None else f"{format_amount(value, schedule.exponent)} {schedule.currency}"
    return str(value) if value not in (None, "") else "none"


def shared(tx: Tx, schedule: Schedule, msisdns: Sequence[str]) -> list[Sharing]:
    """Other schedules of the account that ask these numbers: those there are, and those that were removed in a period that isn't over."""
    found = schedule_desk.shared_with(
        tx, schedule.account, msisdns, but=schedule.id, removed_since_ms=tx.now_ms - _REMOVED_WITHIN_MS
    )
    return [one for one in found if one.state != "removed" or _in_its_period(tx, one.schedule_id)]


def _in_its_period(tx: Tx, schedule_id: str) -> bool:
    """Whether a schedule that was removed may have asked in a period that isn't over: declared anew, it would ask again (money-review H1)."""
    removed = schedules.find(tx, schedule_id)
    if removed is None:
        return False
    try:
        zone, timetable = zone_of(removed.zone), timetable_of(removed)
    except ScheduleError:
        # Nobody can tell any more: a person is asked.
        return True
    today = local(zone, tx.now_ms).date()
    last_end = schedules.last_end(tx, schedule_id)
    if last_end is not None and date.fromisoformat(last_end) >= today:
        return True
    period = first_since(timetable, today)
    return (
        period is not None
        and period.begins <= today
        and removed.changed_at_ms >= moment_ms(zone, period.begins, AT.replace(hour=0))
    )
