"""A list of payers is taken whole or not at all: ids are the business's own, and what is wrong is told at once with line and column."""

import csv
import io
import unicodedata
import uuid

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency
from momo_worker.runs.columns import Column, plain
from momo_worker.schedules.payer_file import KEY_ID_MAX, PAYER_HEADERS, PayerFile, PayerList, read_payers
from momo_worker.schedules.refusals import NotChangedError

SPACE = uuid.UUID("6f2c8a54-3b7e-4d0d-9a51-0d1e5a3c7b11")
UGANDA = Terms(Currency("UGX", 0), "UG")
HEAD = ("student no", "name", "parent phone", "fees", "time zone")


def a_file(*rows: tuple[str, ...], head: tuple[str, ...] = HEAD) -> PayerFile:
    out = io.StringIO()
    csv.writer(out).writerows([head, *rows])
    return PayerFile("pupils.csv", out.getvalue().encode())


def read(file: PayerFile, fixed: int | None = None) -> PayerList:
    return read_payers(file, UGANDA, SPACE, fixed)


def refused(file: PayerFile, fixed: int | None = None) -> list[str]:
    with pytest.raises(NotChangedError) as caught:
        read(file, fixed)
    assert caught.value.problems
    assert all(one.reason and one.advice for one in caught.value.problems)
    return [str(one) for one in caught.value.problems]


def test_two_children_on_one_phone_are_two_payers() -> None:
    found = read(
        a_file(("S2", "Bob", "0772123456", "120,000", "Africa/Kigali"), ("S1", "Amina", "+256772123456", "150000", ""))
    )
    told = [(one.payer_id, one.key_id, one.name, one.msisdn, one.amount_minor, one.zone) for one in found.payers]
    assert told == [
        ("S1", "S1", "Amina", "256772123456", 150_000, None),
        ("S2", "S2", "Bob", "256772123456", 120_000, "Africa/Kigali"),
    ]
    assert dict(found.read_from)["id"] == "student no"


def test_a_workbook_is_read_like_a_csv_file() -> None:
    book, out = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (("Matricule", "Nom", "Téléphone", "Loyer"), ("L1", "Zoé", "0772123456", 90000)):
        book.active.append(row)
    book.save(out)
    (one,) = read(PayerFile("locataires.xlsx", out.getvalue())).payers
    assert (one.payer_id, one.name, one.amount_minor) == ("L1", "Zoé", 90_000)


def test_a_list_without_ids_is_taken_where_no_number_comes_twice_and_a_raised_fee_keeps_its_payer() -> None:
    head = ("name", "phone", "amount")
    (one,) = read(a_file(("Amina", "0772123456", "5000"), head=head)).payers
    (again,) = read(a_file(("A. N.", "256772123456", "6000"), head=head)).payers
    assert one.payer_id == one.key_id == again.payer_id
    assert one.payer_id.startswith("h-")
    assert "772123456" not in one.payer_id


def test_a_list_without_ids_is_refused_where_a_number_comes_twice() -> None:
    head = ("name", "phone", "amount")
    rows = (("Amina", "0772123456", "5000"), ("Cleo", "0772123458", "5000"), ("Bob", "+256772123456", "5000"))
    (told,) = refused(a_file(*rows, head=head))
    assert "stands in lines 2, 4" in told
    assert "no column of ids" in told


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refused(
        a_file(
            ("S1", "A", "0772123456", "5000", "Kampala"),
            ("", "B", "0772123457", "5000", ""),
            ("S3", "C", "12", "-5", ""),
            ("S1", "D", "0772123459", "5000", ""),
            ("S5", "E", "0772123450", "5000", ""),
            ("S5", "F", "0772123451", "5000", ""),
        )
    )
    assert len(told) == 6, told
    assert told[0].startswith("pupils.csv line 2, time zone: 'Kampala' there is no time zone")
    assert told[1].startswith("pupils.csv line 3, student no: is missing")
    assert {line.partition(":")[0] for line in told[2:4]} == {
        "pupils.csv line 4, parent phone",
        "pupils.csv line 4, fees",
    }
    # Also where something else is wrong with one of its lines.
    assert told[4].startswith("pupils.csv line 5, student no: 'S1' stands in lines 2, 5")
    assert told[5].startswith("pupils.csv line 7, student no: 'S5' stands in lines 6, 7")


def test_one_amount_for_everybody_needs_no_column_and_stands_beside_none() -> None:
    (one,) = read(a_file(("S1", "0772123456"), head=("student no", "phone")), fixed=7_000).payers
    assert one.amount_minor == 7_000
    (told,) = refused(a_file(("S1", "A", "0772123456", "5000", "")), fixed=7_000)
    assert "the schedule has one amount for everybody" in told
    (told,) = refused(a_file(("S1", "0772123456"), head=("student no", "phone")))
    assert "no column for amount" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"student no,phone,amount\n", "no payers"),
        (b"%PDF-1.4", "is a PDF"),
        (b"student no,phone,amount (KES)\nS1,0772123456,5\n", "is in KES"),
    ],
)
def test_what_is_no_list_is_refused_whole(content: bytes, words: str) -> None:
    assert words in refused(PayerFile("pupils.csv", content))[0]


def test_every_word_for_a_column_is_plain_and_means_one_thing() -> None:
    words = [word for known in PAYER_HEADERS.values() for word in known]
    assert [word for word in words if plain(word) != word] == []
    assert sorted(set(words)) == sorted(words)


def test_a_column_can_be_named() -> None:
    file = a_file(("S1", "0772123456", "5"), head=("Kennung", "phone", "amount"))
    named = PayerFile(file.name, file.content, columns={Column.ID: "Kennung"})
    assert read(named).payers[0].payer_id == "S1"


IDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40).filter(
    lambda text: not text.startswith(("=", "'"))
)


@given(ids=st.lists(IDS, min_size=1, max_size=8, unique_by=lambda text: unicodedata.normalize("NFC", text)))
def test_ids_that_differ_have_keys_that_differ_whatever_their_order(ids: list[str]) -> None:
    rows = [(payer_id, "A", f"07721234{place:02d}", "5000", "") for place, payer_id in enumerate(ids)]
    found = read(a_file(*rows)).payers
    assert found == read(a_file(*reversed(rows))).payers
    assert {one.payer_id for one in found} == {unicodedata.normalize("NFC", payer_id) for payer_id in ids}
    keys = [one.key_id for one in found]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= KEY_ID_MAX and "/" not in key and key.isascii() for key in keys)


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_a_file_holds_there_are_payers_or_reasons(content: bytes) -> None:
    try:
        found = read(PayerFile("any.csv", content))
    except NotChangedError as error:
        assert error.problems  # noqa: PT017 - either of the two is right
    else:
        assert found.payers
