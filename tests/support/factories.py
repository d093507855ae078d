"""Payments, sends and answers for tests: a state and what matters come in, whole values that could stand in a ledger go out.

    a_payment(state=State.UNKNOWN, not_found_count=2)
    a_send(ending=SendAnswer.UNKNOWN)
    a_report(payment, accepted())
    a_look(payment, successful(), began_at_ms=NOW + 5 * MINUTE)

A payment is born whole for its state: `sending` has a lease, `held` a cause, what was sent its first send, what has ended no due time.
"""

from dataclasses import replace
from typing import Any

from momo_worker.payment.after_look import LookReport
from momo_worker.payment.after_send import SendReport
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import PRODUCT_OF, Lane, Operation, Payment, Queue, Send, Work
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND, Rules
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, Facts, LookAnswer, LookVerdict, SendAnswer, SendVerdict, Status

#: Any moment will do; this one is easy to read in a failure: 2026-12-01T06:00:00Z.
NOW = 1_796_104_800_000

RULES = Rules()

PAYMENT_ID = "00000000-0000-4000-8000-000000000001"
REFERENCE_ID = "00000000-0000-4000-8000-0000000000a1"
API_USER = "00000000-0000-4000-8000-0000000000b1"
EXTERNAL_ID = "EMP-0042"

_ASKED_FOR: dict[str, Any] = {
    "id": PAYMENT_ID,
    "account": "default",
    "idempotency_key": "salary-2026-11-0042",
    "lane": Lane.INTERACTIVE,
    "amount_minor": 150_000,
    "currency": "UGX",
    "exponent": 0,
    "msisdn": "256772123456",
    "external_id": EXTERNAL_ID,
    "payer_message": "Salary November",
    "payee_note": "Salary November",
    "metadata": '{"employee":"0042"}',
    "body_digest": "0" * 64,
    "refund_of": None,
    "replaces": None,
    "environment": "mtnuganda",
    "source": "stream:1-0",
    "accepted_at_ms": NOW - MINUTE,
    "not_before_ms": None,
    "not_after_ms": NOW + 7 * DAY,
}


def _due(work: Work, queue: Queue = Queue.INTERACTIVE) -> dict[str, Any]:
    return {"work": work, "queue": queue, "due_at_ms": NOW}


def _at_home_in(state: State) -> dict[str, Any]:
    """What the ledger knows of a payment that came to this state by the shortest way."""
    sent = {"sends": 1, "first_send_at_ms": NOW - SECOND, "reference_id": REFERENCE_ID}
    match state:
        case State.ACCEPTED:
            return _due(Work.SEND)
        case State.SENDING:
            lease = {"fence": 1, "claims_since_word": 1, "lease_until_ms": NOW + RULES.lease_ms}
            return {**sent, **_due(Work.SEND), **lease, "released_until_ms": NOW + RULES.release_ms}
        case State.UNKNOWN:
            return {**sent, **_due(Work.LOOK, Queue.RESCUE), "fence": 1, "could_have_left_at_ms": NOW}
        case State.PENDING:
            return {**sent, **_due(Work.LOOK), "fence": 1, "acknowledged_at_ms": NOW}
        case State.HELD:
            at_desk = {"held_cause": HeldCause.TOO_OLD, "fence": 1, "could_have_left_at_ms": NOW - 6 * HOUR}
            return {**sent, **_due(Work.LOOK, Queue.LATE), **at_desk}
        case State.SUCCESSFUL:
            return {**sent, "fence": 1, "acknowledged_at_ms": NOW, "financial_transaction_id": "363440463"}
        case State.FAILED:
            return {**sent, "fence": 1, "acknowledged_at_ms": NOW, "reason_code": "NOT_ENOUGH_FUNDS"}
        case State.CANCELLED:
            return {}


def a_payment(state: State = State.ACCEPTED, **changes: Any) -> Payment:
    """A payment of 150,000 UGX (a disbursement unless `operation` says otherwise) that stands in `state` since NOW."""
    operation = Operation(changes.pop("operation", Operation.DISBURSE))
    home = Payment(
        **_ASKED_FOR,
        operation=operation,
        product=PRODUCT_OF[operation],
        state=state,
        state_since_ms=NOW,
        **_at_home_in(state),
    )
    return replace(home, **changes)


def under_lease(payment: Payment, *, until_ms: int | None = None) -> Payment:
    """The same payment claimed once more, as a worker that is about to look holds it."""
    return replace(
        payment,
        fence=payment.fence + 1,
        lease_until_ms=until_ms if until_ms is not None else NOW + 365 * DAY,
        released_until_ms=NOW + RULES.release_ms,
        claims_since_word=payment.claims_since_word + 1,
    )


