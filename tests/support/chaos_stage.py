"""A folder and a plan come in, everything running goes out: servers, several workers and pumps, an application that never rests."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.support.chaos_fleet import Fleet, Launcher, Member
from tests.support.chaos_points import PUMP, WORKER
from tests.support.chaos_servers import LedgerHouse, Mtn, PlainRedis, SentinelRedis, a_ledger_house
from tests.support.chaos_traffic import Application
from tests.support.chaos_up import Up, UpFleet, UpMember
from tests.support.corridor import QUICK_RULES, QUICK_SETTLING, environment_of
from tests.support.valkey import free_port

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate

#: Chance of each of the thirty kinds of fault at each request that it fits.
WORST_MOOD = 0.03
#: A desk whose payment's handling ended the process is no end: MTN's word moves it on. Nobody pauses a whole account for our kills.
#: The circuit opens under a flood of faults and not at each seven seconds of this mood, which would hide how fast all is back.
_RULES = {"VANISHED_PAUSE_COUNT": "100000", "VANISHED_AFTER_MINUTES": "0.5", "CIRCUIT_PAYMENTS": "60"}
_ENVIRONMENT = {"MOMO_JOBS__TAKE_OVER_SECONDS": "4"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run, and how long it may take."""

    name: str
    database: str
    seed: int
    kills: int
    workers: int = 3
    pumps: int = 3
    rate: float = 10.0
    again_seconds: float = 60.0
    sentinel: bool = False
    #: `momo up` is the supervisor; then nobody ends at a named point.
    up: bool = False
    #: Names of disasters; empty: all that are possible.
    disasters: tuple[str, ...] = ()
    #: Whether the monkey goes on until each named point has killed somebody.
    every_point: bool = True
    #: Points at which somebody must have slept, else the monkey goes on too.
    sleeps_at: tuple[str, ...] = ()
    #: How often each disaster comes.
    rounds: int = 1
    frozen_seconds: float = 60.0
    outage_seconds: float = 2.0
    calm_seconds_max: float = 30.0
    #: Seconds between two kills, at the most.
    pause_seconds: float = 1.6
    #: Over the lease (7 s), the grace from its end (2.5 s), and the looks that must fall after it (1.2 s apart at most).
    sleep_seconds: float = 13.0
    recovery_seconds_max: float = 45.0
    minutes_max: float = 15.0
    heal_seconds_max: float = 240.0
    mood: float = WORST_MOOD


@dataclass
class Tape:
    """When payments became final, by the ledger's own times."""

    ledger: Ledger
    finals: list[float] = field(default_factory=list)
    _last_id: int = 0

    def read(self) -> list[float]:
        """All so far; a ledger that is away says nothing new."""
        try:
            with self.ledger.read() as tx:
                sql = "SELECT id, at_ms, after FROM transition WHERE id > :last ORDER BY id"
                rows = tx.conn.execute(text(sql), {"last": self._last_id}).all()
        except DBAPIError:
            return self.finals
        for row in rows:
            self._last_id = max(self._last_id, row[0])
            if row[2] in ("successful", "failed"):
                self.finals.append(row[1] / 1000)
        return self.finals


@dataclass
class Stage:
    """Everything, running."""

    plan: Plan
    folder: Path
    house: LedgerHouse
    ledger: Ledger
    redis: PlainRedis | SentinelRedis
    mtn: Mtn
    fleet: Fleet
    shop: Application
    tape: Tape

    def count(self, sql: str) -> int:
        with self.ledger.read() as tx:
            return int(tx.conn.execute(text(sql)).scalar_one())

    def rows(self, sql: str) -> list[Any]:
        with self.ledger.read() as tx:
            return list(tx.conn.execute(text(sql)).all())


@contextmanager
def a_stage(plan: Plan, folder: Path) -> Iterator[Stage]:
    """Started, everything; at the end everything is stopped."""
    with ExitStack() as stack:
        house = stack.enter_context(a_ledger_house(plan.database))
        redis_house = SentinelRedis(folder) if plan.sentinel else PlainRedis(folder)
        stack.callback(redis_house.stop)
        mtn = Mtn(folder / "mtn.db", plan.seed, dict(QUICK_SETTLING), plan.mood)
        stack.callback(mtn.stop)
        mtn.start()
        ledger = Ledger(house.url, SystemClock())
        stack.callback(ledger.close)
        migrate(ledger)
        environment = environment_of(folder, redis_house.url, mtn.url, house.url, {**QUICK_RULES, **_RULES})
        environment |= _ENVIRONMENT
        fleet = _fleet(plan, environment, folder)
        stack.callback(fleet.stop)
        shop = Application(
            f"{plan.name}",
            redis_house.client,
            celery_url=None if plan.sentinel else redis_house.url,
            rate=plan.rate,
            again_seconds=plan.again_seconds,
            chance=random.Random(plan.seed),
        )
        stage = Stage(plan, folder, house, ledger, redis_house, mtn, fleet.start(), shop, Tape(ledger))
        shop.start()
        stack.callback(shop.end)
        yield stage


def _fleet(plan: Plan, environment: dict[str, str], folder: Path) -> Fleet:
    numbers = ((PUMP, plan.pumps), (WORKER, plan.workers))
    parts = [(f"{kind}-{at}", kind) for kind, number in numbers for at in range(1, number + 1)]
    if plan.up:
        up = Up(folder, _own_door(environment), workers=plan.workers, pumps=plan.pumps)
        members: list[Member] = [UpMember(name, kind, {}, folder) for name, kind in parts]
        return UpFleet(up, members, sleep_seconds=plan.sleep_seconds, up=up)
    members = [Member(name, kind, _own_door(environment), folder) for name, kind in parts]
    return Fleet(Launcher(), members, sleep_seconds=plan.sleep_seconds)


def _own_door(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "MOMO_METRICS_PORT": str(free_port())}
