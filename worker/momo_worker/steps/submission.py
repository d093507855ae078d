"""Payments that are due to be sent become sends at MTN: ids come in, POSTs leave, reports of their answers go out. Never decides what an answer means.

M1: the claim, the attempt, its rendered request and a send row without an ending are committed before the first byte leaves; at most a
second before it leaves, the claim, its lease and every pause are read once more.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from momo_worker.commons import noticing, prompts, recording, run_pausing, signatures
from momo_worker.commons.objection import Answer, Objection
from momo_worker.commons.parts import Parts
from momo_worker.commons.runner import in_batches
from momo_worker.ledger import asked_first, installation, moves, recovery, runs, stops, work
from momo_worker.ledger.engine import LEDGER_FAILURES, Tx
from momo_worker.pacing import NotDepartedError
from momo_worker.payment import after_look, after_restore, after_send, operator
from momo_worker.payment.deciding import expired, first_fence, put_on_desk
from momo_worker.payment.operator import NotPermitted
from momo_worker.payment.payment import Attempt, Change, Operation, Payment, Product, Send, Work
from momo_worker.payment.reference import reference_id
from momo_worker.payment.rules import MINUTE
from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import Cause, RenderedRequest

log = structlog.get_logger(__name__)

#: Ask again a little before the permission is as old as it may get, so that the query's own time is inside the second.
_PERMIT_AGE_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Claimed:
    """A payment that this worker may send: under which fence, which send row, and the request from the store."""

    payment_id: str
    account: str
    product: Product
    fence: int
    attempt: int
    number: int
    claimed_at_ms: int
    request: RenderedRequest

    @property
    def held(self) -> work.Claim:
        """The claim that M1's check must find still held."""
        return work.Claim(self.payment_id, self.fence)


def send_out(parts: Parts, ids: Sequence[str]) -> Iterator[list[after_send.SendReport]]:
    """Claim what may be sent and send it; yields answers as they come, at the latest after a second, for the outcome to record.

    What isn't released, is claimed or is stopped is left alone.
    """
    claimed = claim(parts, ids)
    permit = _Permit(parts, claimed)
    return in_batches(parts.clock, parts.runner.run(lambda item: _call(parts, permit, item), claimed))


def claim(parts: Parts, ids: Sequence[str]) -> list[Claimed]:
    """Claim what is released, due and not stopped, in one transaction with its attempts and sends (M1)."""
    least = parts.tidemark.least()
    with parts.ledger.write() as tx:
        locked = moves.lock(tx, ids, skip_locked=True)
        due = [payment for payment in locked.values() if _claimable(payment, tx.now_ms)]
        # A ledger whose restore nobody has noticed yet claims nothing: what may not be sent any more would be ended as never sent.
        if not due or noticing.unnoticed(tx, least):
            return []
        stops_here = _Stops(tx)
        changes, going = _sort(tx, parts, [payment for payment in due if not stops_here.hold(payment)])
        told = recording.conclude(tx, parts, [*changes, *(one.change for one in going)])
        moves.add_attempts(tx, [one.attempt for one in going if one.fresh])
        claimed = [one.claimed for one in going]
        moves.add_sends(tx, [_send_row(item, tx.now_ms) for item in claimed])
    recording.tell(parts, told)
    return claimed


def _claimable(payment: Payment, now_ms: int) -> bool:
    return (
        payment.work is Work.SEND
        and payment.state in (State.ACCEPTED, State.UNKNOWN)
        and payment.released_until_ms is not None
        and payment.released_until_ms > now_ms
        and (payment.lease_until_ms is None or payment.lease_until_ms <= now_ms)
        and payment.due_at_ms is not None
        and payment.due_at_ms <= now_ms
    )


class _Stops:
    """Whether a pause, a recovery or a closed gate holds a payment back, as this transaction sees them."""

    def __init__(self, tx: Tx) -> None:
        self._pauses = stops.holding(tx)
        self._closed = {key for key, gate in stops.gates(tx).items() if gate.closed_at_ms is not None}

    def hold(self, payment: Payment) -> bool:
        where = (payment.account, payment.product.value)
        return where in self._closed or any(pause.covers(*where, payment.run) for pause in self._pauses)


@dataclass(frozen=True, slots=True)
class _Going:
    """A payment that is about to be sent: its claim as a change, and its attempt, from the store or rendered just now."""

    change: Change
    attempt: Attempt
    fresh: bool
    number: int
    claimed_at_ms: int

    @property
    def claimed(self) -> Claimed:
        payment = self.change.after
        return Claimed(
            payment.id,
            payment.account,
            payment.product,
            payment.fence,
            payment.attempt,
            self.number,
            self.claimed_at_ms,
            self.attempt.request,
        )


