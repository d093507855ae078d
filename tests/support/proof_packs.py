"""Proof packs taken apart and put together again, as somebody would who wants to hide a change: files come in, a pack that is sealed anew goes out."""

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.ledger_world import World
from tests.support.run_office import Office, a_file, people
from tests.support.run_story import FAILED

from momo_worker.approval.signing import sign
from momo_worker.ledger.runs import Run
from momo_worker.payment.operator import By
from momo_worker.payment.verdict import LookAnswer, LookVerdict, RenderedRequest, Status
from momo_worker.runs.proof import People, write_proof
from momo_worker.runs.proof_check import manifest_of
from momo_worker.runs.proof_reading import FILES, MANIFEST, START, canonical
from momo_worker.steps import operator


class Members(dict[str, bytes]):
    """A pack's files by name."""

    def lines(self, name: str, values: Sequence[dict[str, Any]]) -> None:
        """Write a file of lines anew."""
        self[name] = "".join(f"{canonical(value)}\n" for value in values).encode()

    def json(self, name: str, value: dict[str, Any]) -> None:
        """Write a file of one value anew."""
        self[name] = canonical(value).encode()


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as pack:
        return Members({name: pack.read(name) for name in pack.namelist()})


def as_lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def written_as(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return path


def resealed(pack: Members) -> Members:
    """The same with a chain and a manifest that fit: nothing of it needs a key."""
    head, lines = START, []
    for line in as_lines(pack["transitions.jsonl"]):
        lines.append({**line, "previous": head})
        head = hashlib.sha256(canonical(lines[-1]).encode()).hexdigest()
    pack.lines("transitions.jsonl", lines)
    pack[MANIFEST] = manifest_of({name: hashlib.sha256(pack[name]).hexdigest() for name in FILES}, head)
    return pack


def approvers_toml(office: Office) -> bytes:
    """config/approvers.toml of an office, in which boss has signed everybody in."""
    lines = []
    for one in office.people.counted.values():
        if one.name != "boss":
            mark = sign(office.keys["boss"], one.statement("boss"))
            lines.append(f'[[approver]]\nname = "{one.name}"\nrole = "{one.role}"\nkey = "{one.key}"\n')
            lines.append(f'[[signed]]\nname = "{one.name}"\nby = "boss"\nsignature = "{mark}"\n')
    return "\n".join(lines).encode()


def packed(world: World, office: Office, run: Run, path: Path) -> Path:
    first = office.people.counted["boss"]
    write_proof(world.parts, run, People(first, approvers_toml(office), maker_signs=True), path, lambda *_: None)
    return path


def paid(world: World, office: Office, count: int = 5) -> Run:
    """A run of which everybody was paid, but for one who failed at first and was paid in the second attempt."""
    run = office.released(a_file(*people(count)), note="December")
    feeder = office.feeder()
    while feeder.feed():
        pass
    fails = {f"2567721{FAILED:05d}".encode()}

    def look(request: RenderedRequest) -> LookVerdict:
        found = LookVerdict(LookAnswer.FOUND, Status.SUCCESSFUL, "SUCCESSFUL", http_status=200)
        if any(number in request.body for number in fails):
            return replace(found, status=Status.FAILED, reason_code="NOT_ENOUGH_FUNDS")
        return replace(found, financial_transaction_id=f"mtn-{request.reference_id[:8]}")

    world.mtn.on_look = look
    victim = world.id_of(office.key_of(FAILED))
    world.run_until(lambda: world.payment(victim).state.value == "failed")
    fails.clear()
    decided = operator.retry(world.parts, victim, by=By("boss", "topped up"), seen_attempt=1)
    assert decided is not None
    assert decided.refused is None
    world.run_until(lambda: set(world.rows("SELECT state FROM payment")) == {"successful"})
    return office.run(run)
