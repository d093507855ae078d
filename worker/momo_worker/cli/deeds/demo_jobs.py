"""The demo's payments: the shipped salary file comes in, jobs as an application writes them go out, sorted by the door they take."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: How many salaries are typed by hand with `momo disburse`; a process each, about a second of imports.
TYPED = 4
COLLECTIONS = 50
#: What goes wrong at the simulated MTN, on purpose: customers who refuse, are too slow or unknown, and answers that get lost on the way.
FAULTS: list[dict[str, Any]] = [
    *(
        {"fault": "fail", "operation": "requesttopay", "external_id": f"INV-{9000 + number}", "code": code}
        for number, code in (
            (7, "APPROVAL_REJECTED"),
            (19, "EXPIRED"),
            (31, "PAYER_NOT_FOUND"),
            (43, "APPROVAL_REJECTED"),
        )
    ),
    {"fault": "lost_after_creation", "operation": "transfer", "count": 3},
]
#: So much of the salaries is not in the wallet: the last few find it empty.
SHORT_BY = 3_000_000

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Jobs:
    """Every job, by door."""

    by_xadd: Sequence[Job]
    by_celery: Sequence[Job]
    by_hand: Sequence[Job]

    @property
    def all(self) -> list[Job]:
        return [*self.by_xadd, *self.by_celery, *self.by_hand]


def demo_jobs(salaries: Path) -> Jobs:
    """Half of salaries and collections by XADD, half by Celery, a few salaries by hand."""
    with salaries.open(encoding="utf-8", newline="") as file:
        people = [_salary(row) for row in csv.DictReader(file)]
    customers = [_collection(number) for number in range(COLLECTIONS)]
    by_hand, rest = people[:TYPED], people[TYPED:]
    return Jobs([*rest[0::2], *customers[0::2]], [*rest[1::2], *customers[1::2]], by_hand)


def _salary(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "operation": "disburse",
        "idempotency_key": f"salary-2026-11-{row['employee_id']}",
        "amount": row["amount"],
        "currency": row["currency"],
        "msisdn": row["msisdn"],
        "external_id": row["employee_id"],
        "payee_note": row["note"],
        "lane": "bulk",
        "metadata": {"employee": row["employee_id"], "name": row["name"]},
    }


def _collection(number: int) -> dict[str, Any]:
    return {
        "operation": "collect",
        "idempotency_key": f"invoice-{9000 + number}",
        "amount": str(5_000 + 500 * number),
        "currency": "UGX",
        "msisdn": f"25677210{1000 + number}",
        "external_id": f"INV-{9000 + number}",
        "payer_message": f"Invoice {9000 + number}",
    }


def write_lines(jobs: Sequence[Job], path: Path) -> Path:
    """One JSON object a line, for a producer to read."""
    path.write_text("".join(json.dumps(job) + "\n" for job in jobs), encoding="utf-8")
    return path
