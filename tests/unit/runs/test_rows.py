"""Rows come out of a file with every problem and warning at once, each with its place; no row is dropped and no cell guessed."""

import io
import time
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Operation
from momo_worker.runs import rows as rows_module
from momo_worker.runs.columns import Column, HeaderError
from momo_worker.runs.rows import Row, Rows, by_line, read_rows
from momo_worker.runs.sheets import FileError, open_sheet

UGX = Terms(Currency("UGX", 0), "UG")
GHS = Terms(Currency("GHS", 2), "GH")


def read(
    content: bytes,
    operation: Operation = Operation.DISBURSE,
    terms: Terms = UGX,
    named: dict[Column, str] | None = None,
) -> Rows:
    return list(read_rows(open_sheet(content).lines, operation, terms, named))[-1]


def problems(text: str, terms: Terms = UGX, operation: Operation = Operation.DISBURSE) -> list[str]:
    found = read(text.encode(), operation, terms)
    assert all(problem.advice and problem.reason for problem in found.problems)
    return [str(problem) for problem in found.problems]


def xlsx(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_file_as_it_should_be_is_read_whole() -> None:
    found = read(
        b"Salaries,,,,\n\nStaff no,Nom,Prenoms,Telephone,Montant,Motif,Dept\n"
        b'0042,Okello,Ann,0772123456,"150,000",December,X\n43,Ba,Ben,+256782123456,UGX 5,,\n'
    )
    assert found.rows == [
        Row(4, "0042", "Ann Okello", "256772123456", 150_000, "December"),
        Row(5, "43", "Ben Ba", "256782123456", 5),
    ]
    assert (found.problems, found.warnings, found.header_line, found.header.unread) == ([], [], 3, ("Dept",))
    assert found.total_minor == 150_005


def test_every_problem_is_told_at_once_with_its_line_and_what_to_do() -> None:
    told = problems(
        "Phone,Amount,Note\n0772123456,-5,x\n,1.500,y\n2.56E+11,,z\n0772123456,7," + "n" * 200 + "\nTOTAL,8,\n"
    )
    assert [(text.split(",")[0], text.split(":")[0].rpartition(", ")[2]) for text in told] == [
        ("line 2", "Amount"), ("line 3", "Phone"), ("line 3", "Amount"), ("line 4", "Phone"), ("line 4", "Amount"),
        ("line 5", "Note"), ("line 6", "Phone"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Phone,Amount\n0772123456,150,000\n", "'000' stands under no header"),
        ("Phone,Amount,\n0772123456,150,000\n", "'000' stands under no header"),
        ("Phone,Amount,Currency\n0772123456,150,KES\n", "is not this account's"),
        ("Phone,Amount,Name\n0772123456,150,=HYPERLINK()\n", "is a formula"),
        ("Phone,Amount,Name\n0772123456,150,Ann\u202eeoJ\n", "a mark that nobody sees"),
        ('Phone,Amount,Name\n0772123456,150,"Ann\nLee"\n', "has a line break"),
        ("Phone,Amount,Staff no\n0772123456,150,E\u200b1\n", "a mark that nobody sees"),
        ("Phone,Amount,Replaces\n0772123456,150,run 1\n", "characters that no key has"),
        ("Phone,Amount,Note\n0772123456,150," + "1" * 5000 + "\n", "far too long"),
        ("Phone,Amount,\tName\n0772123456,(150),x\n", "is negative"),
        ("Phone;Amount\nTotal;1 500 000\n", "no phone number has"),
        (";Phone;Amount\n;;1 500 000\n", "as one of totals"),
    ],
)
def test_what_a_row_cannot_have_is_told(text: str, told: str) -> None:
    found = problems(text)
    assert told in found[0]
    assert len(found) == 1


def test_a_currency_is_the_accounts_by_any_of_its_names() -> None:
    assert problems("Phone,Amount,Currency\n0772123456,150,UGX\n0772123456,150,ush\n0772123456,150,\n") == []


def test_a_header_with_another_currency_is_refused() -> None:
    with pytest.raises(HeaderError, match="is in USD, and this account pays in UGX"):
        read(b"Phone,Amount (USD)\n0772123456,150\n")
    assert read(b"Phone,Amount (UGX)\n0772123456,150\n").problems == []


def test_an_amount_that_may_be_torn_is_warned_of() -> None:
    found = read(
        b"Phone,Amount,Note\n0772123456,150,000\n0772123456,UGX 1,000\n0772123456,150,2026\n0772123456,1500,000\n"
    )
    assert [warning.line for warning in found.warnings] == [2, 3]
    assert "torn" in found.warnings[0].reason


def test_rows_that_an_open_quote_has_swallowed_are_warned_of() -> None:
    found = read(b'Phone,Amount,Dept\n0772123456,150,"good\n0782123456,200,bad"\n')
    assert len(found.rows) == 1
    assert "runs on to line 3" in str(found.warnings[0])


def test_a_workbooks_damage_is_told_and_its_numbers_are_exact() -> None:
    content = xlsx(
        ["Phone", "Amount"],
        [256772123456, 12.5],
        [-256772123456, 1],
        [256772123456.5, 1.25],
        [2.56772e15, 1.005],
        ["256772123456", -3],
    )
    found = read(content, terms=Terms(Currency("GHS", 2), "UG"))
    assert [row.amount_minor for row in found.rows] == [1250]
    told = [(problem.line, problem.reason) for problem in found.problems]
    assert told[0] == (3, "is a figure with a sign or decimals")
    assert told[1] == (4, "is a figure with a sign or decimals")
    assert [line for line, _ in told] == [3, 4, 5, 5, 6]
    assert "can be read" not in str(told)


def test_a_refund_names_a_collection_and_no_number() -> None:
    found = read(b"Refund of,Amount,Phone\nsale-1,150,\n", Operation.REFUND)
    assert found.rows == [Row(2, None, None, None, 150, collection="sale-1")]
    assert "is missing" in problems("Refund of,Amount\n,150\n", operation=Operation.REFUND)[0]
    assert "no key has" in problems("Refund of,Amount\nsale 1,150\n", operation=Operation.REFUND)[0]


def test_columns_are_read_as_a_person_names_them() -> None:
    named = {Column.NUMBER: "電話", Column.AMOUNT: "金額"}
    assert read("給与,\n電話,金額\n0772123456,150\n".encode(), named=named).rows == [
        Row(3, None, None, "256772123456", 150)
    ]


@pytest.mark.parametrize("text", ["Phone,Amount\n", "Phone,Amount\n\n,\n"])
def test_a_header_without_rows_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="no rows"):
        read(text.encode())


