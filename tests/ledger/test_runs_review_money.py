"""What a hostile reading of released runs found: brakes on money, counts, locks, events, and what a pump's questions cost; on both databases."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.ledger_world import World, an_account, failures, found_as, side_by_side
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.approval.people import Role
from momo_worker.ledger import run_release, runs, stops
from momo_worker.ledger.runs import Run
from momo_worker.ledger.schema import payment
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Product
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import Status
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.releasing import (
    NotReleasedError,
    cancel_run,
    open_again,
    reopen_run,
    resume_run,
)
from momo_worker.steps import intake, operator


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def cancelled(world: World) -> Run:
    return cancel_run(world.parts, "default", NAME, reason="wrong month", by="boss")[0]


def states(world: World) -> list[str]:
    return sorted(world.rows("SELECT state FROM payment"))


def unfunded(world: World, office: Office, rows: int) -> Run:
    """A run that is in the ledger as a whole, and of which MTN says of every row that there is no money."""
    run = office.released(a_file(*people(rows)))
    assert office.feeder().feed() == rows
    world.mtn.on_look = found_as(Status.FAILED, reason_code="NOT_ENOUGH_FUNDS")
    return run


def test_a_run_that_was_handed_over_as_a_whole_holds_itself_back_too(world: World, office: Office) -> None:
    run = unfunded(world, office, 12)
    ids = office.payment_ids(run)
    for _ in range(10):
        world.clock.on(15)
        with world.ledger.write() as tx:
            tx.conn.execute(text("UPDATE payment SET released_until_ms = :at"), {"at": tx.now_ms + 60_000})
        world.send(ids[:5])
        world.look(ids[:5])
        if states(world).count("failed") == 5:
            break
    assert states(world) == ["accepted"] * 7 + ["failed"] * 5
    office.feeder().feed()
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == [run.id]
    world.turn()
    assert len(world.mtn.left) == 5


def test_rows_without_money_are_tried_again_though_nothing_is_paused_any_more(world: World, office: Office) -> None:
    run = unfunded(world, office, 3)
    world.run_until(lambda: states(world) == ["failed"] * 3)
    office.feeder().feed()
    assert office.run(run).state == "settled"
    with pytest.raises(NotReleasedError, match="isn't paused"):
        resume_run(world.parts, "default", NAME, reason="funded", by="boss")
    run = resume_run(world.parts, "default", NAME, reason="funded", by="boss", again_unfunded=True)
    office.feeder().feed()
    for name in office.payment_ids(run):
        operator.retry(world.parts, name, by=By("boss", "funded"), seen_attempt=1)
    resume_run(world.parts, "default", NAME, reason="killed and said again", by="boss", again_unfunded=True)
    assert open_again(world.parts, run).state == "released", "it is watched again"
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: states(world) == ["successful"] * 3)
    office.feeder().feed()
    assert office.run(run).state == "settled"
    assert office.run_events(run)[-4:] == ["completed", "settled"] * 2
    with pytest.raises(NotReleasedError, match="no row of it failed"):
        resume_run(world.parts, "default", NAME, reason="funded", by="boss", again_unfunded=True)


def test_rows_of_a_cancelled_run_arent_tried_again(world: World, office: Office) -> None:
    run = unfunded(world, office, 3)
    world.turn()
    cancelled(world)
    world.run_until(lambda: states(world) == ["failed"] * 3)
    with pytest.raises(NotReleasedError, match="was cancelled"):
        resume_run(world.parts, "default", NAME, reason="funded", by="boss", again_unfunded=True)
    assert office.run(run).state == "stopped"


def test_a_run_that_was_funded_isnt_paused_again_by_what_was_read_before(world: World, office: Office) -> None:
    run = office.released(a_file(*people(2)))
    feeder = office.feeder()
    office.available = 1
    assert feeder.feed() == 0
    office.available = 10**9
    resume_run(world.parts, "default", NAME, reason="funded", by="boss")
    assert feeder.feed() == 2
    assert office.run_events(run).count("paused") == 1


def test_a_pause_of_another_product_holds_no_run(world: World, office: Office) -> None:
    office.released(a_file(*people(2)))
    with world.ledger.write() as tx:
        stops.add_pause(tx, account="", product="collection", run="", reason="x", actor="boss")
    assert office.feeder().feed() == 2


def test_a_pump_that_couldnt_pay_a_run_leaves_it_to_another_and_lives_on(world: World, office: Office) -> None:
    office.released(a_file(*people(2)))
    knowing = world.parts
    account = world.parts.accounts["default"]
    collects = {Product.COLLECTION: account.credentials[Product.COLLECTION]}
    world.parts = replace(knowing, accounts={"default": replace(account, credentials=collects)})
    assert (office.feeder().feed(), office.asked) == (0, 0)
    world.parts = knowing
    world.write("UPDATE run SET operation = 'x'")
    assert office.feeder().feed() == 0


def test_a_run_that_is_still_paying_counts_though_it_was_released_long_ago(world: World) -> None:
    account = an_account(second_approval_above_minor=1_500_000)
    world.parts = replace(world.parts, accounts={"default": account})
    office = an_office(world)
    office.released(a_file(*people(6)), "salary-a", first=1)
    world.clock.on(3 * 86_400)
    office.draft(a_file(*people(6, amount=160_000)), "salary-b")
    office.sign("ada", Role.MAKER, "salary-b")
    assert "2 approvals" in office.sign("boss", name="salary-b").missing


def test_cancel_and_a_pump_that_tells_dont_wait_for_each_other_in_a_circle(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = office.released(a_file(*people(2)))
    office.feeder().feed()
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: states(world) == ["successful"] * 2)
    locked: list[str] = []
    release_of, find, live = run_release.release_of, runs.find, runs.live

    def noting(name: str, deed: Any) -> Any:
        def noted(*given: Any, lock: bool = False) -> Any:
            if lock:
                locked.append(name)
            return deed(*given, lock=lock)

        return noted

    monkeypatch.setattr(run_release, "release_of", noting("release", release_of))
    monkeypatch.setattr(runs, "find", noting("run", find))
    monkeypatch.setattr(runs, "live", noting("run", live))
    office.feeder().feed()
    assert (locked, office.run(run).state) == (["run", "release"], "settled")


def test_many_cancels_and_feeds_at_once_end_without_a_deadlock(world: World, office: Office) -> None:
    office.released(a_file(*people(6)))
    other, third = world.beside(), world.beside()
    feeders = [office.feeder(one, ahead=2) for one in (world, other)]
    results = side_by_side(
        *[feeder.feed for feeder in feeders],
        lambda: cancel_run(third.parts, "default", NAME, reason="wrong", by="boss"),
    )
    assert failures(results) == []


def test_a_row_that_stops_waiting_between_two_counts_isnt_taken_for_refused(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = office.released(a_file(*people(2)))
    blind = replace(world.parts, accounts={"other": an_account("other")})

    def take_in(entries: Sequence[intake.Entry]) -> None:
        intake.take_in(blind, entries)

    Feeder(world.parts, take_in, office.balance, 300, Decimal(0)).feed()
    assert (world.count("waiting_job"), world.count("payment"), office.fed_to(run)) == (2, 0, 2)
    world.clock.on(600)
    other = world.beside()
    connection = type(world.ledger.engine.connect())
    executes = connection.execute
    asked: list[str] = []

    def come_between(self: Any, statement: Any, *given: Any, **more: Any) -> Any:
        found = executes(self, statement, *given, **more)
        if not asked and any(words in str(statement) for words in ("GROUP BY state", "FROM waiting_job WHERE door")):
            asked.append(str(statement))
            found = found.freeze()()
            intake.retry_waiting(other.parts, limit=10)
        return found

    with world.ledger.read() as tx, monkeypatch.context() as patched:
        patched.setattr(connection, "execute", come_between)
        assert run_release.standing_of(tx, run.id, 2).rejected == 0
    assert (len(asked), world.count("payment")) == (1, 2)


def test_a_run_that_is_approved_anew_tells_it_anew(world: World, office: Office) -> None:
    run = office.approved()
    world.clock.on(1)
    reopen_run(world.parts, "default", NAME, reason="look again", by="boss")
    office.sign("ada", Role.MAKER)
    office.sign("cfo")
    assert office.run_events(run) == ["approved", "approved"]


def beside_payments_of_no_run(world: World, count: int) -> None:
    """PostgreSQL plans by what is in the table: with two rows there, any index is as good as another."""
    given = {"id": "'other-' || n", "idempotency_key": "'other-' || n", "run": "''", "state": "'successful'"}
    names = [column.name for column in payment.columns]
    values = [given.get(name, name) for name in names]
    world.write(
        f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"INSERT INTO payment ({', '.join(names)}) "
        f"SELECT {', '.join(values)} FROM numbers, (SELECT * FROM payment LIMIT 1) AS one"
    )
    if world.ledger.dialect == "postgresql":
        world.write("ANALYZE payment")


def test_what_a_pump_asks_twice_a_second_is_led_by_an_index_to_a_runs_payments(world: World, office: Office) -> None:
    run = office.released(a_file(*people(2)))
    office.feeder().feed()
    beside_payments_of_no_run(world, 5_000)
    explain = "EXPLAIN QUERY PLAN" if world.ledger.dialect == "sqlite" else "EXPLAIN"
    plans: list[str] = []
    connection = type(world.ledger.engine.connect())
    executes = connection.execute

    def explained(self: Any, statement: Any, *given: Any, **more: Any) -> Any:
        if " payment " in f"{statement} ":
            plans.append(
                "\n".join(str(row[-1]) for row in executes(self, text(f"{explain} {statement.compile()}"), *given))
            )
        return executes(self, statement, *given, **more)

    with world.ledger.read() as tx, pytest.MonkeyPatch.context() as patched:
        patched.setattr(connection, "execute", explained)
        run_release.standing_of(tx, run.id, 2)
        run_release.unsent(tx, run.id)
        run_release.last_ends(tx, run.id, since_ms=0, limit=20)
        run_release.on_the_way_minor(tx, run.account, run.currency)
        run_release.ids_in_state(tx, run.id, State.ACCEPTED, after="", limit=1)
    leads = [next((name for name in ("ix_payment_run", "ix_payment_state") if name in plan), plan) for plan in plans]
    # Where few payments stand in a state, that index leads PostgreSQL as well as the run's.
    assert set(leads) == {"ix_payment_run", "ix_payment_state"}


def test_a_run_that_waits_for_the_desk_isnt_counted_at_each_pass(
    world: World, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = office.released(a_file(*people(3)))
    office.feeder().feed()
    world.write("UPDATE payment SET amount_minor = 1 WHERE idempotency_key = :key", key=office.key_of(1))
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: states(world) == ["held", "successful", "successful"])
    office.feeder().feed()
    assert office.run(run).state == "completed"
    counted: list[str] = []
    standing_of = run_release.standing_of

    def noting(tx: Any, run_id: str, fed_to: int) -> run_release.Standing:
        counted.append(run_id)
        return standing_of(tx, run_id, fed_to)

    monkeypatch.setattr(run_release, "standing_of", noting)
    office.feeder().feed()
    assert counted == []
    world.write("UPDATE payment SET state = 'failed', due_at_ms = NULL, work = NULL WHERE state = 'held'")
    office.feeder().feed()
    assert office.run(run).state == "settled"
