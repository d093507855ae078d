"""Decisions become facts: changes come in; state, transition row and result event are written in one transaction (M9). Decides nothing.

What must be told to people (logs, alerts, counters) comes back and is told after the commit, by `tell`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import structlog

from momo_worker.commons import prompts
from momo_worker.commons.parts import Parts
from momo_worker.ledger import desk, installation, moves, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.views import vanished_since
from momo_worker.payment.deciding import NOT_SENT_CODE, contradicted_by_earlier
from momo_worker.payment.events import ResultEvent, payment_event
from momo_worker.payment.payment import Change, Operation, Payment
from momo_worker.payment.rules import HOUR
from momo_worker.payment.transitions import Edge, HeldCause, State, Trigger, edge_for

log = structlog.get_logger(__name__)

#: An attempt that ended by these is looked up again later: MTN itself never said FAILED, or says otherwise (M8).
#: And so is one that got a successor: what MTN says of it later speaks against the retry.
_FOLLOWED_LATE = frozenset({Trigger.REFUSAL_CONFIRMED, Trigger.RESOLVED, Trigger.CONTRADICTION, Trigger.RETRIED})


@dataclass(frozen=True, slots=True)
class Told:
    """A move that was committed, for logs and counters."""

    change: Change
    #: None: nothing moved, and somebody should still hear of it.
    edge: Edge | None


def conclude(tx: Tx, parts: Parts, changes: Iterable[Change]) -> list[Told]:
    """Write changes whose payments the caller has locked in this transaction; tell what comes back after the commit."""
    pairs: list[tuple[Payment, Payment]] = []
    transitions: list[moves.Transition] = []
    events: list[ResultEvent] = []
    told: list[Told] = []
    epoch: int | None = None
    for change in changes:
        if change.trigger is None:
            pairs.append((change.before, change.after))
            if change.alert:
                told.append(Told(change, None))
            continue
        edge = edge_for(change.before.state, change.after.state, change.trigger)
        after = prompts.no_longer_waiting(change.after)
        after = after.but(sequence=change.before.sequence + 1) if edge.event else after
        pairs.append((change.before, after))
        transitions.append(_transition(change, after))
        if edge.event:
            reason = _reason(parts, change, after)
            # Read here and not kept: a recovery raises it under running processes.
            epoch = installation.epoch(tx) if epoch is None else epoch
            events.append(payment_event(parts.namespace, epoch, after, edge.event, tx.now_ms, reason))
        told.append(Told(replace(change, after=after), edge))
    moves.write_payments(tx, pairs)
    moves.add_transitions(tx, transitions)
    moves.add_events(tx, events)
    _give_back_refunds(tx, told)
    for item in list(told):
        if item.edge:
            _consequences(tx, parts, item)
            if _unproves(item.change):
                told += _stop_successor(tx, parts, item.change)
    # Last, since a claim that waits for a number holds payments that may have been locked above.
    prompts.free(tx, [item.change for item in told if item.edge])
    return told


def _unproves(change: Change) -> bool:
    """The failure isn't proven any more on which what replaces it rests: MTN contradicts it, or has another attempt of it that isn't failed."""
    return change.trigger is Trigger.CONTRADICTION or (change.trigger is Trigger.ADOPTED and change.alert is not None)


def _transition(change: Change, after: Payment) -> moves.Transition:
    assert change.trigger is not None  # noqa: S101 (the caller's branch; for the type checker)
    return moves.Transition(
        payment_id=after.id,
        attempt=after.attempt,
        sequence=after.sequence,
        before=change.before.state.value,
        after=after.state.value,
        trigger=change.trigger,
        detail=change.detail,
        actor=change.actor,
        fence=after.fence,
    )


def _reason(parts: Parts, change: Change, after: Payment) -> dict[str, str] | None:
    if change.trigger is Trigger.CONTRADICTION:
        return {
            "code": "CONTRADICTED",
            "message": change.detail or "",
            "advice": "compare with MTN's statement before you pay again",
        }
    if after.state is State.HELD and after.held_cause is not None:
        advice = "a person has to look at it; don't pay again under another key"
        return {"code": after.held_cause.value.upper(), "message": change.detail or "", "advice": advice}
    if change.trigger is Trigger.EXPIRED:
        retried = after.state is State.FAILED
        return {
            "code": NOT_SENT_CODE,
            "message": after.reason_message or "not_after had come before it could be sent",
            "advice": "nothing moved; " + ("the failure before this attempt stands" if retried else "send a new job"),
        }
    if change.trigger in (Trigger.CANCELLED, Trigger.RETRY_CANCELLED):
        return {
            "code": "CANCELLED",
            "message": change.detail or "cancelled before anything was sent",
            "advice": "nothing moved",
        }
    if change.trigger is Trigger.RESOLVED:
        advice = "a person's word and not MTN's; it is looked up again, and momo.payment.contradicted tells if MTN says otherwise"
        return {"code": after.reason_code or "", "message": after.reason_message or "", "advice": advice}
    if after.state is State.FAILED:
        found = parts.explain(after.reason_code)
        if found is None:
            return None
        return {**found, "message": after.reason_message or found["message"]}
    return None


def _give_back_refunds(tx: Tx, told: Sequence[Told]) -> None:
    """Take refunds that ended unpaid off their collections (M14); in one order, since two workers may end refunds of the same ones."""
    back: dict[str, int] = defaultdict(int)
    for change in (item.change for item in told):
        after = change.after
        ended_unpaid = after.state in (State.FAILED, State.CANCELLED) and change.before.state is not after.state
        if after.operation is Operation.REFUND and ended_unpaid and after.refund_of is not None:
            back[after.refund_of] += after.amount_minor
    for collection_id in sorted(back):
        moves.change_refunded(tx, collection_id, -back[collection_id])


def _consequences(tx: Tx, parts: Parts, item: Told) -> None:
    change, after = item.change, item.change.after
    if change.trigger in _FOLLOWED_LATE:
        moves.follow_late(tx, after.id, change.before.attempt, tx.now_ms + parts.rules.late_looks_ms[0], 0)
    if change.trigger is Trigger.PUT_ON_DESK and after.held_cause is HeldCause.VANISHED:
        _pause_if_many_vanish(tx, parts, after)


def _stop_successor(tx: Tx, parts: Parts, change: Change) -> list[Told]:
    """What `replaces` a payment that MTN contradicts, or has another attempt of, is its next attempt in all but the key: told likewise, and stopped (M8)."""
    name = desk.successor_of(tx, change.after.id)
    if name is None:
        return []
    successor = moves.lock(tx, [name])[name]
    what = f"of payment {change.after.id}, which this one replaces: {change.detail}"
    return conclude(tx, parts, [contradicted_by_earlier(successor, tx.now_ms, parts.rules, parts.rng, what)])


def _pause_if_many_vanish(tx: Tx, parts: Parts, payment: Payment) -> None:
    """Several payments that MTN accepted and doesn't know: the wrong environment or API user, so nothing more goes out (M5)."""
    if vanished_since(tx, payment.account, tx.now_ms - HOUR) < parts.rules.vanished_pause_count:
        return
    if any(pause.covers(payment.account, payment.product.value) for pause in stops.pauses(tx)):
        return
    why = f"{parts.rules.vanished_pause_count} accepted payments vanished at MTN within an hour; check target environment and API user"
    stops.add_pause(tx, account=payment.account, product="", run="", reason=why, actor="worker")


def tell(parts: Parts, told: Sequence[Told]) -> None:
    """Log and count what was committed."""
    for item in told:
        change = item.change
        before, after = change.before, change.after
        trigger = item.edge.trigger.value if item.edge else "noticed"
        if item.edge:
            parts.counters.moved(after.account, after.operation.value, before.state.value, after.state.value, trigger)
        story = {
            "payment_id": after.id,
            "from": before.state.value,
            "to": after.state.value,
            "action": trigger,
            "attempt": after.attempt,
            "reference_id": after.reference_id,
            "detail": change.detail,
        }
        if change.alert:
            log.error("payment needs a person", why=change.alert, **story)
        else:
            log.info("payment moved", **story)
