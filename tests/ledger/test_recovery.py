"""A ledger that was restored: noticed by itself, sends nothing, asks MTN about everything, and goes on by a person's word."""

from dataclasses import replace

import pytest
from tests.support.ledger_world import NAMESPACE, a_job, a_world, an_account, an_entry
from tests.support.restored import HOUR, KNOWN_BY, Mtn, Restored, lost, stream_entry, unnoticed

from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import stops
from momo_worker.payment.operator import By
from momo_worker.payment.reference import reference_id
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.tide import Copy, KeptPause, Why
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, SendAnswer, SendVerdict, Status
from momo_worker.steps import intake, operator, outcome, recovery, recovery_search, submission
from momo_worker.steps.rescue import Rescue

# ---- noticing ------------------------------------------------------------------------------------------------------------


def test_a_ledger_behind_its_copy_is_in_recovery_and_sends_nothing(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.backup()
    restored.tide()
    assert restored.tide().began is None
    restored.restore()
    restored.new_process()

    began = restored.tide(first=True).began

    assert began is not None
    assert (began.why, began.tide_found, began.tide_known) == (Why.BEHIND, 1, 3)
    assert (began.epoch, restored.copy.epoch, restored.copy.tide) == (2, 2, began.began_at_ms + 1)
    world.turn()
    world.send([found])
    assert world.mtn.references() == []
    assert world.payment(found).state is State.ACCEPTED
    assert restored.tide().began is None


@pytest.mark.parametrize("known_by", KNOWN_BY)
def test_before_anybody_has_noticed_a_process_that_saw_more_sends_nothing(restored: Restored, known_by: str) -> None:
    world = restored.world
    (found,) = world.accept("k")
    claimed = submission.claim(world.parts, [found])
    restored.backup()
    unnoticed(restored, known_by)
    report = submission._call(world.parts, submission._Permit(world.parts, claimed), claimed[0])
    assert (report.verdict.answer, report.verdict.cause) == (SendAnswer.NOT_NOW, Cause.NOT_DEPARTED)
    outcome.record_sends(world.parts, [report])
    assert [send.never_left for send in world.sends(found)] == [True]
    assert world.mtn.references() == []
    assert world.payment(found).state is State.ACCEPTED


def test_a_process_whose_redis_names_another_ledger_sends_nothing(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.copy = replace(restored.copy, ledger_id="another")
    world.send([found])
    assert world.mtn.references() == []


def test_an_empty_ledger_under_a_used_namespace_is_in_recovery(restored: Restored) -> None:
    restored.backup()
    restored.kept["installation"][0] |= {"tide": 0, "ledger_id": "new"}
    restored.tide()
    restored.copy = replace(restored.copy, epoch=7)
    restored.restore()
    restored.new_process()
    began = restored.tide(first=True).began
    assert began is not None
    # Above what any consumer has seen, however new the ledger is; and every job that is kept is read.
    assert (began.why, began.epoch, began.jobs_from, began.lost_from_ms) == (Why.EMPTY, 8, "0-0", None)


def test_a_used_ledger_without_any_copy_is_in_recovery_unless_somebody_raises_its_tide(restored: Restored) -> None:
    world = restored.world
    restored.copy = None
    world.parts = replace(world.parts, tidemark=Tidemark())
    assert restored.tide(first=True).began is None
    restored.copy = None
    world.clock.on(60)
    began = recovery.raise_tide(world.parts, [], first=True).began
    assert began is not None
    assert began.why == Why.NO_COPY
    # It is in recovery already, so nothing is begun again.
    world.clock.on(60)
    assert recovery.raise_tide(world.parts, [], first=True).began is None


def test_a_ledger_whose_only_copy_names_another_is_in_recovery_once(restored: Restored) -> None:
    """A used ledger of this installation was put in another's place."""
    world = restored.world
    (found,) = world.accept("k")
    restored.tide()
    restored.copy = theirs = replace(restored.copy, ledger_id="another", tide=1, epoch=5)
    began = restored.tide().began
    assert began is not None
    assert (began.why, began.epoch) == (Why.OTHER_LEDGER, 6)
    world.turn()
    world.send([found])
    assert world.mtn.references() == []
    # A pump that reads the same copy once more begins nothing again.
    assert recovery.raise_tide(world.parts, [theirs]).began is None


def test_another_installations_copy_says_nothing(restored: Restored) -> None:
    other = Copy("x", "another namespace", 10_000, 9, 0)
    assert recovery.raise_tide(restored.world.parts, [other]).began is None


def test_a_second_restore_is_a_second_recovery_above_the_first(restored: Restored) -> None:
    restored.world.accept("k")
    restored.backup()
    restored.tide()
    restored.restore()
    first = restored.tide().began
    restored.restore()
    second = restored.tide().began
    assert first is not None
    assert second is not None
    assert second.epoch == first.epoch + 1
    assert restored.current().id == second.id


def test_a_pause_that_the_restore_took_away_is_put_back(restored: Restored) -> None:
    world = restored.world
    restored.backup()
    with world.ledger.write() as tx:
        stops.add_pause(tx, account="default", product="", run="", reason="fraud", actor="eve")
    restored.tide()
    assert restored.copy.pauses == (KeptPause("default", "", "", "fraud", "eve"),)
    restored.restore()
    restored.tide()
    with world.ledger.read() as tx:
        (pause,) = stops.pauses(tx)
    assert (pause.account, pause.reason, pause.actor) == ("default", "fraud", "recovery, for eve")


# ---- what MTN knows ------------------------------------------------------------------------------------------------------


def test_what_was_paid_after_the_backup_is_found_and_not_paid_again(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: restored.pay(found))
    assert world.payment(found).state is State.ACCEPTED
    restored.reread()
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert world.payment(found).state is State.PENDING
    assert restored.release().done
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert len(world.mtn.left) == 1
    (last,) = [event for event in world.events(found) if event["type"] == "momo.payment.successful"]
    assert (last["data"]["epoch"], last["data"]["attempt"]) == (2, 1)


def test_what_was_retried_after_the_backup_is_found_under_its_last_attempt(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")

    def fails_and_is_paid_at_the_third() -> None:
        # The second was refused without a trace, so MTN has the first and the third.
        restored.pay(found, Status.FAILED)
        restored.mtn.has[restored.reference("k", 3)] = Status.SUCCESSFUL

    lost(restored, fails_and_is_paid_at_the_third)
    restored.reread()
    restored.search()
    payment = world.payment(found)
    assert (payment.state, payment.attempt, payment.reference_id) == (State.PENDING, 3, restored.reference("k", 3))
    restored.release()
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert "failed" not in world.types(found)
    assert len(world.mtn.left) == 1


@pytest.mark.parametrize("first", [Status.FAILED, Status.PENDING])
def test_what_mtn_has_counts_only_once_a_later_attempt_would_be_seen(restored: Restored, first: Status) -> None:
    """The lost ledger heard of the failure, or a person gave MTN's statement; it tried again, and died with its POST on the way: MTN shows attempt 2 a minute later."""
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 1): first}))
    restored.reread()
    restored.search(seconds=0.0)
    assert restored.outcomes() == {found: None}
    assert restored.release().done is False
    restored.mtn.has |= {restored.reference("k", 1): Status.FAILED, restored.reference("k", 2): Status.SUCCESSFUL}
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert restored.release().done
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert (world.payment(found).attempt, "failed" in world.types(found)) == (2, False)


