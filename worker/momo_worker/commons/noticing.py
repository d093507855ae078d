"""A ledger that was restored is put in recovery, by whoever notices: the pump that compares tides, or a worker whose claim is gone. Sends nothing.

Until then whoever decides asks here whether the ledger shows less than is known of it.
"""

from collections.abc import Sequence

import structlog

from momo_worker.commons import run_pausing
from momo_worker.commons.parts import Parts
from momo_worker.ledger import installation, recovery, run_release
from momo_worker.ledger.engine import Tx
from momo_worker.payment.tide import Copy, Why, ours

log = structlog.get_logger(__name__)

_RUNS_WAIT = (
    "the ledger was restored: what people decided about this run since the backup, such as its end, may be lost"
)


def begin(
    tx: Tx,
    parts: Parts,
    why: Why,
    copies: Sequence[Copy] = (),
    *,
    detail: str | None = None,
    actor: str = recovery.ACTOR,
    since_ms: int | None = None,
) -> recovery.Recovery:
    """Begin a recovery; the caller has locked the installation, and tells it after the commit."""
    known = ours(copies, str(parts.namespace))
    # Read before lost pauses are put back: a run that had one waits for this reason, too.
    waiting = run_release.going_on(tx)
    found = recovery.begin(
        tx,
        why,
        tide_known=max([parts.tidemark.seen, *(copy.tide for copy in known)]),
        copies=known,
        jobs_margin_ms=parts.rules.recovery_jobs_margin_ms,
        detail=detail,
        actor=actor,
        since_ms=since_ms,
    )
    # Told under the new epoch, which has begun by now: under the old one consumers may know more than this ledger.
    for run in waiting:
        run_pausing.hold(tx, parts, run, reason=_RUNS_WAIT, by=recovery.ACTOR)
    return found


def unnoticed(tx: Tx, least: int) -> bool:
    """Whether the ledger shows less than somebody has seen of it: it was restored, and no pump has put it in recovery yet.

    What it calls never sent may be paid. So nothing is sent, ended or rejected on its word alone; what waits is decided within seconds,
    in recovery. `least` is the tidemark's, asked before this transaction: the ledger is always raised first.
    """
    return installation.tide(tx) < least


def in_recovery(tx: Tx, least: int) -> bool:
    """Whether the ledger is in recovery, or will be as soon as a pump has noticed."""
    # In this order: a pump that notices between the two questions raises the tide and opens the recovery at once.
    return unnoticed(tx, least) or recovery.current(tx) is not None


def begin_for_lost_claim(parts: Parts, payment_id: str, claimed_at_ms: int) -> None:
    """A claim that was committed is not in the ledger: however small the loss, the ledger was restored under this process.

    An answer that comes so late that a recovery has begun since its claim tells nothing new: MTN was asked about everything.
    """
    with parts.ledger.write() as tx:
        us = installation.locked(tx)
        if us is None:
            return
        last = recovery.latest(tx)
        if last is not None and (last.released_at_ms is None or last.began_at_ms >= claimed_at_ms):
            return
        copy = parts.tidemark.copy()
        detail = f"the claim of payment {payment_id} was committed and is gone"
        # The claim was lost when it was young, and its worker may have slept since: what the ledger wrote in between says nothing about
        # the jobs of that moment. A ledger that is new has lost everything.
        since_ms = min(claimed_at_ms, us.tide_at_ms) if us.tide else None
        began = begin(tx, parts, Why.LOST_CLAIM, [copy] if copy else [], detail=detail, since_ms=since_ms)
    tell_begun(began)


def tell_begun(found: recovery.Recovery) -> None:
    """Wake somebody."""
    log.error(
        "the ledger was restored and is in recovery; nothing is sent",
        why=found.why,
        tide=found.tide_found,
        tide_known=found.tide_known,
        epoch=found.epoch,
        action="recovery",
        advice="`momo recover` shows what is known and what waits for you; `momo recover --release` ends it",
    )
