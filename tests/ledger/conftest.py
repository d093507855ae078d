"""Logs of the steps as dictionaries: printed tracebacks would be most of these tests' time."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged so far."""
    with capture_logs() as logs:
        yield logs
