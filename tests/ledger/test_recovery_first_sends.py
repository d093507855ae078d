"""After a restore: what is accepted late, although the lost ledger may have known it, is asked about before its first send; on both databases."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.ledger_world import NAMESPACE, World, a_job, an_entry
from tests.support.restored import HOUR, SETTLED_SECONDS, Restored, lost, stream_entry
from tests.support.run_office import NAME, a_file, an_office, people

from momo_worker.ledger import recovery as book
from momo_worker.payment.money import Currency
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Payment
from momo_worker.payment.reference import reference_id
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Status
from momo_worker.runs.releasing import resume_run
from momo_worker.steps import intake, operator, recovery, recovery_search, rescue


def a_refund(key: str, source: str) -> intake.Entry:
    fields = {"operation": "refund", "idempotency_key": key, "amount": "5", "currency": "UGX", "refund_of": "c"}
    return an_entry(fields, source)


def refund_reference(attempt: int) -> str:
    return reference_id(NAMESPACE, "default", "refund", "again", attempt)


def asked(restored: Restored) -> None:
    """The searches that are due, now and when a 404 counts."""
    for wait in (0.0, SETTLED_SECONDS):
        restored.world.clock.on(wait)
        while recovery_search.search(restored.world.parts):
            pass


def sends_what_is_due(world: World, payment_id: str) -> list[str]:
    """A pump releases and a worker claims, now and once what waits is due again; what left for MTN."""
    before = len(world.mtn.left)
    for _ in range(3):
        world.release()
        world.send([payment_id])
        world.clock.on(61)
    return world.mtn.references()[before:]


def refund_waits(restored: Restored) -> None:
    """Collected and refunded by the lost ledger; what comes back is the collection, and its refund waits for it."""
    world = restored.world
    (found,) = world.accept("c", operation="collect")
    collected = {reference_id(NAMESPACE, "default", "collect", "c", 1): Status.PENDING}
    lost(restored, lambda: restored.mtn.has.update(collected))
    restored.reread(a_refund("again", "momo:jobs/300-0"))
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert world.rows("SELECT source FROM waiting_job") == ["momo:jobs/300-0"]


def collection_succeeds(restored: Restored) -> None:
    """MTN says so, and a pump tries what waits."""
    world = restored.world
    found = world.payment(world.id_of("c"))
    restored.mtn.has[found.reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(found.id).state is State.SUCCESSFUL)
    world.clock.on(60)
    intake.retry_waiting(world.parts, limit=10)


def refund_accepted_after_the_release(restored: Restored, *, days_open: int = 0) -> str:
    refund_waits(restored)
    restored.world.clock.on(days_open * 24 * HOUR)
    assert restored.release().done
    collection_succeeds(restored)
    return restored.world.id_of("again")


def released_by_person(world: World, payment_id: str) -> Payment:
    found = operator.release(world.parts, payment_id, by=By("eve", "compared with the statement"))
    assert found is not None
    assert found.refused is None
    return found.payment


# ---- what waited while the jobs were read again ---------------------------------------------------------------------------


@pytest.mark.parametrize("days_open", [0, 8])
def test_a_refund_that_waited_is_not_sent_before_mtn_was_asked_and_then_a_person_decides(
    restored: Restored, days_open: int
) -> None:
    """It may have been cancelled in the lost time, and nobody but a person knows; the week counts from the release, however late that comes."""
    world = restored.world
    found = refund_accepted_after_the_release(restored, days_open=days_open)
    assert sends_what_is_due(world, found) == []
    asked(restored)
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.HELD, HeldCause.RECOVERY)
    assert restored.outcomes()[found] == "unsent"

    released_by_person(world, found)
    assert sends_what_is_due(world, found) == [refund_reference(1)]


def test_a_refund_that_waited_and_was_paid_as_a_later_attempt_is_not_paid_twice(restored: Restored) -> None:
    """Attempt 1 was refused and left no trace at MTN; a person's retry paid attempt 2."""
    world = restored.world
    found = refund_accepted_after_the_release(restored)
    restored.mtn.has[refund_reference(2)] = Status.SUCCESSFUL
    assert sends_what_is_due(world, found) == []
    asked(restored)
    assert (world.payment(found).state, world.payment(found).attempt) == (State.PENDING, 2)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert refund_reference(1) not in restored.mtn.has


