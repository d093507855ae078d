"""At most one collection stands open on a phone: claims and outcomes come in, who waits and whose number is free goes out. Sends nothing.

Manners and not money (money-review H4): a number is taken in the transaction of the claim (M1) and freed by the outcome, or six minutes
after the last moment at which a send could have left. The till goes before bulk. Who has opted out isn't asked at all.
"""

from collections.abc import Iterable, Mapping, Sequence

from momo_worker.commons.parts import Parts
from momo_worker.ledger import prompts
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.prompts import Place, Prompt
from momo_worker.payment.deciding import PROMPT_OPEN_CODE, PROMPT_OPEN_MESSAGE
from momo_worker.payment.job import Problem
from momo_worker.payment.payment import Change, Lane, Operation, Payment
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import FINAL_STATES, State

#: Only from these is anything of a payment at MTN, or about to be.
_ON_ITS_WAY = frozenset({State.SENDING, State.UNKNOWN, State.PENDING, State.HELD})
#: What is held may still stand on the phone, and nobody knows: its number is free when the row lapses.
_OVER = FINAL_STATES | {State.ACCEPTED}


def _place(payment: Payment) -> Place | None:
    """The account and number that a payment asks; None for what rings on nobody's phone."""
    if payment.operation is not Operation.COLLECT or payment.msisdn is None:
        return None
    return payment.account, payment.msisdn


# ---- the claim ----------------------------------------------------------------------------------------------------------


def opted_out(tx: Tx, payments: Iterable[Payment]) -> dict[str, str]:
    """Of payments that nobody has sent, those whose payer is never asked, by id, with why."""
    places = {
        payment.id: place for payment in payments if payment.state is State.ACCEPTED and (place := _place(payment))
    }
    found = prompts.opted_out(tx, places.values())
    return {
        payment_id: f"the payer has opted out of being asked: {found[place].reason}"
        for payment_id, place in places.items()
        if place in found
    }


def hold_back(tx: Tx, parts: Parts, claims: Sequence[Change]) -> dict[str, Change]:
    """Take the numbers of collections that are about to be claimed; what becomes of those that must wait, by payment id.

    A send that is repeated waits like any other where its own row has lapsed and another's has come: to MTN it is the same prompt, but
    if the first never arrived this one rings anew.
    """
    asking: dict[Place, list[Change]] = {}
    for claim in claims:
        place = _place(claim.before)
        if place is not None:
            asking.setdefault(place, []).append(claim)
    if not asking:
        return {}
    there = prompts.open_on(tx, asking)
    tills_first = _yields_to_tills(tx, asking, there)
    first = {place: _first(each, there.get(place)) for place, each in asking.items()}
    wanted = {
        place: Prompt(claim.before.id, _until_ms(claim.after, parts.rules))
        for place, claim in first.items()
        if place not in tills_first and _is_free(there.get(place), claim.before.id, tx.now_ms)
    }
    has = {**there, **prompts.take(tx, wanted)} if wanted else there
    return {
        claim.before.id: _waits(claim.before, has.get(place), tx.now_ms, parts.rules)
        for place, each in asking.items()
        for claim in each
        if place in tills_first or place not in has or has[place].payment_id != claim.before.id
    }


def _first(claims: Sequence[Change], there: Prompt | None) -> Change:
    """Of several on one number, whose row it is already, then the till, then who was due first."""

    def turn(claim: Change) -> tuple[bool, bool, int, str]:
        payment = claim.before
        is_owner = there is not None and there.payment_id == payment.id
        return not is_owner, payment.lane is not Lane.INTERACTIVE, payment.due_at_ms or 0, payment.id

    return min(claims, key=turn)


def _is_free(there: Prompt | None, payment_id: str, now_ms: int) -> bool:
    return there is None or there.payment_id == payment_id or there.until_ms <= now_ms


def _yields_to_tills(tx: Tx, asking: Mapping[Place, Sequence[Change]], there: Mapping[Place, Prompt]) -> set[Place]:
    """Numbers that only bulk wants here and that a till, which isn't of this batch, is about to ask on."""
    only_bulk = [
        place
        for place, each in asking.items()
        if all(claim.before.lane is not Lane.INTERACTIVE for claim in each)
        # Who has the number already takes it from no till.
        and (place not in there or all(there[place].payment_id != claim.before.id for claim in each))
    ]
    return prompts.awaited_by_tills(tx, only_bulk, waits=PROMPT_OPEN_CODE) if only_bulk else set()


def _until_ms(claimed: Payment, rules: Rules) -> int:
    """M1's check lets nothing leave that the lease doesn't outlast by a call's deadline."""
    assert claimed.lease_until_ms is not None  # noqa: S101 (a claim has a lease; for the type checker)
    return claimed.lease_until_ms - rules.call_deadline_ms + rules.prompt_ms


def _waits(payment: Payment, there: Prompt | None, now_ms: int, rules: Rules) -> Change:
    """Due again soon, and no claim. Of a retry and of a repeated send the reason says what came before, so it is left alone."""
    wait_ms = rules.prompt_wait_ms if payment.lane is Lane.INTERACTIVE else rules.prompt_wait_bulk_ms
    due_at_ms = now_ms + wait_ms
    if there is not None and there.until_ms > now_ms:
        due_at_ms = min(due_at_ms, there.until_ms)
    after = payment.but(released_until_ms=None, due_at_ms=due_at_ms)
    if payment.state is State.ACCEPTED and payment.attempt == 1:
        after = after.but(reason_code=PROMPT_OPEN_CODE, reason_message=PROMPT_OPEN_MESSAGE)
    return Change(payment, after)


# ---- the outcome --------------------------------------------------------------------------------------------------------


def no_longer_waiting(moved: Payment) -> Payment:
    """A payment that moved waits for no number any more, and doesn't say so."""
    return moved.but(reason_code=None, reason_message=None) if moved.reason_code == PROMPT_OPEN_CODE else moved


def free(tx: Tx, changes: Iterable[Change]) -> None:
    """Free the numbers of collections that have ended, or of which it is proven that nothing was sent."""
    over = [
        (place, change.after.id)
        for change in changes
        if change.before.state in _ON_ITS_WAY and change.after.state in _OVER and (place := _place(change.after))
    ]
    if over:
        prompts.free(tx, over)


# ---- intake -------------------------------------------------------------------------------------------------------------


def refusals(tx: Tx, payments: Iterable[Payment]) -> dict[str, Problem]:
    """Of jobs that are new, those whose payer is never asked, by payment id."""
    places = {payment.id: place for payment in payments if (place := _place(payment))}
    found = prompts.opted_out(tx, places.values())
    return {payment_id: _refusal(place) for payment_id, place in places.items() if place in found}


def _refusal(place: Place) -> Problem:
    advice = "settle it with the payer in another way; `momo opt-out list` says since when and why"
    return Problem("msisdn", place[1], "has opted out of being asked", advice)
