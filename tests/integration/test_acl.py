"""Each Redis user of deploy/redis can do its job on a real server, and none can do another's."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.celery_worker import CeleryWorker, Sender
from tests.support.valkey import free_port
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.celery_settings import QUEUE_KEYS
from momo_worker.embedded import find_server

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "redis"
ROLES = ("admin", "producer", "consumer", "worker", "pump", "monitor")
INTAKE = ("momo-intake", "momo-intake\x06\x163", "momo-intake\x06\x166", "momo-intake\x06\x169")


class Server:
    """start.sh with a password for each user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log_path = folder / "server.log"
        for role in ROLES:
            # A line end, as an editor leaves it, is no part of the password.
            (folder / role).write_text(f"password-of-{role}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "sh",
                    str(DEPLOY / "start.sh"),
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                    "--dir",
                    str(self.folder),
                ],
                env={"PATH": f"{find_server().parent}:{os.environ['PATH']}", "MOMO_REDIS_PASSWORDS": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._ready, within_seconds=PATIENCE_SECONDS, otherwise=self.log_path.read_text)

    def _ready(self) -> bool:
        with self.client("monitor") as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def url(self, role: str) -> str:
        return f"redis://{role}:password-of-{role}@127.0.0.1:{self.port}/0"

    def client(self, role: str) -> redis.Redis:
        return redis.Redis.from_url(
            self.url(role), decode_responses=True, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("acl"))
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def clients(server: Server) -> Iterator[dict[str, redis.Redis]]:
    """One a user, on an empty database with the streams and lists as a running system has them."""
    found = {role: server.client(role) for role in ROLES}
    admin = found["admin"]
    admin.flushall()
    admin.xgroup_create("momo:jobs", "momo", id="0", mkstream=True)
    admin.xadd("momo:results", {"event": "{}"})
    for key in QUEUE_KEYS:
        admin.rpush(key, "work")
    yield found
    for client in found.values():
        client.close()


def test_nobody_comes_in_without_a_name(server: Server) -> None:
    once = Retry(NoBackoff(), 0)
    with redis.Redis(port=server.port, retry=once) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_server_keeps_what_it_has_and_throws_nothing_out(clients: dict[str, redis.Redis]) -> None:
    info = clients["monitor"].info()
    assert info["aof_enabled"] == 1
    assert info["maxmemory_policy"] == "noeviction"


