"""The gauges' tally is what a count of every payment would give, whatever happened to them and whatever was rolled back."""

import random
from typing import Any

import pytest
from tests.support.factories import accepted, failed, no_answer, not_found, pending, refused, successful, throttled
from tests.support.ledger_world import World, a_job, side_by_side

from momo_worker.ledger import views
from momo_worker.payment.transitions import FINAL_STATES, State


def counted(world: World) -> dict[tuple[str, str], tuple[int, int]]:
    rows = world.rows("SELECT state, currency, count(*), sum(amount_minor) FROM payment GROUP BY state, currency")
    return {(row[0], row[1]): (row[2], int(row[3])) for row in rows}


def told(world: World) -> dict[tuple[str, str], tuple[int, int]]:
    with world.ledger.read() as tx:
        return {(gauge.state, gauge.currency): (gauge.count, gauge.amount_minor) for gauge in views.by_state(tx)}


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_a_count_after_any_history(world: World, seed: int) -> None:
    rng = random.Random(seed)
    sends = [accepted(), no_answer(), throttled(), refused("PAYEE_NOT_FOUND")]
    looks = [pending(), successful(), failed("NOT_ENOUGH_FUNDS"), not_found()]
    for step in range(12):
        amounts = [str(rng.randint(1, 999)) for _ in range(rng.randint(0, 4))]
        world.take(*(a_job(f"k-{step}-{place}", amount=amount) for place, amount in enumerate(amounts)))
        world.mtn.on_send = lambda _request, _secondary: rng.choice(sends)
        world.mtn.on_look = lambda _request: rng.choice(looks)
        world.turn()
        world.clock.on(rng.choice([1, 30, 400]))
        assert told(world) == counted(world), f"seed {seed}, step {step}"
    assert len(counted(world)) > 1, f"seed {seed}: nothing happened"


def test_a_rolled_back_transaction_counts_nothing(world: World) -> None:
    world.accept("a")
    before = told(world)

    def crash() -> None:
        with world.ledger.write() as tx:
            tx.count("accepted", "UGX", 0, 5, +1)
            raise RuntimeError("crash")

    with pytest.raises(RuntimeError, match="crash"):
        crash()
    assert told(world) == before


def test_jobs_taken_in_side_by_side_are_each_counted_once(world: World) -> None:
    def take(number: int) -> Any:
        return lambda: world.beside().take(*(a_job(f"k-{place}") for place in range(number, number + 10)))

    side_by_side(*(take(number) for number in (0, 3, 6, 9)))

    assert told(world) == counted(world)
    assert counted(world)["accepted", "UGX"][0] == 19


def test_final_states_have_no_oldest_age_and_others_the_oldest(world: World) -> None:
    world.successful("a")
    world.accept("b")
    with world.ledger.read() as tx:
        ages = {gauge.state: gauge.oldest_since_ms for gauge in views.by_state(tx)}

    assert ages["successful"] is None
    assert ages["accepted"] == world.payment(world.id_of("b")).state_since_ms
    assert all(ages[state.value] is None for state in FINAL_STATES if state.value in ages)
    assert State.ACCEPTED not in FINAL_STATES
