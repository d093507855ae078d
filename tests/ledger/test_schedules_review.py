"""What a hostile review of schedules has found: each case asked somebody who wasn't to be asked, or left a payer where nobody looked."""

from dataclasses import replace
from typing import Any

import pytest
from tests.ledger.test_schedules_following import KEY, asked, due, failing, said, until_ended
from tests.support.ledger_world import World, found_as
from tests.support.schedule_office import FEES, ID, Treasury, a_treasury, payers

from momo_worker.ledger import schedule_dues, schedules
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Product
from momo_worker.payment.rules import DAY
from momo_worker.payment.verdict import Status
from momo_worker.pump.loops import OUTLIVED
from momo_worker.runs.releasing import pause_run
from momo_worker.schedules import following as following_room
from momo_worker.schedules import rounds as rounds_room
from momo_worker.schedules.holding import pause_schedule, remove_schedule, resume_schedule
from momo_worker.schedules.settling import settle
from momo_worker.steps import operator


@pytest.fixture
def treasury(world: World) -> Treasury:
    return a_treasury(world)


def failed_once(treasury: Treasury, code: str = "EXPIRED", count: int = 1, **changes: Any) -> None:
    """Asked and failed; each payer waits for the next moment, and the round is over."""
    asked(treasury, count, **changes)
    treasury.world.mtn.on_look = failing(code)
    until_ended(treasury)
    treasury.following().follow()
    treasury.feeder().feed()
    assert treasury.world.rows("SELECT DISTINCT state FROM run") == ["settled"]


def at_its_moment(treasury: Treasury) -> None:
    world = treasury.world
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)


def asked_again(treasury: Treasury) -> None:
    """The next attempt is in the ledger, and no worker has looked at it."""
    failed_once(treasury)
    at_its_moment(treasury)
    treasury.following().follow()
    assert treasury.world.rows("SELECT state, attempt FROM payment") == [("accepted", 2)]


def people_retry(treasury: Treasury, key: str = KEY) -> operator.Decided:
    """`momo payment retry`."""
    world = treasury.world
    until_ms = world.clock.now_ms() + DAY
    decided = operator.retry(
        world.parts, world.id_of(key), by=By("bursar", "the mother called"), until_ms=until_ms, producer_knows=True
    )
    assert decided is not None
    return decided


# ---- pause and remove -----------------------------------------------------------------------------------------------


def test_a_paused_schedule_sends_no_next_attempt_of_a_round_that_was_over(world: World, treasury: Treasury) -> None:
    asked_again(treasury)
    pause_schedule(world.parts, "default", FEES, reason="wrong fees", by="boss")
    world.turn(product=Product.COLLECTION)
    assert len(world.mtn.left) == 1
    resume_schedule(world.parts, "default", FEES, reason="right after all", by="boss")
    world.clock.on(120)
    world.turn(product=Product.COLLECTION)
    assert len(world.mtn.left) == 2


def test_a_round_that_came_to_its_end_while_paused_is_resumed_with_its_schedule(
    world: World, treasury: Treasury
) -> None:
    asked(treasury)
    pause_schedule(world.parts, "default", FEES, reason="wrong fees", by="boss")
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    treasury.feeder().feed()
    resume_schedule(world.parts, "default", FEES, reason="right after all", by="boss")
    at_its_moment(treasury)
    treasury.following().follow()
    world.turn(product=Product.COLLECTION)
    assert len(world.mtn.left) == 2


