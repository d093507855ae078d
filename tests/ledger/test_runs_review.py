"""What a hostile reading of bulk runs found: cancelled while a pump sleeps, signed by two minds, short of money at the end; on both databases."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.support.ledger_world import World, an_account, found_as
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.ledger import run_release
from momo_worker.ledger.runs import Run
from momo_worker.payment.transitions import HeldCause
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict, Status
from momo_worker.runs.approving import NotSignedError
from momo_worker.runs.feeding import Feeder
from momo_worker.runs.releasing import (
    NotReleasedError,
    Wish,
    cancel_run,
    release_run,
)
from momo_worker.steps import intake


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def cancelled(world: World) -> Run:
    return cancel_run(world.parts, "default", NAME, reason="wrong month", by="boss")[0]


def states(world: World) -> list[str]:
    return sorted(world.rows("SELECT state FROM payment"))


@pytest.mark.parametrize("slept_seconds", [1, 40], ids=["within its lease", "past its lease"])
@pytest.mark.parametrize("already", [0, 2])
def test_a_pump_that_slept_through_a_cancel_pays_nobody(
    world: World, office: Office, already: int, slept_seconds: int
) -> None:
    run = office.released(a_file(*people(5)))
    if already:
        assert office.feeder(ahead=already).feed() == already
        world.mtn.on_look = found_as(Status.SUCCESSFUL)
        world.run_until(lambda: states(world) == ["successful"] * already)

    def sleeps(entries: Sequence[intake.Entry]) -> None:
        world.clock.on(slept_seconds)
        cancelled(world)
        for _ in range(2):
            office.feeder().feed()
        intake.take_in(world.parts, entries)

    Feeder(world.parts, sleeps, office.balance, 300, Decimal(0)).feed()
    assert office.run(run).state in ("stopped", "settled"), "a run that may have begun keeps its name"
    for _ in range(4):
        world.clock.on(60)
        world.turn()
        office.feeder().feed()
    assert len(world.mtn.left) == already
    assert states(world) == ["cancelled"] * (5 - already) + ["successful"] * already
    assert office.run(run).state == "settled"


def test_a_cancel_that_is_killed_half_way_still_spares_what_wasnt_sent(world: World, office: Office) -> None:
    run = office.released(a_file(*people(3)))
    office.feeder().feed()
    cancelled(world)
    assert office.feeder().feed() == 0
    assert office.run(run).state == "stopped", "its rows stand in the ledger still"
    world.turn()
    assert (world.mtn.left, states(world)) == ([], ["cancelled"] * 3)
    office.feeder().feed()
    assert office.run(run).state == "settled"


def test_a_cancel_that_was_killed_is_said_again(world: World, office: Office) -> None:
    office.released(a_file(*people(3)))
    office.feeder(ahead=2).feed()
    assert cancelled(world).state == "stopped"
    again, spared = cancel_run(world.parts, "default", NAME, reason="wrong month", by="boss")
    assert (again.state, spared) == ("stopped", 1)


def test_what_comes_back_unsent_after_a_cancel_isnt_sent_again(world: World, office: Office) -> None:
    office.released(a_file(*people(1)))
    office.feeder().feed()

    def throttled_and_cancelled(_request: Any, _secondary: bool) -> SendVerdict:
        cancelled(world)
        return SendVerdict(SendAnswer.NOT_NOW, Cause.THROTTLED, http_status=429)

    world.mtn.on_send = throttled_and_cancelled
    world.turn()
    assert states(world) == ["accepted"]
    for _ in range(5):
        world.clock.on(600)
        world.turn()
    assert len(world.mtn.left) == 1
    assert states(world) == ["cancelled"]


def test_a_row_beyond_what_was_released_waits_for_its_release(world: World, office: Office) -> None:
    run = office.released(a_file(*people(3)))
    office.feeder().feed()
    world.write("UPDATE run_release SET released_to = 1, fed_to = 1")
    world.turn()
    assert len(world.mtn.left) == 1
    release_run(world.parts, "default", NAME, Wish(), by="boss")
    world.clock.on(120)
    world.turn()
    assert len(world.mtn.left) == 3
    assert world.rows("SELECT count(*) FROM pause WHERE run = :run", run=run.id) == [0]


def test_a_pump_that_finds_another_was_faster_leaves_no_lease_behind(world: World, office: Office) -> None:
    run = office.released(a_file(*people(4)))
    other = office.feeder(ahead=2)

    class Overtaken(Feeder):
        def _is_funded(self, *given: Any) -> bool:
            assert other.feed() == 2
            return super()._is_funded(*given)

    late = office.feeder(ahead=2)
    overtaken = Overtaken(late.parts, late.take_in, late.balance, 2, Decimal(0))
    assert overtaken.feed() == 0
    world.turn()
    assert office.feeder(ahead=2).feed() == 2, "nobody waits for a lease that nobody has"
    assert office.fed_to(run) == 4


def test_a_pump_that_slept_through_its_lease_doesnt_give_anothers_back(world: World, office: Office) -> None:
    run = office.released(a_file(*people(4)))
    leased: list[int] = []

    def sleeps(entries: Sequence[intake.Entry]) -> None:
        world.clock.on(31)
        with world.ledger.write() as tx:
            assert run_release.lease(tx, run.id, 30_000)
            leased.append(tx.now_ms + 30_000)
        intake.take_in(world.parts, entries)

    Feeder(world.parts, sleeps, office.balance, 300, Decimal(0)).feed()
    assert world.rows("SELECT leased_until_ms FROM run_release") == leased


#: A stored request is sent byte for byte: what another reader may read otherwise isn't what was signed.
BODIES = {
    "a field twice": lambda body: b'{"amount":"999999",' + body[1:],
    "no JSON": lambda _body: b"\xff{",
    "nested too deeply": lambda _body: b"[" * 100_000,
}


@pytest.mark.parametrize("change", BODIES)
def test_a_stored_body_that_can_be_read_in_two_ways_is_tampered_and_stops_nobody_else(
    world: World, office: Office, change: str
) -> None:
    office.released(a_file(*people(2)))
    office.feeder().feed()
    world.mtn.on_send = lambda *_: SendVerdict(SendAnswer.NOT_NOW, Cause.THROTTLED, http_status=429)
    world.turn()
    victim = world.id_of(office.key_of(0))
    (body,) = world.rows("SELECT body FROM attempt WHERE payment_id = :id", id=victim)
    world.write("UPDATE attempt SET body = :body WHERE payment_id = :id", body=BODIES[change](bytes(body)), id=victim)
    world.mtn.left.clear()
    world.mtn.on_send = lambda *_: SendVerdict(SendAnswer.ACCEPTED, http_status=202)
    for _ in range(5):
        world.clock.on(600)
        world.turn()
    assert world.payment(victim).held_cause is HeldCause.TAMPERED
    assert [departed.request.reference_id for departed in world.mtn.left] == [
        world.payment(world.id_of(office.key_of(1))).reference_id
    ]


def test_an_approver_who_reads_other_rows_doesnt_spoil_the_ways_of_what_was_signed(
    world: World, office: Office
) -> None:
    office.approved(a_file(*people(3)))
    world.write("UPDATE run_row SET msisdn = '256772999999' WHERE place = 2")
    with pytest.raises(NotSignedError, match="isn't what was signed before"):
        office.sign("cfo")
    world.write("UPDATE run_row SET msisdn = '256772100001' WHERE place = 2")
    release_run(world.parts, "default", NAME, Wish(), by="boss")
    office.feeder().feed()
    world.turn()
    assert len(world.mtn.left) == 3


@pytest.mark.parametrize(
    "cell",
    ["currency = 'EUR'", "account = 'other'", "product = 'collection'"],
)
def test_a_cell_that_says_whose_money_it_is_holds_its_row_alone(world: World, office: Office, cell: str) -> None:
    world.parts = replace(world.parts, accounts={**world.parts.accounts, "other": an_account("other")})
    office.released(a_file(*people(3)))
    office.feeder().feed()
    victim = world.id_of(office.key_of(1))
    world.write(f"UPDATE payment SET {cell} WHERE id = :id", id=victim)
    for _ in range(2):
        world.turn()
        world.turn("other")
        world.turn(product=world.payment(victim).product)
    assert world.payment(victim).held_cause is HeldCause.TAMPERED
    assert (len(world.mtn.left), world.count("pause")) == (2, 0)


@pytest.mark.parametrize("fact", ["account = 'other'", "operation = 'deposit'", "operation = 'x'", "currency = 'EUR'"])
def test_a_fact_of_the_run_stops_it_and_condemns_no_row(world: World, office: Office, fact: str) -> None:
    world.parts = replace(world.parts, accounts={**world.parts.accounts, "other": an_account("other")})
    run = office.released(a_file(*people(3)))
    office.feeder().feed()
    world.write(f"UPDATE run SET {fact}")
    world.turn()
    assert (world.mtn.left, states(world)) == ([], ["accepted"] * 3)
    assert world.rows("SELECT run FROM pause") == [run.id]


def test_a_machine_without_the_account_says_so_and_releases_nothing(world: World, office: Office) -> None:
    run = office.approved(a_file(*people(2)))
    world.parts = replace(world.parts, accounts={})
    with pytest.raises(NotReleasedError, match="isn't configured on this machine"):
        release_run(world.parts, "default", NAME, Wish(), by="boss")
    assert office.run(run).state == "approved"
