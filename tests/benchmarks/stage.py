"""A choice of ledger and pace comes in, a whole set of real parts on free ports of 127.0.0.1 goes out, all of them ended at the end.

Every process is started in a session of its own and ended by its id, on success, failure, Ctrl-C and SIGTERM alike.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import psutil
from tests.support import postgres
from tests.support.simulator import UGANDA_COLLECTION, UGANDA_DISBURSEMENT, SimulatorControl, running_simulator
from tests.support.valkey import Valkey, free_port

ROOT = Path(__file__).resolve().parents[2]
SQLITE, POSTGRESQL = "sqlite", "postgresql"
#: No pace at all: only a simulator on 127.0.0.1 is asked like that.
PACE_LIFTED = {"MOMO_PACE__LOOK_APART_MS": "0", "MOMO_PACE__SEND_APART_MS": "0"}

_START_SECONDS_MAX = 60.0
_STOP_SECONDS_MAX = 20.0
_LOG_LINES_TOLD = 15


class BenchError(Exception):
    """A part did not start, or the figures can't be trusted; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process that was started here; `pid` is also its process group."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    #: Its door for metrics, where it has one.
    port: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def check(self) -> None:
        """Raise if it has ended by itself."""
        code = self.process.poll()
        if code is not None:
            raise BenchError(f"{self.name} ended with exit code {code}; its last lines:\n{self.tail()}")

    def alone_mb(self) -> float:
        """Resident memory of this one process, without its children."""
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_TOLD:])

    def stop(self, seconds_max: float = _STOP_SECONDS_MAX) -> None:
        """Ask it to end; whatever of it is left after that is killed, by id."""
        family = _family(self.pid)
        if self.process.poll() is None:
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds_max)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.kill()  # psutil compares the start time first: an id that was given out again is left alone
        self.process.wait(_STOP_SECONDS_MAX)


@dataclass(slots=True)
class Stage:
    """Servers that run, and the processes that are started between them."""

    home: Path
    valkey: Valkey
    simulator: SimulatorControl
    ledger: str
    database_url: str
    environ: dict[str, str]
    ends: ExitStack
    children: list[Child] = field(default_factory=list)
    started: int = 0

    def migrate(self) -> None:
        run_to_end([*momo(), "migrate"], self.environ)

    def start_worker(self) -> Child:
        return self.start("worker", [*momo(), "worker"], port=free_port_for_metrics())

    def start_pump(self) -> Child:
        return self.start("pump", [*momo(), "pump"], port=free_port_for_metrics())

    def start_ours(self, *, workers: int = 1, pumps: int = 1) -> list[Child]:
        """Pumps and workers that are ready to take work."""
        started = [self.start_pump() for _ in range(pumps)] + [self.start_worker() for _ in range(workers)]
        self.wait_until(
            lambda: self.waiting_for("brpop") >= workers and self.waiting_for("xreadgroup") >= pumps, "our processes"
        )
        return started

    def start_naive(self, pool: str, concurrency: int, environ: dict[str, str]) -> Child:
        """The naive application's worker, as its README would start it."""
        command = [sys.executable, "-m", "celery", "-A", "tests.benchmarks.naive_app", "worker", "-l", "info"]
        child = self.start("naive", [*command, "-P", pool, "-c", str(concurrency)], environ, folder=ROOT)
        self.wait_until(lambda: self.waiting_for("brpop") >= 1, "the naive worker")
        return child

    def start(
        self,
        name: str,
        command: Sequence[str],
        more: dict[str, str] | None = None,
        *,
        folder: Path | None = None,
        port: int | None = None,
    ) -> Child:
        log = self.home / f"{name}-{self.started}.log"
        self.started += 1
        door = {"MOMO_METRICS_PORT": str(port)} if port else {}
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env={**self.environ, **door, **(more or {})},
                cwd=folder or self.home,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is ours, and ends them in their order
            )
        child = Child(name, process, log, port)
        self.children.append(child)
        self.ends.callback(child.stop)
        return child

    def stop(self, *children: Child) -> None:
        for child in children:
            child.stop()
            self.children.remove(child)

    def wait_until(self, ready: Callable[[], bool], what: str, seconds_max: float = _START_SECONDS_MAX) -> None:
        give_up_at = time.monotonic() + seconds_max
        while not ready():
            for child in self.children:
                child.check()
            if time.monotonic() > give_up_at:
                tails = "\n".join(f"{child.name}:\n{child.tail()}" for child in self.children)
                raise BenchError(f"{what}: not there after {seconds_max:.0f} s\n{tails}")
            time.sleep(0.1)

    def waiting_for(self, command: str) -> int:
        """How many clients of Redis are waiting in this command: a worker that does is ready."""
        with self.valkey.client() as client:
            found: Any = client.client_list()
        return sum(1 for one in found if one["cmd"] == command)

    def totals(self) -> dict[str, Any]:
        """What moved at the simulator, by its own count, without the list of it."""
        found: dict[str, Any] = self.simulator.call("GET", "movements", params={"limit": 0})
        return found

    def trustworthy(self, payments: int) -> None:
        """Raise unless exactly so many payments moved, each once, and nothing broke."""
        totals, record = self.totals(), self.simulator.record()
        doubles = totals["doubles"]["references"] or totals["doubles"]["external_ids"]
        if totals["count"] != payments or doubles or record["own_errors"]:
            raise BenchError(f"{payments} payments, but {totals['count']} movements: {totals['doubles']}, {record}")