def test_a_failure_whose_retry_was_lost_is_opened_again(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.pay(found, Status.FAILED)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.SUCCESSFUL}))
    restored.reread()
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert world.types(found)[-2:] == ["pending", "successful"]
    assert world.payment(found).attempt == 2


def test_until_the_search_is_over_no_failure_of_an_earlier_attempt_is_told(restored: Restored) -> None:
    """R6: the producer would pay again under another key, and attempt 2 is paid."""
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    reference = world.payment(found).reference_id

    def fails_and_is_retried() -> None:
        restored.mtn.has[reference] = Status.FAILED
        restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL

    lost(restored, fails_and_is_retried)
    world.clock.on(HOUR)
    world.turn()
    world.look([found])
    assert world.payment(found).state is State.PENDING
    assert world.mtn.looked == []
    restored.reread()
    restored.search()
    world.run_until(lambda: world.payment(found).state is not State.PENDING)
    assert world.types(found)[-1] == "successful"
    assert "failed" not in world.types(found)


def test_what_was_never_sent_waits_for_a_person_who_may_let_it_go(restored: Restored) -> None:
    world = restored.world
    cancelled, wanted = world.accept("cancelled", "wanted")
    lost(restored, lambda: operator.cancel(world.parts, cancelled, actor="eve", reason="left"))
    restored.reread()
    restored.search(seconds=0.0)
    # A 404 counts only when what the lost ledger had sent must be visible.
    assert set(restored.outcomes().values()) == {None}
    assert restored.release().done is False
    restored.search()
    assert restored.outcomes() == dict.fromkeys((cancelled, wanted), "unsent")
    assert {world.payment(each).held_cause for each in (cancelled, wanted)} == {HeldCause.RECOVERY}
    assert world.mtn.left == []
    released = operator.cancel(world.parts, cancelled, actor="ada", reason="was cancelled before")
    assert released is not None
    assert released.payment.state is State.CANCELLED
    done = restored.release(send_unsent=True)
    assert (done.done, done.let_go) == (True, 1)
    restored.pay(wanted)
    assert world.mtn.references() == [world.payment(wanted).reference_id]
    assert world.rows("SELECT action, actor FROM journal ORDER BY id")[-1] == ("recovery released", "ada")


