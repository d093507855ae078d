"""Logs of the steps as dictionaries: printed tracebacks would be most of these tests' time."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.ledger_world import World
from tests.support.restored import Restored, restorable


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged so far."""
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def restored(world: World) -> Restored:
    """A ledger with a living pump, and MTN with a memory."""
    return restorable(world)
