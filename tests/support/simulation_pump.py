"""A pump inside the simulation: the product's own doors, release, relay, rescue, probe and late looks, each pass cut short where the process dies."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.simulation_scheduler import Killed, Task

from momo_worker.commons import gatekeeping
from momo_worker.pump.loops import OUTLIVED
from momo_worker.pump.main import Doors
from momo_worker.pump.recovering import Recovering
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
_BUSY_SECONDS_MAX = 60.0
#: How long a pump waits for more to become due, once nothing goes wrong any more.
_CALM_TURN_SECONDS_MAX = 90.0
#: How many passes are made though the ledger holds nothing for them.
_IDLE_PASSES = 0.03
#: One look at the ledger before each turn, so that a turn which would find nothing costs nothing.
_PULSE = """
SELECT
  (SELECT min(due_at_ms) FROM payment WHERE due_at_ms IS NOT NULL AND (released_until_ms IS NULL OR released_until_ms <= :now)),
  (SELECT min(released_until_ms) FROM payment WHERE released_until_ms > :now AND due_at_ms IS NOT NULL),
  (SELECT min(lease_until_ms) FROM payment WHERE state = 'sending'),
  (SELECT min(not_after_ms) FROM payment WHERE state = 'accepted'),
  (SELECT min(coalesce(probe_at_ms, 0)) FROM gate WHERE closed_at_ms IS NOT NULL),
  (SELECT min(next_try_at_ms) FROM waiting_job),
  (SELECT min(late_due_at_ms) FROM attempt WHERE late_due_at_ms IS NOT NULL),
  (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE published_at_ms IS NULL LIMIT 1) AS waiting)
"""
_RELEASABLE = (
    "SELECT DISTINCT account, product FROM payment WHERE due_at_ms <= :now AND (released_until_ms IS NULL OR released_until_ms <= :now) "
    "AND (lease_until_ms IS NULL OR lease_until_ms <= :now) AND state <> 'sending' AND NOT EXISTS "
    "(SELECT 1 FROM gate WHERE gate.account = payment.account AND gate.product = payment.product AND gate.closed_at_ms IS NOT NULL)"
)


class Pulse(NamedTuple):
    """When each kind of work is next due by the ledger's clock; None where there is none."""

    due_at_ms: int | None
    released_until_ms: int | None
    lease_until_ms: int | None
    not_after_ms: int | None
    probe_at_ms: int | None
    waiting_at_ms: int | None
    late_at_ms: int | None
    unpublished: int

    @property
    def next_at_ms(self) -> int | None:
        return min((at for at in self[:-1] if at is not None), default=None)


