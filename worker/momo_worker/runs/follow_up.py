"""Rows of a run that can be corrected: outcomes come in, lines of a file that imports as it is go out. Pays nobody.

A failed payment is corrected under its own key, named in `replaces`, which intake takes only with the proof that it failed, and once (M8).
A row that was refused never was a payment, so it corrects none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from momo_worker.ledger import run_outcomes
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.runs import Run
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Operation
from momo_worker.payment.transitions import State
from momo_worker.runs.columns import Column
from momo_worker.runs.export import plain_cell, writable
from momo_worker.runs.outcomes import Beyond, Outcome

#: For whoever corrects the file; no column that the import reads.
WHY, WHAT_TO_DO = "what happened", "what to do"
_PEOPLE = (Column.ID, Column.NAME, Column.NUMBER, Column.AMOUNT, Column.CURRENCY, Column.NOTE, Column.REPLACES)
_REFUNDS = (Column.ID, Column.NAME, Column.COLLECTION, Column.AMOUNT, Column.CURRENCY, Column.NOTE, Column.REPLACES)


@dataclass(slots=True)
class Left:
    """What a follow-up holds, and what of the run it leaves out and why."""

    failed: int = 0
    rejected: int = 0
    #: Corrected by another payment already.
    corrected: int = 0
    #: MTN said something against its failure: who knows whether it was paid.
    contradicted: int = 0
    #: On their way or on a person's desk: they may still be paid.
    open: int = 0
    #: Cancelled, or never handed over: nothing failed.
    never_sent: int = 0
    minor: int = field(default=0)

    @property
    def rows(self) -> int:
        """How many rows are in the file."""
        return self.failed + self.rejected


def header(run: Run) -> list[str]:
    """The titles of the file."""
    columns = _REFUNDS if run.operation == Operation.REFUND else _PEOPLE
    return [*(column.value for column in columns), WHY, WHAT_TO_DO]


def lines(ledger: Ledger, run: Run, piece: Sequence[Outcome], left: Left) -> list[list[str]]:
    """The lines of a piece of outcomes, which are counted."""
    failed = [one.payment.id for one in piece if one.payment is not None and one.state == State.FAILED.value]
    with ledger.read() as tx:
        replaced = run_outcomes.replaced_among(tx, failed)
        contradicted = run_outcomes.contradicted_among(tx, failed)
    found = []
    for one in piece:
        name = one.payment.id if one.payment is not None else ""
        if one.state == Beyond.REJECTED.value:
            left.rejected += 1
        elif one.state in (State.CANCELLED.value, Beyond.NEVER.value):
            left.never_sent += 1
            continue
        elif one.state == State.SUCCESSFUL.value:
            continue
        elif one.state != State.FAILED.value:
            left.open += 1
            continue
        elif name in replaced:
            left.corrected += 1
            continue
        elif name in contradicted:
            left.contradicted += 1
            continue
        else:
            left.failed += 1
        left.minor += one.row.amount_minor
        found.append(_line(one, run))
    return found


def _line(one: Outcome, run: Run) -> list[str]:
    row = one.row
    replaces = row.key if one.state == State.FAILED.value else ""
    amount = format_amount(row.amount_minor, run.exponent)
    whom = (row.collection or "") if run.operation == Operation.REFUND else spaced(row.msisdn or "")
    note = row.note or run.note or ""
    told = (row.row_id or "", row.name or "", whom, amount, run.currency, note, replaces, one.reason, one.advice)
    return [plain_cell(writable(text)) for text in told]


def spaced(msisdn: str) -> str:
    """`+256 772 123 456`: a spreadsheet takes it for text, and for digits alone it would keep the first few."""
    if not msisdn:
        return ""
    parts = [msisdn[at : at + 3] for at in range(0, len(msisdn), 3)]
    return "+" + " ".join(parts)
