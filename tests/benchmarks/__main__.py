"""`make bench`: cost, memory, latency, claims, the till beside a run and imports at their own sizes, in one go; prints their tables."""

import argparse

from tests.benchmarks import claims, cost, imports, latency, memory, till
from tests.benchmarks.main import bench
from tests.benchmarks.tables import Table

SCRIPTS = (cost, memory, latency, claims, till, imports)
#: To see that everything runs; figures of runs this short are mostly start-up and idling.
SMALL = {
    cost: "--payments 300 --rounds 1",
    memory: "--pending 1000 10000 --countdowns 1000 --payments 100",
    latency: "--jobs 5",
    claims: "--pending 1000 60000 --repetitions 5",
    till: "--jobs 5 --rows 500",
    imports: "--rows 2000 --rounds 1",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Each script's own, under its own default: to change one, run that script."""
    parser.add_argument("--only", nargs="+", choices=[_name(script.__name__) for script in SCRIPTS])
    parser.add_argument("--small", action="store_true", help="sizes that only show that everything runs")


def measure(options: argparse.Namespace) -> list[Table]:
    """One script after another; nothing else of ours runs beside it."""
    tables = []
    for script in SCRIPTS:
        if options.only and _name(script.__name__) not in options.only:
            continue
        parser = argparse.ArgumentParser()
        script.arguments(parser)
        own = parser.parse_args(SMALL[script].split() if options.small else [])
        own.seed = options.seed
        tables.append(script.measure(own))
    return tables


def _name(module: str) -> str:
    return module.rpartition(".")[2]


if __name__ == "__main__":
    bench(__doc__, arguments, measure)
