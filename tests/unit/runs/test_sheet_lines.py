"""A sheet is read straight off its XML: line by line what openpyxl's parser has, and bounded where a hostile file could grow."""

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.openpyxl_lines import BROKEN, RefusedError, openpyxl_lines

from momo_worker.runs import shared_texts, workbook, xml_pieces
from momo_worker.runs.cells import Cell, FileError, Kind, Line
from momo_worker.runs.sheets import open_sheet

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRINGS_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
SHARED = ["0772 123 456", " Zoé ", "", "a_x005F_x000D_b", "150,000"]
#: General, whole, date, date and time, hours, percent, thousands, text.
FORMATS = ["General", "0", "dd/mm/yyyy", "yyyy-mm-dd hh:mm", "[hh]:mm", "0%", "#,##0,", "@"]


def empty_book() -> dict[str, bytes]:
    book = openpyxl.Workbook()
    for place, form in enumerate(FORMATS, start=1):
        book.active.cell(1, place, 1).number_format = form
    book.save(file := io.BytesIO())
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


EMPTY = empty_book()


def packed(sheet: str | bytes, strings: str | bytes | None = None, more: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """A workbook with this XML for its sheet."""
    if strings is None:
        strings = f'<sst xmlns="{MAIN}">{"".join(f"<si><t>{escape(text)}</t></si>" for text in SHARED)}</sst>'
    entry = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{STRINGS_KIND}"/></Types>'.encode()
    parts: dict[str, str | bytes] = dict(EMPTY)
    parts["[Content_Types].xml"] = EMPTY["[Content_Types].xml"].replace(b"</Types>", entry)
    parts |= {"xl/worksheets/sheet1.xml": sheet, "xl/sharedStrings.xml": strings}
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in [*parts.items(), *more]:
            book.writestr(name, part)
    return file.getvalue()


def sheet_of(rows: str, before: str = "", behind: str = "") -> str:
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData>{behind}</worksheet>'


def lines_of(content: bytes) -> list[Line]:
    return list(open_sheet(content).lines)


def cells_of(cell: str) -> tuple[Cell, ...]:
    return lines_of(packed(sheet_of(f'<row r="1">{cell}</row>')))[0].cells


def refusal(sheet: str | bytes, strings: str | bytes | None = None) -> str:
    with pytest.raises(FileError) as told:
        lines_of(packed(sheet, strings))
    assert told.value.advice
    return str(told.value)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=6).map(escape)
#: No subnormal ones: a double of those holds fewer than fifteen digits, so that openpyxl's fifteen are more than anybody wrote.
FIGURES = (
    st.integers(-(10**12), 10**18).map(str)
    | st.floats(-1e12, 1e16, allow_subnormal=False).map(repr)
    | st.floats(1e-9, 1e9).map(lambda figure: f"{figure:.14g}")
    | st.sampled_from(
        ["1", "007", "256772123456", "2.56772123456E+11", "150000.10000000001", " 5 ", "five", "1,5", "-0", "45292.5"]
    )
)
STYLES = st.sampled_from(["", *(f' s="{place}"' for place in range(len(FORMATS) + 1))])
CONTENTS = st.one_of(
    st.builds(lambda style, value: f"{style}><v>{value}</v>", STYLES, FIGURES),
    st.builds(lambda style, value: f'{style} t="s"><v>{value}</v>', STYLES, st.integers(0, len(SHARED)).map(str)),
    TEXT.map(lambda text: f' t="inlineStr"><is><t>{text}</t></is>'),
    st.builds(
        lambda one, two: f' t="inlineStr"><is><r><rPr><b/></rPr><t xml:space="preserve">{one}</t></r><r><t>{two}</t></r>'
        "<rPh sb='0' eb='1'><t>kana</t></rPh></is>",
        TEXT,
        TEXT,
    ),
    st.builds(lambda kind, value: f' t="{kind}"><v>{value}</v>', st.sampled_from(["str", "e"]), TEXT),
    st.sampled_from(["0", "1"]).map(lambda value: f' t="b"><v>{value}</v>'),
    st.sampled_from(["2026-12-01", "2026-12-01T10:00:00", "10:00:00"]).map(lambda value: f' t="d"><v>{value}</v>'),
    st.builds(lambda text, value: f"><f>{text}</f><v>{value}</v>", TEXT, FIGURES),
    st.sampled_from(
        [
            ">", "><v/>", "><v></v>", ' t="s">', ' t="inlineStr">', ' t="inlineStr"><is/>', ' t="inlineStr"><is><t/></is>',
            '><f t="shared" ref="A1:A9" si="0">B1+1</f><v>2</v>', '><f t="shared" si="0"/><v>2</v>',
            '><f t="array" ref="A1">SUM(B1)</f>', "><f/>", "><v>1<!-- and -->2</v>", ' t="s"><v>-1</v>', ' s="x"><v>1</v>',
            ' t="str"><v><![CDATA[<a&b>]]></v>',
        ]
    ),
)  # fmt: skip
#: Where a cell says it is, by its letters and by the row it is in: nearly always where it stands.
ROWS = st.lists(
    st.tuples(
        st.sampled_from([*[""] * 12, ' hidden="1"', ' hidden="0"', ' ht="0"', ' spans="1:4"']),
        st.sampled_from([*[1] * 12, 2, 7, 0]),
        st.lists(st.tuples(st.sampled_from([*[1] * 12, 2, 30, 0]), st.booleans(), CONTENTS), max_size=5),
    ),
    max_size=6,
)


