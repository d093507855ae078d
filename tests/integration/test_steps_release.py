"""Due payments become messages (design.md 7, M13, L7): shares of the lanes, what a pause and a gate hold, who travels alone."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from tests.support.factories import successful
from tests.support.ledger_world import World, an_account

from momo_worker.accounts import Pace
from momo_worker.commons.message import Message
from momo_worker.ledger import stops
from momo_worker.payment.payment import Product, Queue, Work
from momo_worker.payment.transitions import State
from momo_worker.pump.release import release_due, room_for, shares

SEED = 11


def released(world: World) -> list[Message]:
    found: list[Message] = []
    release_due(world.parts, found.append)
    return found


def ids_of(messages: list[Message], kind: Work) -> set[str]:
    return {name for message in messages if message.work is kind for name in message.ids}


@pytest.mark.parametrize("room", [1, 2, 3, 4, 5, 7, 14, 100])
def test_bulk_gets_a_fifth_beside_a_full_till_whatever_the_room(room: int) -> None:
    rng = random.Random(SEED)
    full = {Queue.INTERACTIVE: 10_000, Queue.BULK: 10_000, Queue.RESCUE: 5}
    given: Counter[Queue] = Counter()
    for _ in range(4_000):
        parted = shares(room, full, rng)
        assert sum(parted.values()) == room
        given.update(parted)
    share = given[Queue.BULK] / given.total()
    assert 0.15 <= share <= 0.25, f"seed {SEED}"
    # Unknown fates are looked up beside a till and a run that never rest.
    assert given[Queue.RESCUE] > 0
    assert given[Queue.LATE] == 0


def test_whoever_has_no_work_leaves_its_share_to_the_others() -> None:
    rng = random.Random(SEED)
    assert shares(10, {Queue.BULK: 50}, rng)[Queue.BULK] == 10
    assert shares(10, {Queue.INTERACTIVE: 50}, rng)[Queue.INTERACTIVE] == 10
    assert shares(10, {Queue.INTERACTIVE: 3, Queue.BULK: 2, Queue.LATE: 9}, rng) == {
        Queue.INTERACTIVE: 3,
        Queue.BULK: 2,
        Queue.RESCUE: 0,
        Queue.LATE: 5,
    }
    for room in (0, -3):
        assert sum(shares(room, {Queue.BULK: 5, Queue.INTERACTIVE: 5}, rng).values()) == 0


def test_no_more_is_out_than_the_pace_carries(world: World) -> None:
    account = an_account(pace=Pace(look_apart_ms=105, send_apart_ms=100))
    world = replace(world, parts=replace(world.parts, accounts={"default": account}))
    room = room_for(account, Work.SEND)
    assert room <= 20
    world.accept(*[f"k-{number}" for number in range(60)], lane="bulk")
    assert len(ids_of(released(world), Work.SEND)) == room
    assert released(world) == []
    world.clock.on(31)
    assert len(ids_of(released(world), Work.SEND)) == room


def test_a_pause_holds_sends_and_not_looks_and_a_gate_holds_both(world: World) -> None:
    (sent,) = world.accept("sent")
    world.send([sent])
    (due,) = world.accept("due", lane="bulk")
    world.clock.on(60)
    with world.ledger.write() as tx:
        gate = stops.lock_gate(tx, "default", Product.DISBURSEMENT)
        stops.write_gate(tx, replace(gate, cause="circuit", closed_at_ms=1, probe_at_ms=None))
    assert released(world) == []
    with world.ledger.write() as tx:
        stops.write_gate(tx, gate)
        stops.add_pause(tx, account="", product="", run="", reason="a test", actor="me")
    messages = released(world)
    assert (ids_of(messages, Work.LOOK), ids_of(messages, Work.SEND)) == ({sent}, set())
    world.mtn.on_look = lambda _request: successful()
    world.look([sent])
    assert world.payment(sent).state is State.SUCCESSFUL
    with world.ledger.write() as tx:
        stops.lift_pauses(tx, account="", product="", run="", reason="a test", actor="me")
    assert ids_of(released(world), Work.SEND) == {due}


def test_a_paused_account_and_a_closed_product_stand_in_nobodys_way(world: World) -> None:
    accounts = {name: an_account(name) for name in ("default", "paused")}
    world = replace(world, parts=replace(world.parts, accounts=accounts))
    world.accept(*[f"p-{number}" for number in range(150)], account="paused", lane="bulk")
    world.clock.on(1)
    (free,) = world.accept("free", lane="bulk")
    world.accept("shut", operation="collect", lane="bulk")
    with world.ledger.write() as tx:
        stops.add_pause(tx, account="paused", product="", run="", reason="a test", actor="me")
        gate = stops.lock_gate(tx, "default", Product.COLLECTION)
        stops.write_gate(tx, replace(gate, cause="circuit", closed_at_ms=1, probe_at_ms=None))
    assert ids_of(released(world), Work.SEND) == {free}


def test_a_payment_that_was_claimed_twice_without_a_word_travels_alone(world: World) -> None:
    ids = world.accept("a", "b", "c", lane="bulk")
    world.write("UPDATE payment SET claims_since_word = 2 WHERE id = :name", name=ids[1])
    sizes = sorted((len(message.ids), message.ids) for message in released(world))
    assert sizes[0] == (1, (ids[1],))
    assert sizes[1][0] == 2


def test_a_message_carries_ids_and_the_till_has_its_own_queue(world: World) -> None:
    world.accept("a", lane="bulk")
    (till,) = world.accept("b", not_before="2026-12-01T06:00:10Z")
    world.clock.on(11)
    messages = {message.interactive: message for message in released(world)}
    assert messages[True].ids == (till,)
    assert messages[False].ids == (world.id_of("a"),)
