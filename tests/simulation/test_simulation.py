"""A fixed number of seeds: every property holds in each, and over all of them every fault, deed and outcome that is asked for occurred."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.simulation.checkers import liveness
from tests.simulation.required import OF_A_FEW_SEEDS, OF_A_PROOF, met, missing
from tests.simulation.seeds import quiet, run_seeds
from tests.simulation.totals import IN_THE_LEDGER, NO_FAULTS, Totals
from tests.support.simulation import REST_SECONDS_MAX, Simulation, simulated
from tests.support.simulation_ledgers import ledgers
from tests.support.simulation_swarm import swarm_of

from momo_worker.ledger import outbox

SEEDS = range(1, 18)
#: Longer lives would be cheaper by the payment, and take more than a minute.
JOBS_MAX = 100


@pytest.fixture(scope="module")
def totals() -> Totals:
    return run_seeds(SEEDS, jobs_max=JOBS_MAX)


def test_no_property_is_broken_in_any_seed(totals: Totals) -> None:
    assert not totals.broken, "\n\n".join([str(dict(totals.broken)), *totals.stories[:5]])


def test_every_outcome_move_and_fault_occurred_over_all_seeds(totals: Totals) -> None:
    never = missing(totals, OF_A_FEW_SEEDS)

    assert not never, f"never happened in seeds {SEEDS}: {never}"


def test_whatever_happens_in_these_seeds_is_asked_for_in_a_proof(totals: Totals) -> None:
    """A counter that stands in no list is a fault that may vanish unseen."""
    unasked = met(totals.faults) - OF_A_PROOF.faults - set(NO_FAULTS)

    assert not {name for name in unasked if not name.startswith(IN_THE_LEDGER)}


def test_a_seed_lives_the_same_life_again() -> None:
    lives = []
    with quiet(), ledgers("sqlite") as places:
        for _ in range(2):
            with places.fresh() as url, simulated(replace(swarm_of(SEEDS[-1]), jobs=JOBS_MAX), url) as world:
                world.live()
                moves = world.rows(
                    "SELECT payment_id, before, after, trigger, detail, at_ms FROM transition ORDER BY id"
                )
                lives.append((world.counts, list(world.posts), moves))

    assert lives[0] == lives[1]


def test_a_life_in_which_redis_is_lost_last_of_all_rests_only_when_a_relay_has_noticed() -> None:
    """As in seed 321: nothing was left to publish, and no relay looked, as the product's does every two seconds."""
    swarm = replace(swarm_of(321), jobs=10, ours={})
    with quiet(), ledgers("sqlite") as places, places.fresh() as url, simulated(swarm, url) as world:
        end_faults = world.end_faults

        def lose_all_at_the_end() -> None:
            end_faults()
            assert world.scheduler.run_until(world.scheduler.now + REST_SECONDS_MAX, world._rests)
            world.results.lose_tail(len(world.results.events))

        world.end_faults = lose_all_at_the_end  # type: ignore[method-assign]
        world.live()

        assert world.rested_at is not None
        assert world.rows("SELECT count(*) FROM outbox") == [len(world.results.events)]


def test_a_life_ends_only_when_what_was_said_in_its_last_moment_has_left() -> None:
    """As in seed 1259: MTN's word on a held payment came when no pump had a turn left, and was on no stream when the consumer was asked."""
    with _a_small_life() as world:
        expected: list[int] = []

        def ask_for_everything_again() -> None:
            world.consumer.read()
            expected.append(world.consumer.arrived + _replayed(world))

        _at_the_end_of_the_round(world, ask_for_everything_again)
        world.live()

        assert world.rows("SELECT count(*) FROM outbox WHERE published_at_ms IS NULL") == [0]
        assert [world.consumer.arrived] == expected
        assert world.rested_at is not None


def test_a_life_whose_last_words_never_leave_never_comes_to_rest() -> None:
    """The time that they are given must not hide a relay that has stopped."""
    with _a_small_life() as world:

        def stop_the_relays() -> None:
            for pump in world.pumps:
                pump.relaying = True
            _replayed(world)

        _at_the_end_of_the_round(world, stop_the_relays)
        world.live()

        assert [one.what for one in liveness.check(world)] == ["never came to rest"]


@contextmanager
def _a_small_life() -> Iterator[Simulation]:
    swarm = replace(swarm_of(1259), jobs=10, ours={}, mtn={})
    with quiet(), ledgers("sqlite") as places, places.fresh() as url, simulated(swarm, url) as world:
        yield world


def _replayed(world: Simulation) -> int:
    """Every event waits for the relay once more; how many there are."""
    with world.parts.ledger.write() as tx:
        ids = outbox.replay(tx, outbox.Replay(since_ms=0), after_id=0)
    assert ids
    return len(ids)


def _at_the_end_of_the_round(world: Simulation, deed: Callable[[], None]) -> None:
    """Do it once, where the scheduler has gone through all of the time that is left to a life at rest."""
    run_until = world.scheduler.run_until
    done_at: list[float] = []

    def and_then(end: float, done: Callable[[], bool] = lambda: False) -> bool:
        came = run_until(end, done)
        if not came and not world.faults_on and not done_at:
            done_at.append(world.scheduler.now)
            deed()
        return came

    world.scheduler.run_until = and_then  # type: ignore[method-assign]


def test_a_life_on_postgresql_breaks_nothing_either() -> None:
    totals = run_seeds([1], jobs_max=40, database="postgresql")

    assert not totals.broken, "\n\n".join([str(dict(totals.broken)), *totals.stories[:5]])
    assert totals.payments
