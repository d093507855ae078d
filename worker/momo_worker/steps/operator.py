"""A person's decision about one payment becomes a fact, or is refused: an id comes in, what it is now goes out. Never sends money.

Decided under the payment's lock, whatever was read before; each decision is journaled with who, when and why.
"""

from dataclasses import dataclass, replace

from momo_worker.accounts import SameAgain
from momo_worker.commons import noticing, recording
from momo_worker.commons.asking import ask_mtn, may_ask
from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, desk, moves, recovery, schedule_dues, stops
from momo_worker.ledger.engine import Tx
from momo_worker.payment import after_look, operator, resolving
from momo_worker.payment.after_look import LookReport
from momo_worker.payment.operator import By, NotPermitted, Retry
from momo_worker.payment.payment import SCHEDULE_KEYS, Change, Operation, Payment
from momo_worker.payment.reference import reference_id
from momo_worker.payment.resolving import Asked, Resolve
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import LookAnswer


@dataclass(frozen=True, slots=True)
class Decided:
    """The payment as it is now, and why nothing was done where it wasn't."""

    payment: Payment
    refused: NotPermitted | None = None


def cancel(parts: Parts, payment_id: str, *, actor: str, reason: str) -> Decided | None:
    """Cancel under the payment's lock; returns after the commit, None where there is no such payment.

    A worker that claims at the same moment takes the same lock: one of the two is first, and the other finds the state moved.
    """
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id]).get(payment_id)
        if payment is None:
            return None
        sends = moves.sends_of(tx, [payment_id])[payment_id]
        change = _unsearched(tx, parts, payment, least) or operator.cancel(
            payment, sends, tx.now_ms, actor=actor, reason=reason
        )
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        told = recording.conclude(tx, parts, [change])
        stops.journal(tx, actor=actor, action="cancel", subject=payment_id, reason=reason)
    recording.tell(parts, told)
    return Decided(told[0].change.after)


def retry(
    parts: Parts,
    payment_id: str,
    *,
    by: By,
    until_ms: int | None = None,
    seen_attempt: int | None = None,
    producer_knows: bool = False,
    by_schedule: bool = False,
) -> Decided | None:
    """Give a payment its next attempt (M8), under the payment's lock: of two who ask at once one is first, and the other is told.

    `seen_attempt` is the one that whoever asks saw failed. Nothing is sent here: the payment is due like any accepted one.
    `by_schedule` has written down itself that its payer is asked again.
    """
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id]).get(payment_id)
        if payment is None:
            return None
        asked = Retry(by, _next_reference(parts, payment), until_ms, seen_attempt, producer_knows)
        standing = desk.standing_of(tx, payment, alike_within_ms=_alike_within(parts, payment))
        change = _unsearched(tx, parts, payment, least) or operator.retry(
            payment, standing, tx.now_ms, asked, parts.rules
        )
        if isinstance(change, Change):
            change = _counted_against_its_collection(tx, change)
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        told = recording.conclude(tx, parts, [change])
        recovery.go_on_without(tx, payment_id, asked_first.SKIPPED)
        _prolong(tx, change)
        if payment.idempotency_key.startswith(SCHEDULE_KEYS) and not by_schedule:
            schedule_dues.asked_by_person(tx, payment.idempotency_key)
        stops.journal(tx, actor=by.actor, action="retry", subject=payment_id, reason=by.reason)
    recording.tell(parts, told)
    return Decided(told[0].change.after)


