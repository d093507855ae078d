"""What became of each row of a run, in plain words: the ledger's rows come in by pieces, outcomes go out in the file's order. Reads only.

A row is found by its key and not by what its payment says of its run, so that one whose mark was changed is still told of.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from momo_worker.commons.entry import run_source
from momo_worker.ledger import intake, run_checks, run_outcomes, run_release, runs, schedule_dues
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.run_checks import RowCheck
from momo_worker.ledger.run_outcomes import Refused
from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.deciding import NOT_SENT_CODE, RESOLVED_CODE
from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import FINAL_STATES, HeldCause, State

#: Words for a code of MTN's: `message` and `advice`; None for no code.
Explain = Callable[[str | None], dict[str, str] | None]
#: More different ones than these no page explains; people's own words are among them.
_REASONS_KEPT = 200
#: So many rows that somebody answers for are listed above the rows, too; all of them are counted.
OVERRIDES_KEPT = 200
#: Instead of what MTN's codes advise for a payment that nobody asks for again.
LEFT_TO_THE_SCHEDULE = "send no new job: its schedule asks again, or says in `momo schedule arrears` why it doesn't"
_NO_MORE = ("stopped", "cancelled", "settled", "completed")


class Beyond(StrEnum):
    """Where a row stands that is no payment."""

    WAITING = "waiting"  # not handed over yet
    NEVER = "cancelled_with_run"  # it never will be
    REJECTED = "rejected"  # intake refused it
    AT_DOOR = "at_intake"  # handed over, and not a payment yet


#: In the order in which people read them.
STATES: tuple[str, ...] = (
    State.SUCCESSFUL.value,
    State.FAILED.value,
    Beyond.REJECTED.value,
    State.CANCELLED.value,
    Beyond.NEVER.value,
    State.HELD.value,
    State.UNKNOWN.value,
    State.PENDING.value,
    State.SENDING.value,
    State.ACCEPTED.value,
    Beyond.AT_DOOR.value,
    Beyond.WAITING.value,
)

_HELD = {
    HeldCause.TOO_OLD: ("it was sent long ago and MTN says nothing final of it", "compare with MTN's statement"),
    HeldCause.VANISHED: ("MTN took it and doesn't know it any more", "ask MTN's support, with the reference"),
    HeldCause.CRASHES: ("it ended its worker several times", "look at the log, then release it"),
    HeldCause.RECOVERY: ("the ledger was restored, and MTN's word about it is missing", "see `momo recover`"),
    HeldCause.SUSPECT_DUPLICATE: ("it looks like another payment", "release it if both are meant"),
    HeldCause.MISMATCH: ("MTN has something else under its reference", "ask MTN's support, with the reference"),
    HeldCause.REFERENCE_USED: ("MTN had its reference before we sent it", "ask MTN's support, with the reference"),
    HeldCause.TAMPERED: ("it isn't what was approved: something of it was changed", "find out who changed it"),
}
_SAID = {
    State.SUCCESSFUL: "paid",
    State.ACCEPTED: "accepted, not sent yet",
    State.SENDING: "being sent",
    State.UNKNOWN: "sent, and its fate isn't known yet: MTN is asked",
    State.PENDING: "MTN has it and hasn't ended it",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row and what became of it."""

    row: RunRow
    #: A payment's state, or one of `Beyond`.
    state: str
    #: What reasons are counted by: MTN's code, a cause, or the field that was refused.
    code: str
    reason: str
    advice: str
    payment: Payment | None = None
    sent_at_ms: int | None = None
    ended_at_ms: int | None = None
    #: What the check before paying had against the row, and who answers for it.
    override: RowCheck | None = None


def outcomes(ledger: Ledger, run: Run, explain: Explain) -> Iterator[list[Outcome]]:
    """Every row of a run, a piece of 500 at a time, each piece at one moment."""
    after = 0
    with ledger.read() as tx:
        asked_again = schedule_dues.round_of(tx, run.id) is not None
    while True:
        with ledger.read() as tx:
            piece = _piece(tx, run, explain, after)
            if asked_again:
                piece = [_left_to_the_schedule(one) for one in piece]
        if not piece:
            return
        yield piece
        after = piece[-1].row.place


def _left_to_the_schedule(one: Outcome) -> Outcome:
    """What a schedule asked is asked again by it alone: whoever follows the advice for a single payment would collect twice."""
    failed = one.state in (State.FAILED.value, State.CANCELLED.value, Beyond.REJECTED.value, Beyond.NEVER.value)
    return replace(one, advice=LEFT_TO_THE_SCHEDULE) if failed else one