@pytest.fixture
def accepted_after_the_week(restored: Restored) -> str:
    """Its collection lay on a desk for longer than a job may come again."""
    refund_waits(restored)
    assert restored.release().done
    restored.world.clock.on(8 * 24 * HOUR)
    collection_succeeds(restored)
    return restored.world.id_of("again")


def test_a_refund_that_waited_for_longer_than_the_week_is_asked_about_all_the_same(
    restored: Restored, accepted_after_the_week: str
) -> None:
    world, found = restored.world, accepted_after_the_week
    assert restored.outcomes().get(found, "not on the list") is None
    assert sends_what_is_due(world, found) == []
    asked(restored)
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    released_by_person(world, found)
    assert sends_what_is_due(world, found) == [refund_reference(1)]


@pytest.mark.parametrize("hours", [-24, 1, 30])
@pytest.mark.parametrize("claimed", [False, True])
def test_what_waits_for_mtns_word_isnt_told_as_never_sent_at_its_not_after(
    restored: Restored, accepted_after_the_week: str, *, hours: int, claimed: bool
) -> None:
    """MTN has it; whoever hears that nothing moved pays anew under another key."""
    world, found = restored.world, accepted_after_the_week
    until = world.clock.now_ms() + hours * HOUR * 1000
    world.write("UPDATE payment SET not_after_ms = :until WHERE id = :id", until=until, id=found)
    restored.mtn.has[refund_reference(1)] = Status.SUCCESSFUL
    world.clock.on(31 * HOUR)
    if claimed:
        assert sends_what_is_due(world, found) == []
    else:
        rescue.Rescue(world.parts).run()
    assert world.payment(found).state is State.ACCEPTED
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert world.mtn.left == []


@pytest.mark.parametrize("expires", [False, True])
def test_one_that_mtn_is_silent_about_for_a_week_more_is_a_persons(
    restored: Restored, accepted_after_the_week: str, *, expires: bool
) -> None:
    """It isn't sent unasked, nor told as never sent, and it isn't left to wait for ever."""
    world, found = restored.world, accepted_after_the_week
    if not expires:
        world.write("UPDATE payment SET not_after_ms = not_after_ms + 900000000 WHERE id = :id", id=found)
    restored.mtn.lost_words.add(refund_reference(1))
    restored.ask_for_long()
    ending = rescue.Rescue(world.parts)
    for _ in range(6):
        world.clock.on(24 * HOUR)
        ending.run()
        assert sends_what_is_due(world, found) == []
        assert (world.payment(found).state, restored.outcomes()[found]) == (State.ACCEPTED, None)
    world.clock.on(24 * HOUR)
    if expires:
        ending.run()
    assert sends_what_is_due(world, found) == []
    assert (world.payment(found).state, world.payment(found).held_cause) == (State.HELD, HeldCause.RECOVERY)
    assert restored.outcomes()[found] is None
    assert "MTN gave no word" in world.events(found)[-1]["data"]["reason"]["message"]


def test_one_that_nobody_listed_at_its_acceptance_is_asked_about_at_its_claim(restored: Restored) -> None:
    world = restored.world
    found = refund_accepted_after_the_release(restored)
    world.write("DELETE FROM search WHERE payment_id = :id", id=found)
    assert sends_what_is_due(world, found) == []
    assert restored.outcomes()[found] is None