class SimulatedPump:
    """One pump process; when it dies another takes its place under another name."""

    def __init__(self, world: "Simulation", name: str) -> None:
        self.world = world
        self.name = name
        self.lives = 0
        self.doors: Doors
        self.relay: Relay
        self.rescue: Rescue
        self.recovering: Recovering
        self.relaying = False
        self.searching = False
        #: Its recovery's task, the last one.
        self.search: Task | None = None
        self.seen_progress = -1
        self.idle_turns = 0
        self.rescued_at = 0.0

    def begin(self) -> None:
        """Start, or start again: a search that the last process had under way is gone with it."""
        world = self.world
        self.lives += 1
        who = f"{self.name}-{self.lives}"
        house: Any = SimpleNamespace(parts=world.parts, celery=world.queue)
        jobs: Any = world.jobs
        results: Any = world.results
        self.doors = Doors(house, jobs, who, _TAKE_OVER_MS)
        self.relay = Relay(world.parts, results, who, _REPLAY_MS)
        self.rescue = Rescue(world.parts)
        self.recovering = Recovering(world.parts, jobs, results)
        self.relaying = self.searching = False
        if self.search is not None:
            world.scheduler.end(self.search)
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

        return world.scheduler.inline(Task(self.name, inline=True, part="pump"), body)

    def chores(self) -> list[Callable[[], object]]:
        """What a pass has to do; a pass that would find nothing is left out but now and then, or simulating would be mostly that."""
        world, pulse = self.world, self.pulse()
        now = world.clock.now_ms()
        recovers, search_at_ms = world.restores.open()

        def is_due(at_ms: int | None) -> bool:
            return at_ms is not None and at_ms <= now

        rarely = world.rng.random() < _IDLE_PASSES
        wanted: dict[Callable[[], object], bool] = {
            self.run_rescue: rarely
            or is_due(pulse.lease_until_ms)
            or is_due(pulse.not_after_ms)
            or world.jumped_at > self.rescued_at,
            # With nothing to publish a relay holds the stream against the ledger every two seconds.
            self.start_relay: not self.relaying and (bool(pulse.unpublished) or world.results.lost_unseen() or rarely),
            self.doors.move_from_celery: bool(world.jobs.celery),
            self.doors.read: bool(world.jobs.unread),
            self.doors.take_over: bool(world.jobs.given),
            self.doors.retry_waiting: is_due(pulse.waiting_at_ms),
            self.release: is_due(pulse.due_at_ms) or rarely,
            self.probe: is_due(pulse.probe_at_ms),
            self.late: is_due(pulse.late_at_ms),
            self.start_recovering: not self.searching and (bool(recovers) or is_due(search_at_ms)),
        }
        return [chore for chore, is_wanted in wanted.items() if is_wanted]

    def pulse(self) -> Pulse:
        (found,) = self.world.rows(_PULSE, now=self.world.clock.now_ms())
        return Pulse(*found)

    def run_rescue(self) -> None:
        self.rescued_at = self.world.scheduler.now
        self.rescue.run()

    def release(self) -> None:
        """Every account and product with something due, as the product does with all of them."""
        world = self.world
        due = world.rows(_RELEASABLE, now=world.clock.now_ms())
        if not due and world.rng.random() > _IDLE_PASSES:
            return
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
        self.relaying = True
        relay = self.relay
        self.world.scheduler.start(Task(f"relay of {self.name}"), lambda: self._relay(relay))

    def start_recovering(self) -> None:
        """In a task of its own, since a search waits for its slots at MTN's pace."""
        self.searching = True
        recovering = self.recovering
        self.search = Task(f"recovery of {self.name}", part="recovery")
        self.world.scheduler.start(self.search, lambda: self._recover(recovering))

    def _recover(self, recovering: Recovering) -> None:
        try:
            recovering.run()
        except OUTLIVED:
            self.world.count("recovery pass failed")
        except Killed:
            if recovering is self.recovering:
                self.begin()
            raise
        finally:
            if recovering is self.recovering:
                self.searching = False

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
        if world.jobs.unread or world.jobs.celery:
            return world.rng.uniform(0.1, 1.0)
        if world.progress == self.seen_progress:
            self.idle_turns = min(self.idle_turns + 1, 9)
        else:
            self.idle_turns, self.seen_progress = 0, world.progress
        next_at = self.pulse().next_at_ms
        recovers, search_at_ms = world.restores.open()
        if recovers or search_at_ms is not None:
            # While a ledger comes back there is something to do in each turn.
            return world.rng.uniform(0.2, world.swarm.turn_seconds_max)
        longest = _BUSY_SECONDS_MAX if world.faults_on and not world.waking else _IDLE_SECONDS_MAX
        if next_at is None:
            return longest * world.rng.uniform(0.3, 1.0)
        left = max(next_at - world.clock.now_ms(), 0) / 1000
        turn_seconds_max = world.swarm.turn_seconds_max if longest == _BUSY_SECONDS_MAX else _CALM_TURN_SECONDS_MAX
        ahead = left + world.rng.uniform(0.2, turn_seconds_max)
        # What is due and may not leave (a pause, a closed gate) must not keep the simulation busy.
        return min(max(ahead, 0.3 * 2**self.idle_turns), longest)
