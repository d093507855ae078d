"""By MTN's own books: at most one collection stands open on a number of an account (money-review H4), as long as clocks, restores and sleepers let anybody know.

Open is what hasn't ended and is younger than the five minutes for which MTN shows its prompt.
"""

from collections import defaultdict
from dataclasses import dataclass

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_SHOWN_SECONDS = 300.0
#: The row outlives the prompt by a minute after the last moment at which the send could have left; a request that arrives late
#: (MTN's fault of 45 s) takes most of it.
_ASLEEP_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class _Shown:
    payment_id: str
    reference: str
    begun_at: float
    ended_at: float


def check(world: Simulation) -> list[Broken] | None:
    if world.jumped_seconds or world.restores.done:
        return None
    found = []
    for (_, msisdn), shown in _by_number(world).items():
        shown.sort(key=lambda one: one.begun_at)
        for at, later in enumerate(shown):
            for earlier in shown[:at]:
                if earlier.payment_id != later.payment_id and later.begun_at < earlier.ended_at:
                    seconds = later.begun_at - earlier.begun_at
                    what = f"asked {msisdn} {seconds:.1f} s after {earlier.payment_id}, whose prompt was open"
                    found.append(Broken(what, later.payment_id))
    return found


def _by_number(world: Simulation) -> dict[tuple[str, str], list[_Shown]]:
    sql = (
        "SELECT a.reference_id, p.id, p.account, p.msisdn FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id "
        "WHERE p.operation = 'collect'"
    )
    ours = {reference: (name, account, msisdn) for reference, name, account, msisdn in world.rows(sql)}
    # Who sleeps between permit and first byte sends what nobody can call back.
    slept = {post.reference for post in world.posts if post.asleep_seconds > _ASLEEP_SECONDS_MAX}
    found: dict[tuple[str, str], list[_Shown]] = defaultdict(list)
    for row in world.mtn_rows(
        "SELECT reference, created_at, settled_at FROM payments WHERE operation = 'requesttopay'"
    ):
        reference = row["reference"]
        if reference not in ours or reference in slept or reference in world.odd.taken:
            continue
        name, account, msisdn = ours[reference]
        ended_at = min(row["created_at"] + _SHOWN_SECONDS, row["settled_at"] or float("inf"))
        found[account, msisdn].append(_Shown(name, reference, row["created_at"], ended_at))
    return found
