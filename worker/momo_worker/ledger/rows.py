"""Rows to values and back: the one place that knows which field of a value is which column, and which are enumerations."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

from sqlalchemy import select

from momo_worker.ledger import schema
from momo_worker.payment.payment import Attempt, Lane, Operation, Payment, Product, Queue, Send, Work
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import SendAnswer

PAYMENT_FIELDS = tuple(field.name for field in fields(Payment))
SEND_FIELDS = tuple(field.name for field in fields(Send))
ATTEMPT_FIELDS = tuple(field.name for field in fields(Attempt))

#: What an UPDATE of a payment may write; what was asked for, and for which run, never changes; what was refunded is only counted (M14).
MUTABLE_FIELDS = tuple(
    name for name in PAYMENT_FIELDS[PAYMENT_FIELDS.index("state") :] if name not in ("refunded_minor", "run")
)

_PAYMENT_ENUMS: dict[str, dict[str, Enum]] = {
    name: {member.value: member for member in kind}
    for name, kind in {
        "operation": Operation,
        "product": Product,
        "lane": Lane,
        "state": State,
        "held_cause": HeldCause,
        "work": Work,
        "queue": Queue,
    }.items()
}
_SEND_ENDING = SEND_FIELDS.index("ending")
_SEND_NEVER_LEFT = SEND_FIELDS.index("never_left")
_ATTEMPT_BODY = ATTEMPT_FIELDS.index("body")
_ENDINGS = {member.value: member for member in SendAnswer}

payment_columns = tuple(schema.payment.c[name] for name in PAYMENT_FIELDS)
select_payments = select(*payment_columns)
send_columns = tuple(schema.send.c[name] for name in SEND_FIELDS)
attempt_columns = tuple(schema.attempt.c[name] for name in ATTEMPT_FIELDS)


def payment_from(row: Sequence[Any]) -> Payment:
    """A row of `payment_columns`, in their order, as a value."""
    values = dict(zip(PAYMENT_FIELDS, row, strict=True))
    for name, members in _PAYMENT_ENUMS.items():
        word = values[name]
        if word is not None:
            values[name] = members[word]
    return Payment.of(values)


def send_from(row: Sequence[Any]) -> Send:
    """A row of `send_columns`, in their order, as a value."""
    values = list(row)
    ending = values[_SEND_ENDING]
    values[_SEND_ENDING] = None if ending is None else _ENDINGS[ending]
    values[_SEND_NEVER_LEFT] = bool(values[_SEND_NEVER_LEFT])
    return Send(*values)


def attempt_from(row: Sequence[Any]) -> Attempt:
    """A row of `attempt_columns`, in their order, as a value."""
    values = list(row)
    values[_ATTEMPT_BODY] = bytes(values[_ATTEMPT_BODY])
    return Attempt(*values)


def payment_values(payment: Payment, names: Sequence[str] = PAYMENT_FIELDS) -> dict[str, Any]:
    """Column values of a payment; enumerations as their words, since drivers differ in what they make of an Enum."""
    held = vars(payment)
    values = {name: held[name] for name in names}
    for name in _PAYMENT_ENUMS:
        member = values.get(name)
        if member is not None:
            values[name] = member.value
    return values


def send_values(send: Send) -> dict[str, Any]:
    """Column values of a send."""
    return {name: _plain(getattr(send, name)) for name in SEND_FIELDS}


def attempt_values(attempt: Attempt) -> dict[str, Any]:
    """Column values of an attempt."""
    return {name: getattr(attempt, name) for name in ATTEMPT_FIELDS}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
