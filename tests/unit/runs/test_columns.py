"""Columns are found by their headers, in English and French; what fits two fields or none is asked for, all at once."""

import pytest

from momo_worker.runs.columns import HEADERS, Column, HeaderError, field_of, find_columns, looks_like_header, plain

NEEDED = (Column.NUMBER, Column.AMOUNT)


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("N° de Téléphone ", Column.NUMBER),
        ("PHONE_NUMBER", Column.NUMBER),
        ("Amount", Column.AMOUNT),
        ("Amount (UGX)", Column.AMOUNT),
        ("Montant (F CFA)", Column.AMOUNT),
        ("Net pay GH₵", Column.AMOUNT),
        ("Net à payer", Column.AMOUNT),
        ("Noms et prénoms", Column.NAME),
        ("Matricule", Column.ID),
        ("Phone (next of kin)", None),
        ("Phone UGX", None),
        ("UGX", None),
        ("", None),
        ("金額", None),
    ],
)
def test_a_header_is_known_as_people_write_it(title: str, field: Column | None) -> None:
    assert field_of(title) is field


def test_every_header_that_is_known_names_one_field_only() -> None:
    headers = [header for known in HEADERS.values() for header in known]
    assert len(headers) == len(set(headers))
    assert all(plain(header) == header for header in headers)


def test_places_and_what_is_not_read_are_told() -> None:
    header = find_columns(["Dept", "Nom", "Prénom", "", "Téléphone", "Montant"], {}, NEEDED)
    assert header.places == {Column.LAST_NAME: 1, Column.FIRST_NAME: 2, Column.NUMBER: 4, Column.AMOUNT: 5}
    assert header.unread == ("Dept",)
    assert ("amount", "Montant") in header.told()


def test_nom_alone_is_the_whole_name() -> None:
    assert find_columns(["Nom", "Tel", "Montant"], {}, NEEDED).places[Column.NAME] == 0


@pytest.mark.parametrize(
    ("titles", "named", "told"),
    [
        (["Phone"], {}, ["no column for amount"]),
        (["A", "B"], {}, ["no column for number", "no column for amount"]),
        (["Phone", "Net pay", "Total"], {}, ["'Net pay' both look like amount; say which"]),
        (["Phone", "Amount", "amount "], {}, ["stands twice in the header"]),
        (["Phone", "Amount"], {Column.NOTE: "Why"}, ["is no column of the file"]),
        (["Phone", "Amount"], {Column.NOTE: "Phone", Column.NUMBER: "Phone"}, ["was named as note and as number"]),
        (["Phone", "Amount", ""], {Column.NOTE: "  "}, ["is no column of the file"]),
        (["Amount", "Amount", "Phone"], {Column.AMOUNT: "Amount"}, ["give it another header"]),
    ],
)
def test_every_problem_of_a_header_is_told_at_once(
    titles: list[str], named: dict[Column, str], told: list[str]
) -> None:
    with pytest.raises(HeaderError) as error:
        find_columns(titles, named, NEEDED)
    for text in told:
        assert text in str(error.value)
    assert all(advice for _, _, advice in error.value.problems)


def test_a_column_that_a_person_names_is_taken_before_one_that_looks_like_it() -> None:
    header = find_columns(
        ["Phone", "Net pay", "Total", "電話"], {Column.AMOUNT: "net pay", Column.NUMBER: "電話"}, NEEDED
    )
    assert header.places == {Column.NUMBER: 3, Column.AMOUNT: 1}
    assert header.unread == ("Phone", "Total")


def test_a_title_above_the_table_is_no_header() -> None:
    assert not looks_like_header(["Salaries December 2026", ""])
    assert not looks_like_header(["Total", "", "amount"])
    assert looks_like_header(["Phone", "x", "Amount"])
    assert looks_like_header(["電話", "金額"], {Column.NUMBER: "電話", Column.AMOUNT: "金額"})
    assert not looks_like_header(["Salaries", ""], {Column.NUMBER: "電話", Column.AMOUNT: "金額"})
