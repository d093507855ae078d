"""A schedule is made or edited: words and a list of payers come in, the schedule as it then stands goes out, or all that speaks against it.

An edit holds from the first period that begins after the one decided last has ended, a new schedule from the first that begins after it was
made (money-review H1). Asks nobody.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy.exc import IntegrityError

from momo_worker.accounts import Account
from momo_worker.commons.parts import Parts
from momo_worker.ledger import schedule_desk, schedules, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedules import Payer, Schedule
from momo_worker.payment.job import Terms
from momo_worker.schedules.accounting import SKIPPED, Verdict, leave_out
from momo_worker.schedules.comparing import Changes, compare, differing, edits, examples, shared
from momo_worker.schedules.payer_file import PayerFile, PayerList, read_payers
from momo_worker.schedules.planning import first_day, timetable_of, to_decide
from momo_worker.schedules.refusals import NotChangedError, Problem, refuse
from momo_worker.schedules.wording import Place, Said, as_option, day_in, read_words
from momo_worker.timing.local_time import local, zone_of
from momo_worker.timing.periods import HORIZON, Period, Timetable, check_fires, first_after, first_since, periods
from momo_worker.timing.problems import RuleError, ScheduleError
from momo_worker.timing.rules import Unit, rule_of

_DAYS_TRIED = 400
#: What periods are named by: where one of these changes, a name that was decided no longer tells what was asked for.
_NAMING = ("rule", "starts_on")
_MOMENT = (
    "the schedule {name} was changed or fired in this very moment, and nothing was changed: give the command again"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a schedule: its words, its payers, and who it is that wants it."""

    account: str
    said: Said
    file: PayerFile | None
    by: str
    #: The schedule that is edited; None for a new one.
    before: Schedule | None = None
    #: The last day of what was decided of it.
    last_end: str | None = None
    #: Of a new one: its id where a file has drawn it, and the period or day with which it begins.
    schedule_id: str | None = None
    begins: str | None = None
    place: Place = as_option


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a person takes upon themselves; each is a reason, '' where they don't."""

    #: Payers whom other schedules ask, too.
    also: str = ""
    #: A list of payers that differs much from the one before.
    accept_changes: str = ""
    #: How much may differ without a word.
    changed_percent_max: int = 30


