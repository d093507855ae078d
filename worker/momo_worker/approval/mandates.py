"""The text that an approver signs for a schedule, and what it permits: facts come in, a text or a decision goes out. Pure.

It is signed once, for a list of payers with the most that each may be asked for in a period, and for a ceiling over all of them.
"""

from dataclasses import dataclass

from momo_worker.approval.merkle import is_under, leaf_hash
from momo_worker.approval.people import People, Role
from momo_worker.approval.signing import is_signed

_RULE = "momo-mandate-1"
_LEAF_RULE = "momo-payer-1"


@dataclass(frozen=True, slots=True)
class Mandate:
    """What was signed, as the ledger keeps it. Amounts are minor units, the time is the ledger's in milliseconds."""

    name: str
    root: str
    payers: int
    ceiling_minor: int
    signed_at_ms: int
    signature: str


@dataclass(frozen=True, slots=True)
class MandateTerms:
    """What a schedule says of itself: whose money, where it goes."""

    namespace: str
    schedule_id: str
    account: str
    #: Where the account's money is: base URL, target environment, currency and API user (money-review R3).
    pin: str
    currency: str
    exponent: int

    def statement(self, given: Mandate) -> str:
        """Exactly what is signed."""
        lines = (
            _RULE,
            f"namespace: {self.namespace}",
            f"schedule: {self.schedule_id}",
            "operation: collect",
            f"account: {self.account}",
            f"pin: {self.pin}",
            f"currency: {self.currency} (exponent {self.exponent})",
            f"payers: {given.payers}",
            f"ceiling per period: {given.ceiling_minor}",
            f"root: {given.root}",
            f"by: {given.name}",
            f"at: {given.signed_at_ms}",
        )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class PayerLeaf:
    """One payer of a signed list: as in keys, the number, and the most that one period may ask for."""

    key_id: str
    msisdn: str
    most_minor: int

    def __repr__(self) -> str:
        return f"PayerLeaf(key_id={self.key_id!r})"

    def data(self) -> bytes:
        """What is hashed: each part preceded by its length, so that no two payers read alike."""
        parts = (_LEAF_RULE, self.key_id, self.msisdn, str(self.most_minor))
        return b"".join(len(data).to_bytes(4, "big") + data for data in (part.encode() for part in parts))

    def hashed(self) -> bytes:
        """As the tree has it."""
        return leaf_hash(self.data())


@dataclass(frozen=True, slots=True)
class MandateAnswer:
    """What a mandate permits: nothing where `why` isn't empty."""

    why: str = ""
    #: The reason may lie with this process alone, which doesn't know somebody.
    unknown: bool = False


def permits(terms: MandateTerms, given: Mandate | None, people: People, *, maker: str) -> MandateAnswer:
    """Hold a mandate's signature against what the ledger says now. Who made the schedule can't permit it."""
    if given is None:
        return MandateAnswer("nobody has approved this schedule")
    person = people.counted.get(given.name)
    if person is None:
        why = (
            f"{given.name}, who signed its mandate, doesn't count in this process: neither the first_approver of its settings nor "
            "approvers.toml says so; where both do by now, start `momo up` or this worker again"
        )
        return MandateAnswer(why, unknown=True)
    if person.role is not Role.APPROVER or not is_signed(person.key, terms.statement(given), given.signature):
        return MandateAnswer(f"the mandate signed by {given.name} isn't about what the ledger holds now")
    if maker.lower() == given.name:
        return MandateAnswer(f"{maker} made this schedule and can't approve it")
    return MandateAnswer()


def covers(given: Mandate, leaf: PayerLeaf, place: int, path: bytes) -> bool:
    """Whether this payer stands at this place (from 1) of the list that was signed."""
    return is_under(bytes.fromhex(given.root), leaf.hashed(), place - 1, given.payers, path)
