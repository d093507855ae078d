"""After a restore, what a person or a late answer could still get wrong: payments come in that the lost ledger paid, retried or held."""

from dataclasses import replace

import pytest
from tests.ledger.test_recovery_again import DAYS, asked, cancel, given_up, job, recovered
from tests.support.ledger_world import an_entry
from tests.support.restored import HOUR, SETTLED_SECONDS, Restored, lost

from momo_worker.ledger import recovery as book
from momo_worker.payment.operator import By
from momo_worker.payment.tide import Why
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import LookAnswer, LookVerdict, SendAnswer, SendVerdict, Status
from momo_worker.steps import operator, outcome, polling, recovery, recovery_search, submission

_TO_THE_DESK = "UPDATE payment SET state = 'held', held_cause = 'suspect_duplicate', work = NULL, due_at_ms = NULL, released_until_ms = NULL"


def test_what_lay_on_the_desk_unsent_and_is_at_mtn_is_adopted_and_cancelled_by_nobody(restored: Restored) -> None:
    found = given_up(restored)
    restored.mtn.has[restored.reference("k", 1)] = Status.PENDING
    asked(restored, seconds=SETTLED_SECONDS)
    assert restored.world.payment(found).state is State.PENDING
    decided = cancel(restored.world, found)
    assert decided.refused is not None


def test_a_suspected_duplicate_that_the_lost_ledger_sent_is_adopted(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    world.write(_TO_THE_DESK)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.PENDING}))
    restored.reread()
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert world.payment(found).state is State.PENDING


def test_a_failure_of_long_ago_is_retried_only_after_mtn_was_asked_about_a_lost_retry(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.pay(found, Status.FAILED)
    world.clock.on(10 * DAYS)
    restored.tide()
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 3): Status.SUCCESSFUL}))
    restored.reread()
    restored.search()
    assert restored.outcomes() == {}
    assert restored.release().done

    def retried() -> operator.Decided:
        until_ms = world.clock.at_ms + 3_600_000
        decided = operator.retry(world.parts, found, by=By("ada", "again"), until_ms=until_ms, producer_knows=True)
        assert decided is not None
        return decided

    assert retried().refused is not None
    asked(restored)
    assert (world.payment(found).state, world.payment(found).attempt) == (State.PENDING, 3)
    assert retried().refused is not None


def test_a_search_that_mtn_never_answers_stands_in_a_persons_way_for_a_week_only(restored: Restored) -> None:
    world = restored.world
    recovered(restored)
    (found,) = world.take(an_entry(job("k"), "command_line:1")).accepted
    world.write(_TO_THE_DESK)
    restored.mtn.lost_words.add(restored.reference("k", 3))
    assert cancel(world, found).refused is not None
    restored.ask_for_long()
    assert cancel(world, found).refused is not None
    world.clock.on(8 * DAYS)
    decided = cancel(world, found)
    assert (decided.refused, decided.payment.state) == (None, State.CANCELLED)


def test_a_send_after_the_restore_has_its_own_time_before_a_404_speaks_against_it(restored: Restored) -> None:
    world = restored.world
    recovered(restored)
    (found,) = world.take(an_entry(job("k"), "command_line:1")).accepted
    world.clock.on(HOUR)
    world.mtn.on_send = lambda *_: SendVerdict(SendAnswer.UNKNOWN, http_status=504)
    world.release()
    world.send([found])
    assert world.payment(found).state is State.UNKNOWN
    with world.ledger.write() as tx:
        latest = book.latest(tx)
        assert latest is not None
        book.look_for(tx, latest.id, [found])
    world.clock.on(10)
    restored.mtn.lost_words.clear()
    asked_once(restored)
    payment = world.payment(found)
    assert (payment.state, payment.held_cause) == (State.UNKNOWN, None)


def test_a_recovery_that_ends_another_before_its_search_keeps_the_others_range(restored: Restored) -> None:
    world = restored.world
    world.clock.on(60)
    restored.tide()
    restored.backup()
    world.clock.on(HOUR)
    restored.tide()
    restored.restore()
    restored.tide()
    first = restored.current()
    restored.reread()
    world.clock.on(2 * HOUR)
    restored.tide()
    restored.copy = replace(restored.copy, tide=restored.copy.tide + 10**6) if restored.copy else None
    assert restored.tide().began
    assert restored.current().lost_from_ms == first.lost_from_ms


