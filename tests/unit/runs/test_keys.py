"""A row's key is made of what the row says and never of where it stands: the file sorted anew names every payment as before."""

import random
import unicodedata
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment import job
from momo_worker.runs import fields
from momo_worker.runs.fields import ID_MAX
from momo_worker.runs.keys import row_keys, run_id
from momo_worker.runs.rows import Row

SPACE = uuid.UUID("6f2c8a54-3b7e-4d0d-9a51-0d1e5a3c7b11")
RUN = "salary-2026-12"
IDS = (
    st.none()
    | st.sampled_from(["1", "EMP/1", "EMP=2F1", "h-1", "É12", "a b", "é" * ID_MAX])
    | st.text(min_size=1, max_size=ID_MAX)
)
ROWS = st.lists(
    st.builds(
        Row,
        line=st.integers(1, 9),
        row_id=IDS.filter(lambda text: text is None or not any("\ud800" <= char <= "\udfff" for char in text)),
        name=st.sampled_from([None, "A", "B"]),
        msisdn=st.sampled_from([None, "256772123456", "256772123457"]),
        amount_minor=st.sampled_from([1, 2, 10**15 - 1]),
        note=st.sampled_from([None, "bonus"]),
        collection=st.sampled_from([None, "sale-1"]),
        replaces=st.sampled_from([None, "old"]),
    ),
    max_size=25,
)


def said(row: Row) -> Row:
    return replace(row, line=0, row_id=unicodedata.normalize("NFC", row.row_id) if row.row_id is not None else None)


@given(ROWS, st.integers())
def test_shuffled_rows_keep_their_keys(rows: list[Row], seed: int) -> None:
    before = list(zip(row_keys(SPACE, RUN, rows), rows, strict=True))
    shuffled = random.Random(seed).sample(rows, len(rows))
    after = list(zip(row_keys(SPACE, RUN, shuffled), shuffled, strict=True))
    assert {key: said(row) for key, row in after} == {key: said(row) for key, row in before}


@given(ROWS, st.sampled_from([RUN, "a", "x" * 40]))
def test_keys_are_unique_and_such_as_a_job_may_have(rows: list[Row], name: str) -> None:
    keys = row_keys(SPACE, name, rows)
    assert len(set(keys)) == len(rows)
    for key in keys:
        assert job._KEY.fullmatch(key)
        assert key.startswith(f"run/{name}/")


def test_the_longest_key_of_the_largest_run_fits() -> None:
    same = [Row(place, "x" * 72, None, "256772123456", 5) for place in range(100_000)]
    assert max(map(len, row_keys(SPACE, "n" * 40, same))) <= 128


def test_rows_have_the_rule_of_a_job_for_keys() -> None:
    assert fields._KEY.pattern == job._KEY.pattern


def test_a_salary_and_a_bonus_of_one_person_are_two_payments() -> None:
    salary = Row(2, "EMP-1", "Ann", "256772123456", 500_000)
    bonus = Row(3, "EMP-1", "Ann", "256772123456", 50_000, "bonus")
    assert row_keys(SPACE, RUN, [bonus, salary]) == [f"run/{RUN}/EMP-1/2", f"run/{RUN}/EMP-1/1"]
    assert row_keys(SPACE, RUN, [salary]) == [f"run/{RUN}/EMP-1/1"]


def test_rows_without_an_id_are_named_by_number_and_amount() -> None:
    rows = [
        Row(2, None, "Ann", "256772123456", 5),
        Row(3, None, "Ben", "256772123457", 5),
        Row(4, None, "Ann", "256772123456", 6),
    ]
    keys = row_keys(SPACE, RUN, rows)
    assert len({key.split("/")[2] for key in keys}) == 3
    assert all(key.split("/")[2].startswith("h-") for key in keys)
    assert "256772123456" not in "".join(keys)
    assert keys != row_keys(uuid.UUID(int=1), RUN, rows)
    assert keys[0] == row_keys(SPACE, RUN, [replace(rows[0], line=70, name="Ann O.")])[0]


def test_ids_that_are_written_alike_are_not_taken_for_one_another() -> None:
    ids = ["EMP 1", "EMP=201", "EMP/1", "EMP=2F1", "emp 1", "h-1", "h-" + "0" * 32, "é", "e", "1", "01"]
    keys = row_keys(SPACE, RUN, [Row(2, text, None, "256772123456", 5) for text in ids])
    assert len({key.split("/")[2] for key in keys}) == len(ids)


def test_an_id_is_the_same_however_its_accents_are_saved() -> None:
    one, two = unicodedata.normalize("NFC", "Émile-7"), unicodedata.normalize("NFD", "Émile-7")
    assert one != two
    assert row_keys(SPACE, RUN, [Row(2, one, None, None, 5)]) == row_keys(SPACE, RUN, [Row(2, two, None, None, 5)])


@pytest.mark.parametrize("name", ["", "salary/12", "salary 12", "-12", "é", "x" * 41, "a\n"])
def test_a_name_that_no_key_can_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a run"):
        row_keys(SPACE, name, [])


def test_a_run_has_one_id_in_each_namespace_and_account() -> None:
    ids = {
        run_id(space, account, name)
        for space in (SPACE, uuid.UUID(int=1))
        for account in ("a", "b")
        for name in ("x", "y")
    }
    assert len(ids) == 8
    assert run_id(SPACE, "a", "x") == run_id(SPACE, "a", "x")
