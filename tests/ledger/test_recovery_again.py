"""A restored ledger, and what comes after: another restore, jobs that come again late, answers of hours ago, what is told once more."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.ledger_world import NAMESPACE, World, an_entry
from tests.support.restored import HOUR, SETTLED_SECONDS, Restored, lost, stream_entry

from momo_worker.commons import retelling
from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import recovery as book
from momo_worker.payment.reference import reference_id
from momo_worker.payment.tide import Why
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import LookVerdict, RenderedRequest, Status
from momo_worker.steps import intake, operator, outcome, recovery, recovery_search
from momo_worker.steps.rescue import Rescue

DAYS = 24 * HOUR


def asked(restored: Restored, *, seconds: float = 60.0) -> None:
    """The searches that are due now, and those that are after a while."""
    for wait in (0.0, seconds):
        restored.world.clock.on(wait)
        while recovery_search.search(restored.world.parts):
            pass


def recovered(restored: Restored) -> None:
    """A recovery that found nothing, begun and ended."""
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done


def cancel(world: World, payment_id: str) -> operator.Decided:
    found = operator.cancel(world.parts, payment_id, actor="eve", reason="left")
    assert found is not None
    return found


# ---- a recovery of a ledger that is in one -------------------------------------------------------------------------------


@pytest.mark.parametrize("was_read", [False, True])
def test_without_a_copy_a_ledger_in_recovery_begins_another_once_something_was_done_in_it(
    restored: Restored, was_read: bool
) -> None:
    """It may have been restored while it was in recovery, or long after: what was done since then is lost."""
    lost(restored, lambda: None)
    if was_read:
        restored.reread(stream_entry("k", 100))
    restored.backup()
    restored.restore()
    restored.copy = None
    restored.world.parts = replace(restored.world.parts, tidemark=Tidemark())
    restored.world.clock.on(60)
    began = recovery.raise_tide(restored.world.parts, [], first=True).began
    assert (began.why if began else None) == (Why.NO_COPY if was_read else None)


def test_half_of_the_jobs_read_is_something_done(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    reading = recovery.next_reading(world.parts, stream_end="200-0", stream_begin=None)
    assert reading is not None
    recovery.note_read(world.parts, reading, "100-0", 1)
    restored.copy = None
    world.parts = replace(world.parts, tidemark=Tidemark())
    world.clock.on(60)
    assert recovery.raise_tide(world.parts, [], first=True).began is not None


def begun_once_more(restored: Restored) -> book.Recovery:
    """A pump notices that the ledger is behind again."""
    restored.world.clock.on(HOUR)
    known = restored.tide().copy
    restored.copy = replace(known, tide=known.tide + 1_000_000)
    began = restored.tide().began
    assert began is not None
    return began


@pytest.mark.parametrize("everything", [False, True])
def test_a_recovery_that_begins_before_anothers_jobs_are_read_keeps_the_wider_range(
    restored: Restored, everything: bool
) -> None:
    since = None if everything else restored.world.clock.at_ms - 5 * 3_600_000
    recovery.begin_by_person(restored.world.parts, [], actor="ada", reason="a backup", since_ms=since)
    first = restored.current()
    second = begun_once_more(restored)
    assert (second.lost_from_ms, second.jobs_from) == (since, first.jobs_from)
    assert second.epoch > first.epoch


def test_once_a_recovery_is_through_another_reads_from_the_ledgers_last_entry(restored: Restored) -> None:
    recovery.begin_by_person(restored.world.parts, [], actor="ada", reason="a backup")
    restored.reread()
    restored.search()
    second = begun_once_more(restored)
    assert second.lost_from_ms == restored.world.clock.at_ms


def test_a_reading_of_an_older_recovery_changes_nothing_though_the_new_one_has_its_number(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    reading = recovery.next_reading(world.parts, stream_end="100-0", stream_begin=None)
    assert reading is not None
    first = restored.current()
    restored.restore()
    restored.tide()
    world.write("UPDATE recovery SET id = :id", id=first.id)
    assert restored.current().epoch > reading.epoch
    recovery.note_read(world.parts, reading, "100-0", 7)
    recovery.note_read(world.parts, reading, None, 0)
    found = restored.current()
    assert (found.jobs_read, found.jobs_read_to, found.jobs_done_at_ms) == (0, None, None)


def test_a_release_ends_no_recovery_that_began_meanwhile(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    world = restored.world
    lost(restored, lambda: None)
    restored.reread()
    restored.search()

    def restored_just_now(*_: Any) -> None:
        recovery.begin_by_person(world.parts, [], actor="ada", reason="once more")

    monkeypatch.setattr(retelling, "tell_again", restored_just_now)
    assert restored.release().done is False
    assert restored.current().detail == "once more"


def test_a_search_for_a_payment_that_is_gone_costs_no_neighbour(restored: Restored) -> None:
    world = restored.world
    (kept,) = world.accept("kept")
    lost(restored, lambda: None)
    restored.reread()
    while recovery.list_payments(world.parts):
        pass
    restored.backup()
    (gone,) = world.take(an_entry({**job("gone")}, "command_line:1")).accepted
    assert cancel(world, gone).refused is not None
    restored.mtn.has[restored.reference("kept", 1)] = Status.SUCCESSFUL
    looks: list[RenderedRequest] = []

    def restored_under_the_look(request: RenderedRequest) -> LookVerdict:
        if not looks:
            restored.restore()
        looks.append(request)
        return restored.mtn.look(request)

    world.mtn.on_look = restored_under_the_look
    assert recovery_search.search(world.parts) == 2
    assert {look.reference_id for look in looks} >= {restored.reference("kept", 1), restored.reference("gone", 1)}
    assert world.count("payment") == 1
    assert restored.outcomes() == {kept: "adopted"}


def job(key: str, **changes: Any) -> dict[str, Any]:
    fields = {"operation": "disburse", "idempotency_key": key, "amount": "150000", "currency": "UGX"}
    return {**fields, "msisdn": "256772123456", **changes}


# ---- a job that its producer sends again after the restore ---------------------------------------------------------------


def come_again(restored: Restored, *, during: bool) -> str:
    """Its producer sends again what no stream kept, while the ledger is in recovery or after it."""
    world = restored.world
    if not during:
        recovered(restored)
    else:
        lost(restored, lambda: None)
        restored.reread()
        while recovery.list_payments(world.parts):
            pass
    (found,) = world.take(an_entry(job("k"), "command_line:1")).accepted
    assert restored.outcomes() == {}
    return found


def cancelled(world: World, payment_id: str) -> None:
    decided = cancel(world, payment_id)
    assert decided.refused is None or "MTN hasn't been asked" in decided.refused.why


def expired(world: World, payment_id: str) -> None:
    world.write("UPDATE payment SET not_after_ms = :now WHERE id = :id", now=world.clock.at_ms, id=payment_id)
    Rescue(world.parts).run()


def expired_at_its_claim(world: World, payment_id: str) -> None:
    sent = len(world.mtn.left)
    until = world.clock.at_ms + 1_000
    sql = "UPDATE payment SET not_after_ms = :now, released_until_ms = :until, due_at_ms = :now WHERE id = :id"
    world.write(sql, now=world.clock.at_ms, until=until, id=payment_id)
    world.send([payment_id])
    assert len(world.mtn.left) == sent


Ending = Callable[[World, str], None]
ENDINGS = (cancelled, expired, expired_at_its_claim)
#: Nobody claims anything in recovery, and rescue doesn't look.
WAYS = [(cancelled, True), (cancelled, False), (expired, False), (expired_at_its_claim, False)]


@pytest.mark.parametrize(("end", "during"), WAYS)
def test_what_came_again_is_ended_by_nobody_before_mtn_was_asked_and_mtn_has_it(
    restored: Restored, end: Ending, during: bool
) -> None:
    world = restored.world
    found = come_again(restored, during=during)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    end(world, found)
    assert world.payment(found).state is State.ACCEPTED
    assert restored.outcomes() == {found: None}
    asked(restored)
    assert (world.payment(found).state, world.payment(found).attempt) == (State.PENDING, 2)
    assert restored.outcomes() == {found: "adopted"}
    assert world.mtn.left == []


@pytest.mark.parametrize(("end", "during"), WAYS)
def test_what_came_again_and_mtn_doesnt_know_stands_and_may_be_ended_then(
    restored: Restored, end: Ending, during: bool
) -> None:
    world = restored.world
    found = come_again(restored, during=during)
    end(world, found)
    asked(restored, seconds=SETTLED_SECONDS)
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.ACCEPTED, None)
    assert restored.outcomes() == {found: "stands"}
    end(world, found)
    assert world.payment(found).state is State.CANCELLED
    assert world.mtn.left == []


@pytest.mark.parametrize("end", ENDINGS)
def test_long_after_the_restore_nobody_asks(restored: Restored, end: Ending) -> None:
    world = restored.world
    recovered(restored)
    world.clock.on(8 * DAYS)
    (found,) = world.take(an_entry(job("k"), "command_line:1")).accepted
    end(world, found)
    assert world.payment(found).state is State.CANCELLED
    assert world.mtn.looked == []
    assert restored.outcomes() == {}


def given_up(restored: Restored) -> str:
    """On the desk, since a person went on without MTN's word; then they would cancel it, and MTN is asked."""
    world = restored.world
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    restored.mtn.lost_words.add(restored.reference("k", 1))
    restored.reread()
    assert restored.release(skip=recovery.Skip(searches=True)).done
    assert restored.outcomes() == {found: "skipped"}
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    restored.mtn.lost_words.clear()
    assert cancel(world, found).refused is not None
    assert world.payment(found).state is State.HELD
    assert restored.outcomes() == {found: None}
    return found