def test_a_file_without_a_header_says_what_is_missing() -> None:
    with pytest.raises(HeaderError, match=r"no column for number.*no column for amount"):
        read(b"0772123456,150\n0782123456,150\n")


def test_more_rows_than_a_run_may_have_are_refused_and_problems_are_not_counted_for_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows_module, "ROWS_MAX", 3)
    assert len(problems("Phone,Amount\n" + "x,y\n" * 3)) == 6
    with pytest.raises(FileError, match="more than 3 rows"):
        read(b"Phone,Amount\n" + b"x,y\n" * 4)


def test_rows_are_shown_as_they_grow() -> None:
    lines = open_sheet(b"Phone,Amount\n" + b"0772123456,5\n" * 2_500).lines
    assert [len(found.rows) for found in read_rows(lines, Operation.DISBURSE, UGX)][:1] == [1_000]


CELLS = st.sampled_from(["0772123456", "5", "150,000", "x", "", "=1", "-5", "1.500", "a\nb", '"', "150 000", "UGX"])


@settings(max_examples=80)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8))
def test_every_line_is_a_row_or_has_a_problem(cells: list[tuple[str, str, str]]) -> None:
    book = xlsx(["Phone", "Amount", "Note"], *map(list, cells))
    kept = [at for at, row in enumerate(cells, start=2) if any(row)]
    try:
        found = read(book)
    except FileError:
        assert not kept
        return
    rows, refused = {row.line for row in found.rows}, set(by_line(found.problems))
    assert rows | refused == set(kept)
    assert not rows & refused


def test_a_large_file_is_read_in_a_time_that_people_wait() -> None:
    """A tenth of the largest run in a tenth of its time and more: a guard against what grows with the square of the rows."""
    content = b"Staff no,Phone,Amount\n" + b"".join(b"E%d,077%07d,%d\n" % (at, at, at + 1) for at in range(10_000))
    began = time.process_time()
    assert len(read(content).rows) == 10_000
    assert time.process_time() - began < 6
