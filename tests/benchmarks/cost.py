"""`python -m tests.benchmarks.cost`: what a payment costs in CPU, ours beside a naive Celery application; prints a table.

Both pay the same jobs at the same simulator, which settles within half a second; both look after two seconds, so that each payment
takes one look. Runs alternate, so that a busy machine is busy for both.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass

from tests.benchmarks.main import bench
from tests.benchmarks.measure import cpu_seconds, redis_counts, say, span
from tests.benchmarks.outcomes import Outcomes
from tests.benchmarks.stage import PACE_LIFTED, POSTGRESQL, ROOT, SQLITE, Stage, maybe_postgres, server_pid, stage
from tests.benchmarks.tables import Table
from tests.support.postgres import Postgres
from tests.support.simulator import UGANDA_DISBURSEMENT

LOOK_SECONDS = "2"
BEHAVIOUR = {"settle_seconds_min": 0.05, "settle_seconds_max": 0.5}
SETTINGS = {**PACE_LIFTED, "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": LOOK_SECONDS}
RUN_SECONDS_MAX = 600.0
NAIVE_CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Run:
    """One run's figures; milliseconds are per payment."""

    name: str
    cpu_ms: float
    parts: str
    per_second: float
    redis_commands: float
    redis_ms: float
    database_ms: float | None
    messages: float
    events: int
    tokens: int
    reads: float
    movements: int
    doubles: int


class Meter:
    """What was used between its making and `run`."""

    def __init__(self, made: Stage, server: Postgres | None) -> None:
        self._made = made
        self._server = server
        self._before = self._now()
        with made.valkey.client() as client:
            self._redis = redis_counts(client)

    def _now(self) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for child in self._made.children:
            found[child.name] += cpu_seconds([child.pid])
        if self._server is not None:
            found["PostgreSQL"] = cpu_seconds([server_pid(self._server)])
        return found

    def run(self, name: str, count: int, seconds: float, *, events: int) -> Run:
        """The figures of one run of `count` payments."""
        after = self._now()
        used = {who: (after[who] - self._before[who]) * 1000 / count for who in after}
        database_ms = used.pop("PostgreSQL", None)
        with self._made.valkey.client() as client:
            redis_used = {what: value - self._redis[what] for what, value in redis_counts(client).items()}
        record, totals = self._made.simulator.record(), self._made.totals()
        reads = sum(sum(found.values()) for kind, found in record["requests"].items() if kind == "GET transfer")
        return Run(
            name=name,
            cpu_ms=sum(used.values()),
            parts=", ".join(f"{who} {value:.2f}" for who, value in sorted(used.items())),
            per_second=count / seconds,
            redis_commands=redis_used["commands"] / count,
            redis_ms=redis_used["cpu_seconds"] * 1000 / count,
            database_ms=database_ms,
            messages=redis_used["messages"] / count,
            events=events,
            tokens=sum(record["token_requests"].values()),
            reads=reads / count,
            movements=totals["count"],
            doubles=len(totals["doubles"]["references"]) + len(totals["doubles"]["external_ids"]),
        )


