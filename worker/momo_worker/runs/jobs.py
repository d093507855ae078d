"""A run's row becomes the job that its payment is made of: the same whenever it is asked, at signing and at release. Pure."""

import json
from typing import Any

from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.job import is_external_id
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Lane, Operation


def job_of(run: Run, row: RunRow) -> dict[str, Any]:
    """The job of a row, as any producer would send it (design.md 6.1)."""
    note = row.note or run.note
    job: dict[str, Any] = {
        "operation": run.operation,
        "account": run.account,
        "idempotency_key": row.key,
        "amount": format_amount(row.amount_minor, run.exponent),
        "currency": run.currency,
        "lane": Lane.BULK.value,
        # What a consumer of results asks first: whose payment of which run this is.
        "metadata": {"run": run.name, "place": row.place, **({"row": row.row_id} if row.row_id else {})},
    }
    if run.operation == Operation.REFUND:
        job["refund_of"] = row.collection
    else:
        job["msisdn"] = row.msisdn
    if row.row_id is not None and is_external_id(row.row_id):
        job["external_id"] = row.row_id
    if note:
        job |= {"payer_message": note, "payee_note": note}
    if row.replaces:
        job["replaces"] = row.replaces
    return job


def payload_of(run: Run, row: RunRow) -> bytes:
    """The same as bytes, as a door reads it."""
    return json.dumps(job_of(run, row), ensure_ascii=False, separators=(",", ":")).encode("utf-8")
