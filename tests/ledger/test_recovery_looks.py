"""Looks around a restore: no failure is told on the word of one that was claimed before it was noticed; on both databases."""

from collections.abc import Callable

import pytest
from tests.support.ledger_world import World
from tests.support.restored import HOUR, KNOWN_BY, Restored, unnoticed

from momo_worker.ledger.late import Late
from momo_worker.payment.after_look import LookReport
from momo_worker.payment.tide import Why
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import LookVerdict, SendAnswer, SendVerdict, Status
from momo_worker.steps import outcome, polling

_TO_THE_DESK = "UPDATE payment SET state = 'held', held_cause = 'too_old'"


def pending(restored: Restored) -> str:
    """Attempt 1 is at MTN; later, in the lost time, it fails, is retried, and attempt 2 is paid."""
    world = restored.world
    (found,) = world.accept("k")
    world.release()
    world.send([found])
    assert world.payment(found).state is State.PENDING
    restored.backup()
    restored.mtn.has[restored.reference("k", 1)] = Status.FAILED
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    world.clock.on(HOUR)
    return found


def notice(restored: Restored) -> None:
    restored.world.parts.tidemark._read_copy = lambda: restored.copy
    assert restored.tide().began is not None


def ends_as_paid(restored: Restored, found: str) -> None:
    """The search asks about every attempt, and only what it found is told."""
    world = restored.world
    restored.reread()
    restored.search()
    world.run_until(lambda: world.payment(found).state not in (State.PENDING, State.HELD), step=5.0, seconds_max=HOUR)
    assert world.payment(found).state is State.SUCCESSFUL
    assert "failed" not in world.types(found)


def looks(world: World, claimed: list[polling.Looking]) -> list[LookReport]:
    return [polling._ask(world.parts, item) for item in claimed]


@pytest.mark.parametrize("known_by", KNOWN_BY)
def test_no_look_is_claimed_before_the_restore_is_noticed(restored: Restored, known_by: str) -> None:
    world = restored.world
    found = pending(restored)
    unnoticed(restored, known_by)
    world.release()
    assert polling.claim(world.parts, [found]) == []
    assert world.mtn.looked == []
    notice(restored)
    ends_as_paid(restored, found)


@pytest.mark.parametrize("is_noticed", [False, True])
@pytest.mark.parametrize("is_claimed_in_the_window", [False, True])
def test_a_look_that_was_claimed_before_tells_no_failure(
    restored: Restored, is_noticed: bool, is_claimed_in_the_window: bool
) -> None:
    """By a process that couldn't know yet, or in the ledger that was lost."""
    world = restored.world
    found = pending(restored)

    def claimed() -> list[polling.Looking]:
        world.release()
        return polling.claim(world.parts, [found])

    if is_claimed_in_the_window:
        mark = world.parts.tidemark
        restored.restore()
        (item,) = claimed()
        restored.tide()
        seen, mark._read_copy = restored.copy, lambda: restored.copy
        assert seen is not None
        # What another pump had copied of the lost ledger comes to be known only now.
        mark.saw(seen.tide + 1)
    else:
        (item,) = claimed()
        unnoticed(restored, KNOWN_BY[0])
    if is_noticed:
        notice(restored)
    before = world.payment(found)

    outcome.record_looks(world.parts, looks(world, [item]))

    after = world.payment(found)
    assert (after.state, world.types(found)) == (State.PENDING, ["accepted", "pending"])
    assert after.lease_until_ms is None, "it is asked about again"
    assert after.due_at_ms == before.due_at_ms
    if not is_noticed and world.rows("SELECT count(*) FROM recovery") == [0]:
        notice(restored)
    ends_as_paid(restored, found)


def test_a_refusal_that_mtn_confirms_is_no_failure_before_the_search_either(restored: Restored) -> None:
    """Attempt 1 was refused and left no trace; the lost ledger retried it."""
    world = restored.world
    (found,) = world.accept("k")
    refused = SendVerdict(SendAnswer.REFUSED, code="PAYEE_NOT_FOUND", http_status=400)
    world.mtn.on_send = lambda *_: refused
    world.release()
    world.send([found])
    assert world.payment(found).state is State.UNKNOWN
    restored.backup()
    restored.mtn.has[restored.reference("k", 2)] = Status.SUCCESSFUL
    world.release()
    (item,) = polling.claim(world.parts, [found])
    unnoticed(restored, KNOWN_BY[0])
    # Of a failover: the claim is there as it was.
    restored.world.write(
        "UPDATE payment SET fence = :fence, lease_until_ms = :end", fence=item.fence, end=world.clock.at_ms + 60_000
    )
    outcome.record_looks(world.parts, looks(world, [item]))
    assert (world.payment(found).state, world.types(found)[-1]) == (State.UNKNOWN, "unknown")


def test_the_claim_of_the_ledger_that_came_back_is_left_alone(restored: Restored) -> None:
    """A report of the lost ledger's claim says nothing about another's."""
    world = restored.world
    found = pending(restored)
    world.release()
    (item,) = polling.claim(world.parts, [found])
    unnoticed(restored, KNOWN_BY[0])
    world.write("UPDATE payment SET fence = :fence, lease_until_ms = 7", fence=item.fence + 5)
    outcome.record_looks(world.parts, looks(world, [item]))
    assert (world.payment(found).state, world.payment(found).lease_until_ms) == (State.PENDING, 7)


def test_what_mtn_has_paid_is_told_whenever_it_is_heard(restored: Restored) -> None:
    world = restored.world
    found = pending(restored)
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    world.release()
    (item,) = polling.claim(world.parts, [found])
    unnoticed(restored, KNOWN_BY[0])
    outcome.record_looks(world.parts, looks(world, [item]))
    assert world.payment(found).state is State.SUCCESSFUL


# ---- late looks ----------------------------------------------------------------------------------------------------------


def followed_late(restored: Restored) -> str:
    """On the desk, and its attempt is asked about late, as after a person's word on an earlier one."""
    found = pending(restored)
    world = restored.world
    world.write(_TO_THE_DESK)
    world.write("UPDATE attempt SET late_due_at_ms = :now, late_looks = 0", now=world.clock.at_ms)
    restored.backup()
    world.clock.on(1)
    return found


def asked_late(world: World) -> tuple[Late, LookVerdict]:
    (asked,) = polling.ask_late(world.parts, limit=10)
    return asked


@pytest.mark.parametrize("known_by", KNOWN_BY)
def test_nothing_is_asked_late_before_the_restore_is_noticed(restored: Restored, known_by: str) -> None:
    followed_late(restored)
    unnoticed(restored, known_by)
    assert polling.ask_late(restored.world.parts, limit=10) == []
    assert restored.world.mtn.looked == []


def noticed(restored: Restored) -> None:
    unnoticed(restored, KNOWN_BY[0])
    notice(restored)


@pytest.mark.parametrize("comes_back", [lambda restored: unnoticed(restored, KNOWN_BY[0]), noticed])
def test_a_late_look_tells_no_failure_either_and_is_made_again(
    restored: Restored, comes_back: Callable[[Restored], None]
) -> None:
    world = restored.world
    found = followed_late(restored)
    late, verdict = asked_late(world)
    assert verdict.status is Status.FAILED
    comes_back(restored)

    outcome.record_late(world.parts, late, verdict)

    stands = world.payment(found)
    assert (stands.state, stands.held_cause) == (State.HELD, HeldCause.TOO_OLD)
    assert "failed" not in world.types(found)
    assert world.rows("SELECT late_looks FROM attempt WHERE late_due_at_ms IS NOT NULL") == [0]


def test_a_late_look_at_a_payment_that_is_gone_ends_no_process(restored: Restored) -> None:
    world = restored.world
    restored.backup()
    without = restored.kept
    followed_late(restored)
    late, verdict = asked_late(world)
    restored.kept = without
    restored.restore()
    outcome.record_late(world.parts, late, verdict)
    assert world.count("payment") == 0


# ---- a claim that is gone ------------------------------------------------------------------------------------------------


def test_a_claim_that_was_lost_long_ago_has_the_jobs_of_its_time_read_again(restored: Restored) -> None:
    """The worker slept: the ledger's last entry is hours younger than the failover that took the claim away."""
    world = restored.world
    (found,) = world.accept("k")
    restored.tide()
    world.clock.on(1)
    restored.backup()
    claimed_at_ms = world.clock.at_ms
    reports = world.send([found], record=False)
    restored.restore()
    for _ in range(3):
        world.clock.on(HOUR)
        assert restored.tide().began is None
    outcome.record_sends(world.parts, reports)
    now = restored.current()
    assert (now.why, now.lost_from_ms) == (Why.LOST_CLAIM, claimed_at_ms)
    margin_ms = world.parts.rules.recovery_jobs_margin_ms
    assert now.jobs_from == f"{claimed_at_ms - margin_ms}-0"
