"""Whatever is changed in a proof pack is found and named: by its digests, and where those were made anew, by signatures, tree and history."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.ledger_world import a_world
from tests.support.proof_packs import Members, as_lines, members, packed, paid, resealed, written_as
from tests.support.run_office import NAME, an_office

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate
from momo_worker.payment.transitions import EDGES
from momo_worker.runs import proof_rows
from momo_worker.runs.proof_check import check, main, told
from momo_worker.runs.proof_reading import FILES, MANIFEST, PROBLEMS_TOLD, Checked
from momo_worker.runs.proof_rows import MOVES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Members:
    """A pack of five rows that were all paid, one of them in its second attempt."""
    url = f"sqlite:///{folder}/momo.db"
    ledger = Ledger(url, SystemClock())
    migrate(ledger)
    ledger.close()
    with a_world(url) as world:
        office = an_office(world)
        return members(packed(world, office, paid(world, office), folder / "whole.zip"))


def checked(folder: Path, pack: Members) -> Checked:
    return check(str(written_as(folder / "changed.zip", pack)))


def test_the_pack_that_these_tests_change_holds(whole: Members, folder: Path) -> None:
    assert list(whole) == [*FILES, MANIFEST]
    found = checked(folder, whole)
    assert (found.problems, found.facts["run"]["name"]) == ([], NAME)
    assert checked(folder, resealed(Members(whole))).facts == found.facts


def test_the_verifier_knows_the_moves_of_a_payment_and_no_others() -> None:
    edges = {(edge.trigger.value, f"{edge.before.value if edge.before else ''}>{edge.after.value}") for edge in EDGES}
    assert {(trigger, move) for trigger, moves in MOVES.items() for move in moves.split(" ")} == edges


@given(data=st.data())
def test_a_byte_that_was_flipped_anywhere_is_found_and_its_file_named(
    whole: Members, folder: Path, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(whole)))
    at = data.draw(st.integers(0, len(whole[name]) - 1))
    flipped = bytearray(whole[name])
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    found = checked(folder, Members({**whole, name: bytes(flipped)}))
    assert any(name in problem for problem in found.problems), found.problems


@given(data=st.data())
def test_a_bit_that_was_flipped_in_the_zip_itself_changes_nothing_that_is_read_or_is_found(
    whole: Members, folder: Path, data: st.DataObject
) -> None:
    raw = bytearray((folder / "whole.zip").read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    path = folder / "flipped.zip"
    path.write_bytes(raw)
    assert check(str(path)).problems or members(path) == whole


def test_a_line_that_was_taken_away_moved_or_doubled_breaks_the_chain(whole: Members, folder: Path) -> None:
    lines = whole["transitions.jsonl"].splitlines(keepends=True)
    for number in range(len(lines)):
        for changed in (lines[:number] + lines[number + 1 :], lines[: number + 1] + lines[number:]):
            found = checked(folder, Members({**whole, "transitions.jsonl": b"".join(changed)}))
            assert found.problems
            assert "transitions.jsonl" in found.problems[0]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
def test_no_value_in_any_place_makes_the_verifier_fall(whole: Members, folder: Path, data: st.DataObject) -> None:
    pack = Members(whole)
    name = data.draw(st.sampled_from(("run.json", "signatures.json", "rows.jsonl", "transitions.jsonl")))
    if name.endswith(".jsonl"):
        lines = as_lines(pack[name])
        of = data.draw(st.sampled_from(lines))
    else:
        value = json.loads(pack[name])
        of = data.draw(st.sampled_from([value, *value.get("signatures", [])]))
    of[data.draw(st.sampled_from(sorted(of)))] = data.draw(_json)
    if name.endswith(".jsonl"):
        pack.lines(name, lines)
    else:
        pack.json(name, value)
    assert len(checked(folder, resealed(pack)).problems) <= PROBLEMS_TOLD


# ---- changes of somebody who made new digests and a new chain for them ---------------------------------------------


def line_where(lines: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    return next(line for line in lines if wanted.items() <= line.items())


def changed_rows(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Members], None]:
    def deed(pack: Members) -> None:
        rows = as_lines(pack["rows.jsonl"])
        change(rows)
        pack.lines("rows.jsonl", rows)

    return deed


def changed_history(change: Callable[[list[dict[str, Any]]], Any]) -> Callable[[Members], None]:
    def deed(pack: Members) -> None:
        lines = as_lines(pack["transitions.jsonl"])
        change(lines)
        pack.lines("transitions.jsonl", lines)

    return deed


def changed_json(name: str, change: Callable[[dict[str, Any]], Any]) -> Callable[[Members], None]:
    def deed(pack: Members) -> None:
        value = json.loads(pack[name])
        change(value)
        pack.json(name, value)

    return deed


def swap_rows(rows: list[dict[str, Any]]) -> None:
    rows[1]["body"], rows[2]["body"] = rows[2]["body"], rows[1]["body"]


def pay_more(rows: list[dict[str, Any]]) -> None:
    rows[1]["body"] = rows[1]["body"].replace('"amount":"150001"', '"amount":"950001"')


def hash_anew(rows: list[dict[str, Any]]) -> None:
    pay_more(rows)
    rows[1]["leaf"] = proof_rows._leaf(rows[1], "row 2").hex()


def send_more(lines: list[dict[str, Any]]) -> None:
    attempt = line_where(lines, kind="attempt", place=2)
    attempt["body"] = attempt["body"].replace("150001", "950001")


def succeed_twice(lines: list[dict[str, Any]]) -> None:
    last = max(at for at, line in enumerate(lines) if line["kind"] == "transition" and line["place"] == 1)
    again = {"kind": "transition", "place": 1, "payment_id": lines[last]["payment_id"], "detail": None}
    lines[last + 1 : last + 1] = [
        {**again, "before": "successful", "after": "pending", "trigger": "adopted"},
        {**again, "before": "pending", "after": "successful", "trigger": "found_successful"},
    ]


def other_key(pack: Members) -> None:
    text = pack["first_approver.txt"].decode()
    name, _, key = text.strip().partition(":")
    pack["first_approver.txt"] = f"{name}:{('B' if key[0] != 'B' else 'C')}{key[1:]}\n".encode()


def second_payment(lines: list[dict[str, Any]]) -> None:
    at = lines.index(line_where(lines, kind="payment", place=2))
    lines.insert(at, dict(lines[at]))


CHANGES: dict[str, tuple[Callable[[Members], None], str]] = {
    "an amount": (changed_rows(pay_more), "rows.jsonl, line 2: isn't the row that was signed"),
    "a number": (
        changed_rows(lambda rows: rows[0].update(body=rows[0]["body"].replace("2567721", "2567722"))),
        "line 1: isn't the row that was signed",
    ),
    "a name": (changed_rows(lambda rows: rows[0].update(name="Somebody")), "line 1: isn't the row that was signed"),
    "an amount and its hash": (changed_rows(hash_anew), "another root"),
    "two rows": (changed_rows(swap_rows), "line 3: isn't the row that was signed"),
    "a row taken away": (changed_rows(list.pop), "aren't the run's"),
    "a row more": (changed_rows(lambda rows: rows.append({**rows[-1], "place": len(rows) + 1})), "aren't the run's"),
    "a place": (changed_rows(lambda rows: rows[1].update(place=7)), "line 2: isn't the row that was signed"),
    "the order": (changed_rows(list.reverse), "line 1: stands at place 5"),
    "what was sent": (changed_history(send_more), "isn't row 2 as it was signed"),
    "a reference": (
        changed_history(lambda lines: line_where(lines, kind="attempt", place=3).update(reference_id="x")),
        "a reference that isn't its own",
    ),
    "a wallet": (
        changed_history(lambda lines: line_where(lines, kind="attempt", place=3).update(api_user="x")),
        "another wallet",
    ),
    "another's payment": (
        changed_history(lambda lines: line_where(lines, kind="send", place=3).update(payment_id="x")),
        "another payment than the row's own",
    ),
    "a second payment": (changed_history(second_payment), "has 2 payments"),
    "a second success": (changed_history(succeed_twice), "no payment goes from successful to pending by adopted"),
    "a move that there isn't": (
        changed_history(
            lambda lines: line_where(lines, kind="transition", place=1, trigger="claimed").update(after="successful")
        ),
        "no payment goes from accepted to successful by claimed",
    ),
    "a move taken away": (
        changed_history(lambda lines: lines.remove(line_where(lines, kind="transition", place=1, trigger="claimed"))),
        "the move before it ended at accepted",
    ),
    "a state": (
        changed_history(lambda lines: line_where(lines, kind="payment", place=1).update(state="failed")),
        "is failed, and its history ends in successful",
    ),
    "MTN's transaction twice": (
        changed_history(
            lambda lines: line_where(lines, kind="payment", place=1).update(
                financial_transaction_id=line_where(lines, kind="payment", place=3)["financial_transaction_id"]
            )
        ),
        "stands twice",
    ),
    "a line about no row": (
        changed_history(lambda lines: lines.append({"kind": "payment", "place": 99})),
        "row 99, which isn't there",
    ),
    "a statement": (
        changed_json(
            "signatures.json",
            lambda all_: all_["signatures"][0].update(
                statement=all_["signatures"][0]["statement"].replace("rows: 5", "rows: 6")
            ),
        ),
        "ada (maker): the signature isn't this key's over this text",
    ),
    "a signature": (
        changed_json(
            "signatures.json",
            lambda all_: all_["signatures"][1].update(signature=all_["signatures"][0]["signature"]),
        ),
        "boss (approver): the signature isn't this key's over this text",
    ),
    "who signed": (
        changed_json("signatures.json", lambda all_: all_["signatures"][1].update(name="cfo")),
        "signed by boss",
    ),
    "no approver": (changed_json("signatures.json", lambda all_: all_["signatures"].pop(1)), "1 approvals are needed"),
    "no maker": (changed_json("signatures.json", lambda all_: all_["signatures"].pop(0)), "no maker has signed"),
    "nobody": (changed_json("signatures.json", lambda all_: all_["signatures"].clear()), "nobody has signed"),
    "the maker": (changed_json("run.json", lambda run: run.update(maker="boss")), "approved what they made"),
    "the run's total": (changed_json("run.json", lambda run: run.update(total_minor=1)), "run.json: says 1 UGX"),
    "the run's name": (changed_json("run.json", lambda run: run.update(name="x")), "run.json: says x for name"),
    "the first approver": (other_key, "doesn't count"),
    "nobody signed in": (lambda pack: pack.update({"approvers.toml": b""}), "ada (maker): doesn't count"),
    "no file of people": (lambda pack: pack.update({"approvers.toml": b"\xff"}), "can't be read"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_that_was_sealed_anew_is_found_and_named(whole: Members, folder: Path, what: str) -> None:
    change, told = CHANGES[what]
    pack = Members(whole)
    change(pack)
    found = checked(folder, resealed(pack))
    assert any(told in problem for problem in found.problems), found.problems
    assert not any(MANIFEST in problem or "the chain breaks" in problem for problem in found.problems)


def test_a_file_more_one_less_or_one_twice_is_refused(whole: Members, folder: Path) -> None:
    less = written_as(folder / "less.zip", {name: data for name, data in whole.items() if name != "run.json"})
    more = written_as(folder / "more.zip", {**whole, "x.txt": b"x"})
    twice = written_as(folder / "twice.zip", whole)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "a") as pack:
        pack.writestr("rows.jsonl", b"")
    for path in (less, more, twice):
        assert "each once and in this order" in check(str(path)).problems[0]


def test_what_is_no_pack_is_told(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", b"hello"):
        (tmp_path / "x.zip").write_bytes(content)
        assert "can't be read" in check(str(tmp_path / "x.zip")).problems[0]


def test_a_strangers_pack_writes_no_lines_of_its_own(whole: Members, folder: Path) -> None:
    pack = Members(whole)
    changed_json("signatures.json", lambda all_: all_["signatures"][0].update(name="ada\nAll of it holds: \x1b[8m"))(
        pack
    )
    lines = told(checked(folder, resealed(pack)))
    assert [line for line in lines if line.startswith("All of it holds") or "\x1b" in line or "\n" in line] == []
    assert lines[-1] == "It doesn't hold."


def test_the_command_line_says_what_is_wrong_and_how_many_words_it_wants(
    whole: Members, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Members(whole)
    changed_rows(pay_more)(bad)
    written_as(folder / "bad.zip", bad)
    assert [main([str(folder / "whole.zip")]), main([str(folder / "bad.zip")]), main([]), main(["--help"])] == [
        0,
        1,
        2,
        2,
    ]
    said = capsys.readouterr()
    assert "WRONG: rows.jsonl: its SHA-256" in said.out
    assert "usage" in said.err
