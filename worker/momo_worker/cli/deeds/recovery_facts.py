"""What `momo recover` shows: an open house comes in, facts as JSON and as lines for a person at three in the morning go out. Reads only."""

from collections.abc import Iterator, Mapping
from typing import Any

from momo_worker.cli.deeds.showing import moment
from momo_worker.ledger import installation, recovery, recovery_tally, stops, views
from momo_worker.ledger.engine import Tx
from momo_worker.payment.after_restore import Outcome
from momo_worker.payment.money import format_amount
from momo_worker.payment.tide import Copy, Why
from momo_worker.payment.transitions import State
from momo_worker.steps import recovery as steps
from momo_worker.wiring import House

_WHY = {
    Why.BEHIND: "the ledger is behind a copy of its tide: a backup was restored, or a replica that was behind took over",
    Why.EMPTY: "the ledger is new, and its namespace was used before: the old ledger is lost",
    Why.OTHER_LEDGER: "the only copy of the tide that is left names another ledger of this installation",
    Why.NO_COPY: "no copy of the tide is left in Redis or in MOMO_HOME, so nobody can say whether the ledger is whole",
    Why.LOST_CLAIM: "a worker's claim was committed and is gone: a replica that was a moment behind took over",
    Why.BY_PERSON: "a person said so",
}
_OUTCOME = {
    None: "still to be asked about, or until their 404 counts",
    Outcome.AT_MTN: "at MTN, as the ledger thought; followed as always",
    Outcome.ADOPTED: "at MTN, and the ledger didn't know; followed now",
    Outcome.UNSENT: "never sent by this ledger, and unknown to MTN: yours to decide",
    Outcome.NOT_FOUND: "sent by this ledger, and unknown to MTN: on the desk, MTN's word ends them",
    Outcome.STANDS: "as the ledger has them",
    Outcome.DISPUTED: "MTN has something that isn't ours, or two attempts: on the desk or contradicted",
}


def gather(house: House, copies: Mapping[str, Copy | None]) -> dict[str, Any]:
    """Everything, in one reading transaction."""
    with house.parts.ledger.read() as tx:
        us = installation.read(tx)
        found = recovery.latest(tx)
        facts: dict[str, Any] = {
            "in_recovery": found is not None and found.released_at_ms is None,
            "ledger": {"id": house.ledger_id, "tide": us.tide if us else 0, "epoch": us.epoch if us else 0},
            "copies": {name: _copy(copy) for name, copy in copies.items()},
            "recovery": None if found is None else _recovery(tx, found),
            "pauses": [f"{pause.scope}, by {pause.actor}: {pause.reason}" for pause in stops.pauses(tx)],
        }
    return facts


def _copy(copy: Copy | None) -> dict[str, Any] | None:
    if copy is None:
        return None
    return {"ledger_id": copy.ledger_id, "tide": copy.tide, "epoch": copy.epoch, "at": moment(copy.at_ms)}


def _recovery(tx: Tx, found: recovery.Recovery) -> dict[str, Any]:
    waits = steps.waits_of(tx, found)
    return {
        "why": found.why,
        "detail": found.detail,
        "by": found.actor,
        "since": moment(found.began_at_ms),
        "epoch": found.epoch,
        "tide_found": found.tide_found,
        "tide_known": found.tide_known,
        "lost_from": moment(found.lost_from_ms),
        "lost_until": moment(found.began_at_ms),
        "jobs": {
            "from": found.jobs_from,
            "until": found.jobs_until,
            "read": found.jobs_read,
            "done_at": moment(found.jobs_done_at_ms),
            "note": found.jobs_note,
            "waiting": recovery_tally.waiting_again(tx),
        },
        "listed_at": moment(found.listed_at_ms),
        "searched_at": moment(found.searched_at_ms),
        "searches_open": waits.searches,
        "payments": [_tally(one) for one in recovery_tally.tallies(tx, found.id)],
        "sendable": [_gauge(one) for one in views.by_state(tx) if one.state == State.ACCEPTED],
        "may_be_released": found.released_at_ms is None and waits.nothing,
        "released": None
        if found.released_at_ms is None
        else {"at": moment(found.released_at_ms), "by": found.released_by, "reason": found.released_reason},
    }


