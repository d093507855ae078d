"""Result events (6.2): whole, always writable, named the same in any release, and money as text."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.factories import NOW, PAYMENT_ID, a_payment

from momo_worker.payment.events import PARTITIONS, partition_of, payment_event, rejection_event, rfc3339
from momo_worker.payment.job import FIELDS, Terms, check_job, parse_fields
from momo_worker.payment.money import Currency
from momo_worker.payment.transitions import FINAL_EVENTS, EventType, State

NAMESPACE = uuid.UUID("6f9d3c1e-8a52-4b7e-9c04-2d1f5e6a7b80")

#: design.md 6.2, in its order.
DATA = [
    "payment_id",
    "idempotency_key",
    "operation",
    "account",
    "environment",
    "amount",
    "currency",
    "msisdn",
    "external_id",
    "reference_id",
    "attempt",
    "epoch",
    "sequence",
    "state",
    "reason",
    "financial_transaction_id",
    "metadata",
    "at",
]


def body_of(state: State, kind: EventType, epoch: int = 1, **changes: Any) -> dict[str, Any]:
    event = payment_event(NAMESPACE, epoch, a_payment(state, **changes), kind, NOW, None)
    body: dict[str, Any] = json.loads(event.body)
    assert body["id"] == event.event_id
    return body


def test_an_event_has_the_fields_of_cloudevents_and_of_the_contract() -> None:
    body = body_of(State.SUCCESSFUL, EventType.SUCCESSFUL, sequence=3)
    assert (body["specversion"], body["type"], body["subject"]) == ("1.0", "momo.payment.successful", PAYMENT_ID)
    assert body["time"] == body["data"]["at"] == "2026-12-01T06:00:00.000Z"
    assert set(body["data"]) == set(DATA)
    assert body["data"]["amount"] == "150000"
    assert body["data"]["metadata"] == {"employee": "0042"}
    assert (body["data"]["epoch"], body["data"]["sequence"]) == (1, 3)


def test_a_failed_payment_says_what_follows() -> None:
    assert body_of(State.FAILED, EventType.FAILED)["data"]["next"] == "none"
    assert "next" not in body_of(State.SUCCESSFUL, EventType.SUCCESSFUL)["data"]


@pytest.mark.parametrize("kind", sorted(FINAL_EVENTS))
def test_a_final_event_has_one_id_an_attempt_also_after_a_restore(kind: EventType) -> None:
    first = body_of(State.FAILED, kind, epoch=1, sequence=4)["id"]
    assert body_of(State.FAILED, kind, epoch=2, sequence=9)["id"] == first
    assert body_of(State.FAILED, kind, epoch=1, sequence=4, attempt=2)["id"] != first


def test_any_other_event_is_named_by_epoch_and_sequence() -> None:
    ids = {
        body_of(State.PENDING, EventType.PENDING, epoch, sequence=sequence)["id"]
        for epoch in (1, 2)
        for sequence in (1, 2, 12)
    }
    assert len(ids) == 6


def test_a_rejection_is_about_its_entry_and_is_one_however_often_it_is_made() -> None:
    errors = [{"field": "amount", "value": "-5", "reason": "r", "advice": "a"}]
    first = rejection_event(NAMESPACE, "stream:1-0", errors, {"code": "key_reused"}, NOW)
    again = rejection_event(NAMESPACE, "stream:1-0", errors, {}, NOW + 1)
    body = json.loads(first.body)
    assert first.event_id == again.event_id
    assert first.payment_id is None
    assert (body["type"], body["subject"]) == ("momo.job.rejected", "stream:1-0")
    assert body["data"]["errors"] == errors
    assert body["data"]["code"] == "key_reused"


@given(st.text(max_size=40))
def test_a_subject_stays_in_its_partition(subject: str) -> None:
    assert partition_of(subject) == partition_of(subject)
    assert 0 <= partition_of(subject) < PARTITIONS


def test_partitions_never_change() -> None:
    # A payment whose events moved to another partition in a rolling deploy would be told out of order.
    assert [partition_of(subject) for subject in ("a", "b", PAYMENT_ID)] == [3, 1, 1]


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_is_told_to_the_millisecond(at_ms: int) -> None:
    text = rfc3339(at_ms)
    job = {"operation": "refund", "idempotency_key": "k", "amount": "1", "currency": "UGX", "refund_of": "c"}
    assert check_job(job | {"not_before": text}, Terms(Currency("UGX", 0), "UG")).not_before_ms == at_ms


METADATA = [
    b'{"rate":0.10}',
    b'{"huge":1e400}',
    b'{"long":12345678901234567890.123456789012345678}',
    b'{"big":' + b"9" * 4_000 + b"}",
    b'{"half":"\\ud800"}',
    b'{"nul":"\\u0000","\\ud83d\\ude00":"\\u202e"}',
    b'{"nested":[[[{"a":[]}]]]}',
    b"{}",
]


@pytest.mark.parametrize("metadata", METADATA, ids=lambda text: text.decode()[:30])
def test_metadata_comes_back_as_it_was_sent(metadata: bytes) -> None:
    fields = parse_fields(b'{"metadata":' + metadata + b"}")
    job = {"operation": "refund", "idempotency_key": "k", "amount": "1", "currency": "UGX", "refund_of": "c"}
    kept = check_job(job | fields, Terms(Currency("UGX", 0), "UG")).metadata
    event = payment_event(NAMESPACE, 1, a_payment(metadata=kept), EventType.ACCEPTED, NOW, None)
    event.body.encode("utf-8")
    told = json.loads(event.body, parse_float=str, parse_int=str, parse_constant=_no_constant)
    assert told["data"]["metadata"] == json.loads(metadata, parse_float=str, parse_int=str)
    assert told["data"]["payment_id"] == PAYMENT_ID


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_without_metadata_there_is_none() -> None:
    assert body_of(State.PENDING, EventType.PENDING, metadata=None)["data"]["metadata"] is None


def test_no_field_of_a_job_is_called_like_one_that_only_we_write() -> None:
    assert {"payment_id", "reference_id", "state", "sequence", "epoch"}.isdisjoint(FIELDS)
