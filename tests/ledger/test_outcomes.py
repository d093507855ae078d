"""What MTN says becomes facts (M4, M6, M8, gates): recorded one by one where a batch fails, counted only under an unbroken lease."""

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from tests.support.factories import accepted, failed, no_answer, not_found, refused, successful, throttled
from tests.support.ledger_world import World, a_world, failures, found_as, side_by_side

from momo_worker.commons import gatekeeping
from momo_worker.ledger import outbox, stops, work
from momo_worker.payment.after_send import SendReport
from momo_worker.payment.payment import Product, Work
from momo_worker.payment.rules import HOUR, Rules
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, Facts, SendAnswer, SendVerdict, Status
from momo_worker.steps import callback, outcome, polling, submission
from momo_worker.steps.rescue import Rescue

BAD_REQUEST = SendVerdict(SendAnswer.REFUSED, http_status=400)
Logs = list[MutableMapping[str, Any]]


def gate(world: World) -> stops.Gate:
    with world.ledger.read() as tx:
        return stops.gates(tx).get(("default", "disbursement")) or stops.Gate("default", "disbursement")


def refuse_writes(world: World, refused_payment: str | None = None) -> Callable[[], None]:
    """Let the ledger fail: each write of a payment, or only the one whose id is among the parameters."""

    def refuse(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("UPDATE payment") and (refused_payment is None or refused_payment in str(parameters)):
            raise OperationalError(statement, {}, Exception("disk full"))

    event.listen(world.ledger.engine, "before_cursor_execute", refuse)
    return lambda: event.remove(world.ledger.engine, "before_cursor_execute", refuse)


def age_of_pending(world: World, name: str) -> None:
    world.run_until(lambda: world.payment(name).state is not State.PENDING)


# ---- Recording that fails -------------------------------------------------------------------------------------------


def test_a_batch_that_cant_be_recorded_is_recorded_one_by_one(world: World) -> None:
    ids = world.accept("a", "b", "c")
    reports = world.send(ids, record=False)
    repair = refuse_writes(world, ids[1])
    outcome.record_sends(world.parts, reports)
    repair()
    states = [world.payment(found).state for found in ids]
    assert states == [State.PENDING, State.SENDING, State.PENDING]
    assert world.sends(ids[1])[0].ending is None


def test_a_word_that_was_lost_leaves_the_send_open_and_rescue_makes_it_unknown(world: World) -> None:
    (found,) = world.accept("k")
    reports = world.send([found], record=False)
    repair = refuse_writes(world)
    outcome.record_sends(world.parts, reports)
    repair()
    assert Rescue(world.parts).run() == 0
    world.clock.on(181)
    assert Rescue(world.parts).run() == 1
    payment = world.payment(found)
    assert (payment.state, payment.work) == (State.UNKNOWN, Work.LOOK)
    assert payment.could_have_left_at_ms == world.clock.at_ms
    assert world.sends(found)[0].ending is None
    world.mtn.on_look = lambda _request: successful()
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert len(world.mtn.references()) == 1


def test_a_look_that_cant_be_recorded_is_made_again(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    world.mtn.on_look = lambda _request: successful()
    world.clock.on(30)
    ids = world.release()
    repair = refuse_writes(world, "successful")
    world.look(ids)
    repair()
    assert world.payment(found).state is State.PENDING
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)


# ---- Evidence under a broken lease ----------------------------------------------------------------------------------


def test_a_202_counts_though_the_lease_is_broken(world: World) -> None:
    (found,) = world.accept("k")
    reports = world.send([found], record=False)
    world.clock.on(200)
    Rescue(world.parts).run()
    assert world.payment(found).state is State.UNKNOWN
    outcome.record_sends(world.parts, reports)
    assert world.payment(found).state is State.PENDING
    assert world.sends(found)[0].ending is SendAnswer.ACCEPTED


@pytest.mark.parametrize("verdict", [throttled(), refused(), BAD_REQUEST], ids=["429", "refused", "400"])
def test_that_mtn_has_it_not_counts_only_under_an_unbroken_lease(world: World, verdict: SendVerdict) -> None:
    (found,) = world.accept("k")
    (report,) = world.send([found], record=False)
    world.clock.on(200)
    Rescue(world.parts).run()
    outcome.record_sends(world.parts, [replace(report, verdict=verdict)])
    assert world.payment(found).state is State.UNKNOWN
    assert world.sends(found)[0].ending is SendAnswer.UNKNOWN
    world.mtn.on_look = lambda _request: not_found()
    world.run_until(lambda: world.payment(found).work is Work.SEND, seconds_max=3600)
    assert world.payment(found).state is State.UNKNOWN


def test_a_404_of_a_sleeper_counts_nothing(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.clock.on(40)
    looking = polling.claim(world.parts, world.release())
    assert len(looking) == 1
    reports = [polling._ask(world.parts, item) for item in looking]
    world.clock.on(181)
    outcome.record_looks(world.parts, reports)
    assert world.payment(found).not_found_count == 0


def test_the_sleeper_of_s1_wakes_and_sends_nothing(world: World) -> None:
    """Claimed, suspended before the first byte; rescue, three 404, sent by another; then it wakes."""
    (found,) = world.accept("k")
    asleep = submission.claim(world.parts, [found])
    permit = submission._Permit(world.parts, asleep)
    world.mtn.on_look = lambda _request: not_found()
    world.clock.on(181)
    Rescue(world.parts).run()
    world.run_until(lambda: world.payment(found).work is Work.SEND)
    other = world.beside()
    other.send(other.release())
    assert len(world.mtn.references()) == 1
    report = submission._call(world.parts, permit, asleep[0])
    outcome.record_sends(world.parts, [report])
    assert len(world.mtn.references()) == 1
    assert world.payment(found).state is State.PENDING


# ---- M4, M6, M7 -----------------------------------------------------------------------------------------------------


def test_a_refusal_fails_a_payment_only_after_mtn_knows_nothing_of_it(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(refused("PAYEE_NOT_FOUND"))
    world.send([found])
    assert world.payment(found).state is State.UNKNOWN
    world.mtn.on_look = lambda _request: not_found()
    world.turn()
    assert world.payment(found).state is State.FAILED
    assert world.events(found)[-1]["data"]["reason"]["code"] == "PAYEE_NOT_FOUND"
    assert world.events(found)[-1]["data"]["next"] == "none"
    assert world.types(found).count("failed") == 1


def test_a_refusal_after_an_unknown_send_fails_nothing(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_look = lambda _request: not_found()
    world.mtn.sends_in_turn(no_answer(), refused(), no_answer())
    world.send([found])
    world.run_until(lambda: len(world.mtn.left) == 2)
    world.clock.on(60)
    world.turn()
    assert world.payment(found).state is State.UNKNOWN


FACTS = {
    "amount": Facts(amount="150001"),
    "a tenth": Facts(amount="150000.1"),
    "currency": Facts(currency="EUR"),
    "party": Facts(party="256772999999"),
    "external id": Facts(external_id="another"),
}


@pytest.mark.parametrize("status", [Status.SUCCESSFUL, Status.FAILED, Status.PENDING])
@pytest.mark.parametrize("what", FACTS)
def test_each_fact_that_isnt_ours_is_held_and_only_a_person_ends_it(world: World, what: str, status: Status) -> None:
    (found,) = world.accept("k")
    world.send([found])
    world.mtn.on_look = found_as(status, facts=FACTS[what])
    age_of_pending(world, found)
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.HELD, HeldCause.MISMATCH)
    world.mtn.on_look = lambda _request: successful()
    world.clock.on(2 * 3600)
    world.turn()
    assert world.payment(found).state is State.HELD


def test_an_absent_fact_is_no_mismatch_and_equal_ones_are_compared_as_numbers(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    facts = Facts(amount="150000.00", currency="UGX", party="256772123456")
    world.mtn.on_look = found_as(Status.SUCCESSFUL, facts=facts, financial_transaction_id="9" * 200)
    age_of_pending(world, found)
    assert world.payment(found).state is State.SUCCESSFUL
    assert world.payment(found).financial_transaction_id == "9" * 200


def test_an_hour_of_404_after_202_is_held_and_three_pause_the_account(world: World) -> None:
    ids = world.accept("a", "b", "c")
    world.send(ids)
    world.mtn.on_look = lambda _request: not_found()
    world.run_until(lambda: all(world.payment(found).state is State.HELD for found in ids), step=30)
    assert {world.payment(found).held_cause for found in ids} == {HeldCause.VANISHED}
    with world.ledger.read() as tx:
        (pause,) = stops.pauses(tx)
    assert (pause.account, pause.product, pause.actor) == ("default", "", "worker")
    (later,) = world.accept("d")
    world.send([later])
    assert len(world.mtn.left) == 3
    # What MTN has is followed to its end, behind the pause too.
    world.mtn.on_look = lambda _request: successful()
    world.run_until(lambda: world.payment(ids[0]).state is State.SUCCESSFUL, step=300)


# ---- M8: late looks -------------------------------------------------------------------------------------------------


def look_late(world: World) -> int:
    asked = polling.ask_late(world.parts, limit=10)
    for late, verdict in asked:
        outcome.record_late(world.parts, late, verdict)
    return len(asked)


def a_refused_one(world: World) -> str:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(refused())
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.turn()
    assert world.payment(found).state is State.FAILED
    return found


def test_an_attempt_closed_without_mtns_failed_is_looked_up_five_times(world: World) -> None:
    a_refused_one(world)
    assert look_late(world) == 0
    times = 0
    for _ in range(6):
        world.clock.on(31 * 86_400)
        times += look_late(world)
    assert times == len(world.parts.rules.late_looks_ms)


def test_a_late_success_is_a_contradiction_an_event_and_an_alert(world: World, logged: Logs) -> None:
    found = a_refused_one(world)
    world.clock.on(HOUR / 1000)
    world.mtn.on_look = lambda _request: successful()
    assert look_late(world) == 1
    assert world.payment(found).state is State.FAILED
    assert world.types(found)[-1] == "contradicted"
    assert world.triggers(found)[-1] == "contradiction"
    assert [line for line in logged if line["log_level"] == "error" and "contradicts" in str(line.get("why"))]


def test_one_process_looks_late_at_an_attempt(world: World) -> None:
    a_refused_one(world)
    world.clock.on(HOUR / 1000)
    other = world.beside()
    asked = side_by_side(lambda: look_late(world), lambda: look_late(other))
    assert not failures(asked)
    assert sum(asked) == 1


def test_mtns_own_failed_against_a_success_by_hand_is_a_contradiction(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    world.clock.on(30)
    looking = polling.claim(world.parts, world.release())
    world.write("UPDATE payment SET state = 'successful'")
    world.mtn.on_look = lambda _request: failed()
    outcome.record_looks(world.parts, [polling._ask(world.parts, item) for item in looking])
    assert world.payment(found).state is State.SUCCESSFUL
    assert world.types(found)[-1] == "contradicted"


# ---- M11 ------------------------------------------------------------------------------------------------------------


def test_a_hint_brings_the_look_forward_once_in_ten_seconds_and_none_for_a_final_payment(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    reference = world.payment(found).reference_id
    assert not callback.hint(world.parts, "no-such-reference")
    assert callback.hint(world.parts, reference)
    assert not callback.hint(world.parts, reference)
    assert world.payment(found).due_at_ms == world.clock.at_ms
    world.turn()
    assert len(world.mtn.looked) == 1
    world.clock.on(11)
    world.mtn.on_look = lambda _request: successful()
    assert callback.hint(world.parts, reference)
    world.turn()
    assert world.payment(found).state is State.SUCCESSFUL
    world.clock.on(11)
    assert not callback.hint(world.parts, reference)


def test_a_hint_that_comes_while_the_post_is_on_the_wire_isnt_overwritten(world: World) -> None:
    (found,) = world.accept("k")

    def on_send(request: Any, _secondary: bool) -> SendVerdict:
        callback.hint(world.parts, request.reference_id)
        return accepted()

    world.mtn.on_send = on_send
    world.send([found])
    assert world.payment(found).due_at_ms == world.clock.at_ms


# ---- Gates ----------------------------------------------------------------------------------------------------------


def test_the_third_400_in_a_row_is_not_now_and_closes_the_gate(world: World, logged: Logs) -> None:
    ids = world.accept("a", "b", "c", "d")
    world.mtn.on_send = lambda _request, _secondary: BAD_REQUEST
    for found in ids[:2]:
        world.send([found])
    assert gate(world).closed_at_ms is None
    world.send([ids[2]])
    assert gate(world).cause == "bad_requests"
    assert world.payment(ids[2]).state is State.ACCEPTED
    world.send([ids[3]])
    assert world.payment(ids[3]).state is State.ACCEPTED
    assert len(world.mtn.left) == 3
    assert [line for line in logged if line["event"] == "product suspended" and line["advice"]]


def test_a_202_between_begins_the_count_anew(world: World) -> None:
    ids = world.accept("a", "b", "c", "d", "e")
    world.mtn.sends_in_turn(BAD_REQUEST, BAD_REQUEST, accepted(), BAD_REQUEST, BAD_REQUEST)
    for found in ids:
        world.send([found])
    assert gate(world).closed_at_ms is None
    assert gate(world).bad_requests == 2


def test_two_workers_that_each_hear_a_400_count_two(world: World) -> None:
    other = world.beside()
    world.mtn.on_send = lambda _request, _secondary: BAD_REQUEST
    for turn in range(6):
        world.write("DELETE FROM gate")
        a, b = world.accept(f"a-{turn}", f"b-{turn}")
        one, two = world.send([a], record=False), other.send([b], record=False)
        done = side_by_side(
            lambda one=one: outcome.record_sends(world.parts, one),
            lambda two=two: outcome.record_sends(other.parts, two),
        )
        assert not failures(done)
        assert gate(world).bad_requests == 2


@pytest.mark.parametrize("cause", sorted(gatekeeping.CLOSING))
def test_an_answer_that_speaks_of_us_fails_nothing_and_suspends_the_product(world: World, cause: Cause) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.NOT_NOW, cause, http_status=403)
    world.send([found])
    assert world.payment(found).state is State.ACCEPTED
    assert gate(world).cause == cause.value
    world.write("UPDATE payment SET due_at_ms = 0, released_until_ms = :until", until=world.clock.at_ms + 30_000)
    assert submission.claim(world.parts, [found]) == []


def test_a_circuit_opens_at_five_distinct_payments_in_thirty_seconds(world: World) -> None:
    ids = world.accept(*[f"k-{number}" for number in range(9)])
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    for found in ids[:4]:
        world.send([found])
    # The same payment again is none more.
    heard = [gatekeeping.Heard(ids[0], Cause.FAULT)] * 5
    with world.ledger.write() as tx:
        gatekeeping.keep_gate(tx, world.parts, "default", Product.DISBURSEMENT, heard, None)
    assert gate(world).closed_at_ms is None
    world.clock.on(31)
    world.write("UPDATE payment SET released_until_ms = :until", until=world.clock.at_ms + 30_000)
    world.send([ids[4]])
    assert gate(world).closed_at_ms is None
    for found in ids[5:9]:
        world.send([found])
    assert gate(world).cause == "circuit"
    assert all(world.payment(found).state is State.UNKNOWN for found in ids)


def test_a_gate_is_probed_by_one_process_for_all_and_lifts_itself(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.NOT_NOW, Cause.FORBIDDEN, http_status=403)
    world.send([found])
    other = world.beside()
    assert gatekeeping.probe(world.parts) == 0
    assert world.mtn.probes == 0
    world.mtn.on_probe = lambda: Cause.FORBIDDEN
    waits = []
    for _ in range(5):
        waits.append((gate(world).probe_at_ms or 0) - world.clock.at_ms)
        world.clock.on(waits[-1] / 1000)
        before = world.mtn.probes
        probed = side_by_side(lambda: gatekeeping.probe(world.parts), lambda: gatekeeping.probe(other.parts))
        assert not failures(probed)
        assert world.mtn.probes == before + 1
    assert waits == [60_000, 300_000, 900_000, 3_600_000, 3_600_000]
    world.mtn.on_probe = lambda: Cause.NONE
    world.clock.on(3600)
    assert gatekeeping.probe(world.parts) == 1
    assert gate(world).closed_at_ms is None
    world.mtn.on_send = lambda _request, _secondary: accepted()
    world.turn()
    assert world.payment(found).state is State.PENDING


def test_a_gate_of_a_product_that_isnt_configured_here_is_left_to_others(world: World) -> None:
    with world.ledger.write() as tx:
        shut = stops.lock_gate(tx, "default", Product.COLLECTION)
        stops.write_gate(tx, replace(shut, cause="circuit", closed_at_ms=1, probe_at_ms=1))
    account = world.parts.accounts["default"]
    only = {Product.DISBURSEMENT: account.credentials[Product.DISBURSEMENT]}
    other = world.beside(accounts={"default": replace(account, credentials=only)})
    assert gatekeeping.probe(other.parts) == 0
    assert world.mtn.probes == 0


def test_a_429_slows_the_product_for_the_time_it_names(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(throttled(20))
    world.send([found])
    assert world.slots.slowed == [("default", "disbursement", 20, False)]
    payment = world.payment(found)
    assert payment.state is State.ACCEPTED
    assert (payment.due_at_ms or 0) - world.clock.at_ms >= 16_000


# ---- Rescue ---------------------------------------------------------------------------------------------------------


def test_leases_and_releases_are_cut_after_the_clock_went_back(world: World) -> None:
    sent, looked = world.accept("a", "b")
    world.send([looked])
    submission.claim(world.parts, [sent])
    world.clock.on(30)
    polling.claim(world.parts, world.release())
    world.clock.jump(-3600)
    Rescue(world.parts).run()
    rules, now = world.parts.rules, world.clock.at_ms
    for found in (sent, looked):
        assert (world.payment(found).lease_until_ms or 0) <= now + rules.lease_ms
    assert (world.payment(looked).released_until_ms or 0) <= now + rules.release_ms
    world.clock.on(181)
    Rescue(world.parts).run()
    assert world.payment(sent).state is State.UNKNOWN


def test_what_another_committed_while_a_transaction_waited_is_no_clock_that_went_back(world: World) -> None:
    """Under load each pass of rescue cut some leases and woke somebody for it; and relays took one another's partitions."""
    sent, looked = world.accept("a", "b")
    world.send([looked])
    with world.ledger.read() as tx:
        older = tx.now_ms
    world.clock.on(3)
    submission.claim(world.parts, [sent])
    world.release()
    rules = world.parts.rules
    with world.ledger.write() as tx:
        assert outbox.hold_partitions(tx, "one", 15_000)
        slow = replace(tx, now_ms=older)
        assert work.cut_leases(slow, rules.lease_ms) == 0
        assert (
            work.cut_marks(slow, "default", Product.DISBURSEMENT, Work.LOOK, release_ms=rules.release_ms, lease_ms=1)
            == 0
        )
        assert outbox.hold_partitions(slow, "two", 15_000) == []


def test_many_leases_that_end_at_once_wait_one_lease(ledger_url: str, logged: Logs) -> None:
    with a_world(ledger_url, rules=Rules(many_leases_min=10)) as world:
        ids = world.accept(*[f"k-{number}" for number in range(12)])
        submission.claim(world.parts, ids)
        rescue = Rescue(world.parts)
        world.clock.jump(3600)
        assert rescue.run() == 0
        assert [line for line in logged if line["event"].startswith("many leases")]
        world.clock.on(100)
        assert rescue.run() == 0
        world.clock.on(81)
        assert rescue.run() == 12
        assert {world.payment(found).state for found in ids} == {State.UNKNOWN}


def test_what_was_never_sent_is_cancelled_after_its_time_behind_a_pause_too(world: World) -> None:
    (found,) = world.accept("k", operation="collect")
    with world.ledger.write() as tx:
        stops.add_pause(tx, account="", product="", run="", reason="a test", actor="me")
    rescue = Rescue(world.parts)
    world.clock.on(599)
    assert rescue.run() == 0
    world.clock.on(1)
    assert rescue.run() == 1
    assert world.payment(found).state is State.CANCELLED
    assert world.events(found)[-1]["data"]["reason"]["code"] == "NOT_SENT_IN_TIME"
    assert world.mtn.references() == []


def test_a_permission_that_waits_behind_a_pause_goes_back_to_looking(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.run_until(lambda: world.payment(found).work is Work.SEND)
    with world.ledger.write() as tx:
        stops.add_pause(tx, account="", product="", run="", reason="a test", actor="me")
    world.clock.on(601)
    assert Rescue(world.parts).run() == 1
    world.mtn.on_look = lambda _request: successful()
    world.turn()
    assert world.payment(found).state is State.SUCCESSFUL
    assert len(world.mtn.left) == 1


def test_a_report_of_a_payment_that_another_has_finished_changes_nothing(world: World) -> None:
    (found,) = world.accept("k")
    (report,) = world.send([found], record=False)
    outcome.record_sends(world.parts, [report])
    before, events = world.payment(found), world.count("outbox")
    outcome.record_sends(world.parts, [report])
    outcome.record_sends(world.parts, [SendReport(found, 1, 1, 99, world.clock.at_ms, throttled())])
    assert world.payment(found) == before
    assert world.count("outbox") == events
    assert world.sends(found)[0].ending is SendAnswer.ACCEPTED
