"""`python -m tests.simulation.shrink SEED`: a life that breaks a property comes in, the shortest one that still breaks it goes out, with its story.

Faults are switched off, a half of them at a time and then one by one; then there are fewer jobs, then less time. A step is kept when the
same checker still fails, under the life's own dice or one of a few others: without a fault, the dice fall differently anyway.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.simulation.seeds import live, quiet
from tests.simulation.totals import Totals
from tests.support.simulation_ledgers import DATABASES, ledgers
from tests.support.simulation_odd import ODD
from tests.support.simulation_swarm import Swarm, swarm_from_json, swarm_of

#: How many other dice each step is tried with.
_OTHER_DICE = 2
SECONDS_MAX = 900.0

Lived = Callable[[Swarm], Totals]


@dataclass
class Shrinker:
    """Remembers the shortest life that still breaks what the first one broke."""

    lived: Lived
    swarm: Swarm
    checker: str
    ends_at: float
    say: Callable[[str], None]
    tried: int = 0

    def shrink(self) -> Swarm:
        self._faults()
        self._step("jobs", _fewer)
        for name in ("spread_seconds", "faults_after_seconds", "sleeps_seconds_max"):
            self._step(name, _less)
        self._faults()
        return self.swarm

    def _faults(self) -> None:
        names = [*self.swarm.names(), *(name for name in ODD if name not in self.swarm.without)]
        size = max(len(names) // 2, 1)
        while names:
            for start in range(0, len(names), size):
                chunk = tuple(names[start : start + size])
                if set(chunk) <= set(self.swarm.without):
                    continue
                self._try(replace(self.swarm, without=tuple(sorted({*self.swarm.without, *chunk}))))
            names = [name for name in names if name not in self.swarm.without]
            if size == 1:
                return
            size = max(size // 2, 1)

    def _step(self, name: str, smaller: Callable[[float], Iterator[float]]) -> None:
        """Smaller and smaller, as long as it breaks."""
        while any(self._try(replace(self.swarm, **{name: value})) for value in smaller(getattr(self.swarm, name))):
            pass

    def _try(self, candidate: Swarm) -> bool:
        for number in range(_OTHER_DICE + 1):
            if time.monotonic() > self.ends_at:
                return False
            thrown = candidate if number == 0 else replace(candidate, other_dice=f"shrunk {self.tried}")
            self.tried += 1
            if self.lived(thrown).broken[self.checker]:
                self.swarm = thrown
                on = len([*thrown.names(), *(name for name in ODD if name not in thrown.without)])
                self.say(f"life {self.tried}: {self.checker} still fails with {on} faults, {thrown.jobs} jobs")
                return True
        return False


def _fewer(jobs: float) -> Iterator[float]:
    for candidate in sorted({1, int(jobs) // 4, int(jobs) // 2, int(jobs) * 3 // 4, int(jobs) - 1}):
        if 0 < candidate < jobs:
            yield candidate


def _less(seconds: float) -> Iterator[float]:
    if seconds > 1.0:
        yield seconds / 4
        yield seconds / 2


def shrunk(
    swarm: Swarm, lived: Lived, say: Callable[[str], None], seconds: float = SECONDS_MAX
) -> tuple[Swarm, str] | None:
    """The shortest life found in that time, and its story; None where the life breaks nothing."""
    totals = lived(swarm)
    if not totals.broken:
        return None
    checker = next(iter(totals.broken))
    found = Shrinker(lived, swarm, checker, time.monotonic() + seconds, say).shrink()
    stories = [told for told in lived(found).stories if f", {checker}:" in told.partition("\n")[0]]
    return found, stories[0]


def shrink_and_tell(swarm: Swarm, database: str, seconds: float) -> str:
    """For a person: the story of the shortest life, and how to live it again."""

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    with quiet(), ledgers(database) as places:
        found = shrunk(swarm, lambda candidate: live(candidate, places), say, seconds)
    if found is None:
        return f"seed {swarm.seed} breaks nothing"
    short, story = found
    return f"{story}\n\nTo live it again:\n.venv/bin/python -m tests.simulation --database {database} --swarm '{short.to_json()}'"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int, nargs="?")
    parser.add_argument("--swarm", help="the options as JSON, instead of a seed")
    parser.add_argument("--seconds", type=float, default=SECONDS_MAX, help="how long to look for a shorter one")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    if given.swarm is None and given.seed is None:
        parser.error("give a seed or --swarm")
    swarm = swarm_from_json(given.swarm) if given.swarm else swarm_of(given.seed)
    print(shrink_and_tell(swarm, given.database, given.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
