"""`momo payment retry` on a real ledger (M8, M14): one new attempt after a proven failure, one winner, and late looks at what was closed."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.factories import accepted, failed, no_answer, not_found, refused
from tests.support.ledger_world import World, a_job, an_account, failures, found_as, side_by_side

from momo_worker.accounts import SameAgain
from momo_worker.ledger import desk
from momo_worker.payment.after_look import LookReport
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Product, Work
from momo_worker.payment.reference import reference_id
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import Facts, RenderedRequest, Status
from momo_worker.steps import operator, outcome, polling, submission
from momo_worker.steps.operator import Decided
from momo_worker.steps.rescue import Rescue

AMINA = By("amina", "the wallet was topped up")


def retry(world: World, name: str, **asked: Any) -> Decided:
    decided = operator.retry(world.parts, name, by=AMINA, **asked)
    assert decided is not None
    return decided


def done(results: list[Any]) -> int:
    assert not failures(results)
    return sum(1 for decided in results if decided.refused is None)


def failed_payment(world: World, key: str = "k", **changes: Any) -> str:
    """Sent, and failed by MTN's own word."""
    (found,) = world.accept(key, **changes)
    world.mtn.on_send = lambda _request, _secondary: accepted()
    world.mtn.on_look = lambda _request: failed()
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    return found


def look_late(world: World) -> int:
    asked = polling.ask_late(world.parts, limit=10)
    for late, verdict in asked:
        outcome.record_late(world.parts, late, verdict)
    return len(asked)


# ---- one new attempt ------------------------------------------------------------------------------------------------


def test_a_failed_payment_is_paid_by_its_second_attempt_under_a_reference_of_its_own(world: World) -> None:
    found = failed_payment(world)
    first = world.payment(found)

    decided = retry(world, found)
    second = world.payment(found)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)

    assert decided.refused is None
    assert decided.payment == second
    assert (second.state, second.attempt, second.sends, second.work) == (State.ACCEPTED, 2, 0, Work.SEND)
    derived = [reference_id(world.parts.namespace, "default", "disburse", "k", number) for number in (1, 2)]
    assert world.mtn.references() == derived
    assert [first.reference_id, second.reference_id] == derived
    assert world.types(found) == ["accepted", "pending", "failed", "accepted", "pending", "successful"]
    assert [event["data"]["attempt"] for event in world.events(found)] == [1, 1, 1, 2, 2, 2]
    sequences = [event["data"]["sequence"] for event in world.events(found)]
    assert sequences == sorted(set(sequences))
    assert world.rows("SELECT actor, action, subject, reason FROM journal") == [
        ("amina", "retry", found, "the wallet was topped up")
    ]


def test_of_two_who_ask_at_once_one_wins_and_the_other_is_told(world: World) -> None:
    other = world.beside()
    for turn in range(4):
        found = failed_payment(world, f"k-{turn}")
        results = side_by_side(lambda found=found: retry(world, found), lambda found=found: retry(other, found))
        assert done(results) == 1
        (told,) = [decided.refused for decided in results if decided.refused]
        assert "attempt 2 waits to be sent already" in told.why
        assert world.payment(found).attempt == 2
    assert world.count("journal") == 4


def test_who_asks_late_for_what_failed_again_meanwhile_is_told(world: World) -> None:
    found = failed_payment(world)
    assert retry(world, found, seen_attempt=1).refused is None
    world.run_until(lambda: world.payment(found).state is State.FAILED)

    told = retry(world, found, seen_attempt=1).refused

    assert told is not None
    assert "retried meanwhile" in told.why
    assert retry(world, found, seen_attempt=2).refused is None


def test_five_attempts_are_the_most_and_no_event_comes_twice(world: World) -> None:
    found = failed_payment(world)
    for attempt in range(2, 6):
        assert retry(world, found).refused is None
        world.run_until(lambda: world.payment(found).state is State.FAILED)
        assert world.payment(found).attempt == attempt
    refused_now = retry(world, found).refused

    assert refused_now is not None
    assert "5 are the most" in refused_now.why
    assert len(set(world.mtn.references())) == 5
    ids = [event["id"] for event in world.events(found)]
    assert len(set(ids)) == len(ids)
    assert world.types(found).count("failed") == 5


