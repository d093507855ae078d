"""Released runs go on: rows become payments a few at a time, by many pumps, through kills, pauses and want of money; on both databases."""

from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.support.ledger_world import World, found_as, side_by_side
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.ledger.runs import Run
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Operation, Product
from momo_worker.payment.verdict import Status
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.releasing import (
    NotReleasedError,
    Wish,
    cancel_run,
    pause_run,
    release_run,
    resume_run,
)
from momo_worker.steps import intake, operator


class KilledError(Exception):
    """The pump ends here."""


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def ended(world: World, run: Run, office: Office) -> bool:
    return office.run(run).state in ("completed", "settled")


def finish(world: World, run: Run, office: Office, feeder: Feeder | None = None) -> None:
    """Pump and worker go on until the run is over."""
    feeder = feeder or office.feeder()
    for _ in range(200):
        world.clock.on(15)
        feeder.feed()
        world.turn()
        if ended(world, run, office):
            return
    raise AssertionError(f"the run is {office.run(run).state}")


def test_only_so_many_rows_stand_ready_and_the_others_wait_outside(world: World, office: Office) -> None:
    run = office.released(a_file(*people(50)))
    feeder = office.feeder(ahead=8)
    while feeder.feed():
        pass
    assert (world.count("payment"), office.fed_to(run)) == (8, 8)
    world.turn()
    assert feeder.feed() == 8


def test_a_trial_pays_its_first_rows_and_the_release_of_all_the_others(world: World, office: Office) -> None:
    run = office.released(a_file(*people(9)), first=3)
    feeder = office.feeder()
    while feeder.feed():
        pass
    assert world.count("payment") == 3
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.rows("SELECT DISTINCT state FROM payment") == ["successful"])
    feeder.feed()
    assert office.run(run).state == "released", "six rows are still to come"
    release_run(world.parts, "default", NAME, Wish(), by="boss")
    finish(world, run, office, feeder)
    assert world.count("payment") == 9
    assert office.run_events(run) == [
        "approved",
        "started",
        "progress",
        "progress",
        "progress",
        "progress",
        "progress",
        "completed",
        "settled",
    ]
    assert [event["data"]["percent"] for event in world.events(run.id) if "percent" in event["data"]] == [
        20,
        40,
        60,
        80,
        100,
    ]


def test_a_pump_that_dies_between_the_rows_and_its_mark_pays_nobody_twice(world: World, office: Office) -> None:
    run = office.released(a_file(*people(5)))

    def dies(entries: Sequence[intake.Entry]) -> None:
        intake.take_in(world.parts, entries)
        raise KilledError

    dying = Feeder(world.parts, dies, office.balance, 300, Decimal(0))
    with pytest.raises(KilledError):
        dying.feed()
    assert (world.count("payment"), office.fed_to(run)) == (5, 0)
    assert office.feeder().feed() == 0, "the dead pump's lease holds"
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office)
    assert len(world.mtn.left) == len(set(world.mtn.references())) == 5


def test_two_pumps_at_once_hand_over_every_row_once(world: World, office: Office) -> None:
    run = office.released(a_file(*people(7)))
    other = world.beside()
    one, two = office.feeder(), office.feeder(other)
    for _ in range(3):
        side_by_side(one.feed, two.feed)
    assert (world.count("payment"), office.fed_to(run)) == (7, 7)
    world.turn()
    assert len(set(world.mtn.references())) == len(world.mtn.left) == 7


def test_a_paused_run_holds_claims_and_the_last_look_and_lets_the_till_go(world: World, office: Office) -> None:
    run = office.released(a_file(*people(4)))
    feeder = office.feeder(ahead=2)
    feeder.feed()
    ids = world.release()
    pause_run(world.parts, "default", NAME, reason="look at it", by="boss")
    world.send(ids)
    world.clock.on(3600)
    world.turn()
    assert feeder.feed() == 0
    assert world.mtn.left == []
    world.send(world.accept("till-1"))
    assert len(world.mtn.left) == 1, "another's payment isn't held"
    resume_run(world.parts, "default", NAME, reason="fine", by="boss")
    with pytest.raises(NotReleasedError, match="isn't paused"):
        resume_run(world.parts, "default", NAME, reason="fine", by="boss")
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office)
    assert "paused" in office.run_events(run)


def test_a_pause_in_the_middle_of_a_batch_of_a_run_holds(world: World, office: Office) -> None:
    office.released(a_file(*people(4)))
    office.feeder().feed()
    ids = world.release()
    answered = world.mtn.on_send

    def first_then_pause(request: Any, secondary: bool) -> Any:
        if len(world.mtn.left) == 1:
            pause_run(world.parts, "default", NAME, reason="stop", by="boss")
            world.clock.on(2)
        return answered(request, secondary)

    world.mtn.on_send = first_then_pause
    world.send(ids)
    assert len(world.mtn.left) == 1


