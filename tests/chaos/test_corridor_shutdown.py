"""A deployment in the middle of the work: SIGTERM to every worker and pump, others started in their place. Nothing is lost and each exits 0."""

import time
from collections.abc import Iterator

import pytest
from tests.support.corridor import Corridor, a_corridor, a_job

from momo_worker.payment.transitions import State

pytestmark = pytest.mark.chaos

#: A call's deadline, here three seconds, and what stopping costs on a busy machine; the soft shutdown's own limit is sixty.
SOON_SECONDS = 25.0


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    settings = {"settle_seconds_min": 0.2, "settle_seconds_max": 3.0}
    environment = {"MOMO_PACE__SEND_APART_MS": "60"}
    folder = tmp_path_factory.mktemp("corridor")
    with a_corridor(folder, pumps=2, workers=2, settings=settings, environment=environment) as running:
        yield running


def in_the_middle(corridor: Corridor, name: str, number: int = 60) -> list[str]:
    """Jobs of which some have left and some haven't, and some answers are two seconds late."""
    # Python itself dies of a signal that comes while it is still starting; what is told to end here has begun.
    assert all(process.port() for process in corridor.processes)
    corridor.simulator.fault("slow_answer", method="POST", seconds=2, probability=0.2)
    keys = [f"{name}-{at}" for at in range(number)]
    corridor.xadd_many(
        [
            a_job(idempotency_key=key, msisdn=f"2567723{at:05d}", lane="bulk" if at % 2 else "interactive")
            for at, key in enumerate(keys)
        ]
    )
    sql = f"SELECT count(*) FROM payment WHERE state <> 'accepted' AND idempotency_key LIKE '{name}-%'"
    corridor.until(lambda: corridor.count(sql) >= number // 6)
    return keys


def all_succeed(corridor: Corridor, keys: list[str]) -> None:
    assert {payment.state for payment in corridor.ends(*keys)} == {State.SUCCESSFUL}
    corridor.books_agree()
    corridor.consumer_agrees()


def test_workers_end_their_calls_record_them_and_exit_0(corridor: Corridor) -> None:
    keys = in_the_middle(corridor, "workers")
    began = time.monotonic()
    codes = [worker.terminate(within_seconds=SOON_SECONDS) for worker in corridor.workers]
    assert codes == [0, 0]
    assert time.monotonic() - began < 2 * SOON_SECONDS
    # No claim was left behind: what had begun was recorded before the end.
    assert corridor.count("SELECT count(*) FROM payment WHERE state = 'sending'") == 0
    assert corridor.count("SELECT count(*) FROM transition WHERE trigger = 'lease_over'") == 0
    for worker in corridor.workers:
        worker.start()
    all_succeed(corridor, keys)


def test_pumps_give_back_what_they_hold_and_exit_0(corridor: Corridor) -> None:
    keys = in_the_middle(corridor, "pumps")
    codes = [pump.terminate(within_seconds=SOON_SECONDS) for pump in corridor.pumps]
    assert codes == [0, 0]
    held = "SELECT count(*) FROM relay_partition WHERE lease_until_ms > 0"
    assert corridor.count(held) == 0
    for pump in corridor.pumps:
        pump.start()
    all_succeed(corridor, keys)


def test_everything_at_once_in_the_middle_of_the_work(corridor: Corridor) -> None:
    keys = in_the_middle(corridor, "all")
    for process in corridor.processes:
        process.ask_to_end()
    # Asked once: a second signal may meet an interpreter that has handed its handlers back, and then says -15.
    assert [process.exit_code(within_seconds=SOON_SECONDS) for process in corridor.processes] == [0] * 4
    for process in corridor.processes:
        process.start()
    all_succeed(corridor, keys)
    assert [name for name, said in corridor.output().items() if "Traceback" in said] == []
