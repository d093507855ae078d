"""`momo run watch`: a run comes in, its counts, money, rate and an honest time of completion go out, until it is over. Reads only."""

import sys
import time
from typing import Any

from momo_worker.approval.people import People
from momo_worker.cli.deeds.approvers import people_or_nobody
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.deeds.runs import named
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, say, say_json
from momo_worker.ledger.engine import Ledger
from momo_worker.payment.money import format_amount
from momo_worker.payment.transitions import FINAL_STATES
from momo_worker.runs.progress import Seen, left_of, look, rate_of, waits_for

_EACH_SECONDS = 2.0
_ENDS = ("completed", "settled", "cancelled")


def _look(ledger: Ledger, account: str, name: str, people: People) -> Seen:
    with ledger.read() as tx:
        return look(tx, named(tx, account, name), people)


def watch(name: str, *, account: str, once: bool, seconds: float, as_json: bool) -> None:
    """Follow a run; its answer is no when it isn't over by then."""
    ends_at = time.monotonic() + seconds
    settings = quiet_settings()
    people = people_or_nobody(settings)
    with ledger_of(settings) as ledger:
        first = seen = _look(ledger, account, name, people)
        told = ""
        while True:
            line = _line(first, seen)
            if not as_json and line != told:
                say(f"{moment(seen.now_ms)}  {line}")
                sys.stdout.flush()
                told = line
            if once or seen.run.state in _ENDS or time.monotonic() >= ends_at:
                break
            time.sleep(_EACH_SECONDS)
            seen = _look(ledger, account, name, people)
    if not once and seen.run.state not in _ENDS:
        raise AnswerIsNo(f"the run {name} isn't over after {seconds:g} s: {_line(first, seen)}", facts(first, seen))
    if as_json:
        say_json(facts(first, seen))


def _line(first: Seen, seen: Seen) -> str:
    run, standing = seen.run, seen.standing
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(standing.count.items()))
    if standing.rejected:
        counts += f", {standing.rejected:,} rejected"
    fed = seen.release.fed_to if seen.release else 0
    paid = _paid(seen)
    line = (
        f"{run.name} {run.state}: {seen.ended * 100 // max(run.rows, 1)} % ended; {fed:,} of {run.rows:,} handed over"
    )
    line += f"; {counts}" if counts else ""
    line += f"; {paid} {run.currency} paid" if standing.amount_minor.get("successful") else ""
    left_ms = left_of(first, seen)
    if left_ms is not None:
        line += f"; {rate_of(first, seen):.1f} rows a second, done about {moment(seen.now_ms + left_ms)}"
    if seen.release is not None and run.state == "released" and seen.release.starts_at_ms > seen.now_ms:
        line += f"; begins {moment(seen.release.starts_at_ms)}"
    waiting = waits_for(seen)
    line += f"; {waiting}" if waiting else ""
    for pause in seen.pauses:
        line += f"; PAUSED ({pause})"
    return line


def _paid(seen: Seen) -> str:
    return format_amount(seen.standing.amount_minor.get("successful", 0), seen.run.exponent)


def facts(first: Seen, seen: Seen) -> dict[str, Any]:
    """The same as JSON."""
    run, standing = seen.run, seen.standing
    left_ms = left_of(first, seen)
    final = {state.value for state in FINAL_STATES}
    return {
        "run_id": run.id,
        "name": run.name,
        "state": run.state,
        "rows": run.rows,
        "released_to": seen.release.released_to if seen.release else 0,
        "handed_over": seen.release.fed_to if seen.release else 0,
        "ended": seen.ended,
        "held": standing.held,
        "rejected": standing.rejected,
        "states": {
            state: {
                "rows": count,
                "amount": format_amount(standing.amount_minor[state], run.exponent),
                "final": state in final,
            }
            for state, count in sorted(standing.count.items())
        },
        "currency": run.currency,
        "pauses": list(seen.pauses),
        "waits_for": waits_for(seen) or None,
        "rows_a_second": round(rate_of(first, seen), 2),
        "done_about": moment(seen.now_ms + left_ms) if left_ms is not None else None,
    }
