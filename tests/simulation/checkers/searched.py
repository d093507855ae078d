"""M5, seen from the wire: before a reference leaves again, MTN said RESOURCE_NOT_FOUND often enough, late enough, and not too long ago."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_RESENT = (
    "SELECT t.payment_id, t.attempt, t.at_ms, a.reference_id, "
    # The last moment at which a send could have left: when it began, or, where it came back without a word, when it did.
    "(SELECT max(CASE WHEN s.ending = 'unknown' AND s.ended_at_ms <= t.at_ms THEN s.ended_at_ms ELSE s.began_at_ms END) "
    " FROM send AS s WHERE s.payment_id = t.payment_id AND s.attempt = t.attempt AND s.began_at_ms < t.at_ms "
    " AND (s.ending IS NULL OR s.ending <> 'not_now')) "
    "FROM transition AS t JOIN attempt AS a ON a.payment_id = t.payment_id AND a.number = t.attempt "
    "WHERE t.trigger = 'resent' ORDER BY t.id"
)


def check(world: Simulation) -> list[Broken] | None:
    """By the ledger's clock; where it jumped, its minutes are not what they were."""
    if world.jumped_seconds:
        return None
    rules = world.parts.rules
    found = []
    for name, _, at_ms, reference, could_have_left_ms in world.rows(_RESENT):
        since = could_have_left_ms if could_have_left_ms is not None else 0
        looks = [
            look.left_at_ms
            for look in world.seen.looks.get(reference, ())
            if look.is_not_found and since <= look.left_at_ms <= at_ms
        ]
        if len(looks) < rules.not_found_needed:
            found.append(Broken(f"was sent again after {len(looks)} RESOURCE_NOT_FOUND", name))
        elif max(looks) - since < rules.not_found_grace_ms:
            found.append(
                Broken(f"was last looked up {(max(looks) - since) / 1000:.0f} s after a send could have left", name)
            )
        elif at_ms - max(looks) > rules.permission_age_ms:
            found.append(Broken(f"was sent again {(at_ms - max(looks)) / 1000:.0f} s after its last look", name))
    return found
