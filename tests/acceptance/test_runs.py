"""`momo run` as a payroll officer types it: template, import, problems, questions and answers. Nobody is paid by any of it."""

import csv
from pathlib import Path

import openpyxl
from tests.support.command_line import Town

HEAD = ("staff no", "name", "phone", "amount")


def a_csv(path: Path, *rows: tuple[str, ...], head: tuple[str, ...] = HEAD) -> str:
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([head, *rows])
    return str(path)


def test_the_template_imports_as_it_is_written_as_csv_and_as_a_workbook(town: Town, tmp_path: Path) -> None:
    for kind in ("csv", "xlsx"):
        file = str(tmp_path / f"example.{kind}")
        written = town.momo("run", "template", file)
        again = town.momo("run", "template", file)
        other = town.momo("run", "template", str(tmp_path / f"other.{kind}"), "--operation", "refund", "--json")
        made = town.momo("run", "import", file, "--name", f"template-{kind}", "--json")

        assert (written.code, again.code, made.code) == (0, 1, 0), (written, again, made)
        assert f"momo run import {file}" in written.out
        assert "nothing was written over" in again.err
        assert (other.json["rows"], (tmp_path / f"other.{kind}").is_file()) == (2, True)
        assert (made.json["state"], made.json["rows"], made.json["currency"]) == ("draft", 2, "EUR")
        assert made.json["columns"]["number"] == "number"


def test_a_template_of_refunds_says_the_import_that_reads_it_as_refunds(town: Town, tmp_path: Path) -> None:
    refunds, fees = str(tmp_path / "refunds.csv"), str(tmp_path / "fees.csv")

    assert (
        f"momo run import {refunds} --name refunds-2026-12 --operation refund"
        in town.momo("run", "template", refunds, "--operation", "refund").out
    )
    assert (
        f"momo run import {fees} --name fees-2026-12 --operation collect"
        in town.momo("run", "template", fees, "--operation", "collect").out
    )


def test_who_watches_a_draft_is_told_whose_turn_it_is(town: Town, tmp_path: Path) -> None:
    file = a_csv(tmp_path / "turn.csv", ("E1", "Amina", "46733123450", "903"))
    made = town.momo("run", "import", file, "--name", "turn-2026-12", "--json")

    assert made.code == 0, made
    assert (
        "waits for its maker: `momo run submit turn-2026-12`" in town.momo("run", "watch", "turn-2026-12", "--once").out
    )
    watched = town.momo("run", "watch", "turn-2026-12", "--once", "--json")
    assert watched.json["waits_for"] == "waits for its maker: `momo run submit turn-2026-12`"


def test_a_run_that_was_cancelled_before_its_first_row_is_told_as_such_and_a_wrong_name_with_each_name_once(
    town: Town, tmp_path: Path
) -> None:
    for amount in ("904", "905"):
        file = a_csv(tmp_path / f"{amount}.csv", ("E1", "Amina", "46733123450", amount))
        assert town.momo("run", "import", file, "--name", "ended-2026-12").code == 0
    cancelled = town.momo("run", "cancel", "ended-2026-12", "--reason", "the wrong month")
    once_more = town.momo("run", "cancel", "ended-2026-12", "--reason", "the wrong month")
    released = town.momo("run", "release", "ended-2026-12")
    wrong = town.momo("run", "watch", "nobody-2026-12", "--once")

    assert (cancelled.code, once_more.code, released.code, wrong.code) == (0, 1, 1, 1)
    assert "was cancelled before its first row, and nobody was paid by it" in once_more.err
    assert "was cancelled before its first row, and nobody was paid by it" in released.err
    assert wrong.err.count("ended-2026-12") == 1


def test_every_problem_is_told_at_once_and_stands_in_a_copy_of_the_file(town: Town, tmp_path: Path) -> None:
    rows = [
        ("E1", "Amina", "46733123450", "12.50"),
        ("E2", "@SUM(1;2)", "0772", "1"),
        ("E3", "Bob", "46733123451", "-3"),
        ("E4", "Eve", "2.56772E+11", "1,50,0"),
    ]
    file = a_csv(tmp_path / "salaries.csv", *rows)
    refused = town.momo("run", "import", file, "--name", "bad-2026-12")
    as_json = town.momo("run", "import", file, "--name", "bad-2026-12", "--json")
    listed = town.momo("run", "list", "--json")

    assert (refused.code, as_json.code) == (1, 1)
    assert "4 problems, and nothing was imported" in refused.err
    assert "Traceback" not in refused.err
    assert [one["line"] for one in as_json.json["problems"]] == [3, 4, 5, 5]
    assert all(one["reason"] and one["advice"] for one in as_json.json["problems"])
    with (tmp_path / "salaries.problems.csv").open(encoding="utf-8-sig", newline="") as copy:
        found = list(csv.reader(copy))
    assert found[0] == ["what to correct", *HEAD]
    assert found[1][0] == ""
    assert "is negative" in found[3][0]
    assert found[2][2] == "'@SUM(1;2)", "a copy that we write runs nothing in a spreadsheet"
    assert "bad-2026-12" not in [one["name"] for one in listed.json]
    a_csv(tmp_path / "salaries.csv", rows[0])
    good = town.momo("run", "import", file, "--name", "bad-2026-12")
    assert f"{tmp_path / 'salaries.problems.csv'} tells problems of an earlier import; it is out of date" in good.out