@pytest.mark.parametrize("state", ["accepted", "pending", "unknown", "successful", "cancelled", "held"])
def test_whatever_has_not_failed_stays_as_it_is(world: World, state: str) -> None:
    (found,) = world.accept("k")
    if state == "cancelled":
        operator.cancel(world.parts, found, actor="amina", reason="typed twice")
    elif state != "accepted":
        world.mtn.on_send = lambda _request, _secondary: no_answer() if state in ("unknown", "held") else accepted()
        world.mtn.on_look = found_as(Status.SUCCESSFUL) if state == "successful" else found_as(Status.PENDING)
        if state == "held":
            world.mtn.on_look = found_as(Status.PENDING, facts=Facts(amount="1"))
        world.send([found])
        if state in ("successful", "held"):
            world.run_until(lambda: world.payment(found).state.value == state)
    before = world.payment(found)

    refused_now = retry(world, found).refused

    assert before.state.value == state
    assert refused_now is not None
    assert f"is {state}" in refused_now.why
    assert world.payment(found) == before
    assert world.count("journal") == (1 if state == "cancelled" else 0)


def test_nobody_retries_what_is_on_the_wire(world: World) -> None:
    (found,) = world.accept("k")
    submission.claim(world.parts, [found])

    refused_now = retry(world, found).refused

    assert refused_now is not None
    assert "is being sent at this moment" in refused_now.why


def test_a_confirmed_refusal_is_retried_too(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: refused()
    world.mtn.on_look = lambda _request: not_found()
    world.run_until(lambda: world.payment(found).state is State.FAILED)

    assert retry(world, found).refused is None
    assert operator.retry(world.parts, "no-such-payment", by=AMINA) is None


# ---- cancelled, expired, paused -------------------------------------------------------------------------------------


def test_retries_that_are_cancelled_leave_it_failed_and_each_tells_so_once(world: World) -> None:
    found = failed_payment(world)
    for _ in range(2):
        assert retry(world, found).refused is None
        cancelled = operator.cancel(world.parts, found, actor="amina", reason="not yet")
        assert cancelled is not None
        assert cancelled.payment.state is State.FAILED

    assert world.payment(found).reason_code == "NOT_ENOUGH_FUNDS"
    events = world.events(found)
    assert world.types(found) == ["accepted", "pending", "failed", "accepted", "failed", "accepted", "failed"]
    assert len({event["id"] for event in events}) == len(events)
    assert [event["data"]["attempt"] for event in events] == [1, 1, 1, 2, 2, 3, 3]
    assert len(world.mtn.references()) == 1
    # Asked once more, its producer hears the latest.
    world.write("UPDATE outbox SET published_at_ms = 1")
    assert world.take(a_job("k")).repeated == (found,)
    (again,) = world.rows("SELECT body FROM outbox WHERE published_at_ms IS NULL")
    assert events[-1]["id"] in again


def test_a_retry_that_is_not_sent_in_time_is_failed_as_before_and_not_cancelled(world: World) -> None:
    found = failed_payment(world)
    until_ms = world.clock.at_ms + HOUR
    assert retry(world, found, until_ms=until_ms).refused is None
    assert world.payment(found).not_after_ms == until_ms

    world.clock.on(3_601)
    assert Rescue(world.parts).run() == 1

    payment = world.payment(found)
    assert (payment.state, payment.attempt, payment.reason_code) == (State.FAILED, 2, "NOT_SENT_IN_TIME")
    last = world.events(found)[-1]["data"]
    assert (last["state"], last["reason"]["code"]) == ("failed", "NOT_SENT_IN_TIME")
    told = retry(world, found).refused
    assert told is not None
    assert "--until" in told.advice
    assert retry(world, found, until_ms=world.clock.at_ms + HOUR).refused is None
    assert len(world.mtn.references()) == 1


def test_a_claimed_retry_that_is_over_is_not_sent_either(world: World) -> None:
    found = failed_payment(world)
    assert retry(world, found, until_ms=world.clock.at_ms + 5_000).refused is None
    ids = world.release()
    world.clock.on(6)
    world.send(ids)

    assert world.payment(found).state is State.FAILED
    assert len(world.mtn.references()) == 1


# ---- what would pay twice -------------------------------------------------------------------------------------------


def test_a_look_alike_under_another_key_asks_for_the_producers_word(world: World) -> None:
    world = replace(world, parts=replace(world.parts, accounts={"default": an_account(same_again=SameAgain.WARN)}))
    found = failed_payment(world)
    (another,) = world.accept("k-again")

    told = retry(world, found).refused

    assert told is not None
    assert another in told.why
    operator.cancel(world.parts, another, actor="amina", reason="the first is retried")
    assert retry(world, found).refused is None


def test_what_looks_like_the_first_of_two_is_a_look_alike_too(world: World) -> None:
    """The second try under another key was marked, and failed; the first was paid."""
    world = replace(world, parts=replace(world.parts, accounts={"default": an_account(same_again=SameAgain.WARN)}))
    (first,) = world.accept("k")
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(first).state is State.SUCCESSFUL)
    second = failed_payment(world, "k-again")

    told = retry(world, second).refused

    assert told is not None
    assert first in told.why


