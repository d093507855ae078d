"""Payments that are due for a look are asked about at MTN: ids come in, status reads leave, what MTN says goes out as reports. Never sends money."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from momo_worker.commons import noticing, recording
from momo_worker.commons.asking import ask_mtn, may_ask
from momo_worker.commons.parts import Parts
from momo_worker.commons.runner import in_batches
from momo_worker.ledger import installation, moves, stops, work
from momo_worker.ledger.late import Late, late_claimed
from momo_worker.payment import after_look
from momo_worker.payment.deciding import first_fence, look_again, put_on_desk
from momo_worker.payment.payment import Attempt, Change, Payment, Product, Work
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import LookVerdict, RenderedRequest


@dataclass(frozen=True, slots=True)
class Looking:
    """A payment that this worker looks up: which attempt, under which fence, since when."""

    payment_id: str
    account: str
    product: Product
    fence: int
    attempt: int
    began_at_ms: int
    request: RenderedRequest


def ask(parts: Parts, ids: Sequence[str]) -> Iterator[list[after_look.LookReport]]:
    """Claim what is due for a look and ask MTN; yields answers as they come, for the outcome to record."""
    looking = claim(parts, ids)
    return in_batches(parts.clock, parts.runner.run(lambda item: _ask(parts, item), looking))


def claim(parts: Parts, ids: Sequence[str]) -> list[Looking]:
    """Take the lease of what is released and due for a look."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        if stops.searching(tx) or noticing.unnoticed(tx, least):
            # MTN's FAILED of this attempt would be told as the payment's while a later one, which this ledger lost, may be paid.
            return []
        locked = moves.lock(tx, ids, skip_locked=True)
        due = [payment for payment in locked.values() if _claimable(payment, tx.now_ms)]
        if not due:
            return []
        crashing = [payment for payment in due if _crashes(payment, parts)]
        going = [payment for payment in due if not _crashes(payment, parts)]
        attempts = moves.attempts_of(tx, [payment.id for payment in going])
        ours, others = _parted(parts, going, attempts)
        changes = [_off_the_line(parts, payment, tx.now_ms) for payment in crashing]
        # Not a look, and not the payment's fault: it is due again, perhaps for a process that has its credentials.
        changes += [_later(parts, payment, tx.now_ms) for payment in others]
        told = recording.conclude(tx, parts, changes)
        first = first_fence(installation.epoch(tx))
        work.take_leases(tx, [payment.id for payment in ours], parts.rules.lease_ms, first)
        looking = [_looking(payment, attempts[payment.id, payment.attempt], tx.now_ms, first) for payment in ours]
    recording.tell(parts, told)
    return looking


def _claimable(payment: Payment, now_ms: int) -> bool:
    return (
        payment.work is Work.LOOK
        and payment.state in (State.UNKNOWN, State.PENDING, State.HELD)
        and payment.released_until_ms is not None
        and payment.released_until_ms > now_ms
        and (payment.lease_until_ms is None or payment.lease_until_ms <= now_ms)
        and payment.due_at_ms is not None
        and payment.due_at_ms <= now_ms
    )


def _crashes(payment: Payment, parts: Parts) -> bool:
    return payment.claims_since_word >= parts.rules.claims_held


def _later(parts: Parts, payment: Payment, now_ms: int) -> Change:
    """Due again by its own pace. A hint is let go of: it would make the payment due at once, again and again."""
    return Change(payment, look_again(payment.but(hint_at_ms=None), now_ms, parts.rules, parts.rng))


def _off_the_line(parts: Parts, payment: Payment, now_ms: int) -> Change:
    why = f"claimed {payment.claims_since_word} times and never a word recorded: its handling ends the process"
    if payment.state is State.HELD:
        return replace(_later(parts, payment, now_ms), alert=why)
    return put_on_desk(payment, HeldCause.CRASHES, now_ms, parts.rules, parts.rng, why)


def _parted(
    parts: Parts, payments: Sequence[Payment], attempts: dict[tuple[str, int], Attempt]
) -> tuple[list[Payment], list[Payment]]:
    """Payments that this process may ask about, and those that it may not."""
    ours: list[Payment] = []
    others: list[Payment] = []
    for payment in payments:
        attempt = attempts.get((payment.id, payment.attempt))
        (ours if attempt is not None and may_ask(parts, payment, attempt) else others).append(payment)
    return ours, others


def _looking(payment: Payment, attempt: Attempt, now_ms: int, first: int) -> Looking:
    fence = max(payment.fence + 1, first)
    return Looking(payment.id, payment.account, payment.product, fence, payment.attempt, now_ms, attempt.request)


def _ask(parts: Parts, item: Looking) -> after_look.LookReport:
    verdict = ask_mtn(parts, item.account, item.product, item.request)
    return after_look.LookReport(item.payment_id, item.attempt, item.fence, item.began_at_ms, verdict)


def ask_late(parts: Parts, *, limit: int) -> list[tuple[Late, LookVerdict]]:
    """Ask once more about attempts that were closed without MTN's own FAILED, or have a successor (M8)."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        if stops.searching(tx) or noticing.unnoticed(tx, least):
            return []
        due = late_claimed(tx, limit=limit, lease_ms=parts.rules.lease_ms)
        payments = moves.read(tx, [item.attempt.payment_id for item in due])
    asked = []
    for item in due:
        payment = payments[item.attempt.payment_id]
        if may_ask(parts, payment, item.attempt):
            asked.append((item, ask_mtn(parts, payment.account, payment.product, item.attempt.request)))
    return asked
