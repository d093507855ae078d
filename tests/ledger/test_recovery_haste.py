"""A recovery that a person ends without MTN's word: nothing that nobody asked about is sent, or sent again; on both databases."""

import pytest
from tests.ledger.test_recovery_again import asked
from tests.support.ledger_world import World
from tests.support.restored import HOUR, Restored, lost

from momo_worker.payment.operator import By
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict, Status
from momo_worker.steps import operator, recovery
from momo_worker.steps.operator import Decided
from momo_worker.steps.rescue import Rescue

HASTE = recovery.Skip(searches=True)


def sent_and_unanswered(world: World, *, recorded: bool) -> str:
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.UNKNOWN, http_status=504)
    (found,) = world.accept("k")
    world.send([found], record=recorded)
    return found


def silent(restored: Restored) -> None:
    restored.mtn.lost_words.update(restored.reference("k", attempt) for attempt in range(1, 6))
    restored.reread()
    restored.search()


def a_day_goes_by(world: World) -> None:
    rescue = Rescue(world.parts)
    for _ in range(24):
        world.clock.on(HOUR)
        rescue.run()
        world.turn()


def test_what_was_sent_and_nobody_asked_about_is_not_sent_again(restored: Restored) -> None:
    """Seed 639: nothing had left, its worker said so, and a person cancelled it; then the ledger was restored, which only knew of the claim."""
    world = restored.world
    found = sent_and_unanswered(world, recorded=True)
    lost(restored, lambda: None)
    silent(restored)
    assert restored.outcomes() == {found: None}
    done = restored.release(skip=HASTE)
    assert (done.done, done.held) == (True, 1)
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.HELD, HeldCause.RECOVERY)
    assert "MTN wasn't asked" in world.events(found)[-1]["data"]["reason"]["message"]

    restored.mtn.lost_words.clear()
    left = len(world.mtn.left)
    a_day_goes_by(world)
    assert world.payment(found).state is State.HELD
    assert len(world.mtn.left) == left


def test_mtns_word_ends_it_all_the_same(restored: Restored) -> None:
    world = restored.world
    found = sent_and_unanswered(world, recorded=True)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.SUCCESSFUL}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.clear()
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)


def test_nobody_goes_on_without_what_is_being_sent_before_its_lease_ends(restored: Restored) -> None:
    world = restored.world
    found = sent_and_unanswered(world, recorded=False)
    lost(restored, lambda: None)
    silent(restored)
    assert world.payment(found).state is State.SENDING
    refused = restored.release(skip=HASTE)
    assert (refused.done, refused.waits.searches, refused.waits.sending) == (False, 1, 1)
    assert restored.outcomes() == {found: None}

    world.clock.on(world.parts.rules.lease_ms / 1000 + 1)
    Rescue(world.parts).run()
    done = restored.release(skip=HASTE)
    assert (done.done, done.held, done.waits.sending) == (True, 1, 0)
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    restored.mtn.lost_words.clear()
    left = len(world.mtn.left)
    a_day_goes_by(world)
    assert len(world.mtn.left) == left


REFUSED = SendVerdict(SendAnswer.REFUSED, http_status=400)
NOT_NOW = SendVerdict(SendAnswer.NOT_NOW, Cause.THROTTLED, http_status=429)


def test_what_only_the_lost_ledger_can_have_sent_is_called_failed_by_nobody_without_mtns_word(
    restored: Restored,
) -> None:
    """By this ledger's word its one send never left: neither its age nor the next 404 is asked for. A retry would be paid once more."""
    world = restored.world
    world.mtn.on_send = lambda _request, _secondary: NOT_NOW
    (found,) = world.accept("k")
    world.send([found])
    assert (world.payment(found).state, world.payment(found).sends) == (State.ACCEPTED, 1)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.SUCCESSFUL}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    assert world.payment(found).held_cause is HeldCause.RECOVERY

    said = Resolve(By("ada", "the portal doesn't show it"), State.FAILED, "portal", None)
    decided = operator.resolve(world.parts, found, said)
    assert decided is not None
    assert decided.refused is not None
    assert "MTN hasn't been asked" in decided.refused.why
    restored.mtn.lost_words.clear()
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)


def tried_again_and_given_up(restored: Restored) -> str:
    """The lost ledger heard that attempt 1 failed and paid attempt 2; a person went on without MTN's word, which speaks again now."""
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    paid = {restored.reference("k", 1): Status.FAILED, restored.reference("k", 2): Status.SUCCESSFUL}
    lost(restored, lambda: restored.mtn.has.update(paid))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.clear()
    return found


def test_the_failure_of_an_attempt_isnt_told_before_mtn_was_asked_about_the_next(restored: Restored) -> None:
    """The lost ledger had told it, too, and then that attempt 2 was paid. Who hears of the failure last pays anew."""
    world = restored.world
    found = tried_again_and_given_up(restored)
    for _ in range(5):
        world.clock.on(300)
        world.turn()
        assert world.payment(found).state is State.PENDING
    assert restored.outcomes() == {found: None}
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert "momo.payment.failed" not in world.types(found)
    assert world.payment(found).attempt == 2


@pytest.mark.parametrize("days", [0, 8])
@pytest.mark.parametrize("outcome", [State.FAILED, State.SUCCESSFUL])
def test_nor_is_it_told_by_a_persons_hand(restored: Restored, outcome: State, days: int) -> None:
    """MTN is asked about attempt 1 by the command, says FAILED, and that would be written down against what the person knows."""
    world = restored.world
    found = tried_again_and_given_up(restored)
    world.clock.on(days * 24 * HOUR)

    said = Resolve(
        By("ada", "the portal has it"), outcome, "portal", "statement 12" if outcome is State.SUCCESSFUL else None
    )
    decided = operator.resolve(world.parts, found, said)
    assert decided is not None
    assert decided.refused is not None
    assert "MTN hasn't been asked" in decided.refused.why
    assert restored.outcomes() == {found: None}
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert (world.payment(found).attempt, "failed" in world.types(found)) == (2, False)


