"""What Prometheus and a health check see of real processes: gauges that are the ledger's truth whoever is asked, and red when something is stuck."""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.corridor import Corridor, Process, a_corridor
from tests.support.valkey import free_port

from momo_worker.payment.transitions import State

LATE_SECONDS = 3


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    environment = {"MOMO_HEALTH__LATE_SECONDS": str(LATE_SECONDS), "MOMO_HEALTH__RESULTS_LATE_SECONDS": "20"}
    with a_corridor(tmp_path_factory.mktemp("corridor"), pumps=2, workers=2, environment=environment) as running:
        yield running


def gauges(process: Process, name: str) -> dict[tuple[str, ...], float]:
    """A gauge's figures by its labels' values, in the order of the labels' names."""
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(process.metrics()):
        if family.name == name:
            found |= {_values(sample.labels): sample.value for sample in family.samples}
    return found


def _values(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels[name] for name in sorted(labels))


def counted(corridor: Corridor, name: str, **labels: str) -> float:
    """A counter over all processes, as Prometheus would sum it."""
    return sum(
        sample.value
        for process in corridor.processes
        for family in text_string_to_metric_families(process.metrics())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@contextmanager
def ten_taken_ports() -> Iterator[int]:
    """Ten ports in a row that the test holds itself; gives the first."""
    for _ in range(50):
        with ExitStack() as stack:
            first = free_port()
            try:
                for port in range(first, first + 10):
                    held = stack.enter_context(socket.socket())
                    held.bind(("0.0.0.0", port))
                    held.listen()
            except (OSError, OverflowError):
                continue
            yield first
            return
    raise AssertionError("no ten free ports in a row on this machine")


def test_gauges_are_the_ledgers_truth_in_every_process(corridor: Corridor) -> None:
    simulator = corridor.simulator
    simulator.fault("fail", msisdn="256772600001", code="PAYEE_NOT_FOUND")
    simulator.fault("wrong_amount", msisdn="256772600002")
    simulator.fault("stuck_pending", msisdn="256772600003")
    keys = [f"seen-{at}" for at in range(12)]
    for at, key in enumerate(keys):
        corridor.xadd(idempotency_key=key, msisdn=f"2567726{at:05d}", amount=str(1000 + at))
    corridor.ends(*(key for key in keys if key != "seen-3"))
    corridor.comes_to("seen-3", State.PENDING)
    corridor.consumer_agrees()
    corridor.until(lambda: corridor.count("SELECT count(*) FROM outbox WHERE published_at_ms IS NULL") == 0)
    ours = Counter(payment.state.value for payment in corridor.payments().values())
    assert ours == {"successful": 9, "failed": 1, "held": 1, "pending": 1}
    for process in corridor.processes:
        seen = gauges(process, "momo_payments")
        assert {state: int(count) for (_, state), count in seen.items() if count} == ours
        assert {state for _, state in seen} == {state.value for state in State}
        assert gauges(process, "momo_payments_amount")["UGX", "pending"] == 1003
        assert gauges(process, "momo_held") == {("mismatch",): 1}
        assert gauges(process, "momo_outbox_events") == {(): 0}
        assert gauges(process, "momo_payments_oldest_age_seconds")["UGX", "pending"] < 600
    assert counted(corridor, "momo_jobs_accepted_total", door="stream") == 12
    assert counted(corridor, "momo_transitions_total", after="successful", trigger="found_successful") == 9
    assert counted(corridor, "momo_mtn_call_seconds_count", kind="send") == 12


def test_all_processes_are_healthy_while_work_moves(corridor: Corridor) -> None:
    assert [process.health() for process in corridor.processes] == [(200, [])] * 4


def test_a_taken_port_stops_nothing_and_the_next_one_is_taken(corridor: Corridor) -> None:
    taken = corridor.pumps[0].port()
    third = Process("pump-3", ["pump"], {**corridor.environment, "MOMO_METRICS_PORT": str(taken)}, corridor.folder)
    try:
        third.start()
        assert taken < third.port() < taken + 10
        assert third.health() == (200, [])
    finally:
        third.kill()
    assert corridor.pumps[0].health() == (200, [])


def test_due_work_that_no_worker_takes_turns_health_red_although_jobs_come_in(corridor: Corridor) -> None:
    """The pumps take in a new job each moment, and that is no movement: what was taken in first still waits."""
    pump = corridor.pumps[0]
    for worker in corridor.workers:
        worker.kill()
    corridor.xadd(idempotency_key="stuck-0", operation="deposit")
    count = 0

    def red() -> bool:
        nonlocal count
        count += 1
        corridor.xadd(idempotency_key=f"stuck-{count}", operation="deposit", msisdn=f"2567727{count:05d}")
        status, reasons = pump.health()
        return status == 503 and any("send" in reason and "nothing moves" in reason for reason in reasons)

    corridor.until(red, within_seconds=60)
    assert corridor.comes_to("stuck-0", State.ACCEPTED)
    lag = gauges(pump, "momo_due_lag_seconds")["default", "disbursement", "a_interactive", "send"]
    assert lag > LATE_SECONDS


def test_a_pause_is_no_trouble_and_health_is_green_under_it(corridor: Corridor) -> None:
    """The same payments wait, and now they are meant to; looks of what MTN has are stuck all the same, so they are done first."""
    assert corridor.momo("pause", "--reason", "the float is low").returncode == 0
    for worker in corridor.workers:
        worker.start()
    corridor.until(lambda: [process.health() for process in corridor.processes] == [(200, [])] * 4, within_seconds=60)
    assert gauges(corridor.pumps[1], "momo_paused") == {("", "", ""): 1}
    assert corridor.comes_to("stuck-0", State.ACCEPTED)
    assert corridor.momo("resume", "--reason", "the float was filled up").returncode == 0
    waiting = [key for key in corridor.payments() if re.match(r"stuck-\d+$", key)]
    corridor.ends(*waiting)
    corridor.until(lambda: [process.health() for process in corridor.processes] == [(200, [])] * 4, within_seconds=60)


def test_a_pump_that_finds_all_ten_ports_taken_works_on_without_metrics(corridor: Corridor) -> None:
    with ten_taken_ports() as first:
        lonely = Process("pump-4", ["pump"], {**corridor.environment, "MOMO_METRICS_PORT": str(first)}, corridor.folder)
        try:
            lonely.start()
            corridor.until(lambda: "no free port for metrics" in lonely.log() and '"pump started"' in lonely.log())
            assert lonely.terminate() == 0
        finally:
            lonely.kill()


def test_the_books_agree_after_all_of_it(corridor: Corridor) -> None:
    theirs = corridor.simulator.movements()
    assert theirs["doubles"] == {"references": {}, "external_ids": {}}
    held = corridor.payment("seen-2")
    assert held is not None
    successful = sum(payment.state is State.SUCCESSFUL for payment in corridor.payments().values())
    # MTN moved the one that it shows with another amount, too: that is why it lies on a desk.
    assert len(theirs["movements"]) == successful + 1
