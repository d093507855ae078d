"""Payments of a restored ledger are asked about at MTN, each attempt that there may be: what is on the list comes in, what the search found is recorded.

Only status reads leave. What isn't certain is asked again; a search that ends is written in one transaction with what it changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from momo_worker.accounts import Account
from momo_worker.commons import recording, retelling
from momo_worker.commons.asking import ask_mtn, may_ask
from momo_worker.commons.parts import Parts
from momo_worker.commons.runner import in_batches
from momo_worker.ledger import desk, moves, recovery
from momo_worker.ledger.engine import Tx
from momo_worker.payment import after_restore
from momo_worker.payment.after_restore import Finding, Outcome, Sighting
from momo_worker.payment.deciding import contradiction
from momo_worker.payment.payment import Attempt, Operation, Payment
from momo_worker.payment.reference import reference_id
from momo_worker.payment.rules import HOUR
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import LookAnswer, Status

log = structlog.get_logger(__name__)

_AT_ONCE = 20
_AGAIN_MS = 2_000
_AGAIN_MS_MAX = 60_000
_PIECE = 200


@dataclass(frozen=True, slots=True)
class _Asking:
    """A payment that is asked about: each attempt in every way in which it may have been sent, and since when."""

    search: recovery.Search
    payment: Payment
    attempts: Mapping[int, tuple[Attempt, ...]]
    began_at_ms: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """What MTN said of one attempt, and the way in which it was asked about with that answer."""

    way: Attempt
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class _Asked:
    """What MTN said, in the order of the attempts; `whole` False where one answer was no word."""

    asking: _Asking
    seen: tuple[_Seen, ...]
    whole: bool

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """The answers alone, which is what is decided by."""
        return tuple(each.sighting for each in self.seen)


def search(parts: Parts) -> int:
    """Make the searches that are due, and end the phase when none is left; returns how many were made."""
    asking = _claim(parts)
    for batch in in_batches(parts.clock, parts.runner.run(lambda item: _ask(parts, item), asking)):
        _record(parts, batch)
    if not asking:
        _end_if_done(parts)
    return len(asking)


def _claim(parts: Parts) -> list[_Asking]:
    with parts.ledger.write() as tx:
        due = recovery.claim_searches(tx, limit=_AT_ONCE, lease_ms=parts.rules.lease_ms)
        if not due:
            return []
        payments = moves.read(tx, [each.payment_id for each in due])
        stored = moves.attempts_of(tx, list(payments))
        collections = [payment.refund_of for payment in payments.values() if payment.refund_of]
        refunded = {name: found.reference_id for name, found in moves.read(tx, collections).items()}
        return [
            _asking(
                tx,
                parts,
                each,
                payments[each.payment_id],
                stored,
                refunded.get(payments[each.payment_id].refund_of or ""),
            )
            for each in due
        ]


def _asking(
    tx: Tx,
    parts: Parts,
    each: recovery.Search,
    payment: Payment,
    stored: dict[tuple[str, int], Attempt],
    refund_reference: str | None,
) -> _Asking:
    attempts: dict[int, tuple[Attempt, ...]] = {}
    for number in after_restore.attempts_to_ask(payment, parts.rules):
        kept = stored.get((payment.id, number))
        ways = _rendered(tx, parts, payment, number, refund_reference) if kept is None else (kept,)
        if not ways or not all(may_ask(parts, payment, way) for way in ways):
            attempts = {}
            break
        attempts[number] = ways
    return _Asking(each, payment, attempts, tx.now_ms)


def _rendered(tx: Tx, parts: Parts, payment: Payment, number: int, refund_reference: str | None) -> tuple[Attempt, ...]:
    """An attempt that this ledger doesn't hold, in each way in which it may have been sent: to be asked about, and never to be sent.

    Empty where this process can't render each: MTN knows nothing of it only where it was asked in all of them.
    """
    account = parts.accounts.get(payment.account)
    if account is None:
        return ()
    key = (payment.account, payment.operation.value, payment.idempotency_key)
    as_sent = payment.but(attempt=number, reference_id=reference_id(parts.namespace, *key, number))
    try:
        requests = [
            parts.render(as_sent, account=as_set, refund_reference=refund_reference)
            for as_set in _as_it_may_have_been(account, payment)
        ]
    except ValueError as error:
        log.warning("a lost attempt can't be asked about", payment_id=payment.id, why=str(error), action="skipped")
        return ()
    return tuple(Attempt.of(as_sent, request, tx.now_ms) for request in requests)


def _as_it_may_have_been(account: Account, payment: Payment) -> tuple[Account, ...]:
    """The account as it is set now, and for a refund as it may have been set before: `refund_by` is a path, and no part of the reference."""
    if payment.operation is not Operation.REFUND:
        return (account,)
    return account, replace(account, refund_by_transfer=not account.refund_by_transfer)


def _ask(parts: Parts, item: _Asking) -> _Asked:
    seen: list[_Seen] = []
    for ways in item.attempts.values():
        found = _seen(parts, item.payment, ways)
        if found is None:
            return _Asked(item, tuple(seen), whole=False)
        seen.append(found)
        if after_restore.is_enough(item.payment, found.sighting):
            break
    nothing_to_ask = not after_restore.attempts_to_ask(item.payment, parts.rules)
    return _Asked(item, tuple(seen), whole=bool(seen) or nothing_to_ask)


def _seen(parts: Parts, payment: Payment, ways: Sequence[Attempt]) -> _Seen | None:
    """Ask about one attempt, each way in its turn; None where one answer was no word.

    What lives or is paid needs no other way. A failure does: it would be told, and tried again, while what left the other way is paid.
    """
    failed: _Seen | None = None
    nowhere: _Seen | None = None
    for way in ways:
        verdict = ask_mtn(parts, payment.account, payment.product, way.request)
        if verdict.answer is LookAnswer.NO_WORD:
            return None
        seen = _Seen(way, Sighting(way.number, way.reference_id, verdict))
        if not seen.sighting.found:
            nowhere = nowhere or seen
        elif verdict.status is not Status.FAILED:
            return seen
        else:
            failed = failed or seen
    return failed or nowhere


# ---- recording -------------------------------------------------------------------------------------------------------------


def _record(parts: Parts, batch: Sequence[_Asked]) -> None:
    told: list[recording.Told] = []
    with parts.ledger.write() as tx:
        payments = moves.lock(tx, [asked.asking.payment.id for asked in batch])
        stored = moves.attempts_of(tx, list(payments))
        found = recovery.latest(tx)
        settled_at = 0 if found is None else _settled_at(parts, found)
        for asked in batch:
            payment = payments.get(asked.asking.payment.id)
            if payment is None:
                # Restored once more while MTN was asked; the list of the next recovery has what there is.
                continue
            old = found is None or found.is_old(payment.state, payment.accepted_at_ms, payment.source)
            finding = _decided(tx, parts, payment, asked, settled_at, old=old)
            if finding.outcome is None:
                reckoned_with = found is None or found.is_reckoned_with(tx.now_ms, parts.rules.recovery_adopt_ms)
                waits = reckoned_with or payment.state in (State.ACCEPTED, State.PENDING)
                soon = waits or asked.asking.search.tries < recovery.TRIES_LEAST
                _put_off(tx, asked, settled_at, least_ms=0 if soon else HOUR)
                continue
            if finding.change is not None:
                _keep_attempts(tx, parts, finding, asked, stored)
                moved = recording.conclude(tx, parts, [finding.change])
                # What replaces it may have been stopped with it, and come later in this batch.
                payments |= moves.lock(tx, [item.change.after.id for item in moved])
                told += moved
            recovery.conclude(tx, asked.asking.search, finding.outcome)
    recording.tell(parts, told)


def _settled_at(parts: Parts, found: recovery.Recovery) -> int:
    """From when a 404 counts: what the lost ledger had sent has had its call's whole time, and MTN its grace to show it (M5)."""
    return _visible_at(parts, found.began_at_ms)