def test_a_server_without_a_password_for_each_user_does_not_start(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(DEPLOY / "start.sh"), "--port", str(free_port())],
        env={"PATH": f"{find_server().parent}:{os.environ['PATH']}", "MOMO_REDIS_PASSWORDS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode == 1
    assert "admin is missing or empty; write a random password into it" in done.stderr


def test_a_producer_adds_jobs_to_the_stream_and_to_celerys_lists(clients: dict[str, redis.Redis]) -> None:
    clients["producer"].xadd("momo:jobs", {"job": "{}"})
    for name in INTAKE:
        clients["producer"].lpush(name, "{}")
    assert clients["admin"].xlen("momo:jobs") == 1
    assert [clients["admin"].llen(name) for name in INTAKE] == [1, 1, 1, 1]


def a_celery_client(server: Server) -> Celery:
    """As an application has it that knows nothing of us."""
    app = Celery("shop", broker=server.url("producer"), set_as_current=False)
    app.conf.broker_transport_options = {"socket_timeout": 5}
    return app


def test_a_producers_celery_sends_by_name_with_every_priority(server: Server, clients: dict[str, redis.Redis]) -> None:
    app = a_celery_client(server)
    for priority in (0, 3, 6, 9):
        app.send_task("momo.disburse", kwargs={"amount": "1"}, queue="momo-intake", priority=priority, retry=False)
    app.close()
    assert [clients["admin"].llen(name) for name in INTAKE] == [1, 1, 1, 1]
    message = json.loads(clients["admin"].lindex("momo-intake", 0))
    assert message["headers"]["task"] == "momo.disburse"


@pytest.mark.parametrize("command", ["lpush", "llen", "sadd", "multi", "exec", "ping"])
def test_what_a_producer_may_do_is_no_more_than_celery_asks(
    server: Server, clients: dict[str, redis.Redis], command: str
) -> None:
    clients["admin"].execute_command("ACL", "SETUSER", "producer", f"-{command}", "clearselectors", *_without(command))
    app = a_celery_client(server)
    try:
        with pytest.raises(OperationalError):
            app.send_task("momo.disburse", kwargs={}, queue="momo-intake", retry=False)
    finally:
        app.close()
        clients["admin"].execute_command("ACL", "LOAD")


def _without(command: str) -> list[str]:
    """The producer's selectors as shipped, less one command."""
    line = next(line for line in (DEPLOY / "users.acl").read_text().splitlines() if line.startswith("user producer "))
    selectors = [part.split(")")[0] for part in line.split("(")[1:]]
    return [
        "(" + " ".join(word.replace('"', "") for word in text.split() if word != f"+{command}") + ")"
        for text in selectors
    ]


def test_a_consumer_reads_results_in_a_group_of_its_own(clients: dict[str, redis.Redis]) -> None:
    consumer = clients["consumer"]
    consumer.xgroup_create("momo:results", "shop", id="0")
    [[_, [(entry_id, fields)]]] = consumer.xreadgroup("shop", "one", {"momo:results": ">"})
    assert fields == {"event": "{}"}
    assert consumer.xpending("momo:results", "shop")["pending"] == 1
    consumer.xautoclaim("momo:results", "shop", "two", min_idle_time=0)
    assert consumer.xack("momo:results", "shop", entry_id) == 1
    assert len(consumer.xrange("momo:results")) == consumer.xlen("momo:results") == 1


def test_a_monitor_counts(clients: dict[str, redis.Redis]) -> None:
    monitor = clients["monitor"]
    assert monitor.xlen("momo:results") == 1
    assert [monitor.llen(key) for key in QUEUE_KEYS] == [1] * len(QUEUE_KEYS)
    assert monitor.xinfo_groups("momo:jobs")[0]["name"] == "momo"
    assert monitor.llen("momo-intake") == 0
    assert monitor.hlen("momo:work:unacked") == 0


def test_a_worker_takes_what_a_pump_sends(server: Server, clients: dict[str, redis.Redis], tmp_path: Path) -> None:
    clients["admin"].delete(*QUEUE_KEYS)
    worker = CeleryWorker(server.url("worker"), tmp_path / "worker")
    pump = Sender(server.url("pump"))
    try:
        worker.start()
        worker.runs_a_task(pump, "a", within_seconds=PATIENCE_SECONDS)
        worker.eventually(lambda: worker.names("end") == ["a"], within_seconds=PATIENCE_SECONDS)
        worker.eventually(lambda: clients["admin"].hlen("momo:work:unacked") == 0, within_seconds=PATIENCE_SECONDS)
        # The sweep for messages of dead workers locks, reads and scripts.
        worker.eventually(lambda: "NOPERM" not in worker.log() and worker.alive(), within_seconds=1)
        worker.terminate()
        worker.wait(PATIENCE_SECONDS)
        assert "NOPERM" not in worker.log()
        assert "No permissions" not in worker.log()
    finally:
        worker.stop()
        pump.close()


def test_a_worker_keeps_pace_and_token(clients: dict[str, redis.Redis]) -> None:
    worker = clients["worker"]
    script = worker.register_script("redis.call('TIME') return redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000)")
    for key in ("momo:pace:{a}", "momo:pace:{a}:slow", "momo:token:{a}", "momo:token:{a}:lock", "momo:ledger"):
        assert script(keys=[key], args=["1"])
        assert worker.get(key) == "1"


def test_a_pump_takes_jobs_writes_results_and_trims(clients: dict[str, redis.Redis]) -> None:
    pump = clients["pump"]
    clients["producer"].xadd("momo:jobs", {"job": "{}"})
    clients["producer"].lpush(INTAKE[2], "{}")
    move = pump.register_script(
        "local taken = redis.call('RPOP', KEYS[1]) return redis.call('XADD', KEYS[2], '*', 'job', taken)"
    )
    assert move(keys=[INTAKE[2], "momo:jobs"])
    assert len(pump.xreadgroup("momo", "pump-1", {"momo:jobs": ">"})) == 1
    assert pump.xautoclaim("momo:jobs", "momo", "pump-2", min_idle_time=0)
    assert pump.xadd("momo:results", {"event": "{}"})
    assert pump.xtrim("momo:results", minid="0-1") == 0
    assert pump.lpush(QUEUE_KEYS[0], "{}") == 2
    assert pump.info()["redis_version"]


FORBIDDEN: dict[str, dict[str, Callable[[redis.Redis], Any]]] = {
    "producer": {
        "write results": lambda client: client.xadd("momo:results", {"event": "{}"}),
        "write work": lambda client: client.lpush("momo:work:bulk", "{}"),
        "make a list of the stream": lambda client: client.lpush("momo:jobs", "{}"),
        "make a stream of the list": lambda client: client.xadd("momo-intake", {"job": "{}"}),
        "read jobs": lambda client: client.xrange("momo:jobs"),
        "read results": lambda client: client.xrange("momo:results"),
        "take jobs away": lambda client: client.xdel("momo:jobs", "0-1"),
        "trim jobs by maxlen of another stream": lambda client: client.xtrim("momo:jobs", maxlen=0),
        "take from the list": lambda client: client.rpop("momo-intake"),
        "read the token": lambda client: client.get("momo:token:{a}"),
        "empty the server": lambda client: client.flushall(),
        "empty the database": lambda client: client.flushdb(),
        "read the configuration": lambda client: client.config_get("*"),
        "change the configuration": lambda client: client.config_set("appendonly", "no"),
        "run a script": lambda client: client.eval("return redis.call('XADD', 'momo:results', '*', 'a', 'b')", 0),
        "list keys": lambda client: client.keys("*"),
        "scan keys": lambda client: client.scan(),
        "listen": lambda client: client.execute_command("SUBSCRIBE", "x"),
        "watch everybody": lambda client: client.execute_command("MONITOR"),
        "change users": lambda client: client.acl_setuser("producer", enabled=True, commands=["+@all"]),
        "stop the server": lambda client: client.execute_command("SHUTDOWN"),
        "throw others out": lambda client: client.execute_command("CLIENT", "KILL", "TYPE", "normal"),
        "delete": lambda client: client.delete("momo:jobs"),
        "rename": lambda client: client.rename("momo:jobs", "momo:results"),
        "make a group": lambda client: client.xgroup_create("momo:jobs", "mine"),
    },
    "consumer": {
        "write results": lambda client: client.xadd("momo:results", {"event": "{}"}),
        "take results away": lambda client: client.xdel("momo:results", "0-1"),
        "trim results": lambda client: client.xtrim("momo:results", maxlen=0),
        "drop another's group": lambda client: client.xgroup_destroy("momo:results", "shop"),
        "add jobs": lambda client: client.xadd("momo:jobs", {"job": "{}"}),
        "read jobs": lambda client: client.xrange("momo:jobs"),
        "write work": lambda client: client.lpush("momo:work:bulk", "{}"),
        "delete": lambda client: client.delete("momo:results"),
        "run a script": lambda client: client.eval("return 1", 0),
        "empty the server": lambda client: client.flushall(),
    },
    "worker": {
        "write results": lambda client: client.xadd("momo:results", {"event": "{}"}),
        "write results by script": lambda client: client.eval(
            "return redis.call('XADD', 'momo:results', '*', 'a', 'b')", 0
        ),
        "add jobs": lambda client: client.xadd("momo:jobs", {"job": "{}"}),
        "read jobs": lambda client: client.xrange("momo:jobs"),
        "write the producers' list": lambda client: client.lpush("momo-intake", "{}"),
        "empty the server": lambda client: client.flushall(),
        "read the configuration": lambda client: client.config_get("*"),
        "list keys": lambda client: client.keys("*"),
        "scan keys": lambda client: client.scan(),
    },
    "pump": {
        "empty the server": lambda client: client.flushall(),
        "change the configuration": lambda client: client.config_set("appendonly", "no"),
        "change users": lambda client: client.acl_setuser("pump", enabled=True, commands=["+@all"]),
        "write others' keys": lambda client: client.set("session:1", "x"),
        "list keys": lambda client: client.keys("*"),
    },
    "monitor": {
        "read results": lambda client: client.xrange("momo:results"),
        "read work": lambda client: client.lrange("momo:work:bulk", 0, -1),
        "read the token": lambda client: client.get("momo:token:{a}"),
        "write": lambda client: client.xadd("momo:jobs", {"job": "{}"}),
        "read the configuration": lambda client: client.config_get("*"),
        "run a script": lambda client: client.eval("return 1", 0),
        "empty the server": lambda client: client.flushall(),
    },
}


@pytest.mark.parametrize(("role", "deed"), [(role, deed) for role, deeds in FORBIDDEN.items() for deed in deeds])
def test_nobody_does_what_is_not_theirs(clients: dict[str, redis.Redis], role: str, deed: str) -> None:
    with pytest.raises(redis.ResponseError, match=r"(?i)permission"):
        FORBIDDEN[role][deed](clients[role])
    assert clients["admin"].xlen("momo:results") == 1
    assert clients["admin"].llen("momo:work:bulk") == 1


def test_every_role_is_tried() -> None:
    assert set(FORBIDDEN) == set(ROLES) - {"admin"}
