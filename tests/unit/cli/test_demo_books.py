"""The demo's books: they must find every disagreement, or their agreement says nothing."""

import json
from decimal import Decimal
from pathlib import Path

from momo_worker.cli.deeds.demo_books import Books, differences
from momo_worker.cli.deeds.demo_jobs import COLLECTIONS, TYPED, demo_jobs

SALARIES = Path(__file__).parents[3] / "config" / "examples" / "salaries.csv"


def event(payment="p1", *, state="successful", amount="100", sequence=3, epoch=1, operation="disburse", reference=None):
    data = {"payment_id": payment, "operation": operation, "state": state, "amount": amount, "epoch": epoch}
    data |= {"sequence": sequence, "reference_id": reference or f"ref-{payment}", "reason": None}
    return json.dumps({"type": f"momo.payment.{state}", "data": data}).encode()


def books(*events):
    found = Books()
    for one in events:
        found.apply(one)
    return found


def record(*movements, doubles=()):
    """What the simulator says: (reference, amount) pairs of transfers."""
    total = {"operation": "transfer", "count": len(movements), "amount": str(sum(Decimal(a) for _, a in movements))}
    return {
        "totals": [total] if movements else [],
        "doubles": {"references": dict.fromkeys(doubles, 2), "external_ids": {}},
        "movements": [{"reference": reference, "amount": amount} for reference, amount in movements],
    }


def test_equal_books_agree():
    assert differences(books(event()), record(("ref-p1", "100")), 1) == []


def test_an_event_that_comes_late_or_twice_changes_nothing():
    found = books(event(sequence=1, state="accepted"), event(), event(), event(sequence=2, state="pending"))

    assert found.ended == 1
    assert differences(found, record(("ref-p1", "100")), 1) == []


def test_every_disagreement_is_found():
    assert differences(books(event()), record(), 1)
    assert differences(books(event(state="failed")), record(("ref-p1", "100")), 1)
    assert differences(books(event()), record(("ref-p1", "101")), 1)
    assert differences(books(event()), record(("ref-p1", "100")), 2)
    assert differences(books(event()), record(("ref-p1", "100"), doubles=["ref-p1"]), 1)
    # Counts and sums are equal, and yet it was somebody else who was paid.
    assert differences(books(event()), record(("ref-other", "100")), 1)


def test_a_rejected_job_is_a_disagreement():
    rejected = json.dumps({"type": "momo.job.rejected", "data": {"errors": [{"field": "amount"}]}}).encode()

    assert differences(books(event(), rejected), record(("ref-p1", "100")), 1)


def test_the_jobs_are_the_whole_salary_file_and_fifty_collections_each_once():
    jobs = demo_jobs(SALARIES)
    keys = [job["idempotency_key"] for job in jobs.all]
    rows = SALARIES.read_text(encoding="utf-8").splitlines()[1:]

    assert len(keys) == len(set(keys)) == len(rows) + COLLECTIONS
    assert len(jobs.by_hand) == TYPED
    assert (
        {job["operation"] for job in jobs.by_xadd}
        == {job["operation"] for job in jobs.by_celery}
        == {"collect", "disburse"}
    )
    assert sum(int(job["amount"]) for job in jobs.all if job["operation"] == "disburse") == sum(
        int(row.split(",")[3]) for row in rows
    )
