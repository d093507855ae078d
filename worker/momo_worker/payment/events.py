"""Result events: a payment and what moved it come in, a CloudEvents 1.0 object as JSON text goes out (design.md 6.2). Pure."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zlib import crc32

from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Payment
from momo_worker.payment.reference import (
    final_event_id,
    passing_event_id,
    rejection_event_id,
    run_event_id,
    schedule_event_id,
)
from momo_worker.payment.transitions import FINAL_EVENTS, EventType, RunEventType, ScheduleEventType

#: Relays share payments by partition; a payment's events stay in one, so that they stay in order.
PARTITIONS = 8

SOURCE = "momo-worker"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (in UTC like all of the ledger's times; the zone is written as Z)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ResultEvent:
    """An event as the outbox keeps it."""

    event_id: str
    partition: int
    payment_id: str | None
    type: str
    body: str


def partition_of(subject: str) -> int:
    """The partition that carries everything about this subject."""
    return crc32(subject.encode("utf-8")) % PARTITIONS


@lru_cache(maxsize=64)
def rfc3339(at_ms: int) -> str:
    """A ledger time as events and people read it. Kept a while: the events of one transaction share their time."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds") + "Z"


def payment_event(
    namespace: uuid.UUID, epoch: int, payment: Payment, kind: EventType, at_ms: int, reason: dict[str, str] | None
) -> ResultEvent:
    """The event of one transition; `payment` is as it is after it, its sequence already counted up."""
    if kind in FINAL_EVENTS:
        event_id = final_event_id(namespace, payment.id, payment.attempt, kind.value)
    else:
        event_id = passing_event_id(namespace, payment.id, epoch, payment.sequence)
    data: dict[str, Any] = {
        "payment_id": payment.id,
        "idempotency_key": payment.idempotency_key,
        "operation": payment.operation.value,
        "account": payment.account,
        "environment": payment.environment,
        "amount": format_amount(payment.amount_minor, payment.exponent),
        "currency": payment.currency,
        "msisdn": payment.msisdn,
        "external_id": payment.external_id,
        "reference_id": payment.reference_id,
        "attempt": payment.attempt,
        "epoch": epoch,
        "sequence": payment.sequence,
        "state": payment.state.value,
        "reason": reason,
        "financial_transaction_id": payment.financial_transaction_id,
        "at": rfc3339(at_ms),
    }
    if kind is EventType.FAILED:
        data["next"] = "none"
    # Metadata is put in as the text that it is: read and written again, its numbers would become floats, and some no JSON at all.
    text = _with(_encode(data), "metadata", payment.metadata or "null")
    return ResultEvent(
        event_id,
        partition_of(payment.id),
        payment.id,
        kind.value,
        _envelope(event_id, kind.value, payment.id, at_ms, text),
    )


def with_epoch(namespace: uuid.UUID, body: str, epoch: int) -> tuple[str, str]:
    """A payment's event as it is told under a later epoch, with its id: a final event keeps the one it has."""
    envelope = json.loads(body)
    data, event_id = envelope["data"], envelope["id"]
    # In the text, as it was written: the metadata behind it must not be read and written again. What stands in a string is escaped.
    raised = body.replace(f',"epoch":{data["epoch"]},"sequence":', f',"epoch":{epoch},"sequence":', 1)
    if EventType(envelope["type"]) not in FINAL_EVENTS:
        event_id = passing_event_id(namespace, data["payment_id"], epoch, data["sequence"])
        raised = raised.replace(f'"id":"{envelope["id"]}"', f'"id":"{event_id}"', 1)
    return event_id, raised


def rejection_event(
    namespace: uuid.UUID, source: str, errors: list[dict[str, Any]], facts: dict[str, Any], at_ms: int
) -> ResultEvent:
    """A rejection is about an entry, not about a key: `subject` is the entry; a rejected job uses up no key."""
    event_id = rejection_event_id(namespace, source)
    kind = EventType.JOB_REJECTED.value
    data = {"source": source, "errors": errors, **facts, "at": rfc3339(at_ms)}
    return ResultEvent(
        event_id, partition_of(source), None, kind, _envelope(event_id, kind, source, at_ms, _encode(data))
    )


def run_event(namespace: uuid.UUID, run_id: str, kind: RunEventType, moment: str, data: str, at_ms: int) -> ResultEvent:
    """An event about a run: `data` is JSON text, `moment` tells apart what may happen to a run more than once."""
    event_id = run_event_id(namespace, run_id, kind.value, moment)
    said = _with(data, "at", _encode(rfc3339(at_ms)))
    return ResultEvent(event_id, partition_of(run_id), None, kind.value, _envelope(event_id, kind, run_id, at_ms, said))


def schedule_event(
    namespace: uuid.UUID, schedule_id: str, kind: ScheduleEventType, moment: str, data: str, at_ms: int
) -> ResultEvent:
    """An event about a schedule, one of its periods or what a payer owes: `data` is JSON text, `moment` tells apart what happens more than once."""
    event_id = schedule_event_id(namespace, schedule_id, kind.value, moment)
    said = _with(data, "at", _encode(rfc3339(at_ms)))
    body = _envelope(event_id, kind, schedule_id, at_ms, said)
    return ResultEvent(event_id, partition_of(schedule_id), None, kind.value, body)


_NOT_OF_PAYMENTS = frozenset({*RunEventType, *ScheduleEventType})


@dataclass(frozen=True, slots=True)
class Told:
    """What an event on the stream is about: a payment, a run or a schedule, by its id, or an entry that it rejects, with the first reason."""

    subject: str
    rejected: dict[str, str] | None
    is_payment: bool


_ERROR_FIELDS = ("field", "value", "reason", "advice")


def told_by(body: str) -> Told | None:
    """Read one of our own events back; None for what isn't one: anybody may write to a stream."""
    try:
        event = json.loads(body)
        kind, subject = str(event["type"]), str(event["subject"])
        if kind != EventType.JOB_REJECTED.value:
            return Told(subject, None, kind not in _NOT_OF_PAYMENTS)
        error = event["data"]["errors"][0]
        return Told(subject, {name: str(error[name]) for name in _ERROR_FIELDS}, is_payment=False)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _envelope(event_id: str, kind: str, subject: str, at_ms: int, data: str) -> str:
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": kind,
        "subject": subject,
        "time": rfc3339(at_ms),
        "datacontenttype": "application/json",
    }
    return _with(_encode(envelope), "data", data)


def _with(json_object: str, name: str, json_value: str) -> str:
    """An object's text with one more member, whose value is JSON text already."""
    return f'{json_object[:-1]},"{name}":{json_value}}}'
