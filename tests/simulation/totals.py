"""Lives come in one by one, sums over all of them go out, as a value or as JSON: what happened, and what was broken."""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken, story
from tests.support.simulation_swarm import Mode

_STORIES_MAX = 3
#: What is counted beside faults and deeds, and adds nothing to their number: the work itself, and what is counted by its kinds as well.
NO_FAULTS = {
    "callback": "MTN's own",
    "clock_jumps": "counted by direction",
    "consumer got an event again": "the contract says that it may",
    "look tasks": "work",
    "pump_dies": "counted by point",
    "relay_sleeps": "counted by point",
    "send tasks": "work",
}
#: A recovery's row may be lost with the next restore; that it was noticed is counted by itself.
IN_THE_LEDGER = "recovery in the ledger: "


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
        self.faults.update({f"MTN: {name}": rule.used for name, rule in world.rules.items() if rule.used})
        if world.restores.done:
            began = world.rows("SELECT why, count(*) FROM recovery GROUP BY why")
            self.faults.update({f"{IN_THE_LEDGER}{why}": count for why, count in began})
        self.faults["consumer got an event again"] += world.consumer.doubled
        if world.swarm.mode is Mode.USUAL:
            self.payments_usual += sum(states.values())
        else:
            twice = world.mtn_rows("SELECT reference FROM movements GROUP BY reference HAVING count(*) > 1")
            self.moved_twice_when_mtn_forgets += len(twice)
            self.faults[f"MTN {world.swarm.mode.value} and moves money twice"] += len(twice)

    @property
    def faults_and_deeds(self) -> int:
        """How often something went wrong, or somebody did what a calm person wouldn't."""
        return sum(
            count for name, count in self.faults.items() if name not in NO_FAULTS and not name.startswith(IN_THE_LEDGER)
        )

    def condemn(self, world: Simulation, checker: str, found: list[Broken]) -> None:
        """Keep what a checker found, with the stories of the first few."""
        self.broken[checker] += len(found)
        for one in found[:_STORIES_MAX]:
            told = story(world, one.payment_id) if one.payment_id else "no single payment"
            again = f".venv/bin/python -m tests.simulation.shrink --swarm '{world.swarm.to_json()}'"
            self.stories.append(f"seed {world.swarm.seed}, {checker}: {one.what}\n{told}\nTo shrink it:\n{again}")

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
