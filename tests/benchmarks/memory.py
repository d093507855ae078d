"""`python -m tests.benchmarks.memory`: memory of worker and pump with more and more pending payments in the ledger; prints a table.

At each size fresh processes do real work first (payments through the stream, scrapes of both metrics doors), so that what a busy
process holds is in the figure. Beside it the naive application with as many countdowns, which its worker keeps in memory.
"""

import argparse
import time
import urllib.request
from collections.abc import Iterator
from functools import partial

from tests.benchmarks import rows
from tests.benchmarks.cost import NAIVE_CONCURRENCY, PACE_LIFTED, naive_environ, produce
from tests.benchmarks.main import bench
from tests.benchmarks.measure import cpu_seconds, rss_mb, say
from tests.benchmarks.outcomes import Outcomes
from tests.benchmarks.stage import POSTGRESQL, SQLITE, Child, Stage, maybe_postgres, stage
from tests.benchmarks.tables import Table
from tests.support.simulator import UGANDA_DISBURSEMENT

SETTINGS = {**PACE_LIFTED, "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": "1"}
BEHAVIOUR = {"settle_seconds_min": 0.05, "settle_seconds_max": 0.5}
SCRAPES = 5
_SECONDS_MAX = 300.0


def ours(options: argparse.Namespace, ledger: str) -> Iterator[list[object]]:
    """One row for each size."""
    with (
        maybe_postgres(ledger) as server,
        stage(ledger, seed=options.seed, server=server, settings=SETTINGS, behaviour=BEHAVIOUR) as made,
    ):
        before = worked = 0
        outcomes = Outcomes(made)
        for pending in options.pending:
            count = pending - before
            rows.fill(
                made.database_url, before, count, base_url=made.simulator.url, api_user=UGANDA_DISBURSEMENT.api_user
            )
            before, worked = pending, worked + options.payments
            yield _row(made, outcomes, options, f"ours, {ledger}", pending, worked)


def _row(
    made: Stage, outcomes: Outcomes, options: argparse.Namespace, name: str, pending: int, worked: int
) -> list[object]:
    pump, worker = made.start_ours()
    # Another seed at each size: other keys, so that these are new payments.
    produce(made, "producer", "stream", made.valkey.url, options.payments, options.seed + worked)
    outcomes.wait(worked, _SECONDS_MAX)
    for _ in range(SCRAPES):
        scrape(pump)
        scrape(worker)
    idle = idle_ms(options.idle_seconds, pump, worker)
    figures = (rss_mb([worker.pid]), rss_mb([pump.pid]))
    made.stop(worker, pump)
    found = [name, f"{pending:,}", *(f"{value:.0f}" for value in figures), f"{idle:.1f}"]
    say(f"memory: {found}")
    return found


def idle_ms(seconds: float, *children: Child) -> float:
    """CPU milliseconds a second of processes that have nothing to do."""
    pids = [child.pid for child in children]
    before = cpu_seconds(pids)
    time.sleep(seconds)
    return (cpu_seconds(pids) - before) * 1000 / seconds


def scrape(child: Child) -> None:
    """Ask a process for its metrics, as Prometheus does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{child.port}/metrics", timeout=30) as answer:
        answer.read()


def naive(options: argparse.Namespace) -> Iterator[list[object]]:
    """One row for each number of countdowns."""
    for countdowns in options.countdowns:
        with stage(SQLITE, seed=options.seed) as made:
            environ = naive_environ(made)
            child = made.start_naive("prefork", NAIVE_CONCURRENCY, environ)
            produce(made, "naive_producer", "countdowns", countdowns, options.seed, environ=environ)
            made.wait_until(partial(_held, made, countdowns), f"{countdowns} countdowns", _SECONDS_MAX)
            idle = idle_ms(options.idle_seconds, child)
            main = child.alone_mb()
            found = [
                f"naive, prefork -c {NAIVE_CONCURRENCY}",
                f"{countdowns:,}",
                f"{rss_mb([child.pid]):.0f} ({main:.0f})",
            ]
            say(f"memory: {found}")
            yield [*found, "-", f"{idle:.1f}"]


def _held(made: Stage, countdowns: int) -> bool:
    """Whether the worker holds them all: taken from the list, not acknowledged."""
    with made.valkey.client() as client:
        return int(client.hlen("unacked")) >= countdowns


def measure(options: argparse.Namespace) -> Table:
    """All sizes on both databases, then the naive application."""
    table = Table(
        "Memory with pending payments",
        f"Resident memory after {options.payments} payments and {SCRAPES} scrapes, {options.idle_seconds:.0f} s idle, seed {options.seed}. Pending "
        "payments stand in the ledger, due in hours.",
        ("side", "pending", "worker, MB", "pump, MB", "CPU while idle, ms a second"),
    )
    for ledger in (SQLITE, POSTGRESQL):
        table.rows += ours(options, ledger)
    table.rows += naive(options)
    table.notes.append(
        "The naive side: all its processes, shared pages counted in each, and in brackets the one that holds the countdowns."
    )
    return table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pending", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--countdowns", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--payments", type=int, default=500)
    parser.add_argument("--idle-seconds", type=float, default=3.0)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