@dataclass(frozen=True, slots=True)
class Prepared:
    """A schedule as it is to be; nothing is written yet."""

    wish: Wish
    schedule: Schedule
    first: Period
    payers: PayerList | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A schedule as it stands now."""

    before: Schedule | None
    schedule: Schedule
    #: With which period what was said begins.
    first: Period
    payers: int
    total_minor: int
    changes: Changes | None
    #: How many payers nobody has signed for, and whether what a period asks for is above the signed ceiling.
    unsigned: int
    above_ceiling: bool
    #: Periods whose moment has passed and that a pump decides at once.
    passed: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()

    @property
    def edited(self) -> tuple[str, ...]:
        """What changed, in words; nothing for a schedule that is as it was."""
        return edits(self.before, self.schedule, self.changes)


def prepare(parts: Parts, wish: Wish, now_ms: int) -> Prepared:
    """Work out a schedule from words and files. Raises NotChangedError with every problem."""
    account, before = parts.accounts[wish.account], wish.before
    read = read_words(wish.said, account.market.currency, wish.place)
    problems = [*read.problems, *_missing(wish), *_other_currency(account, before)]
    fixed = read.values.get("amount_minor", None if before is None else before.amount_minor)
    payers = None
    if wish.file is not None and not any(problem.where == wish.place("amount") for problem in problems):
        try:
            payers = read_payers(
                wish.file, Terms(account.market.currency, account.market.region), parts.namespace, fixed
            )
        except NotChangedError as error:
            problems += error.problems
    if before is not None and before.amount_minor is not None and fixed is None and wish.file is None:
        problems.append(
            Problem(wish.place("amount"), "", "is in no file", "give the payers' file with the amounts, too")
        )
    refuse(problems)
    draft = _new(wish, account, read.values, now_ms) if before is None else replace(before, **read.values)
    try:
        schedule, first = _begun(wish, draft, now_ms)
    except ScheduleError as error:
        raise NotChangedError("1 problem, and nothing was changed", [_of_time(wish, error)]) from None
    return Prepared(wish, schedule, first, payers)


def _of_time(wish: Wish, error: ScheduleError) -> Problem:
    word = "from" if wish.begins is not None and not isinstance(error, RuleError) else "rule"
    return Problem(wish.place(word), "", error.reason, error.advice)


def _missing(wish: Wish) -> list[Problem]:
    if wish.before is not None:
        return []
    needed = (
        ("name", wish.said.name, "call it fees-2026 or rent"),
        ("rule", wish.said.rule, "say when: monthly on 5, last working day, every 2 weeks on friday"),
        ("payers", wish.file, "name a CSV or XLSX file with id, name, phone and amount"),
    )
    return [Problem(wish.place(word), "", "is missing", advice) for word, value, advice in needed if value is None]


def _other_currency(account: Account, before: Schedule | None) -> list[Problem]:
    code = account.market.currency.code
    if before is None or before.currency == code:
        return []
    reason = f"pays in {code} on this machine, and the schedule is in {before.currency}"
    return [Problem(f"account {account.name}", "", reason, "edit it where the account is as it was")]


def _new(wish: Wish, account: Account, values: Mapping[str, Any], now_ms: int) -> Schedule:
    blank = Schedule(
        id=wish.schedule_id or str(uuid.uuid4()),
        account=account.name,
        name="",
        state="active",
        rule="",
        zone=account.market.zone,
        starts_on="",
        ends_on=None,
        after_day="",
        amount_minor=None,
        currency=account.market.currency.code,
        exponent=account.market.currency.exponent,
        note=None,
        holidays=None,
        on_holiday="keep",
        extra_holidays="",
        catch_up="all",
        maker=wish.by,
        made_at_ms=now_ms,
        changed_at_ms=now_ms,
    )
    return replace(blank, **values)


def _begun(wish: Wish, draft: Schedule, now_ms: int) -> tuple[Schedule, Period]:
    """The schedule with its first days, and the period with which what was said begins. Raises ScheduleError."""
    schedule = draft
    if wish.before is None:
        today = local(zone_of(draft.zone), now_ms).date()
        schedule = _counted_from(draft, today) if wish.begins is None else _begun_with(draft, day_in(wish.begins))
    elif any(getattr(draft, name) != getattr(wish.before, name) for name in _NAMING):
        schedule = replace(draft, after_day=max(draft.after_day, wish.last_end or ""))
    timetable = timetable_of(schedule)
    day = date.fromisoformat(max(schedule.after_day, wish.last_end or "")) + timedelta(days=1)
    check_fires(timetable, day)
    first = first_after(timetable, day - timedelta(days=1))
    if first is None:
        raise RuleError(
            f"has no period that begins on {day} or later and before its end",
            "give it a later end, or none; `momo schedule remove` ends a schedule",
        )
    return schedule, first


def _counted_from(draft: Schedule, today: date) -> Schedule:
    """Where no start is said, the first period that begins after today is the one from which the rule counts."""
    schedule = replace(draft, after_day=today.isoformat())
    if draft.starts_on:
        return schedule
    for days in range(_DAYS_TRIED):
        start = today + timedelta(days=days)
        tried = replace(schedule, starts_on=start.isoformat())
        period = next(periods(timetable_of(tried), start - HORIZON), None)
        if period is None or period.begins > today:
            return tried
    return replace(schedule, starts_on=today.isoformat())


def _begun_with(draft: Schedule, day: date) -> Schedule:
    """The period in which a day lies is the first, also where its moment has passed."""
    if not draft.starts_on:
        start = day
        rule = rule_of(draft.rule)
        if rule.unit is not Unit.RFC:
            # In whichever week, month or year the day lies: that one counts as the first of every second.
            unit = first_since(Timetable(replace(rule, every=1), zone_of(draft.zone), day - HORIZON), day)
            start = day if unit is None else unit.begins
        draft = replace(draft, starts_on=start.isoformat())
    first = first_since(timetable_of(draft), day)
    if first is None:
        raise ScheduleError(f"{day} is in no period of the rule, nor before one", "check start and end")
    return replace(draft, after_day=(first.begins - timedelta(days=1)).isoformat())


def take(tx: Tx, parts: Parts, prepared: Prepared, permitted: Permitted) -> Taken:
    """Write a schedule as it was prepared, in the caller's transaction. Raises NotChangedError, before anything of it is written."""
    wish, before = prepared.wish, prepared.wish.before
    _refuse_meanwhile(tx, prepared)
    current = [] if before is None else schedules.payers_of(tx, before.id)
    payers = _payers(prepared, current)
    # Where everybody pays the same, a new amount was said in so many words.
    changes = None if payers is None else compare(current, payers, amounts=prepared.schedule.amount_minor is None)
    _refuse_name(tx, prepared)
    if prepared.payers is not None and changes is not None:
        _refuse_other_list(wish, changes, prepared.schedule, permitted)
    _refuse_shared(tx, prepared, current, payers or (), permitted)
    taken = _written(tx, parts, prepared, payers, changes)
    if taken.edited:
        said = "; ".join(taken.edited)
        reasons = [f"also: {permitted.also}"] if permitted.also else []
        reasons += [f"changes accepted: {permitted.accept_changes}"] if permitted.accept_changes else []
        stops.journal(
            tx,
            actor=wish.by,
            action="schedule added" if before is None else "schedule edited",
            subject=schedule_desk.subject_of(taken.schedule.id, taken.schedule.account),
            reason="; ".join([said, *reasons]),
        )
    return taken


def _refuse_meanwhile(tx: Tx, prepared: Prepared) -> None:
    wish = prepared.wish
    now = schedules.find(tx, prepared.schedule.id, lock=True)
    if now != wish.before or schedules.last_end(tx, prepared.schedule.id) != wish.last_end:
        raise NotChangedError(_MOMENT.format(name=prepared.schedule.name))


