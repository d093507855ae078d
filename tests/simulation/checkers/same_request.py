"""M3: whatever was posted under one reference was one request, byte for byte: path, body and callback URL."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken] | None:
    if world.restores.done and world.counts["settings changed"]:
        # What was lost with the ledger was rendered before the change, and is rendered again after it: MTN refuses it by its reference.
        return None
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    return [
        Broken(f"{len(requests)} different requests were posted under {reference}", owners.get(reference))
        for reference, requests in world.seen.requests.items()
        if len(requests) > 1
    ]
