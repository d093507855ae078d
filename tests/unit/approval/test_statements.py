"""The signed text names everything, and any fact that differs from it takes the permission away."""

from dataclasses import fields, replace
from typing import Any

import pytest

from momo_worker.approval.leaves import Leaf
from momo_worker.approval.people import Entry, People, Role, SignIn, who_counts
from momo_worker.approval.signing import new_key, public_text, sign
from momo_worker.approval.statements import Signature, Terms, permission

KEYS = {name: new_key() for name in ("boss", "cfo", "ada")}
TERMS = Terms("ns", "id", "salary", "disburse", "default", "pin", 3, 300, "UGX", 0, "", 0, 1_000, 1)
ROOT = "ab" * 32


def counted() -> People:
    roles = {"boss": Role.APPROVER, "cfo": Role.APPROVER, "ada": Role.MAKER}
    entries = {name: Entry(name, role, public_text(KEYS[name])) for name, role in roles.items()}
    signed = [SignIn(name, "boss", sign(KEYS["boss"], entries[name].statement("boss"))) for name in ("cfo", "ada")]
    return who_counts(entries["boss"], [entries["cfo"], entries["ada"]], signed)


PEOPLE = counted()


def signature(
    name: str, role: Role = Role.APPROVER, *, terms: Terms = TERMS, needed: int = 1, earliest_ms: int = 0
) -> Signature:
    said = replace(terms, root=ROOT, needed=needed, earliest_ms=earliest_ms)
    return Signature(role, name, ROOT, earliest_ms, needed, 77, sign(KEYS[name], said.statement(role, name, 77)))


def allowed(*signatures: Signature, terms: Terms = TERMS, maker: str = "ada", signed: bool = True) -> str:
    return permission(terms, signatures, PEOPLE, maker=maker, signed=signed).why


MADE = signature("ada", Role.MAKER)


def test_a_maker_and_an_approver_permit_the_root_they_signed() -> None:
    found = permission(TERMS, [MADE, signature("boss")], PEOPLE, maker="ada", signed=True)
    assert (found.why, found.root, found.approvers) == ("", ROOT, ("boss",))


OPEN = {"root", "earliest_ms", "needed"}
OTHERS: dict[type, Any] = {str: "other", int: 999}


@pytest.mark.parametrize("name", [field.name for field in fields(Terms) if field.name not in OPEN])
def test_each_fact_of_the_run_is_part_of_what_is_signed(name: str) -> None:
    other = replace(TERMS, **{name: OTHERS[type(getattr(TERMS, name))]})
    assert "isn't about what the ledger holds" in allowed(MADE, signature("boss"), terms=other)


@pytest.mark.parametrize(
    "change", [{"root": "cd" * 32}, {"earliest_ms": 5}, {"needed": 0}, {"signed_at_ms": 1}, {"name": "cfo"}]
)
def test_each_fact_of_the_signature_is_part_of_it_too(change: dict[str, Any]) -> None:
    both = [
        replace(MADE, **{k: v for k, v in change.items() if k in ("root", "earliest_ms")}),
        replace(signature("boss"), **change),
    ]
    assert allowed(*both) != ""


def test_an_approval_is_no_submission_and_the_other_way_round() -> None:
    assert "isn't about" in allowed(replace(MADE, role=Role.APPROVER, name="ada"), signed=False)
    assert "hasn't signed" in allowed(signature("boss"))
    assert allowed(signature("boss"), signed=False) == ""
    assert "nobody has approved" in allowed(MADE)


@pytest.mark.parametrize("maker", ["boss", "Boss", "BOSS"])
def test_a_maker_is_never_an_approver(maker: str) -> None:
    assert "can't approve it" in allowed(MADE, signature("boss"), maker=maker)


def test_as_many_as_were_needed_when_it_was_signed() -> None:
    two = [signature("boss", needed=2), signature("cfo", needed=2)]
    assert "needs 2 approvals and has 1" in allowed(MADE, two[0])
    assert allowed(MADE, *two) == ""
    assert allowed(MADE, signature("boss"), two[1]) == "", "the strictest of them is met by both"


def test_signatures_about_different_rows_permit_neither() -> None:
    other = Signature(Role.APPROVER, "cfo", "cd" * 32, 0, 1, 77, signature("cfo").signature)
    assert "aren't about the same rows" in allowed(MADE, signature("boss"), other)


def test_somebody_unknown_is_this_processs_matter() -> None:
    found = permission(TERMS, [MADE, replace(signature("boss"), name="eve")], PEOPLE, maker="ada", signed=True)
    assert found.unknown
    assert "eve" in found.why


LEAF = Leaf(3, "run/x/1/1", "Ada", "disburse", "", "/p", b'{"amount":"1","b":{"c":"d"}}')


def test_a_leaf_reads_the_same_however_the_body_is_written_and_otherwise_when_anything_differs() -> None:
    again = replace(LEAF, body=b' { "b" : {"c":"d"}, "amount" : "1" } ')
    assert again.data() == LEAF.data()
    changes: list[dict[str, Any]] = [
        {"place": 4}, {"key": "run/x/1/2"}, {"name": "Eve"}, {"operation": "deposit"}, {"replaces": "k"}, {"path": "/q"},
        {"body": b'{"amount":"2","b":{"c":"d"}}'}, {"body": b'{"amount":1,"b":{"c":"d"}}'}, {"body": b'{"amount":"1","b":{"c":"d"},"e":""}'},
    ]  # fmt: skip
    assert len({replace(LEAF, **change).data() for change in changes} | {LEAF.data()}) == len(changes) + 1
