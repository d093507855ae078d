"""A person lets an approved run go, holds it, or ends it: a name comes in, how far the run may go stands in the ledger. Sends nothing.

Rows become payments one after another at the pump; until then a run that is cancelled has nothing to take back.
"""

from dataclasses import dataclass, replace

from momo_worker.commons import run_pausing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import run_release, run_signing, runs, schedule_dues, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Release
from momo_worker.ledger.runs import Run
from momo_worker.payment.payment import PRODUCT_OF, Product
from momo_worker.payment.transitions import State
from momo_worker.runs.approving import missing_of, no_such_run, permission_of

#: Reasons with which MTN refuses for want of money; the second is what it says instead, and may be anything (money-review Q2).
UNFUNDED = ("NOT_ENOUGH_FUNDS", "INTERNAL_PROCESSING_ERROR")
#: A run that is over moves no more money.
OVER = ("stopped", "completed", "settled", "cancelled")


class NotReleasedError(Exception):
    """Nothing was changed; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a release asks for. `first` rows as a trial; None for all; `starts_at_ms` 0 for now."""

    first: int | None = None
    starts_at_ms: int = 0


def release_run(parts: Parts, account: str, name: str, wish: Wish, *, by: str) -> tuple[Run, Release]:
    """Let rows of an approved run become payments, up to a place. Of two who release at once one is first and the other is told."""
    with parts.ledger.write() as tx:
        run = _named(tx, account, name)
        known = run_release.release_of(tx, run.id, lock=True)
        if not is_payable(parts, run):
            raise NotReleasedError(
                f"the run {name} isn't released: account {account} isn't configured on this machine with credentials to {run.operation}; "
                "add it to worker.toml and .env, or release the run where it is"
            )
        if run.state not in ("approved", "released"):
            raise NotReleasedError(_why_not(tx, parts, run))
        missing = missing_of(tx, parts, run)
        if missing:
            raise NotReleasedError(f"the run {name} isn't released: {missing}")
        to = run.rows if wish.first is None else min(wish.first, run.rows)
        if known is not None and to <= known.released_to:
            raise NotReleasedError(
                f"the run {name} is released already, up to row {known.released_to:,} of {run.rows:,}, by {known.released_by}"
            )
        earliest = permission_of(tx, parts, run).earliest_ms
        starts = max(wish.starts_at_ms, earliest, tx.now_ms)
        fresh = Release(run.id, to, 0, starts, tx.now_ms, by)
        release = fresh if known is None else replace(known, released_to=to, starts_at_ms=starts, released_by=by)
        run_release.put_release(tx, release)
        if run.state == "approved":
            runs.move_if(tx, run.id, "approved", "released")
        stops.journal(
            tx, actor=by, action="run released", subject=_subject(run), reason=f"rows up to {to:,} of {run.rows:,}"
        )
        return runs.find(tx, run.id) or run, release


def reopen_run(parts: Parts, account: str, name: str, *, reason: str, by: str) -> int:
    """Take every signature away, so that the run can be signed anew; never of one that has begun. Returns how many those were."""
    with parts.ledger.write() as tx:
        run = _named(tx, account, name)
        if run.state not in ("draft", "submitted", "approved"):
            more = (
                "it is over, and another run is another import"
                if run.state in OVER
                else f"`momo run cancel {name}` ends what isn't sent"
            )
            raise NotReleasedError(f"the run {name} is {run.state} and can't be opened again: {more}")
        count = run_signing.forget_signatures(tx, run.id)
        if run.state != "draft":
            runs.move_if(tx, run.id, run.state, "draft")
        stops.journal(tx, actor=by, action="run reopened", subject=_subject(run), reason=reason)
        return count


def pause_run(parts: Parts, account: str, name: str, *, reason: str, by: str) -> Run:
    """No row of it leaves after a second; what MTN has is followed to its end (M13)."""
    with parts.ledger.write() as tx:
        run = _named(tx, account, name)
        if run.state in OVER:
            raise NotReleasedError(f"the run {name} is {run.state}: there is nothing to pause")
        run_pausing.hold(tx, parts, run, reason=reason, by=by)
        return run


def pauses_of(tx: Tx, run: Run) -> list[stops.Pause]:
    """What holds a run, wider pauses among them."""
    product = product_of(run)
    return [pause for pause in stops.holding(tx) if pause.covers(run.account, product.value if product else "", run.id)]


def is_payable(parts: Parts, run: Run) -> bool:
    """Whether this process has the account and the credentials that pay a run; another may have them."""
    account = parts.accounts.get(run.account)
    return account is not None and product_of(run) in account.credentials


