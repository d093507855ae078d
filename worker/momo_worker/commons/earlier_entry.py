"""A key that came again while its earlier entry still waits after a restore: payments that were just accepted come in, MTN is asked about those first.

The earlier entry is what the lost ledger may have known: cancelled, or paid as a later attempt. Whoever sends the key once more is as old.
"""

from collections.abc import Sequence
from uuid import UUID

from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, intake, recovery
from momo_worker.ledger.engine import Tx
from momo_worker.payment.envelope import fields_of_envelope
from momo_worker.payment.job import JobError, Terms, account_of, check_job
from momo_worker.payment.job_text import parse_fields
from momo_worker.payment.payment import Payment
from momo_worker.payment.reference import body_digest, payment_id


def payment_of(namespace: UUID, payload: bytes, *, envelope: bool) -> str | None:
    """The payment that this job would be; None where its account and key can't be read."""
    try:
        fields = fields_of_envelope(payload) if envelope else parse_fields(payload)
        key = fields.get("idempotency_key")
        return payment_id(namespace, account_of(fields), key) if isinstance(key, str) else None
    except (JobError, RecursionError, UnicodeEncodeError):
        return None


def as_old_as_what_waits(tx: Tx, parts: Parts, accepted: Sequence[tuple[Payment, str]]) -> None:
    """Payments that were accepted from these entries, of which another waits under the same key: asked about before they are sent."""
    found = recovery.latest(tx) if accepted else None
    if found is None:
        return
    payments = {payment.id: (payment, source) for payment, source in accepted}
    waiting = [
        (payments[name][0], source, payload, envelope)
        for name, source, payload, envelope in intake.waiting_before(tx, sorted(payments), found.began_at_ms)
        if source != payments[name][1]
    ]
    if waiting:
        asked_first.met_again(
            tx,
            [
                (payment, source if _asks_for(parts, payment, payload, envelope=envelope) else None)
                for payment, source, payload, envelope in waiting
            ],
        )


def _asks_for(parts: Parts, payment: Payment, payload: bytes, *, envelope: bool) -> bool:
    """Whether this job asks for the very payment."""
    market = parts.accounts[payment.account].market
    try:
        fields = fields_of_envelope(payload) if envelope else parse_fields(payload)
        job = check_job(fields, Terms(market.currency, market.region))
    except JobError:
        return False
    return body_digest(parts.namespace, job.canonical()) == payment.body_digest