def test_nor_is_it_told_by_a_look_when_the_week_is_over(restored: Restored) -> None:
    """Its credentials came back on the eighth day, and the first look says FAILED."""
    world = restored.world
    found = tried_again_and_given_up(restored)
    world.clock.on(8 * 24 * HOUR)
    world.turn()
    assert (world.payment(found).state, restored.outcomes()) == (State.PENDING, {found: None})
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert "failed" not in world.types(found)


def test_what_nobody_asked_about_is_called_paid_by_nobody_without_a_statement(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.FAILED}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.clear()
    said = Resolve(By("ada", "he says that he has it"), State.SUCCESSFUL, "call", None)
    decided = operator.resolve(world.parts, found, said)
    assert decided is not None
    assert decided.refused is not None
    assert "MTN hasn't been asked" in decided.refused.why
    assert restored.outcomes() == {found: None}


@pytest.mark.parametrize("decide", ["release", "cancel"])
def test_what_was_given_up_is_asked_about_once_before_a_person_decides_after_the_week(
    restored: Restored, decide: str
) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.SUCCESSFUL}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.clear()
    world.clock.on(8 * 24 * HOUR)
    # Who is told to wait, and doesn't, is told once more.
    for _ in range(3):
        assert "MTN hasn't been asked" in refusal(decided_by_ada(world, found, decide))
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert world.mtn.left == []


@pytest.mark.parametrize("decide", ["release", "cancel"])
def test_after_the_week_a_silent_mtn_keeps_a_person_waiting_for_a_quarter_of_an_hour(
    restored: Restored, decide: str
) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    silent(restored)
    assert restored.release(skip=HASTE).done
    world.clock.on(8 * 24 * HOUR)
    refusal(decided_by_ada(world, found, decide))
    began_ms = world.clock.at_ms
    asked(restored)
    for _ in range(8):
        refusal(decided_by_ada(world, found, decide))
        asked(restored)
    while restored.outcomes() == {found: None} and decided_by_ada(world, found, decide).refused is not None:
        asked(restored)
    assert 8 * 60_000 <= world.clock.at_ms - began_ms <= 20 * 60_000
    assert world.payment(found).state is (State.ACCEPTED if decide == "release" else State.CANCELLED)


def decided_by_ada(world: World, found: str, decide: str) -> Decided:
    decided = (
        operator.release(world.parts, found, by=By("ada", "left"), until_ms=world.clock.at_ms + 3_600_000)
        if decide == "release"
        else operator.cancel(world.parts, found, actor="ada", reason="left")
    )
    assert decided is not None
    return decided


def refusal(decided: Decided) -> str:
    assert decided.refused is not None
    return decided.refused.why


def test_a_held_payment_that_never_left_and_that_nobody_listed_is_asked_about_before_a_person_ends_it(
    restored: Restored,
) -> None:
    """Its key came again after the restore; attempt 2 lies on a desk without a send, and the lost ledger had paid one of its own."""
    world = restored.world
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.SUCCESSFUL}))
    restored.reread()
    restored.search()
    assert restored.release().done
    world.mtn.on_send = lambda _request, _secondary: REFUSED
    (found,) = world.accept("k")
    world.write("DELETE FROM search")
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    retried = operator.retry(world.parts, found, by=By("ada", "again"))
    assert retried is not None
    assert retried.refused is None
    world.write("UPDATE payment SET state = 'held', held_cause = 'crashes' WHERE id = :id", id=found)
    said = Resolve(By("ada", "the portal shows nothing"), State.FAILED, "portal", None)
    world.clock.on(24 * HOUR)
    decided = operator.resolve(world.parts, found, said)
    assert decided is not None
    assert "MTN hasn't been asked" in refusal(decided)
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)


def test_a_callback_doesnt_have_it_looked_at_again_and_again_meanwhile(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.FAILED}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.difference_update([restored.reference("k", 1)])
    world.clock.on(300)
    world.write("UPDATE payment SET hint_at_ms = :at, due_at_ms = :at WHERE id = :id", at=world.clock.at_ms, id=found)
    world.clock.on(1)
    world.turn()
    payment = world.payment(found)
    assert (payment.state, payment.hint_at_ms) == (State.PENDING, None)
    assert payment.due_at_ms is not None
    assert payment.due_at_ms >= world.clock.at_ms + 60_000


def test_a_failure_that_stands_is_told_once_mtn_was_asked(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.FAILED}))
    silent(restored)
    assert restored.release(skip=HASTE).done
    restored.mtn.lost_words.clear()
    world.clock.on(300)
    world.turn()
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.FAILED, seconds_max=3_600)


def test_a_release_that_cant_be_made_gives_up_nothing(restored: Restored) -> None:
    world = restored.world
    (waits,) = world.accept("other")
    found = sent_and_unanswered(world, recorded=False)
    lost(restored, lambda: None)
    restored.mtn.lost_words.update(restored.reference("other", attempt) for attempt in range(1, 6))
    silent(restored)
    refused = restored.release(skip=HASTE)
    assert (refused.done, refused.held, refused.waits.sending) == (False, 0, 1)
    assert restored.outcomes() == {found: None, waits: None}
