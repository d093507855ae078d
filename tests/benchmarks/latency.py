"""`python -m tests.benchmarks.latency`: from enqueue to MTN's door, through each of ours, while nothing else is to do; prints a table.

One payment at a time, at random moments, so that no loop's rhythm favours it; default settings. The arrival is the simulator's own
record of the POST, the enqueue this process's clock: the same machine's.
"""

import argparse
import json
import random
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import redis
from celery import Celery
from tests.benchmarks.inside import house_of
from tests.benchmarks.main import bench
from tests.benchmarks.measure import p95, say
from tests.benchmarks.producer import jobs
from tests.benchmarks.stage import POSTGRESQL, SQLITE, BenchError, Stage, maybe_postgres, momo, run_to_end, stage
from tests.benchmarks.tables import Table

from momo_worker.commons.message import Message
from momo_worker.ledger import views
from momo_worker.payment.payment import Work
from momo_worker.steps.intake import Entry, take_in
from momo_worker.wiring import House, hand_over

_ARRIVES_SECONDS_MAX = 20.0
_PAUSE_SECONDS = (0.02, 0.3)
_WARM_UP = 3

Job = dict[str, str]


@dataclass(frozen=True, slots=True)
class Walk:
    """One payment's moments, in seconds since 1970; `began` is just before its door was touched."""

    began: float
    accepted: float
    arrived: float


class Doors:
    """Every door as its users use it, with connections that are open already where a long-lived application has them."""

    def __init__(self, made: Stage, house: House, client: redis.Redis) -> None:
        self._made = made
        self._house = house
        self._redis = client
        self._celery = Celery(broker=made.valkey.url)
        self.all: dict[str, Callable[[Job], None]] = {
            "XADD": self.stream,
            "Celery by name": self.celery,
            "intake in the same process": self.intake,
            "`momo disburse`": self.command,
        }

    def stream(self, job: Job) -> None:
        self._redis.xadd("momo:jobs", {"job": json.dumps(job)})

    def celery(self, job: Job) -> None:
        fields = {name: value for name, value in job.items() if name != "operation"}
        self._celery.send_task("momo.disburse", kwargs=fields, queue="momo-intake")

    def intake(self, job: Job) -> None:
        entry = Entry(f"bench:{uuid.uuid4()}", json.dumps(job).encode(), "bench")
        taken = take_in(self._house.parts, [entry])
        hand_over(self._house.celery, Message(Work.SEND, interactive=True, ids=taken.released))

    def command(self, job: Job) -> None:
        words = {"key": "idempotency_key", "amount": "amount", "currency": "currency", "msisdn": "msisdn"}
        given = [word for option, name in words.items() for word in (f"--{option}", job[name])]
        run_to_end([*momo(), "disburse", *given], self._made.environ)

    def close(self) -> None:
        self._celery.close()


def walk(made: Stage, house: House, door: Callable[[Job], None], job: Job, operation: str = "transfer") -> Walk:
    """Send one payment through a door and find when it came out at MTN's."""
    began = time.time()
    door(job)
    give_up_at = time.monotonic() + _ARRIVES_SECONDS_MAX
    while True:
        posts = [post for post in made.simulator.requests(since=began) if post["operation"] == operation]
        if posts:
            break
        if time.monotonic() > give_up_at:
            raise BenchError(f"{job['idempotency_key']} never came to the simulator")
        time.sleep(0.05)
    with house.parts.ledger.read() as tx:
        (payment,) = views.find(tx, job["idempotency_key"])
    if len(posts) != 1 or posts[0]["reference"] != payment.reference_id:
        raise BenchError(f"one POST of {payment.reference_id} was expected, and there are {posts}")
    return Walk(began, payment.accepted_at_ms / 1000, posts[0]["at"])


def through(
    made: Stage, house: House, name: str, door: Callable[[Job], None], options: argparse.Namespace
) -> list[object]:
    """A row: so many payments through one door."""
    chance = random.Random(f"{options.seed} {name}")
    walks = []
    for job in jobs(options.jobs + _WARM_UP, chance.randrange(2**31)):
        time.sleep(chance.uniform(*_PAUSE_SECONDS))
        walks.append(walk(made, house, door, job))
    walks = walks[_WARM_UP:]
    whole_ms = [(one.arrived - one.began) * 1000 for one in walks]
    inside_ms = [(one.arrived - one.accepted) * 1000 for one in walks]
    pairs = [(statistics.median(values), p95(values)) for values in (whole_ms, inside_ms)]
    row = [name, len(walks), *(f"{value:.0f}" for pair in pairs for value in pair)]
    say(f"latency: {row}")
    return row


def measure(options: argparse.Namespace) -> Table:
    """All doors, one after another."""
    table = Table(
        "From enqueue to MTN's door, idle",
        f"{options.jobs} payments through each door, one at a time, seed {options.seed}, ledger {options.ledger}, default settings, one "
        "pump and one worker. The command line is measured from the start of its process.",
        (
            "door",
            "payments",
            "enqueue to POST, ms: median",
            "95th percentile",
            "acceptance to POST, ms: median",
            "95th percentile",
        ),
    )
    with ExitStack() as ends:
        server = ends.enter_context(maybe_postgres(options.ledger))
        made = ends.enter_context(stage(options.ledger, seed=options.seed, server=server))
        made.start_ours()
        house = ends.enter_context(house_of(made))
        doors = Doors(made, house, ends.enter_context(made.valkey.client()))
        ends.callback(doors.close)
        for name, door in doors.all.items():
            table.rows.append(through(made, house, name, door, options))
    return table


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--ledger", choices=(SQLITE, POSTGRESQL), default=SQLITE)


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
