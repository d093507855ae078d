"""M5: at most three sends of an attempt that may have left, the last begun within the window of the first; no POST leaves without its row (M1)."""

from collections import Counter

from tests.support.simulation import Simulation
from tests.support.simulation_mtn import Post
from tests.support.simulation_story import Broken

_TURNED_AWAY = (401, 403, 404, 429)


def check(world: Simulation) -> list[Broken]:
    rules = world.parts.rules
    found: list[Broken] = []
    left: Counter[tuple[str, int]] = Counter()
    rows = world.rows("SELECT payment_id, attempt, ending FROM send")
    for payment_id, attempt, ending in rows:
        left[payment_id, attempt] += ending != "not_now"
    found += [
        Broken(f"{count} sends of attempt {attempt} may have left", payment_id)
        for (payment_id, attempt), count in left.items()
        if count > rules.sends_max
    ]
    rows_of = Counter(
        dict(
            world.rows(
                "SELECT a.reference_id, count(*) FROM send AS s JOIN attempt AS a ON a.payment_id = s.payment_id "
                "AND a.number = s.attempt WHERE NOT s.never_left GROUP BY a.reference_id"
            )
        )
    )
    posts = Counter(post.reference for post in world.posts if not _rows_lost(world, post))
    owners = dict(world.rows("SELECT reference_id, payment_id FROM attempt"))
    found += [
        Broken(f"{count} POSTs left under {rows_of[name]} send rows that may have", owners.get(name))
        for name, count in posts.items()
        if count > rows_of[name]
    ]
    return found + _too_late(world) + _too_soon(world)


def _rows_lost(world: Simulation, post: Post) -> bool:
    """A restore may have taken the row of a send away, and can't call back what was permitted before it: M1's second, and a sleep."""
    lost, permit_age_seconds = world.restores.took_away, world.parts.rules.permit_age_ms / 1000
    permitted = post.at - post.asleep_seconds
    return lost(post.at) or lost(permitted) or lost(permitted - permit_age_seconds)


def _too_late(world: Simulation) -> list[Broken]:
    """By the ledger's clock; where it jumped, the hours are not what they were."""
    if world.jumped_seconds:
        return []
    window = world.parts.rules.send_window_ms
    sql = (
        "SELECT s.payment_id, max(s.began_at_ms) - min(s.began_at_ms) FROM send AS s WHERE s.began_at_ms >= "
        "(SELECT min(f.began_at_ms) FROM send AS f WHERE f.payment_id = s.payment_id AND f.attempt = s.attempt "
        "AND (f.ending IS NULL OR f.ending <> 'not_now')) GROUP BY s.payment_id, s.attempt"
    )
    return [
        Broken(f"sent again {age / 60_000:.0f} min after its first send", name)
        for name, age in world.rows(sql)
        if age > window
    ]


def _too_soon(world: Simulation) -> list[Broken]:
    """After a send whose fate isn't known, the search takes its grace before the next."""
    if world.jumped_seconds:
        return []
    sql = (
        "SELECT l.payment_id, n.number, n.began_at_ms - l.began_at_ms FROM send AS l JOIN send AS n "
        "ON n.payment_id = l.payment_id AND n.attempt = l.attempt AND n.number = l.number + 1 "
        "WHERE l.ending IS NULL OR l.ending = 'unknown'"
    )
    grace = world.parts.rules.not_found_grace_ms
    return [
        Broken(f"send {number} began {after / 1000:.0f} s after one of unknown fate", name)
        for name, number, after in world.rows(sql)
        if after < grace
    ]