def asked_once(restored: Restored) -> None:
    """Whatever is due now, and nothing that comes later."""
    while recovery_search.search(restored.world.parts):
        pass


@pytest.mark.parametrize("forgotten", ["told by a person", "seen by nobody's copy"])
def test_a_newer_backup_in_the_place_of_one_that_was_too_old_is_noticed_too(restored: Restored, forgotten: str) -> None:
    """Both are of one life of the ledger; what was done between them was done in another, whose tide began again far below."""
    world = restored.world
    (found,) = world.accept("k")
    restored.tide(first=True)
    restored.backup()
    too_old = restored.kept
    for _ in range(100):
        world.clock.on(1)
        restored.tide()
    restored.backup()
    newer = restored.kept
    restored.kept, restored.copy = too_old, None
    restored.restore()
    restored.new_process()
    world.clock.on(60)
    if forgotten == "told by a person":
        restored.copy = recovery.begin_by_person(world.parts, [], actor="ada", reason="all of it").copy
    else:
        assert restored.tide(first=True).began
    world.clock.on(1)
    restored.tide()

    restored.kept = newer
    restored.restore()

    world.clock.on(1)
    world.release()
    restored.new_process()
    assert submission.claim(world.parts, [found]) == []
    began = restored.tide().began
    assert began is not None
    assert began.why == Why.BEHIND


# ---- what MTN is known to have is given up by nobody, whatever sends the restored ledger knows ------------------------


@pytest.mark.parametrize("has_been_paid_twice", [False, True])
def test_what_a_search_disputes_is_neither_cancelled_nor_released(
    restored: Restored, has_been_paid_twice: bool
) -> None:
    """An operator was told to wait for the search, and repeats what he asked for once it is done."""
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    restored.reread()
    assert cancel(world, found).refused is not None
    restored.mtn.has[restored.reference("k", 1)] = Status.PENDING
    if has_been_paid_twice:
        restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    else:
        world.mtn.on_look = lambda request: replace(
            restored.mtn.look(request), facts=replace(LookVerdict(LookAnswer.FOUND).facts, amount="7")
        )
    restored.search()
    assert restored.outcomes() == {found: "disputed"}

    given_up_by = (cancel(world, found), operator.release(world.parts, found, by=By("ada", "again")))

    for decided in given_up_by:
        assert decided is not None
        assert decided.refused is not None
    assert world.payment(found).state is State.HELD


def test_what_was_adopted_and_has_vanished_at_mtn_is_not_cancelled(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): Status.PENDING}))
    restored.reread()
    restored.search()
    assert restored.release().done
    del restored.mtn.has[restored.reference("k", 1)]
    world.run_until(lambda: world.payment(found).state is State.HELD, step=60.0)
    assert world.payment(found).held_cause is HeldCause.VANISHED

    assert cancel(world, found).refused is not None
    assert world.payment(found).state is State.HELD


def test_what_mtn_contradicts_while_it_lies_on_the_desk_is_not_let_go_with_the_others(restored: Restored) -> None:
    """The retry waits unsent; then MTN says of the attempt before it, which had failed, that it is paid."""
    world = restored.world
    (found, other) = world.accept("k", "other")
    restored.pay(found, Status.FAILED)
    until_ms = world.clock.at_ms + 30 * 86_400_000
    assert operator.retry(world.parts, found, by=By("ada", "again"), until_ms=until_ms, producer_knows=True)
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.outcomes() == {found: "unsent", other: "unsent"}
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    world.clock.on(DAYS)
    for item, verdict in polling.ask_late(world.parts, limit=5):
        outcome.record_late(world.parts, item, verdict)
    assert world.types(found)[-1] == "contradicted"

    done = restored.release(send_unsent=True)

    assert (done.done, done.let_go) == (True, 1)
    assert (world.payment(found).state, world.payment(other).state) == (State.HELD, State.ACCEPTED)
