"""Seeds come in, lives are lived and held against every checker, sums over all of them go out. A broken property raises with its seed and story."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType

import structlog
from tests.simulation.checkers import (
    claims,
    consumer,
    endings,
    entries,
    finals,
    given_up,
    liveness,
    mtn_said,
    one_movement,
    open_prompts,
    pace,
    pauses,
    proven_failure,
    references,
    refunds,
    same_request,
    searched,
    send_bounds,
    sums,
    taken,
    tally,
)
from tests.simulation.totals import Totals
from tests.support.simulation import simulated
from tests.support.simulation_ledgers import Ledgers, ledgers
from tests.support.simulation_swarm import Swarm, swarm_of

#: Each says what is broken; None where a life gives it nothing to judge, such as MTN's memory where MTN forgets.
CHECKERS: tuple[ModuleType, ...] = (
    one_movement,
    send_bounds,
    claims,
    references,
    proven_failure,
    liveness,
    consumer,
    entries,
    refunds,
    sums,
    finals,
    pauses,
    tally,
    same_request,
    endings,
    searched,
    mtn_said,
    pace,
    taken,
    open_prompts,
    given_up,
)


def run_seeds(seeds: Iterable[int], *, jobs_max: int | None = None, database: str = "sqlite") -> Totals:
    """Live through these seeds, one after another, each with so many jobs at most."""
    swarms = (swarm_of(seed) for seed in seeds)
    return run_swarms(
        (swarm if jobs_max is None else replace(swarm, jobs=min(swarm.jobs, jobs_max)) for swarm in swarms),
        database=database,
    )


def run_swarms(swarms: Iterable[Swarm], *, database: str = "sqlite") -> Totals:
    """The same of whatever options."""
    totals = Totals()
    with quiet(), ledgers(database) as places:
        for swarm in swarms:
            totals.merge(live(swarm, places))
    return totals


@contextmanager
def quiet() -> Iterator[None]:
    """Alerts by the thousand are what these lives are about; printing them would be most of the time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)


def live(swarm: Swarm, places: Ledgers) -> Totals:
    """One life, and what every checker says of it."""
    totals, began = Totals(), time.process_time()
    with places.fresh() as url, simulated(swarm, url) as world:
        try:
            world.live()
        except Exception as error:
            error.add_note(f"in seed {swarm.seed} after {world.scheduler.now - 1000:.1f} s: {swarm}")
            raise
        totals.add(world)
        for checker in CHECKERS:
            name = checker.__name__.rpartition(".")[2]
            found = checker.check(world)
            if found is None:
                # Nothing in this life is for it to judge.
                continue
            totals.judged[name] += totals.payments
            if found:
                totals.condemn(world, name, found)
    totals.seconds = time.process_time() - began
    return totals
