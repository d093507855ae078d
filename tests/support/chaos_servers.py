"""A folder and a choice come in, the servers that ours lean on go out, each to be killed, frozen, emptied, filled up and brought back; tests alone."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel
from tests.support.postgres import Postgres
from tests.support.sentinel import MASTER_NAME, SentinelSet
from tests.support.simulator import SimulatorControl, start_simulator
from tests.support.tcp_proxy import TcpProxy
from tests.support.valkey import Valkey

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_DISK_BYTES = {SQLITE: 192 * 1024 * 1024, POSTGRESQL: 1024 * 1024 * 1024}
_FAILING = 0.04
_FILLER_PIECE = b"\0" * 4096


@dataclass
class Disk:
    """A small disk of the ledger's own, where this user may mount one; else a folder, and `can_be_filled` says so."""

    folder: Path
    can_be_filled: bool

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> int:
        """Take every free byte; how many there were."""
        assert self.can_be_filled, "filling a shared disk would hurt others"
        with self._ballast.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            # In one piece, which is quick, and then what others gave back meanwhile.
            os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(self.folder).free)
            ballast.seek(0, os.SEEK_END)
            while True:
                ballast.write(_FILLER_PIECE)
        return self._ballast.stat().st_size

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def a_disk(database: str) -> Iterator[Disk]:
    folder = Path(tempfile.mkdtemp(prefix="momo-chaos-disk-"))
    folder.chmod(0o755)
    mounted = _mount(folder, _DISK_BYTES[database])
    try:
        yield Disk(folder, can_be_filled=mounted)
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True, timeout=30)
        shutil.rmtree(folder)


def _mount(folder: Path, size_bytes: int) -> bool:
    if sys.platform != "linux" or os.getuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    return done.returncode == 0


@dataclass
class Mtn:
    """The fake MTN, which keeps its record in a file through its own death."""

    data: Path
    seed: int
    settings: dict[str, Any]
    chaos: float
    faults: dict[str, int] = field(default_factory=dict)
    status_read_peaks: dict[str, int] = field(default_factory=dict)
    own_errors: int = 0
    kills: int = 0
    _control: SimulatorControl | None = None
    _port: int = 0

    @property
    def control(self) -> SimulatorControl:
        assert self._control is not None
        return self._control

    @property
    def url(self) -> str:
        return self.control.url

    def start(self) -> None:
        self._control = start_simulator(
            data=self.data, port=self._port, seed=self.seed + self.kills, settings=self.settings, chaos=self.chaos
        )
        self._port = int(self.url.rpartition(":")[2])
        if self.chaos:
            # Its moods are faults of the line; some payments fail as payments do.
            self.control.fault("fail", probability=_FAILING, code="INTERNAL_PROCESSING_ERROR")

    def kill(self) -> None:
        """kill -9. What it had counted in memory is read before."""
        self.read_counts()
        self.control.kill()
        self.control.stop()
        self.kills += 1

    def calm(self) -> None:
        """No new faults; what has begun (a late success, a late request) runs to its end."""
        self.control.clear_faults()

    def read_counts(self) -> None:
        """Once in a life: at its end."""
        record = self.control.record()
        for name, hits in record["faults"].items():
            self.faults[name] = self.faults.get(name, 0) + hits
        for name, peak in record["peak_status_reads_per_second"].items():
            self.status_read_peaks[name] = max(self.status_read_peaks.get(name, 0), peak)
        self.own_errors += record["own_errors"]

    def stop(self) -> None:
        if self._control is not None:
            self._control.stop()


class PlainRedis:
    """One Valkey behind a proxy that can cut connections."""

    def __init__(self, folder: Path) -> None:
        self.valkey = Valkey(folder / "valkey").start()
        self.proxy = TcpProxy(self.valkey.port).__enter__()
        self.url = self.proxy.url

    def client(self) -> redis.Redis:
        """As an application connects: through the proxy, no command twice."""
        return redis.Redis(
            port=self.proxy.port,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def lose_everything(self) -> None:
        shutil.rmtree(self.valkey.folder)

    def kill_connections(self) -> None:
        with self.valkey.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def stop(self) -> None:
        self.proxy.__exit__()
        self.valkey.stop()


class SentinelRedis:
    """A master, its replica and a Sentinel."""

    def __init__(self, folder: Path) -> None:
        self.servers = SentinelSet(folder / "servers")
        self.servers.start()
        self.url = self.servers.url

    def client(self) -> redis.Redis:
        options: dict[str, Any] = {"socket_timeout": 5, "socket_connect_timeout": 2, "retry": Retry(NoBackoff(), 0)}
        sentinel = Sentinel([("127.0.0.1", self.servers.sentinel_port)], sentinel_kwargs=options)
        found: redis.Redis = sentinel.master_for(MASTER_NAME, decode_responses=True, **options)
        return found

    def master(self) -> Valkey:
        with redis.Redis(port=self.servers.sentinel_port, decode_responses=True) as client:
            _, port = client.sentinel_get_master_addr_by_name(MASTER_NAME)
        return next(one for one in (self.servers.master, self.servers.replica) if one.port == int(port))

    def stop(self) -> None:
        self.servers.stop()


@dataclass
class LedgerHouse:
    """Where the ledger lies."""

    kind: str
    url: str
    disk: Disk
    postgres: Postgres | None = None

    @property
    def database(self) -> str:
        return self.url.rpartition("/")[2]


@contextmanager
def a_ledger_house(kind: str) -> Iterator[LedgerHouse]:
    with a_disk(kind) as disk:
        if kind == SQLITE:
            yield LedgerHouse(kind, f"sqlite:///{disk.folder / 'momo.db'}", disk)
            return
        server = Postgres(parent=disk.folder)
        try:
            server.start()
            with server.database() as url:
                yield LedgerHouse(kind, url, disk, server)
        finally:
            server.stop()
