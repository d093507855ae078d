"""Claims and sends on a real ledger (M1, M2, M3, M9, M13): one claim, one transaction, nothing leaves without a permit."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from tests.support.factories import accepted, conflict, no_answer, not_found, throttled
from tests.support.ledger_world import World, an_account, failures, side_by_side

from momo_worker.commons.runner import ThreadRunner
from momo_worker.ledger import stops, work
from momo_worker.payment.payment import Product, Work
from momo_worker.payment.reference import reference_id
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, RenderedRequest, SendAnswer, SendVerdict
from momo_worker.steps import outcome, recovery, submission
from momo_worker.steps.rescue import Rescue


def pause(world: World, account: str = "", product: str = "") -> None:
    with world.ledger.write() as tx:
        stops.add_pause(tx, account=account, product=product, run="", reason="a test", actor="me")


def shut(world: World, product: Product = Product.DISBURSEMENT) -> None:
    with world.ledger.write() as tx:
        gate = stops.lock_gate(tx, "default", product)
        stops.write_gate(tx, replace(gate, cause="circuit", closed_at_ms=tx.now_ms, probe_at_ms=tx.now_ms + 60_000))


# ---- Who may claim --------------------------------------------------------------------------------------------------


def test_a_released_payment_is_claimed_once_however_many_claim_at_once(world: World) -> None:
    worlds = [world] + [world.beside() for _ in range(3)]
    for turn in range(5):
        ids = world.accept(*[f"k-{turn}-{number}" for number in range(10)])
        claims = side_by_side(*[lambda one=one, ids=ids: submission.claim(one.parts, ids) for one in worlds])
        assert not failures(claims)
        claimed = [item.payment_id for claim in claims for item in claim]
        assert sorted(claimed) == sorted(ids)
    assert world.count("send") == world.count("attempt") == 50


def test_a_message_for_what_isnt_released_is_claimed_or_is_unknown_does_nothing(world: World) -> None:
    (bulk,) = world.accept("bulk", lane="bulk")
    (till,) = world.accept("till")
    assert submission.claim(world.parts, [bulk, "no-such-payment"]) == []
    assert len(submission.claim(world.parts, [till, till])) == 1
    assert submission.claim(world.parts, [till]) == []
    assert world.payment(bulk).state is State.ACCEPTED
    assert world.count("send") == 1


def test_a_release_that_nobody_claimed_ends_and_is_given_again(world: World) -> None:
    (found,) = world.accept("k")
    world.clock.on(31)
    assert submission.claim(world.parts, [found]) == []
    assert world.release() == [found]
    assert len(submission.claim(world.parts, [found])) == 1
    assert world.release() == []


def test_what_was_recorded_isnt_claimed_by_a_message_that_comes_late(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    world.send([found])
    world.look([found])
    assert (len(world.mtn.left), len(world.mtn.looked)) == (1, 0)


def test_the_claim_writes_attempt_and_open_send_before_the_first_byte(world: World) -> None:
    (found,) = world.accept("k")
    seen: list[Any] = []

    def on_send(request: RenderedRequest, _secondary: bool) -> SendVerdict:
        seen.append((world.payment(found), world.sends(found), world.rows("SELECT reference_id, body FROM attempt")))
        return accepted()

    world.mtn.on_send = on_send
    world.send([found])
    ((payment, (send,), ((reference, body),)),) = seen
    assert (payment.state, payment.fence, send.ending, send.fence) == (State.SENDING, 1, None, 1)
    assert payment.lease_until_ms == world.clock.at_ms + world.parts.rules.lease_ms
    assert reference == world.mtn.left[0].request.reference_id
    assert bytes(body) == world.mtn.left[0].request.body
    assert reference == reference_id(world.parts.namespace, "default", "disburse", "k", 1)


def test_a_claim_that_breaks_between_any_two_statements_leaves_nothing(world: World) -> None:
    """A crash is a transaction that never commits; each statement of the claim is made the last in turn."""
    (found,) = world.accept("k")
    before = world.payment(found)
    broken_at = 0
    while True:
        countdown = [broken_at]

        def breaks(*_: Any, countdown: list[int] = countdown) -> None:
            countdown[0] -= 1
            if countdown[0] < 0:
                raise _CrashError

        event.listen(world.ledger.engine, "after_cursor_execute", breaks)
        try:
            claimed = submission.claim(world.parts, [found])
            break
        except _CrashError:
            broken_at += 1
        finally:
            event.remove(world.ledger.engine, "after_cursor_execute", breaks)
        assert world.payment(found) == before
        assert (world.count("attempt"), world.count("send"), world.count("transition")) == (0, 0, 1)
    assert broken_at >= 6
    assert len(claimed) == world.count("attempt") == world.count("send") == 1


class _CrashError(Exception):
    pass


# ---- M1's check -----------------------------------------------------------------------------------------------------


def break_reads(world: World) -> None:
    def refuse(*_: Any) -> None:
        event.remove(world.ledger.engine, "before_cursor_execute", refuse)
        raise OperationalError("SELECT", {}, Exception("the server went away"))

    event.listen(world.ledger.engine, "before_cursor_execute", refuse)


STOPPERS: dict[str, Callable[[World], object]] = {
    "a pause of all": pause,
    "a pause of the account": lambda world: pause(world, "default"),
    "a pause of the product": lambda world: pause(world, product="disbursement"),
    "a pause of both": lambda world: pause(world, "default", "disbursement"),
    "a closed gate": shut,
    "a recovery": lambda world: recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup"),
    "another fence": lambda world: world.write("UPDATE payment SET fence = fence + 1"),
    "another state": lambda world: world.write("UPDATE payment SET state = 'unknown'"),
    "a lease shorter than the deadline": lambda world: world.write(
        "UPDATE payment SET lease_until_ms = :until", until=world.clock.at_ms + world.parts.rules.call_deadline_ms
    ),
    "its not_after": lambda world: world.write("UPDATE payment SET not_after_ms = :now", now=world.clock.at_ms),
    "a ledger that can't be read": break_reads,
}
BYSTANDERS: dict[str, Callable[[World], object]] = {
    "a pause of another account": lambda world: pause(world, "other"),
    "a pause of the other product": lambda world: pause(world, product="collection"),
    "a gate of the other product": lambda world: shut(world, Product.COLLECTION),
    "a lease just long enough": lambda world: world.write(
        "UPDATE payment SET lease_until_ms = :until", until=world.clock.at_ms + world.parts.rules.call_deadline_ms + 1
    ),
}


@pytest.mark.parametrize("what", STOPPERS)
def test_what_comes_between_claim_and_first_byte_stops_the_send(world: World, what: str) -> None:
    (found,) = world.accept("k")
    claimed = submission.claim(world.parts, [found])
    permit = submission._Permit(world.parts, claimed)
    STOPPERS[what](world)
    report = submission._call(world.parts, permit, claimed[0])
    assert world.mtn.references() == []
    assert (report.verdict.answer, report.verdict.cause) == (SendAnswer.NOT_NOW, Cause.NOT_DEPARTED)
    outcome.record_sends(world.parts, [report])
    (send,) = world.sends(found)
    assert send.never_left


@pytest.mark.parametrize("what", BYSTANDERS)
def test_what_is_none_of_its_business_stops_no_send(world: World, what: str) -> None:
    (found,) = world.accept("k")
    claimed = submission.claim(world.parts, [found])
    BYSTANDERS[what](world)
    submission._call(world.parts, submission._Permit(world.parts, claimed), claimed[0])
    assert len(world.mtn.references()) == 1


def test_a_pause_in_the_middle_of_a_batch_holds_within_a_second(world: World) -> None:
    ids = world.accept(*[f"k-{number}" for number in range(6)])

    def on_send(_request: RenderedRequest, _secondary: bool) -> SendVerdict:
        if len(world.mtn.left) == 2:
            pause(world)
        world.clock.on(0.5)
        return accepted()

    world.mtn.on_send = on_send
    world.send(ids)
    # One more may leave under the permit that was read before the pause, half a second old.
    assert len(world.mtn.left) <= 3
    assert [world.payment(found).state for found in ids].count(State.ACCEPTED) >= 3


def test_pauses_hold_claims_at_every_scope_and_only_their_own_resume_lifts_them(world: World) -> None:
    (found,) = world.accept("k")
    for account, product in (("", ""), ("default", ""), ("", "disbursement"), ("default", "disbursement")):
        pause(world, account, product)
        assert submission.claim(world.parts, [found]) == []
        with world.ledger.write() as tx:
            other = "default" if not account else ""
            assert stops.lift_pauses(tx, account=other, product=product, run="", reason="no", actor="me") == 0
        assert submission.claim(world.parts, [found]) == []
        with world.ledger.write() as tx:
            assert stops.lift_pauses(tx, account=account, product=product, run="", reason="yes", actor="me") == 1
    assert len(submission.claim(world.parts, [found])) == 1


def test_calls_on_the_wire_are_listed_until_they_have_an_ending(world: World) -> None:
    (found,) = world.accept("k")
    seen = []

    def on_send(_request: RenderedRequest, _secondary: bool) -> SendVerdict:
        with world.ledger.read() as tx:
            seen.append(stops.on_the_wire(tx))
        return accepted()

    world.mtn.on_send = on_send
    world.send([found])
    assert seen == [[(found, world.clock.at_ms)]]
    with world.ledger.read() as tx:
        assert stops.on_the_wire(tx) == []


# ---- M2, M3 ---------------------------------------------------------------------------------------------------------


def unknown_then_permitted(world: World, key: str = "k") -> str:
    """A payment whose first send came to nothing that anybody knows, and whose search has permitted another."""
    (found,) = world.accept(key)
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.run_until(lambda: world.payment(found).work is Work.SEND)
    return found


def test_the_same_request_is_sent_again_byte_for_byte_though_settings_changed(world: World) -> None:
    found = unknown_then_permitted(world)
    changed = an_account(callback_url="https://elsewhere.example.org/new", callback_secret="another-secret")
    world.write("UPDATE payment SET payer_message = 'folded otherwise'")
    world.parts.accounts["default"] = changed  # type: ignore[index]
    world.mtn.on_send = lambda _request, _secondary: accepted()
    world.turn()
    first, second = (departed.request for departed in world.mtn.left)
    assert first == second
    assert first.callback_url == second.callback_url
    assert world.count("attempt") == 1
    assert [send.number for send in world.sends(found)] == [1, 2]
    assert world.triggers(found)[-2:] == ["resent", "acknowledged"]


def test_credentials_that_changed_send_and_look_up_nothing(world: World) -> None:
    found = unknown_then_permitted(world)
    world.write("UPDATE payment SET work = 'look'")
    moved = an_account(credentials={**an_account("rotated").credentials})
    world.parts.accounts["default"] = moved  # type: ignore[index]
    looks = len(world.mtn.looked)
    for _ in range(6):
        world.clock.on(3600)
        world.turn()
    assert len(world.mtn.looked) == looks
    # It isn't the payment that ends processes, so it isn't taken off the line for that.
    assert world.payment(found).state is State.UNKNOWN
    assert world.payment(found).claims_since_word == 0


# ---- M5, M6 ---------------------------------------------------------------------------------------------------------


def test_unknown_is_looked_up_three_times_over_five_minutes_before_the_same_reference_leaves_again(
    world: World,
) -> None:
    started = world.clock.at_ms
    found = unknown_then_permitted(world)
    payment = world.payment(found)
    assert payment.state is State.UNKNOWN
    assert payment.not_found_count >= 3
    assert world.clock.at_ms - started >= 5 * 60_000
    assert len(set(world.mtn.references())) == 1
    world.mtn.on_send = lambda _request, _secondary: accepted()
    world.turn()
    assert len(world.mtn.references()) == 2
    assert len(set(world.mtn.references())) == 1


def test_at_most_three_sends_within_six_hours_and_then_a_person(world: World) -> None:
    started = world.clock.at_ms
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.HELD, step=20)
    assert world.payment(found).held_cause is HeldCause.TOO_OLD
    assert len(world.mtn.references()) == 3
    assert world.clock.at_ms - started < 6 * 3_600_000


def test_the_six_hours_begin_with_the_first_send_that_may_have_left(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: throttled()
    started = world.clock.at_ms
    world.send([found])
    world.run_until(lambda: world.clock.at_ms - started > 7 * 3_600_000, step=900)
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.run_until(lambda: world.payment(found).state is State.UNKNOWN)
    world.run_until(lambda: world.payment(found).work is Work.SEND, seconds_max=3600)


def test_after_not_after_an_unknown_payment_is_looked_up_and_never_sent(world: World) -> None:
    (found,) = world.accept("k", not_after="2026-12-01T06:03:00Z")
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.HELD, step=300)
    assert len(world.mtn.references()) == 1


def test_a_409_to_the_first_send_is_held_and_to_a_later_one_is_acceptance(world: World) -> None:
    first, second = world.accept("a", "b")
    world.mtn.on_send = lambda _request, _secondary: conflict()
    world.send([first])
    assert (world.payment(first).state, world.payment(first).held_cause) == (State.HELD, HeldCause.REFERENCE_USED)
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([second])
    world.run_until(lambda: world.payment(second).work is Work.SEND)
    world.mtn.on_send = lambda _request, _secondary: conflict()
    world.send(world.release())
    assert world.payment(second).state is State.PENDING


# ---- 401 and the secondary key --------------------------------------------------------------------------------------

TOKEN_REFUSED = SendVerdict(SendAnswer.NOT_NOW, Cause.TOKEN_REFUSED, http_status=401)
KEY_REFUSED = SendVerdict(SendAnswer.NOT_NOW, Cause.KEY_REFUSED, http_status=401)


def test_a_401_is_repeated_once_as_a_send_of_its_own(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(TOKEN_REFUSED, accepted())
    world.send([found])
    first, second = world.sends(found)
    assert (first.ending, first.http_status, second.ending) == (SendAnswer.NOT_NOW, 401, SendAnswer.ACCEPTED)
    assert world.payment(found).state is State.PENDING
    assert world.payment(found).sends == 2


def test_the_repetition_may_leave_though_the_new_token_took_longer_than_a_permit_lasts(world: World) -> None:
    (found,) = world.accept("k")

    def on_send(_request: RenderedRequest, _secondary: bool) -> SendVerdict:
        world.clock.on(5)
        return TOKEN_REFUSED if len(world.mtn.left) == 1 else accepted()

    world.mtn.on_send = on_send
    world.send([found])
    assert world.payment(found).state is State.PENDING


def test_a_second_401_is_not_now_and_closes_the_gate(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(TOKEN_REFUSED, TOKEN_REFUSED)
    world.send([found])
    assert world.payment(found).state is State.ACCEPTED
    with world.ledger.read() as tx:
        gate = stops.gates(tx)["default", "disbursement"]
    assert (gate.cause, gate.closed_at_ms) == ("token_refused", world.clock.at_ms)
    assert gate.probe_at_ms == world.clock.at_ms + 60_000


def test_the_secondary_key_is_tried_once_and_in_its_own_send(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(KEY_REFUSED, accepted())
    world.send([found])
    assert [departed.secondary for departed in world.mtn.left] == [False, True]
    assert len(world.sends(found)) == 2


def test_a_pause_between_a_401_and_its_repetition_holds_the_repetition(world: World) -> None:
    (found,) = world.accept("k")

    def on_send(_request: RenderedRequest, _secondary: bool) -> SendVerdict:
        pause(world)
        world.clock.on(1)
        return TOKEN_REFUSED

    world.mtn.on_send = on_send
    world.send([found])
    assert len(world.mtn.left) == 1
    assert world.payment(found).state is State.ACCEPTED
    assert [send.never_left for send in world.sends(found)] == [False, True]


def test_a_repetition_that_cant_be_written_down_doesnt_leave(world: World) -> None:
    (found,) = world.accept("k")

    def on_send(_request: RenderedRequest, _secondary: bool) -> SendVerdict:
        break_reads(world)
        return TOKEN_REFUSED

    world.mtn.on_send = on_send
    world.send([found])
    assert len(world.mtn.left) == 1
    assert world.payment(found).state is State.ACCEPTED


# ---- Poison payments (S13) ------------------------------------------------------------------------------------------


def test_a_payment_that_ends_its_worker_travels_alone_at_two_and_is_held_at_four(world: World) -> None:
    (found,) = world.accept("k")
    rescue = Rescue(world.parts)
    claims = []
    for _ in range(40):
        ids = world.release()
        claims += submission.claim(world.parts, ids)
        looking = world.payment(found)
        if looking.work is Work.LOOK and ids:
            with world.ledger.write() as tx:
                work.take_leases(tx, ids, world.parts.rules.lease_ms)
        world.clock.on(200)
        rescue.run()
        if world.payment(found).claims_since_word >= 4:
            break
    assert len(claims) == 1
    world.look(world.release())
    assert world.payment(found).held_cause is HeldCause.CRASHES
    assert world.mtn.looked == []


def test_one_calls_exception_loses_none_of_its_neighbours_answers(world: World) -> None:
    runner = ThreadRunner(4)
    world = replace(world, parts=replace(world.parts, runner=runner))
    ids = world.accept(*[f"k-{number}" for number in range(8)])
    poison = world.payment(ids[3]).reference_id

    def on_send(request: RenderedRequest, _secondary: bool) -> SendVerdict:
        if request.reference_id == poison:
            raise ZeroDivisionError
        return accepted()

    world.mtn.on_send = on_send
    with pytest.raises(ZeroDivisionError):
        world.send(ids)
    runner.close()
    states = [world.payment(found).state for found in ids]
    assert states.count(State.PENDING) == 7
    assert states[3] is State.SENDING


# ---- M9 -------------------------------------------------------------------------------------------------------------


def test_sequences_count_one_two_three_and_event_ids_are_derived(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.sends_in_turn(no_answer())
    world.send([found])
    world.mtn.looks_in_turn(not_found())
    world.clock.on(12)
    world.turn()
    events = world.events(found)
    assert [item["data"]["sequence"] for item in events] == [1, 2]
    assert world.types(found) == ["accepted", "unknown"]
    ids = [item["id"] for item in events]
    assert len(set(ids)) == len(ids)
    assert json.loads(world.rows("SELECT body FROM outbox ORDER BY id")[0])["specversion"] == "1.0"


def test_a_move_whose_event_cant_be_written_didnt_happen(world: World) -> None:
    (found,) = world.accept("k")
    reports = world.send([found], record=False)

    def refuse(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INTO outbox" in statement:
            raise OperationalError(statement, {}, Exception("disk full"))

    event.listen(world.ledger.engine, "before_cursor_execute", refuse)
    outcome.record_sends(world.parts, reports)
    event.remove(world.ledger.engine, "before_cursor_execute", refuse)
    assert world.payment(found).state is State.SENDING
    assert world.triggers(found) == ["taken_in", "claimed"]
    assert world.sends(found)[0].ending is None


def test_the_till_job_of_an_account_that_is_unknown_here_waits_for_another_process(world: World) -> None:
    (found,) = world.accept("k")
    stranger = world.beside(accounts={"other": an_account("other")})
    stranger.send([found])
    assert world.mtn.references() == []
    assert world.payment(found).state is State.ACCEPTED