def _refuse_name(tx: Tx, prepared: Prepared) -> None:
    schedule = prepared.schedule
    other = schedules.named(tx, schedule.account, schedule.name)
    if other is not None and other.id != schedule.id:
        reason = f"is the name of another schedule of account {schedule.account}, which is {other.state}"
        advice = "give it another name, or edit that one: `momo schedule edit`"
        refuse([Problem(prepared.wish.place("name"), schedule.name, reason, advice)])


def _payers(prepared: Prepared, current: Sequence[Payer]) -> tuple[Payer, ...] | None:
    """The list as it is to be; None where it stays as it is."""
    if prepared.payers is not None:
        payers = prepared.payers.payers
        # Not by their order: a database may sort otherwise than we do.
        return None if {one.payer_id: one for one in payers} == {one.payer_id: one for one in current} else payers
    fixed = prepared.schedule.amount_minor
    if fixed is None or all(one.amount_minor == fixed for one in current):
        return None
    return tuple(replace(one, amount_minor=fixed) for one in current)


def _refuse_other_list(wish: Wish, changes: Changes, schedule: Schedule, permitted: Permitted) -> None:
    """A file that lost half its rows overnight isn't taken on its own word."""
    if permitted.accept_changes or not changes.beyond(permitted.changed_percent_max):
        return
    lines = examples(changes, schedule.exponent)
    share = changes.count * 100 // changes.larger
    shown = "".join(f"\n  {line}" for line in lines)
    name = wish.file.name if wish.file else "the list"
    raise NotChangedError(
        f"{name} differs by {share} % from the payers of {schedule.name} (more than {permitted.changed_percent_max} %), "
        f"and nothing was changed: {changes.told()}{shown}\n"
        "If that is right, say why: --accept-changes REASON"
    )


def _refuse_shared(
    tx: Tx, prepared: Prepared, current: Sequence[Payer], payers: Sequence[Payer], permitted: Permitted
) -> None:
    """Whom another schedule asks as well is asked twice only where somebody says so."""
    known = {payer.msisdn for payer in current}
    fresh = sorted({payer.msisdn for payer in payers} - known)
    if permitted.also or not fresh:
        return
    others = shared(tx, prepared.schedule, fresh)
    if others:
        told = ", ".join(f"{one.payers:,} by {one.name} ({one.state})" for one in others)
        raise NotChangedError(
            f"payers of {prepared.schedule.name} are asked by other schedules of account {prepared.schedule.account}, "
            f"and nothing was changed: {told}. If they owe both, say why: --also REASON"
        )


def _written(
    tx: Tx, parts: Parts, prepared: Prepared, payers: Sequence[Payer] | None, changes: Changes | None
) -> Taken:
    before, schedule = prepared.wish.before, prepared.schedule
    try:
        _write_schedule(tx, before, schedule, touched=payers is not None)
    except IntegrityError:
        # Two who take one name at once: the second has seen it free.
        raise NotChangedError(_MOMENT.format(name=schedule.name)) from None
    if payers is not None:
        schedules.put_payers(tx, schedule.id, payers)
    if before is not None and before.after_day != schedule.after_day:
        _account_for(tx, parts, before, schedule)
    number, total_minor = schedules.count_payers(tx, schedule.id)
    mandate = schedules.mandate_of(tx, schedule.id)
    return Taken(
        before,
        schedules.find(tx, schedule.id) or schedule,
        prepared.first,
        number,
        total_minor,
        changes,
        schedule_desk.count_unsigned(tx, schedule.id),
        mandate is not None and total_minor > mandate.ceiling_minor,
        passed_periods(tx, schedule),
        prepared.payers.warnings if prepared.payers is not None else (),
    )


def passed_periods(tx: Tx, schedule: Schedule) -> tuple[str, ...]:
    """The periods whose moment has passed and of which nothing is decided. Raises ScheduleError."""
    decided = schedules.decided_names(tx, schedule.id, schedule.after_day)
    return tuple(period.name for period in to_decide(schedule, decided, tx.now_ms))


def _account_for(tx: Tx, parts: Parts, before: Schedule, now: Schedule) -> None:
    """What the old rule named before the new one begins, and nobody decided, is told as skipped: no period is lost without a word.

    There is one only where a holiday has moved a later period before it.
    """
    try:
        named = periods(timetable_of(before), first_day(before))
        passed = list(takewhile(lambda period: period.begins.isoformat() <= now.after_day, named))
    except ScheduleError:
        # The old rule can't be read, which is why somebody writes another.
        return
    for period in passed:
        if not schedules.is_decided(tx, now.id, period.name):
            leave_out(tx, parts, now, Verdict(period, SKIPPED, "the rule was changed before its moment"))


def _write_schedule(tx: Tx, before: Schedule | None, schedule: Schedule, *, touched: bool) -> None:
    if before is None:
        schedules.add(tx, schedule)
        return
    values = differing(before, schedule)
    if values or touched:
        schedules.change(tx, schedule.id, **values)
