"""A recovery on a real Valkey: which jobs the pump reads again from the stream, and that results leave again after the restore."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from sqlalchemy import text
from structlog.testing import capture_logs
from tests.support.factories import not_found, successful
from tests.support.ledger_world import NAMESPACE, World, a_job

from momo_worker.ledger import recovery as book
from momo_worker.payment.events import rejection_event
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import State
from momo_worker.pump.main import Doors
from momo_worker.pump.recovering import Recovering
from momo_worker.steps import recovery
from momo_worker.steps.relay import LEASE_MS, Relay
from momo_worker.streams import JOBS, RESULTS, JobsStream, ResultsStream


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


def a_pump(world: World, client: redis.Redis) -> Recovering:
    return Recovering(world.parts, JobsStream(client), ResultsStream(client))


def add(client: redis.Redis, at_ms: int, key: str) -> None:
    client.xadd(JOBS, {"job": json.dumps(a_job(key))}, id=f"{at_ms}-0")


def test_jobs_are_read_again_from_an_hour_before_the_ledgers_last_entry_whoever_had_acknowledged_them(
    world: World, client: redis.Redis
) -> None:
    lost_from = world.clock.at_ms
    world.mtn.on_look = lambda _request: not_found()
    for key, at_ms in (("old", -HOUR - 1), ("margin", -HOUR + 1), ("lost", 1), ("later", 2)):
        add(client, lost_from + at_ms, key)
    stream = JobsStream(client)
    stream.ensure_group()
    stream.acknowledge([entry.id for entry in stream.read("pump-1", count=10, block_ms=1)])
    world.clock.on(600)
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    pump = a_pump(world, client)

    for _ in range(4):
        pump.run()

    assert sorted(world.rows("SELECT idempotency_key FROM payment")) == ["later", "lost", "margin"]
    with world.ledger.read() as tx:
        found = book.current(tx)
    assert found is not None
    assert (found.jobs_read, found.jobs_done_at_ms is None) == (3, False)
    # They wait for the search like all that the lost ledger may have sent.
    assert world.count("search") == 3
    assert world.rows("SELECT DISTINCT state FROM payment") == [State.ACCEPTED.value]
    assert world.mtn.references() == []


def test_results_leave_again_though_the_restored_ledgers_fences_are_below_those_that_redis_has_seen(
    world: World, client: redis.Redis
) -> None:
    world.accept("before")
    for number in range(3):
        # Each takes over from one that died, under a higher fence.
        Relay(world.parts, ResultsStream(client), f"relay-{number}", DAY).publish()
        world.clock.on(LEASE_MS / 1000 + 1)
    with world.ledger.write() as tx:
        tx.conn.execute(text("UPDATE relay_partition SET fence = 0, owner = NULL, lease_until_ms = 0"))
    assert max(ResultsStream(client).fences().values()) == 3
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup")
    a_pump(world, client).run()
    world.accept("after")

    Relay(world.parts, ResultsStream(client), "relay-9", DAY).publish()

    assert client.xlen(RESULTS) == 2


def test_a_job_that_was_told_as_rejected_stays_rejected_though_the_restored_ledger_would_take_it(
    world: World, client: redis.Redis
) -> None:
    lost_from = world.clock.at_ms
    for number, key in enumerate(("rejected", "taken")):
        add(client, lost_from + number, key)
    error = {"field": "replaces", "value": "k", "reason": "isn't failed", "advice": "wait for its end"}
    told = rejection_event(NAMESPACE, f"{JOBS}/{lost_from}-0", [error], {}, lost_from)
    client.xadd(RESULTS, {"event": told.body}, id=f"{lost_from + 5}-0")
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    pump = a_pump(world, client)
    for _ in range(3):
        pump.run()

    assert world.rows("SELECT idempotency_key FROM payment") == ["taken"]
    (again,) = world.rejections()
    assert again["errors"][0]["reason"] == "was rejected before the ledger was restored: isn't failed"
    # One meaning for ever: who has applied the first ignores the second.
    assert world.rows("SELECT event_id FROM outbox WHERE type = 'momo.job.rejected'") == [told.event_id]


def told_on_the_stream(client: redis.Redis, at_ms: int, entry: str) -> None:
    """The lost ledger's relay told that this entry was rejected."""
    error = {"field": "replaces", "value": "k", "reason": "isn't failed", "advice": "wait for its end"}
    client.xadd(RESULTS, {"event": rejection_event(NAMESPACE, entry, [error], {}, at_ms).body}, id=f"{at_ms}-0")


