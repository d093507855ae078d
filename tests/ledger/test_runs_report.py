"""What a report says of a run's rows, in all its forms; on both databases."""

import csv
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pytest
from tests.support.ledger_world import World
from tests.support.run_office import NAME, Office, a_file, an_office, people
from tests.support.run_story import CANCELLED, FAILED, REFUSED, ROWS, TAMPERED, a_story

from momo_worker.cli.deeds import run_report
from momo_worker.cli.saying import AnswerIsNo
from momo_worker.ledger import run_checks
from momo_worker.ledger.run_checks import CheckVerdict, RowCheck
from momo_worker.ledger.runs import Run
from momo_worker.runs.names import Likeness
from momo_worker.runs.outcomes import OVERRIDES_KEPT, Outcome, Totals, outcomes
from momo_worker.runs.releasing import cancel_run
from momo_worker.runs.report import COLUMNS


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def told(world: World, run: Run) -> list[Outcome]:
    return [one for piece in outcomes(world.ledger, run, run_report.explained) for one in piece]


def written(world: World, folder: Path, *forms: str, full: bool = False, name: str = NAME) -> dict[str, Path]:
    wanted = {form: folder / f"report.{form}" for form in forms}
    subject = run_report._subject(world.ledger, "default", name, full=full)
    files = run_report.Files(tuple(wanted.items()), force=False)
    run_report._written(world.ledger, subject, files, lambda *_: None)
    return wanted


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_is_told_with_what_became_of_it_in_plain_words(world: World, office: Office) -> None:
    run = a_story(world, office)
    found = told(world, run)
    assert [(one.row.place, one.state) for one in found] == [
        (1, "successful"),
        (2, "failed"),
        (3, "rejected"),
        (4, "held"),
        (5, "cancelled"),
        (6, "successful"),
        (7, "cancelled_with_run"),
        (8, "cancelled_with_run"),
        (9, "cancelled_with_run"),
    ]
    words = {one.row.place - 1: (one.code, one.reason, one.advice) for one in found}
    assert words[FAILED] == (
        "PAYEE_NOT_FOUND",
        "the receiver's number has no MTN wallet",
        "check the number, country code first, with the person",
    )
    assert words[REFUSED] == ("msisdn", "msisdn is barred", "ask for another number")
    assert words[TAMPERED][1] == "it isn't what was approved: something of it was changed"
    assert words[CANCELLED][1] == "cancelled by boss: left us"
    paid = found[0]
    assert paid.payment is not None
    assert paid.payment.financial_transaction_id == f"mtn-{paid.payment.reference_id[:8]}"
    assert paid.payment.accepted_at_ms <= (paid.sent_at_ms or 0) < (paid.ended_at_ms or 0)
    assert (found[TAMPERED].sent_at_ms, found[TAMPERED].ended_at_ms) == (None, None)


def test_totals_hold_every_row_and_every_shilling_once(world: World, office: Office) -> None:
    run = a_story(world, office)
    totals = Totals()
    for piece in outcomes(world.ledger, run, run_report.explained):
        totals.add(piece)
    assert (totals.all.rows, totals.all.minor) == (run.rows, run.total_minor)
    assert sum(count.rows for _, count in totals.by_state()) == ROWS
    assert sum(count.minor for _, count in totals.by_state()) == run.total_minor
    assert totals.states["successful"].minor == 150_000 + 150_005
    assert sum(count.rows for _, count in totals.why_not()) == ROWS - 2


def test_rows_that_were_not_released_wait_and_those_on_their_way_say_where_they_are(
    world: World, office: Office
) -> None:
    run = a_story(world, office, ends=False)
    found = told(world, run)
    assert [one.reason for one in found[6:]] == ["not handed over yet"] * 3
    assert (found[0].state, found[0].reason) == ("pending", "MTN has it and hasn't ended it")


def test_a_row_that_the_ledger_lost_is_told_and_not_taken_for_unpaid(world: World, office: Office) -> None:
    run = a_story(world, office)
    world.write("DELETE FROM rejected_job")
    assert (told(world, run)[REFUSED].state, told(world, run)[REFUSED].code) == ("at_intake", "missing")


def test_more_rows_than_one_piece_come_each_once_and_in_order(world: World, office: Office) -> None:
    run = office.draft(a_file(*people(1_203))).run
    pieces = list(outcomes(world.ledger, run, run_report.explained))
    assert [len(piece) for piece in pieces] == [500, 500, 203]
    assert [one.row.place for piece in pieces for one in piece] == list(range(1, 1_204))


