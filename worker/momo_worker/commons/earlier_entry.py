"""A key that came again while its earlier entry still waits after a restore: payments that were just accepted come in, MTN is asked about those first.

The earlier entry is what the lost ledger may have known: cancelled, or paid as a later attempt. Whoever sends the key once more is as old.
"""

from collections.abc import Sequence
from uuid import UUID

from momo_worker.commons.entry import Entry
from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, intake, moves, recovery
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
    tx: Tx, parts: Parts, accepted: Sequence[tuple[Payment, str]], waiting: Sequence[Entry]
) -> None:
    """Payments that were accepted from these entries while another waits under their key, or whose earlier entry (`waiting`) has to wait now."""
    found = recovery.latest(tx)
    if found is None:
        return
    payments = {payment.id: payment for payment, _ in accepted}
    own = {source for _, source in accepted}
    met: list[tuple[Payment, str | None]] = []
    for name, source, payload, envelope in intake.waiting_before(tx, sorted(payments), found.began_at_ms):
        if source not in own:
            met.append(
                (payments[name], source if _asks_for(parts, payments[name], payload, envelope=envelope) else None)
            )
    earlier = {entry: payment_of(parts.namespace, entry.payload, envelope=entry.envelope) for entry in waiting}
    known = moves.read(tx, sorted({name for name in earlier.values() if name}))
    for entry, its_payment in earlier.items():
        payment = known.get(its_payment or "")
        if payment is not None:
            same = _asks_for(parts, payment, entry.payload, envelope=entry.envelope)
            met.append((payment, entry.source if same else None))
    asked_first.met_again(tx, met)


def _asks_for(parts: Parts, payment: Payment, payload: bytes, *, envelope: bool) -> bool:
    """Whether this job asks for the very payment; taken to be so where this process doesn't know the account, and can't tell."""
    account = parts.accounts.get(payment.account)
    if account is None:
        return True
    try:
        fields = fields_of_envelope(payload) if envelope else parse_fields(payload)
        job = check_job(fields, Terms(account.market.currency, account.market.region))
    except (JobError, RecursionError):
        return False
    return body_digest(parts.namespace, job.canonical()) == payment.body_digest