def product_of(run: Run) -> Product | None:
    """Which of MTN's products pays a run; None for one whose operation was changed to something that there is not."""
    return next((product for operation, product in PRODUCT_OF.items() if operation.value == run.operation), None)


def resume_run(parts: Parts, account: str, name: str, *, reason: str, by: str, again_unfunded: bool = False) -> Run:
    """Lift the pauses of this run alone. `again_unfunded`: its caller retries what failed for want of money, paused or not."""
    with parts.ledger.write() as tx:
        run = _named(tx, account, name)
        if again_unfunded:
            _may_try_again(tx, run)
            stops.lift_pauses(tx, account=run.account, product="", run=run.id, reason=reason, actor=by)
            return run
        if not stops.lift_pauses(tx, account=run.account, product="", run=run.id, reason=reason, actor=by):
            wider = "; ".join(f"{pause.scope}: {pause.reason}" for pause in pauses_of(tx, run))
            more = f"; what holds it is wider ({wider}), and `momo resume` lifts that" if wider else ""
            raise NotReleasedError(f"the run {name} isn't paused{more}")
        return run


def _may_try_again(tx: Tx, run: Run) -> None:
    """Not of a run that somebody cancelled, nor of a schedule's, nor where there is nothing to try."""
    if schedule_dues.round_of(tx, run.id) is not None:
        raise NotReleasedError(
            f"the run {run.name} was made by a schedule, which asks again by itself at the payers' hours; "
            "`momo payment retry` asks one payer at once"
        )
    release = run_release.release_of(tx, run.id, lock=True)
    if release is None or run.state == "stopped" or (run.state in OVER and release.released_to < run.rows):
        why = "was cancelled" if run.state in OVER else f"is {run.state}"
        raise NotReleasedError(f"the run {run.name} {why}: nothing of it is tried again")
    failed = run_release.failed_so(tx, run.id, UNFUNDED, after="", limit=1)
    if run.state in OVER and not failed and not _is_under_way(tx, run):
        raise NotReleasedError(f"the run {run.name} is {run.state}, and no row of it failed for want of money")


def open_again(parts: Parts, run: Run) -> Run:
    """A run that was over goes on where rows of it are tried again: under its brakes, and told anew when they have ended."""
    with parts.ledger.write() as tx:
        now = runs.find(tx, run.id, lock=True) or run
        if now.state in ("completed", "settled") and _is_under_way(tx, now):
            runs.move_if(tx, now.id, now.state, "released")
        return runs.find(tx, run.id) or now


def _is_under_way(tx: Tx, run: Run) -> bool:
    return bool(run_release.ids_in_state(tx, run.id, State.ACCEPTED, after="", limit=1))


def cancel_run(parts: Parts, account: str, name: str, *, reason: str, by: str) -> tuple[Run, int]:
    """No further row becomes a payment; returns how many rows that spares. What is in the ledger already is cancelled by its caller."""
    with parts.ledger.write() as tx:
        run = _named(tx, account, name)
        release = run_release.release_of(tx, run.id, lock=True)
        fed_to = 0 if release is None else release.fed_to
        if run.state == "stopped":
            # Whoever cancelled it may have been killed before every row was named: their cancel is gone on with.
            return run, run.rows - fed_to
        if run.state in OVER:
            raise NotReleasedError(f"the run {name} is {run.state}: there is nothing to cancel")
        if release is not None:
            run_release.put_release(tx, replace(release, released_to=fed_to))
        # One that may have paid somebody keeps its name: the same file again must not be another run. A pump that took the lease and
        # never gave it back may only sleep, however long ago that was.
        begun = release is not None and (fed_to > 0 or release.leased_until_ms > 0)
        runs.move_if(tx, run.id, run.state, "stopped" if begun else "cancelled")
        stops.journal(tx, actor=by, action="run cancelled", subject=_subject(run), reason=reason)
        return runs.find(tx, run.id) or run, run.rows - fed_to


def _named(tx: Tx, account: str, name: str) -> Run:
    run = runs.live(tx, account, name, lock=True)
    if run is None:
        raise NotReleasedError(no_such_run(tx, account, name))
    return run


def _why_not(tx: Tx, parts: Parts, run: Run) -> str:
    if run.state in OVER:
        return f"the run {run.name} is {run.state}: nothing more of it is paid"
    missing = missing_of(tx, parts, run)
    return f"the run {run.name} is {run.state} and not approved: {missing or 'sign it once more'}"


def _subject(run: Run) -> str:
    return f"run={run.name} account={run.account}"