def test_a_file_whose_rows_are_right_gets_no_copy_with_problems(town: Town, tmp_path: Path) -> None:
    file = a_csv(tmp_path / "right.csv", ("E1", "Amina", "46733123450", "1250"))
    wrong = town.momo("run", "import", file, "--name", "right-2026-12", "--expect-total", "1,251")
    right = town.momo("run", "import", file, "--name", "right-2026-12", "--expect-total", "1,250", "--json")

    assert wrong.code == 1
    assert "1,251 is expected" in wrong.err
    assert "stands in" not in wrong.err
    assert list(tmp_path.iterdir()) == [tmp_path / "right.csv"]
    assert (right.code, right.json["outdated_problems_file"]) == (0, None)


def test_a_person_twice_is_asked_about_and_somebody_answers(town: Town, tmp_path: Path) -> None:
    rows = [
        ("E1", "Amina", "46733123450", "900"),
        ("E1", "Amina", "46733123450", "100"),
        ("E2", "Bob", "46733123451", "5"),
    ]
    made = town.momo("run", "import", a_csv(tmp_path / "twice.csv", *rows), "--name", "twice-2026-12")
    nameless = town.momo("run", "answer", "twice-2026-12")
    wrong = town.momo("run", "answer", "twice-2026-12", "--finding", "7", "--text", "x")
    answered = town.momo("run", "answer", "twice-2026-12", "--text", "salary and bonus", "--by", "ada", "--json")
    again = town.momo("run", "answer", "twice-2026-12", "--text", "salary and bonus")
    shown = town.momo("run", "show", "twice-2026-12")

    assert (made.code, nameless.code, wrong.code, answered.code, again.code) == (0, 2, 1, 0, 1)
    assert "1 must be answered before it can be approved" in made.out
    assert "46733123450" not in made.out + shown.out
    assert "nothing was answered" in wrong.err
    assert (answered.json["answered"], answered.json["to_answer"]) == (1, 0)
    assert "(ada: salary and bonus)" in shown.out


def test_the_same_run_again_changes_nothing_and_another_file_takes_the_drafts_place(town: Town, tmp_path: Path) -> None:
    first = a_csv(tmp_path / "one.csv", ("E1", "Amina", "46733123450", "900"))
    other = a_csv(tmp_path / "two.csv", ("E1", "Amina", "46733123450", "901"))
    made = town.momo("run", "import", first, "--name", "again-2026-12", "--json")
    again = town.momo("run", "import", first, "--name", "again-2026-12", "--json")
    replaced = town.momo("run", "import", other, "--name", "again-2026-12", "--json")
    third = a_csv(tmp_path / "three.csv", ("E1", "Amina", "46733123450", "oops"))
    refused = town.momo("run", "import", third, "--name", "again-2026-12")

    assert "1 problem, and nothing was imported" in refused.err
    assert (made.json["repeated"], again.json["repeated"], replaced.json["repeated"]) == (False, True, False)
    assert again.json["run_id"] == made.json["run_id"]
    assert replaced.json["superseded"] == made.json["run_id"]
    assert town.momo("run", "show", "again-2026-12", "--json").json["total"] == "901.00"
    assert "(1 rows, 901.00 EUR) was put aside" in town.momo("run", "import", first, "--name", "again-2026-12").out


def test_a_workbook_that_hides_something_is_refused_and_says_what(town: Town, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (HEAD, ("E1", "Amina", "46733123450", 12.5), ("E2", "Bob", "46733123451", "=D2*2")):
        sheet.append(row)
    file = tmp_path / "book.xlsx"
    book.save(file)
    formula = town.momo("run", "import", str(file), "--name", "book-2026-12")
    sheet["D3"] = 25
    sheet.row_dimensions[3].hidden = True
    book.save(file)
    hidden = town.momo("run", "import", str(file), "--name", "book-2026-12")
    sheet.row_dimensions[3].hidden = False
    book.create_sheet("Old").sheet_state = "hidden"
    book.save(file)
    made = town.momo("run", "import", str(file), "--name", "book-2026-12")

    assert (formula.code, hidden.code, made.code) == (1, 1, 0)
    assert "is a formula; copy the column and paste it as values" in formula.err
    assert "hidden rows (3)" in hidden.err
    assert "37.50 EUR" in made.out
    assert "'Old' is hidden and wasn't read" in made.out


def test_what_is_no_file_of_rows_is_refused_with_what_to_do(town: Town, tmp_path: Path) -> None:
    for name, content, told in (
        ("empty.csv", b"", "is empty"),
        ("pdf.csv", b"%PDF-1.7\n1 0 obj", "is a PDF"),
        ("head.csv", b"phone,amount\n", "a header and no rows"),
        ("words.csv", b"hello\nworld\n", "no column for number"),
        ("old.xls", b"\xd0\xcf\x11\xe0rest", "of before 2007"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        refused = town.momo("run", "import", str(path), "--name", "x")
        assert (refused.code, told in refused.err, "Traceback" in refused.err) == (1, True, False), refused
    missing = town.momo("run", "import", str(tmp_path / "none.csv"), "--name", "x")
    nameless = town.momo("run", "import", str(tmp_path / "none.csv"))
    expected = town.momo(
        "run",
        "import",
        a_csv(tmp_path / "few.csv", ("E1", "A", "46733123450", "1")),
        "--name",
        "x",
        "--expect-count",
        "2",
    )
    assert (missing.code, nameless.code, expected.code) == (1, 2, 1)
    assert "isn't there" in missing.err
    assert "--name is missing" in nameless.err
    assert "2 are expected" in expected.err
