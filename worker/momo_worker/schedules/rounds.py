"""Who may be asked of a period becomes a bulk run, released under the schedule's mandate; all in the caller's transaction. Sends nothing.

The run's feeder hands its rows to intake as for any other run; each is held against the mandate once more before it leaves.
"""

import re

from momo_worker.commons.parts import Parts
from momo_worker.ledger import run_release, runs, schedule_dues, schedules
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.moves import MoveLostError
from momo_worker.ledger.run_release import Release
from momo_worker.ledger.runs import Run
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.payment import Operation
from momo_worker.payment.reference import derive

ROUND_RULE = "momo-round-1"
BY = "schedule"
_NAME_MAX = 40
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


def make_round(tx: Tx, parts: Parts, schedule: Schedule, period: str) -> Run | None:
    """Ask everybody of a period who may be asked now: under the mandate, not asked yet, not opted out. None where there is nobody.

    The schedule's row must be locked by the caller.
    """
    mandate = schedules.mandate_of(tx, schedule.id)
    count, total_minor = schedule_dues.may_ask(tx, schedule.id, period, schedule.account)
    if mandate is None or count == 0:
        return None
    if schedule_dues.out_minor(tx, schedule.id, period) + total_minor > mandate.ceiling_minor:
        # Not the first few until the ceiling is reached: whom it leaves out would be chance.
        return None
    number = 1 + schedule_dues.last_round(tx, schedule.id, period)
    run_id = derive(ROUND_RULE, str(parts.namespace), schedule.id, period, str(number))
    run = Run(
        id=run_id,
        account=schedule.account,
        name=_free_name(tx, schedule, period, number),
        operation=Operation.COLLECT.value,
        digest=derive(ROUND_RULE, schedule.id, period, str(number)).replace("-", ""),
        state="released",
        currency=schedule.currency,
        exponent=schedule.exponent,
        rows=count,
        total_minor=total_minor,
        note=schedule.note,
        pay_date=None,
        file_name=f"schedule {schedule.name}",
        maker=schedule.maker,
        imported_at_ms=tx.now_ms,
        state_since_ms=tx.now_ms,
    )
    runs.add(tx, run)
    schedule_dues.add_round(tx, run_id, schedule.id, period, number)
    written = schedule_dues.write_rows(tx, schedule.id, period, schedule.account, run_id)
    if written != count:
        # Somebody paid by other means, or opted out, in between: all of this is taken back, and done again in a moment.
        raise MoveLostError(f"a round of {schedule.id} {period} has {written} rows where {count} were counted")
    run_release.put_release(tx, Release(run_id, count, 0, tx.now_ms, tx.now_ms, BY))
    return run


def _free_name(tx: Tx, schedule: Schedule, period: str, number: int) -> str:
    """A name that says which schedule and period it is; a person's own run may have it already."""
    mark = f"-{period}" + (f"-{number}" if number > 1 else "")
    said = _NOT_IN_NAMES.sub("-", schedule.name).strip("-._") or "schedule"
    wish = said[: _NAME_MAX - len(mark)] + mark
    if runs.live(tx, schedule.account, wish) is None:
        return wish
    mark = f"-{schedule.id[:8]}{mark}"
    return said[: _NAME_MAX - len(mark)] + mark