def test_a_refund_that_is_accepted_before_the_release_is_counted_and_asked_about_before_it(restored: Restored) -> None:
    world = restored.world
    refund_waits(restored)
    collection_succeeds(restored)
    found = world.id_of("again")
    assert restored.outcomes().get(found, "not on the list") is None
    refused = restored.release()
    assert (refused.done, refused.waits.searches) == (False, 1)
    asked(restored)
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    assert restored.release(send_unsent=True).let_go == 1
    assert sends_what_is_due(world, found) == [refund_reference(1)]


def test_a_job_that_waited_since_before_the_restore_is_asked_about_though_no_stream_names_it(
    restored: Restored,
) -> None:
    """The lost ledger may have accepted it, retried it and paid attempt 2."""
    world = restored.world
    waits = an_entry(a_job("k", account="later"), "command_line:1")
    world.take(waits)
    assert world.rows("SELECT source FROM waiting_job") == ["command_line:1"]
    lost(restored, lambda: None)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    restored.reread()
    restored.search()
    assert restored.release().done
    # In this world no account can be added; the job names one that is there now.
    world.write("UPDATE waiting_job SET payload = :payload", payload=an_entry(a_job("k")).payload)
    world.clock.on(HOUR / 2)
    intake.retry_waiting(world.parts, limit=10)
    found = world.id_of("k")
    assert sends_what_is_due(world, found) == []
    asked(restored)
    assert (world.payment(found).state, world.payment(found).attempt) == (State.PENDING, 2)


def test_one_that_mtn_was_silent_about_is_still_asked_about_and_mtns_word_ends_it(
    restored: Restored, accepted_after_the_week: str
) -> None:
    world, found = restored.world, accepted_after_the_week
    world.clock.on(7 * 24 * HOUR)
    rescue.Rescue(world.parts).run()
    # No pump was there to ask in all this time, and so MTN wasn't silent.
    assert world.payment(found).state is State.ACCEPTED
    restored.mtn.lost_words.add(refund_reference(1))
    restored.ask_for_long()
    rescue.Rescue(world.parts).run()
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    world.clock.on(HOUR)
    asked(restored)
    ((due_at_ms,),) = [world.rows("SELECT due_at_ms FROM search WHERE payment_id = :id", id=found)]
    assert due_at_ms - world.clock.now_ms() > (HOUR - 2 * SETTLED_SECONDS) * 1000

    restored.mtn.lost_words.clear()
    restored.mtn.has[refund_reference(1)] = Status.SUCCESSFUL
    world.clock.on(HOUR)
    asked(restored)
    assert restored.outcomes()[found] == "adopted"
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert world.mtn.left == []


def test_one_that_was_claimed_and_never_left_is_a_persons_too(restored: Restored, accepted_after_the_week: str) -> None:
    """A pause or a refused token takes a claim back, which counts all the same."""
    world, found = restored.world, accepted_after_the_week
    world.write("UPDATE payment SET sends = 1 WHERE id = :id", id=found)
    restored.mtn.lost_words.add(refund_reference(1))
    restored.ask_for_long()
    world.clock.on(7 * 24 * HOUR)
    rescue.Rescue(world.parts).run()
    assert world.payment(found).held_cause is HeldCause.RECOVERY


# ---- a key that comes once more while the stream is read ------------------------------------------------------------------


def key_is_faster_than_the_reading(restored: Restored, second: str, *, listed: bool = False) -> str:
    """Its producer sends the key once more, and a door takes that in before the reading comes to the earlier entry."""
    world = restored.world
    lost(restored, lambda: None)
    reading = recovery.next_reading(world.parts, stream_end="300-0", stream_begin=None)
    assert reading is not None
    (found,) = world.take(stream_entry("k", 301) if second == "stream" else an_entry(a_job("k"), second)).accepted
    earlier = replace(stream_entry("k", 300), door=intake.AGAIN)
    if listed:
        recovery.note_read(world.parts, reading, None, 0)
        while recovery.list_payments(world.parts):
            pass
        assert restored.outcomes() == {}
    assert intake.take_in(world.parts, [earlier]).repeated == (found,)
    if not listed:
        recovery.note_read(world.parts, reading, "300-0", 1)
        recovery.note_read(world.parts, reading, None, 0)
    return found


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("second", ["stream", "command_line:1"])
def test_a_key_that_comes_once_more_is_as_old_as_its_earlier_entry(
    restored: Restored, second: str, listed: bool
) -> None:
    world = restored.world
    found = key_is_faster_than_the_reading(restored, second, listed=listed)
    restored.search()
    assert restored.outcomes() == {found: "unsent"}
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    assert restored.release().done
    assert sends_what_is_due(world, found) == []

    released_by_person(world, found)
    assert sends_what_is_due(world, found) == [restored.reference("k", 1)]


