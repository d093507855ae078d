"""`python -m tests.benchmarks.budget`: a bulk run by many processes at MTN's own pace; prints what MTN's side and the ledger say of it.

Four workers and two pumps share one budget of status reads for each product. A fifth of the payments are collections. Every figure
of MTN's side is the simulator's own count.
"""

import argparse
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from sqlalchemy import text
from tests.benchmarks.cost import produce
from tests.benchmarks.inside import parts_of
from tests.benchmarks.main import bench
from tests.benchmarks.measure import cpu_seconds, rss_mb, say
from tests.benchmarks.outcomes import Outcomes
from tests.benchmarks.stage import POSTGRESQL, SQLITE, BenchError, Child, Stage, maybe_postgres, stage
from tests.benchmarks.tables import Table

LOOK_APART_SECONDS = 0.105
_WATCH_SECONDS = 2.0
_OPERATIONS = {"collect": "requesttopay", "disburse": "transfer"}


class Watch:
    """Memory of each kind of process, looked at every two seconds; the largest of each is kept."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self.peak_mb: dict[str, float] = defaultdict(float)
        self.first_mb: dict[str, float] = {}
        self._over = threading.Event()

    def look(self) -> None:
        largest: dict[str, float] = defaultdict(float)
        for child in self._children:
            largest[child.name] = max(largest[child.name], rss_mb([child.pid]))
        for name, value in largest.items():
            self.first_mb.setdefault(name, value)
            self.peak_mb[name] = max(self.peak_mb[name], value)

    @contextmanager
    def going(self) -> Iterator[None]:
        self.look()
        thread = threading.Thread(target=self._run, name="watch")
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _run(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            self.look()


def books(made: Stage) -> dict[str, tuple[int, Decimal]]:
    """What the ledger says was paid, by the simulator's names: count and sum."""
    with parts_of(made) as parts, parts.ledger.read() as tx:
        found = tx.conn.execute(
            text(
                "SELECT operation, count(*), sum(amount_minor) FROM payment WHERE state = 'successful' GROUP BY operation"
            )
        ).all()
    return {_OPERATIONS[row[0]]: (int(row[1]), Decimal(int(row[2]))) for row in found}


def moved(made: Stage) -> dict[str, tuple[int, Decimal]]:
    """What the simulator says moved."""
    return {one["operation"]: (one["count"], Decimal(one["amount"])) for one in made.totals()["totals"]}


def measure(options: argparse.Namespace) -> Table:
    """One run, and its books."""
    count = options.payments
    seconds_max = 120 + count * LOOK_APART_SECONDS * 3
    with (
        maybe_postgres(options.ledger) as server,
        stage(options.ledger, seed=options.seed, server=server) as made,
    ):
        children = made.start_ours(workers=options.workers, pumps=options.pumps)
        pids = [child.pid for child in children]
        outcomes, watch = Outcomes(made), Watch(children)
        cpu_before = cpu_seconds(pids)
        with watch.going():
            began = produce(made, "producer", "mixed", made.valkey.url, count, options.seed)
            say(f"budget: {count} payments enqueued; at most {seconds_max:.0f} s to go")
            outcomes.wait(count, seconds_max)
        seconds = time.time() - began
        cpu_ms = (cpu_seconds(pids) - cpu_before) * 1000 / count
        outcomes.all_successful()
        table = _told(options, made, watch, seconds, cpu_ms)
        made.trustworthy(count)
        return table


def _told(options: argparse.Namespace, made: Stage, watch: Watch, seconds: float, cpu_ms: float) -> Table:
    record, totals = made.simulator.record(), made.totals()
    ledger, mtn = books(made), moved(made)
    if ledger != mtn:
        raise BenchError(f"the books differ: the ledger says {ledger}, the simulator {mtn}")
    reads = {kind: sum(found.values()) for kind, found in record["requests"].items() if kind.startswith("GET ")}
    table = Table(
        "A run at MTN's pace",
        f"{options.payments} payments, a fifth of them collections, {options.workers} workers, {options.pumps} pumps, ledger {options.ledger}, default "
        f"settings (one status read each 105 ms and product), seed {options.seed}.",
        ("what", "figure"),
    )
    table.rows += [
        ("from the first enqueue to the last outcome, s", f"{seconds:.0f}"),
        *(
            (f"memory of the largest {name} at start and at most, MB", _memory(watch, name))
            for name in ("worker", "pump")
        ),
        ("CPU of all processes a payment, waiting for the pace included, ms", f"{cpu_ms:.2f}"),
        *((f"tokens requested, {product}", number) for product, number in sorted(record["token_requests"].items())),
        *(
            (f"most status reads in any one second, {subscription}", peak)
            for subscription, peak in sorted(record["peak_status_reads_per_second"].items())
        ),
        ("status reads over MTN's ten a second", record["overrun_count"]),
        ("status reads a payment", f"{sum(reads.values()) / options.payments:.2f}"),
        *((f"{name}: payments and sum, ledger", _pair(ledger[name])) for name in sorted(ledger)),
        *((f"{name}: payments and sum, simulator", _pair(mtn[name])) for name in sorted(mtn)),
        ("references that moved money twice", len(totals["doubles"]["references"])),
        ("people who were paid twice", len(totals["doubles"]["external_ids"])),
    ]
    return table


def _memory(watch: Watch, name: str) -> str:
    return f"{watch.first_mb[name]:.0f} → {watch.peak_mb[name]:.0f}"


def _pair(found: tuple[int, Decimal]) -> str:
    return f"{found[0]:,} · {found[1]:,} UGX"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--payments", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pumps", type=int, default=2)
    parser.add_argument("--ledger", choices=(SQLITE, POSTGRESQL), default=SQLITE)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