def produce(made: Stage, module: str, *arguments: object, environ: dict[str, str] | None = None) -> float:
    """Start a producer and wait for its end; when it began to enqueue."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    child = made.start(f"producer {module}", command, environ or {}, folder=ROOT)
    child.process.wait(RUN_SECONDS_MAX)
    made.children.remove(child)
    if child.process.returncode:
        raise subprocess.CalledProcessError(child.process.returncode, command, child.tail())
    return float(child.log.read_text().splitlines()[0])


def ours(ledger: str, count: int, seed: int) -> Run:
    """One run of our worker and pump."""
    with (
        maybe_postgres(ledger) as server,
        stage(ledger, seed=seed, server=server, settings=SETTINGS, behaviour=BEHAVIOUR) as made,
    ):
        made.start_ours()
        outcomes = Outcomes(made)
        meter = Meter(made, server)
        began = produce(made, "producer", "stream", made.valkey.url, count, seed)
        outcomes.wait(count, RUN_SECONDS_MAX)
        run = meter.run(f"ours, {ledger}", count, time.time() - began, events=sum(outcomes.kinds.values()))
        outcomes.all_successful()
        made.trustworthy(count)
        return run


def naive(pool: str, count: int, seed: int) -> Run:
    """One run of the naive application."""
    with stage(SQLITE, seed=seed, behaviour=BEHAVIOUR) as made:
        environ = naive_environ(made)
        made.start_naive(pool, NAIVE_CONCURRENCY, environ)
        meter = Meter(made, None)
        began = produce(made, "naive_producer", "pay", count, seed, environ=environ)
        with made.valkey.client() as client:
            made.wait_until(lambda: int(client.hlen("payments")) >= count, "the last status", RUN_SECONDS_MAX)
        run = meter.run(f"naive, {pool} -c {NAIVE_CONCURRENCY}", count, time.time() - began, events=0)
        made.trustworthy(count)
        return run


def naive_environ(made: Stage) -> dict[str, str]:
    """The naive application's settings."""
    return {
        "NAIVE_BASE_URL": made.simulator.url,
        "NAIVE_REDIS_URL": made.valkey.url,
        "NAIVE_SUBSCRIPTION_KEY": UGANDA_DISBURSEMENT.subscription_key,
        "NAIVE_API_USER": UGANDA_DISBURSEMENT.api_user,
        "NAIVE_API_KEY": UGANDA_DISBURSEMENT.api_key,
        "NAIVE_POLL_SECONDS": LOOK_SECONDS,
    }


def measure(options: argparse.Namespace) -> Table:
    """Every application in turn, and all of that so many times."""
    sides = [
        lambda seed: ours(SQLITE, options.payments, seed),
        lambda seed: naive("prefork", options.payments, seed),
        lambda seed: ours(POSTGRESQL, options.payments, seed),
        lambda seed: naive("threads", options.payments, seed),
    ]
    runs: dict[str, list[Run]] = defaultdict(list)
    for number in range(options.rounds):
        for side in sides:
            run = side(options.seed + number)
            runs[run.name].append(run)
            say(f"cost, round {number + 1}: {run}")
    return told(options, runs)


def told(options: argparse.Namespace, runs: dict[str, list[Run]]) -> Table:
    """The table of all runs."""
    table = Table(
        "What a payment costs",
        f"{options.payments} disbursements in each run, {options.rounds} runs of each side in turn, seed {options.seed}, pace lifted, one "
        f"pump and one worker (8 batches, 32 calls at a time) beside one naive worker; first look {LOOK_SECONDS} s after "
        "the send on both sides. CPU is user and system time of all processes of a side, without producer, simulator and servers.",
        (
            *("side", "CPU ms a payment: min · median · max", "of which (median run)", "payments a second", "ratio"),
            *(
                "Redis commands a payment",
                "Redis ms",
                "database server ms",
                "Celery messages a payment",
                "result events",
            ),
            *("tokens", "reads a payment", "movements", "doubles"),
        ),
    )
    base = statistics.median(run.cpu_ms for run in next(iter(runs.values())))
    for name, found in runs.items():
        table.rows.append(_row(name, found, base))
    table.notes.append(
        "Ratio: median CPU against ours on SQLite. The naive side keeps no ledger, publishes no results, serves no metrics, and would "
        "pay twice after a lost answer; its countdowns are part of its cost."
    )
    return table


def _row(name: str, found: list[Run], base: float) -> list[object]:
    cpu_ms = [run.cpu_ms for run in found]
    typical = min(found, key=lambda run: abs(run.cpu_ms - statistics.median(cpu_ms)))
    database = "-" if typical.database_ms is None else f"{typical.database_ms:.2f}"
    return [
        *(name, span(cpu_ms), typical.parts, span([run.per_second for run in found], 0)),
        *(f"{statistics.median(cpu_ms) / base:.2f}", f"{typical.redis_commands:.1f}", f"{typical.redis_ms:.2f}"),
        *(database, f"{typical.messages:.2f}", typical.events, typical.tokens, f"{typical.reads:.2f}"),
        *(typical.movements, sum(run.doubles for run in found)),
    ]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--payments", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=2)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
