"""Who owes what: a schedule and, where wanted, a period or a payer come in; what was due, collected, settled and is outstanding goes out. Reads only.

Partial payments count; what a payer owes is the period's snapshot and never today's list.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOBase

from momo_worker.ledger import schedule_dues
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.schedule_dues import Due
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.events import rfc3339
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.runs.export import csv_cell

COLUMNS = (
    "period",
    "payer_id",
    "name",
    "number",
    "due",
    "collected",
    "settled",
    "outstanding",
    "currency",
    "state",
    "why",
    "asked",
    "again_at",
)


@dataclass(slots=True)
class Sum:
    """Payers and money of a period, or of all. In minor units."""

    payers: int = 0
    owing: int = 0
    due_minor: int = 0
    collected_minor: int = 0
    settled_minor: int = 0
    outstanding_minor: int = 0
    overpaid_minor: int = 0

    def count(self, due: Due) -> None:
        """Count one more."""
        self.payers += 1
        self.owing += 1 if due.outstanding_minor else 0
        self.due_minor += due.amount_minor
        self.collected_minor += due.collected_minor
        self.settled_minor += due.settled_minor
        self.outstanding_minor += due.outstanding_minor
        self.overpaid_minor += due.overpaid_minor


def arrears(
    ledger: Ledger, schedule: Schedule, *, period: str | None = None, payer_id: str | None = None
) -> Iterator[Due]:
    """Everybody who was to pay, by period and payer, those who have paid among them."""
    after = ("", "")
    while True:
        with ledger.read() as tx:
            piece = schedule_dues.dues_of(tx, schedule.id, period, after=after, limit=PIECE)
        yield from (due for due in piece if payer_id in (None, due.payer_id))
        if len(piece) < PIECE:
            return
        after = (piece[-1].period, piece[-1].payer_id)


def facts(due: Due, schedule: Schedule, *, full: bool) -> dict[str, object]:
    """One line of arrears, named as the CSV's columns."""
    amounts = (due.amount_minor, due.collected_minor, due.settled_minor, due.outstanding_minor)
    told = [format_amount(minor, schedule.exponent) for minor in amounts]
    again = None if due.again_at_ms is None else rfc3339(due.again_at_ms)
    number = due.msisdn if full else masked(due.msisdn)
    values = (due.period, due.payer_id, due.name, number, *told, schedule.currency, due.state, due.why, due.ask, again)
    return dict(zip(COLUMNS, values, strict=True))


def write_csv(out: TextIOBase, dues: Iterator[Due], schedule: Schedule, *, full: bool, all_of_them: bool) -> Sum:
    """Lines that no spreadsheet runs; those who owe nothing are left out unless all are wanted. Returns what they sum up to."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    total = Sum()
    for due in dues:
        total.count(due)
        if all_of_them or due.outstanding_minor:
            cells = facts(due, schedule, full=full).values()
            writer.writerow([csv_cell("" if cell is None else str(cell)) for cell in cells])
    return total
