"""The rows and histories in a proof pack: lines come in, what doesn't hold goes out, each with its line. Writes nothing.

Part of every pack's verify.py: the standard library, and nothing else of ours than `proof_reading`.
"""

import hashlib
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from momo_worker.runs.proof_reading import (
    Checked,
    WrongError,
    canonical,
    lines_of,
    loosely,
    number_of,
    parsed,
    text_of,
    whole,
)

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,6})?", re.ASCII)
#: Which moves a payment may make, by what moves it: `before>after`.
MOVES = {
    "taken_in": ">accepted",
    "claimed": "accepted>sending",
    "cancelled": "accepted>cancelled held>cancelled",
    "expired": "accepted>cancelled accepted>failed",
    "retry_cancelled": "accepted>failed",
    "acknowledged": "accepted>pending sending>pending unknown>pending",
    "found_pending": "sending>pending unknown>pending held>pending",
    "not_now": "sending>accepted sending>unknown",
    "send_unknown": "sending>unknown",
    "refused": "sending>unknown",
    "lease_over": "sending>unknown",
    "resent": "unknown>sending",
    "refusal_confirmed": "unknown>failed",
    "released_by_person": "held>accepted",
    "retried": "failed>accepted",
    "put_on_desk": "accepted>held sending>held unknown>held pending>held held>held",
    "found_successful": "sending>successful unknown>successful pending>successful held>successful",
    "found_failed": "sending>failed unknown>failed pending>failed held>failed",
    "resolved": "unknown>successful unknown>failed pending>successful pending>failed held>successful held>failed",
    "contradiction": "accepted>accepted sending>sending unknown>unknown pending>pending held>held successful>successful "
    "failed>failed cancelled>cancelled accepted>held sending>held unknown>held",
    "adopted": "accepted>pending sending>pending unknown>pending pending>pending held>pending failed>pending",
}
_MOVES = {trigger: frozenset(moves.split(" ")) for trigger, moves in MOVES.items()}


# ---- rows -----------------------------------------------------------------------------------------------------------


def _leaf(row: dict[str, Any], where: str) -> bytes:
    texts = (text_of(row, name, where) for name in ("key", "name", "operation", "replaces", "path", "body"))
    parts = [part.encode("utf-8") for part in ("momo-leaf-1", str(number_of(row, "place", where)), *texts)]
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.sha256(b"\x00" + framed).digest()


class Tree:
    """The root over leaves that come one after another (RFC 9162), with one hash in mind for each level."""

    def __init__(self) -> None:
        self.count = 0
        self._tops: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        self._tops.append(leaf)
        self.count += 1
        size = self.count
        while size % 2 == 0:
            self._join()
            size //= 2

    def root(self) -> str:
        """Over all that came; nothing comes after."""
        while len(self._tops) > 1:
            self._join()
        return self._tops[0].hex() if self._tops else ""

    def _join(self) -> None:
        right, left = self._tops.pop(), self._tops.pop()
        self._tops.append(hashlib.sha256(b"\x01" + left + right).digest())


def derived(rule: str, *parts: str) -> str:
    """A reference or a payment's id, from the facts that name it."""
    framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in (rule, *parts))
    named = bytearray(hashlib.sha256(framed).digest()[:16])
    named[6], named[8] = named[6] & 0x0F | 0x40, named[8] & 0x3F | 0x80
    text = named.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# ---- histories ------------------------------------------------------------------------------------------------------


class History:
    """The lines of transitions.jsonl, a row's at a time."""

    def __init__(self, pack: zipfile.ZipFile) -> None:
        self._lines = self._read(pack)
        self._next = next(self._lines, None)

    @staticmethod
    def _read(pack: zipfile.ZipFile) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in lines_of(pack, "transitions.jsonl"):
            where = f"transitions.jsonl, line {number}"
            of = parsed(line, where)
            yield number_of(of, "place", where), {**of, "where": where}

    def of(self, place: int) -> list[dict[str, Any]]:
        """Everything about the row at this place."""
        found = []
        while self._next is not None and self._next[0] <= place:
            if self._next[0] != place:
                raise WrongError(
                    f"{self._next[1]['where']}: is about row {self._next[0]}, which isn't there or has gone by"
                )
            found.append(self._next[1])
            self._next = next(self._lines, None)
        return found

    def end(self) -> None:
        """Nothing is left."""
        if self._next is not None:
            raise WrongError(f"{self._next[1]['where']}: is about row {self._next[0]}, which isn't there")


