"""`momo schedule list`, `show`, `preview` and `history`: names come in, schedules as they stand, will be and were go out. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.table import Column, Table

from momo_worker.approval.mandates import Mandate
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.deeds.schedule_words import (
    money,
    period_facts,
    refused,
    schedule_facts,
    schedule_lines,
    why_moved,
)
from momo_worker.cli.deeds.showing import moment, wide_console
from momo_worker.cli.saying import AnswerIsNo, say, say_json
from momo_worker.ledger import schedule_desk, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_desk import Decided, Round, Standing
from momo_worker.ledger.schedules import DecidedPeriod, Payer, Schedule
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.schedules.holding import named
from momo_worker.schedules.planning import first_day, timetable_of, to_decide
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.timing.local_time import local, zone_of
from momo_worker.timing.periods import Period, Timetable, next_periods
from momo_worker.timing.problems import ScheduleError

_LIST = ("schedule", "account", "state", "rule", "payers", "a period", "next", "to be signed", "id")
_PREVIEW = ("period", "day", "moved to", "why", "local time", "UTC")
_HISTORY = ("period", "became", "payers", "total", "collected", "settled", "stand", "rounds", "why")
_PAYERS = ("id", "name", "number", "amount", "zone")
#: Of what holidays move about, so many more are looked at than are shown.
_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class _Listed:
    """A schedule with what the list says of it."""

    schedule: Schedule
    payers: int
    total_minor: int
    next: str | None
    unsigned: int


def listing(*, account: str | None, removed: bool, as_json: bool) -> None:
    """All of them."""
    with ledger_of(quiet_settings()) as ledger, ledger.read() as tx:
        found = [_listed(tx, one) for one in schedules.listed(tx, account=account, removed=removed)]
    if as_json:
        say_json([_listed_facts(one) for one in found])
        return
    if not found:
        say("No schedules. `momo schedule add NAME --rule 'monthly on 5' --payers FILE` makes one.")
        return
    table = Table(*(Column(name, no_wrap=True) for name in _LIST), box=None)
    for one in found:
        schedule = one.schedule
        table.add_row(
            schedule.name,
            schedule.account,
            schedule.state,
            schedule.rule,
            f"{one.payers:,}",
            money(schedule, one.total_minor),
            one.next or "-",
            f"{one.unsigned:,}" if one.unsigned else "-",
            schedule.id,
        )
    wide_console().print(table)


def _listed(tx: Tx, schedule: Schedule) -> _Listed:
    count, total_minor = schedules.count_payers(tx, schedule.id)
    unsigned = schedule_desk.count_unsigned(tx, schedule.id)
    return _Listed(schedule, count, total_minor, _next_of(tx, schedule), unsigned)


def _next_of(tx: Tx, schedule: Schedule) -> str | None:
    """The next period; none of a schedule that is held, and what is wrong with one that nobody can read."""
    if schedule.state != "active":
        return None
    try:
        found = _ahead(tx, schedule, timetable_of(schedule), 1)
    except ScheduleError as error:
        return f"can't be read: {error.reason}"
    return f"{found[0].name} on {found[0].moved}" if found else "never"


def _ahead(tx: Tx, schedule: Schedule, timetable: Timetable, count: int) -> list[Period]:
    """The periods of which nothing is decided yet: those whose moment has passed, and the next."""
    decided = schedules.decided_names(tx, schedule.id, schedule.after_day)
    begins = first_day(schedule)
    passed = to_decide(schedule, decided, tx.now_ms)
    ahead = next_periods(timetable, tx.now_ms, count + _LOOKED_AT)
    found = [period for period in ahead if period.begins >= begins and period.name not in decided]
    if ahead and not found:
        # It begins later than all that were looked at: ask from there.
        found = list(next_periods(timetable, _midnight_ms(timetable, begins), count))
    return [*passed, *found][:count]


def _midnight_ms(timetable: Timetable, day: date) -> int:
    return int(local(timetable.zone, 0).replace(year=day.year, month=day.month, day=day.day, hour=0).timestamp()) * 1000


def _listed_facts(one: _Listed) -> dict[str, Any]:
    schedule = one.schedule
    return {
        **schedule_facts(schedule),
        "payers": one.payers,
        "total": format_amount(one.total_minor, schedule.exponent),
        "next": one.next,
        "payers_to_sign": one.unsigned,
    }


def show(name: str, *, account: str, rows: int, full: bool, as_json: bool) -> None:
    """One of them."""
    with ledger_of(quiet_settings()) as ledger, ledger.read() as tx:
        schedule = _named(tx, account, name)
        one = _listed(tx, schedule)
        mandate = schedules.mandate_of(tx, schedule.id)
        payers = schedules.payers_of(tx, schedule.id, limit=rows) if rows else []
    if as_json:
        shown = [_payer_facts(payer, schedule, full=full) for payer in payers]
        say_json({**_listed_facts(one), "mandate": _mandate_facts(mandate, schedule), "first_payers": shown})
        return
    say(f"Schedule {schedule.name}: {schedule.state}, account {schedule.account}")
    for line in schedule_lines(schedule):
        say(line)
    say(f"  asks       {one.payers:,} payers, {money(schedule, one.total_minor)} a period; next {one.next or '-'}")
    say(f"  mandate    {_mandate_words(mandate, schedule, one)}")
    if payers:
        table = Table(*(Column(word, no_wrap=True) for word in _PAYERS), box=None)
        for payer in payers:
            number = payer.msisdn if full else masked(payer.msisdn)
            amount = format_amount(payer.amount_minor, schedule.exponent)
            table.add_row(payer.payer_id, payer.name or "-", number, amount, payer.zone or "-")
        wide_console().print(table)
        if one.payers > len(payers):
            say(f"and {one.payers - len(payers):,} payers more (--payers N)")


def _named(tx: Tx, account: str, name: str) -> Schedule:
    try:
        return named(tx, account, name, removed=True)
    except NotChangedError as error:
        raise refused(error) from None


def _payer_facts(payer: Payer, schedule: Schedule, *, full: bool) -> dict[str, Any]:
    return {
        "payer_id": payer.payer_id,
        "name": payer.name,
        "msisdn": payer.msisdn if full else masked(payer.msisdn),
        "amount": format_amount(payer.amount_minor, schedule.exponent),
        "zone": payer.zone,
    }


def _mandate_facts(mandate: Mandate | None, schedule: Schedule) -> dict[str, Any] | None:
    if mandate is None:
        return None
    return {
        "signed_by": mandate.name,
        "signed_at": moment(mandate.signed_at_ms),
        "payers": mandate.payers,
        "ceiling": format_amount(mandate.ceiling_minor, schedule.exponent),
        "root": mandate.root,
    }


def _mandate_words(mandate: Mandate | None, schedule: Schedule, one: _Listed) -> str:
    if mandate is None:
        return f"nobody has signed: momo schedule approve {schedule.name} --as NAME"
    said = (
        f"signed by {mandate.name}, {moment(mandate.signed_at_ms)}: {mandate.payers:,} payers, "
        f"at most {money(schedule, mandate.ceiling_minor)} a period"
    )
    return f"{said}; {one.unsigned:,} payers are beyond it and aren't asked" if one.unsigned else said


def preview(name: str, *, count: int, account: str, as_json: bool) -> None:
    """What is to come."""
    with ledger_of(quiet_settings()) as ledger, ledger.read() as tx:
        schedule = _named(tx, account, name)
        one = _listed(tx, schedule)
        try:
            timetable = timetable_of(schedule)
        except ScheduleError as error:
            raise AnswerIsNo(f"the schedule {name} can't be read: {error}") from None
        found = _ahead(tx, schedule, timetable, count)
        now_ms = tx.now_ms
    if as_json:
        more = {"payers": one.payers, "total": format_amount(one.total_minor, schedule.exponent)}
        told = [{**period_facts(period, timetable), **more, "currency": schedule.currency} for period in found]
        say_json(
            {
                "schedule_id": schedule.id,
                "name": schedule.name,
                "state": schedule.state,
                "zone": schedule.zone,
                "periods": told,
            }
        )
        return
    if not found:
        say(f"The schedule {schedule.name} has no period to come: its end is {schedule.ends_on}.")
        return
    say(
        f"Schedule {schedule.name} ({schedule.state}): each of these asks {one.payers:,} payers for {money(schedule, one.total_minor)}."
    )
    table = Table(*(Column(word, no_wrap=True) for word in _PREVIEW), box=None)
    for period in found:
        moved = period.moved.isoformat() if period.moved != period.nominal else "-"
        why = f"skipped: {period.skipped}" if period.skipped else why_moved(period, timetable) or "-"
        if period.fires_at_ms <= now_ms:
            why = f"its moment has passed; catch-up: {schedule.catch_up}"
        at = local(timetable.zone, period.fires_at_ms)
        table.add_row(
            period.name,
            f"{period.nominal:%a %Y-%m-%d}",
            moved,
            why,
            f"{at:%a %Y-%m-%d %H:%M}",
            moment(period.fires_at_ms),
        )
    wide_console().print(table)
    say(f"Local time is that of {schedule.zone}.")
    if one.unsigned:
        say(
            f"{one.unsigned:,} payers wait for an approver's signature: momo schedule approve {schedule.name} --as NAME"
        )


def history(name: str, *, limit: int, account: str, as_json: bool) -> None:
    """What was, and who decided what."""
    with ledger_of(quiet_settings()) as ledger, ledger.read() as tx:
        schedule = _named(tx, account, name)
        periods = schedules.periods_of(tx, schedule.id, limit=limit)
        standings = schedule_desk.standings(tx, schedule.id, [one.period for one in periods])
        rounds = schedule_desk.rounds(tx, schedule.id)
        decisions = schedule_desk.decisions_about(tx, schedule.id, schedule.account)
    if as_json:
        told = [_period_facts(one, schedule, standings, rounds) for one in periods]
        said = [
            {"by": one.actor, "action": one.action, "reason": one.reason, "at": moment(one.at_ms)} for one in decisions
        ]
        say_json({"schedule_id": schedule.id, "name": schedule.name, "periods": told, "decisions": said})
        return
    if not periods:
        say(
            f"No period of the schedule {schedule.name} was decided yet; `momo schedule preview {schedule.name}` shows those to come."
        )
    else:
        wide_console().print(_history_table(periods, schedule, standings, rounds))
    for one in decisions:
        _tell_decision(one)


def _tell_decision(one: Decided) -> None:
    say(f"  {moment(one.at_ms)}  {one.actor}: {one.action} ({one.reason})")


def _history_table(
    periods: Sequence[DecidedPeriod], schedule: Schedule, standings: Sequence[Standing], rounds: Sequence[Round]
) -> Table:
    table = Table(*(Column(word, no_wrap=True) for word in _HISTORY), box=None)
    for one in periods:
        mine = [standing for standing in standings if standing.period == one.period]
        collected = sum(standing.collected_minor for standing in mine)
        settled = sum(standing.settled_minor for standing in mine)
        table.add_row(
            one.period,
            f"{one.state} {_day(one, schedule)}",
            f"{one.payers:,}",
            format_amount(one.total_minor, schedule.exponent),
            format_amount(collected, schedule.exponent),
            format_amount(settled, schedule.exponent),
            ", ".join(f"{standing.payers:,} {standing.state}" for standing in mine) or "-",
            ", ".join(f"{each.name} ({each.state})" for each in rounds if each.period == one.period) or "-",
            one.why or "-",
        )
    return table


def _day(one: DecidedPeriod, schedule: Schedule) -> str:
    try:
        return local(zone_of(schedule.zone), one.decided_at_ms).date().isoformat()
    except ScheduleError:
        return moment(one.decided_at_ms) or ""


def _period_facts(
    one: DecidedPeriod, schedule: Schedule, standings: Sequence[Standing], rounds: Sequence[Round]
) -> dict[str, Any]:
    mine = [standing for standing in standings if standing.period == one.period]
    return {
        "period": one.period,
        "begins": one.begins_on,
        "ends": one.ends_on,
        "day": one.nominal_on,
        "due_at": moment(one.fires_at_ms),
        "state": one.state,
        "why": one.why or None,
        "payers": one.payers,
        "total": format_amount(one.total_minor, schedule.exponent),
        "collected": format_amount(sum(each.collected_minor for each in mine), schedule.exponent),
        "settled": format_amount(sum(each.settled_minor for each in mine), schedule.exponent),
        "payers_by_state": {each.state: each.payers for each in mine},
        "rounds": [{"run": each.name, "state": each.state} for each in rounds if each.period == one.period],
        "decided_at": moment(one.decided_at_ms),
    }
