"""A pump inside the simulation: the product's own doors, release, relay, rescue, probe and late looks, each pass cut short where the process dies."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tests.support.simulation_scheduler import Killed, Task

from momo_worker.commons import gatekeeping
from momo_worker.pump.loops import OUTLIVED
from momo_worker.pump.main import Doors
from momo_worker.pump.release import release_due
from momo_worker.steps import outcome, polling
from momo_worker.steps.relay import Relay
from momo_worker.steps.rescue import Rescue

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

_TAKE_OVER_MS = 60_000
_REPLAY_MS = 24 * 3_600_000
#: A turn comes at the latest after this, however quiet it is.
_IDLE_SECONDS_MAX = 600.0
_NEXT = (
    "SELECT min(at) FROM ("
    "SELECT min(due_at_ms) AS at FROM payment WHERE due_at_ms IS NOT NULL AND (released_until_ms IS NULL OR released_until_ms <= :now)"
    " UNION ALL SELECT min(released_until_ms) FROM payment WHERE released_until_ms > :now AND due_at_ms IS NOT NULL"
    " UNION ALL SELECT min(lease_until_ms) FROM payment WHERE state = 'sending'"
    " UNION ALL SELECT min(probe_at_ms) FROM gate WHERE closed_at_ms IS NOT NULL"
    " UNION ALL SELECT min(next_try_at_ms) FROM waiting_job"
    " UNION ALL SELECT min(late_due_at_ms) FROM attempt WHERE late_due_at_ms IS NOT NULL)"
)
_RELEASABLE = (
    "FROM payment WHERE due_at_ms <= :now AND (released_until_ms IS NULL OR released_until_ms <= :now) "
    "AND (lease_until_ms IS NULL OR lease_until_ms <= :now) AND state <> 'sending'"
)
_OVER = (
    "SELECT 1 FROM payment WHERE (state = 'sending' AND lease_until_ms <= :now) "
    "OR (state = 'accepted' AND not_after_ms <= :now) LIMIT 1"
)
_UNPUBLISHED = "SELECT 1 FROM outbox WHERE published_at_ms IS NULL LIMIT 1"


class SimulatedPump:
    """One pump process; when it dies another takes its place under another name."""

    def __init__(self, world: "Simulation", name: str) -> None:
        self.world = world
        self.name = name
        self.lives = 0
        self.doors: Doors
        self.relay: Relay
        self.rescue: Rescue
        self.relaying = False
        self.seen_progress = -1
        self.idle_turns = 0

    def begin(self) -> None:
        """Start, or start again."""
        world = self.world
        self.lives += 1
        who = f"{self.name}-{self.lives}"
        house: Any = SimpleNamespace(parts=world.parts, celery=world.queue)
        jobs: Any = world.jobs
        results: Any = world.results
        self.doors = Doors(house, jobs, who, _TAKE_OVER_MS)
        self.relay = Relay(world.parts, results, who, _REPLAY_MS)
        self.rescue = Rescue(world.parts)
        self.relaying = False
        if self.lives == 1:
            self.turn()

    def turn(self) -> None:
        """One pass of every loop that has something to do, in any order."""
        world = self.world
        away_seconds = world.odd.pumps_rest_seconds()
        if away_seconds > 0:
            world.scheduler.after(away_seconds, self.turn)
            return
        chores = self.chores()
        world.rng.shuffle(chores)
        for chore in chores:
            if not self.do(chore):
                self.begin()
                break
        world.scheduler.after(self.wait_seconds(), self.turn)

    def do(self, chore: Callable[[], object]) -> bool:
        """One pass; False when the process died in it."""
        world = self.world

        def body() -> None:
            try:
                chore()
            except OUTLIVED:
                world.count("pump pass failed")

        world.in_pump = self
        try:
            return world.scheduler.inline(Task(self.name, inline=True), body)
        finally:
            world.in_pump = None

    def chores(self) -> list[Callable[[], object]]:
        """What a pass has to do; a pass that would find nothing is left out but now and then, or simulating would be mostly that."""
        world, rng = self.world, self.world.rng
        wanted: dict[Callable[[], object], bool] = {
            self.rescue.run: self._is(_OVER) or rng.random() < 0.2,
            self.start_relay: not self.relaying and (self._is(_UNPUBLISHED) or rng.random() < 0.2),
            self.doors.read: bool(world.jobs.unread),
            self.doors.take_over: bool(world.jobs.given),
            self.doors.retry_waiting: self._is("SELECT 1 FROM waiting_job LIMIT 1"),
            self.release: self._is(f"SELECT 1 {_RELEASABLE} LIMIT 1") or rng.random() < 0.05,
            self.probe: self._is("SELECT 1 FROM gate WHERE closed_at_ms IS NOT NULL LIMIT 1"),
            self.late: self._is("SELECT 1 FROM attempt WHERE late_due_at_ms <= :now LIMIT 1"),
        }
        return [chore for chore, is_wanted in wanted.items() if is_wanted]

    def _is(self, sql: str) -> bool:
        return bool(self.world.rows(sql, **({"now": self.world.clock.now_ms()} if ":now" in sql else {})))

    def release(self) -> None:
        """Every account and product with something due, as the product does with all of them."""
        world = self.world
        due = world.rows(f"SELECT DISTINCT account, product {_RELEASABLE}", now=world.clock.now_ms())
        accounts = {}
        for name, account in world.parts.accounts.items():
            mine = {product: given for product, given in account.credentials.items() if (name, product.value) in due}
            accounts[name] = replace(account, credentials=mine)
        release_due(replace(world.parts, accounts=accounts), world.queue.hand_over)

    def probe(self) -> None:
        gatekeeping.probe(self.world.parts)

    def late(self) -> None:
        for item, verdict in polling.ask_late(self.world.parts, limit=5):
            outcome.record_late(self.world.parts, item, verdict)
            self.world.tell(item.attempt.payment_id, f"late look: {verdict.answer.value} {verdict.raw_status or ''}")

    def start_relay(self) -> None:
        """In a task of its own, since a relay may fall asleep with events in its hand."""
        world = self.world
        self.relaying = True
        relay, pump = self.relay, world.in_pump
        world.in_pump = None
        try:
            world.scheduler.start(Task(f"relay of {self.name}"), lambda: self._relay(relay))
        finally:
            world.in_pump = pump

    def _relay(self, relay: Relay) -> None:
        world = self.world
        try:
            relay.publish()
        except OUTLIVED:
            world.count("relay pass failed")
        except Killed:
            if relay is self.relay:
                self.begin()
            raise
        finally:
            if relay is self.relay:
                self.relaying = False
        if world.rng.random() < 0.3:
            world.consumer.read()

    def wait_seconds(self) -> float:
        """Soon while there is work; else until the ledger's next moment."""
        world = self.world
        if world.jobs.unread:
            return world.rng.uniform(0.1, 1.0)
        if world.progress == self.seen_progress:
            self.idle_turns = min(self.idle_turns + 1, 9)
        else:
            self.idle_turns, self.seen_progress = 0, world.progress
        now = world.clock.now_ms()
        (next_at,) = world.rows(_NEXT, now=now)
        if next_at is None:
            return (
                _IDLE_SECONDS_MAX * world.rng.uniform(0.5, 1.0) if not world.faults_on else world.rng.uniform(5.0, 20.0)
            )
        left = max(next_at - now, 0) / 1000
        ahead = left + world.rng.uniform(0.2, 2.5)
        # What is due and may not leave (a pause, a closed gate) must not keep the simulation busy.
        ahead = max(ahead, 0.3 * 2**self.idle_turns)
        return min(ahead, 20.0 if world.faults_on else _IDLE_SECONDS_MAX)