def test_a_release_without_more_leaves_the_unsent_on_the_desk(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done
    world.clock.on(HOUR)
    world.turn()
    assert world.payment(found).state is State.HELD
    assert world.mtn.left == []


def test_nothing_expires_before_it_was_looked_for(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k", operation="collect")
    lost(
        restored,
        lambda: restored.mtn.has.update({reference_id(NAMESPACE, "default", "collect", "k", 1): Status.SUCCESSFUL}),
    )
    world.clock.on(HOUR)
    Rescue(world.parts).run()
    assert world.payment(found).state is State.ACCEPTED
    restored.reread()
    restored.search()
    assert world.payment(found).state is State.PENDING


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED])
def test_a_resolution_that_was_lost_is_a_persons_once_more_and_moves_no_money(restored: Restored, state: State) -> None:
    world = restored.world
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.UNKNOWN, http_status=504)
    (found,) = world.accept("k")
    world.send([found])
    said = Resolve(By("eve", "as the statement has it"), state, "statement", statement="statement 12, line 4")

    def resolves() -> None:
        decided = operator.resolve(world.parts, found, said)
        assert decided is not None
        assert decided.refused is None

    lost(restored, resolves)
    assert world.payment(found).state is State.UNKNOWN
    restored.reread()
    restored.search()
    assert restored.release(send_unsent=True).done
    for _ in range(24):
        world.clock.on(HOUR)
        world.turn()
    # Neither the resolution nor its opposite is told by anybody but a person.
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.HELD, HeldCause.RECOVERY)
    assert world.types(found)[-1] == "held"
    resolves()
    assert (world.payment(found).state, world.types(found)[-1]) == (state, state.value)
    assert len(world.mtn.left) == 1


def test_until_mtn_was_asked_no_person_decides_about_a_payment(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: restored.pay(found))
    refused = operator.cancel(world.parts, found, actor="eve", reason="left")
    assert refused is not None
    assert refused.refused is not None
    assert "MTN hasn't been asked" in refused.refused.why
    assert world.payment(found).state is State.ACCEPTED


