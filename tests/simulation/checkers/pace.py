"""Every status read by reference had been given its slot where it left."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    left, given = world.seen.looks_left, world.seen.look_slots
    return [Broken(f"{left} status reads left, and {given} slots were given")] if left > given else []
