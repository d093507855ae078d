"""Redis inside the simulation: two streams and the workers' queue, each with the ways in which it loses and doubles."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from momo_worker.commons.message import Message
from momo_worker.payment.after_restore import stream_id
from momo_worker.payment.payment import Work
from momo_worker.payment.transitions import FINAL_EVENTS
from momo_worker.streams import FencedError, StreamEntry, StreamLostError
from momo_worker.wiring import LOOK_TASK

if TYPE_CHECKING:
    from tests.support.simulation import Simulation


_FINAL = {kind.value for kind in FINAL_EVENTS}


def _next_name(world: "Simulation", last: tuple[int, int]) -> tuple[int, int]:
    """What a stream calls its next entry: by Redis's clock, which is right and never jumps."""
    now_ms = world.zero_ms + round(world.scheduler.now * 1000)
    return (now_ms, 0) if now_ms > last[0] else (last[0], last[1] + 1)


@dataclass
class _Given:
    consumer: str
    at: float
    deliveries: int


@dataclass
class SimulatedJobs:
    """`momo:jobs` with its group: as JobsStream, as far as the pump's doors ask."""

    world: "Simulation"
    entries: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    given: dict[str, _Given] = field(default_factory=dict)
    #: Celery's list: what was sent there, and whom to tell under which name it came onto the stream, None where it never will.
    celery: list[tuple[bytes, Callable[[str | None], None]]] = field(default_factory=list)
    last: tuple[int, int] = (0, 0)

    def add(self, job: bytes, field_name: bytes = b"job") -> str:
        self.last = _next_name(self.world, self.last)
        name = f"{self.last[0]}-{self.last[1]}"
        self.entries[name] = {field_name: job}
        self.unread.append(name)
        return name

    def move_from_celery(self, *, limit: int) -> int:
        moved, self.celery = self.celery[:limit], self.celery[limit:]
        for envelope, tell in moved:
            tell(self.add(envelope, b"celery"))
        return len(moved)

    def lose_all(self) -> list[str]:
        """Redis comes back empty; returns the entries that nobody had acknowledged."""
        lost = [*self.unread, *self.given]
        self.unread, self.given, self.entries = [], {}, {}
        waiting, self.celery = self.celery, []
        for _, tell in waiting:
            tell(None)
        return lost

    def read(self, consumer: str, *, count: int, block_ms: int) -> list[StreamEntry]:
        found, self.unread = self.unread[:count], self.unread[count:]
        for name in found:
            self.given[name] = _Given(consumer, self.world.scheduler.now, 1)
        return [StreamEntry(name, self.entries[name]) for name in found]

    def left_behind(self, *, idle_ms: int, count: int) -> list[tuple[str, int]]:
        before = self.world.scheduler.now - idle_ms / 1000
        return [(name, given.deliveries) for name, given in self.given.items() if given.at <= before][:count]

    def take_over(self, consumer: str, left: Sequence[tuple[str, int]], *, idle_ms: int) -> list[StreamEntry]:
        for name, deliveries in left:
            self.given[name] = _Given(consumer, self.world.scheduler.now, deliveries + 1)
        return [StreamEntry(name, self.entries[name], deliveries + 1) for name, deliveries in left]

    def give_back(self, consumer: str, entries: Sequence[StreamEntry]) -> None:
        for entry in entries:
            self.given[entry.id] = _Given(consumer, self.world.scheduler.now, entry.deliveries - 1)

    def ends(self) -> tuple[str | None, str]:
        names = list(self.entries)
        return (names[0], names[-1]) if names else (None, "0-0")

    def between(self, after: str, until: str, *, count: int) -> list[StreamEntry]:
        low, high = stream_id(after), stream_id(until)
        names = [name for name in self.entries if low < stream_id(name) <= high]
        return [StreamEntry(name, self.entries[name]) for name in names[:count]]

    def acknowledge(self, ids: Sequence[str]) -> None:
        self.world.pump_point("before acknowledgement")
        for name in ids:
            self.given.pop(name, None)


