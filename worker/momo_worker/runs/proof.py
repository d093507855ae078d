"""A run's proof pack: what was signed, what was sent and what became of it go into one zip that is checked without us. Reads the ledger only.

The same ledger gives the same bytes. Phone numbers stand whole in it: it is evidence.
"""

import ast
import hashlib
import inspect
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from momo_worker.approval.leaves import Leaf
from momo_worker.approval.merkle import HASH_BYTES, is_under, leaf_hash
from momo_worker.approval.people import Entry
from momo_worker.approval.signing import is_signed
from momo_worker.approval.statements import Signature, Terms
from momo_worker.commons.entry import run_source
from momo_worker.commons.parts import Parts
from momo_worker.commons.signatures import account_pin, pin_of, terms_of
from momo_worker.ledger import intake, run_checks, run_outcomes, run_release, run_signing, runs
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_checks import RowCheck
from momo_worker.ledger.run_outcomes import Histories
from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.payment import Operation, Payment
from momo_worker.payment.reference import payment_id
from momo_worker.runs import proof_check, proof_reading, proof_rows, proof_signed
from momo_worker.runs.proof_check import manifest_of
from momo_worker.runs.proof_reading import FILES, FORMAT, MANIFEST, START, canonical
from momo_worker.runs.tree import Progress, leaves_of

#: A run whose rows move on faster than they are read is proven later.
_TRIES_MAX = 10
_WRITTEN_AT = (1980, 1, 1, 0, 0, 0)
_README = """\
The proof of one bulk run of MTN Mobile Money payments. It holds names and whole phone numbers: keep it as you keep a payroll.

python3 verify.py PACK.zip checks it with Python 3.11 or later and the package cryptography, and says what doesn't hold.

signatures.json   what people signed, word by word, with their signatures
rows.jsonl        each row and the request that was signed for it; the root over them is in what was signed
transitions.jsonl what became of each row: payment, attempts with the requests that left, sends, moves, events; each line holds
                  the SHA-256 of the line before it
approvers.toml    whose keys count, signed in one by another from first_approver.txt on
run.json          the run as it stood, and what people decided about it: also for which rows somebody answers against the check
manifest.json     the SHA-256 of each file, and of the last line of transitions.jsonl

What people signed can't be made up by anybody without their keys, if first_approver.txt is who you know it to be. The history is the
word of the ledger it was read from; that it wasn't changed since shows by the SHA-256 of manifest.json, if you noted that down.
"""


class NoProofError(Exception):
    """There is nothing to prove; says why."""


@dataclass(frozen=True, slots=True)
class People:
    """Who signs runs, as this installation has it."""

    first: Entry | None
    #: approvers.toml as it is.
    written: bytes
    maker_signs: bool


@dataclass(slots=True)
class _Pack:
    zip: zipfile.ZipFile
    digests: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def file(self, name: str) -> Iterator["_Hashed"]:
        """A member on its way, the same whenever it is written."""
        info = zipfile.ZipInfo(name, _WRITTEN_AT)
        info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
        with self.zip.open(info, "w", force_zip64=True) as out:
            hashed = _Hashed(out)
            yield hashed
        self.digests[name] = hashed.digest.hexdigest()

    def put(self, name: str, data: bytes) -> None:
        """A short member."""
        with self.file(name) as out:
            out.write(data)


class _Hashed:
    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self.digest.update(data)


def write_proof(parts: Parts, run: Run, people: People, path: Path, progress: Progress) -> None:
    """Write the pack of a run that somebody signed. Raises NoProofError, or RowsError for rows that can't be rendered any more."""
    with parts.ledger.read() as tx:
        signatures = run_signing.signatures(tx, run.id)
        facts = _facts(tx, parts, run, people)
        pins = _pins(tx, parts, run)
    if not signatures or people.first is None:
        raise NoProofError(f"nobody has signed the run {run.name}: there is nothing to prove")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        pack = _Pack(out)
        pack.put("run.json", canonical(facts).encode())
        with pack.file("rows.jsonl") as file:
            for leaf, signed in _signed_leaves(parts, run, bytes.fromhex(signatures[0].root), progress):
                file.write(f"{canonical(_row(leaf, signed))}\n".encode())
        given = [_signature(parts, run, one, pins) for one in signatures]
        pack.put("signatures.json", canonical({"signatures": given}).encode())
        pack.put("first_approver.txt", f"{people.first.name}:{people.first.key}\n".encode())
        pack.put("approvers.toml", people.written)
        with pack.file("transitions.jsonl") as file:
            head = _write_history(parts, run, file, progress)
        pack.put("README.txt", _README.encode())
        pack.put("verify.py", verifier().encode())
        pack.put(MANIFEST, manifest_of({name: pack.digests[name] for name in FILES}, head))