def test_a_retry_that_a_pump_makes_while_its_schedule_is_paused_waits(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_once(treasury)
    at_its_moment(treasury)
    real = following_room.operator.retry

    def late(*given: Any, **more: Any) -> Any:
        pause_schedule(world.parts, "default", FEES, reason="wrong fees", by="boss")
        return real(*given, **more)

    monkeypatch.setattr(following_room.operator, "retry", late)
    treasury.following().follow()
    world.turn(product=Product.COLLECTION)
    assert (len(world.mtn.left), world.rows("SELECT state FROM payment")) == (1, ["accepted"])
    resume_schedule(world.parts, "default", FEES, reason="right after all", by="boss")
    world.clock.on(120)
    world.turn(product=Product.COLLECTION)
    assert len(world.mtn.left) == 2


def test_a_removed_schedule_sends_no_next_attempt_of_a_round_that_was_over(world: World, treasury: Treasury) -> None:
    asked_again(treasury)
    removed = remove_schedule(world.parts, "default", FEES, reason="the term is over", by="boss")
    world.turn(product=Product.COLLECTION)
    assert (len(world.mtn.left), removed.cancelled) == (1, 1)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped"}


def test_a_retry_that_a_pump_makes_while_its_schedule_is_removed_is_cancelled(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_once(treasury)
    at_its_moment(treasury)
    real = following_room.operator.retry

    def late(*given: Any, **more: Any) -> Any:
        remove_schedule(world.parts, "default", FEES, reason="the term is over", by="boss")
        return real(*given, **more)

    monkeypatch.setattr(following_room.operator, "retry", late)
    treasury.following().follow()
    world.turn(product=Product.COLLECTION)
    treasury.following().follow()
    assert len(world.mtn.left) == 1
    assert (world.rows("SELECT state FROM payment"), treasury.dues()) == (["failed"], {"2026-12 P0": "stopped"})


def test_nobody_waits_for_a_schedule_that_was_removed(world: World, treasury: Treasury) -> None:
    failed_once(treasury)
    remove_schedule(world.parts, "default", FEES, reason="the term is over", by="boss")
    assert treasury.dues() == {"2026-12 P0": "stopped"}


def test_an_ask_that_fails_after_its_schedule_was_removed_reminds_nobody(world: World, treasury: Treasury) -> None:
    asked(treasury)
    remove_schedule(world.parts, "default", FEES, reason="the term is over", by="boss")
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped"}
    assert treasury.payer_events()[-1] == ("unpaid", "P0")


def test_a_round_that_a_person_paused_is_not_followed_by_another_that_runs(world: World, treasury: Treasury) -> None:
    """M13: nothing but resume lifts a pause; what expired under it must not leave in a run of its own."""
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    treasury.feeder().feed()
    pause_run(world.parts, "default", "fees-2026-12", reason="wrong amounts", by="boss")
    world.write("UPDATE payment SET state = 'cancelled', work = NULL, due_at_ms = NULL, reason_code = 'EXPIRED'")
    for _ in range(3):
        treasury.following().follow()
        treasury.turn()
    assert (len(world.mtn.left), world.count("run"), treasury.dues()) == (0, 1, {"2026-12 P0": "due"})


# ---- a person's word about one payment --------------------------------------------------------------------------------


def test_a_person_asks_a_waiting_payer_at_once(world: World, treasury: Treasury) -> None:
    failed_once(treasury)
    people_retry(treasury)
    world.turn(product=Product.COLLECTION)
    assert (len(world.mtn.left), treasury.dues()) == (2, {"2026-12 P0": "asked"})
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    assert (treasury.dues(), due(world, "collected_minor")) == ({"2026-12 P0": "collected"}, 50_000)


def test_what_a_stopped_payer_pays_after_all_is_counted(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("PAYER_NOT_FOUND")
    until_ended(treasury)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped"}
    people_retry(treasury)
    world.turn(product=Product.COLLECTION)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    assert (treasury.dues(), due(world, "collected_minor")) == ({"2026-12 P0": "collected"}, 50_000)


def test_a_person_who_asks_again_whom_cash_has_settled_asks_nobody(world: World, treasury: Treasury) -> None:
    failed_once(treasury)
    settle(world.parts, said())
    people_retry(treasury)
    world.turn(product=Product.COLLECTION)
    treasury.following().follow()
    assert len(world.mtn.left) == 1
    assert (world.rows("SELECT state FROM payment"), treasury.dues()) == (["failed"], {"2026-12 P0": "settled"})


def test_an_ask_for_the_rest_that_a_person_cancels_is_not_made_again(world: World, treasury: Treasury) -> None:
    failed_once(treasury)
    settle(world.parts, said(20_000))
    at_its_moment(treasury)
    treasury.following().follow()
    treasury.feeder().feed()
    operator.cancel(world.parts, world.id_of(f"{KEY}/2"), actor="bursar", reason="spoke with the mother")
    for _ in range(3):
        treasury.following().follow()
        treasury.turn()
    assert (treasury.dues(), len(world.mtn.left)) == ({"2026-12 P0": "stopped"}, 1)


# ---- the mandate ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["another number", "a lower amount", "gone"])
def test_a_new_signature_turns_no_older_ask_into_a_forgery(world: World, treasury: Treasury, change: str) -> None:
    """The list of next term is signed while an ask of this one waits: it isn't asked, and nobody is woken for tampering."""
    failed_once(treasury, count=2)
    people = payers(2)
    other = {
        "another number": [replace(people[0], msisdn="256772299999"), people[1]],
        "a lower amount": [replace(people[0], amount_minor=40_000), people[1]],
        "gone": [people[1]],
    }[change]
    world.clock.on(3_600)
    with world.ledger.write() as tx:
        schedules.put_payers(tx, ID, other)
    treasury.sign(who="cfo", ceiling_minor=200_000)
    at_its_moment(treasury)
    treasury.following().follow()
    world.turn(product=Product.COLLECTION)
    treasury.following().follow()
    assert world.rows("SELECT state FROM payment WHERE idempotency_key = :key", key=KEY) == ["failed"]
    assert treasury.dues() == {"2026-12 P0": "stopped", "2026-12 P1": "asked"}
    assert len(world.mtn.left) == 3


def test_nobody_is_asked_for_more_in_a_period_than_was_signed_under_whatever_keys(
    world: World, treasury: Treasury
) -> None:
    """With the database alone: a payer who has paid is made to owe again, under the next key, within the ceiling."""
    made = treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.sign(ceiling_minor=500_000)
    treasury.fire(made)
    treasury.turn()
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    world.write("UPDATE schedule_due SET state = 'due', collected_minor = 0, ask_key = NULL")
    treasury.following().follow()
    treasury.turn()
    assert len(world.mtn.left) == 1
    assert world.rows("SELECT state FROM payment WHERE idempotency_key = :key", key=f"{KEY}/2") == ["held"]


# ---- what passes, and what two do at once -------------------------------------------------------------------------------


def test_a_retry_that_is_refused_for_some_minutes_stops_nobody(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restore a retry waits until MTN was asked about every attempt."""
    failed_once(treasury)
    at_its_moment(treasury)
    with monkeypatch.context() as patched:
        patched.setattr(operator.recovery, "unsearched", lambda *_, **__: True)
        treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "waiting"}
    at_its_moment(treasury)
    treasury.following().follow()
    assert (treasury.dues(), world.rows("SELECT attempt FROM payment")) == ({"2026-12 P0": "asked"}, [2])


def test_who_pays_while_a_round_is_made_doesnt_end_the_pump(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted and then paid by other means, or opted out: on PostgreSQL another transaction commits in between."""
    made = treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign(ceiling_minor=900_000)
    real = schedule_dues.may_ask

    def counted(*given: Any) -> tuple[int, int]:
        count, total = real(*given)
        return count + 1, total + 50_000

    with monkeypatch.context() as patched:
        patched.setattr(rounds_room.schedule_dues, "may_ask", counted)
        with pytest.raises(OUTLIVED):
            treasury.fire(made)
    assert world.count("run") == world.count("schedule_due") == 0
    treasury.fire(made)
    assert world.rows("SELECT rows FROM run") == [2]


def test_who_waited_through_a_long_pause_is_not_asked_long_after_the_last_day(world: World, treasury: Treasury) -> None:
    failed_once(treasury)
    pause_schedule(world.parts, "default", FEES, reason="holidays", by="boss")
    treasury.at("2027-02-20T09:00:00")
    resume_schedule(world.parts, "default", FEES, reason="back", by="boss")
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped"}


# PostgreSQL reads a table this small as a whole.
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("without_payment", "ix_schedule_due_asked"),
        ("ended_asks", "ix_schedule_due_asked"),
        ("periods_with_due", "ix_schedule_due_left"),
        ("to_ask_again", "ix_schedule_due_again"),
    ],
)
def test_what_the_pump_asks_each_second_reads_no_dues_that_are_over(
    world: World, treasury: Treasury, question: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[str] = []
    with world.ledger.read() as tx:
        execute = tx.conn.execute

        def explained(statement: Any, values: Any = None) -> Any:
            bound = statement.bindparams(**(values or {}))
            said = bound.compile(dialect=world.ledger.engine.dialect, compile_kwargs={"render_postcompile": True})
            given = tuple(said.params[name] for name in said.positiontup)
            plans.extend(row[3] for row in tx.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", given))
            return execute(statement, values or {})

        monkeypatch.setattr(tx.conn, "execute", explained)
        limit = {} if question == "periods_with_due" else {"limit": 10}
        getattr(schedule_dues, question)(tx, **limit)
    of_dues = [line for line in plans if " d " in line]
    assert [index in line for line in of_dues] == [True], plans
