"""Events about runs: what happened to a run comes in, a `momo.run.*` event in the outbox goes out, in the caller's transaction.

Each is about a run and one moment of its life, told once: its id is derived from both.
"""

import json

from momo_worker.commons.parts import Parts
from momo_worker.ledger import installation, moves, run_release
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Standing
from momo_worker.ledger.runs import Run
from momo_worker.payment.events import run_event
from momo_worker.payment.money import format_amount
from momo_worker.payment.transitions import FINAL_STATES, RunEventType


def tell_approved(tx: Tx, parts: Parts, run: Run) -> None:
    """Everybody who must has signed; again where it was opened and signed anew."""
    _tell(tx, parts, run, RunEventType.APPROVED, str(tx.now_ms), {})


def tell_started(tx: Tx, parts: Parts, run: Run, standing: Standing) -> None:
    """The first rows were handed over."""
    _tell(tx, parts, run, RunEventType.STARTED, "", _counts(run, standing))


def tell_progress(tx: Tx, parts: Parts, run: Run, standing: Standing, percent: int) -> bool:
    """20, 40, 60, 80 or 100 percent of the rows have ended; False where that was told before."""
    if not run_release.tell_percent(tx, run.id, percent):
        return False
    _tell(tx, parts, run, RunEventType.PROGRESS, str(percent), {"percent": percent, **_counts(run, standing)})
    return True


def tell_paused(tx: Tx, parts: Parts, run: Run, reason: str, actor: str) -> None:
    """Somebody, or the worker for want of money, has stopped it."""
    _tell(tx, parts, run, RunEventType.PAUSED, str(tx.now_ms), {"reason": reason, "by": actor})


def tell_completed(tx: Tx, parts: Parts, run: Run, standing: Standing) -> None:
    """Every row has ended or lies on a person's desk (money-review Q3)."""
    _tell(tx, parts, run, RunEventType.COMPLETED, str(tx.now_ms), _counts(run, standing))


def tell_settled(tx: Tx, parts: Parts, run: Run, standing: Standing) -> None:
    """Every row has ended."""
    _tell(tx, parts, run, RunEventType.SETTLED, str(tx.now_ms), _counts(run, standing))


def _tell(tx: Tx, parts: Parts, run: Run, kind: RunEventType, moment: str, more: dict[str, object]) -> None:
    data = {
        "run_id": run.id,
        "run": run.name,
        "account": run.account,
        "operation": run.operation,
        "rows": run.rows,
        "total": format_amount(run.total_minor, run.exponent),
        "currency": run.currency,
        "epoch": installation.epoch(tx),
        **more,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    moves.add_events(tx, [run_event(parts.namespace, run.id, kind, moment, text, tx.now_ms)])


def _counts(run: Run, standing: Standing) -> dict[str, object]:
    final = {state.value for state in FINAL_STATES}
    return {
        "states": {
            state: {"rows": count, "amount": format_amount(standing.amount_minor[state], run.exponent)}
            for state, count in sorted(standing.count.items())
        },
        "ended": sum(count for state, count in standing.count.items() if state in final) + standing.rejected,
        "held": standing.held,
        "rejected": standing.rejected,
    }
