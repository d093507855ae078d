"""Wrong and missing settings, servers that aren't there: every answer names what is wrong and what to do, and none is a traceback."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.support.command_line import MOMO, alive, environment, momo
from tests.support.simulator import SANDBOX_COLLECTION, SANDBOX_DISBURSEMENT, SimulatorControl
from tests.support.valkey import free_port
from tests.support.waiting import eventually

PAYMENT = ["--key", "k-1", "--amount", "5", "--currency", "EUR", "--msisdn", "256772123456"]
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(scope="module")
def no_redis() -> Iterator[str]:
    """Something that listens and is no Redis."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_port}/0"
    server.shutdown()
    thread.join()
    server.server_close()


def credentials(base_url: str) -> dict[str, str]:
    found = {"MOMO_BASE_URL": base_url}
    for one in (SANDBOX_COLLECTION, SANDBOX_DISBURSEMENT):
        name = f"MOMO_{one.product.upper()}"
        found[f"{name}_SUBSCRIPTION_KEY"] = one.subscription_key
        found[f"{name}_API_USER"] = one.api_user
        found[f"{name}_API_KEY"] = one.api_key
    return found


def test_without_any_setting_each_command_says_what_to_do_next(tmp_path: Path) -> None:
    up = momo("up", home=tmp_path, MOMO_REDIS_URL=NOWHERE)
    paid = momo("disburse", *PAYMENT, home=tmp_path, MOMO_REDIS_URL=NOWHERE)
    listed = momo("payment", "list", "--json", home=tmp_path)
    doctor = momo("doctor", "--json", home=tmp_path, MOMO_REDIS_URL=NOWHERE)

    assert up.code == 2
    assert "--simulator" in up.err
    assert "momo provision" in up.err
    assert paid.code == 2
    assert "no credentials" in paid.err
    assert listed.code == 1
    assert "momo up" in listed.json["error"]
    assert doctor.code == 3
    assert all(one["next"] for one in doctor.json["findings"] if one["verdict"] in ("fail", "away"))
    assert not (tmp_path / "momo.db").exists()


@pytest.mark.parametrize("command", [["worker"], ["up"], ["payment", "list"]])
def test_a_misspelt_setting_stops_every_command_and_names_the_right_one(tmp_path: Path, command: list[str]) -> None:
    answer = momo(*command, home=tmp_path, MOMO_DATABSE_URL="sqlite:///x.db")

    assert answer.code == 2
    assert "MOMO_DATABSE_URL" in answer.err
    assert "did you mean MOMO_DATABASE_URL?" in answer.err


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("mysql://root@127.0.0.1/momo", 2, "MOMO_DATABASE_URL"),
        ("not a url", 2, "MOMO_DATABASE_URL"),
        ("postgresql://momo:se-cret-pass@127.0.0.1:1/momo", 3, "can't be reached"),
        ("sqlite:////proc/nowhere/momo.db", 3, "can't be reached"),
    ],
)
def test_a_wrong_database_is_named_and_its_password_is_not(tmp_path: Path, url: str, code: int, words: str) -> None:
    answer = momo("migrate", home=tmp_path, MOMO_DATABASE_URL=url)

    assert answer.code == code
    assert words in answer.err
    assert "se-cret-pass" not in answer.err


def test_a_redis_that_is_not_there_or_none_is_told_apart(
    tmp_path: Path, no_redis: str, simulator: SimulatorControl
) -> None:
    paying = credentials(simulator.url)
    assert momo("migrate", home=tmp_path).code == 0

    absent = momo("enqueue", "{}", home=tmp_path, MOMO_REDIS_URL=NOWHERE)
    absent_worker = momo("worker", home=tmp_path, MOMO_REDIS_URL=NOWHERE, **paying)
    other = momo("enqueue", "{}", home=tmp_path, MOMO_REDIS_URL=no_redis)
    other_pump = momo("pump", home=tmp_path, MOMO_REDIS_URL=no_redis, **paying)
    no_url = momo("enqueue", "{}", home=tmp_path, MOMO_REDIS_URL="http://127.0.0.1")

    assert (absent.code, absent_worker.code) == (3, 3)
    assert "Redis doesn't answer" in absent.err
    for answer in (other, other_pump):
        # Some servers answer in their own protocol, others close the connection at once.
        assert answer.code in (2, 3)
        assert "is no Redis" in answer.err or "is it a Redis" in answer.err
    assert no_url.code == 2
    assert "MOMO_REDIS_URL" in no_url.err


