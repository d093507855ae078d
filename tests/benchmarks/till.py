"""`python -m tests.benchmarks.till`: a customer at the till, with and without a bulk run beside; from enqueue to MTN's door, and what signing costs.

A run of many rows is imported, signed by two people and released, by the commands that people type; while it goes out at the default pace,
payments come through the stream one at a time, at random moments, and are timed at the simulator's door.
"""

import argparse
import csv
import json
import random
import shutil
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import redis
from tests.benchmarks.inside import house_of
from tests.benchmarks.latency import Walk, walk
from tests.benchmarks.main import bench
from tests.benchmarks.measure import p95, say
from tests.benchmarks.stage import POSTGRESQL, SQLITE, BenchError, Stage, maybe_postgres, momo, run_to_end, stage
from tests.benchmarks.tables import Table

from momo_worker.ledger import run_release, runs
from momo_worker.wiring import House

NAME = "salary-2026-12"
_PASSPHRASE = "only for the bench"
_PAUSE_SECONDS = (0.05, 0.5)
_WARM_UP = 3


def salaries(path: Path, rows: int) -> None:
    """A file of so many people in Uganda."""
    with path.open("w", encoding="utf-8", newline="") as out:
        people = ((f"E{n}", f"Person {n}", f"25677{n:07d}", str(150_000 + n % 1000)) for n in range(rows))
        csv.writer(out).writerows([("staff no", "name", "phone", "amount"), *people])


def signed_run(made: Stage, rows: int) -> list[tuple[str, float]]:
    """Import, submit and approve a run; returns what each took, in seconds."""
    home, environ = made.home, made.environ
    # Its own, since approvers are written into it; every process that is started from here on reads it.
    environ["MOMO_CONFIG"] = str(shutil.copytree(environ["MOMO_CONFIG"], home / "config"))
    (home / "passphrase").write_text(_PASSPHRASE, encoding="utf-8")
    salaries(home / "salaries.csv", rows)
    key = ("--passphrase-file", str(home / "passphrase"))
    took: list[tuple[str, float]] = []

    def timed(what: str, *words: str) -> None:
        began = time.monotonic()
        run_to_end([*momo(), *words], environ)
        took.append((what, time.monotonic() - began))
        say(f"till: {what} {took[-1][1]:.1f} s")

    timed("first approver", "approver", "add", "boss", "--first", *key)
    timed("maker", "approver", "add", "ada", "--role", "maker", *key)
    timed("signed in", "approver", "sign-in", "ada", "--as", "boss", *key)
    timed("import", "run", "import", str(home / "salaries.csv"), "--name", NAME, "--by", "ada")
    timed("submit", "run", "submit", NAME, "--as", "ada", *key)
    timed("approve", "run", "approve", NAME, "--as", "boss", *key)
    return took


def till(made: Stage, house: House, client: redis.Redis, options: argparse.Namespace, *, when: str) -> list[object]:
    """A row: so many collections through the stream, one at a time."""
    chance = random.Random(f"{options.seed} {when}")
    walks: list[Walk] = []
    for number in range(options.jobs + _WARM_UP):
        time.sleep(chance.uniform(*_PAUSE_SECONDS))
        job = {
            "operation": "collect",
            "idempotency_key": f"till-{when}-{number}".replace(" ", "-"),
            "amount": str(chance.randrange(1_000, 90_000)),
            "currency": "UGX",
            "msisdn": f"25678{chance.randrange(10**7):07d}",
        }
        walks.append(
            walk(made, house, lambda one: client.xadd("momo:jobs", {"job": json.dumps(one)}), job, "requesttopay")
        )
    walks = walks[_WARM_UP:]
    whole_ms = [(one.arrived - one.began) * 1000 for one in walks]
    row = [when, len(walks), f"{statistics.median(whole_ms):.0f}", f"{p95(whole_ms):.0f}", f"{max(whole_ms):.0f}"]
    say(f"till: {row}")
    return row


def sent(house: House) -> int:
    """How many rows of the run have left."""
    with house.parts.ledger.read() as tx:
        run = runs.live(tx, "default", NAME)
        if run is None:
            raise BenchError("the run is gone")
        release = run_release.release_of(tx, run.id)
        standing = run_release.standing_of(tx, run.id, release.fed_to if release else 0)
    return standing.payments - standing.unsent


def measure(options: argparse.Namespace) -> Table:
    """Signing, the till alone, and the till beside the run."""
    table = Table(
        f"A customer at the till beside a run of {options.rows:,} rows",
        f"{options.jobs} collections through the stream, one at a time, seed {options.seed}, ledger {options.ledger}, default pace, one pump "
        "and one worker.",
        ("when", "payments", "enqueue to POST, ms: median", "95th percentile", "slowest"),
    )
    with ExitStack() as ends:
        server = ends.enter_context(maybe_postgres(options.ledger))
        made = ends.enter_context(stage(options.ledger, seed=options.seed, server=server))
        took = signed_run(made, options.rows)
        made.start_ours()
        house = ends.enter_context(house_of(made))
        client = ends.enter_context(made.valkey.client())
        table.rows.append(till(made, house, client, options, when="alone"))
        run_to_end([*momo(), "run", "release", NAME, "--by", "boss"], made.environ)
        made.wait_until(lambda: sent(house) > 0, "the run's first row")
        began, before = time.monotonic(), sent(house)
        table.rows.append(till(made, house, client, options, when="beside the run"))
        rate = (sent(house) - before) / (time.monotonic() - began)
        if rate <= 0:
            raise BenchError("the run stood still, so nothing was beside the till")
        table.notes.append(f"Meanwhile {rate:.1f} rows of the run left each second.")
    commands = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in took[3:])
    table.notes.append(f"The run's commands, from the start of their process to its end: {commands}.")
    return table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--ledger", choices=(SQLITE, POSTGRESQL), default=SQLITE)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
