"""M13: no POST begins more than a second after a pause was committed; a machine that was suspended between its permit and its first byte is counted from its waking."""

from tests.support.simulation import Simulation
from tests.support.simulation_mtn import Post
from tests.support.simulation_people import StoppedTime
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    permit_seconds = world.parts.rules.permit_age_ms / 1000
    found = []
    for post in world.posts:
        for stopped in world.stopped:
            late = post.at - stopped.begun_at - post.asleep_seconds
            if _covers(stopped, post) and late > permit_seconds:
                what = (
                    f"a POST began {late:.2f} s after a pause of {stopped.account or 'all'} {stopped.product or 'all'}"
                )
                found.append(Broken(what, owners.get(post.reference)))
    return found + _claimed_under_one(world)


def _claimed_under_one(world: Simulation) -> list[Broken]:
    """Claims leave out what is paused. By the ledger's clock; where it jumped, before and after are not what they were."""
    if world.jumped_seconds:
        return []
    sql = (
        "SELECT t.payment_id, t.at_ms - s.paused_at_ms FROM pause AS s JOIN payment AS p "
        "ON s.account IN ('', p.account) AND s.product IN ('', p.product) JOIN transition AS t ON t.payment_id = p.id "
        "WHERE t.trigger IN ('claimed', 'resent') AND t.at_ms > s.paused_at_ms "
        "AND (s.lifted_at_ms IS NULL OR t.at_ms < s.lifted_at_ms)"
    )
    return [Broken(f"was claimed {after / 1000:.1f} s after it was paused", name) for name, after in world.rows(sql)]


def _covers(stopped: StoppedTime, post: Post) -> bool:
    lifted = stopped.lifted_at if stopped.lifted_at is not None else float("inf")
    return (
        stopped.account in ("", post.account)
        and stopped.product in ("", post.product)
        and stopped.begun_at < post.at < lifted
    )
