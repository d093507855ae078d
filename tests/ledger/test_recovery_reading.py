"""The jobs stream is read again by one pump at a time; what counts against an entry is a reader's end, and what was told of a job goes before what waits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.ledger.test_recovery_again import job
from tests.support.ledger_world import World, a_job, an_account, an_entry
from tests.support.restored import HOUR, Restored, lost, stream_entry

from momo_worker.accounts import DirectLimit
from momo_worker.commons import noticing
from momo_worker.ledger import installation, rereading
from momo_worker.ledger import recovery as book
from momo_worker.payment.job import Problem
from momo_worker.payment.operator import By
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.steps import intake, operator, recovery

ALONE = recovery.ALONE_MS / 1000
TOLD = Problem("replaces", "k", "isn't failed", "wait for its end")


def read(world: World) -> recovery.Reading | None:
    return recovery.next_reading(world.parts, stream_end="900-0", stream_begin=None)


def some(reading: recovery.Reading | None) -> recovery.Reading:
    assert reading is not None
    return reading


# ---- who reads -----------------------------------------------------------------------------------------------------------


def test_pumps_that_come_while_one_reads_are_not_counted_as_dead(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    first = some(read(world))
    for other in (world.beside() for _ in range(6)):
        assert read(other) is None
    recovery.note_read(world.parts, first, "100-0", 1)
    after = some(read(world.beside()))
    assert (after.after, after.count, after.poison) == ("100-0", first.count, False)


def test_one_that_says_nothing_for_its_time_is_taken_for_dead(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    some(read(world))
    world.clock.on(ALONE - 1)
    assert read(world.beside()) is None
    world.clock.on(1)
    assert some(read(world.beside())).count == 1


def test_a_reading_that_would_last_longer_than_any_is_the_work_of_a_clock_that_went_back(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    some(read(world))
    world.clock.jump(-7_200)
    assert read(world.beside()) is not None


def test_however_often_a_reading_fails_and_is_given_back_nothing_counts_against_its_entries(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    for _ in range(10):
        reading = some(read(world))
        assert (reading.count, reading.poison) == (100, False)
        recovery.give_back(world.parts, reading)


def test_a_reading_given_back_late_takes_nothing_from_whoever_reads_now(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    late = some(read(world))
    world.clock.on(ALONE)
    now = some(read(world.beside()))
    recovery.give_back(world.parts, late)
    found = restored.current()
    assert (found.jobs_tries, found.jobs_reading_until_ms) == (1, now.alone_until_ms)
    recovery.note_read(world.parts, now, "100-0", 1)
    recovery.give_back(world.parts, now)
    assert restored.current().jobs_tries == 0


def test_who_wakes_late_puts_nothing_back_that_another_has_read(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    late = some(read(world))
    world.clock.on(ALONE)
    now = some(read(world.beside()))
    recovery.note_read(world.parts, now, "300-0", 3)
    now = some(read(world.beside()))
    recovery.note_read(world.parts, late, "100-0", 1)
    found = restored.current()
    assert (found.jobs_read_to, found.jobs_read, found.jobs_reading_until_ms) == ("300-0", 3, now.alone_until_ms)


def test_one_that_was_overtaken_doesnt_keep_the_others_waiting(restored: Restored) -> None:
    """The one before it was taken for dead, woke while it read, and was the faster of the two."""
    world = restored.world
    lost(restored, lambda: None)
    late = some(read(world))
    world.clock.on(ALONE)
    now = some(read(world.beside()))
    recovery.note_read(world.parts, late, "300-0", 3)
    assert read(world.beside()) is None
    recovery.note_read(world.parts, now, "100-0", 1)
    assert some(read(world.beside())).after == "300-0"


# ---- what waits ----------------------------------------------------------------------------------------------------------


def waiting_for_its_account(restored: Restored, *sources: str) -> None:
    """The restored ledger has them waiting since long before its backup; by now their account is there."""
    world = restored.world
    world.take(*[an_entry(job(source, account="tomorrow"), source) for source in sources])
    world.clock.on(3 * HOUR)
    lost(restored, lambda: None)
    world.parts = replace(world.parts, accounts={"tomorrow": replace(an_account(), name="tomorrow")})


def test_a_waiting_job_that_was_told_as_rejected_is_rejected_wherever_it_came_from(restored: Restored) -> None:
    world = restored.world
    waiting_for_its_account(restored, "momo:jobs/100-0", "command_line:1", "command_line:2")
    told = {"momo:jobs/100-0": TOLD, "command_line:1": TOLD, **{f"command_line:x{n}": TOLD for n in range(1_200)}}

    for _ in range(2):
        intake.reject_waiting(world.parts, told)

    assert world.rows("SELECT source FROM waiting_job") == ["command_line:2"]
    assert sorted(each["source"] for each in world.rejections()) == ["command_line:1", "momo:jobs/100-0"]
    restored.reread()
    assert intake.retry_waiting(world.parts, limit=10).accepted == (world.id_of("command_line:2", "tomorrow"),)


def test_a_waiting_job_that_is_left_for_the_reading_goes_on_waiting(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recovery begins between the two questions whether anything is to be read again."""
    world = restored.world
    world.take(an_entry(job("k", account="tomorrow"), "momo:jobs/100-0"))
    world.clock.on(0.9 * HOUR)
    answers: list[Any] = [None, rereading.Unread("0-0", None)]
    monkeypatch.setattr(rereading, "unread", lambda _tx, _least: answers.pop(0))

    assert intake.retry_waiting(world.parts, limit=10).left == ("momo:jobs/100-0",)

    assert world.count("waiting_job") == 1


