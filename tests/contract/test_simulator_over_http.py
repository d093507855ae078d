"""The fake MTN as a client meets it: real HTTP, connections that break, callbacks that arrive, a process that is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.support.simulator import (
    SANDBOX_COLLECTION,
    UGANDA_DISBURSEMENT,
    MtnCaller,
    SimulatorControl,
    a_body,
    running_simulator,
    start_simulator,
    wait_for_status,
)
from tests.support.waiting import PATIENCE_SECONDS, eventually


@pytest.fixture
def caller(simulator: SimulatorControl) -> Iterator[MtnCaller]:
    one = MtnCaller(simulator.url, UGANDA_DISBURSEMENT).log_in()
    yield one
    one.close()


def a_reference() -> str:
    return str(uuid.uuid4())


def a_transfer(**changes: Any) -> dict[str, Any]:
    return a_body("transfer", UGANDA_DISBURSEMENT, **changes)


def test_a_transfer_over_http_ends_and_is_in_the_record(simulator: SimulatorControl, caller: MtnCaller) -> None:
    reference = a_reference()
    accepted = caller.post("transfer", reference, a_transfer())
    assert (accepted.status_code, accepted.content) == (202, b"")
    assert wait_for_status(caller, "transfer", reference)["status"] == "SUCCESSFUL"
    movements = simulator.movements()
    assert movements["totals"] == [
        {"account": "uganda", "operation": "transfer", "currency": "UGX", "count": 1, "amount": "1000"}
    ]
    assert movements["by_reference"] == {reference: 1}
    record = simulator.record()
    assert record["token_requests"] == {"uganda/disbursement": 1}
    assert record["requests"]["POST transfer"] == {"202": 1}


def test_the_connection_stays_open_between_requests(caller: MtnCaller) -> None:
    caller.get("account/balance")
    adapter = caller.session.get_adapter(caller.url)
    for _ in range(5):
        caller.get("account/balance")
    (pool,) = (adapter.poolmanager.pools.get(key) for key in adapter.poolmanager.pools.keys())  # noqa: SIM118 - not a dict
    assert pool.num_connections == 1


def test_two_racing_posts_of_one_reference_are_one_payment(simulator: SimulatorControl) -> None:
    callers = [MtnCaller(simulator.url, UGANDA_DISBURSEMENT).log_in() for _ in range(8)]
    reference, together = a_reference(), threading.Barrier(len(callers))

    def race(one: MtnCaller) -> int:
        together.wait(10)
        return one.post("transfer", reference, a_transfer()).status_code

    with ThreadPoolExecutor(len(callers)) as pool:
        answers = sorted(pool.map(race, callers))
    assert answers == [202] + [409] * 7
    wait_for_status(callers[0], "transfer", reference)
    assert simulator.movements()["count"] == 1
    for one in callers:
        one.close()


@pytest.mark.parametrize(("fault", "moved"), [("lost_before_creation", 0), ("lost_after_creation", 1)])
def test_a_lost_answer_looks_the_same_whether_money_moves_or_not(
    simulator: SimulatorControl, caller: MtnCaller, fault: str, moved: int
) -> None:
    simulator.fault(fault, count=1, method="POST", operation="transfer")
    reference = a_reference()
    with pytest.raises(requests.ConnectionError):
        caller.post("transfer", reference, a_transfer())
    if moved:
        wait_for_status(caller, "transfer", reference)
    else:
        assert caller.get(f"transfer/{reference}").status_code == 404
    assert simulator.movements()["count"] == moved


def test_an_answer_can_break_off_in_the_middle(simulator: SimulatorControl, caller: MtnCaller) -> None:
    simulator.fault("halfway_answer", count=1)
    with pytest.raises(requests.RequestException):
        caller.get("account/balance")
    assert caller.get("account/balance").status_code == 200


def test_a_slow_answer_is_slow_and_holds_nobody_else_up(simulator: SimulatorControl, caller: MtnCaller) -> None:
    reference = a_reference()
    simulator.fault("slow_answer", count=1, seconds=20, reference=reference)
    with pytest.raises(requests.ReadTimeout):
        caller.post("transfer", reference, a_transfer(), timeout=0.3)
    assert wait_for_status(caller, "transfer", reference)["status"] == "SUCCESSFUL"


def test_a_token_request_needs_a_length_even_over_http(simulator: SimulatorControl, caller: MtnCaller) -> None:
    chunked = caller.ask_token(data=iter([b""]))
    assert (chunked.status_code, chunked.headers["Content-Type"]) == (411, "text/html")
    form = caller.ask_token(data={"grant_type": "client_credentials"})
    assert form.status_code == 200
    assert "Request Rejected" in form.text


def test_a_sandbox_collection_and_a_market_transfer_live_side_by_side(
    simulator: SimulatorControl, caller: MtnCaller
) -> None:
    sandbox = MtnCaller(simulator.url, SANDBOX_COLLECTION).log_in()
    body = a_body("requesttopay", SANDBOX_COLLECTION, amount="5.00", number="46733123451")
    reference = a_reference()
    assert sandbox.post("requesttopay", reference, body).status_code == 202
    assert wait_for_status(sandbox, "requesttopay", reference)["reason"] == "APPROVAL_REJECTED"
    assert caller.get(f"transfer/{reference}").status_code == 404
    sandbox.close()


class _Receiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ReceiverHandler)
        self.received: list[tuple[str, str, dict[str, Any]]] = []


class _ReceiverHandler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.command, self.path, json.loads(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Quiet: the test looks at what was received."""


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    with _Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def test_callbacks_arrive_on_loopback(simulator: SimulatorControl, caller: MtnCaller, receiver: _Receiver) -> None:
    url = f"http://localhost:{receiver.server_port}/callback/secret"
    simulator.fault("callback_twice", count=1, seconds=0.05)
    assert caller.post("transfer", a_reference(), a_transfer(), headers={"X-Callback-Url": url}).status_code == 202
    assert (
        caller.post("deposit", a_reference(), a_transfer(), version="v2_0", headers={"X-Callback-Url": url}).status_code
        == 202
    )
    eventually(
        lambda: len(receiver.received) == 3, within_seconds=PATIENCE_SECONDS, otherwise=lambda: str(receiver.received)
    )
    assert sorted(method for method, _, _ in receiver.received) == ["POST", "POST", "PUT"]
    assert {path for _, path, _ in receiver.received} == {"/callback/secret"}
    assert {body["status"] for _, _, body in receiver.received} == {"SUCCESSFUL"}
    eventually(
        lambda: simulator.record()["callbacks"] == {"delivered: POST 200": 2, "delivered: PUT 200": 1},
        within_seconds=PATIENCE_SECONDS,
    )