def a_send(number: int = 1, ending: SendAnswer | None = None, **changes: Any) -> Send:
    """The send row with this number; without an ending nobody knows what became of it."""
    send = Send(PAYMENT_ID, 1, number, fence=1, began_at_ms=NOW - SECOND, ending=ending)
    if ending is not None:
        send = replace(send, ended_at_ms=NOW)
    return replace(send, **changes)


def a_report(payment: Payment, verdict: SendVerdict, **changes: Any) -> SendReport:
    """A POST that came back to the worker that holds this payment."""
    report = SendReport(
        payment.id, payment.attempt, number=max(1, payment.sends), fence=payment.fence, began_at_ms=0, verdict=verdict
    )
    return replace(report, **changes)


def a_look(payment: Payment, verdict: LookVerdict, **changes: Any) -> LookReport:
    """A status read that came back to the worker that holds this payment; it began at NOW."""
    return replace(LookReport(payment.id, payment.attempt, payment.fence, began_at_ms=NOW, verdict=verdict), **changes)


# --- What a POST was answered (M4) ---


def accepted() -> SendVerdict:
    """202."""
    return SendVerdict(SendAnswer.ACCEPTED, http_status=202)


def conflict() -> SendVerdict:
    """409: the reference is used, not said by whom (M6)."""
    return SendVerdict(SendAnswer.ACCEPTED, code="RESOURCE_ALREADY_EXIST", http_status=409)


def never_sent() -> SendVerdict:
    """Our own flag says that no byte left."""
    return SendVerdict(SendAnswer.NOT_NOW, Cause.NEVER_SENT)


def throttled(retry_after_seconds: float | None = None) -> SendVerdict:
    """429."""
    return SendVerdict(SendAnswer.NOT_NOW, Cause.THROTTLED, http_status=429, retry_after_seconds=retry_after_seconds)


def refused(code: str = "PAYEE_NOT_FOUND") -> SendVerdict:
    """A code that speaks of this payment."""
    return SendVerdict(SendAnswer.REFUSED, code=code, message="the payee does not exist", http_status=500)


def no_answer() -> SendVerdict:
    """A timeout, a reset, a 502: unknown."""
    return SendVerdict(SendAnswer.UNKNOWN, Cause.FAULT)


# --- What a status read was answered (M5, M6, M7) ---


def facts_of(payment: Payment, **changes: Any) -> Facts:
    """What MTN says of this payment when every fact is equal."""
    facts = Facts(
        amount=format_amount(payment.amount_minor, payment.exponent),
        currency=payment.currency,
        party=payment.msisdn,
        external_id=payment.external_id,
    )
    return replace(facts, **changes)


def successful(facts: Facts | None = None) -> LookVerdict:
    """200 SUCCESSFUL; without `facts` MTN names none."""
    return _found(Status.SUCCESSFUL, facts, financial_transaction_id="363440463")


def failed(code: str | None = "NOT_ENOUGH_FUNDS", facts: Facts | None = None) -> LookVerdict:
    """200 FAILED, for this reason."""
    return _found(Status.FAILED, facts, reason_code=code)


def pending(raw_status: str = "PENDING", facts: Facts | None = None) -> LookVerdict:
    """200 with a status that isn't final, such as PENDING, CREATED or one that nobody knows (M7)."""
    return replace(_found(Status.PENDING, facts), raw_status=raw_status)


def not_found() -> LookVerdict:
    """404 with RESOURCE_NOT_FOUND, the wallet platform's own word."""
    return LookVerdict(LookAnswer.NOT_FOUND, http_status=404)


def no_word(retry_after_seconds: float | None = None) -> LookVerdict:
    """401, 429, 5xx, HTML or a timeout: says nothing about the payment."""
    return LookVerdict(LookAnswer.NO_WORD, cause=Cause.FAULT, http_status=503, retry_after_seconds=retry_after_seconds)


def no_slot() -> LookVerdict:
    """We held the look back ourselves."""
    return LookVerdict(LookAnswer.NO_WORD, cause=Cause.NOT_DEPARTED)


def _found(status: Status, facts: Facts | None, **changes: Any) -> LookVerdict:
    return LookVerdict(
        LookAnswer.FOUND, status, raw_status=status.value, facts=facts or Facts(), http_status=200, **changes
    )