def test_a_key_that_is_met_twice_in_one_reading_is_as_old_as_the_entry_that_is_its_own(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    (found,) = world.take(an_entry(a_job("k"), "command_line:1")).accepted
    restored.reread(stream_entry("k", 300), an_entry(a_job("k", amount="7"), "momo:jobs/301-0"))
    restored.search()
    assert restored.outcomes() == {found: "unsent"}


def test_a_key_that_comes_once_more_and_was_paid_as_a_later_attempt_is_found(restored: Restored) -> None:
    world = restored.world
    found = key_is_faster_than_the_reading(restored, "stream")
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    restored.search()
    assert restored.outcomes() == {found: "adopted"}
    assert restored.release().done
    assert world.mtn.left == []


def test_another_body_under_a_key_of_the_lost_ledger_is_asked_about_and_keeps_its_own_entry(restored: Restored) -> None:
    """Seed 202: it came by the command line before the reading came to the key's first entry, which is told as rejected then."""
    world = restored.world
    lost(restored, lambda: None)
    (found,) = world.take(an_entry(a_job("k", amount="7"), "command_line:1")).accepted
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    restored.reread(stream_entry("k", 300))
    assert world.rows("SELECT source FROM payment") == ["command_line:1"]
    assert len(world.rejections()) == 1

    restored.search()

    assert restored.outcomes() == {found: "adopted"}
    assert world.mtn.left == []


# ---- a key that comes once more while its earlier entry waits -------------------------------------------------------------


def comes_again(restored: Restored, *, amount: str = "5", days: int = 0) -> str:
    """Its refund waits; the collection succeeds, and the key comes by the command line before what waits is tried again."""
    world = restored.world
    refund_waits(restored)
    assert restored.release().done
    world.clock.on(days * 24 * HOUR)
    collected = world.payment(world.id_of("c"))
    restored.mtn.has[collected.reference_id] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(collected.id).state is State.SUCCESSFUL)
    fields = {"operation": "refund", "idempotency_key": "again", "amount": amount, "currency": "UGX", "refund_of": "c"}
    (found,) = world.take(an_entry(fields, "command_line:1")).accepted
    return found


@pytest.mark.parametrize("days", [0, 8])
def test_a_key_that_comes_again_while_its_earlier_entry_waits_is_as_old_as_that(restored: Restored, days: int) -> None:
    world = restored.world
    found = comes_again(restored, days=days)
    assert world.rows("SELECT payment_id FROM waiting_job") == [found]
    assert sends_what_is_due(world, found) == []
    asked(restored)
    assert (restored.outcomes()[found], world.payment(found).held_cause) == ("unsent", HeldCause.RECOVERY)
    world.clock.on(HOUR)
    assert intake.retry_waiting(world.parts, limit=10).repeated == (found,)


def test_a_key_that_comes_again_and_was_paid_as_a_later_attempt_is_not_paid_twice(restored: Restored) -> None:
    world = restored.world
    found = comes_again(restored)
    restored.mtn.has[refund_reference(2)] = Status.SUCCESSFUL
    assert sends_what_is_due(world, found) == []
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)
    assert refund_reference(1) not in restored.mtn.has


def test_another_body_under_a_key_that_waits_is_asked_about_and_keeps_its_own_entry(restored: Restored) -> None:
    world = restored.world
    found = comes_again(restored, amount="4")
    assert restored.outcomes()[found] is None
    assert world.payment(found).source == "command_line:1"
    assert sends_what_is_due(world, found) == []


