"""An approver puts their name under a schedule, once: its payers, the most that each may be asked for, and a ceiling come in, a signed mandate goes out.

Moves no money. Who made the schedule doesn't approve it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from momo_worker.approval.mandates import Mandate, PayerLeaf
from momo_worker.approval.merkle import root_and_paths
from momo_worker.approval.people import Entry
from momo_worker.approval.signing import public_text, sign
from momo_worker.commons.mandates import terms_of
from momo_worker.commons.parts import Parts
from momo_worker.commons.signatures import account_pin
from momo_worker.ledger import schedules, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_desk import subject_of
from momo_worker.ledger.schedules import Payer, Schedule, SignedPayer
from momo_worker.payment.payment import Operation


class NotMandatedError(Exception):
    """Nothing was signed; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Mandated:
    """A schedule and what was signed for it."""

    schedule: Schedule
    mandate: Mandate


def sign_mandate(
    parts: Parts,
    account: str,
    name: str,
    person: Entry,
    open_key: Callable[[], Ed25519PrivateKey],
    *,
    ceiling_minor: int | None = None,
) -> Mandated:
    """Sign a schedule's payers as they stand now. `ceiling_minor` is for one period; by default what they owe together.

    Raises NotMandatedError.
    """
    with parts.ledger.read() as tx:
        schedule = _signable(tx, account, name, person)
        payers = schedules.payers_of(tx, schedule.id)
    if not payers:
        raise NotMandatedError(f"the schedule {name} has no payers yet: `momo schedule edit {name} --payers FILE`")
    ceiling = sum(one.amount_minor for one in payers) if ceiling_minor is None else ceiling_minor
    leaves = [PayerLeaf(one.key_id, one.msisdn, one.amount_minor) for one in payers]
    root, paths = root_and_paths([leaf.hashed() for leaf in leaves])
    key = open_key()
    if public_text(key) != person.key:
        raise NotMandatedError(f"the key of {person.name} on this machine isn't the one in approvers.toml")
    pin = account_pin(parts.accounts[account], Operation.COLLECT)
    with parts.ledger.write() as tx:
        schedule = _signable(tx, account, name, person, lock=True)
        if _differ(payers, schedules.payers_of(tx, schedule.id)):
            raise NotMandatedError(
                f"the payers of {name} were changed in this very moment: look at them and sign again"
            )
        open_given = Mandate(person.name, root.hex(), len(payers), ceiling, tx.now_ms, "")
        text = terms_of(schedule, str(parts.namespace), pin).statement(open_given)
        given = replace(open_given, signature=sign(key, text))
        signed = [
            SignedPayer(leaf.key_id, leaf.msisdn, leaf.most_minor, place, path)
            for place, (leaf, path) in enumerate(zip(leaves, paths, strict=True), start=1)
        ]
        schedules.put_mandate(tx, schedule.id, given, signed)
        stops.journal(
            tx,
            actor=person.name,
            action="schedule approved",
            subject=subject_of(schedule.id, account),
            reason=f"{len(payers)} payers, ceiling {ceiling}, root {given.root}",
        )
        return Mandated(schedule, given)


def _signable(tx: Tx, account: str, name: str, person: Entry, *, lock: bool = False) -> Schedule:
    schedule = schedules.named(tx, account, name, lock=lock)
    if schedule is None or schedule.state == "removed":
        raise NotMandatedError(f"account {account} has no schedule {name}; `momo schedule list` names those there are")
    if person.name == schedule.maker.lower():
        raise NotMandatedError(
            f"{person.name} made the schedule {name}, and nobody approves their own: ask another approver"
        )
    return schedule


def _differ(seen: Sequence[Payer], now: Sequence[Payer]) -> bool:
    said = [(one.key_id, one.msisdn, one.amount_minor) for one in seen]
    return said != [(one.key_id, one.msisdn, one.amount_minor) for one in now]
