"""One movement of money per reference and per payment at most, unless MTN itself forgets or takes two at once; then M5's bounds alone hold."""

from collections import Counter

from tests.simulation.checkers.references import derived
from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken
from tests.support.simulation_swarm import Mode


def _on_the_desk(world: Simulation) -> dict[str, str]:
    """After a restore a person may give up the search, or MTN deny what it has: what was sent lies on the desk then, and is never called unpaid."""
    sql = "SELECT id, account, operation, idempotency_key FROM payment WHERE state = 'held'"
    desk = [tuple(row) for row in world.rows(sql)]
    # And so is a job that waits for what lies there.
    desk += [
        (source, job["account"], job["operation"], job["idempotency_key"]) for source, job in world.restores.waiting()
    ]
    return {
        derived("momo-reference-1", str(world.parts.namespace), account, operation, key, str(number)): name
        for name, account, operation, key in desk
        for number in range(1, 6)
    }


def check(world: Simulation) -> list[Broken] | None:
    if world.swarm.mode is not Mode.USUAL:
        return None
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    moved = Counter(row["reference"] for row in world.mtn_rows("SELECT reference FROM movements"))
    found = [
        Broken(f"reference {name} moved money {count} times", owners.get(name))
        for name, count in moved.items()
        if count > 1
    ]
    by_payment = Counter(owners[name] for name in moved if name in owners)
    found += [Broken(f"{count} of its references moved money", name) for name, count in by_payment.items() if count > 1]
    if world.restores.done:
        owners |= _on_the_desk(world)
    strange = set(moved) - set(owners) - world.odd.taken - world.odd.elsewhere
    found += [Broken(f"MTN has {name}, which this ledger never made") for name in sorted(strange)]
    return found
