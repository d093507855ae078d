"""M1: no POST leaves but under a claim that is its worker's own, with a lease that outlasts the call, before `not_after`."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    return [
        Broken(f"a POST left, and {post.against}", owners.get(post.reference)) for post in world.posts if post.against
    ]
