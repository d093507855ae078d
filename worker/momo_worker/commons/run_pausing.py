"""A run is held: the run and a reason come in, a pause and the event that tells of it go out, in the caller's transaction. Lifts nothing.

Whoever pauses a run does it here, so that none is paused without being told: a person, the pump for want of money, a worker that
finds its signatures not to hold, a recovery.
"""

from momo_worker.commons import run_telling
from momo_worker.commons.parts import Parts
from momo_worker.ledger import stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.runs import Run


def hold(tx: Tx, parts: Parts, run: Run, *, reason: str, by: str) -> None:
    """Pause a run, and tell it."""
    stops.add_pause(tx, account=run.account, product="", run=run.id, reason=reason, actor=by)
    run_telling.tell_paused(tx, parts, run, reason, by)


def hold_once(tx: Tx, parts: Parts, run: Run, *, reason: str, by: str) -> None:
    """The same for a run that isn't paused by itself yet: what is found at each of its rows is said once."""
    if not any(pause.run == run.id for pause in stops.pauses(tx)):
        hold(tx, parts, run, reason=reason, by=by)