class Walk:
    """Goes through a run's rows and what became of each, in their order."""

    def __init__(self, run: dict[str, Any], signed: dict[str, str] | None, found: Checked) -> None:
        self.run, self.signed, self.found = run, signed or {}, found
        self.tree = Tree()
        self.total_minor = 0
        self.states: dict[str, list[int]] = {}
        self._once: set[str] = set()

    def row(self, row: dict[str, Any], place: int, history: list[dict[str, Any]], where: str) -> None:
        """One row and its history. Raises WrongError."""
        signed = text_of(row, "leaf", where)
        # The tree is made of what was signed, so that one row that differs is named and no other.
        self.tree.add(bytes.fromhex(signed) if _HASH.fullmatch(signed) else b"")
        if _leaf(row, where).hex() != signed:
            self.found.problem(f"{where}: isn't the row that was signed")
        if row["place"] != place:
            raise WrongError(f"{where}: stands at place {row['place']} and not {place}")
        body = parsed(text_of(row, "body", where).encode(), f"{where}, its request")
        minor = self._minor(text_of(body, "amount", where), where)
        self.total_minor += minor
        kinds: dict[str, list[dict[str, Any]]] = {
            kind: [] for kind in ("payment", "attempt", "send", "transition", "event", "rejected")
        }
        for line in history:
            kind = text_of(line, "kind", line["where"])
            if kind not in kinds:
                raise WrongError(f"{line['where']}: {kind} is nothing that a history has")
            kinds[kind].append(line)
        state = (
            self._payment(row, kinds, where) if kinds["payment"] else "rejected" if kinds["rejected"] else "no payment"
        )
        count = self.states.setdefault(state, [0, 0])
        count[0] += 1
        count[1] += minor

    def _minor(self, amount: str, where: str) -> int:
        minor = Decimal(amount if _AMOUNT.fullmatch(amount) else "0.5").scaleb(
            number_of(self.run, "exponent", "run.json")
        )
        if minor != int(minor):
            raise WrongError(f"{where}: {amount[:30]} is no amount")
        return int(minor)

    def _payment(self, row: dict[str, Any], kinds: dict[str, list[dict[str, Any]]], where: str) -> str:
        if len(kinds["payment"]) != 1:
            raise WrongError(f"{where}: has {len(kinds['payment'])} payments")
        payment = kinds["payment"][0]
        ours = derived("momo-payment-1", self.run["namespace"], self.run["account"], row["key"])
        for line in (one for lines in kinds.values() for one in lines):
            if line.get("payment_id") != ours:
                raise WrongError(f"{line['where']}: is of another payment than the row's own")
        for attempt in kinds["attempt"]:
            self._attempt(row, attempt)
        numbers = [attempt["number"] for attempt in kinds["attempt"]]
        if numbers != sorted(set(numbers)) or any(send.get("attempt") not in numbers for send in kinds["send"]):
            raise WrongError(f"{where}: its attempts or sends don't belong together")
        for send in kinds["send"]:
            self._send(send)
        state = self._path(kinds["transition"], where)
        if payment.get("state") != state:
            raise WrongError(f"{payment['where']}: is {payment.get('state')}, and its history ends in {state}")
        self._end(payment, kinds, where)
        return state

    def _attempt(self, row: dict[str, Any], attempt: dict[str, Any]) -> None:
        """Each request that left, or was about to, is the row that was signed, under the reference that is its own."""
        where, run = attempt["where"], self.run
        body = loosely(text_of(attempt, "body", where).encode(), f"{where}, its request")
        if canonical(body) != row["body"] or attempt.get("path") != row["path"]:
            raise WrongError(f"{where}: what was sent isn't row {row['place']} as it was signed")
        number = str(number_of(attempt, "number", where))
        reference = derived("momo-reference-1", run["namespace"], run["account"], row["operation"], row["key"], number)
        if attempt.get("reference_id") != reference:
            raise WrongError(f"{where}: has a reference that isn't its own")
        self._only(reference, where)
        names = ("base_url", "target_environment", "api_user")
        url, environment, user = (text_of(attempt, name, where) for name in names)
        if self.signed and f"{url} {environment} {run['currency']} {user}" != self.signed["pin"]:
            raise WrongError(f"{where}: left from another wallet than what was signed")

    def _send(self, send: dict[str, Any]) -> None:
        earliest = whole(self.signed.get("earliest", "0"), "signatures.json, earliest")
        if number_of(send, "began_at_ms", send["where"]) < earliest:
            raise WrongError(f"{send['where']}: left before what was signed begins")

    def _path(self, transitions: list[dict[str, Any]], where: str) -> str:
        """Where the history ends, every move of it one that there is."""
        state = ""
        for move in transitions:
            before, after, trigger = move.get("before") or "", move.get("after"), move.get("trigger")
            if before != state:
                raise WrongError(
                    f"{move['where']}: begins at {before or 'nothing'}, and the move before it ended at {state or 'nothing'}"
                )
            if f"{before}>{after}" not in _MOVES.get(str(trigger), ()):
                raise WrongError(f"{move['where']}: no payment goes from {before or 'nothing'} to {after} by {trigger}")
            state = str(after)
            if trigger == "contradiction":
                self.found.remarks.append(
                    f"{move['where']}: MTN said something against what was settled: {move.get('detail')}"
                )
        if not state:
            raise WrongError(f"{where}: its payment has no history")
        return state

    def _end(self, payment: dict[str, Any], kinds: dict[str, list[dict[str, Any]]], where: str) -> None:
        """A payment succeeds once, after it was sent, and is told so once."""
        into = [
            one for one in kinds["transition"] if one.get("after") == "successful" and one.get("before") != "successful"
        ]
        told = [one for one in kinds["event"] if one.get("type") == "momo.payment.successful"]
        paid = payment["state"] == "successful"
        if len(into) != int(paid) or len(told) > int(paid) or (paid and not kinds["attempt"]):
            raise WrongError(
                f"{where}: {payment['state']}, with {len(into)} successes, {len(told)} told, {len(kinds['attempt'])} attempts"
            )
        mtns = payment.get("financial_transaction_id")
        if paid and mtns:
            self._only(f"MTN's transaction {mtns}", where)
        if payment["state"] == "held":
            self.found.remarks.append(f"{where}: is held for a person ({payment.get('held_cause')})")

    def _only(self, name: str, where: str) -> None:
        if name in self._once:
            raise WrongError(f"{where}: {name} stands twice")
        self._once.add(name)
