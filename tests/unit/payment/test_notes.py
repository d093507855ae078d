"""Notes: whatever a producer writes, MTN gets its safe set, something, and not too much."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.notes import NOTE_MAX, fold_note

SAFE = re.compile(r"[A-Za-z0-9 .,_-]{1,160}")


@given(st.text(max_size=400))
def test_any_text_becomes_a_note_that_mtn_takes(text: str) -> None:
    note = fold_note(text, "Payment")
    assert SAFE.fullmatch(note)
    assert note == note.strip()
    assert "  " not in note


@given(st.text(max_size=400))
def test_folding_twice_changes_nothing(text: str) -> None:
    note = fold_note(text, "Payment")
    assert fold_note(note, "Payment") == note


@given(
    st.from_regex(r"[A-Za-z0-9.,_-]+( [A-Za-z0-9.,_-]+)*", fullmatch=True).filter(lambda text: len(text) <= NOTE_MAX)
)
def test_a_safe_note_stays_as_it_is(text: str) -> None:
    assert fold_note(text, "Payment") == text


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("N'Guessan", "NGuessan"),
        ("N'Guessan & fils", "NGuessan fils"),
        ("Café à Bouaké", "Cafe a Bouake"),
        ("Kɔfi Ŋɛ", "Kofi Ne"),
        ("Straße", "Strasse"),
        ("Salary\tNovember\n", "Salary November"),
        ("A\x00B", "AB"),
        ("😀", "Payment"),
        ("", "Payment"),
        ("   ", "Payment"),
        ("'&/", "Payment"),
        ("مرحبا", "Payment"),
        ("\u202eabc", "abc"),
        ("\ud800", "Payment"),
        ("x" * 200, "x" * 160),
        ("x" * 159 + " y", "x" * 159),
    ],
)
def test_a_note_is_folded_and_never_empty(text: str, note: str) -> None:
    assert fold_note(text, "Payment") == note