def _tally(one: recovery_tally.Tally) -> dict[str, Any]:
    return {
        "outcome": one.outcome,
        "state": one.state,
        "held_cause": one.held_cause,
        "payments": one.payments,
        "amount": format_amount(one.amount_minor, one.exponent),
        "currency": one.currency,
        "oldest_accepted_at": moment(one.oldest_accepted_at_ms),
    }


def _gauge(one: views.StateGauge) -> dict[str, Any]:
    return {
        "payments": one.count,
        "amount": format_amount(one.amount_minor, one.exponent),
        "currency": one.currency,
    }


def lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    ledger, found = facts["ledger"], facts["recovery"]
    state = "is IN RECOVERY: nothing is sent" if facts["in_recovery"] else "is not in recovery"
    yield f"The ledger {ledger['id']} {state}. Tide {ledger['tide']}, epoch {ledger['epoch']}."
    for name, copy in facts["copies"].items():
        told = "none" if copy is None else f"tide {copy['tide']} of ledger {copy['ledger_id']}, {copy['at']}"
        yield f"  copy in {name}: {told}"
    if found is None:
        return
    yield ""
    yield from _history(found)
    yield from _work(found)
    yield from _payments(found)
    for pause in facts["pauses"]:
        yield f"  paused: {pause}"
    if facts["in_recovery"]:
        yield ""
        yield from _next(found)


def _history(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Recovery since {found['since']}, by {found['by']}: {_WHY[Why(found['why'])]}" + (
        f" ({found['detail']})" if found["detail"] else ""
    )
    yield f"  found at tide {found['tide_found']}, known was {found['tide_known']}; results carry epoch {found['epoch']} since"
    yield (
        f"  what was decided between {found['lost_from'] or 'the beginning'} and {found['lost_until']} may be lost: cancels, pauses "
        "and their lifting, payments by hand, retries"
    )
    if found["released"]:
        one = found["released"]
        yield f"  released {one['at']} by {one['by']}: {one['reason']}"


def _work(found: Mapping[str, Any]) -> Iterator[str]:
    jobs = found["jobs"]
    done = f"done {jobs['done_at']}" if jobs["done_at"] else "going on"
    yield f"  jobs read again: {jobs['read']} entries from {jobs['from']}, {done}; {jobs['note'] or 'not begun'}"
    if jobs["waiting"]:
        yield f"  {jobs['waiting']} of them wait for another payment (a refund's collection, the failure it corrects)"
    yield "  jobs by command line and HTTP are in no stream: whoever sent them must send them again, under the same keys"
    searched = f"done {found['searched_at']}" if found["searched_at"] else f"{found['searches_open']} open"
    yield f"  asked MTN about every payment that isn't final: {searched}"


def _payments(found: Mapping[str, Any]) -> Iterator[str]:
    for one in found["payments"]:
        known = one["outcome"] is None or one["outcome"] in set(Outcome)
        what = _OUTCOME[None if one["outcome"] is None else Outcome(one["outcome"])] if known else one["outcome"]
        cause = f" ({one['held_cause']})" if one["held_cause"] else ""
        yield (
            f"  {one['payments']:>7} {one['state']}{cause}, {one['amount']} {one['currency']}, "
            f"oldest of {one['oldest_accepted_at']}: {what}"
        )


def _next(found: Mapping[str, Any]) -> Iterator[str]:
    going = "; ".join(f"{one['payments']} payments, {one['amount']} {one['currency']}" for one in found["sendable"])
    if not found["may_be_released"]:
        yield "Not ready for a release: a pump goes on by itself. New jobs are taken in meanwhile, and wait."
        return
    yield f"At a release these are sent: {going or 'none'}. What lies on the desk stays there (`momo payment list --state held`)."
    yield "Before it: cancel what was cancelled (`momo payment cancel`), pause what was paused (`momo pause`)."
    yield "Then: momo recover --release --reason '…'   (with --send-unsent the unsent above go out as well, all of them)"
