"""What MTN's word makes of a payment whose ledger was restored: payment and sightings come in, a Finding goes out. Pure; sends nothing.

A restored ledger doesn't know what was sent, retried, cancelled or paused after its backup. MTN knows what was sent: the references of
this and of each later attempt are derived (M2) and asked about, and the last that exists is the payment's. What nobody can be asked
about is a person's: what MTN doesn't know waits on the desk.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from momo_worker.payment.after_look import mismatch
from momo_worker.payment.deciding import acknowledged, contradiction, due_look, held, mtn_may_end, put_on_desk
from momo_worker.payment.payment import Change, Payment
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import HeldCause, State, Trigger
from momo_worker.payment.verdict import LookAnswer, LookVerdict, Status

#: What the jobs stream calls its entries.
STREAM = "momo:jobs/"
#: A retry of more attempts than this was never allowed, whatever the settings say now.
_ATTEMPTS_LEAST = 5


@dataclass(frozen=True, slots=True)
class Sighting:
    """One attempt that MTN was asked about, and what it said: found, or RESOURCE_NOT_FOUND."""

    attempt: int
    reference_id: str
    verdict: LookVerdict

    @property
    def found(self) -> bool:
        """MTN has this reference."""
        return self.verdict.answer is LookAnswer.FOUND


class Outcome(StrEnum):
    """What the search made of a payment."""

    AT_MTN = "at_mtn"  # MTN has it where the ledger thought
    ADOPTED = "adopted"  # MTN has it, or a later attempt of it, and the ledger didn't know
    UNSENT = (
        "unsent"  # never sent by the ledger, and MTN knows nothing of it: a cancel may be lost, so a person decides
    )
    NOT_FOUND = "not_found"  # sent by the ledger, and MTN knows nothing of it: a person decides, MTN's word ends it
    STANDS = "stands"  # nothing speaks against what the ledger says
    DISPUTED = "disputed"  # MTN has something that isn't ours, or two attempts at once


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search ends with; `outcome` None: it is too early to say, and the search is made again."""

    outcome: Outcome | None
    change: Change | None = None


AGAIN = Finding(None)


def stream_id(text: str) -> tuple[int, int]:
    """A stream's id, to be compared."""
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)


def is_old(state: str, accepted_at_ms: int, source: str, *, began_at_ms: int, jobs_until: str | None) -> bool:
    """Whether the lost ledger may have known this payment. What came only after the restore has no past that could be lost.

    `jobs_until` is the last entry of the jobs stream that was there when it was read again.
    """
    if state != State.ACCEPTED or accepted_at_ms < began_at_ms:
        return True
    if not source.startswith(STREAM) or jobs_until is None:
        return False
    return stream_id(source.removeprefix(STREAM)) <= stream_id(jobs_until)


def attempts_to_ask(payment: Payment, rules: Rules) -> range:
    """Which attempts are asked about: from the ledger's own (a failed one's next) to the most that there may be.

    Not only to the first 404: an attempt that MTN refused, or that wasn't sent in time, leaves no trace there and may have been retried.
    What succeeded was never tried again (M8), and is only told once more.
    """
    if payment.state is State.SUCCESSFUL:
        return range(0)
    first = payment.attempt + 1 if payment.state is State.FAILED else payment.attempt
    return range(first, max(rules.attempts_max, _ATTEMPTS_LEAST) + 1)


def is_enough(payment: Payment, sighting: Sighting) -> bool:
    """Whether later attempts needn't be asked about: what is paid is never tried again (M8)."""
    return (
        sighting.found
        and sighting.verdict.status is Status.SUCCESSFUL
        and mismatch(payment, sighting.verdict.facts) is None
    )


def may_be_early(sightings: Sequence[Sighting]) -> bool:
    """Whether it rests on a 404: for the last attempt that there may be, which isn't asked about where an earlier one is paid.

    Behind a failure, and behind what lives (a person may have called it failed by MTN's statement), a later attempt may not be visible yet.
    """
    return not (sightings and sightings[-1].found)


