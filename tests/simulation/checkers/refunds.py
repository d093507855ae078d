"""M14: refunds that count never exceed their collection, and the collection's counter is their sum."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_SUMS = (
    "SELECT c.id, c.amount_minor, c.refunded_minor, c.state, "
    "coalesce((SELECT sum(r.amount_minor) FROM payment AS r WHERE r.refund_of = c.id AND r.state NOT IN ('failed', 'cancelled')), 0) "
    "FROM payment AS c WHERE c.refunded_minor <> 0 OR EXISTS (SELECT 1 FROM payment AS r WHERE r.refund_of = c.id)"
)


def check(world: Simulation) -> list[Broken]:
    found = []
    for name, amount, counted, state, refunds in world.rows(_SUMS):
        if refunds > amount or counted != refunds or state != "successful":
            found.append(Broken(f"{state}, {amount} collected, {counted} counted, {refunds} refunded", name))
    moved = world.mtn_rows(
        "SELECT refund_of, sum(amount_minor) AS total FROM movements WHERE operation = 'refund' GROUP BY refund_of"
    )
    collected = dict(world.rows("SELECT reference_id, amount_minor FROM payment WHERE operation = 'collect'"))
    found += [
        Broken(f"MTN refunded {row['total']} of {collected.get(row['refund_of'])}")
        for row in moved
        if row["total"] > collected.get(row["refund_of"], 0)
    ]
    return found