def test_an_answer_that_is_no_word_keeps_the_search_open_until_a_person_goes_on_without(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    restored.mtn.lost_words.add(restored.reference("k", 2))
    restored.reread()
    restored.search()
    assert restored.outcomes() == {found: None}
    refused = restored.release()
    assert (refused.done, refused.waits.searches) == (False, 1)
    done = restored.release(skip=recovery.Skip(searches=True), send_unsent=True)
    # What nobody has asked about isn't sent with the others, whatever else was asked for.
    assert (done.done, done.held, done.let_go) == (True, 1, 0)
    assert world.payment(found).held_cause is HeldCause.RECOVERY


def test_a_sent_payment_that_mtn_doesnt_know_goes_to_the_desk_and_is_asked_about(restored: Restored) -> None:
    world = restored.world
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.UNKNOWN, http_status=504)
    (found,) = world.accept("k")
    world.send([found])
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    payment = world.payment(found)
    assert (payment.state, payment.held_cause) == (State.HELD, HeldCause.RECOVERY)
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, step=600.0)


@pytest.mark.parametrize("has_been_paid_twice", [False, True])
def test_what_isnt_ours_or_is_there_twice_goes_to_the_desk(restored: Restored, has_been_paid_twice: bool) -> None:
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    restored.reread()
    restored.mtn.has |= {restored.reference("k", 1): Status.PENDING, restored.reference("k", 2): Status.SUCCESSFUL}
    if not has_been_paid_twice:
        del restored.mtn.has[restored.reference("k", 2)]
        world.mtn.on_look = lambda request: replace(
            restored.mtn.look(request), facts=replace(LookVerdict(LookAnswer.FOUND).facts, amount="7")
        )
    restored.search()
    payment = world.payment(found)
    cause = HeldCause.SUSPECT_DUPLICATE if has_been_paid_twice else HeldCause.MISMATCH
    assert (payment.state, payment.held_cause) == (State.HELD, cause)
    assert restored.outcomes() == {found: "disputed"}


# ---- jobs that only the stream has ---------------------------------------------------------------------------------------


def test_jobs_accepted_after_the_backup_come_back_from_the_stream(restored: Restored) -> None:
    world = restored.world
    paid, unsent = stream_entry("paid", 100), stream_entry("unsent", 200)

    def taken_and_one_paid() -> None:
        world.take(paid, unsent)
        restored.pay(world.id_of("paid"))

    lost(restored, taken_and_one_paid)
    restored.reread(paid, unsent)
    # And one that came only after the restore: it has no past that could be lost.
    world.take(stream_entry("new", 300))
    restored.search()
    assert restored.outcomes() == {world.id_of("paid"): "adopted", world.id_of("unsent"): "unsent"}
    assert restored.release().done
    world.run_until(lambda: world.payment(world.id_of("new")).state is State.PENDING, step=1.0)
    assert len(world.mtn.left) == 2
    assert world.payment(world.id_of("unsent")).state is State.HELD


def test_a_job_that_is_read_again_is_refused_by_no_limit_and_waits_for_what_it_speaks_of(ledger_url: str) -> None:
    account = replace(an_account(), direct_limit=replace(an_account().direct_limit, per_day_minor=200_000))
    with a_world(ledger_url, account) as world:
        restored = Restored(world, Mtn())
        restored.tide(first=True)
        jobs = [stream_entry("a", 100), stream_entry("b", 200)]
        refund = an_entry(
            {"operation": "refund", "idempotency_key": "r", "amount": "5", "currency": "UGX", "refund_of": "gone"},
            "momo:jobs/300-0",
        )
        recovery.begin_by_person(world.parts, [], actor="ada", reason="test")
        restored.reread(*jobs, refund)
        assert world.count("payment") == 2
        assert world.rejections() == []
        world.clock.on(3 * HOUR)
        assert intake.retry_waiting(world.parts, limit=10).waiting == ("momo:jobs/300-0",)
        restored.search()
        assert restored.release().done
        world.clock.on(60)
        intake.retry_waiting(world.parts, limit=10)
        assert [one["errors"][0]["field"] for one in world.rejections()] == ["refund_of"]