def _piece(tx: Tx, run: Run, explain: Explain, after: int) -> list[Outcome]:
    # Asked first: what was handed over by now is found by what is asked next.
    release = run_release.release_of(tx, run.id)
    rows = runs.rows_of(tx, run.id, after=after, limit=PIECE)
    payments = intake.by_key(tx, run.account, [row.key for row in rows])
    sent = run_outcomes.first_sends(tx, [payment.id for payment in payments.values()])
    others = [run_source(run.id, row.place) for row in rows if row.key not in payments]
    refused, waiting = run_outcomes.refused_among(tx, others), run_outcomes.waiting_among(tx, others)
    found = []
    for row in rows:
        payment, source = payments.get(row.key), run_source(run.id, row.place)
        if payment is not None:
            found.append(_of_payment(row, payment, sent.get(payment.id), explain))
        elif source in refused:
            found.append(_of_refusal(row, refused[source]))
        else:
            handed_over = release is not None and row.place <= release.fed_to
            found.append(_of_nothing(row, run, waiting.get(source), handed_over=handed_over))
    to = rows[-1].place if rows else after
    overrides = {one.place: one for one in run_checks.overrides(tx, run.id, after=after, to=to)}
    return [replace(one, override=overrides.get(one.row.place)) for one in found] if overrides else found


def _of_payment(row: RunRow, payment: Payment, sent_at_ms: int | None, explain: Explain) -> Outcome:
    code, reason, advice = _words(payment, explain)
    ended = payment.state_since_ms if payment.state in FINAL_STATES else None
    return Outcome(row, payment.state.value, code, reason, advice, payment, sent_at_ms, ended)


def _words(payment: Payment, explain: Explain) -> tuple[str, str, str]:
    """Code, reason and advice."""
    if payment.state is State.HELD and payment.held_cause is not None:
        return (payment.held_cause.value, *_HELD[payment.held_cause])
    code = payment.reason_code or ""
    if code == NOT_SENT_CODE:
        because = f": {payment.reason_message}" if payment.reason_message else ""
        return code, f"it wasn't sent in time{because}", "pay it in a new run if it is still wanted"
    if payment.state is State.CANCELLED or code == RESOLVED_CODE:
        return code or payment.state.value, payment.reason_message or "cancelled before it was sent", ""
    if payment.state is not State.FAILED:
        return payment.state.value, _SAID[payment.state], ""
    told = explain(code or None)
    if told is None:
        return code, payment.reason_message or "MTN gave no reason", "ask MTN's support, with the reference"
    return code, told["message"], told["advice"]


def _of_refusal(row: RunRow, refused: Refused) -> Outcome:
    errors = json.loads(refused.errors)
    told = "; ".join(f"{error.get('field', '')} {error.get('reason', '')}".strip() for error in errors)
    advice = "; ".join(dict.fromkeys(error["advice"] for error in errors if error.get("advice")))
    code = str(errors[0].get("field", "")) if errors else ""
    return Outcome(row, Beyond.REJECTED.value, code, told, advice, ended_at_ms=refused.at_ms)


def _of_nothing(row: RunRow, run: Run, waits_for: str | None, *, handed_over: bool) -> Outcome:
    if waits_for is not None:
        return Outcome(row, Beyond.AT_DOOR.value, "", f"waits before it is accepted: {waits_for}", "")
    if handed_over:
        reason, advice = (
            "was handed over, and the ledger has neither a payment nor a refusal of it",
            "look for its key in the log",
        )
        return Outcome(row, Beyond.AT_DOOR.value, "missing", reason, advice)
    if run.state in _NO_MORE:
        return Outcome(row, Beyond.NEVER.value, "", "the run was ended before this row's turn", "")
    return Outcome(row, Beyond.WAITING.value, "", "not handed over yet", "")


@dataclass(slots=True)
class Count:
    """Rows and their money."""

    rows: int = 0
    minor: int = 0

    def add(self, amount_minor: int) -> None:
        """One row more."""
        self.rows += 1
        self.minor += amount_minor


class Totals:
    """Outcomes counted by state and by reason."""

    def __init__(self) -> None:
        self.all = Count()
        self.states: dict[str, Count] = {}
        self.reasons: dict[tuple[str, str, str, str], Count] = {}
        self.overridden = Count()
        self.overrides: list[Outcome] = []

    def add(self, piece: Sequence[Outcome]) -> None:
        """Count a piece."""
        for one in piece:
            amount_minor = one.row.amount_minor
            self.all.add(amount_minor)
            self.states.setdefault(one.state, Count()).add(amount_minor)
            why = (one.state, one.code, one.reason, one.advice)
            if why not in self.reasons and len(self.reasons) >= _REASONS_KEPT:
                why = (one.state, "", "other reasons, which stand with the rows", "")
            self.reasons.setdefault(why, Count()).add(amount_minor)
            if one.override is not None:
                self.overridden.add(amount_minor)
                if len(self.overrides) < OVERRIDES_KEPT:
                    self.overrides.append(one)

    @property
    def to_correct(self) -> int:
        """Rows that failed or were refused: what a follow-up is made of."""
        return sum(
            self.states[state].rows for state in (State.FAILED.value, Beyond.REJECTED.value) if state in self.states
        )

    def by_state(self) -> list[tuple[str, Count]]:
        """In the order in which people read them."""
        return [(state, self.states[state]) for state in STATES if state in self.states]

    def why_not(self) -> list[tuple[tuple[str, str, str, str], Count]]:
        """Reasons of everything that isn't paid, by state, the most frequent first."""
        found = [item for item in self.reasons.items() if item[0][0] != State.SUCCESSFUL.value]
        return sorted(found, key=lambda item: (STATES.index(item[0][0]), -item[1].rows, item[0]))
