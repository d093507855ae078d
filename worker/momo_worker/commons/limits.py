"""What an accepted job may not exceed: the collection it refunds (M14), the failure it corrects (M8), the account's direct limit.

Counts in the caller's transaction, under rows the caller has locked; a refusal leaves nothing counted.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from momo_worker.accounts import Account
from momo_worker.ledger import desk, intake, moves, recovery
from momo_worker.ledger.engine import Tx
from momo_worker.payment.job import Job, Problem
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Operation, Payment
from momo_worker.payment.rules import Rules
from momo_worker.payment.transitions import FINAL_STATES, State

#: Counted, since approvals depend on it, and never refused.
_NO_LIMIT = 2**62
_PAID_OUT = frozenset({Operation.DISBURSE, Operation.DEPOSIT, Operation.REFUND})


def count_against_limits(
    tx: Tx, payment: Payment, job: Job, account: Account, rules: Rules, *, direct: bool = True
) -> Problem | None:
    """Count a payment against everything it may not exceed; returns why it may not be, and then nothing was counted.

    Not `direct`: it was accepted once by a ledger that was lost, so the account's direct limit, which was kept then, refuses it no more.
    Nor does that limit speak of a run's rows, which people have signed.
    """
    problem = _replaces_problem(tx, payment, job, rules, direct=direct) or _refund_problem(tx, payment, job)
    if problem is not None:
        return problem
    problem = _direct_limit_problem(tx, payment, account) if direct and not payment.run else None
    if problem is not None and payment.refund_of is not None:
        # It was counted against its collection and is refused after all.
        moves.change_refunded(tx, payment.refund_of, -payment.amount_minor)
    return problem


def may_fit_later(tx: Tx, rules: Rules, account: str, key: str, *, waits: bool) -> bool:
    """Whether a job that was refused because of the payment under this key waits, instead of being told as rejected.

    A lost ledger may have paid it, and told as rejected it would be paid in another way. So what comes in the week after a restore, or began
    to wait (`waits`), waits until the payment that it speaks of has ended, if by a person's word. A failure from before a restore is none
    until MTN was asked whether it was tried again. And a refund waits for those that took its
    room: refunds may come again in another order than the one in which they were accepted, and MTN's word on the others may give room back.
    """
    named = intake.by_key(tx, account, [key]).get(key)
    if named is None:
        return False
    doubtful = waits or recovery.lately(tx, within_ms=rules.recovery_adopt_ms) is not None
    if named.state not in FINAL_STATES:
        return doubtful
    if _may_have_been_retried(tx, rules, named):
        return True
    return doubtful and intake.has_open_refund(tx, named)


def doubted(tx: Tx, rules: Rules, problems: Sequence[Problem]) -> Sequence[Problem]:
    """The same problems; where a ledger was lost lately, their advice says that it may have paid what is refused now."""
    if recovery.lately(tx, within_ms=rules.recovery_adopt_ms) is None:
        return problems
    doubt = "the ledger was restored since and may have paid this before: compare with MTN's statement before paying in another way"
    return [replace(problem, advice=f"{problem.advice}; {doubt}") for problem in problems]


def _refund_problem(tx: Tx, payment: Payment, job: Job) -> Problem | None:
    if payment.operation is not Operation.REFUND or payment.refund_of is None:
        return None
    key = job.refund_of or ""
    collection = moves.lock(tx, [payment.refund_of])[payment.refund_of]
    if collection.operation is not Operation.COLLECT:
        return Problem("refund_of", key, f"is a {collection.operation.value}", "only a collection can be refunded")
    if (collection.currency, collection.exponent) != (payment.currency, payment.exponent):
        return _other_money_problem(collection, payment, key)
    if collection.state is not State.SUCCESSFUL:
        advice = "a refund gives back what was collected; wait for its success"
        return Problem("refund_of", key, f"is {collection.state.value}", advice)
    if desk.unanswered_contradictions_of(tx, collection.id):
        advice = "compare with MTN's statement whether it was ever collected"
        return Problem("refund_of", key, "is successful, and MTN contradicts that", advice)
    if moves.change_refunded(tx, collection.id, payment.amount_minor):
        return None
    left = collection.amount_minor - collection.refunded_minor
    reason = f"is more than the {format_amount(left, payment.exponent)} that is left to refund"
    return Problem("amount", _amount(payment), reason, "refund at most what was collected")


def _other_money_problem(collection: Payment, payment: Payment, key: str) -> Problem:
    """Minor units of two scales or currencies can't be told apart once they are counted: 100.00 and 10000 are the same number."""
    was, now = (f"{one.currency} with {one.exponent} decimals" for one in (collection, payment))
    advice = (
        "nothing was refunded: have the operator compare currency and exponent of the account's market in markets.toml with those "
        "it was collected under; refund it under a key of its own once they are the same again"
    )
    return Problem("refund_of", key, f"was collected in {was}, and the account's refunds are in {now}", advice)


