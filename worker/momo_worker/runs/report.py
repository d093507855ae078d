"""A run's report: outcomes come in by pieces, facts and rows as every form of a report shows them go out. Writes nothing.

Forms (CSV, XLSX, HTML) differ in how they write and not in what: the columns and the words stand here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from momo_worker.ledger.run_checks import RowCheck
from momo_worker.ledger.runs import Run
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.payment.transitions import State
from momo_worker.runs.judging import WORDS as CHECK_WORDS
from momo_worker.runs.outcomes import Beyond, Outcome, Totals

COLUMNS = (
    "place", "line", "id", "name", "number", "amount", "currency", "state", "reason", "advice", "reason code", "attempts", "reference id",
    "MTN transaction id", "accepted at", "sent at", "ended at", "note", "key", "check", "overridden by", "overridden at", "override reason",
)  # fmt: skip
#: The same of rows that somebody answers for, as they are listed above all rows.
OVERRIDES = ("place", "id", "name", "number", "amount", "state", "check", "overridden by", "overridden at", "override reason")  # fmt: skip
AMOUNT = COLUMNS.index("amount")
#: Columns that hold whole numbers.
COUNTS = frozenset({COLUMNS.index("place"), COLUMNS.index("line"), COLUMNS.index("attempts")})
WORDS: dict[str, str] = {
    State.SUCCESSFUL.value: "paid",
    State.FAILED.value: "failed",
    State.CANCELLED.value: "cancelled",
    State.HELD.value: "held for a person",
    State.UNKNOWN.value: "unknown yet",
    State.PENDING.value: "pending at MTN",
    State.SENDING.value: "being sent",
    State.ACCEPTED.value: "accepted, not sent",
    Beyond.REJECTED.value: "rejected at intake",
    Beyond.NEVER.value: "cancelled with the run",
    Beyond.AT_DOOR.value: "at intake",
    Beyond.WAITING.value: "not handed over yet",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about, and how it shows it."""

    run: Run
    #: Runs whose rows this one corrects, in words; '' for none.
    follows_up: str
    signed_by: tuple[str, ...]
    at_ms: int
    full: bool

    def money(self, minor: int) -> str:
        """Minor units as the account's money."""
        return format_amount(minor, self.run.exponent)

    def facts(self) -> list[tuple[str, str]]:
        """What stands above every report."""
        run = self.run
        told = [
            ("run", run.name),
            ("state", run.state),
            ("operation", f"{run.operation} from account {run.account}"),
            ("rows", f"{run.rows:,}"),
            ("total", f"{self.money(run.total_minor)} {run.currency}"),
            ("made by", f"{run.maker} of {run.file_name}, {when(run.imported_at_ms)}"),
            ("signed by", ", ".join(self.signed_by) or "nobody"),
            ("note", run.note or ""),
            ("pay date", run.pay_date or ""),
            ("follows up", self.follows_up),
            ("digest of the file", run.digest),
            ("as of", when(self.at_ms)),
        ]
        return [(word, value) for word, value in told if value]


class Writer(Protocol):
    """One form of a report, on its way into a file."""

    def rows(self, piece: Sequence[Outcome]) -> None:
        """Write a piece of the rows."""

    def finish(self, totals: Totals) -> None:
        """Write what is only known at the end."""

    def close(self) -> None:
        """Let go of what is open, finished or not."""


def when(at_ms: int | None) -> str:
    """A moment as people read it: 2026-12-28 06:00:03 UTC; '' for none."""
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def cells(one: Outcome, subject: Subject) -> list[str]:
    """A row as text, one cell for each of `COLUMNS`."""
    row, payment = one.row, one.payment
    # A refund has no number of its own: it goes back to who paid, and is named by what was paid.
    msisdn = row.msisdn or (payment.msisdn if payment is not None else None)
    number = (msisdn or "") if subject.full else (masked(msisdn) if msisdn else "")
    return [
        str(row.place),
        str(row.line),
        row.row_id or row.collection or "",
        row.name or "",
        number,
        subject.money(row.amount_minor),
        subject.run.currency,
        WORDS[one.state],
        one.reason,
        one.advice,
        one.code,
        str(payment.attempt) if payment is not None else "0",
        payment.reference_id if payment is not None else "",
        (payment.financial_transaction_id or "") if payment is not None else "",
        when(payment.accepted_at_ms) if payment is not None else "",
        when(one.sent_at_ms),
        when(one.ended_at_ms),
        row.note or "",
        row.key,
        *_override(one.override),
    ]


def override_cells(one: Outcome, subject: Subject) -> list[str]:
    """A row as text, one cell for each of `OVERRIDES`."""
    told = dict(zip(COLUMNS, cells(one, subject), strict=True))
    return [told[column] for column in OVERRIDES]


def _override(check: RowCheck | None) -> tuple[str, str, str, str]:
    if check is None:
        return ("", "", "", "")
    why = CHECK_WORDS.get(check.why, check.why)
    at = when(check.overridden_at_ms)
    return (f"{check.verdict.value}: {why}", check.overridden_by or "", at, check.override_reason or "")


def follows_up(corrected: dict[str, int]) -> str:
    """`12 rows of salary-2026-12`, from how many rows correct which runs' rows."""
    told = []
    for name, count in sorted(corrected.items()):
        what = "row" if count == 1 else "rows"
        told.append(f"{count:,} {what} of {name}" if name else f"{count:,} single payments")
    return ", ".join(told)
