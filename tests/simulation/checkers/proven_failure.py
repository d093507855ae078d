"""M8: a further attempt, or a payment that replaces another, only after a proven failure; one payment is replaced once."""

from collections import Counter

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken
from tests.support.simulation_swarm import Mode


def check(world: Simulation) -> list[Broken]:
    found = [
        Broken(f"attempt {number} began without a failure before it", payment_id)
        for payment_id, number in world.rows(
            "SELECT payment_id, number FROM attempt AS a WHERE number > 1 AND NOT EXISTS "
            "(SELECT 1 FROM transition AS t WHERE t.payment_id = a.payment_id AND t.attempt = a.number - 1 AND t.after = 'failed') "
            # What a restored ledger adopts was begun by the lost one, whose failures before it are lost, too.
            "AND NOT EXISTS (SELECT 1 FROM transition AS t WHERE t.payment_id = a.payment_id AND t.attempt >= a.number AND t.trigger = 'adopted')"
        )
    ]
    replaced = world.rows(
        "SELECT p.id, o.id, o.state, o.reference_id FROM payment AS p JOIN payment AS o ON o.id = p.replaces"
    )
    found += [Broken(f"replaces {old}, which is {state}", new) for new, old, state, _ in replaced if state != "failed"]
    twice = Counter(old for _, old, _, _ in replaced)
    found += [Broken(f"was replaced {count} times", old) for old, count in twice.items() if count > 1]
    if world.swarm.mode is Mode.USUAL:
        moved = {row["reference"] for row in world.mtn_rows("SELECT reference FROM movements")}
        found += [
            Broken(f"was paid, and was replaced by {new}", old)
            for new, old, _, reference in replaced
            if reference in moved
        ]
    return found
