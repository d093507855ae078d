"""`python -m tests.benchmarks.claims`: what releasing and claiming 100 due payments costs among 1,000 and among 1,000,000 pending; prints a table.

The functions of the pump and of the worker run here, in this process, on a ledger that the database filled itself. Each repetition
makes 100 other payments due, scattered over the table.
"""

import argparse
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import bindparam, text
from tests.benchmarks import rows
from tests.benchmarks.inside import parts_of
from tests.benchmarks.main import bench
from tests.benchmarks.measure import p95, say
from tests.benchmarks.stage import POSTGRESQL, SQLITE, BenchError, Stage, maybe_postgres, stage
from tests.benchmarks.tables import Table
from tests.support.simulator import UGANDA_DISBURSEMENT

from momo_worker.commons.parts import Parts
from momo_worker.ledger import views, work
from momo_worker.payment.payment import Product, Queue, Work
from momo_worker.steps import polling

DUE = 100
#: What is due at one moment was mostly taken in at about one moment; the rows are measured scattered over the whole table as well.
NEIGHBOURS = 1_000
_MAKE_DUE = text("UPDATE payment SET due_at_ms = :now - due_at_ms % 1000 WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
_LET_GO = text(
    "UPDATE payment SET due_at_ms = :now + 3600000 + due_at_ms % 1000, released_until_ms = NULL, lease_until_ms = NULL, "
    "claims_since_word = 0 WHERE id IN :ids"
).bindparams(bindparam("ids", expanding=True))
_STEPS = ("release", "claim", "release and claim", "what is due, counted", "gauges by state")


def timed(parts: Parts, chance: random.Random, pending: int, within: int, repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of each step, one figure a repetition. What is due lies `within` so many payments taken in one after another."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(repetitions):
        first = chance.randrange(pending - within + 1)
        ids = [rows.name_of(number) for number in chance.sample(range(first, first + within), DUE)]
        mark(parts, _MAKE_DUE, ids)
        counted, found_ms = clocked(partial(due, parts))
        released, release_ms = clocked(partial(release, parts))
        claimed, claim_ms = clocked(partial(polling.claim, parts, released))
        if not counted == len(released) == len(claimed) == DUE:
            raise BenchError(f"{counted} due, {len(released)} released, {len(claimed)} claimed: not {DUE} each")
        _, gauge_ms = clocked(partial(gauges, parts))
        for step, value in zip(_STEPS, (release_ms, claim_ms, release_ms + claim_ms, found_ms, gauge_ms), strict=True):
            found[step].append(value)
        mark(parts, _LET_GO, ids)
    return found


def clocked(step: Callable[[], Any]) -> tuple[Any, float]:
    """What a step gave, and its milliseconds."""
    began = time.perf_counter()
    answer = step()
    return answer, (time.perf_counter() - began) * 1000


def mark(parts: Parts, statement: Any, ids: list[str]) -> None:
    with parts.ledger.write() as tx:
        tx.conn.execute(statement, {"ids": ids, "now": tx.now_ms})


def due(parts: Parts) -> int:
    """What the pump asks before it releases."""
    with parts.ledger.read() as tx:
        work.outstanding(tx, rows.ACCOUNT, Product.DISBURSEMENT, Work.LOOK, limit=1_000)
        return sum(work.due_counts(tx, rows.ACCOUNT, Product.DISBURSEMENT, Work.LOOK, limit=1_000).values())


def release(parts: Parts) -> list[str]:
    with parts.ledger.write() as tx:
        released = work.release(
            tx, rows.ACCOUNT, Product.DISBURSEMENT, Work.LOOK, Queue.BULK, limit=DUE, release_ms=parts.rules.release_ms
        )
    return [item.payment_id for item in released]


def gauges(parts: Parts) -> list[views.StateGauge]:
    with parts.ledger.read() as tx:
        return views.by_state(tx)


def plan(parts: Parts) -> list[str]:
    """How the database finds what is due: its own words for the statement that releases."""
    words = "EXPLAIN QUERY PLAN" if parts.ledger.dialect == "sqlite" else "EXPLAIN"
    values = {"account": rows.ACCOUNT, "product": "disbursement", "work": "look", "queue": Queue.BULK.value}
    with parts.ledger.read() as tx:
        values |= {"now": tx.now_ms, "until": tx.now_ms + 1, "limit": DUE}
        found = tx.conn.execute(text(f"{words} {work._release[parts.ledger.dialect].text}"), values)
        return [str(row[-1]) for row in found]


def measure(options: argparse.Namespace) -> Table:
    """Both databases, each at every size, filled up from one to the next."""
    table = Table(
        f"Releasing and claiming {DUE} due payments",
        f"{options.repetitions} repetitions each, seed {options.seed}; milliseconds, median and 95th percentile. The ledger is durable on both "
        "(SQLite: WAL with synchronous=FULL; PostgreSQL: fsync and synchronous_commit on), so that each release and each claim waits for the disk once.",
        ("ledger", "pending", "due among neighbours", *(f"{step}, ms" for step in _STEPS), "filled in, s"),
    )
    for ledger in (SQLITE, POSTGRESQL):
        with (
            maybe_postgres(ledger) as server,
            stage(ledger, seed=options.seed, server=server) as made,
            parts_of(made) as parts,
        ):
            _sizes(options, table, made, parts)
    return table


def _sizes(options: argparse.Namespace, table: Table, made: Stage, parts: Parts) -> None:
    chance, before = random.Random(options.seed), 0
    for pending in options.pending:
        began = time.monotonic()
        count = pending - before
        rows.fill(made.database_url, before, count, base_url=made.simulator.url, api_user=UGANDA_DISBURSEMENT.api_user)
        filled_seconds, before = time.monotonic() - began, pending
        for within in sorted({min(NEIGHBOURS, pending), pending}):
            found = timed(parts, chance, pending, within, options.repetitions)
            shown = [f"{statistics.median(found[step]):.1f} / {p95(found[step]):.1f}" for step in _STEPS]
            table.rows.append([made.ledger, f"{pending:,}", f"{within:,}", *shown, f"{filled_seconds:.0f}"])
            say(f"claims: {table.rows[-1]}")
    lines = "\n".join(f"    {line}" for line in plan(parts))
    table.notes.append(f"How {made.ledger} finds what is due among {before:,}:\n\n{lines}")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pending", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--repetitions", type=int, default=30)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
