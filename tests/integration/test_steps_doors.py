"""Doors 1 and 2 on a real Valkey with a real ledger: what is taken in, taken over, kept and acknowledged, and what a crash leaves."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from tests.support.ledger_world import World, a_job

from momo_worker.pump import main as pump_main
from momo_worker.pump.main import Doors
from momo_worker.streams import CELERY_LISTS, GROUP, JOBS, JobsStream, WrongTypeError


@dataclass
class _House:
    """What the doors use of a process's parts."""

    parts: Any
    celery: Any = None


@dataclass
class Pump:
    """The doors of one pump process, and the messages it handed to the workers."""

    world: World
    client: redis.Redis
    consumer: str = "pump-1"
    handed: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stream = JobsStream(self.client)
        self.doors = Doors(_House(self.world.parts), self.stream, self.consumer, take_over_ms=0)  # type: ignore[arg-type]

    def beside(self, consumer: str) -> "Pump":
        return Pump(self.world, self.client, consumer)

    def pending(self) -> int:
        return int(self.client.xpending(JOBS, GROUP)["pending"])


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as found:
        yield found


@pytest.fixture
def pump(world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Pump:
    monkeypatch.setattr(pump_main, "_BLOCK_MS", 1)
    made = Pump(world, client)
    monkeypatch.setattr(pump_main, "hand_over", lambda _celery, message: made.handed.append(message))
    return made


def add(client: redis.Redis, key: str, **changes: Any) -> None:
    client.xadd(JOBS, {"job": json.dumps(a_job(key, **changes))})


def a_message(task: str = "momo.disburse", *, args: list[Any] | None = None, **kwargs: Any) -> bytes:
    """What a Celery client of protocol 2 puts on its list."""
    body = base64.b64encode(json.dumps([args or [], kwargs, {}]).encode()).decode()
    headers = {"task": task, "id": "task-1", "eta": None, "expires": None}
    properties = {"body_encoding": "base64", "delivery_info": {}}
    message = {"body": body, "content-type": "application/json", "headers": headers, "properties": properties}
    return json.dumps(message).encode()


def kwargs_of(key: str) -> dict[str, Any]:
    return {name: value for name, value in a_job(key).items() if name != "operation"}


def drain(pump: Pump) -> None:
    while pump.doors.read():
        pass


# ---- Door 1 ---------------------------------------------------------------------------------------------------------


def test_what_was_written_before_the_first_pump_is_read(pump: Pump) -> None:
    add(pump.client, "early")
    pump.stream.ensure_group()
    drain(pump)
    assert pump.world.count("payment") == 1
    assert pump.pending() == 0
    assert pump.handed[0].ids == (pump.world.id_of("early"),)


def test_a_group_that_was_lost_is_made_again_at_the_beginning(pump: Pump) -> None:
    drain(pump)
    pump.client.flushall()
    add(pump.client, "after the flush".replace(" ", "-"))
    assert pump.doors.read() == 0  # NOGROUP
    drain(pump)
    assert pump.world.count("payment") == 1
    pump.client.flushall()
    assert pump.doors.take_over() == 0
    assert pump.client.xinfo_groups(JOBS)[0]["name"] == GROUP.encode()


def test_a_dead_pumps_entries_are_taken_over_and_counted(pump: Pump) -> None:
    pump.stream.ensure_group()
    for number in range(3):
        add(pump.client, f"k-{number}")
    dead = pump.beside("dead")
    assert len(dead.stream.read("dead", count=10, block_ms=1)) == 3
    assert pump.doors.read() == 0
    left = pump.stream.left_behind(idle_ms=0, count=10)
    found = pump.stream.take_over("other", left, idle_ms=0)
    assert [entry.deliveries for entry in found] == [2, 2, 2]
    assert pump.stream.take_over("late", left, idle_ms=60_000) == []
    assert pump.doors.take_over() == 3
    assert pump.world.count("payment") == 3
    assert pump.pending() == 0


def test_an_entry_that_ends_its_reader_is_alone_at_two_and_kept_as_a_rejected_job_at_four(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump.stream.ensure_group()
    add(pump.client, "poison")
    add(pump.client, "good")
    pump.stream.read("dead-0", count=10, block_ms=1)
    take = Doors._take

    def noting(doors: Doors, found: list[Any]) -> int:
        assert len(found) <= 1
        if any(b"poison" in entry.fields[b"job"] and entry.deliveries < 4 for entry in found):
            raise SystemExit
        return take(doors, found)

    monkeypatch.setattr(Doors, "_take", noting)
    for number in range(2):
        with pytest.raises(SystemExit):
            pump.beside(f"dead-{number}").doors.take_over()
    pump.doors.take_over()
    assert pump.world.count("payment") == 1
    (rejection,) = pump.world.rejections()
    assert "ended its reader" in rejection["errors"][0]["reason"]
    ((payload,),) = [(bytes(row),) for row in pump.world.rows("SELECT payload FROM rejected_job")]
    assert b"poison" in payload
    assert pump.pending() == 0


def test_a_ledger_that_fails_again_and_again_rejects_nobody(pump: Pump) -> None:
    pump.stream.ensure_group()
    add(pump.client, "k")

    def refuse(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INTO payment" in statement:
            raise OperationalError(statement, {}, Exception("the server went away"))

    event.listen(pump.world.ledger.engine, "before_cursor_execute", refuse)
    with pytest.raises(OperationalError):
        pump.doors.read()
    for _ in range(6):
        with pytest.raises(OperationalError):
            pump.doors.take_over()
    event.remove(pump.world.ledger.engine, "before_cursor_execute", refuse)
    assert pump.doors.take_over() == 1
    assert pump.world.count("payment") == 1
    assert pump.world.rejections() == []


def test_a_broker_that_takes_no_message_rejects_nobody_and_keeps_nothing_unacknowledged(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump.stream.ensure_group()
    add(pump.client, "k")

    def away(_celery: object, _message: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(pump_main, "hand_over", away)
    with pytest.raises(redis.ConnectionError):
        pump.doors.read()
    assert pump.pending() == 0
    assert pump.world.rejections() == []
    # It is released again by the pump, since no message of it left.
    pump.world.clock.on(31)
    assert pump.world.release() == [pump.world.id_of("k")]


def test_a_crash_between_commit_and_acknowledgement_makes_no_second_payment_and_no_rejection(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump.stream.ensure_group()
    add(pump.client, "k")
    pump.client.xadd(JOBS, {"job": "{"})

    def dies(_stream: object, _ids: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(JobsStream, "acknowledge", dies)
        with pytest.raises(SystemExit):
            pump.doors.read()
        for number in range(4):
            with pytest.raises(SystemExit):
                pump.beside(f"next-{number}").doors.take_over()
    while pump.pending():
        pump.doors.take_over()
    assert pump.world.count("payment") == 1
    # The good one was delivered six times and is no poison: it had become a payment.
    assert len(pump.world.rejections()) == 1
    assert pump.world.types(pump.world.id_of("k")) == ["accepted"]


def test_an_entry_without_a_job_and_a_key_of_the_wrong_type_stop_nothing(pump: Pump) -> None:
    pump.client.set(JOBS, "a string")
    for deed in (pump.doors.read, pump.doors.take_over, pump.stream.ensure_group):
        with pytest.raises(WrongTypeError, match="rename or delete"):
            deed()
    pump.client.delete(JOBS)
    pump.client.xadd(JOBS, {"jbo": "misspelt"})
    add(pump.client, "k")
    pump.doors.read()
    drain(pump)
    assert pump.world.count("payment") == 1
    assert pump.world.rejections()[0]["errors"][0]["field"] == "job"


def test_jobs_are_trimmed_by_age_and_never_beyond_what_isnt_acknowledged(pump: Pump) -> None:
    # Old entries that nobody has read: without its group nobody may trim them.
    for number in range(600):
        pump.client.xadd(JOBS, {"job": json.dumps(a_job(f"k-{number}"))}, id=f"{1_000 + number}-0")
    assert pump.stream.trim(keep_ms=1) == 0
    pump.stream.read("pump-1", count=450, block_ms=1)
    pump.client.xack(JOBS, GROUP, *[f"{1_000 + number}-0" for number in range(450) if number != 420])
    pump.stream.trim(keep_ms=1)
    left = [entry_id for entry_id, _ in pump.client.xrange(JOBS)]
    assert b"1420-0" in left
    assert b"1599-0" in left
    # Whole nodes of a hundred go; what is asked of them is only that they go.
    assert len(left) <= 300


# ---- Door 2 ---------------------------------------------------------------------------------------------------------


def test_all_four_priority_lists_are_moved_in_order_and_become_payments(pump: Pump) -> None:
    for number, name in enumerate(CELERY_LISTS):
        for turn in range(2):
            pump.client.lpush(name, a_message(**kwargs_of(f"c-{number}-{turn}")))
    pump.client.lpush(CELERY_LISTS[0], b"not an envelope")
    assert pump.doors.move_from_celery() == 9
    assert pump.doors.move_from_celery() == 0
    moved = [fields[b"celery"] for _, fields in pump.client.xrange(JOBS)]
    assert "c-0-0" in base64.b64decode(json.loads(moved[0])["body"]).decode()
    pump.stream.ensure_group()
    drain(pump)
    assert pump.world.count("payment") == 8
    assert len(pump.world.rejections()) == 1
    assert [pump.client.exists(name) for name in CELERY_LISTS] == [0, 0, 0, 0]


def test_a_list_of_the_wrong_type_alerts_and_stops_no_other(pump: Pump) -> None:
    pump.client.set(CELERY_LISTS[0], "a string")
    pump.client.lpush(CELERY_LISTS[2], a_message(**kwargs_of("k")))
    with pytest.raises(WrongTypeError, match="momo-intake"):
        pump.doors.move_from_celery()
    assert pump.client.xlen(JOBS) == 1


def test_a_jobs_key_of_the_wrong_type_loses_no_message(pump: Pump) -> None:
    pump.client.set(JOBS, "a string")
    pump.client.lpush(CELERY_LISTS[0], a_message(**kwargs_of("k")))
    for _ in range(3):
        with pytest.raises(WrongTypeError):
            pump.doors.move_from_celery()
    assert pump.client.llen(CELERY_LISTS[0]) == 1
    pump.client.delete(JOBS)
    assert pump.doors.move_from_celery() == 1


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (a_message("momo.steal", **kwargs_of("k")), "task"),
        (a_message(args=["150000"], **kwargs_of("k")), "args"),
        (a_message(**kwargs_of("k"), operation="collect"), "operation"),
        (b"\x80\x04pickle", "job"),
        (b"{}", "body"),
    ],
)
def test_a_foreign_message_is_a_rejected_job_kept_whole(pump: Pump, message: bytes, field: str) -> None:
    pump.client.lpush(CELERY_LISTS[0], message)
    pump.doors.move_from_celery()
    pump.stream.ensure_group()
    drain(pump)
    assert pump.world.rejections()[0]["errors"][0]["field"] == field
    assert [bytes(row) for row in pump.world.rows("SELECT payload FROM rejected_job")] == [message]


def test_the_same_job_through_both_doors_is_one_payment(pump: Pump) -> None:
    add(pump.client, "k")
    pump.client.lpush(CELERY_LISTS[0], a_message(**kwargs_of("k")))
    pump.doors.move_from_celery()
    pump.stream.ensure_group()
    drain(pump)
    assert pump.world.count("payment") == 1
    assert pump.world.rejections() == []
