"""What MTN moved is what the ledger calls successful, payment by payment; only what lies on a person's desk may have moved besides."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken
from tests.support.simulation_swarm import Mode


def check(world: Simulation) -> list[Broken] | None:
    if world.swarm.mode is not Mode.USUAL:
        return None
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    moved: dict[str | None, int] = {}
    not_ours = world.odd.not_ours()
    for row in world.mtn_rows("SELECT reference, amount_minor FROM movements"):
        if row["reference"] in not_ours:
            continue
        owner = owners.get(row["reference"])
        moved[owner] = moved.get(owner, 0) + row["amount_minor"]
    found = []
    in_ledger = at_mtn = 0
    for name, state, amount in world.rows("SELECT id, state, amount_minor FROM payment"):
        at_mtn += moved.get(name, 0) if state != "held" else 0
        in_ledger += amount if state == "successful" else 0
        if state == "successful" and moved.get(name) != amount:
            found.append(Broken(f"is successful over {amount}, and MTN moved {moved.get(name, 0)}", name))
    if in_ledger != at_mtn:
        found.append(Broken(f"the ledger calls {in_ledger} successful, and MTN moved {at_mtn} of what isn't held"))
    return found