def test_provision_writes_credentials_for_their_owner_alone_and_asks_before_it_overwrites(
    tmp_path: Path, simulator: SimulatorControl
) -> None:
    settings = {"MOMO_BASE_URL": simulator.url, "MOMO_COLLECTION_SUBSCRIPTION_KEY": SANDBOX_COLLECTION.subscription_key}
    keyless = momo("provision", home=tmp_path)
    made = momo("provision", "--callback-host", "pay.example.org", "--json", home=tmp_path, **settings)
    unasked = momo("provision", "--product", "collection", home=tmp_path, **settings)
    balance = momo("balance", "--json", home=tmp_path, MOMO_BASE_URL=simulator.url)

    env = tmp_path / ".env"
    lines = dict(line.split("=", 1) for line in env.read_text().splitlines())
    assert keyless.code == 2
    assert "MOMO_COLLECTION_SUBSCRIPTION_KEY" in keyless.err
    assert made.code == 0, made
    assert made.json["api_users"]["collection"] == lines["MOMO_COLLECTION_API_USER"]
    assert lines["MOMO_COLLECTION_API_KEY"] not in made.out + made.err
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert balance.json[0]["currency"] == "EUR"


def test_init_fills_a_home_once_and_never_overwrites(tmp_path: Path) -> None:
    first = momo("init", "new", "--json", home=tmp_path)
    (tmp_path / "new" / ".env").write_text("MOMO_LOG_LEVEL=INFO\n")
    second = momo("init", "new", "--json", home=tmp_path)
    doctor = momo("doctor", "--offline", "--json", home=tmp_path / "new", MOMO_REDIS_URL=NOWHERE)

    assert first.code == 0
    assert (tmp_path / "new" / "config" / "worker.toml").is_file()
    assert stat.S_IMODE((tmp_path / "new" / ".env").stat().st_mode) == 0o600
    assert second.json["written"] == []
    assert (tmp_path / "new" / ".env").read_text() == "MOMO_LOG_LEVEL=INFO\n"
    assert "settings" in {one["about"] for one in doctor.json["findings"]}


def test_the_simulator_may_not_pay_under_real_credentials(tmp_path: Path) -> None:
    answer = momo("up", "--simulator", home=tmp_path, MOMO_COLLECTION_API_KEY="a-real-one-of-somebody")

    assert answer.code == 2
    assert "unset MOMO_COLLECTION_API_KEY" in answer.err
    assert "a-real-one" not in answer.err


def test_an_unknown_command_and_a_wrong_option_are_wrong_use(tmp_path: Path) -> None:
    assert momo("colect", home=tmp_path).code == 2
    assert momo("payment", "list", "--limit", "many", home=tmp_path).code == 2
    assert momo("--version", home=tmp_path).out.startswith("momo-worker ")


def test_help_costs_under_three_tenths_of_a_second(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert momo("--help", home=tmp_path).code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Of the processor, and not of the wall: the machine is shared, and what others do in between is not ours.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3, seconds


@pytest.mark.parametrize("words", [["payment", "--help"], ["disburse", "--help"], ["results", "--help"]])
def test_the_help_of_a_command_brings_nothing_heavy_along(tmp_path: Path, words: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "momo_worker", *words],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    assert "typer" in imported
    assert (
        imported & {"sqlalchemy", "celery", "redis", "requests", "phonenumbers", "cryptography", "prometheus_client"}
        == set()
    )


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    ports = ["--redis-port", str(free_port()), "--simulator-port", str(free_port())]
    settings = environment(tmp_path, MOMO_METRICS_PORT=str(free_port()))
    with (tmp_path / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [MOMO, "up", "--simulator", "--json", *ports],
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())["pids"]
        second = momo("up", "--simulator", *ports, home=tmp_path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()

    assert set(pids) == {"redis", "simulator", "pump-1", "worker-1"}
    assert second.code == 1
    assert f"as process {process.pid}" in second.err
    eventually(lambda: not any(map(alive, pids.values())), within_seconds=30, otherwise=lambda: str(pids))
