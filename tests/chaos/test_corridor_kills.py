"""Payments under a fake MTN that goes wrong by chance, while workers and pumps are killed with kill -9, and one sleeps through its lease. None is made twice."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.corridor import Corridor, Process, a_corridor, a_job

from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import FINAL_STATES, State

#: As a supervisor's journal may show it: killed, or ended by its own watchdog.
KILLED, WATCHDOG = -9, 70
#: Chance of each of the thirty kinds of fault at each request that it fits.
CHAOS = 0.03
SLEEP_SECONDS = 9.0  # over the lease of seven


@pytest.fixture(params=[("sqlite", 300, 15), ("postgresql", 90, 6)], ids=["sqlite", "postgresql"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Corridor, int, int, int]]:
    database, payments, kills = request.param
    seed = random.SystemRandom().randrange(1_000_000)
    url = request.getfixturevalue("postgres_ledger_url") if database == "postgresql" else None
    folder = tmp_path_factory.mktemp("corridor")
    environment = {"MOMO_JOBS__TAKE_OVER_SECONDS": "4"}
    # A desk whose payment's handling ended the process is no end here: MTN's word moves it on, and it is asked soon.
    rules = {"VANISHED_PAUSE_COUNT": "1000", "VANISHED_AFTER_MINUTES": "0.5"}
    with a_corridor(
        folder, ledger_url=url, pumps=2, workers=2, seed=seed, rules=rules, environment=environment
    ) as corridor:
        yield corridor, payments, kills, seed


class Killer(threading.Thread):
    """Ends processes by chance and starts them again at once, as a supervisor does; puts one worker to sleep half-way."""

    def __init__(self, corridor: Corridor, kills: int, chance: random.Random) -> None:
        super().__init__(name="killer")
        self.corridor, self.kills, self.chance = corridor, kills, chance
        self.killed: Counter[str] = Counter()
        self.codes: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        sleeper = self.chance.choice(self.corridor.workers)
        for number in range(self.kills):
            self.over.wait(self.chance.uniform(0.3, 1.8))
            if number == self.kills // 2:
                self._sleep_through_a_lease(sleeper)
            victim = self.chance.choice(self.corridor.processes)
            victim.kill()
            self.killed[victim.name] += 1
            self.supervise()
        while not self.over.wait(0.5):
            self.supervise()

    def _sleep_through_a_lease(self, sleeper: Process) -> None:
        sleeper.freeze()
        # The sleep is what is tested, and so it is slept.
        self.over.wait(SLEEP_SECONDS)
        sleeper.resume()

    def supervise(self) -> None:
        for process in self.corridor.processes:
            code = process.ended()
            if code is not None:
                self.codes.append(code)
                process.start()


def jobs_of(number: int, chance: random.Random) -> list[dict[str, Any]]:
    """Payments of every kind but refunds, some to one number, some in each lane."""
    return [
        a_job(
            idempotency_key=f"chaos-{at}",
            operation=chance.choice(["collect", "disburse", "disburse", "deposit"]),
            amount=str(chance.randrange(500, 90_000)),
            msisdn=f"2567724{chance.randrange(number // 2):05d}",
            lane=chance.choice(["interactive", "bulk"]),
        )
        for at in range(number)
    ]


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_no_payment_is_made_twice_and_each_ends_or_lies_on_a_desk(scene: tuple[Corridor, int, int, int]) -> None:
    corridor, number, kills, seed = scene
    print(f"seed {seed}")
    chance = random.Random(seed)
    corridor.simulator.chaos(CHAOS)
    killer = Killer(corridor, kills, random.Random(seed + 1))
    killer.start()
    try:
        for job in jobs_of(number, chance):
            corridor.xadd_many([job])
            # They come in while the kills go on, and nobody waits for anything by this.
            time.sleep(chance.expovariate(number / 15))
        corridor.until(lambda: killed_all(killer, kills), within_seconds=120)
        corridor.until(lambda: len(corridor.payments()) == number, within_seconds=60)
        corridor.until(lambda: settled(corridor, number), within_seconds=150)
    finally:
        killer.over.set()
        killer.join()
    assert set(killer.codes) <= {KILLED, WATCHDOG}
    nothing_twice(corridor)
    it_was_bad_enough(corridor)
    corridor.consumer_agrees()
    assert corridor.consumer.rejected == {}
    record = corridor.simulator.record()
    assert record["own_errors"] == 0
    states = Counter(payment.state.value for payment in corridor.payments().values())
    over = corridor.count("SELECT count(*) FROM transition WHERE trigger = 'lease_over'")
    print(
        f"seed {seed}: {dict(states)}, {over} leases ended wordless, killed {dict(killer.killed)}, faults {sum(record['faults'].values())}"
    )


def killed_all(killer: Killer, kills: int) -> bool:
    return sum(killer.killed.values()) == kills


def settled(corridor: Corridor, number: int) -> bool:
    """Each is final, or on a desk with nothing at MTN that would move it on."""
    moved = {one["reference"] for one in corridor.simulator.movements()["movements"]}
    found = corridor.payments().values()
    return len(found) == number and all(_at_rest(payment, moved) for payment in found)


def _at_rest(payment: Payment, moved: set[str]) -> bool:
    if payment.state is State.HELD:
        return payment.reference_id not in moved
    return payment.state in FINAL_STATES


def nothing_twice(corridor: Corridor) -> None:
    corridor.books_agree()
    assert corridor.count("SELECT count(*) FROM transition WHERE trigger = 'contradiction'") == 0
    # One reference each: what was sent again was sent under the same.
    references = corridor.count("SELECT count(DISTINCT reference_id) FROM attempt")
    assert references == corridor.count("SELECT count(DISTINCT payment_id) FROM attempt")


def it_was_bad_enough(corridor: Corridor) -> None:
    """Answers were lost or workers died with claims in their hands, and what hadn't arrived was sent again."""
    for triggers in ("'send_unknown', 'lease_over'", "'resent'"):
        assert corridor.count(f"SELECT count(*) FROM transition WHERE trigger IN ({triggers})") > 0, triggers