def test_the_producers_word_overrules_a_look_alike(world: World) -> None:
    world = replace(world, parts=replace(world.parts, accounts={"default": an_account(same_again=SameAgain.WARN)}))
    found = failed_payment(world)
    world.accept("next-month")

    assert retry(world, found, producer_knows=True).refused is None


def test_a_replaced_payment_is_not_retried_and_a_retried_one_not_replaced(world: World) -> None:
    replaced, retried = failed_payment(world, "a"), failed_payment(world, "b")
    world.accept("a-corrected", replaces="a", msisdn="256772000001")
    assert retry(world, retried).refused is None

    told = retry(world, replaced).refused
    taken = world.take(a_job("b-corrected", replaces="b", msisdn="256772000001"))

    assert told is not None
    assert world.id_of("a-corrected") in told.why
    assert len(taken.rejected) == 1
    assert world.rejections()[-1]["errors"][0]["field"] == "replaces"


def test_retry_and_replacement_at_the_same_instant_never_both_happen(world: World) -> None:
    other = world.beside()
    outcomes = set()
    for turn in range(8):
        found = failed_payment(world, f"k-{turn}")
        correction = a_job(f"n-{turn}", replaces=f"k-{turn}", msisdn="256772000001")
        decided, taken = side_by_side(
            lambda found=found: retry(world, found), lambda correction=correction: other.take(correction)
        )
        assert not failures([decided, taken])
        assert (decided.refused is None) != bool(taken.accepted)
        outcomes.add(decided.refused is None)
    assert outcomes, world.seed


def test_a_retried_refund_is_counted_again_and_refused_when_there_is_no_room(world: World) -> None:
    collection = world.successful("c", amount="1000")

    def refund(key: str) -> str:
        (found,) = world.accept(key, operation="refund", refund_of="c", amount="600", msisdn=None)
        world.mtn.on_look = lambda _request: failed()
        world.run_until(lambda: world.payment(found).state is State.FAILED)
        return found

    first, second = refund("r1"), refund("r2")
    assert world.payment(collection).refunded_minor == 0

    assert retry(world, first).refused is None
    assert world.payment(collection).refunded_minor == 600
    told = retry(world, second).refused

    assert told is not None
    assert "not enough is left" in told.why
    assert world.payment(second).state is State.FAILED
    assert world.payment(collection).refunded_minor == 600
    world.run_until(lambda: world.payment(first).state is State.FAILED)
    assert world.payment(collection).refunded_minor == 0


def test_nothing_is_refunded_of_a_collection_that_mtn_contradicts(world: World) -> None:
    collection = world.successful("c", amount="1000")
    (found,) = world.accept("r1", operation="refund", refund_of="c", amount="600", msisdn=None)
    world.mtn.on_look = lambda _request: failed()
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    report = LookReport(collection, 1, world.payment(collection).fence, world.clock.at_ms, failed())
    outcome.record_looks(world.parts, [report])
    assert world.types(collection)[-1] == "contradicted"

    told = retry(world, found).refused
    taken = world.take(a_job("r2", operation="refund", refund_of="c", amount="10", msisdn=None))

    assert told is not None
    assert "MTN says otherwise" in told.why
    assert len(taken.rejected) == 1
    assert "contradicts" in world.rejections()[-1]["errors"][0]["reason"]
    assert world.payment(collection).refunded_minor == 0


def test_two_refunds_retried_at_once_never_exceed_what_was_collected(world: World) -> None:
    other = world.beside()
    collection = world.successful("c", amount="1000")
    refunds = []
    for key in ("r1", "r2"):
        (found,) = world.accept(key, operation="refund", refund_of="c", amount="600", msisdn=None)
        world.mtn.on_look = lambda _request: failed()
        world.run_until(lambda found=found: world.payment(found).state is State.FAILED)
        refunds.append(found)

    results = side_by_side(lambda: retry(world, refunds[0]), lambda: retry(other, refunds[1]))

    assert done(results) == 1
    assert world.payment(collection).refunded_minor == 600


