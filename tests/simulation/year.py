"""`python -m tests.simulation.year --seeds 1-5`: lives through years of three schedules with kills, jumping clocks and a week of downtime; prints tables in Markdown.

--days N         a shorter year
--database NAME  sqlite (the default) or postgresql
"""

import argparse
import sys
import time
from collections import Counter

from tests.simulation.seeds import quiet
from tests.support.ledger_world import a_world
from tests.support.schedule_year import RULES, Year, broken_properties
from tests.support.simulation_ledgers import DATABASES, ledgers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-3", help="first and last, such as 1-5, or one")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    broken = 0
    with quiet(), ledgers(given.database) as places:
        for seed in range(int(first), int(last or first) + 1):
            began = time.monotonic()
            with places.fresh() as url, a_world(url) as world:
                year = Year(world, seed, days=given.days)
                year.live()
                found = broken_properties(year)
                print(told(year, time.monotonic() - began))
            broken += len(found)
            for line in found[:20]:
                print(f"seed {seed}: {line}", file=sys.stderr)
    return 1 if broken else 0


def told(year: Year, seconds: float) -> str:
    """What a year was like, for people."""
    rows = year.plain_rows(
        "SELECT s.name, p.state, count(*) FROM schedule_period AS p JOIN schedule AS s ON s.id = p.schedule_id "
        "GROUP BY s.name, p.state ORDER BY s.name, p.state"
    )
    periods = ", ".join(f"{name} {count} {state}" for name, state, count in rows)
    dues = dict(year.plain_rows("SELECT state, count(*) FROM schedule_due GROUP BY state ORDER BY state"))
    asks: Counter[str] = Counter()
    for key in (one.key for one in year.books.prompts.values() if one.key.startswith("sch/")):
        asks["/".join(key.split("/")[:4])] += 1
    most = Counter(asks.values())
    lines = [
        f"seed {year.seed}, {year.days} days, {len(RULES)} schedules of {year.payers_each} payers, {seconds:.0f} s",
        f"  periods   {periods}",
        f"  payers    {dues}",
        f"  prompts   {len(year.books.prompts):,}; a payer and period had {dict(sorted(most.items()))} (prompts: payers)",
        f"  mishaps   {dict(sorted(year.books.counts.items()))}",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