def _sort(tx: Tx, parts: Parts, due: Sequence[Payment]) -> tuple[list[Change], list[_Going]]:
    """Part what may be sent from what may not: expired, permission lost, crashed too often, without credentials, not to be rendered.

    And what isn't signed, and whose payer isn't asked now.
    """
    ids = [payment.id for payment in due]
    sends = moves.sends_of(tx, ids)
    # Of all: one that came back with an answer to a lost claim is in the store though this ledger counts no send of it.
    stored = moves.attempts_of(tx, ids)
    references = _refund_references(tx, due)
    epoch = installation.epoch(tx)
    least = first_fence(epoch)
    unasked = asked_first.waiting_for_word(tx, due, epoch, within_ms=parts.rules.recovery_adopt_ms)
    changes: list[Change] = []
    going: list[_Going] = []
    for payment in due:
        current = [send for send in sends[payment.id] if send.attempt == payment.attempt]
        if payment.id in unasked.unanswered:
            changes.append(after_restore.unanswered(payment, tx.now_ms, parts.rules, parts.rng))
            continue
        instead = _instead_of_sending(tx, parts, payment, current)
        if instead is None and payment.id in unasked.waiting:
            # After a restore a first send waits for the search, which may find it at MTN or put it on the desk.
            instead = Change(payment, payment.but(released_until_ms=None, due_at_ms=tx.now_ms + MINUTE))
        if instead is not None:
            changes.append(instead)
            continue
        change = _as_claimed(tx, parts, payment, least)
        number = max((send.number for send in current), default=0) + 1
        attempt = stored.get((payment.id, payment.attempt))
        if attempt is not None:
            going.append(_Going(change, attempt, fresh=False, number=number, claimed_at_ms=tx.now_ms))
            continue
        try:
            rendered = _render(tx, parts, change.after, references.get(payment.refund_of or ""))
        except ValueError as error:
            # Nothing was sent, and it must not keep its neighbours from being sent at each release.
            why = f"its request can't be rendered: {error}"
            changes.append(put_on_desk(payment, HeldCause.CRASHES, tx.now_ms, parts.rules, parts.rng, why))
            continue
        going.append(_Going(change, rendered, fresh=True, number=number, claimed_at_ms=tx.now_ms))
    stopped = _unsigned(tx, parts, going, sends)
    stopped |= _unasked(tx, parts, [one.change for one in going if one.change.before.id not in stopped], sends)
    return [*changes, *stopped.values()], [one for one in going if one.change.before.id not in stopped]


def _unsigned(tx: Tx, parts: Parts, going: Sequence[_Going], sends: Mapping[str, Sequence[Send]]) -> dict[str, Change]:
    """What becomes of rows of runs that people's signatures don't permit, by payment id: the request itself is held against them."""
    wanted = [signatures.Wanted(one.change.after, one.attempt.request) for one in going]
    found = signatures.objections(tx, parts, wanted)
    stopped: dict[str, Change] = {}
    for one in going:
        payment = one.change.before
        objection = found.get(payment.id)
        if objection is None:
            continue
        if objection.answer is Answer.TAMPERED:
            stopped[payment.id] = put_on_desk(
                payment, HeldCause.TAMPERED, tx.now_ms, parts.rules, parts.rng, objection.why
            )
            continue
        if objection.answer is Answer.CANCELLED:
            ended = _cancelled(tx, parts, payment, sends[payment.id], objection.why)
            if ended is not None:
                stopped[payment.id] = ended
            continue
        # Nothing of the row is wrong: the run waits for people, or for a process that knows them.
        later = payment.but(released_until_ms=None, due_at_ms=objection.until_ms or tx.now_ms + MINUTE)
        # What ends by itself at a known hour needs nobody.
        alert = None if objection.until_ms else f"a run's rows aren't sent: {objection.why}"
        stopped[payment.id] = Change(payment, later, alert=alert)
        if objection.answer is Answer.STOPPED:
            _pause_run(tx, parts, payment, objection)
    return stopped


