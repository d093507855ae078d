"""Events about schedules: what happened to a schedule, a period or a payer comes in, a `momo.schedule.*` event goes out, in the caller's transaction.

Each is about one moment, told once: its id is derived from what it says that about.
"""

import json
from collections.abc import Mapping

from momo_worker.commons.parts import Parts
from momo_worker.ledger import installation, moves
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_dues import Due
from momo_worker.ledger.schedules import Schedule
from momo_worker.payment.events import schedule_event
from momo_worker.payment.money import format_amount
from momo_worker.payment.transitions import ScheduleEventType


def tell(
    tx: Tx,
    parts: Parts,
    schedule: Schedule,
    kind: ScheduleEventType,
    period: str,
    more: Mapping[str, object],
    *,
    moment: str = "",
) -> None:
    """Tell something of a period; `moment` where it may happen to one more than once."""
    data = {
        "schedule_id": schedule.id,
        "schedule": schedule.name,
        "account": schedule.account,
        "period": period,
        "currency": schedule.currency,
        "epoch": installation.epoch(tx),
        **more,
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    event = schedule_event(parts.namespace, schedule.id, kind, f"{period}/{moment}", text, tx.now_ms)
    moves.add_events(tx, [event])


def tell_of_payer(
    tx: Tx,
    parts: Parts,
    schedule: Schedule,
    kind: ScheduleEventType,
    due: Due,
    more: Mapping[str, object],
    *,
    moment: str = "",
) -> None:
    """Tell something of what one payer owes; the whole number is in it, for the business's own messages."""
    data = {
        "payer_id": due.payer_id,
        "payer_name": due.name,
        "msisdn": due.msisdn,
        "amount": format_amount(due.amount_minor, schedule.exponent),
        "collected": format_amount(due.collected_minor, schedule.exponent),
        "settled": format_amount(due.settled_minor, schedule.exponent),
        "outstanding": format_amount(due.outstanding_minor, schedule.exponent),
        **more,
    }
    tell(tx, parts, schedule, kind, due.period, data, moment=f"{due.payer_id}/{moment}")
