"""The tally of payments by state is what counting them gives."""

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken


def check(world: Simulation) -> list[Broken]:
    tally = world.rows(
        "SELECT state, currency, sum(payments), sum(amount_minor) FROM tally GROUP BY state, currency HAVING sum(payments) <> 0 ORDER BY 1, 2"
    )
    counted = world.rows(
        "SELECT state, currency, count(*), sum(amount_minor) FROM payment GROUP BY state, currency ORDER BY 1, 2"
    )
    return [] if tally == counted else [Broken(f"the tally says {tally}, counting {counted}")]