def _unasked(tx: Tx, parts: Parts, claims: Sequence[Change], sends: Mapping[str, Sequence[Send]]) -> dict[str, Change]:
    """What becomes of collections whose payer isn't asked now or ever, by payment id; the numbers of all others are taken."""
    ended: dict[str, Change] = {}
    unwanted = prompts.opted_out(tx, [claim.before for claim in claims])
    for payment in (claim.before for claim in claims if claim.before.id in unwanted):
        change = _cancelled(tx, parts, payment, sends[payment.id], unwanted[payment.id])
        if change is not None:
            ended[payment.id] = change
    return ended | prompts.hold_back(tx, parts, [claim for claim in claims if claim.before.id not in ended])


def _cancelled(tx: Tx, parts: Parts, payment: Payment, sends: Sequence[Send], why: str) -> Change | None:
    """What is never to be sent is cancelled; None for what may be at MTN already, which is followed to its end."""
    ended = operator.cancel(payment, sends, tx.now_ms, actor="worker", reason=why)
    if isinstance(ended, NotPermitted):
        return None
    return _once_asked(tx, parts, payment) or ended


def _once_asked(tx: Tx, parts: Parts, payment: Payment) -> Change | None:
    """After a restore nothing is ended as never sent before MTN was asked about it: it waits; None where it was."""
    if not recovery.ask_first(tx, payment.id, within_ms=parts.rules.recovery_adopt_ms):
        return None
    later = payment.but(released_until_ms=None, due_at_ms=tx.now_ms + parts.rules.not_now_ceiling_ms)
    return Change(payment, later)


def _pause_run(tx: Tx, parts: Parts, payment: Payment, objection: Objection) -> None:
    run = runs.find(tx, objection.run_id)
    if run is not None:
        # Of the account that its rows would be paid from: the run's own word of it may be what was changed.
        held = replace(run, account=payment.account)
        run_pausing.hold_once(tx, parts, held, reason=objection.why, by="worker")


def _instead_of_sending(tx: Tx, parts: Parts, payment: Payment, sends: Sequence[Send]) -> Change | None:
    if payment.account not in parts.accounts or payment.product not in parts.accounts[payment.account].credentials:
        # Nothing of the payment is wrong; this process only isn't configured for it. Another may be.
        later = payment.but(released_until_ms=None, due_at_ms=tx.now_ms + parts.rules.not_now_ceiling_ms)
        return Change(
            payment, later, alert=f"no credentials for {payment.account} {payment.product.value} in this process"
        )
    if payment.claims_since_word >= parts.rules.claims_held:
        why = f"claimed {payment.claims_since_word} times and never a word recorded: its handling ends the process"
        return put_on_desk(payment, HeldCause.CRASHES, tx.now_ms, parts.rules, parts.rng, why)
    if payment.state is State.UNKNOWN:
        if after_look.resend_permitted(payment, sends, tx.now_ms, parts.rules):
            return None
        return Change(payment, after_look.permission_lost(payment, tx.now_ms))
    if tx.now_ms >= payment.not_after_ms:
        return _once_asked(tx, parts, payment) or expired(payment, tx.now_ms)
    return None


def _as_claimed(tx: Tx, parts: Parts, payment: Payment, least: int) -> Change:
    trigger = Trigger.RESENT if payment.state is State.UNKNOWN else Trigger.CLAIMED
    after = payment.but(
        state=State.SENDING,
        state_since_ms=tx.now_ms,
        fence=max(payment.fence + 1, least),
        lease_until_ms=tx.now_ms + parts.rules.lease_ms,
        claims_since_word=payment.claims_since_word + 1,
        # Accepted says that every send so far ended "not now": M5's hours count from the first that may have done something.
        first_send_at_ms=tx.now_ms if trigger is Trigger.CLAIMED else payment.first_send_at_ms or tx.now_ms,
        sends=payment.sends + 1,
        reference_id=reference_id(
            parts.namespace, payment.account, payment.operation.value, payment.idempotency_key, payment.attempt
        ),
    )
    return Change(payment, after, trigger)


def _refund_references(tx: Tx, payments: Iterable[Payment]) -> dict[str, str]:
    """The references of the collections that these refunds give back: the successful attempt's (M14)."""
    collections = [
        payment.refund_of for payment in payments if payment.operation is Operation.REFUND and payment.refund_of
    ]
    return {payment_id: found.reference_id for payment_id, found in moves.read(tx, collections).items()}


def _render(tx: Tx, parts: Parts, payment: Payment, refund_reference: str | None) -> Attempt:
    request = parts.render(payment, account=parts.accounts[payment.account], refund_reference=refund_reference)
    return Attempt.of(payment, request, tx.now_ms)


def _send_row(item: Claimed, now_ms: int) -> Send:
    return Send(item.payment_id, item.attempt, item.number, item.fence, now_ms)


