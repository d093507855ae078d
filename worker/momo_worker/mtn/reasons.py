"""The one table of MTN's words: an HTTP status, a body's shape and a code come in, a class goes out.

What isn't listed is *unknown*, and nothing here looks at anything but its arguments. Sources are the keys of the
research notes: OAS (MTN's specification), ERR (its page of common errors), R192/R338 (its pages of failure reasons),
SPK (its documentation of 2018), APIM (the gateway in front), LEP (production, Congo), RS and K (sandbox).
"""

from dataclasses import dataclass
from enum import StrEnum

from momo_worker.payment.verdict import Cause, LookAnswer, SendAnswer


class Shape(StrEnum):
    """What a body is, before anyone reads it."""

    EMPTY = "empty"
    OBJECT = "object"  # a JSON object, read whole
    MARKUP = "markup"  # HTML or XML: some machine's page, also with 200 (NKAP, VPAY, IMIS)
    OTHER = "other"  # neither; broken JSON, plain text, a list


class Speaks(StrEnum):
    """Of whom a code speaks when it answers a POST."""

    OF_US = "of_us"  # our configuration: nobody's payment fails for it
    OF_THE_PAYMENT = "of_the_payment"  # this payment can't be made
    OF_THE_REFERENCE = "of_the_reference"  # the reference is used
    OF_THE_GATEWAY = "of_the_gateway"  # the machine in front speaks for itself
    OF_NOBODY = "of_nobody"  # says nothing that we may act on: unknown


@dataclass(frozen=True, slots=True)
class Reason:
    """A code: what it means for a POST, and in words for a person."""

    speaks: Speaks
    message: str
    advice: str


_US, _PAYMENT, _REFERENCE = Speaks.OF_US, Speaks.OF_THE_PAYMENT, Speaks.OF_THE_REFERENCE
_GATEWAY, _NOBODY = Speaks.OF_THE_GATEWAY, Speaks.OF_NOBODY

_CHECK_NUMBER = "check the number, country code first, with the person"
_ASK_MTN = "ask MTN's support, with the reference"
_NEW_JOB = "send a new job under a new key if the payment is still wanted"

