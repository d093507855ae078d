"""Failures that the lost ledger may have tried again: what replaces one has a key of its own, and so waits for MTN's word on the failure's next attempts."""

import pytest
from tests.ledger.test_recovery_again import DAYS, asked, job, retried, waiting
from tests.support.ledger_world import World, an_entry
from tests.support.restored import HOUR, SETTLED_SECONDS, Restored, lost, stream_entry, unnoticed

from momo_worker.commons import recording
from momo_worker.ledger import moves
from momo_worker.payment.deciding import contradiction
from momo_worker.payment.operator import By
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Status
from momo_worker.steps import operator, recovery, recovery_search
from momo_worker.steps.operator import Decided

ADA = By("ada", "the portal shows nothing")
#: A failure that every recovery asks about, and one that is too old for its list.
AGES = pytest.mark.parametrize("days", [1, 10])
#: Of `failed_payment`: when its correction comes.
WHEN = pytest.mark.parametrize(("days", "during"), [(1, True), (10, True), (10, False)])


def a_failure(restored: Restored, days: float) -> str:
    """A payment that MTN failed, so many days before the ledger's last entry."""
    (found,) = restored.world.take(an_entry(job("k"), "command_line:k")).accepted
    assert restored.pay(found, Status.FAILED).state is State.FAILED
    restored.world.clock.on(days * DAYS)
    restored.tide()
    return found


def correct(world: World) -> None:
    """Its producer corrects the failure under another key, by the command line."""
    world.take(an_entry(job("s", replaces="k"), "command_line:s"))


def keys(world: World) -> list[str]:
    return world.rows("SELECT idempotency_key FROM payment ORDER BY idempotency_key")


def sent(restored: Restored) -> list[str]:
    """What left of the failure and its correction."""
    names = {restored.reference(key, number): f"{key} {number}" for key in ("k", "s") for number in range(1, 6)}
    return [names[reference] for reference in restored.world.mtn.references() if reference in names]


def corrected_meanwhile(restored: Restored, *, during: bool) -> None:
    """The correction comes before MTN was asked about the failure: in the recovery, or after it where the failure wasn't on its list."""
    world = restored.world
    restored.reread()
    if during:
        correct(world)
    restored.search(seconds=0.0) if during else restored.search()
    if not during:
        assert restored.release().done
        correct(world)


# ---- a correction that comes before the search has ended ----------------------------------------------------------------


@WHEN
def test_a_correction_of_what_the_lost_ledger_tried_again_is_never_taken_in(
    restored: Restored, days: float, during: bool
) -> None:
    world = restored.world
    failure = a_failure(restored, days)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.SUCCESSFUL}))
    corrected_meanwhile(restored, during=during)
    assert (keys(world), waiting(world), world.rejections()) == (["k"], ["command_line:s"], [])
    asked(restored)
    assert restored.outcomes() == {failure: "adopted"}
    if during:
        assert restored.release().done
    retried(restored)
    assert waiting(world) == ["command_line:s"]
    world.run_until(lambda: world.payment(failure).state is State.SUCCESSFUL)
    retried(restored)
    assert waiting(world) == []
    ((error,),) = [rejected["errors"] for rejected in world.rejections()]
    assert (error["field"], error["reason"]) == ("replaces", "is successful, not proven failed")
    assert "compare with MTN's statement" in error["advice"]
    assert sent(restored) == ["k 1"]


@WHEN
def test_a_correction_is_taken_in_once_mtn_knows_of_no_other_attempt(
    restored: Restored, days: float, during: bool
) -> None:
    world = restored.world
    failure = a_failure(restored, days)
    lost(restored, lambda: None)
    corrected_meanwhile(restored, during=during)
    assert waiting(world) == ["command_line:s"]
    asked(restored, seconds=SETTLED_SECONDS)
    assert restored.outcomes() == {failure: "stands"}
    retried(restored)
    assert (waiting(world), world.rejections()) == ([], [])
    assert world.payment(world.id_of("s")).state is State.ACCEPTED


def test_a_correction_waits_while_mtn_gives_no_word_and_for_no_longer_than_a_week(restored: Restored) -> None:
    world = restored.world
    a_failure(restored, 10)
    lost(restored, lambda: None)
    restored.mtn.lost_words.add(restored.reference("k", 2))
    corrected_meanwhile(restored, during=False)
    for _ in range(6):
        asked(restored, seconds=DAYS)
        retried(restored)
        assert waiting(world) == ["command_line:s"]
    restored.ask_for_long()
    world.clock.on(DAYS)
    retried(restored)
    assert keys(world) == ["k", "s"]