def test_a_cancelled_run_spares_what_wasnt_sent_and_follows_what_was(world: World, office: Office) -> None:
    run = office.released(a_file(*people(6)))
    feeder = office.feeder(ahead=3)
    feeder.feed()
    world.turn()
    feeder.feed()
    stopped, spared = cancel_run(world.parts, "default", NAME, reason="wrong", by="boss")
    assert (stopped.state, spared) == ("stopped", 0)
    waiting = world.rows("SELECT id FROM payment WHERE state = 'accepted'")
    for name in waiting:
        operator.cancel(world.parts, name, actor="boss", reason="wrong")
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office, feeder)
    assert sorted(world.rows("SELECT state FROM payment")) == ["cancelled"] * 3 + ["successful"] * 3
    assert office.run(run).state == "settled"


def test_a_run_that_was_cancelled_before_its_first_row_frees_its_name(world: World, office: Office) -> None:
    office.released()
    stopped, spared = cancel_run(world.parts, "default", NAME, reason="wrong", by="boss")
    assert (stopped.state, spared, office.feeder().feed()) == ("cancelled", 6, 0)
    assert world.count("payment") == 0


def test_a_balance_below_what_the_next_rows_need_pauses_the_run(
    world: World, office: Office, logged: list[MutableMapping[str, Any]]
) -> None:
    run = office.released(a_file(*people(4)))
    office.available = 4 * 150_006
    assert office.feeder().feed() == 0, "nothing is left for fees"
    assert office.run_events(run)[-1] == "paused"
    assert any(one["event"] == "a run was paused for want of money" for one in logged)
    office.available = 10**9
    resume_run(world.parts, "default", NAME, reason="funded", by="boss")
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office)


def test_the_need_counts_what_is_on_its_way_over_all_runs_and_doors(world: World, office: Office) -> None:
    office.available = 1_000_000
    world.accept("till-1", amount="600000")
    run = office.released(a_file(*people(3)))
    office.feeder().feed()
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == [run.id]


def test_a_balance_that_cant_be_read_stops_the_start_and_not_the_rest(world: World, office: Office) -> None:
    run = office.released(a_file(*people(4)))
    feeder = office.feeder(ahead=2)
    office.available = None
    assert feeder.feed() == 0
    office.available = 10**9
    world.clock.on(15)
    assert feeder.feed() == 2
    world.turn()
    world.clock.on(120)
    office.available = None
    assert feeder.feed() == 2
    assert world.count("pause") == 0
    assert office.fed_to(run) == 4


def test_a_balance_that_cant_be_read_is_asked_for_again_after_a_while_and_not_by_each_run_at_each_pass(
    world: World, office: Office
) -> None:
    runs = [office.released(a_file(*people(3)), name) for name in ("salary-a", "salary-b")]
    asked: list[tuple[str, Product, float]] = []
    begun_at = world.clock.elapsed()

    def hangs(account: str, product: Product) -> int | None:
        asked.append((account, product, world.clock.elapsed() - begun_at))
        world.clock.on(60)
        return office.available

    office.available = None
    feeder = office.feeder()
    feeder.balance = hangs
    for _ in range(30):
        assert feeder.feed() == 0
        world.clock.on(0.5)
    assert asked == [("default", Product.DISBURSEMENT, 0.0)]
    assert feeder.feed() == 0
    assert [at for _, _, at in asked] == [0.0, 75.0]

    assert feeder._available(replace(runs[0], account="other")) is None
    assert [account for account, _, _ in asked] == ["default", "default", "other"], "another's is its own"
    office.available = 10**9
    world.clock.on(15)
    assert feeder.feed() == 6


def test_five_of_twenty_rows_without_money_pause_the_run_and_are_tried_again_by_a_persons_word(
    world: World, office: Office
) -> None:
    run = office.released(a_file(*people(30)))
    feeder = office.feeder(ahead=6)
    feeder.feed()
    world.mtn.on_look = found_as(Status.FAILED, reason_code="NOT_ENOUGH_FUNDS")
    world.run_until(lambda: set(world.rows("SELECT state FROM payment")) == {"failed"})
    assert feeder.feed() == 0
    assert "failed for want of money" in world.rows("SELECT reason FROM pause WHERE run = :run", run=run.id)[0]

    world.clock.on(60)
    resume_run(world.parts, "default", NAME, reason="funded", by="boss")
    for name in office.payment_ids(run):
        decided = operator.retry(world.parts, name, by=By("boss", "funded"), seen_attempt=1)
        assert decided is not None
        assert decided.refused is None
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office, feeder)
    assert world.rows("SELECT DISTINCT state FROM payment") == ["successful"]
    assert len(world.mtn.left) == 36
    assert len(set(world.mtn.references())) == 36


