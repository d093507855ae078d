"""Nothing comes in, an empty migrated ledger for each life goes out: a file that is copied, or a database made from a template. Gone after its life."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy.exc import OperationalError
from tests.support.ledger_world import HandClock
from tests.support.postgres import Postgres

from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.migrate import migrate

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

DATABASES = ("sqlite", "postgresql")
_IN_MEMORY = Path("/dev/shm")
#: How many copies of its ledger one life keeps at most.
BACKUPS_MAX = 2


class SqliteLedgers:
    """Copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._template = folder / "template.db"
        _migrated(f"sqlite:///{self._template}")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        self._count += 1
        path = self._folder / f"{self._count}.db"
        shutil.copy(self._template, path)
        yield f"sqlite:///{path}"
        for left in self._folder.glob(f"{path.name}*"):
            left.unlink()


class PostgresqlLedgers:
    """Databases of one server, made from a migrated one."""

    def __init__(self, server: Postgres, template_url: str) -> None:
        self._server = server
        self._template = template_url.rpartition("/")[2]
        self._count = 0
        _migrated(template_url)

    @contextmanager
    def fresh(self) -> Iterator[str]:
        self._count += 1
        name = f"life_{self._count}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {self._template}")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{self._server.port}/{name}"
        for left in (name, *(f"{name}_{copy}" for copy in range(BACKUPS_MAX))):
            self._run(f"DROP DATABASE IF EXISTS {left} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        where = f"postgresql://postgres@127.0.0.1:{self._server.port}/postgres"
        with psycopg.connect(where, autocommit=True) as admin:
            admin.execute(statement)  # type: ignore[call-overload]


class SimulatedLedger(Ledger):
    """The product's ledger, whose commits are refused, and whose answers are lost, when the dice say so."""

    world: "Simulation | None" = None

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with super().write() as tx:
            yield tx
            if self.world is not None and self.world.strikes("commit_refused"):
                raise OperationalError("COMMIT", None, Exception("database is locked"))
        if self.world is not None:
            if self.world.strikes("commit_lost"):
                raise OperationalError("COMMIT", None, Exception("the answer was lost"))
            self.world.pump_point("committed")

    @contextmanager
    def read(self) -> Iterator[Tx]:
        if self.world is not None and self.world.strikes("ledger_unreadable"):
            self.world.could_read(False)
            raise OperationalError("SELECT", None, Exception("unable to open database file"))
        with super().read() as tx:
            if self.world is not None:
                self.world.could_read(True)
            yield tx


Ledgers = SqliteLedgers | PostgresqlLedgers


@contextmanager
def ledgers(database: str) -> Iterator[Ledgers]:
    """Ledgers of one kind, for as many lives as wanted."""
    if database == "sqlite":
        parent = _IN_MEMORY if _IN_MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="momo-simulation-", dir=parent) as name:
            yield SqliteLedgers(Path(name))
        return
    server = Postgres().start()
    try:
        with server.database() as url:
            yield PostgresqlLedgers(server, url)
    finally:
        server.stop()


def without_waiting_for_the_disk(connection: Any, _record: object) -> None:
    """For the engine's "connect": the simulation's processes die, its machine doesn't."""
    if isinstance(connection, psycopg.Connection):
        connection.autocommit = True
        connection.execute("SET synchronous_commit TO off")
        connection.autocommit = False
    else:
        connection.execute("PRAGMA synchronous=OFF")


def _migrated(url: str) -> None:
    ledger = Ledger(url, HandClock())
    migrate(ledger)
    ledger.close()
