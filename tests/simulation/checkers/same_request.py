"""M3: whatever was posted under one reference was one request, byte for byte: path, body and callback URL."""

from collections import defaultdict

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken] | None:
    if world.restores.done and world.counts["settings changed"]:
        # What was lost with the ledger was rendered before the change, and is rendered again after it: MTN refuses it by its reference.
        return None
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    otherwise = _asked_for_otherwise(world)
    return [
        Broken(f"{len(requests)} different requests were posted under {reference}", owners.get(reference))
        for reference, requests in world.seen.requests.items()
        if len(requests) > 1 and owners.get(reference) not in otherwise
    ]


def _asked_for_otherwise(world: Simulation) -> set[str]:
    """Payments whose key a producer had used for another amount in a job that was lost with the ledger: nobody knows of that body.

    MTN refuses the second request by its reference, or has forgotten the first; design.md 9 asks who used the command line to send the same again.
    """
    amounts: dict[tuple[str, str], set[str]] = defaultdict(set)
    lost = set()
    for sent in world.people.sent:
        if sent.job is not None:
            key = (sent.job["account"], sent.job["idempotency_key"])
            amounts[key].add(sent.job["amount"])
            if sent.source in world.people.lost:
                lost.add(key)
    rows = world.rows("SELECT id, account, idempotency_key FROM payment")
    return {row[0] for row in rows if (row[1], row[2]) in lost and len(amounts[row[1], row[2]]) > 1}
