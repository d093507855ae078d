"""A ledger that is restored under a run: it waits for a person, and what the lost ledger paid is not paid again; on both databases."""

import pytest
from tests.support.ledger_world import World
from tests.support.restored import Restored, lost
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.ledger import stops
from momo_worker.ledger.runs import Run
from momo_worker.payment.verdict import Status
from momo_worker.runs.releasing import resume_run
from momo_worker.steps import recovery_search


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def pay_some(world: World, office: Office, restored: Restored, rows: int) -> None:
    """The pump hands over so many rows, and MTN pays them."""
    feeder = office.feeder(ahead=rows)
    feeder.feed()
    world.turn()
    for reference in list(restored.mtn.has):
        restored.mtn.has[reference] = Status.SUCCESSFUL
    world.run_until(lambda: set(world.rows("SELECT state FROM payment")) == {"successful"}, step=5.0)


def go_on(world: World, office: Office, restored: Restored, run: Run) -> None:
    """Pump and worker go on until the run is settled; a 409 has MTN asked about the attempts that may follow."""
    feeder = office.feeder()
    for _ in range(400):
        world.clock.on(15)
        feeder.feed()
        world.turn()
        while recovery_search.search(world.parts):
            pass
        for reference in list(restored.mtn.has):
            restored.mtn.has[reference] = Status.SUCCESSFUL
        if office.run(run).state == "settled":
            return
    raise AssertionError(
        f"the run is {office.run(run).state}: {world.rows('SELECT state, count(*) FROM payment GROUP BY state')}"
    )


def test_a_restored_run_waits_for_a_person_and_pays_nobody_again(
    world: World, office: Office, restored: Restored
) -> None:
    run = office.released(a_file(*people(6)))
    lost(restored, lambda: pay_some(world, office, restored, 4))
    assert (world.count("payment"), office.fed_to(run), len(restored.mtn.has)) == (0, 0, 4)
    restored.reread()
    restored.search()
    assert restored.release().done

    feeder = office.feeder()
    world.clock.on(60)
    assert feeder.feed() == 0
    with world.ledger.read() as tx:
        (pause,) = [one for one in stops.pauses(tx) if one.run == run.id]
    assert "was restored" in pause.reason
    (told,) = [event["data"] for event in world.events(run.id) if event["type"] == "momo.run.paused"]
    assert (told["reason"], told["by"]) == (pause.reason, "recovery")
    assert [told["epoch"]] == world.rows("SELECT epoch FROM installation"), "under the new one"

    resume_run(world.parts, "default", NAME, reason="compared with MTN's statement", by="boss")
    go_on(world, office, restored, run)
    assert world.rows("SELECT DISTINCT state FROM payment") == ["successful"]
    assert len(restored.mtn.has) == 6, "each row has one reference at MTN"


def test_a_run_that_was_imported_again_after_the_loss_names_every_payment_as_before(
    world: World, office: Office, restored: Restored
) -> None:
    def a_run() -> None:
        office.released(a_file(*people(3)))
        pay_some(world, office, restored, 3)

    lost(restored, a_run)
    restored.reread()
    restored.search()
    assert restored.release().done
    assert world.count("run") == 0

    run = office.released(a_file(*reversed(people(3))))
    go_on(world, office, restored, run)
    assert world.rows("SELECT DISTINCT state FROM payment") == ["successful"]
    assert len(restored.mtn.has) == 3


def test_a_pause_of_a_run_is_put_back_by_what_knows_of_it(world: World, office: Office, restored: Restored) -> None:
    run = office.released(a_file(*people(2)))

    def decide() -> None:
        with world.ledger.write() as tx:
            stops.add_pause(tx, account="default", product="", run=run.id, reason="wrong month", actor="boss")

    lost(restored, decide)
    reasons = world.rows("SELECT reason FROM pause WHERE run = :run AND lifted_at_ms IS NULL", run=run.id)
    assert any("was restored" in one for one in reasons)
    assert "wrong month" in reasons
