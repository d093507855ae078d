"""Every status read by reference had been given its slot where it left; where slots are at MTN's pace, no second has more than ten, wherever it begins."""

from collections import deque

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_READS_MAX = 10


def check(world: Simulation) -> list[Broken]:
    left, given = world.seen.looks_left, world.seen.look_slots
    found = [Broken(f"{left} status reads left, and {given} slots were given")] if left > given else []
    if not world.swarm.paced:
        return found
    peaks = {budget: _most_in_a_second(times) for budget, times in world.seen.departures.items()}
    return found + [
        Broken(f"{peak} status reads of {budget} in one second") for budget, peak in peaks.items() if peak > _READS_MAX
    ]


def _most_in_a_second(times: list[float]) -> int:
    window: deque[float] = deque()
    most = 0
    for at in sorted(times):
        window.append(at)
        while window[0] <= at - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most
