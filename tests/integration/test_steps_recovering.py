"""A recovery on a real Valkey: which jobs the pump reads again from the stream, and that results leave again after the restore."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.support.factories import not_found, successful
from tests.support.ledger_world import NAMESPACE, World, a_job, an_account, an_entry

from momo_worker.commons.parts import Parts
from momo_worker.ledger import intake as ledger_intake
from momo_worker.ledger import recovery as book
from momo_worker.payment.events import rejection_event
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import State
from momo_worker.pump.main import Doors
from momo_worker.pump.recovering import Recovering
from momo_worker.steps import intake, recovery
from momo_worker.steps.relay import LEASE_MS, Relay
from momo_worker.streams import JOBS, RESULTS, FencedError, JobsStream, ResultsStream, StreamEntry


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
    # Above what Redis had seen, for a relay of the lost ledger may sleep with a higher one in its hand.
    assert world.rows("SELECT fence FROM relay_partition WHERE partition = 3") == [1_017]


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


# ---- when reading fails, and who reads ----------------------------------------------------------------------------------


class Away(JobsStream):
    """Redis goes away between two questions."""

    away = True

    def between(self, after: str, until: str, *, count: int) -> list[StreamEntry]:
        if self.away:
            raise redis.ConnectionError("connection reset by peer")
        return super().between(after, until, count=count)


def reading_fails(world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, by: str) -> Callable[[], None]:
    """A pump whose reading fails again and again, by either server; what comes back lets it work again."""
    stream = Away(client)
    pump = Recovering(world.parts, stream, ResultsStream(client))
    stream.away = by == "redis"

    def full(*_: Any) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patched:
        if by != "redis":
            patched.setattr(ledger_intake, "add_payments", full)
        if by == "the ledger, and for good":
            patched.setattr(recovery, "give_back", full)
        for _ in range(7):
            world.clock.on(recovery.ALONE_MS / 1000)
            with pytest.raises((redis.RedisError, OperationalError)):
                pump.run()
    stream.away = False

    def goes_on() -> None:
        for _ in range(3):
            pump.run()

    return goes_on


@pytest.mark.parametrize("by", ["redis", "the ledger", "the ledger, and for good"])
def test_however_often_redis_or_the_ledger_fails_a_reading_no_entry_is_taken_for_poison(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """What fails four times on end has ended nobody: the lost ledger may have paid it."""
    lost_from = world.clock.at_ms
    for number, key in enumerate(("first", "second")):
        add(client, lost_from + number, key)
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)

    reading_fails(world, client, monkeypatch, by)()

    assert world.rejections() == []
    assert sorted(world.rows("SELECT idempotency_key FROM payment")) == ["first", "second"]


def test_pumps_that_meet_at_one_reading_reject_nothing(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost_from = world.clock.at_ms
    for number in range(4):
        add(client, lost_from + number, f"k{number}")
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    pumps = [a_pump(world.beside(), client) for _ in range(6)]
    first, others = pumps[0], pumps[1:]
    take_in = intake.take_in

    def meanwhile(parts: Parts, entries: list[intake.Entry]) -> intake.Taken:
        """All the others come while the first holds what it has read."""
        monkeypatch.setattr(intake, "take_in", take_in)
        assert [other.run() for other in others] == [0] * len(others)
        return take_in(parts, entries)

    monkeypatch.setattr(intake, "take_in", meanwhile)
    for pump in (first, *others, *others):
        pump.run()

    assert (world.count("payment"), world.rejections()) == (4, [])


def test_a_recovery_that_begins_in_the_middle_of_a_pass_is_read_only_with_what_was_told_before_it(
    world: World, client: redis.Redis
) -> None:
    begun = world.clock.at_ms
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=begun)
    pump = a_pump(world, client)

    class Meanwhile(JobsStream):
        """A person says more of the restore, after the pump has asked which recovery there is."""

        def ends(self) -> tuple[str | None, str]:
            if not client.exists(JOBS):
                add(client, begun + 100, "rejected")
                told_on_the_stream(client, begun + 200, f"{JOBS}/{begun + 100}-0")
                recovery.begin_by_person(world.parts, [], actor="ada", reason="earlier", since_ms=begun - HOUR)
            return super().ends()

    pump.jobs = Meanwhile(client)
    assert pump.run() == 0
    assert world.rows("SELECT jobs_tries FROM recovery WHERE is_open = 1") == [0]
    for _ in range(3):
        pump.run()

    assert world.count("payment") == 0
    assert len(world.rejections()) == 1


# ---- what was told ------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_since_long_before_and_was_told_as_rejected_is_rejected(
    world: World, client: redis.Redis
) -> None:
    """It stands on the stream long before what is read again."""
    source = f"{JOBS}/{world.clock.at_ms}-0"
    world.take(an_entry(a_job("k", account="tomorrow"), source))
    world.clock.on(5 * HOUR / 1000)
    lost_from = world.clock.at_ms
    told_on_the_stream(client, lost_from + 5, source)
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    pump = a_pump(world, client)
    world.parts = replace(world.parts, accounts={"tomorrow": replace(an_account(), name="tomorrow")})
    for _ in range(3):
        pump.run()
    world.clock.on(HOUR / 1000)

    assert intake.retry_waiting(world.parts, limit=10).accepted == ()

    assert (world.count("waiting_job"), world.count("payment"), len(world.rejections())) == (0, 0, 1)


def test_what_isnt_ours_on_the_results_stream_is_passed_over_and_told(world: World, client: redis.Redis) -> None:
    lost_from = world.clock.at_ms
    add(client, lost_from, "rejected")
    strange = (b"\xff\xfe", b"{", b"[]", b'"x"', b'{"type": "momo.job.rejected", "subject": "x"}', b"[" * 100_000)
    for number, body in enumerate(strange):
        client.xadd(RESULTS, {"event": body}, id=f"{lost_from + 1}-{number}")
    told_on_the_stream(client, lost_from + 5, f"{JOBS}/{lost_from}-0")
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup", since_ms=lost_from)
    pump = a_pump(world, client)
    with capture_logs() as logs:
        for _ in range(3):
            pump.run()

    assert [line["count"] for line in logs if line.get("action") == "passed_over"] == [len(strange)]
    assert (world.count("payment"), len(world.rejections())) == (0, 1)


def test_a_relay_of_the_lost_ledger_that_slept_tells_nothing_behind_the_pumps_back(
    world: World, client: redis.Redis
) -> None:
    results = ResultsStream(client)
    results.append({3: 17}, None, ["told before"])
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup")
    a_pump(world, client).run()
    with pytest.raises(FencedError):
        results.append({3: 18}, None, ["told by one that slept"])
    assert client.xlen(RESULTS) == 1
