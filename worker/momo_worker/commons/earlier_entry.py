"""A key that came again while its earlier entry still waits after a restore: payments that were just accepted come in, MTN is asked about those first.

The earlier entry is what the lost ledger may have known: cancelled, or paid as a later attempt. Whoever sends the key once more is as old.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from momo_worker.commons.entry import Entry
from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, intake, moves, recovery
from momo_worker.ledger.asked_first import Met
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


def ask_about_keys_that_wait(
    tx: Tx, parts: Parts, accepted: Sequence[tuple[Payment, str]], waiting: Mapping[Entry, bool]
) -> None:
    """Payments that were accepted from these entries while another waits under their key, or whose earlier entry (`waiting`) has to wait now.

    `waiting`: whether it waits for its account, so that what it asks for can't be read here; it is taken for the payment's own then.
    """
    found = recovery.latest(tx)
    if found is None:
        return
    payments = {payment.id: payment for payment, _ in accepted}
    own = {source for _, source in accepted}
    met = [
        Met(payments[name], source if _asks_for(parts, payments[name], payload, envelope=envelope) else None, 0)
        for name, source, payload, envelope in intake.waiting_before(tx, sorted(payments), found.began_at_ms)
        if source not in own
    ]
    # What comes for the first time is nobody's earlier entry.
    earlier = {
        entry: payment_of(parts.namespace, entry.payload, envelope=entry.envelope)
        for entry in waiting
        if entry.known_since_ms is not None
    }
    known = moves.read(tx, sorted({name for name in earlier.values() if name}))
    for entry, name in earlier.items():
        payment, since_ms = known.get(name or ""), entry.known_since_ms or 0
        if payment is not None:
            same = waiting[entry] or _asks_for(parts, payment, entry.payload, envelope=entry.envelope)
            met.append(Met(payment, entry.source if same else None, since_ms, first=entry.waits_since_ms is None))
    asked_first.met_again(tx, met)


def _asks_for(parts: Parts, payment: Payment, payload: bytes, *, envelope: bool) -> bool:
    """Whether this job asks for the very payment."""
    market = parts.accounts[payment.account].market
    try:
        fields = fields_of_envelope(payload) if envelope else parse_fields(payload)
        job = check_job(fields, Terms(market.currency, market.region))
    except (JobError, RecursionError):
        return False
    return body_digest(parts.namespace, job.canonical()) == payment.body_digest
