"""`python -m tests.simulation --seeds 1-1000`: lives through many seeds and prints tables in Markdown; ends with 1 when a property was broken.

--swarm JSON     one life with these options, as a shrunk story gives them
--database NAME  sqlite (the default) or postgresql
"""

import argparse
import sys

from tests.simulation.seeds import run_seeds, run_swarms
from tests.simulation.table import tables
from tests.support.simulation_ledgers import DATABASES
from tests.support.simulation_swarm import swarm_from_json


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1-50", help="first and last, such as 1-1000, or one")
    parser.add_argument("--swarm")
    parser.add_argument("--jobs-max", type=int)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    if given.swarm:
        totals = run_swarms([swarm_from_json(given.swarm)], database=given.database)
    else:
        first, _, last = given.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
        totals = run_seeds(seeds, jobs_max=given.jobs_max, database=given.database)
    rate = f"{totals.payments / max(totals.seconds, 0.001):.1f}"
    print(tables(totals, {"seeds": given.seeds, "database": given.database, "payments a second of CPU": rate}))
    for story in totals.stories:
        print(f"\n{story}", file=sys.stderr)
    return 1 if totals.broken else 0


if __name__ == "__main__":
    sys.exit(main())
