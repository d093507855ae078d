"""A worker that is alive and makes no progress: its own watchdog ends it, the supervisor of `momo up` starts it again, and its payment ends once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.corridor import Corridor, a_corridor, a_job

from momo_worker.cli.supervisor import Part, Supervisor
from momo_worker.clock import SystemClock
from momo_worker.payment.transitions import State

pytestmark = pytest.mark.chaos

#: The worst of them: MTN has it, and nobody read the answer.
POINT = "POST out, answer not read"


@pytest.fixture
def corridor(tmp_path: Path) -> Iterator[Corridor]:
    with a_corridor(tmp_path, started=False) as running:
        running.pumps[0].start()
        yield running


def test_a_worker_that_hangs_is_ended_and_started_again_and_its_payment_ends_once(corridor: Corridor) -> None:
    supervisor = Supervisor(SystemClock())
    log_path = corridor.folder / "supervised.log"
    with log_path.open("a") as log:
        command = (sys.executable, "-m", "tests.support.hanging_worker", str(corridor.folder / "marker"), POINT)
        environment = {**corridor.workers[0].environment, "PYTHONPATH": str(Path.cwd())}
        supervisor.start(Part("worker", command, environment, stop_seconds=5, output=log, logs=log))
        first_pid = supervisor.pids()["worker"]
        try:
            corridor.xadd(idempotency_key="hung", external_id="hung")
            corridor.until(lambda: supervisor.look() or supervisor.pids()["worker"] != first_pid)
            said = log_path.read_text()
            assert "This process ends now, with code 70." in said
            assert "A task has been running for" in said
            corridor.xadd(**a_job(idempotency_key="after"))
            corridor.until(lambda: supervisor.look() or all_successful(corridor, "hung", "after"), key="hung")
        finally:
            supervisor.stop()
    corridor.books_agree()
    assert len(corridor.movements("hung")) == 1


def all_successful(corridor: Corridor, *keys: str) -> bool:
    found = [corridor.payment(key) for key in keys]
    return all(payment is not None and payment.state is State.SUCCESSFUL for payment in found)
