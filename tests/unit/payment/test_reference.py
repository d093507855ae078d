"""Names are derived and never drawn (M2): equal facts give equal names, other facts other names, whatever process asks."""

import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.reference import (
    body_digest,
    derive,
    final_event_id,
    passing_event_id,
    payment_id,
    reference_id,
    rejection_event_id,
)

NAMESPACE = uuid.UUID("6f9d3c1e-8a52-4b7e-9c04-2d1f5e6a7b80")
OTHER = uuid.UUID("6f9d3c1e-8a52-4b7e-9c04-2d1f5e6a7b81")
PARTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=6)
KEYS = st.from_regex(r"[A-Za-z0-9._:/@+=-]{1,128}", fullmatch=True)


@given(PARTS, PARTS)
def test_two_lists_of_parts_share_a_name_only_if_they_are_equal(ours: list[str], theirs: list[str]) -> None:
    assert (derive("rule", *ours) == derive("rule", *theirs)) == (ours == theirs)


def test_where_one_part_ends_and_the_next_begins_counts() -> None:
    assert derive("r", "a", "bc") != derive("r", "ab", "c")
    assert derive("r", "abc") != derive("r", "abc", "")
    assert derive("r", "", "abc") != derive("r", "abc", "")
    assert derive("ra", "b") != derive("r", "ab")


@given(KEYS, st.integers(1, 5))
def test_a_reference_has_the_bits_of_a_version_4_uuid(key: str, attempt: int) -> None:
    text = reference_id(NAMESPACE, "default", "collect", key, attempt)
    assert str(uuid.UUID(text)) == text
    assert uuid.UUID(text).version == 4
    assert uuid.UUID(text).variant == uuid.RFC_4122


@given(KEYS)
def test_every_fact_is_part_of_a_reference(key: str) -> None:
    same = {
        reference_id(NAMESPACE, "default", "collect", key, 1),
        reference_id(OTHER, "default", "collect", key, 1),
        reference_id(NAMESPACE, "other", "collect", key, 1),
        reference_id(NAMESPACE, "default", "disburse", key, 1),
        reference_id(NAMESPACE, "default", "collect", key + "x", 1),
        reference_id(NAMESPACE, "default", "collect", key, 2),
    }
    assert len(same) == 6


def test_a_payment_is_named_by_its_key_whatever_its_operation() -> None:
    # One key, one payment, across operations and doors (6.1); the operation is part of the reference only.
    assert payment_id(NAMESPACE, "default", "order-7") == "4cb557e8-2ad6-4336-b996-6d35e4acee96"
    assert payment_id(NAMESPACE, "default", "order-7") != payment_id(NAMESPACE, "other", "order-7")


def test_event_ids_are_stable() -> None:
    payment = payment_id(NAMESPACE, "default", "order-7")
    assert final_event_id(NAMESPACE, payment, 1, "momo.payment.successful") == "cbb557e3-3488-4afb-969e-42f4aa4107d9"
    assert passing_event_id(NAMESPACE, payment, 1, 2) == "79a89bea-67f0-4e4e-bc87-c2dbe8d09fa4"
    assert rejection_event_id(NAMESPACE, "stream:1-0") == "4aca01f2-c488-46c2-be29-459cacba6a8d"


def test_no_two_events_of_a_payment_share_an_id() -> None:
    kinds = [f"momo.payment.{kind}" for kind in ("successful", "failed", "cancelled")]
    final = [final_event_id(NAMESPACE, "p", attempt, kind) for attempt in range(1, 6) for kind in kinds]
    passing = [passing_event_id(NAMESPACE, "p", epoch, sequence) for epoch in range(1, 13) for sequence in range(1, 13)]
    rejected = [rejection_event_id(NAMESPACE, "p")]
    assert len({*final, *passing, *rejected}) == len(final) + len(passing) + 1


def test_another_process_derives_the_same() -> None:
    code = (
        "import uuid; from momo_worker.payment.reference import reference_id as r, payment_id as p; "
        f"n = uuid.UUID('{NAMESPACE}'); print(r(n, 'default', 'collect', 'k', 1), p(n, 'default', 'k'))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30).stdout
    assert told.split() == [
        reference_id(NAMESPACE, "default", "collect", "k", 1),
        payment_id(NAMESPACE, "default", "k"),
    ]


def test_a_body_is_told_by_a_digest_that_others_cannot_compute() -> None:
    ours = body_digest(NAMESPACE, '["collect"]')
    assert ours == body_digest(NAMESPACE, '["collect"]')
    assert ours != body_digest(OTHER, '["collect"]')
    assert ours != body_digest(NAMESPACE, '["deposit"]')


def test_half_a_character_is_no_name() -> None:
    with pytest.raises(UnicodeEncodeError):
        derive("rule", "\ud800")
