"""What was told as cancelled is sent by nobody but a person who lets it go, or a producer that asks for it again after a restore (design.md 9)."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_LET_GO = "SELECT DISTINCT payment_id FROM transition WHERE trigger IN ('released_by_person', 'retried')"


def check(world: Simulation) -> list[Broken]:
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    let_go = set(world.rows(_LET_GO)) | _asked_for_again(world)
    permit_seconds = world.parts.rules.permit_age_ms / 1000
    found = []
    for post in world.posts:
        name = owners.get(post.reference)
        told_at = world.consumer.cancelled_at.get(name) if name is not None else None
        # Whether a person let it go in a time that was lost, too, nobody knows.
        if told_at is None or name in let_go or world.restores.took_away(post.at):
            continue
        if post.at - post.asleep_seconds > told_at + permit_seconds:
            found.append(Broken(f"was sent {post.at - told_at:.1f} s after it was told as cancelled", name))
    return found


def _asked_for_again(world: Simulation) -> set[str]:
    """Told as cancelled, and sent once more under the same key: to a ledger that lost the first it is a new job."""
    keys = {
        name: (account, key) for name, account, key in world.rows("SELECT id, account, idempotency_key FROM payment")
    }
    last: dict[tuple[str, str], float] = {}
    for sent in world.people.sent:
        if sent.job is not None:
            last[sent.job["account"], sent.job["idempotency_key"]] = sent.at
    told = world.consumer.cancelled_at
    return {name for name, key in keys.items() if name in told and last.get(key, 0.0) > told[name]}
