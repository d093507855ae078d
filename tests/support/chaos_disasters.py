"""The disasters, each with its name: a running stage comes in, what it leans on breaks and is brought back. How long it takes to heal is measured elsewhere."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.chaos_fleet import Member
from tests.support.chaos_points import PUMP, WORKER
from tests.support.chaos_servers import POSTGRESQL, PlainRedis, SentinelRedis
from tests.support.chaos_stage import Plan, Stage
from tests.support.chaos_up import UP_KILLED, UpFleet
from tests.support.waiting import eventually

Deed = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Disaster:
    """How it begins, whether it is over at once, and where it can happen."""

    deed: Deed
    possible: Callable[[Stage], bool] = lambda _: True
    #: kill -9 of servers in it, for the count of kills.
    kills: int = 0


def _slept(seconds: float) -> None:
    """The outage itself."""
    threading.Event().wait(seconds)


def _plain(stage: Stage) -> PlainRedis:
    assert isinstance(stage.redis, PlainRedis)
    return stage.redis


def _kill_all(stage: Stage, members: list[Member], how: str) -> None:
    for member in members:
        stage.fleet.kill(member, how)


def _one_worker(stage: Stage) -> None:
    stage.fleet.kill(stage.fleet.of(WORKER)[0], "one worker killed")


def _all_workers(stage: Stage) -> None:
    _kill_all(stage, stage.fleet.of(WORKER), "all workers killed")


def _all_pumps(stage: Stage) -> None:
    _kill_all(stage, stage.fleet.of(PUMP), "all pumps killed")


def _all_of_ours(stage: Stage) -> None:
    _kill_all(stage, stage.fleet.members, "every process of ours killed")


def _up_killed(stage: Stage) -> None:
    assert isinstance(stage.fleet, UpFleet)
    stage.fleet.kill_up()


def _a_worker_sleeps(stage: Stage) -> None:
    stage.fleet.put_to_sleep(stage.fleet.of(WORKER)[-1], "one worker stopped", stage.plan.sleep_seconds)


def _redis_killed(stage: Stage) -> None:
    server = _plain(stage).valkey
    server.kill()
    _slept(stage.plan.outage_seconds)
    server.start()


def _redis_lost(stage: Stage) -> None:
    house = _plain(stage)
    house.valkey.kill()
    house.lose_everything()
    _slept(stage.plan.outage_seconds)
    house.valkey.start()


def _redis_frozen(stage: Stage) -> None:
    server = _plain(stage).valkey
    server.freeze()
    try:
        _slept(stage.plan.frozen_seconds)
    finally:
        server.resume()


def _connections_killed(stage: Stage) -> None:
    _plain(stage).kill_connections()


def _connections_reset(stage: Stage) -> None:
    assert _plain(stage).proxy.reset_all()


def _postgres_crashes(stage: Stage) -> None:
    assert stage.house.postgres is not None
    stage.house.postgres.crash()
    _slept(stage.plan.outage_seconds)
    stage.house.postgres.start_again()


def _backend_killed(stage: Stage) -> None:
    server = stage.house.postgres
    assert server is not None
    assert eventually(lambda: server.kill_a_backend(stage.house.database), within_seconds=10)


def _disk_full(stage: Stage) -> None:
    stage.house.disk.fill()
    _slept(stage.plan.outage_seconds * 3)
    stage.house.disk.empty()
    if stage.house.postgres is not None:
        # PostgreSQL ends itself when it can't write its log ahead; its supervisor would start it.
        stage.house.postgres.start_again()


def _mtn_away(stage: Stage) -> None:
    stage.mtn.kill()
    _slept(stage.plan.outage_seconds)
    stage.mtn.start()


def _master_killed(stage: Stage) -> None:
    """Over when another server is the master: whoever was killed comes back as its replica."""
    house = stage.redis
    assert isinstance(house, SentinelRedis)
    before = house.master()
    before.kill()
    eventually(lambda: house.master() is not before, within_seconds=30)
    before.start()


def _on_plain_redis(stage: Stage) -> bool:
    return isinstance(stage.redis, PlainRedis)


def _on_postgresql(stage: Stage) -> bool:
    return stage.house.kind == POSTGRESQL


DISASTERS: dict[str, Disaster] = {
    "one worker killed": Disaster(_one_worker),
    "all workers killed": Disaster(_all_workers),
    "all pumps killed": Disaster(_all_pumps),
    "every process of ours killed": Disaster(_all_of_ours),
    UP_KILLED: Disaster(_up_killed, lambda stage: isinstance(stage.fleet, UpFleet)),
    "one worker stopped": Disaster(_a_worker_sleeps),
    "Redis killed": Disaster(_redis_killed, _on_plain_redis, kills=1),
    "Redis killed, its data lost": Disaster(_redis_lost, _on_plain_redis, kills=1),
    "Redis frozen": Disaster(_redis_frozen, _on_plain_redis),
    "Redis connections killed": Disaster(_connections_killed, _on_plain_redis),
    "TCP reset of every connection": Disaster(_connections_reset, _on_plain_redis),
    "Sentinel's master killed": Disaster(_master_killed, lambda stage: not _on_plain_redis(stage), kills=1),
    "PostgreSQL shut down at once": Disaster(_postgres_crashes, _on_postgresql),
    "PostgreSQL backend killed": Disaster(_backend_killed, _on_postgresql, kills=1),
    "the ledger's disk full": Disaster(_disk_full, lambda stage: stage.house.disk.can_be_filled),
    "MTN killed": Disaster(_mtn_away, kills=1),
}


def all_of(plan: Plan) -> tuple[str, ...]:
    """What a whole run goes through; what isn't possible in a stage is left out there, and said."""
    return tuple(DISASTERS) if not plan.disasters else plan.disasters
