"""One seed's life of the whole corridor in one process: a seed comes in, what became of every payment goes out. The product's own code, our clock and our dice.

    with simulated(swarm_of(7), url) as world:
        world.live()

Producers, operators, two pumps and any number of workers act on one ledger; `simulation_mtn` is the other side. Faults happen until
`faults_end`; after that everything must come to rest within `REST_SECONDS_MAX`.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import event
from tests.support.ledger_world import NAMESPACE, HandClock, Silent, _explained, an_account
from tests.support.simulation_desk import Desk
from tests.support.simulation_ledgers import SimulatedLedger, without_waiting_for_the_disk
from tests.support.simulation_mtn import (
    LOOK_APART_SECONDS,
    MTN_EPOCH,
    InProcessTokens,
    Post,
    SimulatedSlots,
    a_model,
    faults_of,
    in_process_client,
)
from tests.support.simulation_odd import Odd
from tests.support.simulation_people import People, StoppedTime
from tests.support.simulation_pump import SimulatedPump
from tests.support.simulation_reading import LedgerReader
from tests.support.simulation_restore import Restores
from tests.support.simulation_scheduler import Killed, Scheduler, Task
from tests.support.simulation_seen import Seen
from tests.support.simulation_streams import SimulatedConsumer, SimulatedJobs, SimulatedQueue, SimulatedResults
from tests.support.simulation_swarm import POINTS, Swarm
from tests.support.simulator import UGANDA_COLLECTION, UGANDA_DISBURSEMENT

from momo_worker.accounts import Account, Credentials, Pace, SameAgain
from momo_worker.commons.message import Message
from momo_worker.commons.parts import Parts
from momo_worker.commons.runner import InlineRunner
from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import installation
from momo_worker.ledger.engine import LEDGER_FAILURES
from momo_worker.mtn.wire import render
from momo_worker.payment.payment import Product, Work
from momo_worker.payment.rules import HOUR, MINUTE, Rules
from momo_worker.steps import outcome, polling, submission

#: M5's six hours in which a send may be repeated, a last search behind them, and the longest waits of gate and looks.
REST_SECONDS_MAX = 9 * 3600.0
#: Longer than any pump waits for its next turn: what is said last of all leaves within it.
_ROUND_SECONDS = 900.0
ACCOUNTS = ("default", "shop")


def _an_account(name: str, swarm: Swarm) -> Account:
    credentials = {
        product: Credentials(who.subscription_key, who.api_user, who.api_key, who.secondary_key)
        for product, who in (
            (Product.COLLECTION, UGANDA_COLLECTION),
            (Product.DISBURSEMENT, UGANDA_DISBURSEMENT),
        )
    }
    return an_account(
        name,
        credentials=MappingProxyType(credentials),
        callback_url="https://localhost/mtn",
        same_again=SameAgain(swarm.same_again),
        pace=Pace(round(LOOK_APART_SECONDS * 1000) if swarm.paced else 0, 0),
    )


class Simulation:
    """Everything there is, and what was seen of it."""

    def __init__(self, swarm: Swarm, url: str) -> None:
        self.swarm = swarm
        self.rng = random.Random(f"life {swarm.dice}")
        self.clock = HandClock()
        #: What the ledger's clock showed when elapsed time was nothing.
        self.zero_ms = self.clock.now_ms() - round(self.clock.elapsed() * 1000)
        self.scheduler = Scheduler(self.clock, random.Random(f"order {swarm.dice}"))
        self.counts: Counter[str] = Counter()
        self.trace: dict[str, list[tuple[float, str]]] = defaultdict(list)
        self.owner_of_reference: dict[str, str] = {}
        self.posts: list[Post] = []
        self.seen = Seen()
        self.stopped: list[StoppedTime] = []
        self.faults_on = False
        #: Nobody acts any more; who sleeps is waited for.
        self.waking = False
        #: Counts what was done, so that pumps know when nothing is.
        self.progress = 0
        self.jumped_seconds = 0.0
        self.jumped_at = 0.0
        self.rested_at: float | None = None
        #: What MTN does wrong, by the swarm's names.
        self.rules = faults_of(swarm)
        dice = random.Random(f"mtn {swarm.dice}")
        self.model = a_model(swarm, self.rules.values(), lambda: MTN_EPOCH + self.clock.elapsed_seconds, dice)
        self.ledger = SimulatedLedger(url, self.clock, clock_rules=True, pool_size=4)
        event.listen(self.ledger.engine, "connect", without_waiting_for_the_disk)
        self.reader = LedgerReader(url)
        self.restores = Restores(self)
        self.slots = SimulatedSlots(self)
        self.tokens: list[InProcessTokens] = []
        self.parts = self._parts()
        self.jobs = SimulatedJobs(self)
        self.results = SimulatedResults(self)
        self.consumer = SimulatedConsumer(self.results)
        self.queue = SimulatedQueue(self)
        self.pumps = [SimulatedPump(self, f"pump-{number}") for number in (1, 2)]
        self.people = People(self)
        self.desk = Desk(self)
        self.odd = Odd(self)

    def _parts(self) -> Parts:
        with self.ledger.write() as tx:
            us = installation.prepare(tx, NAMESPACE, sandbox_only=False)
        accounts = {name: _an_account(name, self.swarm) for name in ACCOUNTS[: self.swarm.accounts]}
        clients = {
            (name, product): in_process_client(self, account, product)
            for name, account in accounts.items()
            for product in Product
        }
        slots: Any = self.slots
        return Parts(
            ledger=self.ledger,
            accounts=accounts,
            rules=Rules(send_window_ms=self.swarm.send_window_minutes * MINUTE),
            clock=self.clock,
            rng=random.Random(f"jitter {self.swarm.dice}"),
            namespace=us.namespace,
            client_for=lambda account, product: clients[account, product],
            slots=slots,
            runner=InlineRunner(),
            counters=Silent(),
            explain=_explained,
            render=render,
            tidemark=Tidemark(us.ledger_id, str(us.namespace), lambda: self.restores.in_redis),
        )

    # ---- living -----------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """Faults and work, then quiet; at the end everything rests, or `rested_at` says that it doesn't."""
        self.ledger.world = self
        self.faults_on = True
        self.people.begin()
        self.desk.begin()
        for pump in self.pumps:
            pump.begin()
        self._callbacks()
        self._odd_moments()
        self.odd.begin()
        self.restores.begin()
        self.scheduler.run_until(self.scheduler.now + self.people.busy_seconds)
        self.end_faults()
        end = self.scheduler.now + REST_SECONDS_MAX + self.jumped_seconds
        rested = self.scheduler.run_until(end, self._rests)
        # One round more: what came to rest may still have something to say.
        self.scheduler.run_until(self.scheduler.now + _ROUND_SECONDS)
        # It may have said it at the very end of the round. The product's relay looks five times a second, ours in its pump's next turn. And
        # what waited for the last word is tried within a quarter of an hour, as is, after it, what waited for that in its turn.
        if self.scheduler.run_until(self.scheduler.now + 3 * _ROUND_SECONDS, self._rests) and rested:
            self.rested_at = self.scheduler.now
        self.consumer.read()
        self.model.advance(self.model.clock())

    def end_faults(self) -> None:
        """Nothing more goes wrong; who still sleeps has slept long enough, once it wakes."""
        self.people.end()
        self.waking = True
        self.scheduler.run_until(self.scheduler.now + 36_000.0, lambda: not self._asleep())
        self.faults_on = False
        self.model.faults.clear()

    def _asleep(self) -> bool:
        return any(task.fated and task.fate is not None for task in self.scheduler.running)

    def _rests(self) -> bool:
        if self.scheduler.running or self.jobs.unread or self.jobs.given or self.jobs.celery:
            return False
        sql = (
            "SELECT count(*) FROM payment WHERE state NOT IN ('successful', 'failed', 'cancelled', 'held')"
            " UNION ALL SELECT count(*) FROM outbox WHERE published_at_ms IS NULL"
        )
        if any(self.rows(sql)) or self.results.lost_unseen():
            return False
        return self.restores.open() == (0, None) and not self.restores.waiting_jobs()

    def _callbacks(self) -> None:
        """MTN's callbacks arrive as hints, some invented by strangers."""
        for callback in self.model.due_callbacks(self.model.clock()):
            self.people.callback(callback.url, callback.reference)
        busy = self.faults_on and not self.waking
        if busy and self.swarm.chance("callbacks_invented") and self.trace:
            self.people.invented_callback()
        self.scheduler.after(self.rng.uniform(2.0, 20.0) if busy else 300.0, self._callbacks)

    def _odd_moments(self) -> None:
        """Clocks jump, the results stream loses its tail."""
        if self.faults_on and self.strikes("clock_jumps"):
            seconds = self.rng.choice((-3600.0, -200.0, -2.0, 2.0, 200.0, 3600.0))
            self.clock.jump(seconds)
            self.jumped_at = self.scheduler.now
            self.jumped_seconds += abs(seconds)
            self.count(f"clock jumps {'back' if seconds < 0 else 'on'}")
        if self.faults_on and self.results.events and self.strikes("results_lost"):
            self.results.lose_tail(self.rng.randint(1, len(self.results.events)))
        if self.faults_on and not self.waking and self.strikes("redis_lost"):
            self._lose_redis()
        if self.faults_on:
            self.scheduler.after(self.rng.uniform(40.0, 300.0), self._odd_moments)

    def _lose_redis(self) -> None:
        """Redis comes back empty: jobs, results with their readers' places, messages, slots, fences and tokens."""
        if self.results.events:
            self.results.lose_tail(len(self.results.events))
        self.people.redis_lost(self.jobs.lose_all())
        self.queue.losses += 1
        self.slots.forget()
        self.restores.redis_lost()
        for tokens in self.tokens:
            tokens.lose()

    def end_processes(self) -> None:
        """Every worker and pump is killed, and others take their places; what lies in Redis stays."""
        self.scheduler.end_all()
        for pump in self.pumps:
            pump.begin()

    # ---- workers ----------------------------------------------------------------------------------------------------

    def work_on(self, message: Message) -> None:
        """A worker takes a message, as the Celery task does; its process may be doomed."""
        kind = "send" if message.work is Work.SEND else "look"
        self.progress += 1
        task = Task(f"{kind} {len(self.scheduler.running)}", fate_at=self._fate_at(kind))
        if task.fate_at is not None:
            task.fate = self._fate()
            # Among the first calls of a batch as well as among its last.
            task.passes = self.rng.choice((0, self.rng.randrange(len(message.ids))))
        self.count(f"{kind} tasks")
        work = self._send if message.work is Work.SEND else self._look
        self.scheduler.start(task, lambda: self._as_worker(work, list(message.ids)))

    def _fate_at(self, kind: str) -> str | None:
        unlucky = self.swarm.chance("worker_dies") + self.swarm.chance("worker_sleeps")
        if not self.faults_on or self.rng.random() >= unlucky:
            return None
        points = [point for point in POINTS if point.startswith(kind) and self.swarm.fate_at in point]
        return self.rng.choice(points) if points else None

    def _fate(self) -> float | None:
        dies, sleeps = self.swarm.chance("worker_dies"), self.swarm.chance("worker_sleeps")
        if self.rng.random() * (dies + sleeps) < dies:
            return None
        longest = self.swarm.sleeps_seconds_max
        return self.rng.choice(
            (self.rng.uniform(1.0, 70.0), self.rng.uniform(100.0, 400.0), self.rng.uniform(1, longest))
        )

    def _as_worker(self, work: Callable[[list[str]], None], ids: list[str]) -> None:
        try:
            work(ids)
        except LEDGER_FAILURES:
            # Celery's task ends with it; the payments are released again.
            self.count("task ended by the ledger")

    def _send(self, ids: list[str]) -> None:
        reports = submission.send_out(self.parts, ids)
        self.seen.claimed(self, ids)
        self.odd.rouse_who_held_these()
        self.meet_fate("send claimed")
        for batch in reports:
            outcome.record_sends(self.parts, batch)
            for report in batch:
                self.tell(report.payment_id, f"recorded: {report.verdict.answer.value} {report.verdict.cause.value}")
            self.meet_fate("send recorded")

    def _look(self, ids: list[str]) -> None:
        reports = polling.ask(self.parts, ids)
        self.meet_fate("look claimed")
        for batch in reports:
            outcome.record_looks(self.parts, batch)
            for report in batch:
                verdict = report.verdict
                self.tell(report.payment_id, f"look recorded: {verdict.answer.value} {verdict.raw_status or ''}")
            self.meet_fate("look recorded")

    # ---- fate -------------------------------------------------------------------------------------------------------

    def meet_fate(self, point: str) -> None:
        """A worker reaches a point where its process may die, or sleep."""
        task = self.scheduler.current
        if task is None or task.fated or task.fate_at != point:
            return
        if task.passes > 0:
            task.passes -= 1
            return
        task.fated = True
        if task.fate is None:
            self.count(f"worker dies at: {point}")
            raise Killed
        self.count(f"worker sleeps at: {point}")
        began = self.scheduler.now
        self.scheduler.sleep(task.fate)
        slept_seconds = self.scheduler.now - began
        if slept_seconds * 1000 > self.parts.rules.lease_ms:
            self.count(f"worker sleeps longer than a lease at: {point}")
        task.asleep_seconds = slept_seconds if point == "send permitted" else 0.0
        task.fate = None

    def pump_point(self, point: str) -> None:
        """A pump reaches a point where its process may die."""
        task = self.scheduler.current
        if task is not None and task.part and self.strikes("pump_dies"):
            self.count(f"{task.part} dies at: {point}")
            raise Killed

    def relay_point(self, point: str) -> None:
        """The relay, too, may die, or sleep with what it has read in its hand."""
        task = self.scheduler.current
        if self.strikes("pump_dies"):
            self.count(f"relay dies {point}")
            raise Killed
        if task is not None and not task.inline and self.strikes("relay_sleeps"):
            self.count(f"relay sleeps {point}")
            self.scheduler.sleep(self.rng.choice((5.0, 20.0, 60.0)))

    def could_read(self, could: bool) -> None:
        """Whether the running task could read the ledger when it tried last."""
        if self.scheduler.current is not None:
            self.scheduler.current.blind = not could

    def strikes(self, name: str) -> bool:
        """Whether this fault happens now."""
        chance = self.swarm.chance(name)
        if not self.faults_on or chance <= 0.0 or self.rng.random() >= chance:
            return False
        self.count(name)
        return True

    def just_jumped(self) -> bool:
        return self.scheduler.now - self.jumped_at < 2.0

    def latency(self) -> float:
        """A worker's calls are made one after another here, and side by side in earnest: so most of them are quick."""
        if self.rng.random() < self.swarm.slow_calls:
            return self.rng.choice((0.2, 0.9, 2.0))
        return self.rng.uniform(0.002, 0.05)

    # ---- seeing -----------------------------------------------------------------------------------------------------

    def count(self, what: str) -> None:
        self.counts[what] += 1

    def tell(self, name: str, what: str) -> None:
        """Note something of a payment, named by its id or a reference, for its story."""
        self.trace[name].append((self.scheduler.now, what))

    def rows(self, sql: str, **values: Any) -> list[Any]:
        return self.reader.rows(sql, values)

    def close(self) -> None:
        self.ledger.world = None
        self.scheduler.end_all()
        self.ledger.close()
        self.reader.close()
        self.model.store.close()

    def mtn_rows(self, sql: str) -> list[Any]:
        return self.model.store.rows(sql)


@contextmanager
def simulated(swarm: Swarm, url: str) -> Iterator[Simulation]:
    """A life on an empty ledger of its own."""
    world = Simulation(swarm, url)
    try:
        yield world
    finally:
        world.close()


assert Rules().send_window_ms < REST_SECONDS_MAX * 1000 - HOUR, "a search must end within the time of rest"
