"""`momo up` restarts what dies, workers and pumps, and a payment that was in the dead one's hands or came after ends once."""

import os
import signal
from collections import Counter
from pathlib import Path

import requests
from tests.support.command_line import Town, alive, running_town
from tests.support.waiting import PATIENCE_SECONDS, eventually

#: What a dead process held is free again soon; the answer on the way is within the deadline.
QUICK = {
    "MOMO_RULES__CALL_DEADLINE_SECONDS": "2",
    "MOMO_RULES__LEASE_SECONDS": "5",
    "MOMO_RULES__RELEASE_SECONDS": "3",
    "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": "1",
    "MOMO_RULES__FIRST_LOOK_UNKNOWN_SECONDS": "1",
}


def test_a_killed_worker_is_started_again_and_its_payment_ends_once(town: Town) -> None:
    answers_slowly(town, "KILLED-1")
    before = town.pid_of("worker-1")
    disburse(town, "killed-1")
    eventually(lambda: created(town, "KILLED-1"), within_seconds=PATIENCE_SECONDS)

    os.kill(before, signal.SIGKILL)

    eventually(lambda: town.pid_of("worker-1") != before, within_seconds=PATIENCE_SECONDS)
    assert any(line["event"] == "a part ended and is started again" and line["code"] == -9 for line in town.log())
    shown = eventually(lambda: ended(town, "killed-1"), within_seconds=PATIENCE_SECONDS)
    assert shown["state"] == "successful"
    assert "unknown" in [row["after"] for row in shown["transitions"]]
    assert moved(town, "KILLED-1") == ["11.00"]
    assert alive(town.pid_of("worker-1"))


def test_of_two_of_each_a_killed_worker_and_a_killed_pump_come_back_and_each_payment_ends_once(tmp_path: Path) -> None:
    with running_town(tmp_path, "--workers", "2", "--pumps", "2", **QUICK) as town:
        before = {part: town.pid_of(part) for part in ("pump-1", "pump-2", "worker-1", "worker-2")}
        answers_slowly(town, "DURING-1", seconds=1.5)
        disburse(town, "during-1")
        eventually(lambda: created(town, "DURING-1"), within_seconds=PATIENCE_SECONDS)

        for part in ("worker-1", "pump-1"):
            os.kill(before[part], signal.SIGKILL)
        disburse(town, "after-1")

        for part in ("worker-1", "pump-1"):
            eventually(lambda part=part: back(town, part, before[part]), within_seconds=PATIENCE_SECONDS)
        for key in ("during-1", "after-1"):
            shown = eventually(lambda key=key: ended(town, key), within_seconds=PATIENCE_SECONDS)
            assert shown["state"] == "successful"
            assert moved(town, key.upper()) == ["11.00"]
        # Once each, and they stay; the others lived on.
        starts = Counter(line["part"] for line in town.log() if line["event"] == "part started")
        assert {part: starts[part] for part in before} == {"worker-1": 2, "pump-1": 2, "worker-2": 1, "pump-2": 1}
        assert all(alive(town.pid_of(part)) for part in before)


def answers_slowly(town: Town, external_id: str, *, seconds: float = 2.5) -> None:
    """The payment is made, and its answer is on the way for long enough to kill somebody."""
    slow = {"fault": "slow_answer", "operation": "transfer", "external_id": external_id, "method": "POST"}
    door = f"{town.simulator}/_simulator/faults"
    assert requests.post(door, json={**slow, "count": 1, "seconds": seconds}, timeout=10).status_code == 200


def disburse(town: Town, key: str) -> None:
    """Eleven euros; the key in capitals is MTN's external id."""
    town.momo(
        *("disburse", "--key", key, "--amount", "11", "--currency", "EUR", "--msisdn", "256772123456"),
        *("--external-id", key.upper()),
    )


def moved(town: Town, external_id: str) -> list[str]:
    """The amounts that the simulator's own record has under it."""
    record = requests.get(f"{town.simulator}/_simulator/movements", timeout=10).json()
    return [one["amount"] for one in record["movements"] if one["external_id"] == external_id]


def back(town: Town, part: str, before: int) -> bool:
    """Started again, and it runs."""
    return town.pid_of(part) != before and alive(town.pid_of(part))


def created(town: Town, external_id: str) -> bool:
    """The simulator has the payment, and its answer is still on the way."""
    rows = requests.get(f"{town.simulator}/_simulator/payments", timeout=10).json()["payments"]
    return any(row["external_id"] == external_id for row in rows)


def ended(town: Town, key: str) -> dict | None:
    shown = town.momo("payment", "show", key, "--json").json
    return shown if shown["state"] in ("successful", "failed", "held") else None
