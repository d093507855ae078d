"""Small moves that both kinds of decision share: each takes a payment and gives the payment as it is to be. Pure; never asks a clock."""

import random
from dataclasses import replace

from momo_worker.payment.backoff import first_look_ms, held_look_ms, jittered, look_delay_ms, queue_of
from momo_worker.payment.payment import Change, Lane, Payment, Queue, Work
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, FINAL_STATES, HeldCause, State, Trigger

NOT_SENT_CODE = "NOT_SENT_IN_TIME"
#: Why a collection that is accepted isn't sent yet: at most one stands open on a phone.
PROMPT_OPEN_CODE = "PROMPT_OPEN"
PROMPT_OPEN_MESSAGE = "another collection is open on this number"
#: Ended by a person's word.
RESOLVED_CODE = "RESOLVED"


def is_final(payment: Payment) -> bool:
    """Whether the payment has ended."""
    return payment.state in FINAL_STATES


def let_go(payment: Payment) -> Payment:
    """The claim is over and word was recorded: no lease, no release, no count of wordless claims."""
    return payment.but(lease_until_ms=None, released_until_ms=None, claims_since_word=0)


def due_look(payment: Payment, at_ms: int, queue: Queue | None = None) -> Payment:
    """Due for a look at `at_ms`, or earlier where a callback hinted (a hint that came meanwhile isn't overwritten)."""
    if payment.hint_at_ms is not None:
        at_ms = min(at_ms, payment.hint_at_ms)
    return payment.but(work=Work.LOOK, queue=queue or queue_of(payment), due_at_ms=at_ms)


def moved(payment: Payment, to: State, now_ms: int) -> Payment:
    """In another state since now; what belonged to the old one is gone."""
    return payment.but(state=to, state_since_ms=now_ms, held_cause=None)


def ended(payment: Payment, to: State, now_ms: int, code: str | None, message: str | None) -> Payment:
    """Final: due for nothing any more."""
    return moved(let_go(payment), to, now_ms).but(
        reason_code=code,
        reason_message=message,
        work=None,
        due_at_ms=None,
        hint_at_ms=None,
    )


def expired(payment: Payment, now_ms: int) -> Change:
    """Not sent in time. What was never sent is cancelled; a retry leaves the payment as failed as it was before."""
    to = State.CANCELLED if payment.attempt == 1 else State.FAILED
    why = f"{PROMPT_OPEN_MESSAGE} when its time was over" if payment.reason_code == PROMPT_OPEN_CODE else None
    return Change(payment, ended(payment, to, now_ms, NOT_SENT_CODE, why), Trigger.EXPIRED, detail=why)


def held(payment: Payment, cause: HeldCause, now_ms: int, rules: Rules, rng: random.Random) -> Payment:
    """On a person's desk, looked up on at held's own pace."""
    desk = moved(let_go(payment), State.HELD, now_ms).but(held_cause=cause)
    delay = held_look_ms(desk, now_ms, rules, rng) or rules.held_look_ms
    return due_look(desk, now_ms + delay, Queue.LATE)


def put_on_desk(payment: Payment, cause: HeldCause, now_ms: int, rules: Rules, rng: random.Random, why: str) -> Change:
    """The change that holds a payment, with the sentence that wakes a person."""
    return Change(
        payment,
        held(payment, cause, now_ms, rules, rng),
        Trigger.PUT_ON_DESK,
        detail=f"{cause.value}: {why}",
        alert=why,
    )


def acknowledged(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> Payment:
    """Pending: MTN has it; the counts of a search that is over start anew."""
    known = moved(let_go(payment), State.PENDING, now_ms).but(
        acknowledged_at_ms=payment.acknowledged_at_ms or now_ms,
        looks=0,
        not_now_count=0,
        not_found_count=0,
        not_found_first_at_ms=None,
        not_found_last_at_ms=None,
    )
    return due_look(known, now_ms + jittered(first_look_ms(known, rules), rng))


def look_again(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> Payment:
    """Still followed: the next look by the pace of its state, for as long as it takes."""
    after = let_go(payment).but(looks=payment.looks + 1)
    if payment.state is State.HELD:
        delay = held_look_ms(payment, now_ms, rules, rng)
        return after.but(work=None, due_at_ms=None) if delay is None else due_look(after, now_ms + delay, Queue.LATE)
    if payment.state is State.UNKNOWN:
        return due_look(after, now_ms + jittered(rules.not_found_apart_ms, rng), _queue_of_unknown(payment))
    return due_look(after, now_ms + look_delay_ms(payment, now_ms, rules, rng))


def _queue_of_unknown(payment: Payment) -> Queue:
    """A till's payment whose fate isn't known is still a till's: a customer waits, and no salary run goes before it."""
    return Queue.INTERACTIVE if payment.lane is Lane.INTERACTIVE else Queue.RESCUE


def look_for(payment: Payment, at_ms: int) -> Payment:
    """Due for a look because its fate isn't known."""
    return due_look(payment, at_ms, _queue_of_unknown(payment))


def search_anew(payment: Payment, left_at_ms: int) -> Payment:
    """A send whose fate isn't known may have left until `left_at_ms`: only what MTN says after that counts (M5)."""
    return payment.but(
        could_have_left_at_ms=max(left_at_ms, payment.could_have_left_at_ms or 0),
        looks=0,
        not_found_count=0,
        not_found_first_at_ms=None,
        not_found_last_at_ms=None,
    )


def mtn_may_end(payment: Payment) -> bool:
    """Whether MTN's word moves this payment on: not from a final state, nor from a desk whose cause only a person ends."""
    if is_final(payment):
        return False
    return payment.state is not State.HELD or payment.held_cause in CAUSES_MTN_MAY_END


def contradicted_by_earlier(payment: Payment, now_ms: int, rules: Rules, rng: random.Random, what: str) -> Change:
    """MTN has an earlier attempt that was closed: told, and no further attempt goes out (M8).

    What could still be sent goes to a person's desk. A send that is on its way is stopped by M1's check, or has left and is
    looked up from the desk; its word breaks no desk.
    """
    told = contradiction(payment, what)
    if payment.state not in (State.ACCEPTED, State.SENDING, State.UNKNOWN):
        return told
    desk = held(payment, HeldCause.SUSPECT_DUPLICATE, now_ms, rules, rng)
    if payment.state is State.SENDING:
        desk = desk.but(could_have_left_at_ms=max(payment.lease_until_ms or 0, now_ms))
    if payment.state is State.ACCEPTED:
        # Nothing of this attempt is at MTN, so there is nothing to look up: only a person moves it on.
        desk = desk.but(work=None, due_at_ms=None)
    return replace(told, after=desk)


def first_fence(epoch: int) -> int:
    """The least fence that a claim gets in this epoch: above all that a ledger gave which was lost before it (16 million claims a payment)."""
    return (epoch - 1) << 24


def contradiction(payment: Payment, what: str) -> Change:
    """MTN said something against a state that was taken as closed: never dropped, never acted on (M8)."""
    return Change(
        payment,
        payment,
        Trigger.CONTRADICTION,
        detail=what,
        alert=f"MTN contradicts what this ledger held for settled: {what}; compare with MTN's statement before paying again",
    )
