"""Lives come in one by one, sums over all of them go out, as a value or as JSON: what happened, and what was broken."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken, story
from tests.support.simulation_swarm import Mode

_STORIES_MAX = 3


@dataclass
class Totals:
    """What happened over all seeds."""

    seeds: int = 0
    payments: int = 0
    #: Those at an MTN that remembers its references and takes none twice: for them everything is promised.
    payments_usual: int = 0
    #: Of CPU.
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    triggers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    posts: int = 0
    looks: int = 0
    moved_twice_when_mtn_forgets: int = 0
    #: Of each checker, the payments of the lives that it was asked about.
    judged: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)

    def add(self, world: Simulation) -> None:
        self.seeds += 1
        self.posts += len(world.posts)
        self.looks += world.seen.looks_left
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
        if world.swarm.mode is Mode.USUAL:
            self.payments_usual += sum(states.values())
        else:
            twice = world.mtn_rows("SELECT reference FROM movements GROUP BY reference HAVING count(*) > 1")
            self.moved_twice_when_mtn_forgets += len(twice)

    def condemn(self, world: Simulation, checker: str, found: list[Broken]) -> None:
        """Keep what a checker found, with the stories of the first few."""
        self.broken[checker] += len(found)
        for one in found[:_STORIES_MAX]:
            told = story(world, one.payment_id) if one.payment_id else "no single payment"
            self.stories.append(f"seed {world.swarm.seed}, {checker}: {one.what}\n{world.swarm}\n{told}")

    def merge(self, other: Self) -> None:
        """Add another's sums to ours."""
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, Counter):
                mine.update(theirs)
            else:
                setattr(self, one.name, mine + theirs)

    def to_json(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` gave, after a journey as text."""
        return cls(**{name: Counter(item) if isinstance(item, dict) else item for name, item in value.items()})
