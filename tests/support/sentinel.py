"""A folder comes in, a master, its replica and a Sentinel go out; one machine, one vote, for tests alone."""

import subprocess
from pathlib import Path

import redis
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.embedded import find_server

MASTER_NAME = "momo"


class SentinelSet:
    """The smallest thing that fails over."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.master = Valkey(folder / "master", options=("--repl-diskless-sync-delay", "0"))
        self.replica = Valkey(folder / "replica")
        self._folder = folder
        self._sentinel: subprocess.Popen[bytes] | None = None
        self.sentinel_port = free_port()

    def start(self) -> None:
        self.master.start()
        self.replica.start()
        with self.replica.client() as client:
            client.replicaof("127.0.0.1", self.master.port)
            eventually(
                lambda: client.info("replication")["master_link_status"] == "up", within_seconds=PATIENCE_SECONDS
            )
        self._sentinel = subprocess.Popen(
            [str(find_server()), str(self._configuration()), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        # Sentinel promotes nobody it hasn't met.
        eventually(self._knows_the_replica, within_seconds=PATIENCE_SECONDS)

    def _knows_the_replica(self) -> bool:
        with redis.Redis(port=self.sentinel_port, decode_responses=True) as client:
            try:
                return client.sentinel_master(MASTER_NAME)["num-slaves"] == 1
            except redis.ConnectionError:
                return False

    def stop(self) -> None:
        if self._sentinel is not None:
            self._sentinel.terminate()
            self._sentinel.wait(10)
        self.replica.stop()
        self.master.stop()

    @property
    def url(self) -> str:
        """A Sentinel that isn't there comes first: a set of three has lost one."""
        dead = free_port()
        return f"sentinel://127.0.0.1:{dead}/0;sentinel://127.0.0.1:{self.sentinel_port}/0?master_name={MASTER_NAME}"

    def _configuration(self) -> Path:
        path = self._folder / "sentinel.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.sentinel_port}",
            f"dir {self._folder}",
            f"sentinel monitor {MASTER_NAME} 127.0.0.1 {self.master.port} 1",
            f"sentinel down-after-milliseconds {MASTER_NAME} 1000",
            f"sentinel failover-timeout {MASTER_NAME} 5000",
        ]
        path.write_text("\n".join(lines) + "\n")
        return path