def decide(
    payment: Payment,
    sightings: Sequence[Sighting],
    *,
    settled: bool,
    now_ms: int,
    rules: Rules,
    rng: random.Random,
    old: bool = True,
) -> Finding:
    """Decide on a whole search. `settled`: it began late enough that whatever the lost ledger had sent would be visible.

    That it is paid counts at once; whatever rests on a 404, which is also that no later attempt is there, only in a search that is settled (M4).
    `old`: the lost ledger may have known it.
    """
    if payment.state is State.SUCCESSFUL:
        return Finding(Outcome.STANDS)
    if payment.state is State.SENDING or (may_be_early(sightings) and not settled):
        # Its worker's word, or the end of its lease, comes first; and so does what left just before the restore.
        return AGAIN
    if payment.state is State.CANCELLED:
        return _cancelled(payment, sightings)
    found = [sighting for sighting in sightings if sighting.found]
    if not found:
        if payment.state is State.ACCEPTED and not old:
            return Finding(Outcome.STANDS)
        return _nowhere(payment, now_ms, rules, rng)
    last = found[-1]
    if last.attempt < payment.attempt:
        return Finding(Outcome.STANDS)
    against = _dispute(payment, found)
    if against is not None:
        return Finding(Outcome.DISPUTED, _disputed(payment, last, against, now_ms, rules, rng))
    unsent = payment.state is State.ACCEPTED or (
        payment.state is State.HELD and not payment.sends and mtn_may_end(payment)
    )
    if not unsent and last.attempt == payment.attempt:
        # The ledger's own follow-up brings MTN's compared word; a search that thought it absent is over.
        return Finding(Outcome.AT_MTN, Change(payment, due_look(payment, now_ms)))
    detail = f"attempt {last.attempt} is {last.verdict.raw_status} at MTN, and this restored ledger didn't know"
    return Finding(
        Outcome.ADOPTED,
        Change(payment, adopted(payment, last.attempt, last.reference_id, now_ms, rules, rng), Trigger.ADOPTED, detail),
    )


def adopted(
    payment: Payment, attempt: int, reference_id: str, now_ms: int, rules: Rules, rng: random.Random
) -> Payment:
    """Pending under the attempt that MTN has, due for the look that brings its compared word."""
    other = payment.attempt != attempt
    fresh = payment.but(
        attempt=attempt,
        reference_id=reference_id,
        reason_code=None,
        reason_message=None,
        sends=max(payment.sends, 1),
        first_send_at_ms=now_ms if other else payment.first_send_at_ms or now_ms,
        could_have_left_at_ms=None,
        acknowledged_at_ms=now_ms,
        hint_at_ms=None,
    )
    return due_look(acknowledged(fresh, now_ms, rules, rng), now_ms)


def until_searched(payment: Payment) -> Payment:
    """An adopted payment whose later attempts nobody has asked about yet: due for nothing until the search has ended (money-review R6)."""
    return payment.but(work=None, due_at_ms=None, released_until_ms=None)


def followed(payment: Payment, now_ms: int) -> Payment:
    """Due for a look, where it waited for a search that has ended."""
    return due_look(payment, now_ms) if payment.state is State.PENDING and payment.work is None else payment


def unsent(payment: Payment, now_ms: int, rules: Rules, rng: random.Random, *, asked: bool = True) -> Change:
    """On a person's desk: MTN knows nothing of it or wasn't asked, and a cancel or a pause may be lost with the ledger's last hours."""
    desk = held(payment, HeldCause.RECOVERY, now_ms, rules, rng)
    mtn = "MTN knows nothing of it" if asked else "MTN wasn't asked, by a person's word"
    why = f"{HeldCause.RECOVERY.value}: the ledger was restored, it says that this was never sent, and {mtn}"
    return Change(payment, desk.but(work=None, due_at_ms=None), Trigger.PUT_ON_DESK, detail=why)


