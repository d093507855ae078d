"""A payment as the ledger holds it, and what belongs to it: frozen values, one field a column; a changed payment is a new value.

All times are the ledger's, whole milliseconds since the epoch, and end in `_ms`; amounts are minor units.
"""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import RenderedRequest, SendAnswer


class Operation(StrEnum):
    """What a job asks for; MTN's words are requesttopay, transfer, deposit, refund."""

    COLLECT = "collect"
    DISBURSE = "disburse"
    DEPOSIT = "deposit"
    REFUND = "refund"


class Product(StrEnum):
    """MTN's products: each has keys, tokens and budgets of its own."""

    COLLECTION = "collection"
    DISBURSEMENT = "disbursement"


PRODUCT_OF: dict[Operation, Product] = {
    Operation.COLLECT: Product.COLLECTION,
    Operation.DISBURSE: Product.DISBURSEMENT,
    Operation.DEPOSIT: Product.DISBURSEMENT,
    Operation.REFUND: Product.DISBURSEMENT,
}


class Lane(StrEnum):
    """A producer's wish: a customer at the till before a bulk run."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Work(StrEnum):
    """What a due payment is due for."""

    SEND = "send"
    LOOK = "look"


class Queue(StrEnum):
    """The order of due work: the till, bulk, what rescue brought back, then held and late looks (design.md 7)."""

    INTERACTIVE = "a_interactive"
    BULK = "b_bulk"
    RESCUE = "c_rescue"
    LATE = "d_late"


#: HTTP's own numbers for what a gateway refuses before anybody behind it hears of it: 401, 403, its 404, 429 (M4).
_TURNED_AWAY = frozenset({401, 403, 404, 429})


#: Keys and sources that begin so are a run's, and no other door may use them.
RUN_KEYS = "run/"
#: And keys that begin so are a schedule's.
SCHEDULE_KEYS = "sch/"


@dataclass(frozen=True)
class Payment:
    """One payment, whole. Without slots, so that `but` can copy it at once."""

    # What was asked for; never changes.
    id: str
    account: str
    idempotency_key: str
    operation: Operation
    product: Product
    lane: Lane
    amount_minor: int
    currency: str
    exponent: int
    msisdn: str | None = field(repr=False)  # a whole number stands in no repr
    external_id: str
    payer_message: str
    payee_note: str
    metadata: str | None
    body_digest: str
    refund_of: str | None
    replaces: str | None
    environment: str
    source: str
    accepted_at_ms: int
    not_before_ms: int | None
    not_after_ms: int

    # Where it stands.
    state: State
    state_since_ms: int
    held_cause: HeldCause | None = None
    attempt: int = 1
    reference_id: str = ""
    sequence: int = 0
    reason_code: str | None = None
    reason_message: str | None = None
    financial_transaction_id: str | None = None
    refunded_minor: int = 0

    # Whose it is and when it is next due.
    work: Work | None = None
    queue: Queue = Queue.INTERACTIVE
    due_at_ms: int | None = None
    released_until_ms: int | None = None
    lease_until_ms: int | None = None
    fence: int = 0
    claims_since_word: int = 0
    hint_at_ms: int | None = None
    #: When a callback was last heard; stays when the hint has been followed, or each look would let another callback in (M11).
    hinted_at_ms: int | None = None

    # What we know of the current attempt at MTN.
    first_send_at_ms: int | None = None
    could_have_left_at_ms: int | None = None
    acknowledged_at_ms: int | None = None
    sends: int = 0
    not_now_count: int = 0
    looks: int = 0
    not_found_count: int = 0
    not_found_first_at_ms: int | None = None
    not_found_last_at_ms: int | None = None

    #: The run that it is a row of; never changes.
    run: str = ""

    @property
    def is_of_a_run(self) -> bool:
        """Whether it must stand under the signatures of a run, whichever of its names was changed."""
        return (
            bool(self.run)
            or self.idempotency_key.startswith((RUN_KEYS, SCHEDULE_KEYS))
            or self.source.startswith(RUN_KEYS)
        )

    @staticmethod
    def of(values: dict[str, Any]) -> "Payment":
        """A payment of a value for every field, as a ledger's row has them; for the reason that `but` gives."""
        if values.keys() != _FIELDS:
            raise TypeError(f"a payment is not made of {', '.join(sorted(values.keys() ^ _FIELDS))}")
        made = object.__new__(Payment)
        made.__dict__.update(values)
        return made

    def but(self, **changes: Any) -> "Payment":
        """The same payment with these fields changed.

        A payment meets this some twenty times on its way, and dataclasses.replace, which reads and sets fifty fields one by one,
        took a tenth of all CPU (measured).
        """
        if not changes.keys() <= _FIELDS:
            raise TypeError(f"a payment has no {', '.join(sorted(changes.keys() - _FIELDS))}")
        changed = object.__new__(Payment)
        changed.__dict__.update(self.__dict__)
        changed.__dict__.update(changes)
        return changed


_FIELDS = frozenset(each.name for each in fields(Payment))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reference at MTN: the request rendered once (M3), and whose credentials it went out under (M5)."""

    payment_id: str
    number: int
    reference_id: str
    product: str
    path: str
    body: bytes = field(repr=False)
    callback_url: str | None = field(repr=False)  # its path is unguessable, so it is kept out of sight
    api_user: str
    target_environment: str
    base_url: str
    created_at_ms: int

    @classmethod
    def of(cls, payment: Payment, request: RenderedRequest, created_at_ms: int) -> "Attempt":
        """The attempt on which a payment stands, with its request as it was rendered."""
        return cls(
            payment_id=payment.id,
            number=payment.attempt,
            reference_id=request.reference_id,
            product=request.product,
            path=request.path,
            body=request.body,
            callback_url=request.callback_url,
            api_user=request.api_user,
            target_environment=request.target_environment,
            base_url=request.base_url,
            created_at_ms=created_at_ms,
        )

    @property
    def request(self) -> RenderedRequest:
        """What is sent and asked about, always from the store."""
        return RenderedRequest(
            reference_id=self.reference_id,
            product=self.product,
            path=self.path,
            body=self.body,
            callback_url=self.callback_url,
            api_user=self.api_user,
            target_environment=self.target_environment,
            base_url=self.base_url,
        )


@dataclass(frozen=True, slots=True)
class Send:
    """One POST on the wire; without an ending its fate is unknown, for ever."""

    payment_id: str
    attempt: int
    number: int
    fence: int
    began_at_ms: int
    ended_at_ms: int | None = None
    ending: SendAnswer | None = None
    never_left: bool = False
    http_status: int | None = None
    code: str | None = None

    @property
    def fate_unknown(self) -> bool:
        """Money may have moved by this send and nobody knows."""
        return self.ending is None or self.ending is SendAnswer.UNKNOWN

    @property
    def left(self) -> bool:
        """The wallet platform may have seen this request: it counts as one of the few that an attempt may make (M5)."""
        return self.fate_unknown or self.ending is not SendAnswer.NOT_NOW

    @property
    def may_use_reference(self) -> bool:
        """This send can be why MTN says that the reference is used. What the gateway turned away never reached the platform (M6)."""
        return not self.never_left and (self.left or self.http_status not in _TURNED_AWAY)


@dataclass(frozen=True, slots=True)
class Change:
    """A decision: the payment as it is to be, and what moved it. `trigger` None changes bookkeeping only, without a transition."""

    before: Payment
    after: Payment
    trigger: Trigger | None = None
    detail: str | None = None
    #: ERROR-worthy: somebody should be woken, with this sentence.
    alert: str | None = None
    #: Who moved it, where a person did.
    actor: str | None = None
