"""What became of a batch of jobs comes in, after its commit; log lines and counts go out. Decides nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from momo_worker.commons.entry import Entry
from momo_worker.commons.parts import Parts
from momo_worker.payment.payment import Payment

log = structlog.get_logger(__name__)


def log_taken(
    parts: Parts,
    accepted: Sequence[tuple[Entry, Payment]],
    rejected: Sequence[tuple[Entry, Sequence[Mapping[str, str]]]],
    unconfigured: Sequence[Entry],
    look_alike: Mapping[str, str],
) -> None:
    """Tell what was accepted, what was rejected and what waits for its account; `look_alike`: which earlier payment one resembles."""
    doors: dict[str, int] = defaultdict(int)
    for entry, payment in accepted:
        doors[entry.door] += 1
        log.info(
            "payment accepted",
            payment_id=payment.id,
            action="taken_in",
            to="accepted",
            operation=payment.operation.value,
            account=payment.account,
            idempotency_key=payment.idempotency_key,
            source=payment.source,
            same_again=look_alike.get(payment.id),
        )
    for door, count in doors.items():
        parts.counters.taken_in(door, count)
    for entry, errors in rejected:
        parts.counters.refused_job(errors[0]["field"])
        log.warning(
            "job rejected",
            source=entry.source,
            action="rejected",
            field=errors[0]["field"],
            reason=errors[0]["reason"],
        )
    for entry in unconfigured:
        # Who restores a ledger sees what waits in `momo recover`, and is at work already.
        speak = log.warning if entry.again else log.error
        speak(
            "a job waits for an account that isn't configured here",
            source=entry.source,
            action="waiting",
            advice=f"configure the account in every process, or let it be rejected after {'a week' if entry.again else 'an hour'}",
        )