def test_a_failure_after_the_restore_is_corrected_only_once_what_was_given_up_unasked_is_asked_about(
    restored: Restored,
) -> None:
    """Its first attempt fails by MTN's word since, and nobody has asked about the second, which the lost ledger made: nor is it told before."""
    world = restored.world
    (failure,) = world.accept("k")
    world.release()
    world.send([failure])
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.PENDING}))
    restored.mtn.lost_words.update(restored.reference("k", number) for number in (1, 2))
    restored.reread()
    assert restored.release(skip=recovery.Skip(searches=True)).done
    restored.mtn.has[restored.reference("k", 1)] = Status.FAILED
    restored.mtn.lost_words.clear()
    for _ in range(3):
        world.clock.on(300)
        world.turn()
        assert world.payment(failure).state is State.PENDING
    correct(world)
    assert waiting(world) == ["command_line:s"]
    asked(restored)
    assert (world.payment(failure).state, world.payment(failure).attempt) == (State.PENDING, 2)
    assert keys(world) == ["k"]


def test_nor_is_a_failure_corrected_long_after_the_week_in_which_it_was_given_up_unasked(restored: Restored) -> None:
    """Asked for twice in one batch, it is neither told as rejected nor let through by the second."""
    world = restored.world
    failure = a_failure(restored, 1)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.SUCCESSFUL}))
    restored.mtn.lost_words.add(restored.reference("k", 2))
    restored.reread()
    restored.search()
    assert restored.release(skip=recovery.Skip(searches=True)).done
    restored.mtn.lost_words.clear()
    world.clock.on(8 * DAYS)
    twice = job("s", replaces="k")
    world.take(an_entry(twice, "command_line:s"), an_entry(twice, "command_line:t"))
    assert (keys(world), waiting(world), world.rejections()) == (["k"], ["command_line:s", "command_line:t"], [])
    asked(restored)
    assert restored.outcomes() == {failure: "adopted"}
    world.run_until(lambda: world.payment(failure).state is State.SUCCESSFUL)
    retried(restored)
    assert (keys(world), sent(restored), len(world.rejections())) == (["k"], ["k 1"], 2)


def test_where_no_ledger_was_restored_a_correction_is_taken_in_at_once(restored: Restored) -> None:
    a_failure(restored, 10)
    correct(restored.world)
    assert keys(restored.world) == ["k", "s"]
    assert restored.outcomes() == {}


def test_a_failure_since_the_recovery_and_one_long_after_a_restore_are_corrected_at_once(restored: Restored) -> None:
    world = restored.world
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.release().done
    a_failure(restored, 0)
    correct(world)
    (other,) = world.take(an_entry(job("k2"), "command_line:k2")).accepted
    assert restored.pay(other, Status.FAILED).state is State.FAILED
    world.clock.on(8 * DAYS)
    world.take(an_entry(job("s2", replaces="k2"), "command_line:s2"))
    assert keys(world) == ["k", "k2", "s", "s2"]
    assert restored.outcomes() == {}


# ---- a correction that was accepted before ------------------------------------------------------------------------------


def corrected_before_anybody_noticed(restored: Restored, days: float) -> tuple[str, str]:
    """The failure was tried again and that is lost; its correction is taken in before a pump has noticed the restore."""
    world = restored.world
    failure = a_failure(restored, days)
    restored.backup()
    world.clock.on(HOUR)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    unnoticed(restored, "what it has read")
    correct(world)
    correction = world.id_of("s")
    restored.new_process()
    world.clock.on(1)
    assert restored.tide(first=True).began is not None
    restored.reread()
    return failure, correction


def assert_stopped(restored: Restored, correction: str) -> None:
    world = restored.world
    assert world.payment(correction).held_cause is HeldCause.SUSPECT_DUPLICATE
    assert "contradicted" in world.types(correction)
    assert restored.release(send_unsent=True).done
    refused = operator.release(world.parts, correction, by=ADA)
    assert refused is not None
    assert refused.refused is not None
    world.release()
    world.run_until(lambda: world.payment(world.id_of("k")).state is State.SUCCESSFUL)
    assert world.payment(correction).state is State.HELD
    assert sent(restored) == ["k 1"]


@AGES
def test_a_correction_that_was_accepted_is_stopped_once_mtn_has_another_attempt_of_the_failure(
    restored: Restored, days: float
) -> None:
    failure, correction = corrected_before_anybody_noticed(restored, days)
    restored.search()
    assert restored.outcomes() == {failure: "adopted", correction: "stands"}
    assert_stopped(restored, correction)


