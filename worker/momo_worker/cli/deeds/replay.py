"""`momo results replay`: since when, whose and which comes in; the ledger's published events go out once more, marked `replayed`.

Same ids, epochs and sequences: a consumer that follows the contract applies none twice. Redis needn't be there: a pump's relay publishes.
"""

from collections.abc import Sequence
from typing import Any

from momo_worker.cli.deeds.moments import ago
from momo_worker.cli.deeds.payment import one_payment
from momo_worker.cli.deeds.reading import actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.results import types_of
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import WrongUse, say, say_json
from momo_worker.ledger import outbox, stops
from momo_worker.ledger.engine import ROWS_MAX, Ledger

_EVER = 0


def replay(*, since: str | None, name: str | None, kinds: Sequence[str], by: str, as_json: bool) -> None:
    """Publish again; what is said is said after the commits."""
    if since is None and name is None:
        raise WrongUse("--since is missing: say since when, such as 36h or 2026-12-24T18:00:00Z; nothing was changed")
    types = types_of(kinds)
    settings = quiet_settings()
    with ledger_of(settings) as ledger:
        payment = None if name is None else one_payment(ledger, settings, name, None)
        with ledger.read() as tx:
            now_ms = tx.now_ms
        since_ms = _EVER if since is None else ago(since, "--since", now_ms)
        if since_ms > now_ms:
            raise WrongUse(f"--since is {since!r}, which is still to come; nothing was changed")
        wanted = outbox.Replay(since_ms, payment.id if payment else None, types)
        count = _replayed(ledger, wanted)
        subject = payment.id if payment else "results"
        with ledger.write() as tx:
            why = f"{count} events published since {moment(since_ms) if since else 'ever'}{_of(types)}"
            stops.journal(tx, actor=actor(by), action="replay", subject=subject, reason=why)
    kept_since = now_ms - settings.outbox_keep_ms
    facts: dict[str, Any] = {
        "replayed": count,
        "since": moment(since_ms) if since else None,
        "payment_id": payment.id if payment else None,
        "types": list(types),
        "whole": payment is not None or since_ms >= kept_since,
    }
    if as_json:
        say_json(facts)
        return
    say(f"{count} events go out once more, marked replayed, ids and sequences as they were. A pump publishes them.")
    if not facts["whole"]:
        say(f"Of what was published before {moment(kept_since)} the ledger keeps each payment's latest event only.")


def _replayed(ledger: Ledger, wanted: outbox.Replay) -> int:
    """In pieces, so that nobody waits for the ledger meanwhile; what a kill leaves out is replayed by the same command again."""
    count, last_id, left = 0, 0, True
    while left:
        with ledger.write() as tx:
            ids = outbox.replay(tx, wanted, after_id=last_id)
        count, left = count + len(ids), len(ids) == ROWS_MAX
        last_id = ids[-1] if ids else last_id
    return count


def _of(types: Sequence[str]) -> str:
    return f", of {', '.join(types)}" if types else ""
