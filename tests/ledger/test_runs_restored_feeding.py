"""A ledger that is restored while a pump hands rows over: its mark passes over no row that the ledger doesn't hold; on both databases."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from tests.ledger.test_runs_restored import go_on, pay_some
from tests.support.ledger_world import World
from tests.support.restored import Restored
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.ledger import intake as ledger_intake
from momo_worker.ledger.runs import Run
from momo_worker.payment.payment import Product
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.releasing import resume_run
from momo_worker.steps import intake, recovery


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def feeder(
    world: World,
    office: Office,
    *,
    before: Callable[[], None] = lambda: None,
    after: Callable[[], None] = lambda: None,
) -> Feeder:
    """A pump that comes upon something around its hand-over."""

    def take_in(entries: Sequence[intake.Entry]) -> None:
        before()
        intake.take_in(world.parts, entries)
        after()

    return Feeder(world.parts, take_in, office.balance, 300, Decimal("0.01"))


def recovered(restored: Restored) -> None:
    """A pump notices, everything is read and looked for, and a person lets it go on."""
    assert restored.tide().began is not None
    restored.reread()
    restored.search()
    assert restored.release(send_unsent=True).done


def every_row_is_paid_once(world: World, restored: Restored, run: Run, rows: int) -> None:
    keys = world.rows("SELECT idempotency_key FROM payment WHERE run = :run ORDER BY 1", run=run.id)
    assert keys == [f"run/{NAME}/E{place}/1" for place in range(rows)]
    assert world.rows("SELECT DISTINCT state FROM payment") == ["successful"]
    assert len(restored.mtn.has) == rows


@pytest.mark.parametrize("is_noticed", [False, True])
def test_rows_that_the_restore_took_away_are_handed_over_again_though_later_ones_are_in(
    world: World, office: Office, restored: Restored, is_noticed: bool
) -> None:
    """The lost ledger had handed over four rows, the restored one two, and its pump comes with the fifth and the sixth."""
    run = office.released(a_file(*people(6)))
    pay_some(world, office, restored, 2)
    restored.backup()
    pay_some(world, office, restored, 2)
    assert office.fed_to(run) == 4

    def comes_back() -> None:
        restored.tide()
        restored.restore()
        if is_noticed:
            assert restored.tide().began is not None

    feeder(world, office, before=comes_back).feed()
    assert (office.fed_to(run), world.count("payment")) == (2, 4)

    if is_noticed:
        restored.reread()
        restored.search()
        assert restored.release(send_unsent=True).done
    else:
        recovered(restored)
    assert office.fed_to(run) == 2, "it waits for a person"
    resume_run(world.parts, "default", NAME, reason="compared with MTN's statement", by="boss")
    go_on(world, office, restored, run)
    assert office.fed_to(run) == 6
    every_row_is_paid_once(world, restored, run, 6)


def test_rows_that_a_failover_takes_away_between_their_commit_and_their_mark_are_handed_over_again(
    world: World, office: Office, restored: Restored
) -> None:
    """It loses less than the tide can show: mark and lease are those of the ledger that is gone."""
    run = office.released(a_file(*people(3)))
    feeder(world, office, before=restored.backup, after=restored.restore).feed()
    assert (office.fed_to(run), world.count("payment")) == (0, 0)
    assert "started" not in office.run_events(run)

    assert office.feeder().feed() == 3, "the lease was given back"
    assert office.fed_to(run) == 3
    go_on(world, office, restored, run)
    every_row_is_paid_once(world, restored, run, 3)


def test_rows_that_were_rejected_or_wait_are_handed_over_too(world: World, office: Office) -> None:
    run = office.released(a_file(*people(3)))

    def one_waits_and_one_is_rejected() -> None:
        (first, second) = world.rows("SELECT id FROM payment ORDER BY idempotency_key LIMIT 2")
        sources = dict(world.rows("SELECT id, source FROM payment"))
        with world.ledger.write() as tx:
            ledger_intake.keep_waiting(tx, sources[first], b"{}", "its account", tx.now_ms, door="run", envelope=False)
            ledger_intake.add_rejected(tx, sources[second], b"{}", "[]")
        for name in (first, second):
            world.write("DELETE FROM transition WHERE payment_id = :name", name=name)
            world.write("DELETE FROM payment WHERE id = :name", name=name)

    assert feeder(world, office, after=one_waits_and_one_is_rejected).feed() == 3
    assert office.fed_to(run) == 3


def test_nothing_is_handed_over_where_the_restore_came_while_mtn_was_asked_for_the_balance(
    world: World, office: Office, restored: Restored
) -> None:
    run = office.released(a_file(*people(3)))
    restored.backup()

    def asked(_account: str, _product: Product) -> int:
        restored.tide()
        restored.restore()
        return 10**12

    pump = Feeder(world.parts, lambda _entries: pytest.fail("handed over"), asked, 300, Decimal("0.01"))
    assert pump.feed() == 0
    assert recovery.raise_tide(world.parts, [restored.copy] if restored.copy else []).began is not None
    assert office.fed_to(run) == 0
