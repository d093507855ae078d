"""The tree over a run's rows: each row's request is rendered as it would leave; a root to sign and each row's way to it go out.

Reads the ledger, in pieces, and writes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from momo_worker.accounts import Account
from momo_worker.approval.leaves import Leaf
from momo_worker.approval.merkle import leaf_hash, root_and_paths
from momo_worker.commons.new_payment import Origin, new_payment
from momo_worker.commons.parts import Parts
from momo_worker.commons.signatures import leaf_of
from momo_worker.ledger import intake, runs
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.job import JobError, Problem, Terms, check_job
from momo_worker.payment.payment import Payment
from momo_worker.runs.jobs import job_of

Progress = Callable[[str, int, int | None], None]


class RowsError(Exception):
    """Rows that can't be paid as they stand, each with why: nothing is signed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems[:5]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Tree:
    """What is signed, and what proves that a row is under it."""

    root: str
    paths: tuple[bytes, ...]
    rows: int
    total_minor: int


def tree_of(parts: Parts, run: Run, progress: Progress) -> Tree:
    """Render every row of a run and hash them up. Raises RowsError."""
    leaves: list[bytes] = []
    total_minor = 0
    for row, leaf in leaves_of(parts, run, progress):
        total_minor += row.amount_minor
        leaves.append(leaf_hash(leaf.data()))
    root, paths = root_and_paths(leaves)
    return Tree(root.hex(), tuple(paths), len(leaves), total_minor)


def leaves_of(parts: Parts, run: Run, progress: Progress) -> Iterator[tuple[RunRow, Leaf]]:
    """Each row of a run and its leaf, in their places. Raises RowsError, with every row that can't be rendered, at the end."""
    account = parts.accounts[run.account]
    problems: list[str] = []
    after = 0
    while True:
        with parts.ledger.read() as tx:
            piece = runs.rows_of(tx, run.id, after=after, limit=PIECE)
            named = _named(tx, run, piece)
            now_ms = tx.now_ms
        if not piece:
            break
        after = piece[-1].place
        for row in piece:
            try:
                leaf = _leaf(parts, run, account, row, named, now_ms)
            except JobError as error:
                told = ", ".join(f"{one.field} {one.value} {one.reason}" for one in error.problems)
                problems.append(f"line {row.line}: {told}")
            else:
                yield row, leaf
        progress("hashed", after, run.rows)
    if problems or not after:
        raise RowsError(problems or ["the run has no rows"])


def _named(tx: Tx, run: Run, rows: Sequence[RunRow]) -> dict[str, Payment]:
    """Payments that rows name by key: collections that are refunded, failures that are corrected."""
    keys = {key for row in rows for key in (row.collection, row.replaces) if key}
    return intake.by_key(tx, run.account, sorted(keys)) if keys else {}


def _leaf(parts: Parts, run: Run, account: Account, row: RunRow, named: dict[str, Payment], now_ms: int) -> Leaf:
    job = check_job(job_of(run, row), Terms(account.market.currency, account.market.region))
    refunded, replaced = (named.get(key) if key else None for key in (job.refund_of, job.replaces))
    if (job.refund_of and refunded is None) or (job.replaces and replaced is None):
        missing = job.refund_of if refunded is None and job.refund_of else job.replaces
        raise JobError([_unknown(missing or "")])
    payment = new_payment(parts, job, account, Origin("", run.id, now_ms), refunded=refunded, replaced=replaced)
    reference = refunded.reference_id if refunded else None
    request = parts.render(payment, account=account, refund_reference=reference)
    return leaf_of(payment, request, place=row.place, name=row.name, replaces=row.replaces)


def _unknown(key: str) -> Problem:
    return Problem("collection or replaces", key, "is no payment of this account", "correct the row and import again")
