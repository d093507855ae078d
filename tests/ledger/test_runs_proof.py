"""Proof packs of runs in the ledger: whole ones hold, also for their own verify.py without us; on both databases."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.ledger_world import World, an_account
from tests.support.proof_packs import as_lines, members, packed, paid, written_as
from tests.support.run_office import Office, an_office
from tests.support.run_story import REFUSED, TAMPERED, a_story

from momo_worker.ledger import run_checks, run_outcomes
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_checks import CheckVerdict, RowCheck
from momo_worker.runs.proof import NoProofError, verifier
from momo_worker.runs.proof_check import check


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def test_a_whole_pack_holds_and_says_what_it_is_about(world: World, office: Office, tmp_path: Path) -> None:
    run = paid(world, office)
    found = check(str(packed(world, office, run, tmp_path / "a.zip")))
    assert (found.problems, found.remarks) == ([], [])
    assert found.facts["states"] == {"successful": [5, run.total_minor]}
    assert found.facts["signed_by"] == {"maker": ["ada"], "approver": ["boss"]}
    assert found.facts["first_approver"] == f"boss:{office.people.counted['boss'].key}"


def test_the_same_ledger_gives_the_same_bytes(world: World, office: Office, tmp_path: Path) -> None:
    run = paid(world, office)
    first = packed(world, office, run, tmp_path / "a.zip").read_bytes()
    world.clock.on(86_400)
    assert packed(world, office, run, tmp_path / "b.zip").read_bytes() == first


def test_a_run_in_which_everything_happened_holds_and_its_oddities_are_remarks(
    world: World, office: Office, tmp_path: Path
) -> None:
    run = a_story(world, office)
    path = packed(world, office, run, tmp_path / "a.zip")
    found = check(str(path))
    assert found.problems == []
    assert found.remarks == [f"rows.jsonl, line {TAMPERED + 1}: is held for a person (tampered)"]
    states = {state: count for state, (count, _) in found.facts["states"].items()}
    assert states == {"successful": 2, "failed": 1, "rejected": 1, "held": 1, "cancelled": 1, "no payment": 3}
    lines = as_lines(members(path)["transitions.jsonl"])
    assert [line["errors"] for line in lines if line["kind"] == "rejected" and line["place"] == REFUSED + 1]
    assert not any("callback" in json.dumps(line) for line in lines), "the callback's path stays a secret"


def test_a_pack_says_for_which_rows_somebody_answers_against_the_check(
    world: World, office: Office, tmp_path: Path
) -> None:
    run = paid(world, office)
    with world.ledger.write() as tx:
        run_checks.keep_checks(tx, run.id, [RowCheck(2, CheckVerdict.BLOCK, "other", 20, "NAKATO")])
        run_checks.override(tx, run.id, 2, reason="her sister's phone", by="ada")
        at_ms = tx.now_ms
    path = packed(world, office, run, tmp_path / "a.zip")
    assert check(str(path)).problems == []
    (told,) = json.loads(members(path)["run.json"])["overrides"]
    assert told == {
        "place": 2,
        "verdict": "block",
        "why": "other",
        "name_at_mtn": "NAKATO",
        "reason": "her sister's phone",
        "by": "ada",
        "at_ms": at_ms,
    }


def test_the_packs_own_verifier_needs_nothing_of_ours(world: World, office: Office, tmp_path: Path) -> None:
    path = packed(world, office, paid(world, office), tmp_path / "a.zip")
    (tmp_path / "verify.py").write_bytes(members(path)["verify.py"])
    assert members(path)["verify.py"].decode() == verifier()
    bad = written_as(tmp_path / "b.zip", {**members(path), "rows.jsonl": b""})
    # -I: neither this folder's packages nor PYTHONPATH; and ours is forbidden by name.
    guard = "import sys, runpy; sys.modules['momo_worker'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    ran = [
        subprocess.run(
            [sys.executable, "-I", "-c", guard, "verify.py", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (["a.zip"], [str(bad)], [])
    ]
    assert [one.returncode for one in ran] == [0, 1, 2], ran
    assert "All of it holds" in ran[0].stdout
    assert "WRONG: rows.jsonl" in ran[1].stdout
    assert "Traceback" not in "".join(one.stderr for one in ran)


def test_a_run_that_nobody_signed_has_no_proof(world: World, office: Office, tmp_path: Path) -> None:
    with pytest.raises(NoProofError, match="nobody has signed"):
        packed(world, office, office.draft().run, tmp_path / "a.zip")


def test_an_account_that_got_another_api_user_later_still_has_its_proof(
    world: World, office: Office, tmp_path: Path
) -> None:
    run = paid(world, office)
    account = world.parts.accounts["default"]
    moved = {product: replace(keys, api_user="another") for product, keys in account.credentials.items()}
    world.parts = replace(world.parts, accounts={"default": an_account(credentials=moved)})
    assert check(str(packed(world, office, run, tmp_path / "a.zip"))).problems == []


def test_what_was_changed_in_the_ledger_shows_in_the_pack(world: World, office: Office, tmp_path: Path) -> None:
    run = paid(world, office)
    changes = {
        "rows.jsonl, line 2: isn't the row that was signed": "UPDATE run_row SET amount_minor = amount_minor + 1 WHERE place = 2",
        "isn't row 3 as it was signed": "UPDATE attempt SET body = (SELECT body FROM attempt ORDER BY body DESC LIMIT 1) "
        "WHERE payment_id = (SELECT id FROM payment WHERE idempotency_key LIKE '%/E2/1')",
        "has no history": "DELETE FROM transition WHERE payment_id = (SELECT id FROM payment WHERE idempotency_key LIKE '%/E3/1')",
        "the signature isn't this key's": "UPDATE run_signature SET signed_at_ms = signed_at_ms - 1 WHERE role = 'approver'",
    }
    for told, sql in changes.items():
        assert world.write(sql) > 0
        found = check(str(packed(world, office, run, tmp_path / "a.zip")))
        assert any(told in problem for problem in found.problems), (told, found.problems)


def test_requests_that_a_later_release_would_write_otherwise_are_proven_as_they_left(
    world: World, office: Office, tmp_path: Path
) -> None:
    run = paid(world, office)
    render = world.parts.render
    world.parts = replace(
        world.parts, render=lambda *of, **by: replace(render(*of, **by), path="/disbursement/v2/transfer")
    )
    path = packed(world, office, run, tmp_path / "a.zip")
    assert check(str(path)).problems == []
    assert {row["path"] for row in as_lines(members(path)["rows.jsonl"])} == {"/disbursement/v1_0/transfer"}


def test_a_worker_that_goes_on_while_the_pack_is_written_doesnt_tear_it(
    world: World, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = office.released()
    office.feeder().feed()
    histories = run_outcomes.histories
    turns = [world.beside().turn] * 2

    def meanwhile(tx: Tx, ids: Sequence[str]) -> run_outcomes.Histories:
        if turns:
            turns.pop()()
        return histories(tx, ids)

    monkeypatch.setattr(run_outcomes, "histories", meanwhile)
    found = check(str(packed(world, office, run, tmp_path / "a.zip")))
    assert (turns, found.problems) == ([], [])
