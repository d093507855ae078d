"""The limiter with a real server: evenly spaced over processes, never a burst, never without Redis."""

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.mtn_world import an_account
from tests.support.valkey import Valkey

from momo_worker.accounts import Pace
from momo_worker.clock import SystemClock
from momo_worker.pace import RedisSlots
from momo_worker.pacing import (
    GRANT_AGE_SECONDS_MAX,
    WAIT_MS_MAX,
    Limiter,
    NotDepartedError,
    is_loopback,
)
from momo_worker.payment.payment import Product

ROOT = Path(__file__).resolve().parents[2]
BUDGET = "https://momo|collection|5ub5cr1pt10n-key"


class StillClock:
    """Time that passes only when somebody sleeps; `oversleeps` is added to the first sleeps."""

    def __init__(self, *oversleeps: float) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self._oversleeps = list(oversleeps)

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def elapsed(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds + (self._oversleeps.pop(0) if self._oversleeps else 0)


@pytest.fixture
def limiter(redis_client: redis.Redis) -> Limiter:
    return Limiter(redis_client, SystemClock())


def test_slots_are_evenly_spaced_without_a_burst(limiter: Limiter) -> None:
    waits = [limiter.reserve(BUDGET, 105) for _ in range(15)]
    assert waits[0] == 0
    assert all(95 <= after - before <= 106 for before, after in itertools.pairwise(waits))


def test_no_slot_is_given_out_over_two_seconds_ahead(limiter: Limiter) -> None:
    waits = [limiter.reserve(BUDGET, 105) for _ in range(60)]
    assert sum(wait <= WAIT_MS_MAX for wait in waits) == 20
    assert max(waits) <= WAIT_MS_MAX + 105


def test_budgets_dont_touch_one_another(limiter: Limiter) -> None:
    assert [limiter.reserve(name, 1000) for name in ("a", "b", "c")] == [0, 0, 0]


def test_a_stored_time_too_far_ahead_is_cut_to_now(limiter: Limiter, redis_client: redis.Redis) -> None:
    limiter.reserve(BUDGET, 105)
    [key] = redis_client.keys("momo:pace:*")
    seconds, microseconds = redis_client.time()
    ahead = seconds * 1_000_000 + microseconds + 60_000_000
    redis_client.set(key, ahead)  # as after Redis's clock went back by a minute
    assert 90 <= limiter.reserve(BUDGET, 105) <= 105
    assert 190 <= limiter.reserve(BUDGET, 105) <= 210


def test_a_long_distance_between_calls_is_kept(limiter: Limiter) -> None:
    assert limiter.reserve(BUDGET, 60_000) == 0
    assert 55_000 < limiter.reserve(BUDGET, 60_000) <= 60_000


def test_slowing_holds_everyone_for_the_time_named_and_a_shorter_word_does_not_shorten_it(limiter: Limiter) -> None:
    limiter.slow(BUDGET, 30)
    limiter.slow(BUDGET, 1)
    assert 25_000 < limiter.reserve(BUDGET, 105) <= 30_000
    with pytest.raises(NotDepartedError, match="no slot within 2 s"):
        limiter.wait_for_slot(BUDGET, 105)
    assert limiter.reserve("another", 105) == 0


def test_after_a_short_slowing_slots_come_evenly_again(limiter: Limiter) -> None:
    limiter.slow(BUDGET, 0.5)
    waits = [limiter.reserve(BUDGET, 100) for _ in range(4)]
    assert 450 <= waits[0] <= 501
    assert all(90 <= after - before <= 101 for before, after in itertools.pairwise(waits))


def test_no_subscription_key_stands_in_redis(limiter: Limiter, redis_client: redis.Redis) -> None:
    limiter.reserve(BUDGET, 105)
    limiter.slow(BUDGET, 10)
    names = redis_client.keys("*")
    assert len(names) == 2
    assert not any("5ub5cr1pt10n" in name for name in names)
    assert all(redis_client.pttl(name) > 0 for name in names)


def test_a_grant_that_came_too_late_is_asked_for_again(redis_client: redis.Redis) -> None:
    clock = StillClock(GRANT_AGE_SECONDS_MAX + 0.01, 0.0)
    Limiter(redis_client, clock).wait_for_slot(BUDGET, 200)
    assert len(clock.slept) == 2
    assert clock.slept[1] > 0.1  # the second slot, since the first was let go by


def test_grants_that_always_come_too_late_end_in_no_departure(redis_client: redis.Redis) -> None:
    clock = StillClock(*[0.5] * 20)
    with pytest.raises(NotDepartedError, match="no slot"):
        Limiter(redis_client, clock).wait_for_slot(BUDGET, 105)
    assert clock.now < 1_004


def test_without_redis_nothing_departs(valkey: Valkey) -> None:
    client = redis.Redis(port=valkey.port, socket_timeout=0.3, socket_connect_timeout=0.3, retry=Retry(NoBackoff(), 0))
    limiter = Limiter(client, SystemClock())
    limiter.wait_for_slot(BUDGET, 1)
    valkey.freeze()
    with pytest.raises(NotDepartedError, match="Redis"):
        limiter.wait_for_slot(BUDGET, 1)
    valkey.resume()
    limiter.wait_for_slot(BUDGET, 1)
    valkey.kill()
    with pytest.raises(NotDepartedError, match="Redis"):
        limiter.wait_for_slot(BUDGET, 1)
    client.close()


def test_a_server_that_forgot_the_script_is_told_again(limiter: Limiter, redis_client: redis.Redis) -> None:
    limiter.reserve(BUDGET, 105)
    redis_client.script_flush()
    redis_client.flushall()
    assert limiter.reserve(BUDGET, 105) == 0


@pytest.fixture
def runners(redis_url: str) -> Iterator[list[subprocess.Popen[str]]]:
    # Twelve threads want to leave at once; nobody but the limiter keeps them apart.
    command = [sys.executable, "-m", "tests.support.pace_runner", redis_url, "3", "4", "105"]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    yield running
    for process in running:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_four_processes_together_never_leave_an_eleventh_time_in_any_second(
    runners: list[subprocess.Popen[str]],
) -> None:
    left: list[float] = []
    for process in runners:
        assert process.stdout is not None
        left += json.loads(process.stdout.readline())
    left.sort()
    assert len(left) > 25, "the budget was not used"
    peak = max(sum(start <= moment < start + 1 for moment in left) for start in left)
    assert peak <= 10


def test_threads_of_one_process_share_the_budget(limiter: Limiter) -> None:
    clock = SystemClock()
    left: list[float] = []

    def leave() -> None:
        limiter.wait_for_slot(BUDGET, 50)
        left.append(clock.elapsed())

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 8
    assert max(left) - min(left) >= 7 * 0.050 - GRANT_AGE_SECONDS_MAX


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8091", True),
        ("http://127.9.9.9", True),
        ("http://localhost:1", True),
        ("http://[::1]:8091", True),
        ("http://0.0.0.0:1", False),
        ("https://proxy.momoapi.mtn.com", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_a_check_takes_its_own_slots_and_those_of_the_looks(redis_client: redis.Redis) -> None:
    clock = StillClock()
    slots = RedisSlots(Limiter(redis_client, clock), clock)
    account = an_account(pace=Pace(look_apart_ms=105, send_apart_ms=0))
    slots.wait_to_check(account, Product.DISBURSEMENT, 500)
    slots.wait_to_check(account, Product.DISBURSEMENT, 500)
    assert clock.slept[2] > 0.4, "a check goes at its own pace"
    slots.wait(account, Product.DISBURSEMENT, look=True)
    assert clock.slept[-1] > 0.1, "the looks' slots were taken, too"
    slots.slow_checks(account, Product.DISBURSEMENT, 60)
    with pytest.raises(NotDepartedError):
        slots.wait_to_check(account, Product.DISBURSEMENT, 500)
    slots.wait(account, Product.DISBURSEMENT, look=True)
    slots.wait(account, Product.COLLECTION, look=True)