class _Permit:
    """The last look at claims and pauses before the first byte: one query for the batch, read again when it grows old."""

    def __init__(self, parts: Parts, claimed: Sequence[Claimed]) -> None:
        self._parts = parts
        self._age_seconds = parts.rules.permit_age_ms / 1000
        self._lock = threading.Lock()
        self._open = {item.held for item in claimed}
        self._granted: frozenset[work.Claim] = frozenset()
        self._read_at: float | None = None

    def check(self, wanted: work.Claim) -> None:
        """Return when this claim may send now; raises NotDepartedError when it may not, or when the ledger can't be read (M13)."""
        with self._lock:
            now = self._parts.clock.elapsed()
            if self._read_at is None or now - self._read_at > self._age_seconds * _PERMIT_AGE_SHARE:
                # Its own claim, too, where it was asked about before: a repetition asks again (M1).
                self._open.add(wanted)
                self._read(now)
            self._open.discard(wanted)
            if wanted not in self._granted:
                raise NotDepartedError(
                    "the claim is no longer ours, its lease ends too soon, or a pause, a closed gate or a recovery holds it"
                )
            # A slow answer of the ledger, or a process that slept inside the query, makes a permission that was old when it came.
            if self._read_at is None or self._parts.clock.elapsed() - self._read_at > self._age_seconds:
                raise NotDepartedError("the ledger's permission had grown old before the call could leave")

    def _read(self, asked_at: float) -> None:
        # Before the ledger is read, which is always raised first: one that shows less than this was restored, noticed or not.
        least = self._parts.tidemark.least()
        try:
            with self._parts.ledger.read() as tx:
                given = work.permitted(tx, list(self._open), self._parts.rules.call_deadline_ms, least)
        except LEDGER_FAILURES as error:
            self._granted, self._read_at = frozenset(), None
            raise NotDepartedError("the ledger can't be read, so nothing is sent") from error
        self._granted = given.claims
        self._parts.tidemark.saw(given.tide)
        # Counted from before the query, so that the answer is never younger in the books than it is.
        self._read_at = asked_at


def _call(parts: Parts, permit: _Permit, item: Claimed) -> after_send.SendReport:
    report = _post(parts, permit, item, secondary=False)
    secondary = _repetition(parts, item, report)
    if secondary is None:
        return report
    again = _begin_again(parts, item, report)
    if again is None:
        return report
    return _post(parts, permit, again, secondary=secondary)


def _post(parts: Parts, permit: _Permit, item: Claimed, *, secondary: bool) -> after_send.SendReport:
    account = parts.accounts[item.account]

    def depart() -> None:
        parts.slots.wait(account, item.product, look=False)
        permit.check(item.held)

    began = parts.clock.elapsed()
    verdict = parts.client_for(item.account, item.product).send(item.request, depart, secondary=secondary)
    parts.counters.called(item.product.value, "send", verdict.answer.value, parts.clock.elapsed() - began)
    return after_send.SendReport(
        item.payment_id, item.attempt, item.number, item.fence, item.claimed_at_ms, verdict, item.request
    )


def _repetition(parts: Parts, item: Claimed, report: after_send.SendReport) -> bool | None:
    """Whether this answer is repeated once, and if so whether with the secondary key: after a 401 only (M1)."""
    cause = report.verdict.cause
    if cause is Cause.TOKEN_REFUSED:
        return False
    if cause is Cause.KEY_REFUSED and parts.accounts[item.account].credentials[item.product].secondary_key:
        return True
    return None


def _begin_again(parts: Parts, item: Claimed, report: after_send.SendReport) -> Claimed | None:
    """End the refused send and begin the next one, its own row; None when the claim is no longer ours."""
    try:
        with parts.ledger.write() as tx:
            payment = moves.lock(tx, [item.payment_id]).get(item.payment_id)
            if payment is None or payment.fence != item.fence or payment.state is not State.SENDING:
                return None
            if payment.lease_until_ms is None or payment.lease_until_ms <= tx.now_ms:
                return None
            again = replace(item, number=item.number + 1)
            moves.end_sends(tx, [after_send.ended_send(report, tx.now_ms, unbroken=True)])
            moves.add_sends(tx, [_send_row(again, tx.now_ms)])
            moves.write_payments(tx, [(payment, payment.but(sends=payment.sends + 1))])
    except LEDGER_FAILURES:
        log.exception(
            "the repetition of a send could not be written down and doesn't leave",
            payment_id=item.payment_id,
            action="not_now",
        )
        return None
    return again