def test_an_entry_that_waited_before_anybody_wrote_down_its_payment_makes_its_key_as_old_all_the_same(
    restored: Restored,
) -> None:
    """A ledger of an older release has it waiting, by another door than the stream."""
    world = restored.world
    world.take(an_entry(a_job("k", account="later"), "command_line:1"))
    world.write("UPDATE waiting_job SET payment_id = NULL")
    lost(restored, lambda: None)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    restored.reread()
    (found,) = world.take(an_entry(a_job("k"), "command_line:2")).accepted
    assert found not in restored.outcomes()
    world.write("UPDATE waiting_job SET payload = :payload", payload=an_entry(a_job("k")).payload)
    world.clock.on(HOUR / 2)
    assert intake.retry_waiting(world.parts, limit=10).repeated == (found,)
    restored.search()
    assert restored.outcomes() == {found: "adopted"}


def test_an_entry_of_the_stream_that_waits_makes_its_key_old_before_the_reading_begins(restored: Restored) -> None:
    """Redis is away, and the command line isn't."""
    world = restored.world
    world.take(an_entry(a_job("k", account="later"), "momo:jobs/300-0"))
    world.write(
        "UPDATE waiting_job SET payment_id = :id, payload = :payload",
        id=world.id_of("k"),
        payload=an_entry(a_job("k")).payload,
    )
    lost(restored, lambda: None)
    (found,) = world.take(an_entry(a_job("k"), "command_line:2")).accepted
    assert world.payment(found).source == "momo:jobs/300-0"
    restored.reread(stream_entry("x", 301))
    restored.search()
    assert restored.outcomes()[found] == "unsent"


def test_a_key_whose_earlier_entry_has_to_wait_when_it_is_read_is_as_old_as_that(restored: Restored) -> None:
    """The pump that reads doesn't know the account, and the one that took the key in does."""
    world = restored.world
    lost(restored, lambda: None)
    (found,) = world.take(an_entry(a_job("k"), "command_line:1")).accepted
    knows = world.parts
    world.parts = replace(knows, accounts={})
    restored.reread(stream_entry("k", 300))
    assert world.rows("SELECT payment_id FROM waiting_job") == [found]
    world.parts = knows
    restored.search()
    assert restored.outcomes() == {found: "unsent"}


def test_an_entry_that_waits_only_since_the_restore_makes_nothing_old(restored: Restored) -> None:
    """A year later a job still waits for its account, and its key comes by a process that knows it: nobody is asked."""
    world = restored.world
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done
    knows = world.parts
    world.clock.on(1)
    world.parts = replace(knows, accounts={})
    world.take(an_entry(a_job("k"), "momo:jobs/900-0"))
    world.parts = knows
    (found,) = world.take(an_entry(a_job("k"), "command_line:1")).accepted
    for _ in range(2):
        world.parts = replace(knows, accounts={})
        world.clock.on(HOUR / 4)
        assert intake.retry_waiting(world.parts, limit=10).waiting == ("momo:jobs/900-0",)
    world.parts = knows
    world.clock.on(HOUR / 4)
    assert intake.retry_waiting(world.parts, limit=10).repeated == (found,)
    assert restored.outcomes() == {}
    assert world.payment(found).source == "command_line:1"


@pytest.mark.parametrize("settings", ["unknown", "other"])
def test_whoever_cant_read_the_earlier_entry_takes_it_for_the_payments_own(restored: Restored, settings: str) -> None:
    """Its account is set for another currency there, or not at all: what the entry asks for can't be told."""
    world = restored.world
    lost(restored, lambda: None)
    (found,) = world.take(an_entry(a_job("k"), "command_line:1")).accepted
    knows = world.parts
    account = knows.accounts["default"]
    market = replace(account.market, currency=Currency("XAF", 0))
    world.parts = replace(knows, accounts={} if settings == "unknown" else {"default": replace(account, market=market)})
    restored.reread(stream_entry("k", 300))
    world.parts = knows
    assert world.payment(found).source == "momo:jobs/300-0"
    restored.search()
    assert restored.outcomes() == {found: "unsent"}