def unasked(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> Change | None:
    """What becomes of a payment that a person goes on without MTN's word about: nothing of it is sent (again) before another's word.

    None where the ledger's own word may stand. One that is being sent has no such end: its worker's word or its lease comes first.
    """
    if payment.state is State.ACCEPTED:
        return unsent(payment, now_ms, rules, rng, asked=False)
    if payment.state is State.UNKNOWN:
        # Looked up and never found it would be sent again, and it may have been cancelled since: simulation, seed 639.
        desk = held(payment, HeldCause.RECOVERY, now_ms, rules, rng)
        why = f"{HeldCause.RECOVERY.value}: the ledger was restored, it says that this was sent, and MTN wasn't asked, by a person's word"
        return Change(payment, desk, Trigger.PUT_ON_DESK, detail=why)
    if payment.state is State.PENDING:
        return Change(payment, followed(payment, now_ms))
    return None


def unanswered(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> Change:
    """The same for what MTN gave no word about in all the time it had, which somebody must be told."""
    why = "the ledger was restored, and MTN gave no word about whether this was sent before"
    change = put_on_desk(payment, HeldCause.RECOVERY, now_ms, rules, rng, why)
    return replace(change, after=change.after.but(work=None, due_at_ms=None))


def _cancelled(payment: Payment, sightings: Sequence[Sighting]) -> Finding:
    """Ended while it was asked about. That MTN has it is told, and moves nothing."""
    alive = [each for each in sightings if each.found and each.verdict.status is not Status.FAILED]
    if not alive:
        return Finding(Outcome.STANDS)
    why = f"attempt {alive[-1].attempt} is {alive[-1].verdict.raw_status} at MTN, and this payment is cancelled"
    return Finding(Outcome.DISPUTED, contradiction(payment, why))


def _nowhere(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> Finding:
    if payment.state is State.ACCEPTED:
        return Finding(Outcome.UNSENT, unsent(payment, now_ms, rules, rng))
    if payment.state is State.UNKNOWN:
        why = f"{HeldCause.RECOVERY.value}: the ledger was restored, it says that this was sent, and MTN knows nothing of it"
        desk = held(payment, HeldCause.RECOVERY, now_ms, rules, rng)
        return Finding(Outcome.NOT_FOUND, Change(payment, desk, Trigger.PUT_ON_DESK, detail=why))
    return Finding(Outcome.STANDS, Change(payment, followed(payment, now_ms)))


def _dispute(payment: Payment, found: Sequence[Sighting]) -> str | None:
    last = found[-1]
    wrong = mismatch(payment, last.verdict.facts)
    if wrong is not None:
        return f"MTN's answer under the reference of attempt {last.attempt} isn't our payment: {wrong}"
    alive = [each for each in found[:-1] if each.verdict.status is not Status.FAILED]
    if alive:
        words = f"attempt {alive[-1].attempt} is {alive[-1].verdict.raw_status} at MTN"
        return f"{words}, and so is attempt {last.attempt}, {last.verdict.raw_status}: both may be paid"
    if payment.state is State.HELD and not mtn_may_end(payment) and last.attempt > payment.attempt:
        return f"attempt {last.attempt} is {last.verdict.raw_status} at MTN, and this restored ledger didn't know"
    return None


def _disputed(payment: Payment, last: Sighting, why: str, now_ms: int, rules: Rules, rng: random.Random) -> Change:
    if payment.state is State.FAILED or not mtn_may_end(payment):
        return contradiction(payment, why)
    cause = HeldCause.MISMATCH if mismatch(payment, last.verdict.facts) else HeldCause.SUSPECT_DUPLICATE
    known = adopted(payment, last.attempt, last.reference_id, now_ms, rules, rng)
    return replace(put_on_desk(known, cause, now_ms, rules, rng, why), before=payment)