def test_a_door_leaves_what_the_lost_ledger_may_have_answered_until_it_is_read_again(
    world: World, client: redis.Redis
) -> None:
    """Seed 260: it was told as rejected, and its pump died before it could acknowledge; then the ledger was restored."""
    lost_from = world.clock.at_ms
    for number, key in enumerate(("rejected", "taken")):
        add(client, lost_from + number, key)
    stream = JobsStream(client)
    stream.ensure_group()
    assert len(stream.read("dead", count=10, block_ms=1)) == 2
    told_on_the_stream(client, lost_from + 5, f"{JOBS}/{lost_from}-0")
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    house: Any = SimpleNamespace(parts=world.parts, celery=None)
    doors = Doors(house, stream, "pump-1", take_over_ms=0)

    assert doors.take_over() == 0

    # Nothing became of them, and nothing counts against them.
    assert world.count("payment") + world.count("rejected_job") == 0
    assert [deliveries for _, deliveries in stream.left_behind(idle_ms=0, count=10)] == [1, 1]
    pump = a_pump(world, client)
    for _ in range(3):
        pump.run()
    assert doors.take_over() == 2
    assert stream.left_behind(idle_ms=0, count=10) == []
    assert world.rows("SELECT idempotency_key FROM payment") == ["taken"]
    assert len(world.rejections()) == 1


def test_a_pump_that_knew_a_recovery_speaks_and_reads_anew_in_the_next_though_it_has_the_same_number(
    world: World, client: redis.Redis
) -> None:
    begun = world.clock.at_ms
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=begun)
    pump = a_pump(world, client)
    world.clock.on(60)
    with capture_logs() as logs:
        pump.run()
        with world.ledger.read() as tx:
            first = book.current(tx)
        assert first is not None
        # The lost ledger went on; the one that takes its place counts its recoveries from the beginning.
        add(client, begun + 100, "rejected")
        told_on_the_stream(client, begun + 200, f"{JOBS}/{begun + 100}-0")
        world.write("DELETE FROM search")
        world.write("DELETE FROM recovery")
        recovery.begin_by_person(world.parts, [], actor="ada", reason="the same backup", since_ms=begun)
        world.write("UPDATE recovery SET id = :id", id=first.id)
        world.write("UPDATE relay_partition SET fence = 0")
        client.hset("momo:results:fences", "3", "17")
        world.clock.on(60)
        for _ in range(3):
            pump.run()

    with world.ledger.read() as tx:
        second = book.current(tx)
    assert second is not None
    assert second.id == first.id
    assert second.epoch > first.epoch
    assert [line["epoch"] for line in logs if line.get("action") == "recovery"][-1] == second.epoch
    assert world.count("payment") == 0
    (again,) = world.rejections()
    assert again["errors"][0]["reason"] == "was rejected before the ledger was restored: isn't failed"
    assert world.rows("SELECT fence FROM relay_partition WHERE partition = 3") == [17]


def test_what_the_stream_told_since_the_ledgers_last_entry_is_told_again_also_where_it_is_successful_and_stays_so(
    world: World, client: redis.Redis
) -> None:
    (paid,) = world.accept("paid")
    world.send([paid])
    world.mtn.on_look = lambda _request: successful()
    world.run_until(lambda: world.payment(paid).state is State.SUCCESSFUL)
    (event,) = world.events(paid)[-1:]
    world.write("UPDATE outbox SET published_at_ms = 1")
    world.clock.on(HOUR / 1000)
    lost_from = world.clock.at_ms
    world.clock.on(600)
    # The lost ledger told something else of it: a contradiction, say. This one will never know.
    client.xadd(RESULTS, {"event": json.dumps(event)}, id=f"{lost_from + 1}-0")
    client.xadd(RESULTS, {"event": json.dumps({**event, "subject": "of the lost ledger"})}, id=f"{lost_from + 2}-0")
    epoch = recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from).copy.epoch
    asked = len(world.mtn.looked)
    pump = a_pump(world, client)
    while pump.run():
        pass

    assert world.rows("SELECT payment_id, outcome FROM search") == [(paid, "stands")]
    assert len(world.mtn.looked) == asked
    again = world.events(paid)[-1]
    assert (again["id"], again["data"]["epoch"], event["data"]["epoch"]) == (event["id"], epoch, 1)
    assert world.rows("SELECT payment_id FROM outbox WHERE published_at_ms IS NULL") == [paid]
