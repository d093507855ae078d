"""Between a restore and the moment in which a pump notices it: nothing is ended, retried or rejected on the word of a ledger that lost its sends."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.ledger.test_recovery_again import ENDINGS, Ending, expired, job
from tests.support.ledger_world import NAMESPACE, World, an_account, an_entry
from tests.support.restored import HOUR, KNOWN_BY, Restored, stream_entry, unnoticed

from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import prompts
from momo_worker.ledger.prompts import OptOut
from momo_worker.payment.job import Problem
from momo_worker.payment.operator import By
from momo_worker.payment.reference import reference_id
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import SendAnswer, SendVerdict, Status
from momo_worker.steps import intake, operator, recovery

ADA = By("ada", "the portal shows nothing")
_TO_THE_DESK = "UPDATE payment SET state = 'held', held_cause = 'suspect_duplicate', work = NULL, due_at_ms = NULL, released_until_ms = NULL"


def paid_in_the_lost_time(restored: Restored, key: str) -> None:
    """MTN has it, and the ledger that sent it is gone."""
    restored.mtn.has[restored.reference(key, 1)] = Status.PENDING


def recover(restored: Restored, *entries: intake.Entry) -> None:
    """A pump notices, everything is read again and looked for."""
    notice(restored)
    restored.reread(*entries)
    restored.search()


@pytest.mark.parametrize("known_by", KNOWN_BY)
@pytest.mark.parametrize("end", ENDINGS)
def test_what_the_lost_ledger_sent_is_ended_by_nobody_before_the_restore_is_noticed(
    restored: Restored, end: Ending, known_by: str
) -> None:
    """Seed 1244: sixteen payments were cancelled in the third of a second before the pump compared, because their time had come."""
    world = restored.world
    (found,) = world.accept("k")
    restored.backup()
    paid_in_the_lost_time(restored, "k")
    world.clock.on(60)
    unnoticed(restored, known_by)
    end(world, found)
    assert world.payment(found).state is State.ACCEPTED
    assert world.types(found) == ["accepted"]

    recover(restored)
    assert restored.outcomes() == {found: "adopted"}
    assert world.payment(found).state is State.PENDING


def retried(world: World, found: str) -> operator.Decided | None:
    until_ms = world.clock.at_ms + 3_600_000
    return operator.retry(world.parts, found, by=ADA, until_ms=until_ms, producer_knows=True)


def resolved(world: World, found: str) -> operator.Decided | None:
    said = Resolve(ADA, State.FAILED, "portal, searched by external id", statement="statement 12, line 4")
    return operator.resolve(world.parts, found, said)


def released(world: World, found: str) -> operator.Decided | None:
    return operator.release(world.parts, found, by=ADA)


def failed(restored: Restored) -> str:
    (found,) = restored.world.accept("k")
    restored.pay(found, Status.FAILED)
    return found


def unknown(restored: Restored) -> str:
    world = restored.world
    (found,) = world.accept("k")
    world.mtn.on_send = lambda *_: SendVerdict(SendAnswer.UNKNOWN, http_status=504)
    world.send([found])
    world.clock.on(3 * 24 * HOUR)
    return found


def held(restored: Restored) -> str:
    (found,) = restored.world.accept("k")
    restored.world.write(_TO_THE_DESK)
    return found


Before = Callable[[Restored], str]
Decide = Callable[[World, str], operator.Decided | None]


@pytest.mark.parametrize("is_restored", [True, False])
@pytest.mark.parametrize(("before", "decide"), [(failed, retried), (unknown, resolved), (held, released)])
def test_a_person_decides_nothing_either(restored: Restored, before: Before, decide: Decide, is_restored: bool) -> None:
    world = restored.world
    found = before(restored)
    stood = world.payment(found).state
    if is_restored:
        restored.backup()
        unnoticed(restored, KNOWN_BY[0])
    decided = decide(world, found)
    assert decided is not None
    assert (decided.refused is not None) == is_restored
    assert (world.payment(found).state is stood) == is_restored
    if decided.refused is not None:
        assert "MTN hasn't been asked" in decided.refused.why


def collected(restored: Restored, collection: intake.Entry) -> None:
    world = restored.world
    world.take(collection)
    reference = reference_id(NAMESPACE, "default", "collect", "till", 1)
    restored.mtn.has[reference] = Status.SUCCESSFUL


def test_a_refund_of_what_the_restore_took_away_waits_and_is_not_rejected(restored: Restored) -> None:
    world = restored.world
    collection = an_entry(job("till", operation="collect"), "momo:jobs/100-0")
    fields = {"operation": "refund", "idempotency_key": "back", "amount": "5", "currency": "UGX", "refund_of": "till"}
    restored.backup()
    collected(restored, collection)
    unnoticed(restored, KNOWN_BY[0])
    refund = an_entry(fields, "momo:jobs/200-0")
    taken = world.take(refund)
    assert (taken.left, taken.rejected, world.rejections()) == (("momo:jobs/200-0",), (), [])

    recover(restored, collection, refund)
    assert world.count("waiting_job") == 1
    assert restored.release().done
    world.run_until(lambda: world.payment(world.id_of("till")).state is State.SUCCESSFUL, step=5.0, seconds_max=600)
    world.clock.on(60)
    assert len(intake.retry_waiting(world.parts, limit=10).accepted) == 1


def test_a_refund_by_the_command_line_waits_too(restored: Restored) -> None:
    """No stream says later what became of it, so it is taken in at once."""
    world = restored.world
    restored.backup()
    collected(restored, an_entry(job("till", operation="collect"), "momo:jobs/100-0"))
    unnoticed(restored, KNOWN_BY[0])
    fields = {"operation": "refund", "idempotency_key": "back", "amount": "5", "currency": "UGX", "refund_of": "till"}
    taken = world.take(an_entry(fields, "command_line:1"))
    assert (taken.waiting, world.rejections()) == (("command_line:1",), [])


def test_a_job_that_waits_for_its_account_goes_on_waiting(restored: Restored) -> None:
    world = restored.world
    world.take(an_entry(job("k", account="tomorrow"), "momo:jobs/100-0"))
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    world.clock.on(2 * HOUR)
    intake.retry_waiting(world.parts, limit=10)
    assert (world.count("waiting_job"), world.rejections()) == (1, [])


def test_who_has_opted_out_is_refused_only_by_a_ledger_that_is_whole(restored: Restored) -> None:
    """What it asked for before may be paid; at its claim nothing is sent."""
    world = restored.world
    with world.ledger.write() as tx:
        prompts.add_opt_out(tx, OptOut("", "256772123456", "asked us not to", "ada", tx.now_ms))
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    world.take(an_entry(job("k", operation="collect"), "command_line:1"))
    assert world.rejections() == []
    assert world.payment(world.id_of("k")).state is State.ACCEPTED


def test_what_was_cancelled_by_a_process_that_knew_nothing_is_asked_about(restored: Restored) -> None:
    """A failover that lost less than the tide can show, or a Redis that was away: what MTN has is told as a contradiction."""
    world = restored.world
    (at_mtn, unsent, long_ago) = world.accept("k", "unsent", "old")
    expired(world, long_ago)
    world.clock.on(60)
    restored.tide()
    restored.backup()
    paid_in_the_lost_time(restored, "k")
    world.clock.on(1)
    unnoticed(restored, KNOWN_BY[0])
    world.parts = replace(world.parts, tidemark=Tidemark())
    for name in (at_mtn, unsent):
        expired(world, name)
        assert world.payment(name).state is State.CANCELLED

    recover(restored)
    assert restored.outcomes() == {at_mtn: "disputed", unsent: "stands"}
    assert world.types(at_mtn)[-1] == "contradicted"


def test_a_whole_ledger_expires_what_was_not_sent_in_time(restored: Restored) -> None:
    world = restored.world
    (found,) = world.accept("k")
    restored.tide()
    expired(world, found)
    assert world.payment(found).state is State.CANCELLED


# ---- jobs at the doors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_noticed", [False, True])
def test_what_the_lost_ledger_may_have_rejected_is_taken_in_by_no_door_before_it_is_read_again(
    restored: Restored, is_noticed: bool
) -> None:
    """Seed 260: a pump died between the rejection and its acknowledgement, and so the entry comes once more."""
    world = restored.world
    entry = stream_entry("k", world.clock.at_ms)
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    if is_noticed:
        notice(restored)

    taken = world.take(entry)

    assert (taken.left, taken.accepted) == ((entry.source,), ())
    if not is_noticed:
        notice(restored)
    restored.reread(replace(entry, broken=Problem("replaces", "k", "isn't failed", "wait for its end")))
    assert world.take(entry) == intake.Taken((), (), (), (), ())
    assert (world.count("payment"), len(world.rejections())) == (0, 1)


def test_what_came_after_the_restore_goes_in_while_the_stream_is_read_again(restored: Restored) -> None:
    world = restored.world
    restored.tide()
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    notice(restored)
    now_ms = world.clock.at_ms
    assert recovery.next_reading(world.parts, stream_end=f"{now_ms}-0", stream_begin=None) is not None
    long_ago, before, after = (
        stream_entry(key, at_ms)
        for key, at_ms in (("long-ago", now_ms - 7_200_000), ("before", now_ms), ("after", now_ms + 1))
    )

    taken = world.take(long_ago, before, after)

    assert taken.left == (before.source,)
    assert taken.accepted == (world.id_of("long-ago"), world.id_of("after"))


def test_a_job_that_waits_is_tried_again_only_when_the_stream_has_said_what_became_of_it(restored: Restored) -> None:
    """The lost ledger rejected it when its hour was over; the restored one has it waiting, and its account is there by now."""
    world = restored.world
    entry = an_entry(job("k", account="tomorrow"), f"momo:jobs/{world.clock.at_ms}-0")
    world.take(entry)
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    notice(restored)
    world.parts = replace(world.parts, accounts={"tomorrow": replace(an_account(), name="tomorrow")})
    world.clock.on(2 * HOUR)
    assert intake.retry_waiting(world.parts, limit=10).accepted == ()

    restored.reread(
        replace(entry, broken=Problem("account", "tomorrow", "wasn't configured for an hour", "configure it"))
    )

    assert intake.retry_waiting(world.parts, limit=10).accepted == ()
    assert (world.count("waiting_job"), world.count("payment"), len(world.rejections())) == (0, 0, 1)


def test_a_job_that_is_read_again_waits_for_its_account_as_long_as_the_lost_ledger_may_have_paid_it(
    restored: Restored,
) -> None:
    """A machine rebuilt without one account: at the release its jobs were rejected at once, whatever had become of them."""
    world = restored.world
    entry = an_entry(job("k", account="tomorrow"), f"momo:jobs/{world.clock.at_ms}-0")
    restored.backup()
    unnoticed(restored, KNOWN_BY[0])
    recover(restored, entry)
    world.clock.on(2 * HOUR)
    assert restored.release().done
    intake.retry_waiting(world.parts, limit=10)
    assert (world.count("waiting_job"), world.rejections()) == (1, [])

    world.clock.on(8 * 24 * HOUR)
    intake.retry_waiting(world.parts, limit=10)
    assert (world.count("waiting_job"), len(world.rejections())) == (0, 1)


def notice(restored: Restored) -> None:
    """A pump compares tides."""
    restored.world.parts.tidemark._read_copy = lambda: restored.copy
    assert restored.tide().began is not None