@dataclass
class SimulatedResults:
    """`momo:results`: as ResultsStream, with a tail that can be lost, and the consumer's place in it with it."""

    world: "Simulation"
    events: list[tuple[tuple[int, int], str]] = field(default_factory=list)
    highest: dict[int, int] = field(default_factory=dict)
    last: tuple[int, int] = (0, 0)
    read_to: int = 0

    def append(self, fences: dict[int, int], known_last_id: str | None, bodies: Sequence[str]) -> str:
        self.world.relay_point("before append")
        for partition, fence in fences.items():
            if fence < self.highest.get(partition, 0):
                self.world.count("relay fenced")
                raise FencedError(f"partition {partition}")
        if self._has_lost(known_last_id):
            self.world.count("results lost, noticed")
            raise StreamLostError(f"ends at {self.last}")
        self.highest.update(fences)
        for body in bodies:
            self.last = _next_name(self.world, self.last)
            self.events.append((self.last, body))
        last_id = f"{self.last[0]}-{self.last[1]}"
        self.world.relay_point("after append")
        return last_id

    def raise_fences(self) -> dict[int, int]:
        self.highest = {partition: fence + 1_000 for partition, fence in self.highest.items()}
        return dict(self.highest)

    def since(self, _stream_id: str) -> list[str]:
        """All of it: one life is shorter than the hour before a ledger's last entry."""
        return [body for _, body in self.events]

    def holds(self, name: str, body: str) -> bool:
        return (stream_id(name), body) in self.events[-2_000:]

    def lost_unseen(self) -> bool:
        """The ledger counts on an id that the stream hasn't any more, and no relay has noticed yet."""
        [known] = self.world.rows("SELECT results_last_id FROM installation")
        return self._has_lost(known)

    def _has_lost(self, known: str | None) -> bool:
        """Nothing is trimmed here, and so what the stream had it has, or has lost."""
        return known is not None and not self.has(known)

    def has(self, name: str) -> bool:
        place = bisect_left(self.events, stream_id(name), key=lambda event: event[0])
        return place < len(self.events) and self.events[place][0] == stream_id(name)

    def lose_tail(self, count: int) -> None:
        """A failover to a replica that was behind: the last events, the fences and the readers' place are those of before."""
        self.events = self.events[: len(self.events) - count]
        self.last = self.events[-1][0] if self.events else (0, 0)
        self.highest.clear()
        self.read_to = min(self.read_to, len(self.events))


@dataclass
class SimulatedConsumer:
    """An application that follows the contract: an event is applied only if (epoch, sequence) is above the last that was applied."""

    stream: SimulatedResults
    last: dict[str, tuple[int, int]] = field(default_factory=dict)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    rejections: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: When it first heard of each payment that it was cancelled.
    cancelled_at: dict[str, float] = field(default_factory=dict)
    arrived: int = 0
    doubled: int = 0
    _ids: set[str] = field(default_factory=set)
    #: Event ids that arrived with two different meanings.
    two_meanings: list[str] = field(default_factory=list)
    _meaning: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def read(self) -> None:
        for _, body in self.stream.events[self.stream.read_to :]:
            self._take(json.loads(body))
        self.stream.read_to = len(self.stream.events)

    def _take(self, event: dict[str, Any]) -> None:
        self.arrived += 1
        self.doubled += event["id"] in self._ids
        self._ids.add(event["id"])
        data = event["data"]
        meaning = _meaning(event)
        if self._meaning.setdefault(event["id"], meaning) != meaning:
            self.two_meanings.append(event["id"])
        if event["type"] == "momo.job.rejected":
            self.rejections[event["subject"]].add(event["id"])
            return
        if event["type"] == "momo.payment.cancelled":
            self.cancelled_at.setdefault(event["subject"], self.stream.world.scheduler.now)
        if event["type"] == "momo.payment.accepted":
            self.accepted.add(event["subject"])
        place = (data["epoch"], data["sequence"])
        if place > self.last.get(event["subject"], (0, 0)):
            self.last[event["subject"]] = place
            self.data[event["subject"]] = data


def _meaning(event: dict[str, Any]) -> tuple[Any, ...]:
    """What an event says, apart from how often: where a restored ledger tells a rejection or an end once more, it keeps its id under a higher epoch."""
    data, said = event["data"], (event["type"], event["subject"])
    if event["type"] == "momo.job.rejected":
        return said
    if event["type"] in _FINAL:
        return (*said, data["state"], data["attempt"])
    return (*said, data["state"], data["attempt"], data["epoch"], data["sequence"])


@dataclass
class SimulatedQueue:
    """Celery's place: a message is given to a worker soon, late, twice or never."""

    world: "Simulation"
    #: How often everything in it was lost.
    losses: int = 0

    def send_task(self, name: str, args: list[list[str]], queue: str) -> None:
        """As the pump's doors call it."""
        self.hand_over(Message(Work.LOOK if name == LOOK_TASK else Work.SEND, interactive=True, ids=tuple(args[0])))

    def hand_over(self, message: Message) -> None:
        world = self.world
        world.pump_point("before hand-over")
        for payment_id in message.ids:
            world.tell(payment_id, f"released for {message.work.value}")
        if world.strikes("message_lost"):
            for payment_id in message.ids:
                world.tell(payment_id, "its message is lost")
            return
        delay = world.rng.uniform(0.01, 0.5)
        if world.strikes("message_late"):
            delay = world.rng.choice((10.0, 40.0, 300.0, 1500.0))
        losses = self.losses

        def arrive() -> None:
            if self.losses == losses:
                world.work_on(message)

        world.scheduler.after(delay, arrive)
        if world.strikes("message_doubled"):
            world.scheduler.after(delay + world.rng.choice((0.0, 0.05, 5.0, 200.0)), arrive)
