"""Seeds come in, one a line; a line of JSON for each life goes out, with its totals or what ended it. Ends with its input."""

import argparse
import json
import sys
import traceback

from tests.simulation.seeds import live, quiet
from tests.support.simulation_ledgers import DATABASES, ledgers
from tests.support.simulation_swarm import swarm_of


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    with quiet(), ledgers(given.database) as places:
        for line in sys.stdin:
            seed = int(line)
            try:
                found = {"seed": seed, "totals": live(swarm_of(seed), places).to_json()}
            except Exception:  # noqa: BLE001 (whatever ends a life is told with its seed, and breaks the proof)
                found = {"seed": seed, "crashed": traceback.format_exc()}
            print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
