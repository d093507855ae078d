"""What was seen at the wire, apart from the ledger: requests, status reads and slots come in, facts for the checkers go out. Judges nothing."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.simulation_scheduler import Task

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_BY_REFERENCE = re.compile(r"/v1_0/\w+/([0-9a-f-]{36})$")


@dataclass(frozen=True)
class Look:
    """A status read that came back whole, and when it left by the ledger's clock."""

    reference: str
    left_at_ms: int
    http_status: int
    said: Mapping[str, Any]

    @property
    def is_not_found(self) -> bool:
        return self.http_status == 404 and self.said.get("code") == "RESOURCE_NOT_FOUND"


@dataclass
class Seen:
    """One life's observations."""

    #: Of each reference, the digests of what was posted under it: path, body, callback URL.
    requests: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    looks: dict[str, list[Look]] = field(default_factory=lambda: defaultdict(list))
    look_slots: int = 0
    looks_left: int = 0
    #: Of each budget, when its status reads departed.
    departures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def posted(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        whole = "\n".join((path, headers.get("X-Callback-Url", ""), body.hex()))
        self.requests[headers["X-Reference-Id"]].add(hashlib.sha256(whole.encode()).hexdigest())

    def asked(self, path: str, budget: str, departed_at: float) -> None:
        """A status read leaves; other GETs have a pace of their own."""
        if _BY_REFERENCE.search(path) is not None:
            self.looks_left += 1
            self.departures[budget].append(departed_at)

    def answered(self, path: str, left_at_ms: int, http_status: int, body: bytes) -> None:
        found = _BY_REFERENCE.search(path)
        if found is None:
            return
        try:
            said = json.loads(body)
        except ValueError:
            said = {}
        self.looks[found[1]].append(Look(found[1], left_at_ms, http_status, said if isinstance(said, dict) else {}))

    # ---- what a worker may believe ----------------------------------------------------------------------------------

    def claimed(self, world: "Simulation", ids: Sequence[str]) -> None:
        """Note under which fences the running task may send; those that another holds it never sends."""
        task = world.scheduler.current
        if task is None:
            return
        marks = ", ".join(f"'{name}'" for name in ids)
        sql = (
            "SELECT a.reference_id, p.fence FROM payment AS p JOIN attempt AS a ON a.payment_id = p.id "
            f"AND a.number = p.attempt WHERE p.state = 'sending' AND p.id IN ({marks})"
        )
        task.fences = dict(world.rows(sql))

    def against(self, task: Task | None, reference: str, fence: int) -> str | None:
        """What this task knew, or should have known, against a POST."""
        if task is None:
            return None
        if task.blind:
            return "its worker couldn't read the ledger"
        mine = task.fences.get(reference)
        return None if mine in (None, fence) else f"its claim was {mine}, and the payment is under {fence}"
