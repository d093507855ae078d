"""The demo's books: result events come in as an application reads them, totals go out, and whether they are what the simulator says it moved.

Two records that know nothing of one another: ours are the events on momo:results, the other is the simulator's own, asked over HTTP.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

FINAL = frozenset({"successful", "failed", "cancelled"})
#: MTN's words for our operations.
_OURS = {"requesttopay": "collect", "transfer": "disburse", "deposit": "deposit", "refund": "refund"}


@dataclass(slots=True)
class Books:
    """What the results stream has said, applied as consumers must (M9): only what is newer than the last of its payment."""

    latest: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rejected: list[Mapping[str, Any]] = field(default_factory=list)

    def apply(self, raw: bytes) -> None:
        """Take one event of the stream."""
        event = json.loads(raw)
        data = event["data"]
        if event["type"] == "momo.job.rejected":
            self.rejected.append(data)
            return
        known = self.latest.get(data["payment_id"])
        if known is None or (data["epoch"], data["sequence"]) > (known["epoch"], known["sequence"]):
            self.latest[data["payment_id"]] = data

    def states(self) -> Counter[str]:
        """Payments by state."""
        return Counter(str(data["state"]) for data in self.latest.values())

    @property
    def ended(self) -> int:
        """How many payments have ended."""
        return sum(1 for data in self.latest.values() if data["state"] in FINAL)

    def outcomes(self) -> list[tuple[str, str, str, int, Decimal]]:
        """Operation, state, reason, count and sum, for the table."""
        sums: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
        for data in self.latest.values():
            reason = (data.get("reason") or {}).get("code", "") if data["state"] != "successful" else ""
            sums[data["operation"], data["state"], reason].append(Decimal(data["amount"]))
        return [(*key, len(amounts), sum(amounts, Decimal(0))) for key, amounts in sorted(sums.items())]


@dataclass(frozen=True, slots=True)
class Total:
    """Money that moved by one operation."""

    count: int
    amount: Decimal


def paid(books: Books) -> dict[str, Total]:
    """What ours say was paid, by operation."""
    return {
        operation: Total(count, amount)
        for operation, state, _, count, amount in books.outcomes()
        if state == "successful"
    }


def moved(record: Mapping[str, Any]) -> dict[str, Total]:
    """What the simulator says it moved, by our names of the operations."""
    return {_OURS[total["operation"]]: Total(total["count"], Decimal(total["amount"])) for total in record["totals"]}


def differences(books: Books, record: Mapping[str, Any], asked: int) -> list[str]:
    """Every way in which the two records, or the record and what was asked for, disagree; empty when they agree to the shilling."""
    found = [f"a job was rejected: {data['errors']}" for data in books.rejected]
    if len(books.latest) != asked:
        found.append(f"{asked} payments were asked for, and {len(books.latest)} are known")
    found += [
        f"the simulator moved reference {one} {times} times" for one, times in record["doubles"]["references"].items()
    ]
    found += [f"the simulator paid {one} {times} times" for one, times in record["doubles"]["external_ids"].items()]
    ours, theirs = paid(books), moved(record)
    for operation in sorted({*ours, *theirs}):
        mine, other = ours.get(operation, Total(0, Decimal(0))), theirs.get(operation, Total(0, Decimal(0)))
        if mine != other:
            found.append(
                f"{operation}: the results say {mine.count} payments of {mine.amount}, the simulator {other.count} of {other.amount}"
            )
    return found + _one_by_one(books, record)


def _one_by_one(books: Books, record: Mapping[str, Any]) -> list[str]:
    """Sums can agree by chance; each payment's reference and amount can't."""
    ours = {
        (data["reference_id"], Decimal(data["amount"]))
        for data in books.latest.values()
        if data["state"] == "successful"
    }
    theirs = {(one["reference"], Decimal(one["amount"])) for one in record["movements"]}
    return [f"only one of the two knows of {reference} over {amount}" for reference, amount in sorted(ours ^ theirs)]
