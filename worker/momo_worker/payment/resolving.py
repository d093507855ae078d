"""How a person ends a payment that nothing else ends (M7, M8): payment, evidence and MTN's fresh word come in, the change or the reason
against it goes out. Pure; never sends, never asks a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from momo_worker.payment.deciding import RESOLVED_CODE, ended
from momo_worker.payment.events import rfc3339
from momo_worker.payment.operator import By, NotPermitted, Standing, cause_of
from momo_worker.payment.payment import Change, Payment, Send
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, Trigger
from momo_worker.payment.verdict import LookAnswer, LookVerdict, SendAnswer, Status

#: Where a person may speak: what is at MTN or may be, and has no end.
RESOLVABLE = frozenset({State.UNKNOWN, State.PENDING, State.HELD})
_AGAINST_RESOLVING: dict[State, tuple[str, str]] = {
    State.ACCEPTED: ("waits to be sent: nothing of this attempt can have ended", "cancel it, if it isn't wanted"),
    State.SENDING: ("is being sent at this moment", "wait for its answer, at most three minutes"),
    State.SUCCESSFUL: ("is final", "there is nothing to resolve"),
    State.FAILED: ("is final", "there is nothing to resolve; `momo payment retry` tries it again"),
    State.CANCELLED: ("is final", "there is nothing to resolve"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What MTN said of an attempt when the command asked, and when it began to."""

    attempt: int
    began_at_ms: int
    verdict: LookVerdict


@dataclass(frozen=True, slots=True)
class Resolve:
    """What a person says, and what it rests on."""

    by: By
    #: Successful or failed.
    outcome: State
    evidence: str
    #: MTN's own statement, by its name, where the evidence is that.
    statement: str | None = None
    financial_transaction_id: str | None = None
    #: The reference that MTN paid, where it isn't the last attempt's (a contradiction told so).
    paid_reference: str | None = None
    #: When the command read the payment: of what was sent since then nobody has spoken.
    seen_at_ms: int | None = None


def resolve(
    payment: Payment, standing: Standing, now_ms: int, said: Resolve, asked: Asked | None, rules: Rules
) -> Change | NotPermitted:
    """Final by a person's word (M7, M8). `asked` is what MTN said to this very command, None where it couldn't be asked."""
    if payment.state not in RESOLVABLE:
        what, advice = _AGAINST_RESOLVING[payment.state]
        return NotPermitted(f"is {payment.state.value} and {what}", advice)
    current = asked if asked is not None and asked.attempt == payment.attempt else None
    if said.outcome is State.SUCCESSFUL:
        against = _against_success(payment, standing, said, current)
        if against is None and said.paid_reference not in (None, payment.reference_id):
            # An earlier attempt was paid; then this one must be as certainly dead as if it were called failed.
            against = _may_have_moved(payment, standing, now_ms, said, current, rules)
    else:
        against = _against_failure(payment, standing, now_ms, said, current, rules)
    if against is not None:
        return against
    after = ended(payment, said.outcome, now_ms, RESOLVED_CODE, f"by a person: {said.by.reason}").but(
        financial_transaction_id=said.financial_transaction_id or payment.financial_transaction_id,
        reference_id=said.paid_reference or payment.reference_id,
    )
    return Change(payment, after, Trigger.RESOLVED, detail=in_words(said), actor=said.by.actor)


def in_words(said: Resolve) -> str:
    """The decision as the history and the journal keep it."""
    statement = f"; MTN's statement: {said.statement}" if said.statement else ""
    return (
        f"resolved as {said.outcome.value} by {said.by.actor}: {said.by.reason}; evidence: {said.evidence}{statement}"
    )


def _against_success(payment: Payment, standing: Standing, said: Resolve, asked: Asked | None) -> NotPermitted | None:
    never_sent = not standing.sends and payment.acknowledged_at_ms is None
    if never_sent and payment.held_cause in (HeldCause.SUSPECT_DUPLICATE, HeldCause.CRASHES):
        return NotPermitted(
            f"is held ({cause_of(payment)}) and was never sent, so it can't have been paid",
            "release it to be sent, or cancel it; what was paid under another key is that key's payment",
        )
    if standing.contradictions and said.paid_reference is None:
        return NotPermitted(
            f"was contradicted by MTN: {standing.contradictions[-1]}",
            "say with --attempt which attempt MTN paid; a refund must name that one's reference",
        )
    if asked is None or said.statement is not None:
        return None
    if asked.verdict.answer is LookAnswer.FOUND and asked.verdict.status is not Status.SUCCESSFUL:
        return NotPermitted(
            f"is {asked.verdict.raw_status} at MTN at this moment",
            "only MTN's statement (--statement) says more than that",
        )
    return None