CODES: dict[str, Reason] = {
    # The enum of MTN's specification (OAS): seventeen codes.
    "PAYEE_NOT_FOUND": Reason(_PAYMENT, "the receiver's number has no MTN wallet", _CHECK_NUMBER),
    "PAYER_NOT_FOUND": Reason(_PAYMENT, "the payer's number has no MTN wallet", _CHECK_NUMBER),
    "NOT_ALLOWED": Reason(_US, "MTN has restricted the merchant's account", "ask MTN to lift the restriction"),
    "NOT_ALLOWED_TARGET_ENVIRONMENT": Reason(
        _US,
        "the credentials aren't for this target environment",
        "check MOMO_TARGET_ENVIRONMENT and whose keys these are",
    ),
    "INVALID_CALLBACK_URL_HOST": Reason(
        _US,
        "the callback's host isn't the one registered with the API user",
        "set MOMO_CALLBACK_URL to the registered host",
    ),
    "INVALID_CURRENCY": Reason(
        _US, "the target environment doesn't know this currency", "check MOMO_CURRENCY; the sandbox knows EUR only"
    ),
    "SERVICE_UNAVAILABLE": Reason(_NOBODY, "MTN's service was not available", "nothing to do while we keep asking"),
    # MTN: predominantly too little money, service denied, or its wallet platform not reachable (ERR).
    "INTERNAL_PROCESSING_ERROR": Reason(
        _NOBODY,
        "MTN failed inside and doesn't say why; often there is too little money",
        "check the balance, then ask MTN",
    ),
    # Also when the receiver's limit is exceeded (R192).
    "NOT_ENOUGH_FUNDS": Reason(
        _PAYMENT, "there is too little money in the paying wallet", "top up the paying wallet and retry the payment"
    ),
    "PAYER_LIMIT_REACHED": Reason(
        _PAYMENT, "the paying wallet's limit is reached", "wait for the next day, or raise the limit"
    ),
    "PAYEE_NOT_ALLOWED_TO_RECEIVE": Reason(
        _PAYMENT,
        "the receiver's wallet is blocked or may not receive this",
        "have the receiver ask MTN about the wallet",
    ),
    "PAYMENT_NOT_APPROVED": Reason(_NOBODY, "the payer didn't approve the payment", _NEW_JOB),
    "RESOURCE_NOT_FOUND": Reason(_NOBODY, "MTN doesn't know what was asked for", _ASK_MTN),
    "APPROVAL_REJECTED": Reason(_NOBODY, "the payer declined the payment", _NEW_JOB),
    "EXPIRED": Reason(_NOBODY, "the payer didn't answer in time", _NEW_JOB),
    "TRANSACTION_CANCELED": Reason(_NOBODY, "the payment was cancelled at MTN", _ASK_MTN),
    "RESOURCE_ALREADY_EXIST": Reason(_REFERENCE, "MTN has had this reference before", "nothing to do; it is looked up"),
    # Seen or described, and not in the enum.
    "COULD_NOT_PERFORM_TRANSACTION": Reason(_NOBODY, "no PIN was entered within five minutes", _NEW_JOB),  # ERR, R192
    "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED": Reason(  # LEP
        _NOBODY,
        "too little money, or the receiver's limit, or not allowed: MTN says no more",
        "check balance and receiver",
    ),
    "PAYEE_LIMIT_REACHED": Reason(
        _NOBODY, "the receiver's wallet has reached its limit", "pay in smaller parts or later"
    ),  # R338
    "SENDER_ACCOUNT_NOT_ACTIVE": Reason(_NOBODY, "the payer's wallet is blocked", "have the payer ask MTN"),  # R192
    "TRANSACTION_NOT_FOUND": Reason(_NOBODY, "MTN doesn't find the transaction", _ASK_MTN),  # R338
    "VALIDATION_ERROR": Reason(_NOBODY, "MTN didn't take a field of the request", _ASK_MTN),  # LEP
    "PAYER_DELAYED": Reason(_NOBODY, "the payer's side is slow", "nothing to do while we keep asking"),  # RS
    "PAYEE_DELAYED": Reason(_NOBODY, "the receiver's side is slow", "nothing to do while we keep asking"),  # RS
    "ONGOING": Reason(_NOBODY, "MTN is still at it", "nothing to do while we keep asking"),  # RS
    "TRANSFER_TYPE_UNKNOWN": Reason(_NOBODY, "MTN doesn't know this kind of transfer", _ASK_MTN),  # K, test number 464
    # In MTN's specifications outside that enum: examples, and calls that this house doesn't make.
    "TRANSACTION_CANCELED.": Reason(
        _NOBODY, "the payment was cancelled at MTN", _ASK_MTN
    ),  # OAS remittance, with the dot
    "TRANSACTION_NOT_COMPLETED": Reason(
        _NOBODY, "the payment hasn't ended well, so nothing more is done for it", _ASK_MTN
    ),
    "NOT_FOUND": Reason(_NOBODY, "MTN doesn't find what was asked for", _ASK_MTN),
    **dict.fromkeys(
        (
            "CONSENT_MISMATCH",
            "INFORMATIONAL_SCOPE_INSTRUCTION",
            "MISSING_SCOPE_INSTRUCTION",
            "MORE_THAN_ONE_FINANCIAL_SCOPE_NOT_SUPPORTED",
            "UNSUPPORTED_SCOPE",
            "UNSUPPORTED_SCOPE_COMBINATION",
        ),
        Reason(_NOBODY, "MTN speaks of a consent that this payment doesn't need", _ASK_MTN),
    ),
    # Our own word for a 400 without a code, as most are (NKAP, CATI).
    "BAD_REQUEST": Reason(
        _PAYMENT, "MTN refused the request without saying why", "check amount, number and notes of the job"
    ),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code as events carry it."""

    code: str
    message: str
    advice: str


def explain(code: str, said: str | None = None) -> Explanation:
    """Words for a code; for one nobody listed, MTN's own (`said`)."""
    reason = CODES.get(code)
    if reason is None:
        return Explanation(code, said or f"MTN gave the reason {code}", _ASK_MTN)
    return Explanation(code, reason.message, reason.advice)


#: (HTTP status, shape of the body, of whom its code speaks); None is no code, or one that nobody listed.
Key = tuple[int, Shape, Speaks | None]

_SHAPES = (Shape.EMPTY, Shape.OBJECT, Shape.OTHER)
_SPEAKERS = (None, *Speaks)
# Said in front of the wallet platform, of who calls and how often. Only a page in their place may hide something else:
# a firewall can swallow the platform's own answer and put its page there.
_OUR_SIDE = {401: Cause.TOKEN_REFUSED, 403: Cause.FORBIDDEN, 429: Cause.THROTTLED}

#: Answers to a POST (M4). What isn't here is unknown, and the way's fault: other 2xx and 5xx, 3xx, 408, 411, pages, half answers.
SENDS: dict[Key, tuple[SendAnswer, Cause]] = {
    (202, Shape.EMPTY, None): (SendAnswer.ACCEPTED, Cause.NONE),
    (202, Shape.OBJECT, None): (SendAnswer.ACCEPTED, Cause.NONE),
    (409, Shape.EMPTY, None): (SendAnswer.ACCEPTED, Cause.NONE),
    (409, Shape.OBJECT, _REFERENCE): (SendAnswer.ACCEPTED, Cause.NONE),
    (400, Shape.EMPTY, None): (SendAnswer.REFUSED, Cause.NONE),
    (400, Shape.OBJECT, None): (SendAnswer.REFUSED, Cause.NONE),
    (400, Shape.OBJECT, _GATEWAY): (SendAnswer.REFUSED, Cause.NONE),
    (400, Shape.OBJECT, _PAYMENT): (SendAnswer.REFUSED, Cause.NONE),
    (500, Shape.OBJECT, _PAYMENT): (SendAnswer.REFUSED, Cause.NONE),
    (400, Shape.OBJECT, _US): (SendAnswer.NOT_NOW, Cause.CONFIGURATION),
    (500, Shape.OBJECT, _US): (SendAnswer.NOT_NOW, Cause.CONFIGURATION),
    (404, Shape.OBJECT, _GATEWAY): (SendAnswer.NOT_NOW, Cause.CONFIGURATION),
    **{
        (status, shape, speaks): (SendAnswer.NOT_NOW, cause)
        for status, cause in _OUR_SIDE.items()
        for shape in _SHAPES
        for speaks in _SPEAKERS
    },
    **{(status, Shape.MARKUP, None): (SendAnswer.UNKNOWN, cause) for status, cause in _OUR_SIDE.items()},
}

#: Answers to a status read. `FOUND` means: read the object, it speaks of the payment. What isn't here says nothing.
LOOKS: dict[Key, tuple[LookAnswer, Cause]] = {
    **{(200, Shape.OBJECT, speaks): (LookAnswer.FOUND, Cause.NONE) for speaks in _SPEAKERS},
    (404, Shape.OBJECT, _GATEWAY): (LookAnswer.NO_WORD, Cause.CONFIGURATION),
    # A malformed id, says MTN (5.4): it speaks of that one read, and must not suspend the product.
    (400, Shape.EMPTY, None): (LookAnswer.NO_WORD, Cause.NONE),
    **{(400, Shape.OBJECT, speaks): (LookAnswer.NO_WORD, Cause.NONE) for speaks in _SPEAKERS},
    (500, Shape.OBJECT, _US): (LookAnswer.NO_WORD, Cause.CONFIGURATION),
    **{
        (status, shape, speaks): (LookAnswer.NO_WORD, cause)
        for status, cause in _OUR_SIDE.items()
        for shape in Shape
        for speaks in _SPEAKERS
    },
}

#: The wallet platform's own word that it doesn't know a reference; any other 404 is a wrong address, or a machine's.
UNKNOWN_REFERENCE = (404, Shape.OBJECT, "RESOURCE_NOT_FOUND")

#: Codes by which the wallet platform says, under 404 or 500, that it knows nobody of a number: as final as a `false`.
NO_HOLDER = frozenset({"RESOURCE_NOT_FOUND", "PAYEE_NOT_FOUND", "PAYER_NOT_FOUND", "NOT_FOUND"})
_NO_HOLDER_STATUSES = (404, 500)


def send_class(status: int, shape: Shape, code: str | None, message: str, *, gateway: bool) -> tuple[SendAnswer, Cause]:
    """The class of an answer to a POST."""
    found = SENDS.get((status, shape, _speaks(code, gateway=gateway)), (SendAnswer.UNKNOWN, Cause.FAULT))
    return found[0], _by_message(found[1], message)


def look_class(status: int, shape: Shape, code: str | None, message: str, *, gateway: bool) -> tuple[LookAnswer, Cause]:
    """The class of an answer to a status read."""
    if (status, shape, code) == UNKNOWN_REFERENCE:
        return LookAnswer.NOT_FOUND, Cause.NONE
    found = LOOKS.get((status, shape, _speaks(code, gateway=gateway)), (LookAnswer.NO_WORD, Cause.FAULT))
    return found[0], _by_message(found[1], message)


def holder_class(
    status: int, shape: Shape, code: str | None, message: str, *, gateway: bool
) -> tuple[LookAnswer, Cause]:
    """The class of an answer to a question about an account holder; `NOT_FOUND` is MTN's own word that there is none."""
    if shape is Shape.OBJECT and status in _NO_HOLDER_STATUSES and code in NO_HOLDER:
        return LookAnswer.NOT_FOUND, Cause.NONE
    return look_class(status, shape, code, message, gateway=gateway)


def _speaks(code: str | None, *, gateway: bool) -> Speaks | None:
    if gateway:
        return _GATEWAY
    reason = CODES.get(code) if code else None
    return reason.speaks if reason else None


def _by_message(cause: Cause, message: str) -> Cause:
    """The one place where a message is read: the gateway has no codes (APIM)."""
    said = message.lower()
    if cause is Cause.TOKEN_REFUSED and "subscription key" in said:
        return Cause.KEY_REFUSED
    if cause is Cause.FORBIDDEN and "quota" in said:
        return Cause.THROTTLED
    return cause
