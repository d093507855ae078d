"""Result events come in from `momo:results`, who has a final one goes out: how a run knows that it is over."""

import json
import time
from collections import Counter
from typing import Any

from tests.benchmarks.stage import BenchError, Stage

_FINAL = frozenset({"successful", "failed", "cancelled"})


class Outcomes:
    """Reads the stream as an application does, and remembers what it saw."""

    def __init__(self, made: Stage) -> None:
        self._stage = made
        self._last = "0-0"
        self.kinds: Counter[str] = Counter()
        self.final: dict[str, str] = {}

    def wait(self, count: int, seconds_max: float) -> None:
        """Return when so many payments are final; BenchError when they aren't in time."""
        give_up_at = time.monotonic() + seconds_max
        with self._stage.valkey.client() as client:
            while len(self.final) < count:
                self._read(client)
                for child in self._stage.children:
                    child.check()
                if time.monotonic() > give_up_at:
                    tails = "\n".join(f"{child.name}:\n{child.tail()}" for child in self._stage.children)
                    raise BenchError(
                        f"{len(self.final)} of {count} final in {seconds_max:.0f} s\n{self.kinds}\n{tails}"
                    )

    def _read(self, client: Any) -> None:
        for identity, fields in entries(client.xread({"momo:results": self._last}, count=2000, block=200)):
            self._last = identity
            event = json.loads(fields["event"])
            kind = event["type"].rpartition(".")[2]
            self.kinds[kind] += 1
            if kind in _FINAL:
                self.final[event["data"]["payment_id"]] = kind

    def all_successful(self) -> None:
        """Raise unless every payment that ended did so well: a bench of failures measures something else."""
        other = Counter(self.final.values())
        if set(other) - {"successful"} or self.kinds["rejected"]:
            raise BenchError(f"not every payment was successful: {dict(other)}, {self.kinds['rejected']} rejected")


def entries(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """The entries of one stream in an answer to XREAD, of RESP2 or RESP3."""
    if not answer:
        return []
    found = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    return found[0] if found and isinstance(found[0], list) else found
