"""A person's word about a run becomes decisions about its rows, one by one, each as if it had been said of that payment alone. Sends nothing."""

from momo_worker.commons.parts import Parts
from momo_worker.ledger import run_release
from momo_worker.ledger.runs import Run
from momo_worker.payment.operator import By
from momo_worker.payment.transitions import State
from momo_worker.runs.releasing import UNFUNDED
from momo_worker.steps import operator

_PIECE = 200


def try_again(parts: Parts, run: Run, by: By) -> tuple[int, dict[str, str]]:
    """The next attempt of each row that failed so (M8); returns how many, and which were refused and why."""
    again, after = 0, ""
    refused: dict[str, str] = {}
    while True:
        with parts.ledger.read() as tx:
            found = run_release.failed_so(tx, run.id, UNFUNDED, after=after, limit=_PIECE)
        for payment_id, key, attempt in found:
            decided = operator.retry(parts, payment_id, by=by, seen_attempt=attempt)
            if decided is None:
                refused[key] = "is gone from the ledger"
            elif decided.refused is not None:
                refused[key] = f"{decided.refused.why}; {decided.refused.advice}"
            else:
                again += 1
        if not found:
            return again, refused
        after = found[-1][0]


def cancel_unsent(parts: Parts, run: Run, actor: str, reason: str) -> tuple[int, int]:
    """Cancel every row that is in the ledger and not sent; returns how many, and how many had begun by then."""
    cancelled = sent = 0
    after = ""
    while True:
        with parts.ledger.read() as tx:
            ids = run_release.ids_in_state(tx, run.id, State.ACCEPTED, after=after, limit=_PIECE)
        for payment_id in ids:
            decided = operator.cancel(parts, payment_id, actor=actor, reason=reason)
            if decided is not None and decided.refused is None:
                cancelled += 1
            else:
                sent += 1
        if not ids:
            return cancelled, sent
        after = ids[-1]