def test_a_callback_to_another_host_never_leaves(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    with running_simulator(settings={"settle_seconds_max": 0.02, "settle_seconds_min": 0.0}) as first:
        known = first.call("GET", "about")["accounts"]
    for account in known:
        for user in account["api_users"]:
            user["callback_host"] = "momo.example"
    accounts.write_text(json.dumps(known))
    with running_simulator(
        accounts=accounts, settings={"settle_seconds_max": 0.02, "settle_seconds_min": 0.0}
    ) as control:
        caller = MtnCaller(control.url, UGANDA_DISBURSEMENT).log_in()
        headers = {"X-Callback-Url": "http://momo.example/callback"}
        assert caller.post("transfer", a_reference(), a_transfer(), headers=headers).status_code == 202
        eventually(
            lambda: control.record()["callbacks"] == {"not delivered: not loopback": 1}, within_seconds=PATIENCE_SECONDS
        )
        caller.close()


def test_what_was_accepted_and_what_moved_survive_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "simulator.db"
    slow = {"settle_seconds_min": 0.3, "settle_seconds_max": 0.6}
    first = start_simulator(data=data, settings=slow)
    caller = MtnCaller(first.url, UGANDA_DISBURSEMENT).log_in()
    references = [a_reference() for _ in range(100)]
    for reference in references:
        assert caller.post("transfer", reference, a_transfer()).status_code == 202
    eventually(lambda: first.movements()["count"], within_seconds=PATIENCE_SECONDS)
    first.kill()
    first.stop()
    with running_simulator(data=data, settings=slow) as second:
        caller.url = second.url
        assert [caller.post("transfer", one, a_transfer()).status_code for one in references] == [409] * 100
        for reference in references:
            assert wait_for_status(caller, "transfer", reference)["status"] == "SUCCESSFUL"
        movements = second.movements()
        assert (movements["count"], movements["doubles"]["references"]) == (100, {})
        assert movements["balances"]["uganda"]["disbursement"] == str(1_000_000_000_000 - 100 * 1000)
    caller.close()


def test_sigterm_ends_it_cleanly_even_with_a_slow_answer_open() -> None:
    control = start_simulator()
    control.fault("slow_answer", seconds=30, operation="token")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(MtnCaller(control.url, UGANDA_DISBURSEMENT).ask_token)
        eventually(lambda: control.record()["token_requests"], within_seconds=PATIENCE_SECONDS)
        os.kill(control.process.pid, signal.SIGTERM)
        assert control.process.wait(PATIENCE_SECONDS) == 0
        assert isinstance(waiting.exception(10), requests.ConnectionError)
    control.stop()


def test_the_control_door_says_what_there_is_and_refuses_what_there_is_not(simulator: SimulatorControl) -> None:
    assert requests.get(f"{simulator.url}/healthz", timeout=5).json() == {"status": "ok"}
    about = simulator.call("GET", "about")
    assert about["does_not_imitate"]
    assert {account["name"] for account in about["accounts"]} == {"sandbox", "uganda"}
    assert requests.get(f"{simulator.url}/_simulator/movement", timeout=5).status_code == 404
    for door, body in (
        ("faults", {"fault": "lost"}),
        ("settings", {"speed": 1}),
        ("balances", {"account": "nobody", "product": "x", "amount": "1"}),
    ):
        refused = requests.post(f"{simulator.url}/_simulator/{door}", json=body, timeout=5)
        assert (refused.status_code, bool(refused.json()["error"])) == (400, True)


def test_it_listens_on_loopback_only(simulator: SimulatorControl) -> None:
    port = int(simulator.url.rsplit(":", 1)[1])
    sockets = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [local.split(":")[0] for local, _, state in sockets if state == "0A" and local.endswith(f":{port:04X}")]
    assert listening == ["0100007F"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--settings", '{"speed": 1}'],
        ["--settings", "{"],
        ["--accounts", "/nowhere/accounts.json"],
        ["--data", "/nowhere/simulator.db"],
        ["--mode", "moon"],
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(wrong: list[str]) -> None:
    command = [sys.executable, "-m", "momo_worker.simulator", *wrong]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "momo simulator: error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_file_serves_one_simulator_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "simulator.db"
    with running_simulator(data=data):
        command = [sys.executable, "-m", "momo_worker.simulator", "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert (done.returncode, "one simulator at a time" in done.stderr) == (2, True)