def test_a_job_that_waited_and_is_read_again_is_refused_by_no_limit_of_the_day(restored: Restored) -> None:
    world = restored.world
    limited = replace(an_account(), name="tomorrow", direct_limit=DirectLimit(per_day_minor=150_000))
    entry = stream_entry("waits", world.clock.at_ms, account="tomorrow")
    world.take(entry)
    lost(restored, lambda: None)
    restored.reread(entry)
    assert world.rows("SELECT door FROM waiting_job") == [intake.AGAIN]
    world.parts = replace(world.parts, accounts={"tomorrow": limited})
    world.take(an_entry(a_job("other", account="tomorrow"), "command_line:1"))
    world.clock.on(3 * HOUR)

    assert intake.retry_waiting(world.parts, limit=10).accepted == (world.id_of("waits", "tomorrow"),)
    assert world.rejections() == []


# ---- two questions -------------------------------------------------------------------------------------------------------


def test_a_restore_that_is_noticed_between_two_questions_is_seen_by_one_of_them(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = restored.world
    restored.tide()
    least = world.parts.tidemark.seen + 1
    other, begun = world.beside(), list[bool]()

    def noticed_after(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any) -> Any:
            found = ask(*args)
            if not begun:
                begun.append(True)
                recovery.begin_by_person(other.parts, [], actor="ada", reason="a backup")
            return found

        return asked

    monkeypatch.setattr(noticing.recovery, "current", noticed_after(book.current))
    monkeypatch.setattr(noticing.installation, "tide", noticed_after(installation.tide))
    with world.ledger.read() as tx:
        assert noticing.in_recovery(tx, least)


# ---- what MTN is known to have -------------------------------------------------------------------------------------------


def test_what_mtn_accepted_while_it_lay_on_the_desk_is_not_let_go_with_the_unsent(restored: Restored) -> None:
    world = restored.world
    found, other = world.accept("k", "other")
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    world.write("UPDATE payment SET acknowledged_at_ms = :at WHERE id = :id", at=world.clock.at_ms, id=found)

    assert restored.release(send_unsent=True).let_go == 1

    assert (world.payment(found).state, world.payment(other).state) == (State.HELD, State.ACCEPTED)


def test_a_suspected_duplicate_that_mtn_has_with_other_facts_is_resolved_by_a_person(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    world.write(
        "UPDATE payment SET state = 'held', held_cause = 'suspect_duplicate', work = NULL, due_at_ms = NULL, "
        "released_until_ms = NULL, acknowledged_at_ms = :at",
        at=world.clock.at_ms,
    )
    said = Resolve(By("ada", "it is paid"), State.SUCCESSFUL, "statement", statement="statement 12, line 4")
    decided = operator.resolve(world.parts, found, said)
    assert decided is not None
    assert decided.refused is None
    assert world.payment(found).state is State.SUCCESSFUL