def test_what_was_given_up_unasked_is_asked_about_before_a_person_cancels_it(restored: Restored) -> None:
    found = given_up(restored)
    asked(restored, seconds=SETTLED_SECONDS)
    assert restored.outcomes() == {found: "stands"}
    assert cancel(restored.world, found).payment.state is State.CANCELLED


def test_what_was_given_up_unasked_and_mtn_has_ends_by_mtns_word(restored: Restored) -> None:
    world = restored.world
    found = given_up(restored)
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, seconds_max=60.0)
    assert world.mtn.left == []


def test_that_mtn_has_a_cancelled_payment_is_told_and_moves_nothing(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    assert cancel(world, found).payment.state is State.CANCELLED
    lost(restored, lambda: None)
    restored.reread()
    recovery.look_for_told(world.parts, restored.current().epoch, [found])
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    restored.search()
    assert restored.outcomes() == {found: "disputed"}
    assert world.payment(found).state is State.CANCELLED
    assert world.types(found) == ["accepted", "cancelled", "contradicted"]
    assert "attempt 1 is SUCCESSFUL at MTN" in str(world.events(found)[-1]["data"])


# ---- refunds of what is still being looked for ---------------------------------------------------------------------------


def a_refund(key: str, source: str, of: str = "c", amount: str = "5") -> intake.Entry:
    fields = {"operation": "refund", "idempotency_key": key, "amount": amount, "currency": "UGX", "refund_of": of}
    return an_entry(fields, source)


def retried(restored: Restored) -> None:
    """A pump tries what waits."""
    restored.world.clock.on(60)
    intake.retry_waiting(restored.world.parts, limit=10)


def collection_pending_after_the_release(restored: Restored, *, refund_sent: Callable[[], None]) -> str:
    """Collected and refunded by the lost ledger; the recovery ends while MTN still says that the collection is pending."""
    world = restored.world
    (found,) = world.accept("c", operation="collect")
    lost(
        restored,
        lambda: restored.mtn.has.update({reference_id(NAMESPACE, "default", "collect", "c", 1): Status.PENDING}),
    )
    restored.reread(a_refund("again", "momo:jobs/300-0"))
    refund_sent()
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert restored.release().done
    retried(restored)
    assert world.payment(found).state is State.PENDING
    return found


def waiting(world: World) -> list[str]:
    return world.rows("SELECT source FROM waiting_job ORDER BY source")


def test_a_refund_that_is_read_again_or_sent_during_the_recovery_waits_for_its_collections_end(
    restored: Restored,
) -> None:
    world = restored.world
    fresh = a_refund("fresh", "momo:jobs/900-0")
    found = collection_pending_after_the_release(restored, refund_sent=lambda: (world.take(fresh), None)[1])
    assert waiting(world) == ["momo:jobs/300-0", "momo:jobs/900-0"]
    assert world.rejections() == []
    # Nor does anybody know of one that comes only now, in the week after, whether the lost ledger paid it (seed 104).
    world.take(a_refund("late", "momo:jobs/950-0"))
    assert world.rejections() == []
    assert waiting(world) == ["momo:jobs/300-0", "momo:jobs/900-0", "momo:jobs/950-0"]

    restored.mtn.has[world.payment(found).reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    retried(restored)
    assert waiting(world) == []
    assert [world.payment(world.id_of(key)).refund_of for key in ("again", "fresh", "late")] == [found] * 3
    assert world.rejections() == []


def test_a_refund_whose_collection_failed_is_rejected_at_last(restored: Restored) -> None:
    world = restored.world
    found = collection_pending_after_the_release(restored, refund_sent=lambda: None)
    restored.mtn.has[world.payment(found).reference_id] = Status.FAILED
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    retried(restored)
    assert waiting(world) == []
    assert [rejected["errors"][0]["field"] for rejected in world.rejections()] == ["refund_of"]


def test_refunds_wait_for_a_collection_that_goes_to_the_desk_too(restored: Restored) -> None:
    """Told as rejected, what the lost ledger had refunded would be given back once more in another way."""
    world = restored.world
    fresh = a_refund("fresh", "momo:jobs/900-0")
    collection_pending_after_the_release(restored, refund_sent=lambda: (world.take(fresh), None)[1])
    world.write("UPDATE payment SET state = 'held', held_cause = 'mismatch' WHERE idempotency_key = 'c'")
    retried(restored)
    assert waiting(world) == ["momo:jobs/300-0", "momo:jobs/900-0"]
    assert world.rejections() == []


def collected_and_refunded_in_part(restored: Restored) -> None:
    """The lost ledger collected 150000 and gave 5 back, and was about to tell that it refuses to give back all of it."""
    world = restored.world
    (found,) = world.accept("c", operation="collect")
    world.run_until(lambda: world.payment(found).state is State.PENDING)
    restored.mtn.has[world.payment(found).reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    restored.mtn.has[refund_reference("first")] = Status.SUCCESSFUL
    lost(restored, lambda: None)
    restored.reread()
    restored.search()


def refund_reference(key: str) -> str:
    return reference_id(NAMESPACE, "default", "refund", key, 1)


def all_of_it_comes_first(restored: Restored, *, waited: bool) -> str:
    """Both refunds come again, during the recovery or after it, and the wrong one first: it takes the room and is sent."""
    world = restored.world
    collected_and_refunded_in_part(restored)
    entries = [a_refund("all", "momo:jobs/500-0", amount="150000"), a_refund("first", "momo:jobs/501-0")]
    if waited:
        world.write("UPDATE payment SET state = 'pending' WHERE idempotency_key = 'c'")
        world.take(*entries)
        world.write("UPDATE payment SET state = 'successful' WHERE idempotency_key = 'c'")
        assert restored.release().done
        retried(restored)
    else:
        assert restored.release().done
        world.take(*entries)
    taker = world.id_of("all")
    world.release()
    world.send([taker])
    return taker


@pytest.mark.parametrize("waited", [True, False])
def test_a_refund_that_comes_again_waits_for_the_one_that_took_its_room(restored: Restored, waited: bool) -> None:
    """Told as rejected, what the lost ledger had given back would be given back once more in another way (seed 247)."""
    world = restored.world
    taker = all_of_it_comes_first(restored, waited=waited)
    retried(restored)
    assert (waiting(world), world.rejections()) == (["momo:jobs/501-0"], [])

    restored.mtn.has[refund_reference("all")] = Status.FAILED
    world.run_until(lambda: world.payment(taker).state is State.FAILED, seconds_max=3_600.0)
    retried(restored)
    assert waiting(world) == []
    first = world.id_of("first")
    world.release()
    world.send([first])
    # MTN has it already, so it is adopted, and its later attempts are asked about first.
    asked(restored)
    world.run_until(lambda: world.payment(first).state is State.SUCCESSFUL, seconds_max=3_600.0)
    assert world.rejections() == []


def test_a_refund_without_room_is_rejected_once_the_others_have_ended_and_told_to_compare(restored: Restored) -> None:
    world = restored.world
    taker = all_of_it_comes_first(restored, waited=True)
    restored.mtn.has[refund_reference("all")] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(taker).state is State.SUCCESSFUL, seconds_max=3_600.0)
    retried(restored)
    assert waiting(world) == []
    ((error,),) = [rejected["errors"] for rejected in world.rejections()]
    assert error["field"] == "amount"
    assert "compare with MTN's statement" in error["advice"]


def test_long_after_a_restore_a_refund_without_room_is_rejected_at_once(restored: Restored) -> None:
    world = restored.world
    collected_and_refunded_in_part(restored)
    assert restored.release().done
    world.clock.on(8 * DAYS)
    world.take(a_refund("all", "momo:jobs/500-0", amount="150000"), a_refund("more", "momo:jobs/501-0"))
    assert waiting(world) == []
    ((error,),) = [rejected["errors"] for rejected in world.rejections()]
    assert error["advice"] == "refund at most what was collected"


# ---- answers of hours ago ------------------------------------------------------------------------------------------------


def claim_lost_in_a_restore(restored: Restored, key: str) -> list[Any]:
    """A claim and its call after the backup; the answer is still on its way."""
    restored.backup()
    (found,) = restored.world.take(an_entry(job(key), f"command_line:{key}")).accepted
    restored.world.release()
    reports = restored.world.send([found], record=False)
    assert len(reports) == 1
    restored.tide()
    restored.restore()
    return reports


def test_an_answer_to_a_claim_from_before_the_recovery_begins_no_other(restored: Restored) -> None:
    world = restored.world
    reports = claim_lost_in_a_restore(restored, "k")
    world.clock.on(1)
    assert restored.tide().began is not None
    restored.reread()
    restored.search()
    assert restored.release().done
    world.clock.on(3 * HOUR)
    outcome.record_sends(world.parts, reports)
    assert world.rows("SELECT why FROM recovery") == [Why.BEHIND]

    # One that was claimed since is gone by another restore.
    restored.copy = None
    late = claim_lost_in_a_restore(restored, "later")
    outcome.record_sends(world.parts, late)
    assert restored.current().why == Why.LOST_CLAIM


# ---- told once more ------------------------------------------------------------------------------------------------------


def epochs(world: World, payment_id: str) -> list[int]:
    return [event["data"]["epoch"] for event in world.events(payment_id)]


def published(world: World) -> None:
    """The relay, which marks all."""
    world.write("UPDATE outbox SET published_at_ms = :now WHERE published_at_ms IS NULL", now=world.clock.at_ms)


def pending_since_long(restored: Restored) -> str:
    """At MTN since before the backup, and told so; the lost ledger told more."""
    world = restored.world
    (found,) = world.accept("k")
    world.send([found])
    published(world)
    world.clock.on(60)
    restored.tide()
    lost(restored, lambda: None)
    assert world.events(found)[-1]["time"] is not None
    restored.reread()
    return found


def told_again(world: World) -> list[Any]:
    return world.rows("SELECT payment_id FROM outbox WHERE published_at_ms IS NULL")


def test_a_payment_that_stands_as_it_was_is_told_again_when_the_search_is_over(restored: Restored) -> None:
    world = restored.world
    found = pending_since_long(restored)
    assert told_again(world) == []
    restored.search()
    assert restored.outcomes() == {found: "at_mtn"}
    assert world.types(found) == ["accepted", "pending"]
    assert epochs(world, found) == [1, 2]
    assert told_again(world) == [found]


def test_a_payment_that_stands_as_it_was_is_told_again_where_a_person_gave_up_the_search(restored: Restored) -> None:
    world = restored.world
    found = pending_since_long(restored)
    assert restored.release(skip=recovery.Skip(searches=True)).done
    assert restored.outcomes() == {found: "skipped"}
    assert epochs(world, found) == [1, 2]
    assert told_again(world) == [found]


def test_what_was_not_told_yet_when_a_recovery_begins_goes_under_its_epoch_at_once(restored: Restored) -> None:
    world = restored.world
    (old,) = world.accept("old")
    published(world)
    world.clock.on(60)
    restored.tide()
    (found,) = world.accept("k")
    lost(restored, lambda: None)
    assert epochs(world, found) == [2]
    assert epochs(world, old) == [1]
    assert told_again(world) == [found]


def test_a_payment_that_succeeded_before_the_backup_is_told_again_and_not_asked_about(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.pay(found)
    published(world)
    world.clock.on(HOUR)
    restored.tide()
    lost(restored, lambda: None)
    restored.reread()
    recovery.look_for_told(world.parts, restored.current().epoch, [found, "of the lost ledger alone"])
    looks = len(world.mtn.looked)
    restored.search()
    assert restored.outcomes() == {found: "stands"}
    assert len(world.mtn.looked) == looks
    assert epochs(world, found)[-1] == 2
    assert told_again(world) == [found]
