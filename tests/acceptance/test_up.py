"""`momo up` restarts what dies, and a payment that was in the dead worker's hands ends once."""

import os
import signal

import requests
from tests.support.command_line import Town, alive
from tests.support.waiting import PATIENCE_SECONDS, eventually


def test_a_killed_worker_is_started_again_and_its_payment_ends_once(town: Town) -> None:
    slow = {
        "fault": "slow_answer",
        "operation": "transfer",
        "external_id": "KILLED-1",
        "method": "POST",
        "count": 1,
        "seconds": 2.5,
    }
    assert requests.post(f"{town.simulator}/_simulator/faults", json=slow, timeout=10).status_code == 200
    before = town.pid_of("worker-1")
    town.momo(
        *("disburse", "--key", "killed-1", "--amount", "11", "--currency", "EUR", "--msisdn", "256772123456"),
        *("--external-id", "KILLED-1"),
    )
    eventually(lambda: created(town, "KILLED-1"), within_seconds=PATIENCE_SECONDS)

    os.kill(before, signal.SIGKILL)

    eventually(lambda: town.pid_of("worker-1") != before, within_seconds=PATIENCE_SECONDS)
    assert any(line["event"] == "a part ended and is started again" and line["code"] == -9 for line in town.log())
    shown = eventually(lambda: ended(town, "killed-1"), within_seconds=PATIENCE_SECONDS)
    assert shown["state"] == "successful"
    assert "unknown" in [row["after"] for row in shown["transitions"]]
    record = requests.get(f"{town.simulator}/_simulator/movements", timeout=10).json()
    assert [one["amount"] for one in record["movements"] if one["external_id"] == "KILLED-1"] == ["11.00"]
    assert alive(town.pid_of("worker-1"))


def created(town: Town, external_id: str) -> bool:
    """The simulator has the payment, and its answer is still on the way."""
    rows = requests.get(f"{town.simulator}/_simulator/payments", timeout=10).json()["payments"]
    return any(row["external_id"] == external_id for row in rows)


def ended(town: Town, key: str) -> dict | None:
    shown = town.momo("payment", "show", key, "--json").json
    return shown if shown["state"] in ("successful", "failed", "held") else None