def test_a_run_that_was_cancelled_before_its_first_row_has_a_report_of_rows_that_were_never_sent(
    world: World, office: Office, tmp_path: Path
) -> None:
    for rows in (3, 2):
        office.released(a_file(*people(rows)))
        world.clock.on(60)
        cancel_run(world.parts, "default", NAME, reason="wrong month", by="boss")
    subject = run_report._subject(world.ledger, "default", NAME, full=False)
    assert (subject.run.state, subject.run.rows) == ("cancelled", 2), "of two the last"
    told_rows = csv_rows(written(world, tmp_path, "csv")["csv"])
    assert [(row["state"], row["attempts"], row["sent at"]) for row in told_rows] == [
        ("cancelled with the run", "0", "")
    ] * 2

    office.draft(a_file(*people(4)))
    subject = run_report._subject(world.ledger, "default", NAME, full=False)
    assert subject.run.state == "draft", "what a name stands for goes first"
    with pytest.raises(AnswerIsNo, match="has no run salary-2031"):
        run_report._subject(world.ledger, "default", "salary-2031", full=False)


def test_csv_and_workbook_say_the_same_of_every_row(world: World, office: Office, tmp_path: Path) -> None:
    a_story(world, office)
    paths = written(world, tmp_path, "csv", "xlsx", "html")
    rows = csv_rows(paths["csv"])
    book = openpyxl.load_workbook(paths["xlsx"])
    titles, *lines = book["Rows"].iter_rows(values_only=True)
    assert titles == tuple(rows[0]) == COLUMNS
    as_text = [["" if cell is None else str(cell) for cell in line] for line in lines]
    assert as_text == [list(row.values()) for row in rows]
    assert [row["amount"] for row in rows] == [str(150_000 + place) for place in range(ROWS)]
    assert all(isinstance(line[COLUMNS.index("amount")], int) for line in lines)
    summary = [[cell for cell in line if cell is not None] for line in book["Summary"].iter_rows(values_only=True)]
    assert ["paid", 2, 300_005] in summary
    assert ["all", ROWS, sum(range(150_000, 150_009))] in summary


def test_numbers_are_masked_in_every_form_unless_they_are_asked_for(
    world: World, office: Office, tmp_path: Path
) -> None:
    a_story(world, office)
    for full in (False, True):
        folder = tmp_path / str(full)
        folder.mkdir()
        paths = written(world, folder, "csv", "xlsx", "html", full=full)
        book = openpyxl.load_workbook(paths["xlsx"])
        texts = [
            paths["csv"].read_text("utf-8-sig"),
            paths["html"].read_text("utf-8"),
            str(list(book["Rows"].iter_rows(values_only=True))),
        ]
        assert ["256772100000" in text for text in texts] == [full] * 3


def answered(world: World, run: Run, *places: int, reason: str = "her sister's phone") -> None:
    """The check blocks these rows, and ada answers for them."""
    blocks = [RowCheck(place, CheckVerdict.BLOCK, Likeness.OTHER, 20, "NAKATO SARAH") for place in places]
    with world.ledger.write() as tx:
        run_checks.keep_checks(tx, run.id, blocks)
        for place in places:
            run_checks.override(tx, run.id, place, reason=reason, by="ada")