# ---- late looks at what has a successor -----------------------------------------------------------------------------


def test_an_attempt_with_a_successor_is_looked_up_five_times(world: World) -> None:
    found = failed_payment(world)
    first = world.payment(found).reference_id
    assert retry(world, found).refused is None
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    world.mtn.looked.clear()
    world.mtn.on_look = lambda _request: failed()

    times = 0
    for _ in range(45):
        world.clock.on(DAY / 1000)
        times += look_late(world)

    assert times == len(world.parts.rules.late_looks_ms) == len(world.mtn.looked)
    assert {request.reference_id for request in world.mtn.looked} == {first}
    assert world.payment(found).state is State.SUCCESSFUL
    assert desk_contradictions(world, found) == 0


def desk_contradictions(world: World, found: str) -> int:
    with world.ledger.read() as tx:
        return len(desk.contradictions_of(tx, found))


def test_a_late_success_of_the_first_attempt_stops_an_unsent_second_one(
    world: World, logged: list[MutableMapping[str, Any]]
) -> None:
    found = failed_payment(world)
    until_ms = world.clock.at_ms + 7 * DAY
    assert retry(world, found, until_ms=until_ms).refused is None
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.clock.on(3_700)

    assert look_late(world) == 1

    payment = world.payment(found)
    assert (payment.state, payment.attempt, payment.work) == (State.HELD, 2, None)
    assert world.types(found)[-1] == "contradicted"
    assert [line for line in logged if line["log_level"] == "error" and "contradicts" in line.get("why", "")]
    world.run_until(lambda: world.clock.at_ms > until_ms, step=DAY / 1000)
    assert len(world.mtn.references()) == 1
    told = retry(world, found).refused
    assert told is not None
    cancelled = operator.cancel(world.parts, found, actor="amina", reason="stop")
    assert cancelled is not None
    assert cancelled.refused is not None


def test_after_a_contradiction_a_failed_payment_is_neither_retried_nor_replaced(world: World) -> None:
    found = failed_payment(world)
    assert retry(world, found).refused is None
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.clock.on(3_700)
    assert look_late(world) >= 1

    told = retry(world, found).refused
    taken = world.take(a_job("n", replaces="k", msisdn="256772000001"))

    assert world.payment(found).state is State.FAILED
    assert told is not None
    assert "contradicted by MTN" in told.why
    assert len(taken.rejected) == 1
    assert "contradicts" in world.rejections()[-1]["errors"][0]["reason"]


def test_a_late_look_and_a_retry_at_the_same_instant_never_send_a_second_time(world: World) -> None:
    other = world.beside()
    for turn in range(4):
        found = failed_payment(world, f"k-{turn}")
        assert retry(world, found).refused is None
        world.mtn.on_look = lambda _request: failed()
        world.run_until(lambda found=found: world.payment(found).state is State.FAILED)
        sent = len(world.mtn.references())
        world.clock.on(3_700)
        world.mtn.on_look = found_as(Status.SUCCESSFUL)
        late, decided = side_by_side(lambda: look_late(world), lambda found=found: retry(other, found))
        assert not failures([late, decided])
        payment = world.payment(found)
        assert payment.state is (State.FAILED if decided.refused else State.HELD)
        world.send(world.release())
        assert len(world.mtn.references()) == sent


def test_a_sleeper_of_the_first_attempt_may_not_send_under_the_second(world: World) -> None:
    """It claimed, slept, and wakes when its payment has failed, was retried and is being sent again."""
    (found,) = world.accept("k")
    stale = submission.claim(world.parts, [found])
    world.clock.on(181)
    Rescue(world.parts).run()
    world.mtn.on_look = lambda _request: failed()
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    assert retry(world, found).refused is None
    fresh = submission.claim(world.parts, world.release())

    permit = submission._Permit(world.parts, [*stale, *fresh])

    permit.check(fresh[0].held)
    with pytest.raises(Exception, match="no longer ours"):
        permit.check(stale[0].held)


def test_the_request_of_each_attempt_is_kept_and_is_the_same_payment(world: World) -> None:
    found = failed_payment(world)
    assert retry(world, found).refused is None
    world.send(world.release(product=Product.DISBURSEMENT))

    first, second = (departed.request for departed in world.mtn.left)

    def said(request: RenderedRequest) -> tuple[str, bytes]:
        return request.path, request.body

    assert said(first) == said(second)
    assert world.rows("SELECT number FROM attempt WHERE payment_id = :name ORDER BY number", name=found) == [1, 2]
