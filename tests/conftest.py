"""Servers for tests: nothing comes in, fixtures with real servers go out; nothing listens beyond 127.0.0.1."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine, text
from tests.support.ledger_world import World, a_world
from tests.support.postgres import Postgres
from tests.support.simulator import SimulatorControl, running_simulator
from tests.support.simulator_model import close_all
from tests.support.valkey import Valkey

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate
from momo_worker.ledger.schedule_schema import metadata

# How long an example takes, and how fast it is made up, tells how busy the machine is and nothing of the code.
settings.register_profile("momo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("momo")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, to be killed and frozen at will. Whoever only needs Redis takes `redis_url`."""
    server = Valkey(tmp_path / "valkey").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey")).start()
    yield server
    server.stop()


@pytest.fixture
def redis_client(shared_valkey: Valkey) -> Iterator[redis.Redis]:
    """An empty database, as text; the server is the session's."""
    with shared_valkey.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_client: redis.Redis, shared_valkey: Valkey) -> str:
    """The URL of the same empty database."""
    return shared_valkey.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The session's PostgreSQL; started by the first test that asks for it."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """SQLAlchemy's URL of an empty database of the test's own."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[SimulatorControl]:
    """The session's fake MTN, in a process of its own. Payments end within 50 ms here; a test that wants otherwise sets it."""
    with running_simulator(seed=7, settings={"settle_seconds_min": 0.01, "settle_seconds_max": 0.05}) as control:
        yield control


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:
    """From Python 3.13 on a connection that nobody closed is a warning, and warnings are errors here."""
    yield
    close_all()


@pytest.fixture
def simulator(shared_simulator: SimulatorControl) -> SimulatorControl:
    """The fake MTN as on its first day: no payments, faults or counts, and the settings it was started with."""
    shared_simulator.reset()
    return shared_simulator


def _migrated(url: str) -> str:
    ledger = Ledger(url, SystemClock())
    migrate(ledger)
    ledger.close()
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file without a row, to be copied."""
    path = tmp_path_factory.mktemp("ledger") / "empty.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Postgres) -> Iterator[str]:
    """A ledger's database, migrated once and emptied before each test."""
    with postgres_server.database() as url:
        yield _migrated(url)


@pytest.fixture
def sqlite_ledger_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'ledger.db')}"


@pytest.fixture
def postgres_ledger_url(migrated_postgres: str) -> str:
    engine = create_engine(migrated_postgres)
    with engine.begin() as conn:
        # Few rows are deleted much faster than seventeen tables are made anew on a durable disk.
        if conn.execute(text("SELECT count(*) FROM payment")).scalar_one() > 1_000:
            conn.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))
        for table in reversed(metadata.sorted_tables):
            conn.execute(table.delete())
    engine.dispose()
    return migrated_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """An empty ledger; every test that takes it runs on both databases."""
    name = "sqlite_ledger_url" if request.param == "sqlite" else "postgres_ledger_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def world(ledger_url: str) -> Iterator[World]:
    """The steps on an empty ledger, with MTN by script and a clock that the test turns; on both databases."""
    with a_world(ledger_url) as found:
        yield found