def _against_failure(
    payment: Payment, standing: Standing, now_ms: int, said: Resolve, asked: Asked | None, rules: Rules
) -> NotPermitted | None:
    sends = standing.sends_of(payment.attempt)
    if payment.state is State.HELD and not sends and payment.attempt == 1 and payment.acknowledged_at_ms is None:
        return NotPermitted(
            f"is held ({cause_of(payment)}) and was never sent, so it can't have failed",
            "release it to be sent, or cancel it",
        )
    if standing.contradictions and said.statement is None:
        return NotPermitted(
            f"was contradicted by MTN: {standing.contradictions[-1]}",
            "only MTN's statement (--statement) says that nothing was paid after all",
        )
    if payment.state is State.HELD and payment.held_cause not in CAUSES_MTN_MAY_END and said.statement is None:
        return NotPermitted(
            f"is held ({cause_of(payment)}): MTN's answers under its reference prove nothing of it",
            "only MTN's statement (--statement) says what became of it",
        )
    return _may_have_moved(payment, standing, now_ms, said, asked, rules)


def _may_have_moved(
    payment: Payment, standing: Standing, now_ms: int, said: Resolve, asked: Asked | None, rules: Rules
) -> NotPermitted | None:
    """Against calling the last attempt dead: what may have arrived needs a day and a fresh word of MTN's, or its statement (M8)."""
    sends = [send for send in standing.sends_of(payment.attempt) if send.left]
    if payment.state is State.HELD and not sends and payment.acknowledged_at_ms is None:
        return None
    left_at_ms = _last_left(payment, sends, rules)
    if left_at_ms > now_ms:
        return NotPermitted(
            f"may still be sent until {rfc3339(left_at_ms)} by a worker that sleeps", "ask again after that"
        )
    if said.seen_at_ms is not None and left_at_ms > said.seen_at_ms:
        return NotPermitted("was sent meanwhile", "look at it again with `momo payment show`, and decide anew")
    refused_only = bool(sends) and all(send.ending is SendAnswer.REFUSED for send in sends)
    ripe_at_ms = left_at_ms + (0 if refused_only else rules.resolve_after_ms)
    ripe = now_ms >= ripe_at_ms
    if asked is not None and asked.verdict.answer is LookAnswer.FOUND and not (ripe and said.statement is not None):
        return NotPermitted(
            f"is {asked.verdict.raw_status} at MTN at this moment",
            f"wait for its end, or give MTN's statement (--statement) after {rfc3339(ripe_at_ms)}",
        )
    if not ripe and said.statement is None:
        return NotPermitted(
            f"could last have been sent at {rfc3339(left_at_ms)}, and may still arrive",
            f"ask again after {rfc3339(ripe_at_ms)}, or give MTN's statement (--statement)",
        )
    return None if said.statement is not None else _unproven_absence(asked, left_at_ms, now_ms, rules)


def _last_left(payment: Payment, sends: Sequence[Send], rules: Rules) -> int:
    """The last moment at which a send of the attempt could have left; one without an ending until its lease was over."""
    # A restored ledger doesn't know what was sent after its backup, only that nothing was since it was put on this desk.
    restored_at = payment.state_since_ms if payment.held_cause is HeldCause.RECOVERY else None
    moments = [send.began_at_ms + rules.lease_ms if send.ended_at_ms is None else send.ended_at_ms for send in sends]
    known = [payment.could_have_left_at_ms, payment.acknowledged_at_ms, payment.first_send_at_ms, restored_at]
    return max([*moments, *(moment for moment in known if moment is not None)], default=payment.state_since_ms)


def _unproven_absence(asked: Asked | None, left_at_ms: int, now_ms: int, rules: Rules) -> NotPermitted | None:
    """Against taking MTN's silence for a no: only RESOURCE_NOT_FOUND, said to this command, is one."""
    if asked is None:
        return NotPermitted(
            "can't be asked about: this process hasn't the credentials under which it was sent",
            "bring them back, or give MTN's statement (--statement)",
        )
    verdict = asked.verdict
    if verdict.answer is LookAnswer.NO_WORD:
        return NotPermitted(
            f"was asked about, and MTN said nothing ({verdict.reason_message or verdict.http_status or verdict.cause.value})",
            "ask again later, or give MTN's statement (--statement)",
        )
    if now_ms - asked.began_at_ms > rules.permission_age_ms or asked.began_at_ms < left_at_ms:
        return NotPermitted("was asked about too long ago", "ask again")
    return None
