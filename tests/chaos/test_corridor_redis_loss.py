"""Redis is killed in the middle of the work and comes back without its data: no accepted payment and no result is lost with it."""

import shutil
import time
from collections.abc import Iterator

import pytest
from tests.support.consumer import Consumer
from tests.support.corridor import Corridor, a_corridor, a_job

from momo_worker.payment.transitions import State
from momo_worker.streams import GROUP, JOBS, LEDGER_KEY, RESULTS

pytestmark = pytest.mark.chaos

BEFORE, DURING = 40, 10


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    """Some have ended, some are at MTN, some wait for their turn when Redis goes; the same fixture serves what is asked afterwards."""
    folder = tmp_path_factory.mktemp("corridor")
    settings = {"settle_seconds_min": 0.05, "settle_seconds_max": 6.0}
    with a_corridor(
        folder, pumps=2, workers=2, settings=settings, environment={"MOMO_PACE__SEND_APART_MS": "80"}
    ) as running:
        running.xadd_many([_job(at) for at in range(BEFORE)])
        running.until(lambda: running.count("SELECT count(*) FROM payment WHERE state = 'successful'") >= 5)
        running.consumer.read()
        running.valkey.kill()
        running.until(lambda: all("a pump loop failed" in pump.log() for pump in running.pumps))
        shutil.rmtree(running.valkey.folder)
        running.valkey.start()
        yield running


def _job(at: int) -> dict[str, object]:
    return a_job(
        idempotency_key=f"lost-{at}",
        operation="collect" if at % 4 == 0 else "disburse",
        lane="bulk" if at % 2 else "interactive",
        msisdn=f"2567722{at:05d}",
        amount=str(1000 + at),
    )


def _send_again_what_nobody_answered(corridor: Corridor) -> None:
    """The producer's side of the contract: who has seen neither acceptance nor rejection sends the same job again."""
    known = corridor.consumer.read().states
    corridor.xadd_many([_job(at) for at in range(BEFORE + DURING) if f"lost-{at}" not in known])


def test_everything_ends_and_the_application_knows_of_all_of_it(corridor: Corridor) -> None:
    _send_again_what_nobody_answered(corridor)
    ended = corridor.ends(*(f"lost-{at}" for at in range(BEFORE + DURING)))
    assert {payment.state for payment in ended} == {State.SUCCESSFUL}
    corridor.books_agree()
    corridor.consumer_agrees()


def test_streams_and_groups_are_made_again(corridor: Corridor) -> None:
    assert [group["name"] for group in corridor.client.xinfo_groups(JOBS)] == [GROUP]
    assert [group["name"] for group in corridor.client.xinfo_groups(RESULTS)] == ["shop"]


def test_what_had_been_published_before_is_published_again_and_says_so(corridor: Corridor) -> None:
    """A second application, which knows nothing yet, learns every payment's whole story from the new stream alone."""
    fresh = Consumer(corridor.client, group="late")
    corridor.until(lambda: fresh.read().states == corridor.consumer.read().states)
    assert fresh.story == corridor.consumer.story
    assert fresh.replayed
    assert fresh.replayed <= set(corridor.consumer.arrived)


def test_redis_names_the_ledger_again(corridor: Corridor) -> None:
    """Else a second installation could take this Redis for its own."""
    corridor.until(lambda: corridor.client.get(LEDGER_KEY))
    assert corridor.client.get(LEDGER_KEY) == _ledger_id(corridor)


def test_a_redis_that_stands_still_for_a_while_loses_nothing_either(corridor: Corridor) -> None:
    began = time.monotonic()
    corridor.valkey.freeze()
    try:
        corridor.until(lambda: time.monotonic() > began + 8)
    finally:
        corridor.valkey.resume()
    corridor.xadd_many([{**_job(at), "idempotency_key": f"still-{at}"} for at in range(10)])
    corridor.ends(*(f"still-{at}" for at in range(10)))
    corridor.books_agree()
    corridor.consumer_agrees()
    assert [process.name for process in corridor.processes if not process.alive()] == []


def _ledger_id(corridor: Corridor) -> str:
    with corridor.ledger.read() as tx:
        return str(tx.conn.exec_driver_sql("SELECT ledger_id FROM installation").scalar_one())
