"""What MTN said, sorted before anyone decides what it means: four answers to a POST (M4), three to a look.

`mtn/` makes these, the decisions in `payment/` read them; neither knows the other.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class SendAnswer(StrEnum):
    """The four answers of a POST (M4)."""

    ACCEPTED = "accepted"
    NOT_NOW = "not_now"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why an answer was "not now" or said nothing: what the product's gate makes of it."""

    NONE = "none"
    NEVER_SENT = "never_sent"  # our flag says that no byte of the request left
    NOT_DEPARTED = "not_departed"  # we stopped it ourselves: claim lost, paused, no slot
    TOKEN_REFUSED = "token_refused"  # 401 for the bearer token
    KEY_REFUSED = "key_refused"  # 401 of the gateway for the subscription key
    LOGIN_REFUSED = "login_refused"  # the API user or key is wrong
    FORBIDDEN = "forbidden"  # 403: our address isn't whitelisted
    THROTTLED = "throttled"  # 429, or 403 for quota
    CONFIGURATION = "configuration"  # speaks of us: callback host, currency, target environment, wrong path
    FAULT = "fault"  # 5xx, timeout, reset, HTML: theirs or the way's; counts towards the circuit


@dataclass(frozen=True, slots=True)
class SendVerdict:
    """What became of one POST on the wire."""

    answer: SendAnswer
    cause: Cause = Cause.NONE
    code: str | None = None
    message: str | None = None
    http_status: int | None = None
    retry_after_seconds: float | None = None

    @property
    def conflict(self) -> bool:
        """A 409: proves that the reference is used, not by whom (M6)."""
        return self.answer is SendAnswer.ACCEPTED and self.http_status == 409  # noqa: PLR2004 (HTTP's own number)

    @property
    def never_left(self) -> bool:
        """No byte of the request was handed to a socket.

        A "not now" without an HTTP status wasn't said by MTN to this request: we stopped it, or had no token or connection for it.
        """
        if self.cause in (Cause.NEVER_SENT, Cause.NOT_DEPARTED):
            return True
        return self.answer is SendAnswer.NOT_NOW and self.http_status is None


class LookAnswer(StrEnum):
    """The three answers of a status read."""

    FOUND = "found"
    NOT_FOUND = "not_found"  # 404 with RESOURCE_NOT_FOUND, the wallet platform's own word
    NO_WORD = "no_word"  # anything that says nothing about the payment


class Status(StrEnum):
    """MTN's status as we read it: what isn't one of the two final words means keep asking (M7)."""

    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    PENDING = "PENDING"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a 200 says of the payment; None where the field is absent, which is no mismatch (M6)."""

    amount: str | None = None
    currency: str | None = None
    party: str | None = field(default=None, repr=False)
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class LookVerdict:
    """What became of one status read."""

    answer: LookAnswer
    status: Status | None = None
    raw_status: str | None = None
    facts: Facts = Facts()
    reason_code: str | None = None
    reason_message: str | None = None
    financial_transaction_id: str | None = None
    cause: Cause = Cause.NONE
    http_status: int | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HolderVerdict:
    """What became of one question about the person behind a number. What MTN calls somebody stands in no repr."""

    #: MTN said something of this number; all else says nothing, neither good nor bad.
    answered: bool
    #: Whether the wallet is registered and active: False also where MTN knows nobody of this number. Only where that was asked.
    active: bool | None = None
    #: The name that MTN has; None where it has none.
    name: str | None = field(default=None, repr=False)
    cause: Cause = Cause.NONE
    #: May hold whatever MTN's machines wrote: scrub it before anybody reads it.
    message: str | None = field(default=None, repr=False)
    http_status: int | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """A request as it was rendered once and is sent from the store, byte for byte, for ever (M3)."""

    reference_id: str
    product: str  # "collection" or "disbursement"
    path: str  # such as "/collection/v1_0/requesttopay"
    body: bytes = field(repr=False)
    callback_url: str | None = field(repr=False)
    api_user: str
    target_environment: str
    base_url: str
