"""Some weeks of three schedules: whatever is killed, set wrong or down, each period is accounted for and nobody is asked twice."""

import pytest
from tests.simulation.seeds import quiet
from tests.support.ledger_world import a_world
from tests.support.schedule_year import Year, broken_properties
from tests.support.simulation_ledgers import ledgers

DAYS = 28
MISHAPS = ("a week of downtime", "killed after a commit", "killed before a commit", "restarted", "settled", "till")


@pytest.mark.parametrize("seed", [1])
def test_weeks_of_schedules_under_kills_and_downtime(seed: int) -> None:
    with quiet(), ledgers("sqlite") as places, places.fresh() as url, a_world(url) as world:
        year = Year(world, seed, days=DAYS)
        year.live()
        found = broken_properties(year)
        assert not found, f"seed {seed}: {found[:10]}"
        never = [name for name in MISHAPS if not year.books.counts[name]]
        assert not never, f"seed {seed}: {never} never happened in {dict(year.books.counts)}"
        assert world.count("schedule_period") >= 6
        assert len(year.books.prompts) > 40
