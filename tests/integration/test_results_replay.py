"""Results once more, on a real Valkey: `momo results replay`, and what the ledger forgets of what was published."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from tests.support.factories import failed, successful
from tests.support.ledger_world import World, a_job, failures, side_by_side

from momo_worker.ledger import outbox
from momo_worker.ledger.engine import ROWS_MAX
from momo_worker.payment.operator import By
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import State
from momo_worker.steps import operator
from momo_worker.steps.relay import Forgetting, Relay
from momo_worker.streams import RESULTS, ResultsStream

KEEP_MS = 30 * DAY


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as found:
        yield found


@pytest.fixture
def relay(world: World, client: redis.Redis) -> Relay:
    return Relay(world.parts, ResultsStream(client), "relay-1", DAY)


def published(client: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(fields["event"]) for _, fields in client.xrange(RESULTS)]


def paid(world: World, key: str) -> str:
    (found,) = world.accept(key)
    world.mtn.on_look = lambda _request: successful()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    return found


def replay(world: World, wanted: outbox.Replay, *, limit: int = ROWS_MAX) -> int:
    count, last, ids = 0, 0, [0]
    while ids:
        with world.ledger.write() as tx:
            ids = outbox.replay(tx, wanted, after_id=last, limit=limit)
        count, last = count + len(ids), max([last, *ids])
    return count


def forget(world: World, forgetting: Forgetting) -> None:
    while forgetting.run():
        pass


def bare(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "replayed"}


def test_a_replay_is_the_same_events_marked_and_in_their_order(world: World, client: redis.Redis, relay: Relay) -> None:
    for number in range(4):
        paid(world, f"k-{number}")
    relay.publish()
    first = published(client)

    # In pieces, with the relay publishing in between: nothing is taken twice.
    with world.ledger.write() as tx:
        ids = outbox.replay(tx, outbox.Replay(0), after_id=0, limit=5)
    relay.publish()
    with world.ledger.write() as tx:
        ids += outbox.replay(tx, outbox.Replay(0), after_id=ids[-1], limit=50)
    relay.publish()

    again = published(client)[len(first) :]
    assert len(ids) == len(first) == len(again) == 12
    assert [bare(event) for event in again] == first
    assert all(event["replayed"] is True for event in again)
    assert not any("replayed" in event for event in first)


def test_a_replay_may_be_of_one_payment_some_types_or_since_a_moment(
    world: World, client: redis.Redis, relay: Relay
) -> None:
    early = paid(world, "early")
    relay.publish()
    world.clock.on(HOUR / 1000)
    since_ms = world.clock.at_ms
    late = paid(world, "late")
    relay.publish()
    seen = len(published(client))

    def replayed(**wanted: Any) -> list[tuple[str, str]]:
        nonlocal seen
        replay(world, outbox.Replay(**{"since_ms": 0, **wanted}), limit=2)
        relay.publish()
        events = published(client)[seen:]
        seen += len(events)
        return [(event["subject"], event["type"].rpartition(".")[2]) for event in events]

    whole = ["accepted", "pending", "successful"]
    assert replayed(payment_id=early) == [(early, kind) for kind in whole]
    assert replayed(types=("momo.payment.successful",)) == [(early, "successful"), (late, "successful")]
    assert replayed(since_ms=world.clock.at_ms + 1) == []
    world.write("UPDATE outbox SET published_at_ms = :early WHERE payment_id = :name", early=since_ms - 1, name=early)
    assert replayed(since_ms=since_ms) == [(late, kind) for kind in whole]


def test_what_is_old_is_forgotten_but_for_each_payments_latest(world: World, client: redis.Redis, relay: Relay) -> None:
    old = [paid(world, f"old-{number}") for number in range(3)]
    world.take(b"{}")
    relay.publish()
    world.clock.on(KEEP_MS / 1000 + 1)
    young = paid(world, "young")
    relay.publish()
    forgetting = Forgetting(world.parts, KEEP_MS)

    forget(world, forgetting)

    assert [world.types(found) for found in old] == [["successful"]] * 3
    assert world.types(young) == ["accepted", "pending", "successful"]
    assert world.rejections() == []
    assert forgetting.run() == 0
    # What hasn't been published is never forgotten, however old it is.
    paid(world, "waiting")
    world.clock.on(KEEP_MS / 1000 + 1)
    forget(world, forgetting)
    assert world.types(world.id_of("waiting")) == ["accepted", "pending", "successful"]


def test_a_job_sent_again_after_all_was_forgotten_is_answered_by_its_latest_event(
    world: World, client: redis.Redis, relay: Relay
) -> None:
    found = paid(world, "k")
    relay.publish()
    last = published(client)[-1]
    world.clock.on(2 * KEEP_MS / 1000)
    forget(world, Forgetting(world.parts, KEEP_MS))
    client.delete(RESULTS)
    world.write("UPDATE installation SET results_last_id = NULL")

    assert world.take(a_job("k")).repeated == (found,)
    relay.publish()

    assert published(client) == [last]
    # And it is forgotten no sooner for having been published again.
    world.clock.on(2 * KEEP_MS / 1000)
    forget(world, Forgetting(world.parts, KEEP_MS))
    assert world.types(found) == ["successful"]


def test_what_is_followed_by_another_later_is_forgotten_with_the_next_round(
    world: World, client: redis.Redis, relay: Relay
) -> None:
    (found,) = world.accept("k")
    world.mtn.on_look = lambda _request: failed()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    relay.publish()
    world.clock.on(KEEP_MS / 1000 + 1)
    forgetting = Forgetting(world.parts, KEEP_MS)
    forget(world, forgetting)
    assert world.types(found) == ["failed"]

    until_ms = world.clock.at_ms + DAY
    decided = operator.retry(world.parts, found, by=By("amina", "again"), until_ms=until_ms)
    assert decided is not None
    assert decided.refused is None
    relay.publish()
    forget(world, forgetting)
    world.clock.on(86_401)
    forget(world, forgetting)

    assert world.types(found) == ["accepted"]


def test_two_pumps_forget_and_a_producer_asks_again_at_the_same_instant(
    world: World, client: redis.Redis, relay: Relay
) -> None:
    ids = [paid(world, f"k-{number}") for number in range(5)]
    relay.publish()
    world.clock.on(2 * KEEP_MS / 1000)
    other = world.beside()
    jobs = [a_job(f"k-{number}") for number in range(5)]

    results = side_by_side(
        lambda: forget(world, Forgetting(world.parts, KEEP_MS)),
        lambda: forget(other, Forgetting(other.parts, KEEP_MS)),
        lambda: world.take(*jobs),
    )

    assert not failures(results)
    assert [world.types(found) for found in ids] == [["successful"]] * 5
    assert world.rows("SELECT count(*) FROM outbox WHERE published_at_ms IS NULL") == [5]
