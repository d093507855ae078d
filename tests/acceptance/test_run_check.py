"""`momo run check` and `override` as a payroll officer types them, at the fake MTN: verdicts, kill -9 half-way, MTN away, and nobody's name in a log."""

import csv
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.command_line import MOMO, Town, environment
from tests.support.waiting import eventually

HEAD = ("staff no", "name", "phone", "amount")
AT_ONCE = {"MOMO_CHECK__APART_MS": "0"}


def a_draft(town: Town, folder: Path, name: str, rows: Sequence[Sequence[str]]) -> None:
    file = folder / f"{name}.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([HEAD, *rows])
    made = town.momo("run", "import", str(file), "--name", name)
    assert made.code == 0, made


def at_mtn(town: Town, method: str, door: str, body: Any = None) -> Any:
    answer = requests.request(method, f"{town.simulator}/_simulator/{door}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def asked(town: Town) -> int:
    """Questions about people that the fake MTN has heard."""
    heard = at_mtn(town, "GET", "record")["requests"]
    return sum(sum(heard.get(f"GET {one}", {}).values()) for one in ("active", "basicuserinfo"))


@pytest.fixture
def people(town: Town) -> list[tuple[str, str, str, str]]:
    """Amina is who the file says, Kofi nearly, Marie's number is another's, Jean's is nobody's."""
    at_mtn(
        town,
        "POST",
        "holders",
        [
            {"msisdn": "256772000001", "given_name": "AMINA", "family_name": "OKELLO"},
            {"msisdn": "256772000002", "given_name": "Koffi", "family_name": "Mensah"},
            {"msisdn": "256772000003", "given_name": "Brigitte", "family_name": "Fotso"},
            {"msisdn": "256772000004", "active": False},
        ],
    )
    return [
        ("E1", "Mrs. Okello Amina", "256772000001", "10"),
        ("E2", "Kofi Mensah", "256772000002", "20"),
        ("E3", "Marie Ngono", "256772000003", "30"),
        ("E4", "Jean Mbarga", "256772000004", "40"),
    ]


def test_whose_rows_to_look_at_is_told_and_somebody_answers_for_one(
    town: Town, tmp_path: Path, people: list[tuple[str, str, str, str]]
) -> None:
    a_draft(town, tmp_path, "check-2026-12", people)
    told = town.momo("run", "check", "check-2026-12", **AT_ONCE)
    as_json = town.momo("run", "check", "check-2026-12", "--json", **AT_ONCE)
    shown = town.momo("run", "show", "check-2026-12", "--json")
    passed = town.momo("run", "override", "check-2026-12", "--row", "1", "--reason", "x")
    nobody = town.momo("run", "override", "check-2026-12", "--row", "9", "--reason", "x")
    nameless = town.momo("run", "override", "check-2026-12", "--row", "3")
    first = town.momo("run", "override", "check-2026-12", "--row", "3", "--reason", "her sister's phone", "--by", "ada")
    last = town.momo("run", "override", "check-2026-12", "--row", "4", "--reason", "opens it today", "--json")
    done = town.momo("run", "check", "check-2026-12", **AT_ONCE)

    assert (told.code, as_json.code, done.code) == (1, 1, 0), (told, as_json, done)
    assert "1 pass, 1 review, 2 block" in told.out
    assert "2 blocked rows bar the approval" in told.out
    assert "Brigitte Fotso" in told.out
    assert "256772000003" not in told.out + told.err + as_json.out
    facts = as_json.json
    assert (facts["pass"], facts["review"], facts["block"], facts["to_answer"], facts["not_checked"]) == (1, 1, 2, 2, 0)
    assert (facts["asked"], facts["known"]) == (0, 4)
    assert [(one["row"], one["verdict"], one["why"], one["score"]) for one in facts["rows"]] == [
        (3, "block", "other", 0),
        (4, "block", "inactive", None),
        (2, "review", "slip", 85),
    ]
    assert shown.json["checked"] == {"pass": 1, "review": 1, "block": 2, "overridden": 0}
    assert (passed.code, nobody.code, nameless.code, first.code, last.code) == (1, 1, 2, 0, 0)
    assert "1 blocked rows left to answer" in first.out
    assert last.json["to_answer"] == 0
    assert "(ada: her sister's phone)" in done.out


def test_a_check_that_was_killed_goes_on_and_asks_nobody_twice(town: Town, tmp_path: Path) -> None:
    rows = [(f"E{n}", "", f"2567731{n:05d}", "5") for n in range(40)]
    a_draft(town, tmp_path, "killed-2026-12", rows)
    words = [str(MOMO), "run", "check", "killed-2026-12", "--json"]
    slowly = environment(town.home, **town.settings, MOMO_CHECK__APART_MS="200")
    before = asked(town)
    process = subprocess.Popen(words, env=slowly, cwd=town.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: asked(town) >= before + 15, within_seconds=60, otherwise=lambda: str(asked(town)))
    finally:
        process.kill()
        process.communicate()
    heard = asked(town) - before
    done = town.momo("run", "check", "killed-2026-12", "--json", **AT_ONCE)

    assert heard < 40
    assert done.code == 0, done
    assert (done.json["pass"], done.json["not_checked"]) == (40, 0)
    # What came in the last second, and what was on the wire.
    assert heard - 15 <= done.json["known"] <= heard
    assert done.json["known"] > 0
    assert done.json["asked"] == 40 - done.json["known"]


def test_a_file_without_names_asks_only_whether_numbers_are_active(town: Town, tmp_path: Path) -> None:
    a_draft(town, tmp_path, "nameless-2026-12", [("E1", "", "256772000011", "10")])
    before = asked(town)
    assert town.momo("run", "check", "nameless-2026-12", **AT_ONCE).code == 0
    assert asked(town) == before + 1


def test_an_mtn_that_is_away_stops_the_check_and_says_how_to_go_on(town: Town, tmp_path: Path) -> None:
    a_draft(town, tmp_path, "away-2026-12", [(f"E{n}", "Ann", f"2567721{n:05d}", "5") for n in range(30)])
    at_mtn(town, "POST", "faults", {"fault": "forbidden_ip", "operation": "active"})
    try:
        stopped = town.momo("run", "check", "away-2026-12", **AT_ONCE)
        as_json = town.momo("run", "check", "away-2026-12", "--json", **AT_ONCE)
    finally:
        at_mtn(town, "DELETE", "faults")
    assert (stopped.code, as_json.code) == (3, 3), stopped
    assert "FORBIDDEN IP" in stopped.err
    assert "go on with `momo run check away-2026-12`" in stopped.err
    assert (as_json.json["not_checked"], as_json.json["asked"]) == (30, 0)


def test_without_redis_nobody_is_asked(town: Town, tmp_path: Path) -> None:
    a_draft(town, tmp_path, "noredis-2026-12", [("E1", "Ann", "256772000011", "10")])
    refused = town.momo("run", "check", "noredis-2026-12", MOMO_REDIS_URL="redis://127.0.0.1:1/0")
    assert refused.code == 3
    assert "nobody knows the pace" in refused.err


def test_refunds_have_nothing_to_check(town: Town, tmp_path: Path) -> None:
    fee = ("--key", "checked-fee", "--amount", "7.00", "--currency", "EUR", "--msisdn", "256772123456")
    assert town.momo("collect", *fee, "--wait", "60").code == 0
    file = tmp_path / "refunds.csv"
    file.write_text("refund of,amount\nchecked-fee,3.00\nno-such-fee,1.00\n", encoding="utf-8")
    unknown = town.momo("run", "import", str(file), "--operation", "refund", "--name", "refunds-2026-12")
    assert unknown.code == 1
    assert "line 3, collection: 'no-such-fee' is no payment of this account" in unknown.err
    file.write_text("refund of,amount\nchecked-fee,3.00\n", encoding="utf-8")
    made = town.momo("run", "import", str(file), "--operation", "refund", "--name", "refunds-2026-12")
    assert made.code == 0, made
    refused = town.momo("run", "check", "refunds-2026-12")
    assert refused.code == 1
    assert "nothing to check" in refused.err


def test_no_log_names_anybody(town: Town, tmp_path: Path, people: list[tuple[str, str, str, str]]) -> None:
    a_draft(town, tmp_path, "quiet-2026-12", people)
    told = town.momo("run", "check", "quiet-2026-12", MOMO_LOG_LEVEL="DEBUG", **AT_ONCE)
    assert told.code == 1
    for where in (told.err, town.log_path.read_text(encoding="utf-8")):
        for word in ("Okello", "OKELLO", "Brigitte", "Mbarga", "256772000003"):
            assert word not in where
    unknown = town.momo("run", "check", "no-such-run")
    assert unknown.code == 1
    assert "has no run no-such-run" in unknown.err