def _row(leaf: Leaf, signed: bytes) -> dict[str, Any]:
    """A leaf's fields, and the hash that stood in its place when the run was signed."""
    return {
        "place": leaf.place,
        "key": leaf.key,
        "name": leaf.name,
        "operation": leaf.operation,
        "replaces": leaf.replaces,
        "path": leaf.path,
        # One that somebody changed may be anything; it is shown, and isn't what was signed.
        "body": leaf.normal_body().decode("utf-8", "backslashreplace"),
        "leaf": signed.hex(),
    }


def _signed_leaves(parts: Parts, run: Run, root: bytes, progress: Progress) -> Iterator[tuple[Leaf, bytes]]:
    """Each row's leaf as it would be signed now, and the hash that was signed. Where a setting, or another release of ours, writes a
    request otherwise since, it is what left that was signed; where that isn't it either, the two differ, and the pack shows it.
    """
    ways = _ways(parts, run)
    for row, now in leaves_of(parts, run, progress):
        way, place = next(ways, b""), row.place - 1
        hashed = leaf_hash(now.data())
        if is_under(root, hashed, place, run.rows, way):
            yield now, hashed
            continue
        sent = _sent(parts, run, now)
        if _pays_the_same(now, sent) and is_under(root, leaf_hash(sent.data()), place, run.rows, way):
            yield sent, leaf_hash(sent.data())
            continue
        yield now, _beside(parts, run, place) or hashed


def _beside(parts: Parts, run: Run, place: int) -> bytes:
    """What stood at this place, from 0, when the run was signed: the first step on its neighbour's way to the root."""
    neighbour = place ^ 1
    if neighbour >= run.rows:
        return b""
    with parts.ledger.read() as tx:
        found = run_signing.paths_of(tx, run.id, after=neighbour, limit=1)
    return found[0][1][:HASH_BYTES] if found and found[0][0] == neighbour + 1 else b""


def _ways(parts: Parts, run: Run) -> Iterator[bytes]:
    after = 0
    while True:
        with parts.ledger.read() as tx:
            piece = run_signing.paths_of(tx, run.id, after=after, limit=PIECE)
        if not piece:
            return
        yield from (way for _, way in piece)
        after = piece[-1][0]


def _sent(parts: Parts, run: Run, leaf: Leaf) -> Leaf:
    """The leaf of the request that left, where one did."""
    name = payment_id(parts.namespace, run.account, leaf.key)
    with parts.ledger.read() as tx:
        attempts = run_outcomes.histories(tx, [name]).attempts.get(name, [])
    return replace(leaf, path=attempts[0]["path"], body=bytes(attempts[0]["body"])) if attempts else leaf


def _pays_the_same(one: Leaf, other: Leaf) -> bool:
    """A row whose amount or number was changed in the ledger must not hide behind what left before."""
    bodies = json.loads(one.body), json.loads(other.body)
    both = bodies[0].keys() & bodies[1].keys() & {"amount", "currency", "payee", "payer", "externalId"}
    return all(bodies[0][name] == bodies[1][name] for name in both)


def verifier() -> str:
    """verify.py: our own checks as one file, without the lines that import one part of it into another."""
    return "\n\n".join(map(_standing_alone, (proof_reading, proof_signed, proof_rows, proof_check)))


def _standing_alone(module: Any) -> str:
    source = inspect.getsource(module)
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("momo_worker"):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines) + "\n"


def _facts(tx: Tx, parts: Parts, run: Run, people: People) -> dict[str, Any]:
    release = run_release.release_of(tx, run.id)
    subject = f"run={run.name} account={run.account}"
    return {
        "format": FORMAT,
        "namespace": str(parts.namespace),
        "run": run.id,
        **{name: getattr(run, name) for name in _RUN_FIELDS},
        "maker_signs": people.maker_signs,
        "released_to": release.released_to if release else 0,
        "handed_over_to": release.fed_to if release else 0,
        "released_by": release.released_by if release else None,
        "released_at_ms": release.released_at_ms if release else None,
        "starts_at_ms": release.starts_at_ms if release else None,
        "decisions": run_outcomes.journal_of(tx, subject),
        "findings": [
            {
                "line": one.line,
                "told": one.told,
                "asked": one.asked,
                "answer": one.answer,
                "answered_by": one.answered_by,
            }
            for one in runs.findings_of(tx, run.id)
        ],
        "overrides": [_answered(one) for one in run_checks.overrides(tx, run.id, to=run.rows)],
    }


def _answered(one: RowCheck) -> dict[str, Any]:
    """A row that the check would have stopped, as whoever answers for it has seen it."""
    return {
        "place": one.place,
        "verdict": one.verdict.value,
        "why": one.why,
        "name_at_mtn": one.holder_name,
        "reason": one.override_reason,
        "by": one.overridden_by,
        "at_ms": one.overridden_at_ms,
    }


_RUN_FIELDS = (
    "name", "account", "operation", "state", "currency", "exponent", "rows", "total_minor", "note", "pay_date", "file_name", "digest",
    "maker", "imported_at_ms", "state_since_ms",
)  # fmt: skip


