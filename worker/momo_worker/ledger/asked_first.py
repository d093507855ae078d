"""Which payments MTN is asked about before their first send, in the week after a restore: payments come in, whose send waits goes out. Sends nothing.

What was there when a recovery made its list is on it. Here comes what was accepted later, although the lost ledger may have known it:
jobs that waited, a key whose earlier entry is read again, rows of runs. Sent at once, a cancelled one would be paid, and one that was
paid as a later attempt would be paid twice, where attempt 1 left no trace at MTN.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, text

from momo_worker.ledger import moves, recovery
from momo_worker.ledger.engine import Tx
from momo_worker.payment.after_restore import STREAM
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import State

#: A ledger of this epoch was never restored.
FIRST_EPOCH = 1
#: How a search ends that MTN gave no word for.
SKIPPED = "skipped"
_OUTCOMES = text(
    "SELECT payment_id, outcome FROM search WHERE recovery_id = :recovery AND payment_id IN :ids"
).bindparams(bindparam("ids", expanding=True))
_RUNS_BEFORE = text("SELECT id FROM run WHERE id IN :ids AND imported_at_ms < :began").bindparams(
    bindparam("ids", expanding=True)
)
# An unsent payment's entry is the earlier one from now on: whoever asks what the lost ledger may have known goes by it.
_CAME_BEFORE = text("UPDATE payment SET source = :source WHERE id = :id AND state = 'accepted' AND sends = 0")


@dataclass(frozen=True, slots=True)
class Unasked:
    """Payment ids of those that may not be sent yet, and of those whose search MTN hasn't answered in all the time it has for it."""

    waiting: frozenset[str] = frozenset()
    unanswered: frozenset[str] = frozenset()


def waiting_for_word(tx: Tx, payments: Sequence[Payment], epoch: int, *, within_ms: int) -> Unasked:
    """Of payments that are about to be sent, those that MTN must be asked about before, or is being asked about; puts them on the list.

    Who was on the list and whose search has ended was decided on, by MTN's word or by a person. What was listed waits for its search
    also when the week is over: it may have been accepted only then. `unanswered` are for the desk, and the search goes on.
    `epoch` is the ledger's: every recovery raises it, so that one that was never lost is asked nothing more at its claims.
    """
    accepted = [payment for payment in payments if payment.state is State.ACCEPTED]
    found = recovery.latest(tx) if accepted and epoch > FIRST_EPOCH else None
    if found is None:
        return Unasked()
    values = {"recovery": found.id, "ids": [payment.id for payment in accepted]}
    outcomes = {row[0]: row[1] for row in tx.conn.execute(_OUTCOMES, values)}
    listed = [payment for payment in accepted if outcomes.get(payment.id, "") is None]
    if found.is_reckoned_with(tx.now_ms, within_ms):
        unlisted = [
            payment.id
            for payment in accepted
            if payment.id not in outcomes and _is_unsent(payment) and _is_old(found, payment)
        ]
        recovery.look_for(tx, found.id, unlisted)
        return Unasked(frozenset([*unlisted, *(payment.id for payment in listed)]))
    overdue = frozenset(payment.id for payment in listed if tx.now_ms - payment.accepted_at_ms >= within_ms)
    return Unasked(frozenset(payment.id for payment in listed) - overdue, overdue)


def accepted_late(tx: Tx, accepted: Sequence[tuple[Payment, int | None]]) -> None:
    """Payments that were just accepted, with the moment since which their jobs had waited: what the lost ledger may have known is looked for.

    So `momo recover` counts them before the release, and a run's rows are asked about while they wait for their turn. Whatever the week: a
    collection may have lain on a desk for longer, and a run been resumed later.
    """
    doubtful = [(payment, since_ms) for payment, since_ms in accepted if since_ms is not None or payment.run]
    found = recovery.latest(tx) if doubtful else None
    if found is None:
        return
    runs = _runs_before(tx, {payment.run for payment, _ in doubtful if payment.run}, found)
    old = [
        payment.id
        for payment, since_ms in doubtful
        if payment.run in runs or _is_old(found, payment) or (since_ms is not None and since_ms < found.began_at_ms)
    ]
    recovery.look_for(tx, found.id, old)


@dataclass(frozen=True, slots=True)
class Met:
    """A payment that another entry of its key speaks of: that entry's source (None where it asks for something else), since when it is known."""

    payment: Payment
    source: str | None
    since_ms: int
    #: Nobody has met the payment by this entry before.
    first: bool = False


def met_again(tx: Tx, met: Sequence[Met]) -> None:
    """Known payments that are met once more by entries that are read again, or that waited: the lost ledger may have known them.

    A producer that sent its key once more was faster at a door than the reading; what it began is as old as its earlier entry. Where that
    one asked for something else, MTN is asked what stands under their key all the same. Also when the week is over: it may have waited.
    """
    unsent = [one for one in met if _is_unsent(one.payment)]
    found = recovery.latest(tx) if unsent else None
    if found is None:
        return
    before = [one for one in unsent if one.since_ms < found.began_at_ms and not _is_old(found, one.payment)]
    older = {
        one.payment.id: one.source for one in before if one.source and _is_of_the_lost(found, one.payment, one.source)
    }
    anew = {one.payment.id for one in before if one.first}
    # Payments are locked before their searches, and both by their ids, here as everywhere.
    locked = moves.lock(tx, sorted({one.payment.id for one in before}))
    for payment_id, payment in locked.items():
        if payment_id in older and not _is_old(found, payment):
            tx.conn.execute(_CAME_BEFORE, {"id": payment_id, "source": older[payment_id]})
            anew.add(payment_id)
    for payment_id in sorted(anew):
        recovery.look_for_anew(tx, found.id, payment_id)
    # A search that has ended since speaks for what waited meanwhile, too.
    recovery.look_for(tx, found.id, sorted(set(locked) - anew))


def _is_of_the_lost(found: recovery.Recovery, payment: Payment, source: str) -> bool:
    """Until the reading begins nobody knows where it will end; an entry of the stream that is known since before lies in it."""
    return _is_old_by(found, payment, source) or (found.jobs_until is None and source.startswith(STREAM))


def _is_unsent(payment: Payment) -> bool:
    return payment.state is State.ACCEPTED and not payment.sends


def _is_old(found: recovery.Recovery, payment: Payment) -> bool:
    return _is_old_by(found, payment, payment.source)


def _is_old_by(found: recovery.Recovery, payment: Payment, source: str) -> bool:
    return found.is_old(payment.state, payment.accepted_at_ms, source)


def _runs_before(tx: Tx, runs: set[str], found: recovery.Recovery) -> set[str]:
    """Those of these runs that were there before the restore: the lost ledger may have paid their rows, and tried them again."""
    if not runs:
        return set()
    return set(tx.conn.execute(_RUNS_BEFORE, {"ids": sorted(runs), "began": found.began_at_ms}).scalars())