def xml_of(rows: list[tuple[str, int, list[tuple[int, bool, str]]]], *, numbered: bool) -> str:
    number, made = 0, []
    for attributes, step, cells in rows:
        number += step if numbered else 1
        column, inner = 0, ""
        for over, placed, content in cells:
            column += over if placed else 1
            place = f' r="{openpyxl.utils.get_column_letter(max(column, 1))}{number}"' if placed else ""
            inner += f"<c{place}{content}</c>"
        told = f' r="{number}"' if numbered else ""
        made.append(f"<row{told}{attributes}>{inner}</row>")
    return "\n".join(made)


@settings(max_examples=300, deadline=None)
@given(
    ROWS,
    st.booleans(),
    st.sampled_from(["", "", '<cols><col min="2" max="3" hidden="1"/></cols>', '<cols><col min="2" max="40" width="9"/></cols>']),
    st.sampled_from(["", "", "", '<mergeCells count="1"><mergeCell ref="A1:C2"/></mergeCells>']),
)  # fmt: skip
def test_a_sheet_is_read_as_openpyxl_reads_it_or_refused_as_it_was(
    rows: list[tuple[str, int, list[tuple[int, bool, str]]]], numbered: bool, before: str, behind: str
) -> None:
    xml = xml_of(rows, numbered=numbered)
    content = packed(sheet_of(xml, before, behind))
    try:
        expected = openpyxl_lines(content)
    except RefusedError as error:
        # Of several reasons any may come first, and one of them is a value that is none.
        with pytest.raises(FileError, match=rf"{error}|no whole XLSX|hidden|merged|another place|two cells"):
            lines_of(content)
    except BROKEN:
        # Where openpyxl can't copy a formula that is written once for several cells, that it is one is enough here.
        if 't="shared"' not in xml:
            with pytest.raises(FileError):
                lines_of(content)
    else:
        if ' t="s"><v>-1</v>' in xml:
            # A place among the texts that is counted from behind, openpyxl takes for one.
            with pytest.raises(FileError, match="no whole XLSX"):
                lines_of(content)
            return
        found = lines_of(content)
        assert [line.number for line in found] == [line.number for line in expected]
        assert [as_seen(line) for line in found] == [as_seen(line) for line in expected]


def as_seen(line: Line) -> list[tuple[str, Kind]]:
    # Which formula it is, openpyxl tells only of one that stands at a told place: below.
    return [("" if cell.kind is Kind.FORMULA else cell.text, cell.kind) for cell in line.cells]


def test_a_formula_that_is_written_once_for_a_column_is_told_for_each_of_its_cells() -> None:
    rows = (
        '<row r="1"><c r="A1"><f t="shared" ref="A1:A3" si="0">B1*$C$1</f><v>2</v></c></row>'
        '<row r="2"><c r="A2"><f t="shared" si="0"/><v>4</v></c><c r="B2"><f t="array" ref="B2">SUM(A1:A2)</f></c></row>'
        '<row r="3"><c><f t="shared" si="0"/></c><c r="B3"><f t="shared" si="7"/></c><c r="C3"><f t="dataTable" ref="C3"/></c></row>'
    )
    expected = [["=B1*$C$1"], ["=B2*$C$1", "=SUM(A1:A2)"], ["=B3*$C$1", "=", "="]]
    lines = lines_of(packed(sheet_of(rows)))
    assert [[cell.text for cell in line.cells] for line in lines] == expected
    assert {cell.kind for line in lines for cell in line.cells} == {Kind.FORMULA}
    torn = '<row r="1"><c r="A1"><f t="shared" si="0">"B1</f></c><c r="B1"><f t="shared" si="0"/></c></row>'
    assert [cell.text for cell in lines_of(packed(sheet_of(torn)))[0].cells] == ["=", "="]


def test_another_prefix_and_another_encoding_are_read_alike() -> None:
    plain = sheet_of('<row r="1"><c r="A1" t="str"><v>Zoé</v></c><c r="B1"><v>5</v></c></row>')
    prefixed = plain.replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=")
    expected = [[("Zoé", Kind.TEXT), ("5", Kind.NUMBER)]]
    for sheet in (plain, prefixed, plain.encode("utf-16"), b'<?xml version="1.0" encoding="ISO-8859-1"?>' + plain.encode("latin-1")):  # fmt: skip
        assert [as_seen(line) for line in lines_of(packed(sheet))] == expected


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="A1"><v>1</v><v>2</v></c>',
        '<c r="A1"><f>B1</f><f>C1</f></c>',
        '<c r="A1" t="inlineStr"><is><t>1</t></is><is><t>2</t></is></c>',
        '<c r="A1"><c r="B1"><v>1</v></c></c>',
        '<c r="A1"><v>1</v></c><row r="2"/>',
        '<c r="A1"><v>1_000</v></c>',
        '<c r="A1"><v>٣</v></c>',
        '<c r="A1" t="b"><v>2</v></c>',
        '<c r="A1" t="d"><v>yesterday</v></c>',
        '<c r="A1" t="s"><v>1.0</v></c>',
        '<c r="1A"><v>1</v></c>',
        '<c r="$A$1"><v>1</v></c>',
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(cell: str) -> None:
    assert "no whole XLSX" in refusal(sheet_of(f'<row r="1">{cell}</row>'))


