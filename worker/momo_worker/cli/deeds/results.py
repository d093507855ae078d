"""The results stream as it runs: where to begin comes in, events go out as they come. Reads without a group, so that it takes nothing from anybody."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from momo_worker.cli.deeds.reading import quiet_settings
from momo_worker.cli.saying import WrongUse, say, say_json
from momo_worker.payment.msisdn import masked
from momo_worker.payment.transitions import EventType
from momo_worker.redis_client import connect
from momo_worker.streams import RESULTS

_BEGINNINGS = {"start": "0-0", "now": "$"}
_BLOCK_MS = 1_000


def tail(*, since: str, kinds: Sequence[str], limit: int, as_json: bool) -> None:
    """Print until Ctrl-C, or until there were enough."""
    if since not in _BEGINNINGS and not re.fullmatch(r"[0-9]+(-[0-9]+)?", since, re.ASCII):
        raise WrongUse(f"--from is {since!r}; use start, now, or an entry's id such as 1795507634828-0")
    wanted = types_of(kinds)
    client = connect(quiet_settings().redis_address)
    left = limit
    try:
        for entry_id, event in _events(client, _BEGINNINGS.get(since, since)):
            if wanted and event.get("type") not in wanted:
                continue
            _show(entry_id, event, as_json=as_json)
            left -= 1
            if left == 0:
                return
    except KeyboardInterrupt:
        return
    finally:
        client.close()


def types_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Types as people write them, whole or without the beginning that they share."""
    wanted = tuple(kind if kind.startswith("momo.") else f"momo.payment.{kind}" for kind in kinds)
    unknown = [kind for kind in wanted if kind not in set(EventType)]
    if unknown:
        raise WrongUse(f"{unknown[0]!r} is no type of event; the types are {', '.join(EventType)}")
    return wanted


def _events(client: redis.Redis, last_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if last_id == "$":
        # `$` means another place at each call: what comes between two reads would be lost.
        newest: Any = client.xrevrange(RESULTS, count=1)
        last_id = newest[0][0].decode() if newest else "0-0"
    while True:
        found: Any = client.xread({RESULTS: last_id}, count=100, block=_BLOCK_MS)
        for entry_id, fields in flattened(found):
            last_id = entry_id.decode()
            yield last_id, json.loads(fields[b"event"])


def flattened(found: Any) -> list[Any]:
    """Entries of one stream: RESP2 answers with a list of streams, RESP3 with a mapping whose value may be nested once more."""
    if not found:
        return []
    streams = list(found.values()) if isinstance(found, dict) else [entries for _, entries in found]
    entries = streams[0]
    return (
        list(entries[0])
        if entries and isinstance(entries[0], list) and isinstance(entries[0][0], list | tuple)
        else list(entries)
    )


def _show(entry_id: str, event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json({"entry": entry_id, **event})
        return
    data = event["data"]
    kind = str(event["type"]).removeprefix("momo.")
    if "payment_id" not in data or "operation" not in data:
        why = "; ".join(f"{error['field']} {error['reason']}" for error in data.get("errors", []))
        say(f"{entry_id}  {kind}  {event.get('subject')}  {why}")
        return
    reason = (data.get("reason") or {}).get("code")
    say(
        f"{entry_id}  {kind}  {data['operation']} {data['amount']} {data['currency']} {masked(data['msisdn'])}  "
        f"key {data['idempotency_key']}  {data['payment_id']}{f'  {reason}' if reason else ''}"
    )
