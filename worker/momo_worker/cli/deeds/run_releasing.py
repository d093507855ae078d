"""`momo run release`, `pause`, `resume` and `cancel`: a person's word about a run comes in, what became of it goes out. Sends nothing."""

from collections.abc import Callable
from typing import TypeVar

from momo_worker.cli.deeds.moments import from_now
from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import actor, quiet_settings
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import stops
from momo_worker.payment.operator import By
from momo_worker.runs.deciding import cancel_unsent, try_again
from momo_worker.runs.releasing import (
    NotReleasedError,
    Wish,
    cancel_run,
    open_again,
    pause_run,
    pauses_of,
    release_run,
    resume_run,
)

Done = TypeVar("Done")
_REFUSED_TOLD = 20


def _told(deed: Callable[[], Done]) -> Done:
    try:
        return deed()
    except NotReleasedError as error:
        raise AnswerIsNo(str(error)) from None


def release(name: str, *, first: int | None, at: str | None, account: str, by: str, as_json: bool) -> None:
    """Let an approved run go."""
    settings = quiet_settings()
    with office_of(settings) as office:
        parts = office.house.parts
        with parts.ledger.read() as tx:
            now_ms = tx.now_ms
        wish = Wish(first, from_now(at, "--at", now_ms) if at else 0)
        run, found = _told(lambda: release_run(parts, account, name, wish, by=actor(by)))
        with parts.ledger.read() as tx:
            pauses = pauses_of(tx, run)
    starts = moment(found.starts_at_ms)
    if as_json:
        say_json(
            {
                "run_id": run.id,
                "name": run.name,
                "released_to": found.released_to,
                "rows": run.rows,
                "starts_at": starts,
                "pauses": [f"{_what(pause)}: {pause.reason}" for pause in pauses],
            }
        )
        return
    which = (
        f"all {run.rows:,} rows"
        if found.released_to == run.rows
        else f"rows 1 to {found.released_to:,} of {run.rows:,}"
    )
    say(f"The run {run.name} is released, {which}, from {starts} on.")
    for pause in pauses:
        say(
            f"Nothing of it is sent yet: {_what(pause)} is paused ({pause.reason}). `{_lift(run.name, pause)}` lifts that."
        )
    holds = "" if pauses else f"; `momo run pause {run.name} --reason …` holds it"
    say(f"`momo run watch {run.name}` follows it{holds}.")


def _what(pause: stops.Pause) -> str:
    """What is paused, in words."""
    if pause.run:
        return "this run"
    return "everything" if pause.scope == "all" else pause.scope


def _lift(name: str, pause: stops.Pause) -> str:
    if pause.run:
        return f"momo run resume {name} --reason …"
    scope = [f"--{word} {value} " for word, value in (("account", pause.account), ("product", pause.product)) if value]
    return f"momo resume {''.join(scope)}--reason …"


def pause(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """Hold a run."""
    _reason(reason, "why it must not go on")
    settings = quiet_settings()
    with office_of(settings) as office:
        parts = office.house.parts
        run = _told(lambda: pause_run(parts, account, name, reason=reason, by=actor(by)))
        with parts.ledger.read() as tx:
            begun = stops.on_the_wire(tx)
            last_ms = tx.now_ms + settings.rules.permit_age_ms
    if as_json:
        say_json(
            {"run_id": run.id, "name": name, "no_send_begins_after": moment(last_ms), "calls_on_the_wire": len(begun)}
        )
        return
    say(
        f"The run {name} is paused. No send of it begins after {moment(last_ms)}; {len(begun)} calls of all payments had begun."
    )


def resume(name: str, *, reason: str, again_unfunded: bool, account: str, by: str, as_json: bool) -> None:
    """Let a run go on; what failed for want of money is tried again where that is asked for."""
    _reason(reason, "why it is safe again")
    who = actor(by)
    with office_of(quiet_settings()) as office:
        parts = office.house.parts
        run = _told(lambda: resume_run(parts, account, name, reason=reason, by=who, again_unfunded=again_unfunded))
        again, refused = try_again(parts, run, By(who, reason)) if again_unfunded else (0, {})
        if again_unfunded:
            run = open_again(parts, run)
    if as_json:
        say_json({"run_id": run.id, "name": name, "tried_again": again, "not_tried_again": refused})
        return
    say(f"The run {name} goes on.")
    if again_unfunded:
        say(
            f"{again:,} rows that failed for want of money are tried again, each as its next attempt; {len(refused):,} can't be."
        )
        for key, why in list(refused.items())[:_REFUSED_TOLD]:
            say(f"  {key} {why}")


def cancel(name: str, *, reason: str, account: str, by: str, as_json: bool) -> None:
    """End a run: rows that aren't sent never are."""
    _reason(reason, "why it is ended")
    who = actor(by)
    with office_of(quiet_settings()) as office:
        parts = office.house.parts
        run, spared = _told(lambda: cancel_run(parts, account, name, reason=reason, by=who))
        cancelled, sent = cancel_unsent(parts, run, who, reason)
    if as_json:
        say_json(
            {
                "run_id": run.id,
                "name": name,
                "state": run.state,
                "never_handed_over": spared,
                "cancelled": cancelled,
                "not_cancelled": sent,
            }
        )
        return
    say(
        f"The run {name} is {run.state}: {spared:,} rows were never handed over, {cancelled:,} that waited are cancelled."
    )
    if sent:
        say(f"{sent:,} were on their way to MTN at that moment; they are followed to their end.")


def _reason(reason: str, what: str) -> None:
    if not reason.strip():
        raise WrongUse(f"--reason is missing: say {what}, in a few words")
