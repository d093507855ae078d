"""A file is read whole and as people see it, or refused with a reason: nothing in it is cut off, skipped or made up."""

import csv
import io
import os
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.formula import ArrayFormula

from momo_worker.runs.sheets import CELLS_MAX, Cell, FileError, Kind, Line, open_sheet, read_bytes

TITLES = ["Staff no", "Name", "Phone", "Amount"]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), max_size=8).filter(
    lambda t: t[:1] != "="
)


def lines_of(content: bytes, sheet: str | None = None) -> list[Line]:
    return list(open_sheet(content, sheet).lines)


def texts_of(content: bytes) -> list[list[str]]:
    return [[cell.text for cell in line.cells] for line in lines_of(content)]


def refusal(content: bytes, sheet: str | None = None) -> FileError:
    with pytest.raises(FileError) as told:
        lines_of(content, sheet)
    assert told.value.advice
    return told.value


def book_of(fill: Callable[[Any], None]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(TITLES)
    fill(book.active)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(TEXT | st.sampled_from(["a,b", "x;y", 'say "hi"', "Zoé", "50|60"]), min_size=4, max_size=4), max_size=6
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_delimiter_encoding_and_line_end_reads_back(
    rows: list[list[str]], delimiter: str, encoding: str, end: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([TITLES, *rows])
    assert texts_of(file.getvalue().encode(encoding)) == [TITLES, *rows]


def test_a_line_keeps_the_number_that_an_editor_shows() -> None:
    lines = lines_of(b'Phone,Amount,Note\n1,2,"two\nlines"\n\n3,4,x\n')
    assert [(line.number, line.height) for line in lines if not line.empty] == [(1, 1), (2, 2), (5, 1)]


def test_excels_first_line_names_the_delimiter_and_is_counted() -> None:
    for first in (b"sep=;\r\n", b"\xef\xbb\xbfSEP=;\r\n", b'"sep=;"\r\n'):
        lines = lines_of(first + b"Phone;Amount\r\n0772;1,5\r\n")
        assert [(line.number, [cell.text for cell in line.cells]) for line in lines] == [
            (2, ["Phone", "Amount"]),
            (3, ["0772", "1,5"]),
        ]


def test_a_title_with_a_comma_does_not_hide_the_delimiter() -> None:
    assert texts_of("Salaires, décembre, 2026\n\nTél;Montant\n077;150,5\n".encode())[2:] == [
        ["Tél", "Montant"],
        ["077", "150,5"],
    ]


def test_a_delimiter_within_quotes_is_none() -> None:
    assert texts_of(b'"Name, first, last";Phone;Amount\n"A, B, C";077;5\n')[1] == ["A, B, C", "077", "5"]


def test_what_isnt_utf8_is_read_as_windows_and_told() -> None:
    sheet = open_sheet("Phone,Nom,Montant\n077,Zoé,5\n".encode("cp1252"))
    assert "accents" in sheet.notes[0]
    assert list(sheet.lines)[1].cells[1].text == "Zoé"


def test_a_formula_in_a_csv_file_is_one() -> None:
    assert lines_of(b'Phone,Amount\n"=""0772""",=1+1\n')[1].cells == (
        Cell('="0772"', Kind.FORMULA),
        Cell("=1+1", Kind.FORMULA),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"%PDF-1.7\n...", "is a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "with a password"),
        (b"\xef\xbb\xbf<!DOCTYPE html>", "is a web page"),
        (b"<TABLE><tr>", "is a web page"),
        (b"<?xml version='1.0'?>", "is an XML"),
        (b"PK\x03\x04 and no more", "no whole XLSX"),
        ("Phone,Amount\n".encode("utf-16-le"), "UTF-16 without the mark"),
        (b"Phone,Amount\n07\x0072,5", "bytes that no text has"),
        (b"\xff\xfe\x00\x00P\x00\x00\x00", "bytes that no text has"),
        (b"\xff\xfePhone", "begins as utf-16"),
        (b"Phone,Nom\n077,\x81\xff", "no encoding"),
        (b'Phone,Amount\n"077,5\n078,6\n', "from line 2 on"),
        (b'Phone,Amount\n"077,5\n"078",6\n', "from line 2 on"),
        (b"Phone,Amount\n" + b",".join(b"%d" % at for at in range(CELLS_MAX + 1)), "more than 200 columns in line 2"),
    ],
)
def test_what_cannot_be_read_whole_is_refused(content: bytes, reason: str) -> None:
    assert reason in str(refusal(content))


def test_a_cell_that_is_too_long_is_marked_and_not_cut_in_silence() -> None:
    assert lines_of(b"Phone,Amount\n" + b"1" * 5_000 + b",5\n")[1].cells[0].kind is Kind.LONG
    assert lines_of(book_of(lambda sheet: sheet.append(["1" * 5_000])))[1].cells[0].kind is Kind.LONG


def test_a_cell_of_a_workbook_keeps_what_it_is() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(
            [
                "0042",
                256772123456,
                1500.5,
                date(2026, 12, 1),
                True,
                "#N/A",
                "=A1+1",
                1500.0,
                timedelta(days=2),
                0.1 + 0.2,
            ]
        )
        sheet["J2"].number_format = "0.00"
        sheet.append([0.15, 150_000, 7])
        sheet["A3"].number_format, sheet["B3"].number_format, sheet["C3"].number_format = "0%", "#,##0,", '#,##0 "50%"'
        sheet["A4"] = ArrayFormula("A4:A5", "=B2*2")

    lines = lines_of(book_of(fill))
    assert [(cell.text, cell.kind.value) for cell in lines[1].cells] == [
        ("0042", "text"),
        ("256772123456", "number"),
        ("1500.5", "number"),
        ("2026-12-01T00:00:00", "date"),
        ("TRUE", "error"),
        ("#N/A", "error"),
        ("=A1+1", "formula"),
        ("1500", "number"),
        ("2 days, 0:00:00", "date"),
        ("0.3", "number"),
    ]
    assert [cell.kind for cell in lines[2].cells] == [Kind.SCALED, Kind.SCALED, Kind.NUMBER]
    assert lines[3].cells[0] == Cell("=B2*2", Kind.FORMULA)


def test_a_number_that_is_formatted_as_a_date_out_of_range_is_an_error() -> None:
    def fill(sheet: Any) -> None:
        sheet.append([772123456])
        sheet["A2"].number_format = "dd/mm/yyyy"

    assert lines_of(book_of(fill))[1].cells[0].kind is Kind.ERROR


def test_empty_rows_and_cells_of_a_workbook_keep_their_places() -> None:
    def fill(sheet: Any) -> None:
        sheet["C5"] = "x"

    last = lines_of(book_of(fill))[-1]
    assert (last.number, [cell.text for cell in last.cells]) == (5, ["", "", "x"])


def hide_row(sheet: Any) -> None:
    sheet.append(["1", "A", "077", 5])
    sheet.row_dimensions[2].hidden = True


def hide_column(sheet: Any) -> None:
    sheet.column_dimensions["D"].hidden = True


def merge_rows(sheet: Any) -> None:
    sheet.append(["1", "A", "077", 5])
    sheet.append(["2", "B", "078", 5])
    sheet.merge_cells("D2:D3")


def widen(sheet: Any) -> None:
    sheet.cell(2, CELLS_MAX + 1, "x")


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (hide_row, "1 hidden rows (2)"),
        (hide_column, "hidden column (D)"),
        (merge_rows, "merged cells (D2:D3)"),
        (widen, "more than 200 columns in line 2"),
    ],
)
def test_what_people_do_not_see_in_a_workbook_is_refused(fill: Callable[[Any], None], reason: str) -> None:
    assert reason in str(refusal(book_of(fill)))