def test_a_held_row_completes_a_run_and_its_end_settles_it(world: World, office: Office) -> None:
    run = office.released(a_file(*people(3)))
    feeder = office.feeder()
    feeder.feed()
    world.write("UPDATE payment SET amount_minor = 1 WHERE idempotency_key = :key", key=office.key_of(1))
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office, feeder)
    assert office.run(run).state == "completed"
    completed = world.events(run.id)[-1]
    assert (completed["type"], completed["data"]["held"]) == ("momo.run.completed", 1)
    world.write("UPDATE payment SET state = 'failed', due_at_ms = NULL, work = NULL WHERE state = 'held'")
    feeder.feed()
    assert office.run(run).state == "settled"
    assert office.run_events(run)[-1] == "settled"


def test_rows_that_intake_refuses_are_counted_and_the_run_comes_to_its_end(world: World, office: Office) -> None:
    world.successful("fee-1", amount="5000")
    content = a_file(("R1", "fee-1", "4999"), ("R2", "fee-1", "1"), head=("id", "collection", "amount"))
    run = office.released(content, operation=Operation.REFUND)
    world.accept("till", operation="refund", amount="1", msisdn=None, refund_of="fee-1")
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    finish(world, run, office)
    last = world.events(run.id)[-1]["data"]
    assert (last["ended"], last["rejected"], last["held"]) == (2, 1, 0)


def test_nothing_is_handed_over_while_the_ledger_is_in_recovery(world: World, office: Office) -> None:
    office.released()
    world.write(
        "INSERT INTO recovery (is_open, why, actor, jobs_from, epoch, tide_found, tide_known, jobs_tries, jobs_read, began_at_ms, listed_to) "
        "VALUES (1, 'behind', 'pump', '0', 2, 1, 2, 0, 0, 1, '')"
    )
    assert office.feeder().feed() == 0
    assert world.count("payment") == 0


def test_an_account_that_this_process_doesnt_know_is_left_to_another(world: World, office: Office) -> None:
    office.released()
    world.parts = replace(world.parts, accounts={})
    assert office.feeder().feed() == 0


def test_two_runs_that_share_a_balance_dont_both_begin(world: World, office: Office) -> None:
    office.available = 1_000_000
    first = office.released(a_file(*people(5, amount=160_000)), "salary-a")
    feeder = office.feeder(ahead=2)
    assert feeder.feed() == 2
    second = office.released(a_file(*people(5, amount=161_000)), "salary-b")
    assert office.feeder(ahead=2).feed() == 0, "the first one's other rows are released, too"
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == [second.id]
    assert "all released runs" in world.rows("SELECT reason FROM pause")[0]
    assert office.run(first).state == "released"


def test_a_person_may_let_a_run_begin_that_isnt_funded_to_its_end(world: World, office: Office) -> None:
    office.available = 500_000
    run = office.released(a_file(*people(5)))
    feeder = office.feeder(ahead=2)
    assert feeder.feed() == 0
    resume_run(world.parts, "default", NAME, reason="the rest comes tomorrow", by="boss")
    assert feeder.feed() == 2
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: set(world.rows("SELECT state FROM payment")) == {"successful"})
    office.available = 100_000
    world.clock.on(30)
    assert feeder.feed() == 0
    reasons = world.rows("SELECT reason FROM pause WHERE run = :run ORDER BY id", run=run.id)
    assert "the next rows" in reasons[-1]


def test_what_was_handed_over_since_the_balance_was_read_counts_though_it_has_left_the_books(
    world: World, office: Office
) -> None:
    run = office.released(a_file(*people(6)))
    office.available = 650_000
    feeder = office.feeder(ahead=2)
    assert feeder.feed() == 0
    resume_run(world.parts, "default", NAME, reason="the rest comes tomorrow", by="boss")
    for _ in range(2):
        assert feeder.feed() == 2
        world.write("UPDATE payment SET state = 'successful', work = NULL, due_at_ms = NULL")
    office.available = 50_000
    assert (feeder.feed(), office.asked) == (0, 3), "twice at the start, and again when what was known carried no more"
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == [run.id]


def test_rows_that_stand_ready_are_held_as_well_when_the_last_are_already_handed_over(
    world: World, office: Office
) -> None:
    run = office.released(a_file(*people(8)))
    feeder = office.feeder()
    assert feeder.feed() == 8
    world.send(world.release()[:5])
    world.mtn.on_look = found_as(Status.FAILED, reason_code="NOT_ENOUGH_FUNDS")
    world.write("UPDATE payment SET due_at_ms = due_at_ms + 3600000 WHERE state = 'accepted'")
    world.run_until(lambda: world.rows("SELECT count(*) FROM payment WHERE state = 'failed'") == [5])
    feeder.feed()
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == [run.id]
    world.clock.on(7200)
    world.turn()
    assert len(world.mtn.left) == 5