def test_what_waits_for_its_account_is_known_by_the_payment_it_would_be(world: World) -> None:
    world.take(
        an_entry(a_job("k", account="later"), "momo:jobs/1-0"),
        an_entry(a_job("é" * 3, account="later"), "command_line:1"),
    )
    waiting = world.rows("SELECT payment_id FROM waiting_job ORDER BY source")
    assert waiting == [world.id_of("é" * 3, "later"), world.id_of("k", "later")]


# ---- rows of runs -----------------------------------------------------------------------------------------------------------


def test_rows_of_a_run_that_was_there_before_the_restore_are_asked_about_before_they_are_sent(
    world: World, restored: Restored
) -> None:
    """The lost ledger fed them; of one attempt 1 left no trace, and a retry paid attempt 2."""
    office = an_office(world)
    run = office.released(a_file(*people(2)))
    feeder = office.feeder()
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done
    resume_run(world.parts, "default", NAME, reason="compared", by="boss")
    world.clock.on(60)
    assert feeder.feed() == 2
    first, second = world.rows("SELECT id FROM payment WHERE run = :run ORDER BY source", run=run.id)
    retried = reference_id(NAMESPACE, "default", "disburse", world.payment(first).idempotency_key, 2)
    restored.mtn.has[retried] = Status.SUCCESSFUL
    world.turn()
    assert world.mtn.left == []

    asked(restored)
    assert (world.payment(first).state, world.payment(first).attempt) == (State.PENDING, 2)
    assert restored.outcomes() == {first: "adopted", second: "stands"}
    # People have signed and resumed the run: what MTN doesn't know goes out without another word.
    world.turn()
    assert world.mtn.references() == [world.payment(second).reference_id]


def test_rows_of_a_run_that_was_imported_after_the_restore_are_sent_at_once(world: World, restored: Restored) -> None:
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done
    world.clock.on(60)
    office = an_office(world)
    office.released(a_file(*people(2)))
    office.feeder().feed()
    world.turn()
    assert len(world.mtn.left) == 2
    assert (world.mtn.looked, restored.outcomes()) == ([], {})


# ---- what has no past -----------------------------------------------------------------------------------------------------


def no_restore(_: Restored) -> None:
    """A ledger that was never lost."""


def over_lately(restored: Restored) -> None:
    lost(restored, lambda: None)
    restored.reread(stream_entry("other", 300))
    restored.search()
    assert restored.release().done


@pytest.mark.parametrize("before", [no_restore, over_lately])
@pytest.mark.parametrize("source", ["momo:jobs/301-0", "command_line:1"])
def test_what_came_after_the_restore_is_sent_at_once_and_nobody_asks(
    restored: Restored, before: Callable[[Restored], Any], source: str
) -> None:
    world = restored.world
    before(restored)
    world.clock.on(1)
    looked = len(world.mtn.looked)
    (found,) = world.take(an_entry(a_job("k"), source)).accepted
    world.release()
    world.send([found])
    assert world.mtn.references()[-1] == restored.reference("k", 1)
    assert len(world.mtn.looked) == looked
    assert found not in restored.outcomes()


def test_a_week_later_nobody_is_asked_any_more(restored: Restored) -> None:
    world = restored.world
    found = refund_accepted_after_the_release(restored)
    world.write("DELETE FROM search WHERE payment_id = :id", id=found)
    world.write("UPDATE payment SET not_after_ms = not_after_ms + 900000000 WHERE id = :id", id=found)
    world.clock.on(8 * 24 * HOUR)
    assert sends_what_is_due(world, found) == [refund_reference(1)]
    with world.ledger.read() as tx:
        assert book.latest(tx) is not None