def _visible_at(parts: Parts, left_at_ms: int) -> int:
    """When what left at that moment, at the latest, can be seen at MTN. A send of this ledger's own, after the restore, has this time, too."""
    return left_at_ms + parts.rules.call_deadline_ms + parts.rules.not_found_grace_ms


def _decided(tx: Tx, parts: Parts, payment: Payment, asked: _Asked, settled_at: int, *, old: bool) -> Finding:
    before = asked.asking.payment
    moved_on = (payment.attempt, payment.state is State.FAILED) != (before.attempt, before.state is State.FAILED)
    if not asked.whole or moved_on:
        return after_restore.AGAIN
    finding = after_restore.decide(
        payment,
        asked.sightings,
        settled=asked.asking.began_at_ms >= max(settled_at, _visible_at(parts, payment.could_have_left_at_ms or 0)),
        old=old,
        now_ms=tx.now_ms,
        rules=parts.rules,
        rng=parts.rng,
    )
    if finding.outcome is Outcome.ADOPTED and not _counts_again(tx, payment):
        why = "a later attempt of this refund exists at MTN, and its collection has no room left for it"
        return Finding(Outcome.DISPUTED, contradiction(payment, why))
    if finding.outcome in (Outcome.UNSENT, Outcome.STANDS) and _failure_unasked(tx, parts, payment):
        return after_restore.AGAIN
    # A lost retry that failed as well speaks against nothing: its correction rests on that failure, too.
    lives = any(each.found and each.verdict.status is not Status.FAILED for each in asked.sightings)
    successor = desk.successor_of(tx, payment.id) if finding.outcome is Outcome.ADOPTED and lives else None
    if finding.change is not None and successor is not None:
        why = f"MTN has another attempt of it, and payment {successor} replaces it: both may be paid"
        return Finding(finding.outcome, replace(finding.change, alert=why))
    return finding


