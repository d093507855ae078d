"""Every accepted job is final or on a person's desk within a bounded time after the last fault, and nothing waits without an owner."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    open_ones = world.rows(
        "SELECT id, state FROM payment WHERE state NOT IN ('successful', 'failed', 'cancelled', 'held') ORDER BY id"
    )
    found = [Broken(f"is still {state}", payment_id) for payment_id, state in open_ones]
    found += [Broken(f"job {source} still waits") for source in world.restores.waiting_jobs()]
    if world.jobs.unread or world.jobs.given:
        found.append(Broken(f"entries that nobody took in: {[*world.jobs.unread, *world.jobs.given]}"))
    if world.jobs.celery:
        found.append(Broken(f"{len(world.jobs.celery)} jobs lie in Celery's list"))
    if world.rested_at is None and not found:
        found.append(Broken("never came to rest"))
    return found
