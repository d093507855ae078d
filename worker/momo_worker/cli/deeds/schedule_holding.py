"""`momo schedule pause`, `resume` and `remove`: a name and a reason come in, what that held or ended goes out."""

from collections.abc import Callable
from typing import TypeVar

from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import actor, quiet_settings
from momo_worker.cli.deeds.schedule_words import needs_reason, refused
from momo_worker.cli.saying import say, say_json
from momo_worker.schedules.holding import pause_schedule, remove_schedule, resume_schedule
from momo_worker.schedules.refusals import NotChangedError

_Answer = TypeVar("_Answer")
_SHOWN = 12


def pause(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """Hold it."""
    needs_reason(reason, "why nobody is to be asked")
    with office_of(quiet_settings()) as office:
        parts = office.house.parts
        held = _told(lambda: pause_schedule(parts, account, name, reason=reason, by=actor(by)))
    if as_json:
        say_json({"schedule_id": held.schedule.id, "name": held.schedule.name, "state": "paused", "runs": held.runs})
        return
    say(f"The schedule {held.schedule.name} is paused: no period fires, and {_runs(held.runs)} waits.")
    say(
        f"`momo schedule resume {held.schedule.name} --reason …` lets it go on; "
        f"of the periods that pass meanwhile that catches up with: {held.schedule.catch_up}."
    )


def resume(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """Let it go on."""
    needs_reason(reason, "why it may go on")
    with office_of(quiet_settings()) as office:
        parts = office.house.parts
        held = _told(lambda: resume_schedule(parts, account, name, reason=reason, by=actor(by)))
    if as_json:
        others = [{"run": run, "reason": why} for run, why in held.still_paused]
        say_json(
            {
                "schedule_id": held.schedule.id,
                "name": held.schedule.name,
                "state": "active",
                "runs": held.runs,
                "still_paused": others,
                "periods_passed": held.passed,
            }
        )
        return
    say(f"The schedule {held.schedule.name} goes on, and {_runs(held.runs)} with it.")
    if held.passed:
        said = f"{len(held.passed):,} periods passed meanwhile ({', '.join(held.passed[:_SHOWN])})"
        say(f"{said} and are decided now: catch-up is {held.schedule.catch_up}.")
    for run, why in held.still_paused:
        say(f"  the run {run} stays paused ({why}); `momo run resume {run} --reason …` lifts that")


def remove(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """End it."""
    needs_reason(reason, "why it is ended")
    with office_of(quiet_settings()) as office:
        parts = office.house.parts
        done = _told(lambda: remove_schedule(parts, account, name, reason=reason, by=actor(by)))
    if as_json:
        say_json(
            {
                "schedule_id": done.schedule.id,
                "name": done.schedule.name,
                "state": "removed",
                "runs": done.runs,
                "never_handed_over": done.spared,
                "cancelled": done.cancelled,
                "not_cancelled": done.sent,
            }
        )
        return
    say(f"The schedule {done.schedule.name} is removed and asks nobody any more. Its id was {done.schedule.id}.")
    if done.runs:
        say(f"Of {_runs(done.runs)}, {done.spared:,} rows were never handed over and {done.cancelled:,} are cancelled.")
    if done.sent:
        say(f"{done.sent:,} were on their way to MTN at that moment; they are followed to their end.")


def _told(decide: Callable[[], _Answer]) -> _Answer:
    try:
        return decide()
    except NotChangedError as error:
        raise refused(error) from None


def _runs(names: tuple[str, ...]) -> str:
    if not names:
        return "no round"
    return f"the round {names[0]}" if len(names) == 1 else f"the rounds {', '.join(names)}"
