"""The signatures in a proof pack: statements, keys and the first approver come in, what doesn't hold goes out. Writes nothing.

Part of every pack's verify.py: the standard library, `cryptography`, and nothing else of ours than `proof_reading`.
"""

import base64
import binascii
import tomllib
import zipfile
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from momo_worker.runs.proof_reading import Checked, WrongError, number_of, parsed, small, text_of, whole

# ---- people ---------------------------------------------------------------------------------------------------------


def _is_signed(public: str, text: str, signature: str) -> bool:
    try:
        raw, signed = base64.b64decode(public, validate=True), base64.b64decode(signature, validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signed, text.encode("utf-8"))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _tables(written: dict[str, Any], kind: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    tables = written.get(kind, [])
    where = f"approvers.toml, [[{kind}]]"
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise WrongError(f"{where} is no list of tables")
    return [{name: text_of(one, name, where) for name in names} for one in tables]


def _people(pack: zipfile.ZipFile, found: Checked) -> dict[str, tuple[str, str]]:
    """Role and key of everybody whom a chain of signatures reaches from the first approver."""
    try:
        first = small(pack, "first_approver.txt").decode("utf-8").removesuffix("\n")
        written = tomllib.loads(small(pack, "approvers.toml").decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise WrongError("approvers.toml or first_approver.txt can't be read") from None
    name, _, key = first.partition(":")
    found.facts["first_approver"] = first
    counted = {name: ("approver", key)}
    left = _tables(written, "approver", ("name", "role", "key"))
    signed = _tables(written, "signed", ("name", "by", "signature"))
    grew = True
    while grew:
        grew = False
        for one in left:
            is_new = one["name"] not in counted and one["key"] not in {key for _, key in counted.values()}
            if is_new and any(_lets_in(mark, one, counted) for mark in signed):
                counted[one["name"]] = (one["role"], one["key"])
                grew = True
    return counted


def _lets_in(mark: dict[str, str], one: dict[str, str], counted: dict[str, tuple[str, str]]) -> bool:
    role, key = counted.get(mark["by"], ("", ""))
    said = (
        "momo-approver-1",
        f"name: {one['name']}",
        f"role: {one['role']}",
        f"key: {one['key']}",
        f"by: {mark['by']}",
    )
    return mark["name"] == one["name"] and role == "approver" and _is_signed(key, "\n".join(said), mark["signature"])


# ---- signatures -----------------------------------------------------------------------------------------------------

_EXPONENT_MAX = 6
_RULES = {"maker": "momo-submission-1", "approver": "momo-approval-1"}
_FIELDS = ("namespace", "run", "name", "operation", "account", "pin", "imported", "rows", "total", "root", "earliest", "approvals", "by", "at")  # fmt: skip
#: What every signature under one run says alike.
_ALIKE = _FIELDS[: _FIELDS.index("approvals")]


def _said(statement: str, role: str, where: str) -> dict[str, str]:
    """A statement's fields; its lines are these and no others."""
    rule, *lines = statement.split("\n")
    parted = [line.partition(": ") for line in lines]
    if rule != _RULES.get(role) or tuple(name for name, _, _ in parted) != _FIELDS:
        raise WrongError(f"{where}: its text isn't what a {role} signs")
    return {name: value for name, _, value in parted}


def check_signatures(pack: zipfile.ZipFile, run: dict[str, Any], found: Checked) -> dict[str, str]:
    """Every signature by the key of somebody who counts; what they all say goes out."""
    people = _people(pack, found)
    given = parsed(small(pack, "signatures.json"), "signatures.json").get("signatures")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise WrongError("signatures.json: nobody has signed")
    statements: list[dict[str, str]] = []
    names: dict[str, set[str]] = {"maker": set(), "approver": set()}
    for one in given:
        name, role = text_of(one, "name", "signatures.json"), text_of(one, "role", "signatures.json")
        where = f"signatures.json, {name} ({role})"
        statement = text_of(one, "statement", where)
        said = _said(statement, role, where)
        key = people[name][1] if people.get(name, ("",))[0] == role else ""
        if not key:
            found.problem(
                f"{where}: doesn't count, no chain of signatures leads from the first approver to this person"
            )
        elif one.get("public_key") != key:
            found.problem(f"{where}: the public key isn't the one in approvers.toml")
        if not _is_signed(key or text_of(one, "public_key", where), statement, text_of(one, "signature", where)):
            found.problem(f"{where}: the signature isn't this key's over this text")
        if said["by"] != name:
            found.problem(f"{where}: the text is signed by {said['by']}")
        statements.append(said)
        names[role].add(name)
    _check_together(statements, names, run, found)
    found.facts["signed_by"] = {role: sorted(who) for role, who in names.items()}
    return statements[0]


def _check_together(
    statements: list[dict[str, str]], names: dict[str, set[str]], run: dict[str, Any], found: Checked
) -> None:
    if len({tuple(said[name] for name in _ALIKE) for said in statements}) != 1:
        found.problem("signatures.json: the signatures aren't about the same run, rows and start")
    maker = text_of(run, "maker", "run.json")
    if maker.lower() in names["approver"] or names["approver"] & names["maker"]:
        found.problem("signatures.json: somebody approved what they made")
    if run.get("maker_signs") is True and not names["maker"]:
        found.problem("signatures.json: no maker has signed")
    needed = max(whole(said["approvals"], "signatures.json, approvals") for said in statements)
    if len(names["approver"]) < max(needed, 1):
        found.problem(f"signatures.json: {needed} approvals are needed, and {len(names['approver'])} are there")
    said = statements[0]
    for name, value in of_run(run).items():
        if said[name] != value:
            found.problem(f"run.json: says {value} for {name}, and what was signed says {said[name]}")


def of_run(run: dict[str, Any]) -> dict[str, str]:
    """A run's facts, as a statement writes them. Raises WrongError."""
    where = "run.json"
    texts = {name: text_of(run, name, where) for name in ("namespace", "run", "name", "operation", "account")}
    if not 0 <= number_of(run, "exponent", where) <= _EXPONENT_MAX:
        raise WrongError(f"{where}: has an exponent that no currency has")
    money = f"{number_of(run, 'total_minor', where)} {text_of(run, 'currency', where)} (exponent {number_of(run, 'exponent', where)})"
    counts = {"imported": str(number_of(run, "imported_at_ms", where)), "rows": str(number_of(run, "rows", where))}
    return {**texts, **counts, "total": money}
