"""Never `failed` or `cancelled` while MTN holds the money as moved, nor failed without MTN's FAILED, a refusal, or a person (M7)."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken
from tests.support.simulation_swarm import Mode


def check(world: Simulation) -> list[Broken]:
    moved = {row["reference"] for row in world.mtn_rows("SELECT reference FROM movements")} - world.odd.not_ours()
    ended = world.rows(
        "SELECT p.id, p.state, a.reference_id FROM payment AS p JOIN attempt AS a ON a.payment_id = p.id "
        "WHERE p.state IN ('failed', 'cancelled')"
    )
    found = []
    if world.swarm.mode is Mode.USUAL:
        found = [
            Broken(f"is {state}, and MTN moved its money", name)
            for name, state, reference in ended
            if reference in moved
        ]
    causes = world.rows(
        "SELECT DISTINCT t.payment_id, t.trigger FROM transition AS t WHERE t.after = 'failed' AND t.before <> 'failed' "
        # A retry that was never sent leaves the payment as failed as it was before.
        "AND NOT (t.trigger = 'expired' AND t.attempt > 1)"
    )
    allowed = {"found_failed", "refusal_confirmed", "retry_cancelled", "resolved"}
    found += [Broken(f"was failed by {trigger}", name) for name, trigger in causes if trigger not in allowed]
    return found
