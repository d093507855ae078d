"""Results on a real Valkey (M9, O1-O4): order per payment, two relays, what Redis loses, what trimming may drop."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from tests.support.factories import successful
from tests.support.ledger_world import NAMESPACE, World, a_job, failures, side_by_side

from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import installation, outbox
from momo_worker.payment.rules import DAY
from momo_worker.payment.transitions import State
from momo_worker.steps import recovery
from momo_worker.steps.relay import LEASE_MS, Relay
from momo_worker.streams import RESULTS, FencedError, ResultsStream, WrongTypeError


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as found:
        yield found


def a_relay(world: World, client: redis.Redis, owner: str = "relay-1") -> Relay:
    return Relay(world.parts, ResultsStream(client), owner, DAY)


def published(client: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(fields["event"]) for _, fields in client.xrange(RESULTS)]


def applied(events: list[dict[str, Any]]) -> dict[str, str]:
    """What a consumer that follows the contract ends with: an event only if (epoch, sequence) is above the last."""
    last: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    states: dict[str, str] = {}
    for event in events:
        data = event["data"]
        if (data["epoch"], data["sequence"]) > last[event["subject"]]:
            last[event["subject"]] = (data["epoch"], data["sequence"])
            states[event["subject"]] = data["state"]
    return states


def some_history(world: World, count: int = 12) -> list[str]:
    ids = world.accept(*[f"k-{number}" for number in range(count)])
    world.send(ids)
    world.mtn.on_look = lambda _request: successful()
    world.run_until(lambda: all(world.payment(found).state is State.SUCCESSFUL for found in ids))
    return ids


def test_events_of_a_payment_leave_in_their_order_and_once(world: World, client: redis.Redis) -> None:
    ids = some_history(world)
    relay = a_relay(world, client)
    assert relay.publish() == len(ids) * 3
    assert relay.publish() == 0
    events = published(client)
    for found in ids:
        mine = [event for event in events if event["subject"] == found]
        assert [event["data"]["sequence"] for event in mine] == [1, 2, 3]
        assert [event["type"].rpartition(".")[2] for event in mine] == ["accepted", "pending", "successful"]
    assert applied(events) == dict.fromkeys(ids, "successful")


def test_an_append_that_is_repeated_keeps_ids_and_sequences(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = some_history(world, 3)
    relay = a_relay(world, client)

    def dies(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "mark_published", dies)
        with pytest.raises(SystemExit):
            relay.publish()
    relay.publish()
    events = published(client)
    assert len(events) == 18
    assert len({event["id"] for event in events}) == 9
    assert applied(events) == dict.fromkeys(ids, "successful")


def test_the_sleepers_append_is_refused_once_another_holds_its_partitions(world: World, client: redis.Redis) -> None:
    first, second = a_relay(world, client), a_relay(world, client, "relay-2")
    world.accept("a")
    first.publish()
    assert second.publish() == 0
    world.accept("b")
    with world.ledger.read() as tx:
        known = installation.read(tx)
    holds = {hold.partition: hold.fence for hold in first._holds}
    world.clock.on(LEASE_MS / 1000 + 1)
    world.accept("c")
    assert second.publish() == 2
    assert known is not None
    with pytest.raises(FencedError):
        first.stream.append(holds, known.results_last_id, ["too late"])
    first._held_at = world.clock.elapsed()  # it believes that it still holds them
    world.accept("d")
    assert first.publish() == 0
    assert second.publish() == 1
    assert "too late" not in [fields["event"] for _, fields in client.xrange(RESULTS)]


def test_two_relays_at_once_lose_nothing(world: World, client: redis.Redis) -> None:
    other = world.beside()
    relays = [a_relay(world, client), a_relay(other, client, "relay-2")]
    ids = []
    for turn in range(5):
        ids += world.accept(*[f"k-{turn}-{number}" for number in range(10)])
        done = side_by_side(*[relay.publish for relay in relays])
        assert not failures(done)
    for relay in relays:
        relay.publish()
    assert set(applied(published(client))) == set(ids)
    assert world.rows("SELECT count(*) FROM outbox WHERE published_at_ms IS NULL") == [0]


def test_partitions_given_back_at_a_stop_are_taken_at_once(world: World, client: redis.Redis) -> None:
    first, second = a_relay(world, client), a_relay(world, client, "relay-2")
    world.accept("a")
    first.publish()
    first.let_go()
    world.accept("b")
    assert second.publish() == 1


def test_what_redis_lost_is_published_again_marked_as_a_replay(world: World, client: redis.Redis) -> None:
    (old,) = world.accept("old")
    relay = a_relay(world, client)
    relay.publish()
    world.clock.on(2 * 86_400)
    ids = world.accept(*[f"k-{number}" for number in range(700)])
    while relay.publish():
        pass
    client.flushall()
    (fresh,) = world.accept("fresh")
    assert relay.publish() == 0
    while relay.publish():
        pass
    events = published(client)
    assert {event["subject"] for event in events} == {*ids, fresh}
    assert old not in {event["subject"] for event in events}
    assert all(event.get("replayed") is True for event in events if event["subject"] != fresh)
    assert all("replayed" not in event for event in events if event["subject"] == fresh)


def test_a_loss_on_a_quiet_day_is_noticed_without_a_new_event(world: World, client: redis.Redis) -> None:
    ids = world.accept("a", "b")
    relay = a_relay(world, client)
    relay.publish()
    client.flushall()
    assert relay.publish() == 0
    assert client.exists(RESULTS) == 0
    world.clock.on(6)
    relay.publish()
    assert relay.publish() == 2
    assert {event["subject"] for event in published(client)} == set(ids)


def test_a_stream_that_lost_its_tail_is_noticed_too(world: World, client: redis.Redis) -> None:
    relay = a_relay(world, client)
    ids = world.accept("a")
    relay.publish()
    ids += world.accept("b")
    relay.publish()
    entries = client.xrange(RESULTS)
    # A replica that was behind: the stream ends before the id that the ledger knows.
    client.delete(RESULTS)
    client.xadd(RESULTS, entries[0][1], id=entries[0][0])
    world.accept("c")
    assert relay.publish() == 0
    relay.publish()
    ids.append(world.id_of("c"))
    assert {event["subject"] for event in published(client)} == set(ids)


class _LosesItsTail(ResultsStream):
    """A Redis that fails over to a replica without the last append, before its relay has marked it; another relay appends meanwhile."""

    lost = False

    def append(self, fences: dict[int, int], known_last_id: str | None, bodies: Any) -> str:
        last_id = super().append(fences, known_last_id, bodies)
        if bodies and not self.lost:
            self.lost = True
            for stream_id, _ in self._redis.xrange(RESULTS):
                self._redis.xdel(RESULTS, stream_id)
            self._redis.xadd(RESULTS, {"event": "{}"}, id=f"{int(last_id.partition('-')[0]) + 1}-0")
        return last_id


def test_what_redis_lost_before_it_was_marked_goes_out_once_more(world: World, client: redis.Redis) -> None:
    # Found by the simulation, seed 49: marked published, though nobody had it, and the next append was above its id.
    ids = some_history(world, 4)
    relay = Relay(world.parts, _LosesItsTail(client), "relay-1", DAY)
    assert relay.publish() == 0
    assert world.rows("SELECT count(*) FROM outbox WHERE published_at_ms IS NOT NULL") == [0]
    client.delete(RESULTS)
    assert relay.publish() == len(ids) * 3
    assert applied(published(client)) == dict.fromkeys(ids, "successful")


class _AskedMeanwhile(ResultsStream):
    """While an append is on its way, its events are asked for once more."""

    ask: Any = None

    def append(self, fences: dict[int, int], known_last_id: str | None, bodies: Any) -> str:
        last_id = super().append(fences, known_last_id, bodies)
        if bodies and self.ask is not None:
            ask, self.ask = self.ask, None
            ask()
        return last_id


@pytest.mark.parametrize("how", ["the job was sent again", "a recovery's epoch"])
def test_what_is_asked_for_between_append_and_mark_goes_out_once_more(
    world: World, client: redis.Redis, how: str
) -> None:
    [found] = some_history(world, 1)
    stream = _AskedMeanwhile(client)
    relay = Relay(world.parts, stream, "relay-1", DAY)
    assert relay.publish() == 3

    def ask() -> None:
        with world.ledger.write() as tx:
            latest = tx.conn.exec_driver_sql("SELECT max(id) FROM outbox").scalar_one()
            if how == "the job was sent again":
                outbox.publish_latest_again(tx, [found])
            else:
                outbox.raise_epoch(tx, world.parts.namespace, [latest], 7)

    with world.ledger.write() as tx:
        outbox.publish_latest_again(tx, [found])
    stream.ask = ask
    assert relay.publish() == 1
    before = len(published(client))
    assert relay.publish() > 0
    last = published(client)[before:][-1]
    assert last["data"]["state"] == "successful"
    assert (last["data"]["epoch"] == 7) == (how == "a recovery's epoch")
    assert relay.publish() == 0


def test_an_event_of_another_under_the_same_id_is_not_ours(client: redis.Redis) -> None:
    stream = ResultsStream(client)
    client.delete(RESULTS)
    client.xadd(RESULTS, {"event": "theirs"}, id="5-0")
    assert stream.holds("5-0", "theirs")
    assert not stream.holds("5-0", "ours")
    assert not stream.holds("6-0", "ours")


def test_a_replay_that_is_killed_half_way_goes_on(
    world: World, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = world.accept(*[f"k-{number}" for number in range(600)])
    relay = a_relay(world, client)
    while relay.publish():
        pass
    client.flushall()
    world.accept("next")
    ids.append(world.id_of("next"))
    again = outbox.publish_again_since
    pieces = []

    def dies(*arguments: Any, **options: Any) -> int:
        pieces.append(1)
        if len(pieces) == 2:
            raise SystemExit
        return again(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(outbox, "publish_again_since", dies)
        with pytest.raises(SystemExit):
            relay.publish()
    for _ in range(5):
        relay.publish()
    assert {event["subject"] for event in published(client)} == set(ids)


def test_a_repeated_jobs_answer_comes_after_everything_else_of_its_payment(world: World, client: redis.Redis) -> None:
    (found,) = some_history(world, 1)
    relay = a_relay(world, client)
    relay.publish()
    world.take(a_job("k-0"))
    assert relay.publish() == 1
    assert published(client)[-1]["data"]["state"] == "successful"
    assert published(client)[-1]["id"] == published(client)[-2]["id"]
    assert applied(published(client)) == {found: "successful"}


def test_an_event_written_before_another_and_committed_after_it_is_not_passed_over(
    world: World, client: redis.Redis
) -> None:
    """Ids are given at insert and seen at commit; a relay that remembers a position would pass it by (money-review O4)."""
    if world.ledger.dialect != "postgresql":
        return  # one writer at a time: there is no such pair
    relay = a_relay(world, client)
    world.accept("like")
    relay.publish()
    other = world.beside()
    with world.ledger.write() as tx:
        tx.conn.exec_driver_sql(
            "INSERT INTO outbox (event_id, partition, type, body, created_at_ms, replayed) VALUES ('late', 0, 't', '{}', 1, false)"
        )
        other.accept("meanwhile")
        relay.publish()
    relay.publish()
    assert len(client.xrange(RESULTS)) == 3


def test_results_are_trimmed_by_age_and_never_beyond_what_a_group_hasnt_read(client: redis.Redis) -> None:
    stream = ResultsStream(client)
    for number in range(400):
        client.xadd(RESULTS, {"event": "x" * 50}, id=f"{1_000 + number}-0")
    client.xgroup_create(RESULTS, "books", id="0")
    client.xgroup_create(RESULTS, "shop", id="0")
    client.xreadgroup("books", "me", {RESULTS: ">"}, count=400)
    assert stream.trim(keep_ms=1, max_bytes=10**9) == (0, None)
    client.xreadgroup("shop", "me", {RESULTS: ">"}, count=300)
    client.xack(RESULTS, "books", *[f"{1_000 + number}-0" for number in range(400)])
    client.xack(RESULTS, "shop", *[f"{1_000 + number}-0" for number in range(300) if number != 250])
    dropped, forced = stream.trim(keep_ms=1, max_bytes=10**9)
    assert dropped >= 150
    assert forced is None
    assert client.xrange(RESULTS, min="1250-0", max="1250-0")
    assert len(client.xrange(RESULTS, min="1250-0")) == 150


def test_over_its_size_the_oldest_go_and_the_first_that_is_left_is_told(client: redis.Redis) -> None:
    stream = ResultsStream(client)
    for _ in range(3_000):
        client.xadd(RESULTS, {"event": "x" * 200})
    client.xgroup_create(RESULTS, "books", id="0")
    dropped, first_left = stream.trim(keep_ms=DAY, max_bytes=200_000)
    assert dropped > 1_000
    assert first_left == client.xrange(RESULTS, count=1)[0][0]
    assert client.memory_usage(RESULTS) < 300_000


def test_a_results_key_of_the_wrong_type_alerts_and_loses_nothing(world: World, client: redis.Redis) -> None:
    client.set(RESULTS, "a string")
    relay = a_relay(world, client)
    world.accept("k")
    with pytest.raises(WrongTypeError):
        relay.publish()
    client.delete(RESULTS)
    assert relay.publish() == 1


def test_redis_away_keeps_results_in_the_ledger(world: World, client: redis.Redis) -> None:
    nowhere = redis.Redis(port=1, socket_connect_timeout=1)
    relay = replace(a_relay(world, client), stream=ResultsStream(nowhere))
    world.accept("k")
    with pytest.raises(redis.RedisError):
        relay.publish()
    nowhere.close()
    assert a_relay(world, client).publish() == 1


@pytest.mark.parametrize("known_by", ["this process", "the copy in Redis"])
def test_of_a_ledger_that_is_behind_what_anybody_has_seen_nothing_is_told(
    world: World, client: redis.Redis, known_by: str
) -> None:
    """Restored and not noticed yet: it would tell other things under ids that a consumer has applied."""
    copies = [recovery.raise_tide(world.parts, []).copy]
    with world.ledger.read() as tx:
        known = installation.read(tx)
    assert known is not None
    mark = Tidemark(known.ledger_id, str(NAMESPACE), lambda: copies[-1])
    world.parts = replace(world.parts, tidemark=mark)
    relay = a_relay(world, client)
    world.accept("before")
    assert relay.publish() == 1
    world.accept("restored")
    if known_by == "this process":
        mark.saw(known.tide + 1)
    else:
        copies.append(replace(copies[-1], tide=known.tide + 1))
    assert relay.publish() == 0
    assert len(published(client)) == 1

    assert recovery.raise_tide(world.parts, copies[-1:]).began is not None
    assert relay.publish() == 1
    assert published(client)[-1]["data"]["epoch"] == 2
