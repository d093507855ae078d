"""Servers for tests: nothing comes in, fixtures with real servers go out; nothing listens beyond 127.0.0.1."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tests.support.postgres import Postgres
from tests.support.simulator import SimulatorControl, running_simulator
from tests.support.valkey import Valkey


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


@pytest.fixture
def simulator(shared_simulator: SimulatorControl) -> SimulatorControl:
    """The fake MTN as on its first day: no payments, faults or counts, and the settings it was started with."""
    shared_simulator.reset()
    return shared_simulator