@contextmanager
def stage(
    ledger: str,
    *,
    seed: int,
    server: postgres.Postgres | None = None,
    settings: dict[str, str] | None = None,
    behaviour: dict[str, Any] | None = None,
) -> Iterator[Stage]:
    """A migrated ledger, a Valkey and a simulator, all empty. `server` is the PostgreSQL of a run on PostgreSQL."""
    with ExitStack() as ends:
        home = Path(tempfile.mkdtemp(prefix="momo-bench-"))
        ends.callback(shutil.rmtree, home, ignore_errors=True)
        valkey = Valkey(home / "valkey").start()
        ends.callback(valkey.stop)
        simulator = ends.enter_context(running_simulator(seed=seed, settings=behaviour or {}))
        for who in (UGANDA_COLLECTION, UGANDA_DISBURSEMENT):
            simulator.set_balance(who.account, who.product, "900000000000")
        url = ends.enter_context(server.database()) if server else f"sqlite:///{home}/momo.db"
        environ = {**_environ(home, valkey.url, simulator.url), "MOMO_DATABASE_URL": url, **(settings or {})}
        processes = ends.enter_context(ExitStack())  # ended before the servers that they speak to
        made = Stage(home, valkey, simulator, ledger, url, environ, processes)
        made.migrate()
        yield made


@contextmanager
def maybe_postgres(ledger: str) -> Iterator[postgres.Postgres | None]:
    """A PostgreSQL for the runs that need one."""
    if ledger != POSTGRESQL:
        yield None
        return
    # A test's server writes without fsync; what a commit costs is the point here, and our ledger refuses such a server.
    durable = tuple(option.replace("=off", "=on") for option in postgres.SERVER_OPTIONS)
    server = postgres.Postgres()
    with mock.patch.object(postgres, "SERVER_OPTIONS", durable):
        try:
            yield server.start()
        finally:
            server.stop()


def server_pid(server: postgres.Postgres) -> int:
    assert server._process is not None
    return server._process.pid


def momo() -> list[str]:
    return [sys.executable, "-m", "momo_worker"]


def run_to_end(command: Sequence[str], environ: dict[str, str], folder: Path = ROOT) -> str:
    """Run a command that ends by itself; its output, or BenchError."""
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port_for_metrics() -> int:
    """Settings take ports up to 65526 as the first of ten."""
    for _ in range(100):
        port = free_port()
        if port <= 65_526:
            return port
    raise BenchError("no free port below 65527")


def end_on_sigterm() -> None:
    """SIGTERM unwinds like Ctrl-C, so that children end with us."""

    def leave(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def _environ(home: Path, redis_url: str, simulator_url: str) -> dict[str, str]:
    """No setting of whoever runs this gets in."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MOMO_", "NAIVE_"))}
    ours = {
        "MOMO_HOME": str(home),
        "MOMO_CONFIG": str(ROOT / "config"),
        "MOMO_REDIS_URL": redis_url,
        "MOMO_MARKET": "uganda",
        "MOMO_BASE_URL": simulator_url,
    }
    for product, who in (("COLLECTION", UGANDA_COLLECTION), ("DISBURSEMENT", UGANDA_DISBURSEMENT)):
        ours[f"MOMO_{product}_SUBSCRIPTION_KEY"] = who.subscription_key
        ours[f"MOMO_{product}_API_USER"] = who.api_user
        ours[f"MOMO_{product}_API_KEY"] = who.api_key
    return {**plain, **ours}


def _family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []
