"""Claims of the lost ledger and of the restored one: which fences they get, and whose send an answer that comes late may end."""

from tests.support.restored import Restored

from momo_worker.ledger import moves
from momo_worker.payment import operator
from momo_worker.payment.after_send import SendReport
from momo_worker.payment.deciding import Change
from momo_worker.payment.operator import NotPermitted
from momo_worker.payment.payment import Attempt
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict, Status
from momo_worker.steps import outcome, polling, submission


def restored_after_a_claim(restored: Restored, *, send_unsent: bool = True) -> tuple[submission.Claimed, str]:
    """A worker has claimed and sleeps; the ledger that knew is gone, another is back and released."""
    world = restored.world
    (found,) = world.accept("k")
    restored.backup()
    world.release()
    (lost,) = submission.claim(world.parts, [found])
    world.clock.on(1)
    restored.tide()
    restored.restore()
    restored.tide()
    restored.reread()
    restored.search()
    assert restored.release(send_unsent=send_unsent).done
    return lost, found


def test_a_late_word_of_a_claim_that_was_lost_ends_no_send_of_the_restored_ledger(restored: Restored) -> None:
    world = restored.world
    lost, found = restored_after_a_claim(restored)
    world.release()
    (again,) = submission.claim(world.parts, [found])
    # The send counts from one again, and only the fence tells the two apart.
    assert (again.attempt, again.number) == (lost.attempt, lost.number)

    never_left = SendVerdict(SendAnswer.NOT_NOW, Cause.NOT_DEPARTED)
    outcome.record_sends(world.parts, [SendReport(found, 1, lost.number, lost.fence, lost.claimed_at_ms, never_left)])

    assert world.rows("SELECT ending FROM send") == [None]
    assert world.payment(found).state is State.SENDING


def test_fences_begin_anew_above_every_one_that_a_lost_ledger_gave(restored: Restored) -> None:
    world = restored.world
    lost, found = restored_after_a_claim(restored)
    world.release()
    (again,) = submission.claim(world.parts, [found])
    assert again.fence > lost.fence + 1_000_000


def test_a_look_after_a_recovery_is_claimed_under_such_a_fence_too(restored: Restored) -> None:
    world = restored.world
    lost, found = restored_after_a_claim(restored)
    world.release()
    world.send([found])
    world.run_until(lambda: bool(world.rows("SELECT 1 FROM payment WHERE work = 'look'")), step=1.0)
    before = world.payment(found).fence
    world.clock.on(600)
    world.release()
    (looking,) = polling.claim(world.parts, [found])
    assert looking.fence == world.payment(found).fence > before > lost.fence


def test_an_acceptance_of_a_claim_that_was_lost_brings_its_attempt_along_so_that_somebody_can_ask_about_it(
    restored: Restored,
) -> None:
    world = restored.world
    lost, found = restored_after_a_claim(restored)
    taken = SendVerdict(SendAnswer.ACCEPTED, http_status=202)

    outcome.record_sends(
        world.parts, [SendReport(found, 1, lost.number, lost.fence, lost.claimed_at_ms, taken, lost.request)]
    )

    assert world.payment(found).state is State.PENDING
    with world.ledger.read() as tx:
        stored = moves.attempts_of(tx, [found])
    assert [(key, attempt.request) for key, attempt in stored.items()] == [((found, 1), lost.request)]
    assert restored.pay(found).state is State.SUCCESSFUL


def test_an_acceptance_that_comes_when_its_payment_lies_on_the_desk_bars_the_way_of_a_cancel_at_once(
    restored: Restored,
) -> None:
    """Until the look that it asks for, nothing else in the ledger says that MTN has it."""
    world = restored.world
    lost, found = restored_after_a_claim(restored, send_unsent=False)
    assert world.payment(found).state is State.HELD
    assert isinstance(given_up(restored, found), Change)

    taken = SendVerdict(SendAnswer.ACCEPTED, http_status=202)
    outcome.record_sends(
        world.parts, [SendReport(found, 1, lost.number, lost.fence, lost.claimed_at_ms, taken, lost.request)]
    )

    assert isinstance(given_up(restored, found), NotPermitted)
    restored.mtn.has[restored.reference("k", 1)] = Status.SUCCESSFUL
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL, step=60.0)


def given_up(restored: Restored, payment_id: str) -> Change | NotPermitted:
    """What a person who cancels it gets, once nobody needs to be asked about it first."""
    world = restored.world
    return operator.cancel(world.payment(payment_id), [], world.clock.now_ms(), actor="eve", reason="left")


def test_an_attempt_that_is_in_the_store_is_sent_from_there_though_no_send_of_it_was_counted(
    restored: Restored,
) -> None:
    world = restored.world
    lost, found = restored_after_a_claim(restored)
    with world.ledger.write() as tx:
        moves.add_attempts(tx, [Attempt.of(world.payment(found), lost.request, tx.now_ms)])
    assert world.payment(found).sends == 0
    world.release()
    (again,) = submission.claim(world.parts, [found])
    assert again.request == lost.request
