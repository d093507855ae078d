"""Seeds come in, lives are lived and held against every checker, sums over all of them go out. A broken property raises with its seed and story."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from tests.simulation.checkers import (
    claims,
    consumer,
    endings,
    entries,
    finals,
    liveness,
    mtn_said,
    one_movement,
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
from tests.support.ledger_world import HandClock
from tests.support.simulation import Simulation, simulated
from tests.support.simulation_story import Broken, story
from tests.support.simulation_swarm import Mode, Swarm, swarm_of

from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate

CHECKERS = (
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
)
_STORIES_MAX = 3


@dataclass
class Totals:
    """What happened over all seeds."""

    seeds: int = 0
    payments: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    triggers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    moved_twice_when_mtn_forgets: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)

    def add(self, world: Simulation) -> None:
        self.seeds += 1
        self.posts += len(world.posts)
        self.modes[world.swarm.mode.value] += 1
        states = dict(world.rows("SELECT state, count(*) FROM payment GROUP BY state"))
        self.payments += sum(states.values())
        self.outcomes.update(states)
        self.outcomes["rejected jobs"] += world.rows("SELECT count(*) FROM rejected_job")[0]
        self.held.update(
            dict(world.rows("SELECT held_cause, count(*) FROM payment WHERE state = 'held' GROUP BY held_cause"))
        )
        self.triggers.update(dict(world.rows("SELECT trigger, count(*) FROM transition GROUP BY trigger")))
        self.faults.update(world.counts)
        self.faults.update({f"MTN: {name}": count for name, count in world.model.faults.hits.items()})
        self.faults["consumer got an event again"] += world.consumer.doubled
        if world.swarm.mode is not Mode.USUAL:
            twice = world.mtn_rows("SELECT reference FROM movements GROUP BY reference HAVING count(*) > 1")
            self.moved_twice_when_mtn_forgets += len(twice)

    def condemn(self, world: Simulation, checker: str, found: list[Broken]) -> None:
        self.broken[checker] += len(found)
        for one in found[:_STORIES_MAX]:
            told = story(world, one.payment_id) if one.payment_id else "no single payment"
            self.stories.append(f"seed {world.swarm.seed}, {checker}: {one.what}\n{world.swarm}\n{told}")


def run_seeds(seeds: Iterable[int], *, jobs_max: int | None = None) -> Totals:
    """Live through these seeds, one after another, each with so many jobs at most."""
    totals, began = Totals(), time.monotonic()
    before = structlog.get_config()
    # Alerts by the thousand are what these lives are about; printing them would be most of the time.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        with tempfile.TemporaryDirectory(prefix="momo-simulation-") as name:
            folder = Path(name)
            template = folder / "template.db"
            ledger = Ledger(f"sqlite:///{template}", HandClock())
            migrate(ledger)
            ledger.close()
            for seed in seeds:
                swarm = swarm_of(seed)
                jobs = swarm.jobs if jobs_max is None else min(swarm.jobs, jobs_max)
                _live(replace(swarm, jobs=jobs), template, folder, totals)
    finally:
        structlog.configure(**before)
    totals.seconds = time.monotonic() - began
    return totals


def _live(swarm: Swarm, template: Path, folder: Path, totals: Totals) -> None:
    with simulated(swarm, template, folder) as world:
        try:
            world.live()
        except Exception as error:
            error.add_note(f"in seed {swarm.seed} after {world.scheduler.now - 1000:.1f} s: {swarm}")
            raise
        totals.add(world)
        for checker in CHECKERS:
            found = checker.check(world)
            if found:
                totals.condemn(world, checker.__name__.rpartition(".")[2], found)
