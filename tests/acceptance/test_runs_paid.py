"""A salary run as people type it, from the file to its end: keys, signatures, a trial, kill -9 in the middle, a cell that was changed."""

import csv
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.command_line import Answer, Town, momo, running_town
from tests.support.waiting import eventually

QUICK = {
    "MOMO_RULES__CALL_DEADLINE_SECONDS": "3",
    "MOMO_RULES__LEASE_SECONDS": "7",
    "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": "1",
    "MOMO_RULES__FIRST_LOOK_UNKNOWN_SECONDS": "1",
    "MOMO_PACE__SEND_APART_MS": "20",
}
PASSPHRASE = "correct horse battery staple"
CONFIG = Path(__file__).resolve().parents[2] / "config"
ROWS = 60


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose people have keys before its worker starts: boss and cfo approve, officer makes."""
    top = tmp_path_factory.mktemp("bank")
    config, home = top / "config", top / "simulator"
    shutil.copytree(CONFIG, config)
    home.mkdir()
    (top / "passphrase").write_text(f"{PASSPHRASE}\n", encoding="utf-8")
    settings = {**QUICK, "MOMO_CONFIG": str(config)}
    first = momo("approver", "add", "boss", "--first", *under(top), home=home, **settings)
    assert first.code == 0, first
    with running_town(top, **settings) as running:
        for name, role in (("officer", "maker"), ("cfo", "approver")):
            assert running.momo("approver", "add", name, "--role", role, *under(top)).code == 0
            assert running.momo("approver", "sign-in", name, "--as", "boss", *under(top)).code == 0
        yield running


def under(top: Path) -> tuple[str, str]:
    return "--passphrase-file", str(top / "passphrase")


def a_csv(town: Town, name: str, prefix: str, count: int, *, least: int = 10) -> str:
    path = town.top / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = [(f"{prefix}{n}", f"Person {n}", f"4673312{n:04d}", f"{least + n}.50") for n in range(count)]
        csv.writer(out).writerows([("staff no", "name", "phone", "amount"), *rows])
    return str(path)


def sign(town: Town, verb: str, name: str, who: str) -> Answer:
    return town.momo("run", verb, name, "--as", who, *under(town.top))


def moved(town: Town, prefix: str) -> Counter[str]:
    """What the simulator says it paid, by our row ids: its own count, and not ours."""
    record = requests.get(f"{town.simulator}/_simulator/movements", timeout=10).json()
    return Counter(one["external_id"] for one in record["movements"] if one["external_id"].startswith(prefix))


def standing(town: Town, name: str) -> dict[str, Any]:
    found: dict[str, Any] = town.momo("run", "watch", name, "--once", "--json").json
    return found


def test_a_run_is_signed_tried_released_killed_and_everybody_is_paid_once(bank: Town) -> None:
    file = a_csv(bank, "salaries", "S", ROWS)
    name = "salary-2026-12"
    made = bank.momo("run", "import", file, "--name", name, "--expect-count", str(ROWS), "--by", "officer")
    early = bank.momo("run", "release", name)
    unsubmitted = sign(bank, "approve", name, "boss")
    submitted = sign(bank, "submit", name, "officer")
    wrong_side = sign(bank, "approve", name, "officer")
    approved = sign(bank, "approve", name, "boss")
    assert (made.code, early.code, unsubmitted.code, submitted.code, wrong_side.code, approved.code) == (
        0,
        1,
        1,
        0,
        1,
        0,
    )
    assert "nobody has approved" in early.err
    assert "isn't submitted yet" in unsubmitted.err
    assert "is a maker and can't sign as approver" in wrong_side.err
    assert f"momo run release {name}" in approved.out

    trial = bank.momo("run", "release", name, "--first", "3", "--by", "boss")
    again = bank.momo("run", "release", name, "--first", "3", "--by", "boss")
    assert (trial.code, again.code) == (0, 1)
    assert "rows 1 to 3 of 60" in trial.out
    assert "is released already" in again.err
    eventually(lambda: standing(bank, name)["ended"] == 3, within_seconds=60)
    assert moved(bank, "S") == Counter({f"S{n}": 1 for n in range(3)})

    assert bank.momo("run", "release", name, "--by", "boss").code == 0
    for part in ("pump-1", "worker-1"):
        eventually(lambda: standing(bank, name)["handed_over"] > 3, within_seconds=60)
        os.kill(bank.pid_of(part), signal.SIGKILL)
    watched = bank.momo("run", "watch", name, "--seconds", "200", "--json")
    assert watched.code == 0, (watched, standing(bank, name))
    assert watched.json["states"]["successful"]["rows"] == ROWS
    assert moved(bank, "S") == Counter({f"S{n}": 1 for n in range(ROWS)})
    assert standing(bank, name)["state"] == "settled"
    same = bank.momo("run", "import", file, "--name", name)
    assert "The same run as before" in same.out


def test_a_cell_that_is_changed_after_the_approval_pays_nobody(bank: Town) -> None:
    name = "bonus-2026-12"
    bank.momo("run", "import", a_csv(bank, "bonus", "B", 4), "--name", name, "--by", "officer")
    bank.momo("run", "answer", name, "--text", "bonus beside the salary")
    assert sign(bank, "submit", name, "officer").code == 0
    assert sign(bank, "approve", name, "boss").code == 0
    with closing(sqlite3.connect(bank.home / "momo.db")) as ledger, ledger:
        changed = ledger.execute("UPDATE run_row SET msisdn = '46733999999' WHERE key = ?", (f"run/{name}/B2/1",))
        assert changed.rowcount == 1
    assert bank.momo("run", "release", name, "--by", "boss").code == 0
    watched = bank.momo("run", "watch", name, "--seconds", "120", "--json")
    assert (watched.code, watched.json["state"], watched.json["held"]) == (0, "completed", 1)
    assert moved(bank, "B") == Counter({"B0": 1, "B1": 1, "B3": 1})
    held = bank.momo("payment", "list", "--state", "held", "--json").json
    assert [one["held_cause"] for one in held] == ["tampered"]


def test_a_paused_run_waits_and_a_cancelled_one_spares_its_rows(bank: Town) -> None:
    name = "fees-2026-12"
    bank.momo("run", "import", a_csv(bank, "fees", "F", 5), "--name", name, "--by", "officer")
    bank.momo("run", "answer", name, "--text", "checked")
    assert sign(bank, "submit", name, "officer").code == 0
    assert sign(bank, "approve", name, "cfo").code == 0
    paused = bank.momo("run", "pause", name, "--reason", "wrong list", "--by", "boss")
    later = bank.momo("run", "release", name, "--at", "2d", "--by", "boss")
    open_again = bank.momo("run", "reopen", name, "--reason", "wrong list")
    no_reason = bank.momo("run", "cancel", name)
    cancelled = bank.momo("run", "cancel", name, "--reason", "wrong list", "--by", "boss", "--json")
    assert (paused.code, later.code, open_again.code, no_reason.code, cancelled.code) == (0, 0, 1, 2, 0)
    assert "this run is paused (wrong list). `momo run resume fees-2026-12 --reason …` lifts that" in later.out
    assert "`momo run cancel fees-2026-12` ends what isn't sent" in open_again.err
    assert (cancelled.json["state"], cancelled.json["never_handed_over"]) == ("cancelled", 5)
    assert moved(bank, "F") == Counter()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("approver", "add", "Ada"), 2, "is no name"),
        (("approver", "add", "boss"), 1, "boss is there already"),
        (("approver", "add", "eve", "--role", "king"), 2, "--role is 'king'"),
        (("approver", "add", "eve", "--first"), 2, "that is boss already"),
        (("approver", "sign-in", "nobody", "--as", "boss"), 1, "has no nobody"),
        (("approver", "sign-in", "cfo", "--as", "boss"), 1, "counts already"),
        (("run", "approve", "no-such-run", "--as", "boss"), 1, "has no run no-such-run"),
        (("run", "approve", "salary-2026-12"), 2, "--as is missing"),
        (("run", "release", "salary-2026-12", "--at", "tomorrow"), 2, "--at is 'tomorrow'"),
        (("run", "resume", "salary-2026-12", "--reason", "x"), 1, "isn't paused"),
    ],
)
def test_what_cant_be_done_is_said_with_what_to_do(bank: Town, words: tuple[str, ...], code: int, said: str) -> None:
    more = under(bank.top) if words[1] in ("add", "sign-in", "approve") else ()
    answer = bank.momo(*words, *more)
    assert (answer.code, said in answer.err) == (code, True), answer


def test_a_wrong_passphrase_signs_nothing(bank: Town) -> None:
    wrong = bank.top / "wrong"
    wrong.write_text("not the passphrase", encoding="utf-8")
    bank.momo("run", "import", a_csv(bank, "late", "L", 2), "--name", "late-2026-12", "--by", "officer")
    bank.momo("run", "answer", "late-2026-12", "--text", "checked")
    answer = bank.momo("run", "submit", "late-2026-12", "--as", "officer", "--passphrase-file", str(wrong))
    assert answer.code == 1
    assert "doesn't open with this passphrase" in answer.err
    assert bank.momo("run", "show", "late-2026-12", "--json").json["state"] == "draft"


def paid_run(town: Town, name: str, file: str) -> None:
    """From the file to its end."""
    assert town.momo("run", "import", file, "--name", name, "--by", "officer").code == 0
    town.momo("run", "answer", name, "--text", "checked")
    assert sign(town, "submit", name, "officer").code == 0
    assert sign(town, "approve", name, "boss").code == 0
    assert town.momo("run", "release", name, "--by", "boss").code == 0
    assert town.momo("run", "watch", name, "--seconds", "120").code == 0


def test_a_run_is_reported_and_what_failed_is_corrected_in_a_run_of_its_own(bank: Town) -> None:
    name, again = "prize-2026-12", "prize-2026-12-again"
    fault = {"fault": "fail", "external_id": "P1", "code": "PAYEE_NOT_FOUND", "count": 1}
    requests.post(f"{bank.simulator}/_simulator/faults", json=fault, timeout=10).raise_for_status()
    paid_run(bank, name, a_csv(bank, "prizes", "P", 3))
    files = {form: str(bank.top / f"prizes.report.{form}") for form in ("csv", "html", "xlsx")}
    words = [word for form, path in files.items() for word in (f"--{form}", path)]
    told = bank.momo("run", "report", name)
    written = bank.momo("run", "report", name, *words, "--json")
    over = bank.momo("run", "report", name, "--csv", files["csv"])
    forced = bank.momo("run", "report", name, "--csv", files["csv"], "--full", "--force")
    assert (told.code, written.code, over.code, forced.code) == (0, 0, 1, 0), (told, written, over, forced)
    assert f"momo run follow-up {name} --file" in told.out
    over_now = bank.momo("run", "reopen", name, "--reason", "again")
    assert "is settled and can't be opened again: it is over" in over_now.err
    assert "failed: the receiver's number has no MTN wallet (check the number" in told.out
    assert (written.json["states"]["successful"]["rows"], written.json["reasons"][0]["code"]) == (2, "PAYEE_NOT_FOUND")
    assert "--force" in over.err
    with Path(files["csv"]).open(encoding="utf-8-sig", newline="") as report:
        assert [(row["id"], row["state"]) for row in csv.DictReader(report)] == [
            ("P0", "paid"),
            ("P1", "failed"),
            ("P2", "paid"),
        ]
    assert "46733120001" not in told.out + Path(files["html"]).read_text("utf-8")

    retry = str(bank.top / "retry.csv")
    followed = bank.momo("run", "follow-up", name, "--file", retry)
    nothing = bank.momo("run", "follow-up", "salary-2026-12", "--file", str(bank.top / "none.csv"))
    assert (followed.code, nothing.code) == (0, 1), (followed, nothing)
    assert f"momo run import {retry} --name {again}" in followed.out
    assert not (bank.top / "none.csv").exists()
    paid_run(bank, again, retry)
    assert bank.momo("run", "show", again, "--json").json["follows_up"] == f"1 row of {name}"
    assert moved(bank, "P") == Counter({"P0": 1, "P1": 1, "P2": 1})
    assert bank.momo("run", "follow-up", name, "--file", str(bank.top / "none.csv")).code == 1


def test_a_run_is_proven_to_somebody_who_has_nothing_of_ours(bank: Town) -> None:
    pack = bank.top / "bonus.zip"
    paid_run(bank, "proven-2026-12", a_csv(bank, "proven", "V", 3))
    written = bank.momo("run", "proof", "proven-2026-12", "--file", str(pack))
    again = bank.momo("run", "proof", "proven-2026-12", "--file", str(pack))
    verified = bank.momo("run", "verify", str(pack), "--json")
    assert (written.code, again.code, verified.code) == (0, 1, 0), (written, again, verified)
    assert "whole phone numbers stand in it" in written.out
    assert "first approver: boss:" in written.out
    assert (verified.json["holds"], verified.json["states"]["successful"][0]) == (True, 3)
    with zipfile.ZipFile(pack) as whole:
        files = {name: whole.read(name) for name in whole.namelist()}
    (bank.top / "verify.py").write_bytes(files["verify.py"])
    alone = subprocess.run(
        [sys.executable, "-I", "verify.py", pack.name], cwd=bank.top, capture_output=True, text=True, check=False
    )
    assert (alone.returncode, "All of it holds" in alone.stdout) == (0, True), alone
    with zipfile.ZipFile(bank.top / "changed.zip", "w") as changed:
        for name, data in files.items():
            changed.writestr(
                name,
                data.replace(b'\\"amount\\":\\"10.50', b'\\"amount\\":\\"90.50', 1) if name == "rows.jsonl" else data,
            )
    refused = bank.momo("run", "verify", str(bank.top / "changed.zip"))
    assert refused.code == 1
    assert "1 things" not in refused.err
    assert "WRONG: rows.jsonl, line 1: isn't the row that was signed" in refused.out

    unsigned = bank.momo("run", "proof", "late-2026-12", "--file", str(bank.top / "late.zip"))
    nameless = bank.momo("run", "proof", "proven-2026-12")
    missing = bank.momo("run", "verify", str(bank.top / "none.zip"))
    no_pack = bank.momo("run", "verify", str(bank.top / "verify.py"), "--json")
    assert (unsigned.code, nameless.code, missing.code, no_pack.code) == (1, 2, 2, 1)
    assert "is no proof pack" in no_pack.err
    assert (no_pack.json["holds"], len(no_pack.json["problems"])) == (False, 1)
    assert "has signed" in unsigned.err


def test_the_proof_of_a_run_whose_row_was_changed_names_that_row(bank: Town) -> None:
    written = bank.momo("run", "proof", "bonus-2026-12", "--file", str(bank.top / "changed-cell.zip"))
    assert written.code == 1
    assert "WRONG: rows.jsonl, line 3: isn't the row that was signed" in written.out
    assert [line for line in written.out.splitlines() if line.startswith("WRONG")][1:] == []


def wallet(town: Town, amount: str) -> None:
    """What MTN has in the disbursement wallet from now on."""
    told = {"account": "sandbox", "product": "disbursement", "amount": amount}
    requests.post(f"{town.simulator}/_simulator/balances", json=told, timeout=10).raise_for_status()


def test_a_run_without_money_stops_itself_and_goes_on_when_there_is_some(bank: Town) -> None:
    name = "broke-2026-12"
    bank.momo("run", "import", a_csv(bank, "broke", "K", 8, least=100), "--name", name, "--by", "officer")
    bank.momo("run", "answer", name, "--text", "checked")
    assert sign(bank, "submit", name, "officer").code == 0
    assert sign(bank, "approve", name, "cfo").code == 0
    wallet(bank, "5.00")
    assert bank.momo("run", "release", name, "--by", "boss").code == 0
    eventually(lambda: bool(standing(bank, name)["pauses"]), within_seconds=60)
    paused = standing(bank, name)
    assert paused["handed_over"] == 0
    assert "the account has 5.00 EUR" in paused["pauses"][0]

    # Somebody fills the wallet and lets it go on, and somebody else empties it before the rows leave.
    wallet(bank, "1000.00")
    bank.momo("pause", "--account", "default", "--reason", "while the test empties the wallet")
    assert bank.momo("run", "resume", name, "--reason", "funded", "--by", "boss").code == 0
    assert bank.momo("resume", "--account", "default", "--reason", "go on").code == 0
    eventually(lambda: standing(bank, name)["handed_over"] == 8, within_seconds=60)
    watched = bank.momo("run", "watch", name, "--seconds", "120", "--json")
    assert (watched.code, watched.json["states"]["successful"]["rows"]) == (0, 8)
    assert moved(bank, "K") == Counter({f"K{n}": 1 for n in range(8)})


def test_rows_that_failed_for_want_of_money_are_tried_again_by_a_persons_word(bank: Town) -> None:
    name = "short-2026-12"
    bank.momo("run", "import", a_csv(bank, "short", "W", 8, least=200), "--name", name, "--by", "officer")
    bank.momo("run", "answer", name, "--text", "checked")
    assert sign(bank, "submit", name, "officer").code == 0
    assert sign(bank, "approve", name, "cfo").code == 0
    wallet(bank, "9000.00")
    for number in range(6):
        fault = {"fault": "fail", "external_id": f"W{number}", "code": "NOT_ENOUGH_FUNDS", "count": 1}
        requests.post(f"{bank.simulator}/_simulator/faults", json=fault, timeout=10).raise_for_status()
    assert bank.momo("run", "release", name, "--by", "boss").code == 0
    eventually(lambda: standing(bank, name)["states"].get("failed", {}).get("rows") == 6, within_seconds=90)
    assert moved(bank, "W") == Counter({"W6": 1, "W7": 1})
    again = bank.momo("run", "resume", name, "--reason", "funded", "--again-unfunded", "--by", "boss", "--json")
    assert (again.code, again.json["tried_again"], again.json["not_tried_again"]) == (0, 6, {}), again
    eventually(lambda: standing(bank, name)["state"] == "settled", within_seconds=90)
    assert standing(bank, name)["states"] == {"successful": {"rows": 8, "amount": "1632.00", "final": True}}
    assert moved(bank, "W") == Counter({f"W{n}": 1 for n in range(8)})
    twice = bank.momo("run", "resume", name, "--reason", "once more", "--again-unfunded", "--json")
    assert twice.code == 1
    assert "no row of it failed for want of money" in twice.err