def test_an_entry_that_ends_its_readers_is_kept_as_a_rejected_job(restored: Restored) -> None:
    lost(restored, lambda: None)
    seen = []
    for _ in range(6):
        seen.append(recovery.next_reading(restored.world.parts, stream_end="100-0", stream_begin="100-0"))
        # It died, and nobody knows before its time is over.
        restored.world.clock.on(recovery.ALONE_MS / 1000)
    assert [each.count for each in seen if each] == [100, 1, 1, 1, 1, 1]
    assert [each.poison for each in seen if each] == [False, False, False, False, True, True]


# ---- 409 to a first send -------------------------------------------------------------------------------------------------


def test_a_409_to_a_first_send_after_a_restore_is_adopted_and_its_later_attempts_are_searched(
    restored: Restored,
) -> None:
    world = restored.world
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    restored.release()
    # Accepted by the command line and paid at the second attempt in the lost time; its producer sends it again.
    restored.mtn.has |= {restored.reference("k", 1): Status.FAILED, restored.reference("k", 2): Status.SUCCESSFUL}
    (found,) = world.take(an_entry(a_job("k"), "command_line:1")).accepted
    world.send([found])
    payment = world.payment(found)
    assert (payment.state, payment.due_at_ms) == (State.PENDING, None)
    while recovery_search.search(world.parts):
        pass
    world.run_until(lambda: world.payment(found).state is not State.PENDING)
    assert (world.payment(found).state, world.payment(found).attempt) == (State.SUCCESSFUL, 2)
    assert "failed" not in world.types(found)


def test_long_after_a_restore_a_409_to_a_first_send_is_a_persons(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    restored.release()
    world.clock.on(8 * 24 * HOUR)
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    (found,) = world.accept("k")
    world.send([found])
    assert world.payment(found).held_cause is HeldCause.REFERENCE_USED


# ---- under running processes ---------------------------------------------------------------------------------------------


def test_an_answer_for_a_payment_that_the_restore_took_away_costs_no_neighbour(restored: Restored) -> None:
    world = restored.world
    (kept,) = world.accept("kept")
    restored.backup()
    (gone,) = world.accept("gone")
    reports = world.send([kept, gone], record=False)
    assert len(reports) == 2
    restored.restore()
    outcome.record_sends(world.parts, reports)
    # MTN's acceptance of the one that is there counts, though the ledger has forgotten its claim.
    assert world.payment(kept).state is State.PENDING
    # No tide was lost, so no copy could tell; but a claim that was committed is gone.
    assert (restored.current().why, restored.current().epoch) == (Why.LOST_CLAIM, 2)
    # Its attempt was forgotten as well, and comes back with the search: without it nobody could ask.
    restored.reread()
    restored.search()
    restored.mtn.has[world.payment(kept).reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(kept).state is State.SUCCESSFUL)


def test_what_was_told_before_anybody_noticed_is_told_again_under_the_new_epoch(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    restored.backup()
    restored.tide()
    restored.restore()
    restored.mtn.has[world.payment(found).reference_id] = Status.SUCCESSFUL
    # By a process that has read nothing of the lost ledger, while Redis is away: others look at nothing in this moment.
    knows, world.parts = world.parts, replace(world.parts, tidemark=Tidemark())
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, seconds_max=HOUR)
    world.parts = knows
    before = world.events(found)[-1]
    world.write("UPDATE outbox SET published_at_ms = 1")
    restored.tide()
    restored.reread()
    restored.search()
    after = world.events(found)[-1]
    assert (before["data"]["epoch"], after["data"]["epoch"]) == (1, 2)
    assert (before["id"], before["data"]["sequence"]) == (after["id"], after["data"]["sequence"])
    assert world.rows("SELECT count(*) FROM outbox WHERE published_at_ms IS NULL") == [1]
