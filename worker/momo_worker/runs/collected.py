"""Collections that refunds speak of: by key, by reference or by MTN's transaction id in the file; by key from here on, or every reason against them.

Reads only. What is left to refund may change until the rows are paid, and M14 is asked again then.
"""

from collections import defaultdict
from dataclasses import replace

from momo_worker.ledger import intake
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Ledger
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Operation, Payment
from momo_worker.payment.transitions import State
from momo_worker.runs.fields import Finding
from momo_worker.runs.rows import Row

_COLUMN = "collection"


def named_by_key(ledger: Ledger, account: str, rows: list[Row]) -> tuple[list[Row], list[Finding]]:
    """The same rows with the keys of their collections, and what is wrong with those that can't be refunded so."""
    names = sorted({row.collection for row in rows if row.collection})
    known: dict[str, Payment] = {}
    for at in range(0, len(names), PIECE):
        with ledger.read() as tx:
            known.update(intake.named(tx, account, names[at : at + PIECE]))
    asked: dict[str, int] = defaultdict(int)
    found: list[Row] = []
    problems: list[Finding] = []
    for row in rows:
        collection = known.get(row.collection or "")
        if collection is not None:
            asked[collection.id] += row.amount_minor
        problem = _problem(row, collection, asked[collection.id] if collection else 0)
        if problem is not None:
            problems.append(problem)
        found.append(row if collection is None else replace(row, collection=collection.idempotency_key))
    return found, problems


def _problem(row: Row, collection: Payment | None, asked_minor: int) -> Finding | None:
    def finding(reason: str, advice: str) -> Finding:
        return Finding(row.line, _COLUMN, row.collection or "", reason, advice)

    if collection is None:
        return finding(
            "is no payment of this account", "give the key, reference or MTN transaction id of the collection"
        )
    if collection.operation is not Operation.COLLECT:
        return finding(f"is a {collection.operation.value}", "only a collection can be refunded")
    if collection.state is not State.SUCCESSFUL:
        return finding(f"is {collection.state.value}", "a refund gives back what was collected; wait for its success")
    left = collection.amount_minor - collection.refunded_minor
    if asked_minor <= left:
        return None
    said = format_amount(left, collection.exponent)
    return finding(f"has {said} left to refund, and the file asks for more", "refund at most what was collected")
