"""Result events come in from momo:results, what an application knows of its payments goes out: applied by the contract and nothing else."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Self

import redis


@dataclass
class Consumer:
    """An application that follows the contract: a group of its own, an event applied only if (epoch, sequence) is above the last applied."""

    client: redis.Redis
    group: str = "shop"
    last: dict[str, tuple[int, int]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    story: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    causes: dict[str, str | None] = field(default_factory=dict)
    rejected: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    arrived: Counter[str] = field(default_factory=Counter)
    replayed: set[str] = field(default_factory=set)
    _meaning: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _from: str = "0"

    def read(self) -> Self:
        """Take in everything that is there; a Redis that is away is tried again at the next call."""
        try:
            while self._read_some():
                pass
        # BusyLoading is a ConnectionError, too; read-only is a master that was just demoted.
        except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError):
            # An answer may have been lost on the way: what was given to us and not acknowledged comes first.
            self._from = "0"
        return self

    def _read_some(self) -> bool:
        try:
            found: Any = self.client.xreadgroup(self.group, "one", {"momo:results": self._from}, count=500)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            self.client.xgroup_create("momo:results", self.group, id="0", mkstream=True)
            return True
        entries = [entry for _, some in (found.items() if isinstance(found, dict) else found) for entry in some]
        entries = entries[0] if entries and isinstance(entries[0], list) else entries
        for _, fields in entries:
            self._apply(json.loads(fields["event"]))
        if entries:
            # Together: one by one, a backlog after a replay would be read more slowly than it grows.
            self.client.xack("momo:results", self.group, *(entry_id for entry_id, _ in entries))
        if not entries and self._from == "0":
            self._from = ">"
            return True
        return bool(entries)

    def _apply(self, event: dict[str, Any]) -> None:
        data = event["data"]
        self.arrived[event["id"]] += 1
        if event.get("replayed"):
            self.replayed.add(event["id"])
        if event["type"] == "momo.job.rejected":
            self.rejected[event["subject"]] = data["errors"]
            return
        meaning = (event["type"], data["payment_id"], data["epoch"], data["sequence"])
        # Always the same id and sequence, however often it arrives within an epoch; a recovery begins a new one.
        assert self._meaning.setdefault(f"{event['id']} {data['epoch']}", meaning) == meaning
        key, mark = data["idempotency_key"], (data["epoch"], data["sequence"])
        if mark > self.last.get(key, (0, 0)):
            self.last[key] = mark
            self.states[key] = data["state"]
            self.causes[key] = data["reason"]["code"] if data["reason"] else None
            self.story[key].append(event["type"].removeprefix("momo.payment."))
