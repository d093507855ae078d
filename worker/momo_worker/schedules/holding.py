"""A person holds a schedule, lets it go on, or ends it: its state changes, and what its rounds haven't sent yet stops with it. Sends nothing.

What MTN has is followed to its end, whatever is decided here (M13).
"""

from dataclasses import dataclass

from momo_worker.commons import run_pausing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import run_release, runs, schedule_desk, schedule_dues, schedules, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.runs import Run
from momo_worker.ledger.schedules import Schedule
from momo_worker.runs.deciding import cancel_unsent
from momo_worker.runs.releasing import OVER, NotReleasedError, cancel_run
from momo_worker.schedules.editing import passed_periods
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.timing.problems import ScheduleError

#: How the pauses of a schedule's rounds begin, so that its resume lifts those and no others.
_PAUSED = "its schedule is paused: "


@dataclass(frozen=True, slots=True)
class Held:
    """A schedule, and the names of the runs that a decision about it went on to."""

    schedule: Schedule
    runs: tuple[str, ...]
    #: Runs that something else holds: the pause and its reason.
    still_paused: tuple[tuple[str, str], ...] = ()
    #: Periods that passed meanwhile and are decided now.
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """A schedule that asks nobody any more."""

    schedule: Schedule
    runs: tuple[str, ...]
    #: Rows that never became payments, payments that were cancelled, and those that MTN had by then.
    spared: int
    cancelled: int
    sent: int


def pause_schedule(parts: Parts, account: str, name: str, *, reason: str, by: str) -> Held:
    """No period fires, and no ask of an open round leaves. Raises NotChangedError."""
    with parts.ledger.write() as tx:
        schedule = named(tx, account, name, lock=True)
        if schedule.state != "active":
            raise NotChangedError(f"the schedule {schedule.name} is {schedule.state} already")
        schedules.change(tx, schedule.id, state="paused")
        found = _open_runs(tx, schedule)
        for run in found:
            run_pausing.hold(tx, parts, run, reason=f"{_PAUSED}{reason}", by=by)
        _journal(tx, schedule, "schedule paused", reason, by)
        return Held(schedules.find(tx, schedule.id) or schedule, tuple(run.name for run in found))


def resume_schedule(parts: Parts, account: str, name: str, *, reason: str, by: str) -> Held:
    """Periods fire again, and rounds go on that nothing else holds. Raises NotChangedError."""
    with parts.ledger.write() as tx:
        schedule = named(tx, account, name, lock=True)
        if schedule.state != "paused":
            raise NotChangedError(f"the schedule {schedule.name} is {schedule.state}, and not paused")
        schedules.change(tx, schedule.id, state="active")
        # Of all: one that came to its end meanwhile is gone on with where a payer is asked again.
        by_run = {run.id: run.name for run in _runs(tx, schedule)}
        pauses = [pause for pause in stops.pauses(tx) if pause.run in by_run]
        ours = [pause for pause in pauses if pause.reason.startswith(_PAUSED)]
        schedule_desk.lift(tx, ours, reason=reason, actor=by)
        others = [(by_run[pause.run], pause.reason) for pause in pauses if pause not in ours]
        _journal(tx, schedule, "schedule resumed", reason, by)
        held = {run for run, _ in others}
        freed = sorted({by_run[pause.run] for pause in ours} - held)
        now = schedules.find(tx, schedule.id) or schedule
        return Held(now, tuple(freed), tuple(others), _passed(tx, now))


def remove_schedule(parts: Parts, account: str, name: str, *, reason: str, by: str) -> Removed:
    """It asks nobody any more; rows that aren't sent never are. Raises NotChangedError.

    The state comes first, so that no pump makes another round. Whoever was killed before every row was cancelled gives the command again, with the id.
    """
    with parts.ledger.write() as tx:
        schedule = named(tx, account, name, lock=True, removed=True)
        if schedule.state != "removed":
            schedules.change(tx, schedule.id, state="removed")
            schedule_dues.stop_all(tx, schedule.id, schedule_dues.REMOVED)
            _journal(tx, schedule, "schedule removed", reason, by)
        found = _unfinished(tx, schedule)
        schedule = schedules.find(tx, schedule.id) or schedule
    spared = cancelled = sent = 0
    for run in found:
        try:
            ended, rows = cancel_run(parts, run.account, run.name, reason=f"its schedule was removed: {reason}", by=by)
        except NotReleasedError:
            # It was over, or is meanwhile: whom a pump asks again, by another attempt, is taken back all the same.
            ended, rows = run, 0
        unsent, begun = cancel_unsent(parts, ended, by, reason)
        spared, cancelled, sent = spared + rows, cancelled + unsent, sent + begun
    return Removed(schedule, tuple(run.name for run in found), spared, cancelled, sent)


def named(tx: Tx, account: str, name: str, *, lock: bool = False, removed: bool = False) -> Schedule:
    """The schedule of a name or an id. Raises NotChangedError with those there are."""
    found = schedules.named(tx, account, name, lock=lock)
    if found is not None and (removed or found.state != "removed"):
        return found
    if found is not None:
        raise NotChangedError(f"the schedule {found.name} was removed: make a new one")
    names = [one.name for one in schedules.listed(tx, account=account)]
    there = f"it has {', '.join(names[:10])}" if names else "`momo schedule add` makes one"
    removed_too = "; one that was removed goes by its id (`momo schedule list --removed`)"
    raise NotChangedError(f"account {account} has no schedule {name}; {there}{removed_too}")


def _passed(tx: Tx, schedule: Schedule) -> tuple[str, ...]:
    try:
        return passed_periods(tx, schedule)
    except ScheduleError:
        # The pump says what is wrong with it; a person may let it go on all the same.
        return ()


def _open_runs(tx: Tx, schedule: Schedule) -> list[Run]:
    """Also one that is over and of which somebody is asked again: its next attempts are sent as any other (M13)."""
    return [run for run in _runs(tx, schedule) if run.state not in OVER or run_release.has_open(tx, run.id)]


def _unfinished(tx: Tx, schedule: Schedule) -> list[Run]:
    """Also those that a cancel before has stopped: payments of theirs may still wait."""
    return [
        run
        for run in _runs(tx, schedule)
        if run.state not in OVER or run.state == "stopped" or run_release.has_open(tx, run.id)
    ]


def _runs(tx: Tx, schedule: Schedule) -> list[Run]:
    found = [runs.find(tx, one.run_id) for one in schedule_desk.rounds(tx, schedule.id)]
    return [run for run in found if run is not None]


def _journal(tx: Tx, schedule: Schedule, action: str, reason: str, by: str) -> None:
    subject = schedule_desk.subject_of(schedule.id, schedule.account)
    stops.journal(tx, actor=by, action=action, subject=subject, reason=reason)