def _pins(tx: Tx, parts: Parts, run: Run) -> list[str]:
    """Where the money may have been when people signed: by the settings of now, and by what was sent since."""
    account = parts.accounts[run.account]
    now = account_pin(account, Operation(run.operation))
    sent = [
        pin_of(url, environment, run.currency, user) for url, environment, user in run_outcomes.sent_from(tx, run.id)
    ]
    return list(dict.fromkeys((now, *sent)))


def _signature(parts: Parts, run: Run, one: Signature, pins: Sequence[str]) -> dict[str, Any]:
    """A signature with its statement, word by word. Of several wallets it is the one that the signature is about."""
    person = parts.approvals.people().counted.get(one.name)
    key = person.key if person else ""
    texts = [_terms(parts, run, one, pin).statement(one.role, one.name, one.signed_at_ms) for pin in pins]
    text = next((text for text in texts if is_signed(key, text, one.signature)), texts[0])
    return {
        "role": one.role.value,
        "name": one.name,
        "public_key": key,
        "statement": text,
        "signature": one.signature,
        "signed_at_ms": one.signed_at_ms,
    }


def _terms(parts: Parts, run: Run, one: Signature, pin: str) -> Terms:
    return terms_of(run, parts.namespace, pin, root=one.root, earliest_ms=one.earliest_ms, needed=one.needed)


# ---- histories ------------------------------------------------------------------------------------------------------

_PAYMENT_FIELDS = (
    "state", "attempt", "reference_id", "amount_minor", "currency", "msisdn", "external_id", "financial_transaction_id", "reason_code",
    "reason_message", "held_cause", "accepted_at_ms", "state_since_ms", "source",
)  # fmt: skip
#: Not the callback's path, which nobody may guess, nor when a late look is due: that is about us and not about the money.
_KEPT = {
    "attempt": (
        "number",
        "reference_id",
        "product",
        "path",
        "body",
        "api_user",
        "target_environment",
        "base_url",
        "created_at_ms",
    ),
    "send": ("attempt", "number", "fence", "began_at_ms", "ended_at_ms", "ending", "never_left", "http_status", "code"),
    "transition": ("id", "attempt", "sequence", "before", "after", "trigger", "detail", "actor", "fence", "at_ms"),
    "event": ("id", "event_id", "type", "body", "created_at_ms", "published_at_ms"),
}


def _write_history(parts: Parts, run: Run, file: _Hashed, progress: Progress) -> str:
    """Every line about every row, in the rows' order; gives the SHA-256 of the last one."""
    head, after = START, 0
    while True:
        with parts.ledger.read() as tx:
            rows = runs.rows_of(tx, run.id, after=after, limit=PIECE)
            lines = list(_of_rows(tx, run, rows))
        if not rows:
            return head
        for line in lines:
            written = canonical({**line, "previous": head}).encode("ascii")
            file.write(written + b"\n")
            head = hashlib.sha256(written).hexdigest()
        after = rows[-1].place
        progress("proven", after, run.rows)


def _of_rows(tx: Tx, run: Run, rows: Sequence[RunRow]) -> Iterator[dict[str, Any]]:
    payments, found = _at_one_moment(tx, run, [row.key for row in rows])
    refused = run_outcomes.refused_among(tx, [run_source(run.id, row.place) for row in rows])
    told = (
        ("attempt", found.attempts),
        ("send", found.sends),
        ("transition", found.transitions),
        ("event", found.events),
    )
    for row in rows:
        payment = payments.get(row.key)
        if payment is not None:
            yield _of_payment(row, payment)
            for kind, by_payment in told:
                for one in by_payment.get(payment.id, ()):
                    yield {"kind": kind, "place": row.place, "payment_id": payment.id, **_kept(kind, one)}
        elif run_source(run.id, row.place) in refused:
            why = refused[run_source(run.id, row.place)]
            yield {"kind": "rejected", "place": row.place, "errors": why.errors, "rejected_at_ms": why.at_ms}


def _at_one_moment(tx: Tx, run: Run, keys: Sequence[str]) -> tuple[dict[str, Payment], Histories]:
    """Payments and histories that belong together: on PostgreSQL each statement sees what was committed by then, also by a worker."""
    payments = intake.by_key(tx, run.account, keys)
    for _ in range(_TRIES_MAX):
        before = payments
        found = run_outcomes.histories(tx, [payment.id for payment in before.values()])
        payments = intake.by_key(tx, run.account, keys)
        if payments == before:
            break
    return before, found


def _of_payment(row: RunRow, payment: Payment) -> dict[str, Any]:
    facts = {name: getattr(payment, name) for name in _PAYMENT_FIELDS}
    return {"kind": "payment", "place": row.place, "payment_id": payment.id, "key": row.key, **facts}


def _kept(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    kept = {name: row[name] for name in _KEPT[kind]}
    if kind == "attempt":
        kept["body"] = bytes(kept["body"]).decode("utf-8")
    return kept