def test_a_merged_title_and_hidden_emptiness_do_no_harm() -> None:
    def fill(sheet: Any) -> None:
        sheet.insert_rows(1)
        sheet["A1"] = "Salaries, December"
        sheet.merge_cells("A1:D1")
        sheet.row_dimensions[50].hidden = True
        sheet.column_dimensions["H"].hidden = True

    assert texts_of(book_of(fill))[:2] == [["Salaries, December"], TITLES]


def two_sheets(state: str) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "Pay"
    book.active.append(TITLES)
    book.create_sheet("Old").sheet_state = state
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_of_two_sheets_one_is_named_and_a_hidden_one_is_never_read() -> None:
    assert "name the one with the rows" in str(refusal(two_sheets("visible")))
    assert open_sheet(two_sheets("visible"), "Pay").notes == ("sheet 'Old' wasn't read",)
    assert open_sheet(two_sheets("hidden")).notes == ("sheet 'Old' is hidden and wasn't read",)
    for state in ("hidden", "veryHidden"):
        assert "is hidden" in str(refusal(two_sheets(state), "Old"))
    assert "isn't among" in str(refusal(two_sheets("visible"), "Rows"))
    assert "has no sheets" in str(refusal(b"Phone,Amount\n", "Pay"))


STRINGS_PART = (
    b'<Override PartName="/xl/sharedStrings.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml" />'
)