@AGES
def test_a_correction_isnt_called_unsent_before_mtn_has_spoken_of_the_failure(restored: Restored, days: float) -> None:
    failure, correction = corrected_before_anybody_noticed(restored, days)
    restored.mtn.lost_words.add(restored.reference("k", 2))
    restored.search()
    assert restored.outcomes() == {failure: None, correction: None}
    restored.mtn.lost_words.clear()
    asked(restored)
    asked(restored)
    assert restored.outcomes()[failure] == "adopted"
    assert_stopped(restored, correction)


@AGES
def test_a_correction_is_stopped_in_the_batch_in_which_its_failure_is_adopted(restored: Restored, days: float) -> None:
    """Both are asked about at once, when MTN's 404 counts for the correction already."""
    world = restored.world
    failure, correction = corrected_before_anybody_noticed(restored, days)
    restored.mtn.lost_words.update({restored.reference("k", 2), restored.reference("s", 1)})
    restored.search()
    restored.mtn.lost_words.clear()
    # In this order, whatever their ids are.
    for at, name in enumerate((failure, correction)):
        due = world.clock.at_ms + at
        world.write(
            "INSERT INTO search (recovery_id, payment_id, due_at_ms, tries) SELECT id, :name, :due, 0 FROM recovery "
            "WHERE is_open = 1 ON CONFLICT (recovery_id, payment_id) DO UPDATE SET due_at_ms = :due",
            name=name,
            due=due,
        )
    world.clock.on(1)
    assert recovery_search.search(world.parts) == 2
    assert restored.outcomes() == {failure: "adopted", correction: "stands"}
    assert_stopped(restored, correction)


def corrected_in_the_lost_time(restored: Restored, days: float, at_mtn: dict[str, Status]) -> tuple[str, str]:
    """The correction stands in the jobs stream, and so the lost ledger has taken it in."""
    failure = a_failure(restored, days)
    lost(restored, lambda: restored.mtn.has.update(at_mtn))
    restored.reread(stream_entry("s", 100, replaces="k"))
    restored.search()
    asked(restored)
    return failure, restored.world.id_of("s")


@AGES
def test_a_correction_that_is_read_again_and_that_nobody_knows_is_a_persons(restored: Restored, days: float) -> None:
    """Somebody may have cancelled it in the lost time."""
    failure, correction = corrected_in_the_lost_time(restored, days, {})
    assert restored.outcomes() == {failure: "stands", correction: "unsent"}
    assert restored.world.payment(correction).held_cause is HeldCause.RECOVERY
    assert restored.release().done
    assert sent(restored) == ["k 1"]


@AGES
def test_a_correction_that_is_read_again_and_was_paid_is_adopted(restored: Restored, days: float) -> None:
    paid = {restored.reference("s", 1): Status.SUCCESSFUL}
    failure, correction = corrected_in_the_lost_time(restored, days, paid)
    assert restored.outcomes()[correction] == "adopted"
    assert restored.world.payment(failure).state is State.FAILED


@AGES
def test_a_correction_that_is_read_again_is_stopped_where_the_failure_was_tried_again(
    restored: Restored, days: float
) -> None:
    """The lost ledger refused it, and its rejection is lost with Redis."""
    tried_again = {restored.reference("k", 2): Status.SUCCESSFUL}
    failure, correction = corrected_in_the_lost_time(restored, days, tried_again)
    assert restored.outcomes() == {failure: "adopted", correction: "stands"}
    assert_stopped(restored, correction)


def test_what_was_contradicted_on_the_desk_is_sent_by_no_send_unsent(restored: Restored) -> None:
    world = restored.world
    failure = a_failure(restored, 1)
    correct(world)
    correction = world.id_of("s")
    lost(restored, lambda: None)
    restored.reread()
    restored.search()
    assert restored.outcomes()[correction] == "unsent"
    with world.ledger.write() as tx:
        replaced = moves.lock(tx, [failure])[failure]
        recording.conclude(tx, world.parts, [contradiction(replaced, "attempt 1 is SUCCESSFUL")])
    released = restored.release(send_unsent=True)
    assert (released.done, released.let_go) == (True, 0)
    assert world.payment(correction).held_cause is HeldCause.RECOVERY


# ---- a person's word on an attempt that nobody asked about --------------------------------------------------------------


