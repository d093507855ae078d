"""Names that are derived and never drawn: the same facts give the same reference, payment id and event id on any machine (M2).

Comes in: the installation's namespace and the facts. Goes out: a UUID with version-4 bits. Never asks a clock or a random source.
"""

import hashlib
import hmac
import uuid

REFERENCE_RULE = "momo-reference-1"
PAYMENT_RULE = "momo-payment-1"
EVENT_RULE = "momo-event-1"


def derive(rule: str, *parts: str) -> str:
    """Hash length-prefixed parts into a UUID with version-4 bits.

    Each part is UTF-8 preceded by its length as four bytes, big-endian, so that ("a", "bc") and ("ab", "c") differ.
    """
    told = [part.encode("utf-8") for part in (rule, *parts)]
    framed = b"".join([len(data).to_bytes(4, "big") + data for data in told])
    named = bytearray(hashlib.sha256(framed).digest()[:16])
    named[6] = named[6] & 0x0F | 0x40
    named[8] = named[8] & 0x3F | 0x80
    text = named.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def reference_id(namespace: uuid.UUID, account: str, operation: str, key: str, attempt: int) -> str:
    """X-Reference-Id of one attempt. MTN wants version 4 (mtn-api 5.2); frozen examples in tests/contract/references.json."""
    return derive(REFERENCE_RULE, str(namespace), account, operation, key, str(attempt))


def payment_id(namespace: uuid.UUID, account: str, key: str) -> str:
    """Our own id of a payment; a rebuilt ledger names the same payment with the same id."""
    return derive(PAYMENT_RULE, str(namespace), account, key)


def final_event_id(namespace: uuid.UUID, payment: str, attempt: int, event_type: str) -> str:
    """Id of an event of a final state: one per attempt and type, also after a restore."""
    return derive(EVENT_RULE, str(namespace), payment, "final", str(attempt), event_type)


def passing_event_id(namespace: uuid.UUID, payment: str, epoch: int, sequence: int) -> str:
    """Id of any other event of a payment."""
    return derive(EVENT_RULE, str(namespace), payment, "passing", str(epoch), str(sequence))


def rejection_event_id(namespace: uuid.UUID, source: str) -> str:
    """Id of a rejection: one per entry, so that a redelivered entry isn't a second rejection."""
    return derive(EVENT_RULE, str(namespace), "rejected", source)


def run_event_id(namespace: uuid.UUID, run: str, event_type: str, moment: str) -> str:
    """Id of an event about a bulk run."""
    return derive(EVENT_RULE, str(namespace), "run", run, event_type, moment)


def schedule_event_id(namespace: uuid.UUID, schedule: str, event_type: str, moment: str) -> str:
    """Id of an event about a schedule."""
    return derive(EVENT_RULE, str(namespace), "schedule", schedule, event_type, moment)


def body_digest(namespace: uuid.UUID, canonical: str) -> str:
    """HMAC of a job's normal form: tells "same body" without keeping personal data (M10)."""
    return hmac.new(namespace.bytes, canonical.encode("utf-8"), hashlib.sha256).hexdigest()
