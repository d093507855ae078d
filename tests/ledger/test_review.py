"""What a hostile reader of the code found: each was a path to a second payment, a stuck one or a stopped product; each stays closed."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.factories import accepted, no_answer, no_word, pending, successful
from tests.support.ledger_world import World, a_job, failures, found_as, side_by_side

from momo_worker.ledger import intake, stops, work
from momo_worker.mtn.wire import parse_look
from momo_worker.payment.payment import Lane, Queue, Work
from momo_worker.payment.rules import DAY, HOUR, SECOND
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict, Status
from momo_worker.pump.release import messages, shares
from momo_worker.steps import callback, polling, submission
from momo_worker.steps.rescue import Rescue


def test_a_process_that_sleeps_inside_the_permission_query_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a claim, and a ledger whose answer to M1's last question comes seven hours later
    (found,) = world.accept("k")
    permitted = work.permitted

    def slept(*arguments: Any) -> Any:
        granted = permitted(*arguments)
        world.clock.on(7 * 3600)
        return granted

    monkeypatch.setattr(work, "permitted", slept)

    # When it wakes with what was true when it asked
    world.send([found])

    # I expect that nothing left
    assert world.mtn.references() == []


@pytest.mark.parametrize("written", ["EMP-0042 ", " EMP-0042"])
def test_a_space_at_an_external_ids_end_is_no_mismatch(world: World, written: str) -> None:
    world.take(a_job("k", external_id=written))
    found = world.id_of("k")
    assert world.payment(found).external_id == "EMP-0042"
    world.send([found])
    # MTN may give it back with or without.
    world.mtn.on_look = lambda _request: replace(
        successful(), facts=replace(found_as(Status.SUCCESSFUL)(_request).facts, external_id="EMP-0042 ")
    )
    world.run_until(lambda: world.payment(found).state is not State.PENDING)
    assert world.payment(found).state is State.SUCCESSFUL


def test_one_read_answered_400_doesnt_suspend_the_product() -> None:
    assert parse_look(400, {}, b"").cause is Cause.NONE


def test_a_fate_nobody_speaks_of_reaches_a_person_within_the_window(world: World) -> None:
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: no_word()
    world.take(a_job("k"))
    found = world.id_of("k")
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.HELD, seconds_max=7 * 3600, step=30)
    assert world.payment(found).held_cause is HeldCause.TOO_OLD
    # And it was asked about ever more seldom on the way there.
    assert len(world.mtn.looked) < 100


def test_faults_from_before_a_reopening_dont_close_the_circuit_again(world: World) -> None:
    ids = world.accept(*(f"k{number}" for number in range(5)))
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.send(ids)
    with world.ledger.read() as tx:
        assert stops.gates(tx)["default", "disbursement"].closed_at_ms is not None
    with world.ledger.write() as tx:
        stops.forget_faults_of(tx, "default", world.payment(ids[0]).product)
    assert world.count("fault") == 0


def test_waits_that_a_clock_left_far_ahead_are_cut(world: World) -> None:
    # Given a pump that has seen the time, and a clock that jumps a year ahead, where a payment becomes due, and back
    (found,) = world.accept("k")
    rescue = Rescue(world.parts)
    rescue.run()
    world.send([found])
    world.clock.jump(365 * 86_400)
    rescue.run()
    world.mtn.on_look = lambda _request: pending()
    world.look(world.release())
    world.clock.jump(-365 * 86_400)
    assert (world.payment(found).due_at_ms or 0) > world.clock.at_ms + 300 * DAY

    # When the pump looks again, I expect the wait to be no longer than the longest there is
    rescue.run()
    assert (world.payment(found).due_at_ms or 0) <= world.clock.at_ms + 2 * DAY


def test_a_jobs_own_not_before_is_no_wait_to_be_cut(world: World) -> None:
    world.take(a_job("k", not_before="2027-11-24T08:00:00Z", not_after="2027-12-24T08:00:00Z"))
    before = world.payment(world.id_of("k")).due_at_ms
    Rescue(world.parts).run()
    assert world.payment(world.id_of("k")).due_at_ms == before


def test_a_send_that_is_repeated_travels_alone() -> None:
    released = [work.Released(f"p{number}", 0) for number in range(3)]
    assert [
        len(message.ids) for message in messages(Work.SEND, released, interactive=False, claims_alone=2, size=1)
    ] == [1, 1, 1]


def test_a_request_that_cant_be_rendered_keeps_no_neighbour_from_being_sent(world: World) -> None:
    ids = world.accept("a", "b", "c")
    render = world.parts.render

    def broken(payment: Any, **rest: Any) -> Any:
        if payment.id == ids[1]:
            raise ValueError("what nobody thought of")
        return render(payment, **rest)

    sick = replace(world.parts, render=broken)
    claimed = submission.claim(sick, ids)
    assert {item.payment_id for item in claimed} == {ids[0], ids[2]}
    assert (world.payment(ids[1]).state, world.payment(ids[1]).held_cause) == (State.HELD, HeldCause.CRASHES)
    assert world.sends(ids[1]) == []


def test_unknown_fates_are_looked_up_beside_a_run_that_never_rests(world: World) -> None:
    parted = [shares(14, {Queue.BULK: 100_000, Queue.RESCUE: 5}, world.parts.rng)[Queue.RESCUE] for _ in range(50)]
    assert min(parted) >= 2


def test_a_tills_unknown_fate_stays_the_tills(world: World) -> None:
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    (till,) = world.accept("till")
    (run,) = world.accept("run", lane="bulk")
    world.send([till])
    world.turn()
    assert (world.payment(till).lane, world.payment(till).queue) == (Lane.INTERACTIVE, Queue.INTERACTIVE)
    assert (world.payment(run).state, world.payment(run).queue) == (State.UNKNOWN, Queue.RESCUE)


def test_a_hint_that_nobody_can_follow_makes_no_busy_loop(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    assert callback.hint(world.parts, world.payment(found).reference_id)
    stranger = replace(world.parts, accounts={})
    ids = world.release()
    assert ids == [found]
    assert polling.claim(stranger, ids) == []
    assert (world.payment(found).due_at_ms or 0) > world.clock.at_ms


def test_a_long_quota_stop_closes_the_gate_until_the_named_time(world: World) -> None:
    ids = world.accept("a", "b")
    stopped = SendVerdict(SendAnswer.NOT_NOW, Cause.THROTTLED, http_status=403, retry_after_seconds=6 * 3600)
    world.mtn.on_send = lambda _request, _secondary: stopped
    world.send(ids)
    with world.ledger.read() as tx:
        gate = stops.gates(tx)["default", "disbursement"]
    assert gate.probe_at_ms == world.clock.at_ms + 6 * HOUR
    world.clock.on(3600)
    assert world.release() == []


def test_refunds_that_fail_side_by_side_give_back_without_a_deadlock(world: World) -> None:
    collections = [world.successful(f"c{number}") for number in range(6)]
    keys = {found: world.payment(found).idempotency_key for found in collections}
    refunds = {}
    for worker in range(3):
        order = collections if worker % 2 else list(reversed(collections))
        jobs = [
            {
                "operation": "refund",
                "idempotency_key": f"r{worker}-{place}",
                "amount": "10",
                "currency": "UGX",
                "refund_of": keys[found],
            }
            for place, found in enumerate(order)
        ]
        world.take(*jobs)
        refunds[worker] = [world.id_of(job["idempotency_key"]) for job in jobs]
    world.mtn.on_send = lambda _request, _secondary: accepted()
    for ids in refunds.values():
        world.send(ids)
    world.mtn.on_look = found_as(Status.FAILED)
    world.clock.on(30)
    world.release()
    results = side_by_side(*(lambda ids=ids: world.beside().look(ids) for ids in refunds.values()))
    assert failures(results) == []
    world.run_until(
        lambda: all(world.payment(found).state is State.FAILED for ids in refunds.values() for found in ids)
    )
    assert [world.payment(found).refunded_minor for found in collections] == [0] * 6


def test_look_alikes_are_sought_among_equal_amounts_only(world: World) -> None:
    world.take(*(a_job(f"k{number}", amount=str(1000 + number)) for number in range(50)))
    with world.ledger.read() as tx:
        found = intake.recent_of(tx, "default", ["256772123456"], [1007], tx.now_ms - 600 * SECOND)
    assert [like.amount_minor for like in found] == [1007]
