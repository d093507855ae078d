"""The text that people sign for a run, and what their signatures permit: facts come in, a text or a decision goes out. Pure.

The text is plain so that an approver, and a verifier without our code, can read what was signed (money-review A1, A2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from momo_worker.approval.people import People, Role
from momo_worker.approval.signing import is_signed

_RULES = {Role.MAKER: "momo-submission-1", Role.APPROVER: "momo-approval-1"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a signature is about. Times are the ledger's, in milliseconds; 0 is no earliest start."""

    namespace: str
    run_id: str
    run: str
    operation: str
    account: str
    #: Where the account's money is: base URL, target environment, currency and API user (money-review R3).
    pin: str
    rows: int
    total_minor: int
    currency: str
    exponent: int
    #: Of the tree over the rows, in hex.
    root: str
    earliest_ms: int
    #: When it was imported: a run that was cancelled and comes again is signed anew.
    imported_at_ms: int
    #: How many approvals this run needed when it was signed.
    needed: int

    def statement(self, role: Role, name: str, at_ms: int) -> str:
        """Exactly what is signed."""
        lines = (
            _RULES[role],
            f"namespace: {self.namespace}",
            f"run: {self.run_id}",
            f"name: {self.run}",
            f"operation: {self.operation}",
            f"account: {self.account}",
            f"pin: {self.pin}",
            f"imported: {self.imported_at_ms}",
            f"rows: {self.rows}",
            f"total: {self.total_minor} {self.currency} (exponent {self.exponent})",
            f"root: {self.root}",
            f"earliest: {self.earliest_ms}",
            f"approvals: {self.needed}",
            f"by: {name}",
            f"at: {at_ms}",
        )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Signature:
    """Somebody's signature under a run, as the ledger keeps it, with the terms that may differ from one to the next."""

    role: Role
    name: str
    root: str
    earliest_ms: int
    needed: int
    signed_at_ms: int
    signature: str


@dataclass(frozen=True, slots=True)
class Permission:
    """What a run's signatures permit: rows under this root, not before, or nothing and why."""

    root: str = ""
    earliest_ms: int = 0
    approvers: tuple[str, ...] = ()
    #: Why nothing is permitted; '' where it is.
    why: str = ""
    #: The reason may lie with this process alone, which doesn't know somebody: it must not condemn the rows.
    unknown: bool = False


def permission(
    terms: Terms, signatures: Sequence[Signature], people: People, *, maker: str, signed: bool
) -> Permission:
    """Hold every signature against what the ledger says now.

    `terms` is what the run says of itself, its root, start and count of approvals left open: each signature brings its own, and all
    must agree. `maker` is who imported it; `signed` says that a maker's signature is needed.
    """
    given = [one for one in signatures if one.role is Role.APPROVER]
    if not given:
        return Permission(why="nobody has approved this run")
    made = [one for one in signatures if one.role is Role.MAKER]
    if signed and not made:
        return Permission(why="its maker hasn't signed this run")
    if len({(one.root, one.earliest_ms) for one in (*given, *made)}) != 1:
        return Permission(why="its signatures aren't about the same rows and start")
    for one in (*given, *made):
        person = people.counted.get(one.name)
        if person is None:
            why = (
                f"{one.name}, who signed it, doesn't count in this process: neither the first_approver of its settings nor approvers.toml "
                "says so; where both do by now, start `momo up` or this worker again"
            )
            return Permission(why=why, unknown=True)
        if person.role is not one.role or not is_signed(person.key, _text_of(terms, one), one.signature):
            return Permission(why=f"the signature of {one.name} isn't about what the ledger holds now")
    names = {one.name for one in given}
    if maker.lower() in names or names & {one.name for one in made}:
        return Permission(why=f"{maker} made this run and can't approve it")
    needed = max(one.needed for one in given)
    if len(names) < needed:
        return Permission(why=f"it needs {needed} approvals and has {len(names)}")
    first = given[0]
    return Permission(first.root, first.earliest_ms, tuple(sorted(names)))


def _text_of(terms: Terms, one: Signature) -> str:
    said = replace(terms, root=one.root, earliest_ms=one.earliest_ms, needed=one.needed)
    return said.statement(one.role, one.name, one.signed_at_ms)
