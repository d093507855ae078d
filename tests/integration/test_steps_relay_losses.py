"""Redis loses results while two relays publish, each its half of the partitions: whichever moment it is, somebody notices and all of it goes out again (M9)."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from tests.support.ledger_world import World

from momo_worker.ledger import outbox
from momo_worker.payment.rules import DAY
from momo_worker.steps.relay import LEASE_MS, Relay
from momo_worker.streams import RESULTS, ResultsStream, StreamLostError


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as found:
        yield found


class _Hooked(ResultsStream):
    """Something happens just before an append, or just after one was found to stand: once each."""

    before_append: Callable[[], None] | None = None
    after_append: Callable[[], None] | None = None
    after_holds: Callable[[], None] | None = None

    def _once(self, name: str) -> None:
        deed = getattr(self, name)
        if deed is not None:
            setattr(self, name, None)
            deed()

    def append(self, fences: dict[int, int], known_last_id: str | None, bodies: Any) -> str:
        self._once("before_append")
        last_id = super().append(fences, known_last_id, bodies)
        self._once("after_append")
        return last_id

    def holds(self, stream_id: str, body: str) -> bool:
        found = super().holds(stream_id, body)
        self._once("after_holds")
        return found


class _TwoRelays:
    """Two relays with half of the partitions each, a stream that both have published to, and events that wait for both."""

    def __init__(self, world: World, client: redis.Redis) -> None:
        self.world, self.client = world, client
        self.first = Relay(world.parts, _Hooked(client), "relay-1", DAY)
        self.other = Relay(world.beside().parts, _Hooked(client), "relay-2", DAY)
        with world.ledger.write() as tx:
            outbox.hold_partitions(tx, "relay-1", LEASE_MS)
        world.write("UPDATE relay_partition SET owner = 'relay-2' WHERE partition >= 4")
        world.accept(*[f"before-{number}" for number in range(20)])
        assert self.first.publish() > 0
        assert self.other.publish() > 0
        self.kept = client.xrange(RESULTS)
        world.accept(*[f"after-{number}" for number in range(20)])

    def fail_over(self) -> None:
        """To a replica that has only what both had published at the beginning; some time goes by."""
        (newest, _), *_ = self.client.xrevrange(RESULTS, count=1)
        self.client.delete(RESULTS)
        for name, fields in self.kept:
            self.client.xadd(RESULTS, fields, id=name)
        while self.client.time()[0] * 1000 + self.client.time()[1] // 1000 <= int(newest.partition("-")[0]):
            pass

    def all_is_told(self) -> bool:
        for _ in range(4):
            self.world.clock.on(2)
            self.first.publish()
            self.other.publish()
        told = {fields["event"].replace(',"replayed":true', "") for _, fields in self.client.xrange(RESULTS)}
        return set(self.world.rows("SELECT body FROM outbox")) <= told


def test_a_loss_between_a_relays_look_at_the_ledger_and_its_append_is_noticed(
    world: World, client: redis.Redis
) -> None:
    """It appends by an older id, which the stream still has, and its own is above the one that was lost."""
    relays = _TwoRelays(world, client)

    def meanwhile() -> None:
        assert relays.first.publish() > 0
        relays.fail_over()

    relays.other.stream.before_append = meanwhile  # type: ignore[attr-defined]
    relays.other.publish()
    assert relays.all_is_told()


def test_a_loss_between_a_relays_last_look_and_its_commit_is_noticed(world: World, client: redis.Redis) -> None:
    relays = _TwoRelays(world, client)
    appended = threading.Event()
    other = threading.Thread(target=relays.other.publish)

    def meanwhile() -> None:
        relays.fail_over()
        relays.other.stream.after_append = appended.set  # type: ignore[attr-defined]
        other.start()
        assert appended.wait(30)
        # As far as it comes: it may have to wait for the first one's commit.
        other.join(1.0)

    relays.first.stream.after_holds = meanwhile  # type: ignore[attr-defined]
    relays.first.publish()
    other.join(30)
    assert relays.all_is_told()


def test_an_append_above_what_was_lost_hides_it_from_nobody(client: redis.Redis) -> None:
    """Two relays appended since the loss, the second knowing of what was lost."""
    client.delete(RESULTS)
    stream = ResultsStream(client)
    client.xadd(RESULTS, {"event": "kept"}, id="5-0")
    client.xadd(RESULTS, {"event": "of a relay that knew 5-0 only"}, id="9-0")
    with pytest.raises(StreamLostError, match="8-0"):
        stream.append({0: 1}, "8-0", ["of a relay that knew the lost 8-0"])
    stream.append({0: 1}, "5-0", ["of a relay whose 5-0 is still there"])
    assert client.xlen(RESULTS) == 3


def test_an_id_that_was_trimmed_away_is_no_loss_while_it_is_the_last(client: redis.Redis) -> None:
    client.delete(RESULTS)
    stream = ResultsStream(client)
    last_id = stream.append({0: 1}, None, ["old"])
    client.xtrim(RESULTS, maxlen=0, approximate=False)
    assert client.xlen(RESULTS) == 0
    assert stream.append({0: 1}, last_id, []) == last_id