def test_who_answers_for_a_row_against_the_check_stands_in_every_form(
    world: World, office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = a_story(world, office)
    answered(world, run, FAILED + 1)
    paths = written(world, tmp_path, "csv", "xlsx", "html")
    rows = csv_rows(paths["csv"])
    row = rows.pop(FAILED)
    assert (row["check"], row["overridden by"], row["override reason"]) == (
        "block: MTN has another name",
        "ada",
        "her sister's phone",
    )
    assert row["overridden at"].endswith(" UTC")
    assert {one["check"] + one["overridden by"] + one["override reason"] for one in rows} == {""}
    summary = [list(map(str, line)) for line in openpyxl.load_workbook(paths["xlsx"])["Summary"].values]
    assert [line for line in summary if "256…01" in line and "ada" in line and "her sister's phone" in line]
    texts = Page(paths["html"].read_text("utf-8")).texts
    assert (texts.count("her sister's phone"), texts.count("256…01")) == (1, 2), "listed above, and with the row"
    assert any("ada: her sister's phone" in one for one in texts)

    subject = run_report._subject(world.ledger, "default", NAME, full=False)
    totals = run_report._written(world.ledger, subject, run_report.Files((), force=False), lambda *_: None)
    run_report._tell(subject, totals, (), "", as_json=False)
    assert "row 2 E1 Person 1 256…01 (failed) block: MTN has another name; ada: her sister's phone" in (
        capsys.readouterr().out
    )
    overridden = run_report._facts(subject, totals)["overridden"]
    assert (overridden["rows"], overridden["amount"]) == (1, "150001")
    assert [(one["place"], one["number"], one["overridden_by"]) for one in overridden["first"]] == [
        (2, "256…01", "ada")
    ]


def test_of_very_many_overrides_the_first_are_listed_and_all_are_counted(
    world: World, office: Office, tmp_path: Path
) -> None:
    run = office.draft(a_file(*people(502))).run
    answered(world, run, *range(250, 503), reason="=1+1 <b>")
    paths = written(world, tmp_path, "csv", "xlsx", "html")
    rows = csv_rows(paths["csv"])
    assert [row["place"] for row in rows if row["override reason"] == "'=1+1 <b>"] == list(map(str, range(250, 503)))
    text = paths["html"].read_text("utf-8")
    assert ("<b>" in text, f"and {253 - OVERRIDES_KEPT} more" in text) == (False, True)
    book = openpyxl.load_workbook(paths["xlsx"])
    kinds = {cell.data_type for line in book["Summary"].iter_rows() for cell in line}
    assert kinds <= {"s", "n", "inlineStr"}, "no formula, and no error"


#: What people and machines may have for a name or a note.
HOSTILE = "=HYPERLINK(1) <script>alert(1)</script> \"'& é"


class Page(HTMLParser):
    """What stands in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_loads_nothing_runs_nothing_and_escapes_what_others_wrote(
    world: World, office: Office, tmp_path: Path
) -> None:
    office.draft(a_file(("E1", '"' + HOSTILE[1:].replace('"', '""') + '"', "0772100000", "5000")), note=HOSTILE)
    path = written(world, tmp_path, "html")["html"]
    text = path.read_text("utf-8")
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "form", "a"} == set()
    assert not re.search(r"\b(?:src|href|on\w+)=|https?:|@import|url\((?!#)", text)
    assert ("html", {"lang": "en"}) in page.tags
    assert any(HOSTILE[1:] in one for one in page.texts)
    assert HOSTILE in page.texts
    assert "size: A4" in text
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    assert ET.fromstring(svg).get("role") == "img"


def test_neither_csv_nor_workbook_holds_a_formula(world: World, office: Office, tmp_path: Path) -> None:
    office.draft(a_file(("E1", "Eve", "0772100000", "5000")))
    for name in ("=1+1", "@SUM(A1)", "+1+cmd|' /C calc'!A0", "-2+3", "\t=1", "x;=1+1", "#N/A"):
        world.write("UPDATE run_row SET name = :name", name=name)
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            paths = written(world, Path(folder), "csv", "xlsx")
            assert csv_rows(paths["csv"])[0]["name"].replace("'", "") == name.replace("'", "")
            assert not re.match(r"[=+@\-\t]", csv_rows(paths["csv"])[0]["name"])
            assert ";=" not in csv_rows(paths["csv"])[0]["name"]
            (_, row) = openpyxl.load_workbook(paths["xlsx"])["Rows"].iter_rows()
            assert {cell.data_type for cell in row} <= {"s", "n"}


def test_what_no_file_can_hold_is_marked_and_stops_no_report(world: World, office: Office, tmp_path: Path) -> None:
    office.draft(a_file(("E1", "Eve", "0772100000", "5000")))
    world.write("UPDATE run_row SET name = :name", name="a\x01b\x1fc\uffff")
    paths = written(world, tmp_path, "csv", "xlsx", "html")
    assert csv_rows(paths["csv"])[0]["name"] == "a\ufffdb\ufffdc\ufffd"
    assert "a\ufffdb\ufffdc\ufffd" in paths["html"].read_text("utf-8")


def test_a_correction_says_which_run_it_follows_up(world: World, office: Office) -> None:
    a_story(world, office)
    rows = [("E1", "Person 1", "0772100099", "150001", office.key_of(FAILED)), ("E2", "P", "0772100098", "5", "till-7")]
    content = a_file(*rows, head=("id", "name", "phone", "amount", "replaces"))
    office.draft(content, "salary-2026-12-again")
    subject = run_report._subject(world.ledger, "default", "salary-2026-12-again", full=False)
    assert subject.follows_up == "1 single payments, 1 row of salary-2026-12"
