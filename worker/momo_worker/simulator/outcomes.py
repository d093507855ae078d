"""A number (or a refund's test reference) comes in, the plan of what MTN will say about that payment goes out. Never moves money.

Sandbox: MTN's own test numbers, mtn-api 7.1 (what is planned) and 7.2 (what was really answered).
Market: the same endings after the country code (256733123450 ...), ours; every other number succeeds.
"""

import random
from dataclasses import dataclass

from momo_worker.simulator.accounts import Account
from momo_worker.simulator.behaviour import Behaviour

SANDBOX_PREFIX = "46733123"
MARKET_PREFIX = "773123"

# Of a request to pay, and of a deposit (which has no 464).
_COLLECTION = {
    "450": "INTERNAL_PROCESSING_ERROR",
    "451": "APPROVAL_REJECTED",
    "452": "EXPIRED",
    "455": "PAYER_NOT_FOUND",
    "456": "PAYEE_NOT_ALLOWED_TO_RECEIVE",
    "457": "NOT_ALLOWED",
    "458": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "459": "INVALID_CALLBACK_URL_HOST",
    "460": "INVALID_CURRENCY",
    "461": "INTERNAL_PROCESSING_ERROR",
    "462": "SERVICE_UNAVAILABLE",
    "463": "COULD_NOT_PERFORM_TRANSACTION",
}
_TRANSFER = {
    "450": "INTERNAL_PROCESSING_ERROR",
    "451": "APPROVAL_REJECTED",
    "452": "EXPIRED",
    "455": "NOT_ENOUGH_FUNDS",
    "456": "PAYER_LIMIT_REACHED",
    "457": "PAYEE_NOT_FOUND",
    "458": "NOT_ALLOWED",
    "459": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "460": "INVALID_CALLBACK_URL_HOST",
    "461": "INVALID_CURRENCY",
    "462": "INTERNAL_PROCESSING_ERROR",
    "463": "SERVICE_UNAVAILABLE",
    "464": "TRANSFER_TYPE_UNKNOWN",
}
FAILURES_BY_ENDING = {
    "requesttopay": {**_COLLECTION, "464": "TRANSFER_TYPE_UNKNOWN"},
    "deposit": _COLLECTION,
    "transfer": _TRANSFER,
}
FAILURES_BY_REFUND = {
    "1": "RESOURCE_NOT_FOUND",
    "2": "INTERNAL_PROCESSING_ERROR",
    "3": "APPROVAL_REJECTED",
    "4": "EXPIRED",
    "7": "NOT_ALLOWED",
    "8": "NOT_ALLOWED_TARGET_ENVIRONMENT",
    "9": "INVALID_CALLBACK_URL_HOST",
    "10": "INVALID_CURRENCY",
    "11": "INTERNAL_PROCESSING_ERROR",
    "12": "SERVICE_UNAVAILABLE",
    "13": "COULD_NOT_PERFORM_TRANSACTION",
}
ONGOING_REFUND, DELAYED_REFUND = "5", "6"
TEST_REFUNDS = frozenset({*FAILURES_BY_REFUND, ONGOING_REFUND, DELAYED_REFUND})
ONGOING, DELAYED = "453", "454"

# accountholder/active by ending (mtn-api 7.1): false, or a code and its HTTP status.
INACTIVE_ENDINGS = frozenset({"450", "451"})
ACTIVE_ERRORS = {
    "452": (500, "NOT_ALLOWED"),
    "453": (500, "NOT_ALLOWED_TARGET_ENVIRONMENT"),
    "454": (500, "INTERNAL_PROCESSING_ERROR"),
    "455": (503, "SERVICE_UNAVAILABLE"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will become of a payment; `settle_seconds` None means that it stays as it is for ever."""

    settle_seconds: float | None
    status: str = "SUCCESSFUL"
    reason: str | None = None
    shown_until_then: str = "PENDING"


def ending(account: Account, number: str) -> str | None:
    """The last three digits of a test number, or None for an ordinary number."""
    prefix = SANDBOX_PREFIX if account.is_sandbox else account.country_code + MARKET_PREFIX
    return number[-3:] if number.startswith(prefix) and len(number) == len(prefix) + 3 else None


def plan_payment(
    account: Account, operation: str, party: tuple[str, str], behaviour: Behaviour, chance: random.Random
) -> Plan:
    """Every payment draws one settle time, so that one more test number doesn't shift the chances of those after it."""
    settle_seconds = chance.uniform(behaviour.settle_seconds_min, behaviour.settle_seconds_max)
    delayed_seconds = chance.uniform(behaviour.delayed_transfer_seconds_min, behaviour.delayed_transfer_seconds_max)
    party_type, number = party
    if party_type == "MSISDN" and not account.is_sandbox and not number.startswith(account.country_code):
        # ERR: digits with the country code first, otherwise PAYER_NOT_FOUND or PAYEE_NOT_FOUND.
        return Plan(settle_seconds, "FAILED", "PAYER_NOT_FOUND" if operation == "requesttopay" else "PAYEE_NOT_FOUND")
    suffix = ending(account, number)
    reason = FAILURES_BY_ENDING[operation].get(suffix or "")
    if reason is not None:
        return Plan(0.0, "FAILED", reason)
    if suffix == ONGOING:
        return _expired(account, behaviour)
    if suffix == DELAYED and operation == "requesttopay":
        return Plan(behaviour.delayed_collection_seconds, shown_until_then="CREATED")
    return Plan(delayed_seconds if suffix == DELAYED else settle_seconds)


def plan_refund(account: Account, refund_of: str, behaviour: Behaviour, chance: random.Random) -> Plan:
    settle_seconds = chance.uniform(behaviour.settle_seconds_min, behaviour.settle_seconds_max)
    delayed_seconds = chance.uniform(behaviour.delayed_transfer_seconds_min, behaviour.delayed_transfer_seconds_max)
    if account.is_sandbox and refund_of in FAILURES_BY_REFUND:
        return Plan(0.0, "FAILED", FAILURES_BY_REFUND[refund_of])
    if account.is_sandbox and refund_of == ONGOING_REFUND:
        return _expired(account, behaviour)
    return Plan(delayed_seconds if refund_of == DELAYED_REFUND else settle_seconds)


def _expired(account: Account, behaviour: Behaviour) -> Plan:
    """Nobody enters a PIN: the sandbox says EXPIRED (NKAP), the markets COULD_NOT_PERFORM_TRANSACTION (ERR, R192)."""
    return Plan(
        behaviour.approval_seconds, "FAILED", "EXPIRED" if account.is_sandbox else "COULD_NOT_PERFORM_TRANSACTION"
    )