def _failure_unasked(tx: Tx, parts: Parts, payment: Payment) -> bool:
    """Whether what it replaces may have been tried again by the lost ledger: asked about before this one may be sent, however old it is."""
    if payment.replaces is None or payment.state not in (State.ACCEPTED, State.HELD):
        return False
    replaced = moves.read(tx, [payment.replaces])[payment.replaces]
    if replaced.state is not State.FAILED:
        return False
    within_ms = parts.rules.recovery_adopt_ms
    return recovery.ask_first(tx, replaced.id, within_ms=within_ms, since_ms=replaced.state_since_ms)


def _counts_again(tx: Tx, payment: Payment) -> bool:
    """A failed refund was taken off its collection, and MTN has another attempt of it (M14)."""
    if payment.operation is not Operation.REFUND or payment.state is not State.FAILED or payment.refund_of is None:
        return True
    return moves.change_refunded(tx, payment.refund_of, payment.amount_minor)


def _put_off(tx: Tx, asked: _Asked, settled_at: int, *, least_ms: int) -> None:
    """Ask again: soon while something waits for it, else hourly, so that what MTN is silent about keeps nobody else waiting."""
    soon = tx.now_ms + max(least_ms, min(_AGAIN_MS << asked.asking.search.tries, _AGAIN_MS_MAX))
    # A whole search that rests on a 404 waits until that counts.
    at_ms = max(soon, settled_at) if asked.whole and after_restore.may_be_early(asked.sightings) else soon
    recovery.put_off(tx, asked.asking.search, at_ms, counts=True)


def _keep_attempts(
    tx: Tx, parts: Parts, finding: Finding, asked: _Asked, stored: dict[tuple[str, int], Attempt]
) -> None:
    """Write down the attempt that is the payment's now, and those before it that MTN hasn't called failed: they are looked at again (M8)."""
    if finding.change is None or finding.outcome not in (Outcome.AT_MTN, Outcome.ADOPTED, Outcome.DISPUTED):
        return
    after = finding.change.after
    seen = {each.sighting.attempt: each.sighting for each in asked.seen}
    for number in range(finding.change.before.attempt, after.attempt + 1):
        attempt = _as_mtn_has_it(asked, number)
        if attempt is None:
            continue
        failed = number in seen and seen[number].found and seen[number].verdict.status is Status.FAILED
        is_now = number == after.attempt
        if (after.id, number) not in stored and (is_now or not failed):
            moves.add_attempts(tx, [attempt])
        if not is_now and not failed:
            moves.follow_late(tx, after.id, number, tx.now_ms + parts.rules.late_looks_ms[0], 0)


def _as_mtn_has_it(asked: _Asked, number: int) -> Attempt | None:
    """The attempt in the way in which MTN has it, for every later look asks as it is stored; None where it wasn't asked about.

    One that left no trace is stored in the way of the last that did: the lost ledger most likely sent both alike.
    """
    ways = asked.asking.attempts.get(number, ())
    paths = [each.way.path for each in asked.seen if each.sighting.found]
    own = [each.way.path for each in asked.seen if each.sighting.found and each.sighting.attempt == number]
    wanted = (own or paths or [""])[-1]
    return next((way for way in ways if way.path == wanted), ways[0] if ways else None)


def _end_if_done(parts: Parts) -> None:
    with parts.ledger.read() as tx:
        found = recovery.current(tx)
        if found is None or found.listed_at_ms is None or not found.searching or recovery.open_searches(tx, found.id):
            return
    retelling.tell_again(parts, found)
    with parts.ledger.write() as tx:
        now = recovery.lock_current(tx)
        if now is None or now.epoch != found.epoch or not now.searching:
            return
        recovery.note(tx, found.id, searched_at_ms=tx.now_ms)
    log.warning(
        "every payment was looked for; the recovery waits for a person",
        epoch=found.epoch,
        action="searched",
        advice="`momo recover`, then `momo recover --release`",
    )
