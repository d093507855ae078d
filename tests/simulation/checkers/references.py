"""M2: every reference is the one that its payment and attempt derive, so that a restored ledger would meet MTN's 409."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

from momo_worker.payment.reference import reference_id


def check(world: Simulation) -> list[Broken]:
    sql = (
        "SELECT a.reference_id, a.number, p.id, p.account, p.operation, p.idempotency_key, p.reference_id, p.attempt "
        "FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id"
    )
    found = []
    for stored, number, name, account, operation, key, current, attempt in world.rows(sql):
        derived = reference_id(world.parts.namespace, account, operation, key, number)
        if stored != derived or (number == attempt and current != derived):
            found.append(Broken(f"attempt {number} has {stored} and {current}, and derives {derived}", name))
    return found