def resolve(world: World, payment_id: str, *, statement: str | None = None) -> Decided:
    said = Resolve(ADA, State.FAILED, "portal, searched by external id", statement)
    decided = operator.resolve(world.parts, payment_id, said)
    assert decided is not None
    return decided


def second_attempt_given_up(restored: Restored) -> str:
    """Retried before the backup and not sent by then; sent by the lost ledger; on the desk, since a person went on without MTN's word."""
    world = restored.world
    found = a_failure(restored, 0)
    assert operator.retry(world.parts, found, by=ADA) is not None
    assert (world.payment(found).state, world.payment(found).attempt) == (State.ACCEPTED, 2)
    lost(restored, lambda: None)
    restored.mtn.lost_words.add(restored.reference("k", 2))
    restored.reread()
    assert restored.release(skip=recovery.Skip(searches=True)).done
    assert world.payment(found).held_cause is HeldCause.RECOVERY
    restored.mtn.lost_words.clear()
    return found


def test_a_later_attempt_that_was_given_up_unasked_is_asked_about_before_a_person_calls_it_failed(
    restored: Restored,
) -> None:
    world = restored.world
    found = second_attempt_given_up(restored)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    decided = resolve(world, found)
    assert decided.refused is not None
    assert "MTN hasn't been asked" in decided.refused.why
    assert restored.outcomes() == {found: None}
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, seconds_max=60.0)
    assert sent(restored) == ["k 1"]


def test_a_later_attempt_that_mtn_doesnt_know_is_called_failed_by_a_person_after_that(restored: Restored) -> None:
    world = restored.world
    found = second_attempt_given_up(restored)
    assert resolve(world, found).refused is not None
    asked(restored, seconds=SETTLED_SECONDS)
    assert restored.outcomes() == {found: "stands"}
    assert resolve(world, found).payment.state is State.FAILED


def test_a_later_attempt_that_mtn_gives_no_word_about_is_called_failed_by_nobody_without_its_statement(
    restored: Restored,
) -> None:
    """A week later a person may decide, and a wrong word of theirs would be followed by attempt 3."""
    world = restored.world
    found = second_attempt_given_up(restored)
    restored.mtn.lost_words.add(restored.reference("k", 2))
    assert resolve(world, found).refused is not None
    world.clock.on(8 * 24 * HOUR)
    decided = resolve(world, found)
    assert decided.refused is not None
    assert "hasn't been asked" in decided.refused.why
    restored.ask_for_long()
    decided = resolve(world, found)
    assert decided.refused is not None
    assert "has given no word" in decided.refused.why
    assert resolve(world, found, statement="2026-11.csv").payment.state is State.FAILED


def test_a_later_attempt_that_nobody_asked_about_in_the_week_is_asked_about_after_it(restored: Restored) -> None:
    """Whoever calls it failed then could try it a third time, and the lost ledger paid the second."""
    world = restored.world
    found = second_attempt_given_up(restored)
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    world.clock.on(8 * 24 * HOUR)
    decided = resolve(world, found)
    assert decided.refused is not None
    assert "MTN hasn't been asked" in decided.refused.why
    assert restored.outcomes() == {found: None}
    asked(restored)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, seconds_max=60.0)
    assert sent(restored) == ["k 1"]


def test_mtns_statement_says_more_than_its_word_and_needs_no_asking(restored: Restored) -> None:
    world = restored.world
    found = second_attempt_given_up(restored)
    assert resolve(world, found, statement="2026-11.csv").payment.state is State.FAILED
    assert recovery_search.search(world.parts) == 0


def test_a_lost_retry_that_failed_as_well_speaks_against_no_correction(restored: Restored) -> None:
    """The legitimate order: tried again, failed again, corrected. What is read again lies on the desk like all that was never sent."""
    world = restored.world
    failure = a_failure(restored, 1)
    lost(restored, lambda: restored.mtn.has.update({restored.reference("k", 2): Status.FAILED}))
    restored.reread(stream_entry("s", 300, replaces="k"))
    restored.search()
    world.run_until(lambda: world.payment(failure).state is State.FAILED, step=60.0)
    assert restored.outcomes()[failure] == "adopted"
    correction = world.id_of("s")
    assert "contradicted" not in world.types(correction)
    assert world.payment(correction).held_cause in (None, HeldCause.RECOVERY)

    assert restored.release(send_unsent=True).done
    world.run_until(lambda: world.payment(correction).state is State.PENDING, step=60.0)
    assert sent(restored) == ["k 1", "s 1"]
