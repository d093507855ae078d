"""The short chaos: everything real, killed at every named point and at random, its servers broken; then the books of all parties are compared. `make chaos` is the long one."""

import random
from pathlib import Path

import pytest
from tests.support.chaos_points import POINTS
from tests.support.chaos_run import run
from tests.support.chaos_stage import Plan
from tests.support.chaos_up import UP, UP_KILLED

#: The worst place to sleep at: its POST leaves when others have long looked the payment up.
SLEEP = "permitted, before the first byte"

pytestmark = pytest.mark.chaos

#: What other tests don't break under the whole corridor; each database gets half of it.
DISASTERS = {
    "sqlite": ("the ledger's disk full", "TCP reset of every connection", "one worker stopped"),
    "postgresql": ("PostgreSQL shut down at once", "Redis killed, its data lost"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", DISASTERS)
def test_killed_at_every_named_point_no_payment_is_made_twice_and_each_job_is_answered(
    database: str, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    plan = Plan(
        name=f"short-{database}",
        database=database,
        seed=seed,
        kills=len(POINTS),
        workers=2,
        pumps=2,
        rate=6.0,
        again_seconds=15.0,
        sleeps_at=(SLEEP,),
        disasters=DISASTERS[database],
        # Who dies at a point is armed with the next one at once; chance has its share all the same.
        pause_seconds=2.5,
        calm_seconds_max=8.0,
        recovery_seconds_max=20.0,
        minutes_max=5.0,
    )
    books = run(plan, tmp_path, print)
    assert books.breaches == []
    assert books.resends > 0, "nothing had to be sent again: it wasn't bad enough"
    assert books.leases_over > 0, "nobody died with a claim in hand: it wasn't bad enough"
    assert books.faults.total() > 0
    killed_at = {how for _, how in books.kills}
    assert set(POINTS) <= killed_at
    assert books.sleeps["worker", SLEEP] > 0


@pytest.mark.timeout(600)
def test_momo_up_is_killed_and_its_parts_at_random_and_no_payment_is_made_twice(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    plan = Plan(
        name="short-up",
        database="sqlite",
        seed=seed,
        kills=8,
        workers=2,
        pumps=2,
        rate=6.0,
        again_seconds=15.0,
        up=True,
        every_point=False,
        disasters=(UP_KILLED,),
        calm_seconds_max=8.0,
        recovery_seconds_max=20.0,
        minutes_max=4.0,
    )
    books = run(plan, tmp_path, print)
    assert books.breaches == []
    assert books.kills[UP, UP_KILLED] == 1
    assert books.kills["worker", "at random"] + books.kills["pump", "at random"] > 0
