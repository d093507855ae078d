"""A consumer that follows the contract ends at the ledger's state of every payment; an event id has one meaning for ever (M9)."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    found = [Broken(f"event {name} came with two meanings") for name in world.consumer.two_meanings]
    for payment_id, state, sequence, amount in world.rows("SELECT id, state, sequence, amount_minor FROM payment"):
        seen = world.consumer.data.get(payment_id)
        if payment_id not in world.consumer.accepted:
            found.append(Broken("its acceptance was never told", payment_id))
        if seen is None:
            found.append(Broken("the consumer never heard of it", payment_id))
        elif (seen["state"], seen["sequence"], seen["amount"]) != (state, sequence, str(amount)):
            told = f"{seen['state']} {seen['sequence']} {seen['amount']}"
            found.append(Broken(f"the consumer ended at {told}, the ledger at {state} {sequence} {amount}", payment_id))
    return found
