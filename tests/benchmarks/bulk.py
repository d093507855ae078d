"""`python -m tests.benchmarks.bulk`: one run from its file to its proof pack, by the commands that people type, with kill -9 in the middle.

Two workers and two pumps; at a third and at two thirds of the rows all of them are killed and started again. What the simulator says it
paid decides whether there are figures at all.
"""

import argparse
import os
import signal
import time
from contextlib import ExitStack

import psutil
from tests.benchmarks.inside import house_of
from tests.benchmarks.main import bench
from tests.benchmarks.measure import say
from tests.benchmarks.stage import (
    PACE_LIFTED,
    POSTGRESQL,
    SQLITE,
    BenchError,
    Child,
    Stage,
    maybe_postgres,
    momo,
    run_to_end,
    stage,
)
from tests.benchmarks.tables import Table
from tests.benchmarks.till import NAME, sent, signed_run

from momo_worker.wiring import House

_QUICK = {
    "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": "2",
    "MOMO_RULES__FIRST_LOOK_UNKNOWN_SECONDS": "2",
    "MOMO_RULES__CALL_DEADLINE_SECONDS": "10",
    "MOMO_RULES__LEASE_SECONDS": "25",
}
_ENDS_SECONDS_MAX = 3_600


def kill_all(made: Stage, children: list[Child]) -> None:
    """-9 for each of ours, and new ones in their place."""
    for child in children:
        for one in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
            os.kill(one.pid, signal.SIGKILL)
        child.process.wait()
        made.children.remove(child)


def go(made: Stage, house: House, rows: int) -> tuple[float, int]:
    """Release the run and kill everything twice on its way; returns how long it took, and how many processes were killed."""
    ours = made.start_ours(workers=2, pumps=2)
    began, killed = time.monotonic(), 0
    run_to_end([*momo(), "run", "release", NAME, "--by", "boss"], made.environ)
    for part in (rows // 3, rows * 2 // 3):
        made.wait_until(lambda part=part: sent(house) >= part, f"row {part}", _ENDS_SECONDS_MAX)  # type: ignore[misc]
        kill_all(made, ours)
        killed += len(ours)
        say(f"bulk: everything killed after row {sent(house):,}")
        ours = made.start_ours(workers=2, pumps=2)
    run_to_end([*momo(), "run", "watch", NAME, "--seconds", str(_ENDS_SECONDS_MAX), "--json"], made.environ)
    return time.monotonic() - began, killed


def timed(made: Stage, *words: str) -> float:
    began = time.monotonic()
    run_to_end([*momo(), *words], made.environ)
    return time.monotonic() - began


def measure(options: argparse.Namespace) -> Table:
    """From file to proof pack."""
    table = Table(
        f"A run of {options.rows:,} rows from its file to its proof pack, with kill -9 of everything at a third and at two thirds",
        f"Seed {options.seed}, ledger {options.ledger}, pace lifted, two pumps and two workers, leases of 25 s.",
        ("step", "s"),
    )
    with ExitStack() as ends:
        server = ends.enter_context(maybe_postgres(options.ledger))
        made = ends.enter_context(
            stage(options.ledger, seed=options.seed, server=server, settings={**PACE_LIFTED, **_QUICK})
        )
        table.rows += [[what, f"{seconds:.1f}"] for what, seconds in signed_run(made, options.rows)[3:]]
        house = ends.enter_context(house_of(made))
        seconds, killed = go(made, house, options.rows)
        table.rows.append([f"release to the end of the last row, {killed} processes killed", f"{seconds:.1f}"])
        report, pack = made.home / "report.csv", made.home / "pack.zip"
        table.rows.append(["report", f"{timed(made, 'run', 'report', NAME, '--csv', str(report)):.1f}"])
        table.rows.append(["proof", f"{timed(made, 'run', 'proof', NAME, '--file', str(pack)):.1f}"])
        table.rows.append(["verify", f"{timed(made, 'run', 'verify', str(pack)):.1f}"])
        made.trustworthy(options.rows)
        with house.parts.ledger.read() as tx:
            states = dict(tx.conn.exec_driver_sql("SELECT state, count(*) FROM payment GROUP BY state").all())
        if states != {"successful": options.rows}:
            raise BenchError(f"the ledger says {states}")
        mb = pack.stat().st_size / 1e6
        table.notes.append(
            f"{options.rows:,} movements at the simulator, each once; the ledger says the same. The pack has {mb:.1f} MB."
        )
    return table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--ledger", choices=(SQLITE, POSTGRESQL), default=SQLITE)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