@pytest.mark.parametrize(
    "sheet",
    [
        sheet_of('<row r="1"><c r="A1"><v>1</v></c></row>', behind='<sheetData><row r="2"/></sheetData>'),
        sheet_of('<row r="1"/>', before='<mergeCells><mergeCell ref="A1:B2"/></mergeCells>'),
        sheet_of('<row r="1"><c r="A1"><v>1</v></c></row>', behind='<cols><col min="1" max="1" hidden="1"/></cols>'),
        sheet_of('<row r="1.5"/>'),
        sheet_of('<row r="x"/>'),
    ],
)
def test_what_comes_too_late_to_hide_what_it_hides_is_refused(sheet: str) -> None:
    assert "no whole XLSX" in refusal(sheet)


def test_a_text_outside_its_place_is_none() -> None:
    assert cells_of('<c r="A1"><t>5</t></c><c r="B1" t="inlineStr"><v>5</v></c><c r="C1" t="str"><v>x</v></c>') == (
        Cell(""),
        Cell(""),
        Cell("x"),
    )


@pytest.mark.parametrize(
    "entity",
    ['<!ENTITY a SYSTEM "file:///etc/hostname">', '<!ENTITY a "1">', '<!ENTITY % a SYSTEM "http://127.0.0.1/">', ""],
)
def test_a_part_that_declares_entities_is_refused_before_any_is_read(entity: str) -> None:
    inner = "&a;" if "ENTITY a" in entity else "1"
    doctype = f"<!DOCTYPE x [{entity}]>"
    sheet = sheet_of(f'<row r="1"><c r="A1" t="str"><v>{inner}</v></c></row>')
    assert "declares a document type" in refusal(doctype + sheet)
    strings = f'{doctype}<sst xmlns="{MAIN}"><si><t>{inner}</t></si></sst>'
    assert "declares a document type" in refusal(sheet_of('<row r="1"><c r="A1" t="s"><v>0</v></c></row>'), strings)


def test_more_texts_than_any_run_needs_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, strings = sheet_of('<row r="1"/>'), f'<sst xmlns="{MAIN}">{"<si><t>a</t></si>" * 5_000}</sst>'
    assert len(lines_of(packed(sheet, strings))) == 1
    monkeypatch.setattr(shared_texts, "TEXTS_MAX", 4_999)
    assert "more than 4,999 different texts" in refusal(sheet, strings)
    monkeypatch.setattr(shared_texts, "BYTES_MAX", len(strings) - 1)
    assert f"holds {len(strings):,} bytes of texts, and {len(strings) - 1:,} are the most" in refusal(sheet, strings)


@pytest.mark.parametrize(
    "grown",
    [
        "<v>" + "1" * 1_200_000 + "</v>",
        "<v>1</v><!--" + "-=" * 1_200_000 + "-->",
        "<v x='" + "y" * 2_400_000 + "'>1</v>",
    ],
)
def test_what_grows_without_end_in_one_place_is_refused(grown: str) -> None:
    assert "holds more in one place" in refusal(sheet_of(f'<row r="1"><c r="A1" t="str">{grown}</c></row>'))


def test_a_part_that_is_taken_whole_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    content = packed(sheet_of('<row r="1"/>'))
    monkeypatch.setattr(workbook, "PART_BYTES_MAX", len(EMPTY["xl/styles.xml"]) - 1)
    monkeypatch.setitem(EMPTY, "docProps/core.xml", b"")
    with pytest.raises(FileError, match=r"bytes of xl/\w+\.xml"):
        lines_of(content)


def test_two_parts_of_one_name_are_refused() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = packed(sheet_of('<row r="1"/>'), more=[("xl/worksheets/sheet1.xml", b"<other/>")])
    with pytest.raises(FileError, match="two parts of one name"):
        lines_of(content)


def test_a_sheet_is_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come out before the end of the part has been read."""
    monkeypatch.setattr(xml_pieces, "_PIECE_BYTES", 512)
    rows = "".join(f'<row r="{at}"><c r="A{at}"><v>{at}</v></c></row>' for at in range(1, 500))
    lines = open_sheet(packed(sheet_of(rows) + "<torn")).lines
    assert [next(lines).number for _ in range(400)][-1] == 400
    with pytest.raises(FileError, match="no whole XLSX"):
        list(lines)