def rewritten(content: bytes, change: Callable[[bytes], bytes], strings: bytes | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "[Content_Types].xml" and strings is not None:
                data = data.replace(b"</Types>", STRINGS_PART + b"</Types>")
                new.writestr("xl/sharedStrings.xml", strings)
            new.writestr(name, change(data) if name == "xl/worksheets/sheet1.xml" else data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"</row></sheetData>", b"", "no whole XLSX"),
        (b't="inlineStr"><is><t>Name</t></is>', b't="s"><v>99</v>', "no whole XLSX"),
        (b'<row r="3"', b'<row r="3" ht="0"', "1 hidden rows (3)"),
        (b"<v>5</v>", b"<v>five</v>", "no whole XLSX"),
        (b'<row r="3"', b'<row r="1"', "another place"),
        (b'r="D3"', b'r="D7"', "another place"),
        (b'r="D3"', b'r="A3"', "two cells in one place"),
    ],
)
def test_a_workbook_that_was_tampered_with_or_torn_is_refused(old: bytes, new: bytes, reason: str) -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["1", "A", "077", 5])
        sheet.append(["2", "B", "078", 5])

    content = book_of(fill)
    assert len(lines_of(rewritten(content, lambda data: data))) == 3
    assert reason in str(refusal(rewritten(content, lambda data: data.replace(old, new))))


def test_texts_that_a_workbook_keeps_apart_are_read() -> None:
    """As Excel writes them, with a run of another colour in one: openpyxl itself writes texts into their cells."""
    strings = b"""<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>Staff</t></si>
      <si><r><t xml:space="preserve">Full </t></r><r><rPr><b/></rPr><t>name</t></r></si></sst>"""

    def change(data: bytes) -> bytes:
        for place, title in enumerate((b"Staff no", b"Name")):
            old = b't="inlineStr"><is><t>' + title + b"</t></is>"
            assert old in data
            data = data.replace(old, b't="s"><v>%d</v>' % place)
        return data

    assert texts_of(rewritten(book_of(list), change, strings)) == [["Staff", "Full name", "Phone", "Amount"]]


def test_a_workbook_cut_off_anywhere_or_with_a_byte_changed_never_crashes() -> None:
    content = book_of(lambda sheet: sheet.append(["1", "A", "077", 5]))
    whole = lines_of(content)
    for at in range(4, len(content), 97):
        assert refusal(content[:at])
        turned = content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]
        try:
            lines = lines_of(turned)
        except FileError:
            continue
        assert [line.cells for line in lines] == [line.cells for line in whole]


def refused_path(path: Path) -> str:
    with pytest.raises(FileError) as told:
        read_bytes(path)
    assert told.value.advice
    return str(told.value)


def test_a_file_is_read_at_one_moment_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pay.csv"
    assert "isn't there" in refused_path(file)
    assert "is a folder" in refused_path(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe" in refused_path(tmp_path / "pipe")
    file.write_bytes(b"Phone,Amount\n")
    assert read_bytes(file) == b"Phone,Amount\n"
    monkeypatch.setattr("momo_worker.runs.sheets.BYTES_MAX", 5)
    assert "split it" in refused_path(file)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pay.csv"
    file.write_bytes(b"Phone,Amount\n")
    real = os.fstat

    def meanwhile(descriptor: int) -> os.stat_result:
        before = real(descriptor)
        file.write_bytes(b"Phone,Amount\n0772123456,5\n")
        return before

    monkeypatch.setattr("momo_worker.runs.sheets.os.fstat", meanwhile)
    assert "changed while it was read" in refused_path(file)