def _amount(payment: Payment) -> str:
    """As its producer wrote it, and not in cents."""
    return format_amount(payment.amount_minor, payment.exponent)


def _replaces_problem(tx: Tx, payment: Payment, job: Job, rules: Rules, *, direct: bool) -> Problem | None:
    if payment.replaces is None:
        return None
    replaced = moves.lock(tx, [payment.replaces])[payment.replaces]
    advice = "wait until it has failed; a payment whose fate isn't known may still be paid"
    if replaced.state is not State.FAILED:
        return Problem("replaces", job.replaces or "", f"is {replaced.state.value}, not proven failed", advice)
    problem = _contradicted_problem(tx, replaced, job)
    will_be_searched = not direct and _list_is_open(tx)
    if problem is None and not will_be_searched and _may_have_been_retried(tx, rules, replaced):
        why = "is failed by a restored ledger, and MTN hasn't been asked yet whether it was tried again"
        return Problem("replaces", job.replaces or "", why, advice)
    return problem


def _list_is_open(tx: Tx) -> bool:
    """Whether the recovery reads jobs again, and has yet to list what it asks about.

    What comes from there is on that list itself: that MTN has it is told at once, and it is sent by nobody before its search, which ends
    only after that of what it replaces.
    """
    found = recovery.current(tx)
    return found is not None and found.jobs_done_at_ms is None


def _may_have_been_retried(tx: Tx, rules: Rules, named: Payment) -> bool:
    """Whether the ledger that was lost may have tried this failure again, and MTN is still to be asked; puts it on the list.

    Its next attempt and the correction have keys of their own at MTN, so nothing there would stop the second of the two.
    """
    if named.state is not State.FAILED:
        return False
    return recovery.ask_first(tx, named.id, within_ms=rules.recovery_adopt_ms, since_ms=named.state_since_ms)


def _contradicted_problem(tx: Tx, replaced: Payment, job: Job) -> Problem | None:
    """What MTN says it has paid after all isn't proven failed, whatever its state says (M8): no further attempt."""
    if not desk.contradictions_of(tx, replaced.id):
        return None
    advice = "MTN says otherwise since; compare with its statement before paying again"
    return Problem("replaces", job.replaces or "", "is failed, and MTN contradicts that", advice)


def _direct_limit_problem(tx: Tx, payment: Payment, account: Account) -> Problem | None:
    limit = account.direct_limit
    if payment.operation not in _PAID_OUT:
        return None
    amount, advice = _amount(payment), "pay it in an approved run, or have the account's direct_limit raised"
    if limit.per_payment_minor is not None and payment.amount_minor > limit.per_payment_minor:
        return Problem("amount", amount, "is above the account's direct limit per payment", advice)
    if limit.per_day_minor is None and account.second_approval_above_minor is None:
        return None
    day = datetime.fromtimestamp(tx.now_ms / 1000, UTC).date().isoformat()
    most_minor = _NO_LIMIT if limit.per_day_minor is None else limit.per_day_minor
    if intake.add_outflow(tx, payment.account, day, payment.amount_minor, most_minor):
        return None
    return Problem("amount", amount, "would exceed the account's direct limit of today", advice)
