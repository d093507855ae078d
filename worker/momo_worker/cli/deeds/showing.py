"""Payments as people and scripts read them: values come in, lines and JSON objects go out. Numbers are masked unless somebody asks."""

from typing import Any

from rich.console import Console

from momo_worker.payment.events import rfc3339
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.payment.payment import Payment

#: An id that was cut to fit a terminal can't be copied: no row of ours is as wide.
_WIDTH_LEAST = 4_000


def wide_console() -> Console:
    """For tables: whole words, however narrow the terminal."""
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.width = max(console.width, _WIDTH_LEAST)
    return console


def moment(at_ms: int | None) -> str | None:
    """A ledger time, or nothing."""
    return None if at_ms is None else rfc3339(at_ms)


def payment_facts(payment: Payment, *, full: bool = False) -> dict[str, Any]:
    """A payment as a JSON object, named as the result events name it."""
    return {
        "payment_id": payment.id,
        "idempotency_key": payment.idempotency_key,
        "operation": payment.operation.value,
        "account": payment.account,
        "environment": payment.environment,
        "amount": format_amount(payment.amount_minor, payment.exponent),
        "currency": payment.currency,
        "msisdn": payment.msisdn if full else masked(payment.msisdn),
        "external_id": payment.external_id,
        "reference_id": payment.reference_id,
        "attempt": payment.attempt,
        "state": payment.state.value,
        "held_cause": payment.held_cause.value if payment.held_cause else None,
        "reason_code": payment.reason_code,
        "reason_message": payment.reason_message,
        "financial_transaction_id": payment.financial_transaction_id,
        "lane": payment.lane.value,
        "accepted_at": moment(payment.accepted_at_ms),
        "state_since": moment(payment.state_since_ms),
        "due_at": moment(payment.due_at_ms),
        "due_for": payment.work.value if payment.work else None,
        "not_before": moment(payment.not_before_ms),
        "not_after": moment(payment.not_after_ms),
        "source": payment.source,
    }


def payment_lines(payment: Payment, *, full: bool = False) -> list[str]:
    """The same for people: what identifies it, what was asked for, where it stands."""
    amount = f"{format_amount(payment.amount_minor, payment.exponent)} {payment.currency}"
    number = (payment.msisdn or "-") if full else masked(payment.msisdn)
    why = payment.held_cause.value if payment.held_cause else payment.reason_code
    lines = [
        f"  payment    {payment.id}",
        f"  key        {payment.idempotency_key}",
        f"  asked      {payment.operation.value} {amount}, number {number}, account {payment.account} ({payment.environment})",
        f"  state      {payment.state.value}{f' ({why})' if why else ''}, since {moment(payment.state_since_ms)}",
        f"  reference  {payment.reference_id}",
    ]
    if payment.reason_message:
        lines.append(f"  reason     {payment.reason_message}")
    if payment.financial_transaction_id:
        lines.append(f"  MTN's id   {payment.financial_transaction_id}")
    return lines