def release(parts: Parts, payment_id: str, *, by: By, until_ms: int | None = None) -> Decided | None:
    """Let a held payment of which nothing was sent be sent after all."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id]).get(payment_id)
        if payment is None:
            return None
        standing = desk.standing_of(tx, payment)
        change = _unsearched(tx, parts, payment, least) or operator.release(
            payment, standing, tx.now_ms, by, until_ms=until_ms
        )
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        told = recording.conclude(tx, parts, [change])
        recovery.go_on_without(tx, payment_id, asked_first.SKIPPED)
        _prolong(tx, change)
        stops.journal(tx, actor=by.actor, action="release", subject=payment_id, reason=by.reason)
    recording.tell(parts, told)
    return Decided(told[0].change.after)


def resolve(parts: Parts, payment_id: str, said: Resolve, *, paid_attempt: int | None = None) -> Decided | None:
    """End a payment by a person's word (M7, M8). Asks MTN first, wherever it may: its own word goes before a person's.

    `paid_attempt` is the one that MTN paid, where it isn't the last.
    """
    found = _asked_about(parts, payment_id)
    if found is None:
        return None
    if paid_attempt is not None:
        reference = found.references.get(paid_attempt)
        if reference is None:
            why = f"has no attempt {paid_attempt} that was ever sent"
            return Decided(found.payment, NotPermitted(why, "its attempts are shown by `momo payment show`"))
        said = replace(said, paid_reference=reference)
    said = replace(said, seen_at_ms=found.began_at_ms)
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        payment = moves.lock(tx, [payment_id])[payment_id]
        # MTN was asked just now, where it may be; where it can't be, evidence is what a person has.
        within_ms = parts.rules.recovery_adopt_ms
        if noticing.unnoticed(tx, least) or recovery.unsearched(tx, payment_id, within_ms=within_ms):
            return Decided(payment, _not_yet())
        standing = desk.standing_of(tx, payment)
        heard = _mtns_word(tx, parts, payment, standing, found.asked)
        change = heard or resolving.resolve(payment, standing, tx.now_ms, said, found.asked, parts.rules)
        if isinstance(change, NotPermitted):
            return Decided(payment, change)
        unheard = _unheard(tx, change, said, within_ms=within_ms)
        if unheard is not None:
            return Decided(payment, unheard)
        told = recording.conclude(tx, parts, [change])
        if heard is None:
            action = f"resolve {said.outcome.value}"
            stops.journal(tx, actor=said.by.actor, action=action, subject=payment_id, reason=resolving.in_words(said))
    recording.tell(parts, told)
    after = told[0].change.after
    if heard is None or after.state is said.outcome:
        return Decided(after)
    why = f"is {after.state.value} now by MTN's own word, which was said this moment and is recorded"
    return Decided(after, NotPermitted(why, "follow it with `momo payment show`"))


def _unsearched(tx: Tx, parts: Parts, payment: Payment, least: int) -> NotPermitted | None:
    """A restored ledger's own word about a payment is worth nothing before MTN was asked about every attempt of it (design.md 9)."""
    if noticing.unnoticed(tx, least):
        return _not_yet()
    within_ms = parts.rules.recovery_adopt_ms
    # A failure may have been retried by the ledger that was lost; one that came after it can't.
    since_ms = payment.state_since_ms if payment.state is State.FAILED else None
    asks = payment.state in (State.ACCEPTED, State.HELD, State.FAILED)
    if asks and recovery.ask_first(tx, payment.id, within_ms=within_ms, since_ms=since_ms):
        return _not_yet()
    return _not_yet() if recovery.unsearched(tx, payment.id, within_ms=within_ms) else None


def _unheard(tx: Tx, change: Change, said: Resolve, *, within_ms: int) -> NotPermitted | None:
    """Why nothing is told before MTN was asked about each attempt that there may be; only its statement says more.

    Of a failure, whoever found it: a person may have gone on without MTN's word, and the lost ledger may have paid a later attempt. Of
    a success without a statement where nothing left by this ledger's word: no look would ever correct it.
    """
    fails = change.after.state is State.FAILED
    if said.statement is not None and (said.outcome is State.FAILED or not fails):
        return None
    payment = change.before
    never_left = _never_left(tx, payment)
    if not fails and not never_left:
        return None
    if recovery.ask_first(tx, payment.id, within_ms=within_ms, since_ms=None if never_left else tx.now_ms):
        return _not_yet()
    return _no_word() if recovery.is_searched(tx, payment.id) else None


