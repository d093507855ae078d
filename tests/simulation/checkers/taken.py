"""M6: a 409 to the first send proves that the reference is used, not by whom: it is on a person's desk, and never counted as ours."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_SENDS = (
    "SELECT a.reference_id, p.id, p.state, s.number, s.ending, s.never_left, s.http_status FROM attempt AS a "
    "JOIN payment AS p ON p.id = a.payment_id AND p.attempt = a.number "
    "JOIN send AS s ON s.payment_id = a.payment_id AND s.attempt = a.number ORDER BY a.reference_id, s.number"
)
#: Once the fate of a send isn't known, what MTN shows under its reference with every fact equal is taken for ours, and nobody can tell.
_IN_DOUBT = "SELECT DISTINCT payment_id FROM transition WHERE after = 'unknown'"
#: Nor is it our word that a person gave, who has read MTN's books.
_BY_PERSON = "SELECT DISTINCT payment_id FROM transition WHERE trigger = 'resolved'"
_ADOPTED = ("pending", "successful", "failed")


def check(world: Simulation) -> list[Broken] | None:
    if world.restores.done:
        # For seven days a restored ledger takes a 409 for its own lost send: that is what it is nearly always.
        return None
    explained: set[str] = set()
    not_by_us = {*world.rows(_IN_DOUBT), *world.rows(_BY_PERSON)}
    found = []
    for reference, name, state, number, ending, never_left, http_status in world.rows(_SENDS):
        if reference not in world.odd.taken or never_left or name in not_by_us:
            continue
        if http_status == 409 and reference not in explained and state in _ADOPTED:
            found.append(Broken(f"send {number} was its first, was answered 409, and it is {state}", name))
        if ending != "not_now":
            explained.add(reference)
    return found
