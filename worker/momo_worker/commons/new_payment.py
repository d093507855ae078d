"""A checked job becomes the payment it would be, and is held against recent ones that look like it; writes nothing."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from momo_worker.accounts import Account, SameAgain
from momo_worker.commons.parts import Parts
from momo_worker.ledger import intake, moves
from momo_worker.ledger.engine import Tx
from momo_worker.payment.job import Job, JobError, Problem, shown
from momo_worker.payment.notes import fold_note
from momo_worker.payment.payment import PRODUCT_OF, RUN_KEYS, SCHEDULE_KEYS, Lane, Operation, Payment, Queue, Work
from momo_worker.payment.reference import body_digest, payment_id, reference_id
from momo_worker.payment.transitions import State, Trigger


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a job came from, and when."""

    source: str
    #: The run whose row it is, '' for none.
    run: str
    now_ms: int


def new_payment(
    parts: Parts, job: Job, account: Account, origin: Origin, *, refunded: Payment | None, replaced: Payment | None
) -> Payment:
    """The payment of a job, accepted now; `refunded` and `replaced` are the payments that the job names by their keys."""
    now_ms = origin.now_ms
    ours = payment_id(parts.namespace, account.name, job.idempotency_key)
    default_note = fold_note(job.external_id or job.idempotency_key, "Payment")
    start = max(now_ms, job.not_before_ms or 0)
    # A customer at the till is gone after ten minutes; who is asked by a run isn't standing there.
    at_till = job.operation is Operation.COLLECT and not origin.run
    lasts = parts.rules.collect_expires_ms if at_till else parts.rules.expires_ms
    fresh = Payment(
        id=ours,
        account=account.name,
        idempotency_key=job.idempotency_key,
        operation=job.operation,
        product=PRODUCT_OF[job.operation],
        lane=job.lane,
        amount_minor=job.amount_minor,
        currency=job.currency.code,
        exponent=job.currency.exponent,
        msisdn=refunded.msisdn if refunded else job.msisdn,
        external_id=job.external_id or ours,
        payer_message=fold_note(job.payer_message or "", default_note),
        payee_note=fold_note(job.payee_note or "", default_note),
        metadata=job.metadata,
        body_digest=body_digest(parts.namespace, job.canonical()),
        refund_of=refunded.id if refunded else None,
        replaces=replaced.id if replaced else None,
        environment=account.market.target_environment,
        source=origin.source,
        accepted_at_ms=now_ms,
        not_before_ms=job.not_before_ms,
        not_after_ms=start + lasts if job.not_after_ms is None else job.not_after_ms,
        state=State.ACCEPTED,
        state_since_ms=now_ms,
        reference_id=reference_id(parts.namespace, account.name, job.operation.value, job.idempotency_key, 1),
        sequence=1,
        work=Work.SEND,
        queue=Queue.INTERACTIVE if job.lane is Lane.INTERACTIVE else Queue.BULK,
        due_at_ms=start,
        run=origin.run,
    )
    # A customer is waiting: released with the insert, so that no pump's tick stands between the job and its send.
    at_once = job.lane is Lane.INTERACTIVE and start <= now_ms
    return fresh.but(released_until_ms=now_ms + parts.rules.release_ms) if at_once else fresh


def check_key_is_free(job: Job, run: str) -> None:
    """Keys of runs and schedules are theirs: a payment that has one is only sent under what people signed. Raises JobError."""
    if job.idempotency_key.startswith((RUN_KEYS, SCHEDULE_KEYS)) and not run:
        advice = (
            f"begin the key with something else than {RUN_KEYS} or {SCHEDULE_KEYS}; runs and schedules make their own"
        )
        problem = Problem("idempotency_key", job.idempotency_key, "is kept for rows of bulk runs and schedules", advice)
        raise JobError([problem])


def look_alikes(tx: Tx, candidates: Sequence[tuple[Payment, Account]], within_ms: int) -> dict[str, str]:
    """Payments that look like a recent one under another key, by id, with the id of the first (money-review R9)."""
    groups: dict[str, list[Payment]] = defaultdict(list)
    for payment, account in candidates:
        if account.same_again is not SameAgain.OFF and payment.msisdn is not None:
            groups[account.name].append(payment)
    found: dict[str, str] = {}
    for name, group in groups.items():
        numbers = sorted({payment.msisdn for payment in group if payment.msisdn})
        amounts = sorted({payment.amount_minor for payment in group})
        recent = intake.recent_of(tx, name, numbers, amounts, tx.now_ms - within_ms)
        seen = {(like.operation, like.msisdn, like.amount_minor): like.payment_id for like in recent}
        for payment in group:
            first = seen.setdefault((payment.operation.value, payment.msisdn or "", payment.amount_minor), payment.id)
            if first != payment.id:
                found[payment.id] = first
    return found


def check_metadata(metadata: str | None) -> None:
    """Metadata goes back in every event, so it must be something that JSON and UTF-8 can say: no half characters, no infinities."""
    if metadata is None:
        return
    try:
        json.dumps(json.loads(metadata), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        problem = Problem(
            "metadata",
            shown(metadata),
            "holds half a character or a number that nobody can keep",
            "send clean UTF-8 text, and large numbers as text",
        )
        raise JobError([problem]) from None


def taken_in(payment: Payment, first: str | None) -> moves.Transition:
    """The first row of a payment's history; `first` is the one it looks like."""
    return moves.Transition(
        payment_id=payment.id,
        attempt=1,
        sequence=1,
        before=None,
        after=State.ACCEPTED.value,
        trigger=Trigger.TAKEN_IN,
        detail=f"{payment.source}" + (f"; same again as {first}" if first else ""),
        actor=None,
        fence=0,
    )


def same_again_reason(first: str) -> dict[str, str]:
    """What the producer is told of a look-alike."""
    return {
        "code": "SAME_AGAIN",
        "message": f"same operation, number and amount as payment {first} within ten minutes",
        "advice": "if this is your own retry, send it under the first one's key",
    }