def _never_left(tx: Tx, payment: Payment) -> bool:
    """Whether nothing of the last attempt left, by this ledger's word."""
    if payment.state is not State.HELD or payment.acknowledged_at_ms is not None:
        return False
    sends = moves.sends_of(tx, [payment.id])[payment.id]
    return not any(one.attempt == payment.attempt and one.left for one in sends)


def _not_yet() -> NotPermitted:
    return NotPermitted(
        "may have been sent, cancelled or retried by the ledger that was lost, and MTN hasn't been asked about it yet",
        "it is being asked; decide in some minutes (`momo recover` counts what waits for MTN's word)",
        passes=True,
    )


def _no_word() -> NotPermitted:
    return NotPermitted(
        "may have been sent by the ledger that was lost, and MTN has given no word about it since",
        "only MTN's statement (--statement) says what became of it; MTN is still asked",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    payment: Payment
    #: Of each attempt that was ever claimed.
    references: dict[int, str]
    began_at_ms: int
    asked: Asked | None


def _asked_about(parts: Parts, payment_id: str) -> _Found | None:
    """Ask MTN about the last attempt, where this process may, and without holding anything locked."""
    with parts.ledger.read() as tx:
        payment = moves.read(tx, [payment_id]).get(payment_id)
        attempts = moves.attempts_of(tx, [payment_id])
        began_at_ms = tx.now_ms
    if payment is None:
        return None
    references = {number: attempt.reference_id for (_, number), attempt in attempts.items()}
    attempt = attempts.get((payment_id, payment.attempt))
    if payment.state not in resolving.RESOLVABLE or attempt is None or not may_ask(parts, payment, attempt):
        return _Found(payment, references, began_at_ms, None)
    verdict = ask_mtn(parts, payment.account, payment.product, attempt.request)
    return _Found(payment, references, began_at_ms, Asked(attempt.number, began_at_ms, verdict))


def _mtns_word(
    tx: Tx, parts: Parts, payment: Payment, standing: operator.Standing, asked: Asked | None
) -> Change | None:
    """What MTN said to this command, where it moves the payment by itself: that MTN has it counts whoever brings it (M4)."""
    if asked is None or asked.verdict.answer is not LookAnswer.FOUND or asked.attempt != payment.attempt:
        return None
    report = LookReport(payment.id, asked.attempt, payment.fence, asked.began_at_ms, asked.verdict)
    sends = standing.sends_of(asked.attempt)
    change = after_look.decide(payment, sends, report, now_ms=tx.now_ms, rules=parts.rules, rng=parts.rng)
    return change if change.trigger is not None else None


def _next_reference(parts: Parts, payment: Payment) -> str:
    key = (payment.account, payment.operation.value, payment.idempotency_key)
    return reference_id(parts.namespace, *key, payment.attempt + 1)


def _alike_within(parts: Parts, payment: Payment) -> int | None:
    """None where the account says that equal payments are usual."""
    account = parts.accounts.get(payment.account)
    usual = account is not None and account.same_again is SameAgain.OFF
    return None if usual else parts.rules.same_again_ms


def _counted_against_its_collection(tx: Tx, change: Change) -> Change | NotPermitted:
    """A failed refund was taken off its collection, and is added again with its retry, if there is still room (M14)."""
    payment = change.before
    if payment.operation is not Operation.REFUND or payment.refund_of is None:
        return change
    contradictions = desk.unanswered_contradictions_of(tx, payment.refund_of)
    if contradictions:
        return NotPermitted(
            f"is a refund of payment {payment.refund_of}, of which MTN says otherwise: {contradictions[-1]}",
            "compare with MTN's statement whether it was ever collected",
        )
    if moves.change_refunded(tx, payment.refund_of, payment.amount_minor):
        return change
    return NotPermitted(
        f"is a refund of payment {payment.refund_of}, of which not enough is left to refund",
        "others have been refunded since; nothing more can be given back",
    )


def _prolong(tx: Tx, change: Change) -> None:
    if change.after.not_after_ms != change.before.not_after_ms:
        desk.prolong(tx, change.after.id, change.after.not_after_ms)
