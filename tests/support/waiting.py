"""A condition comes in, the moment at which it holds goes out; never a fixed pause."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: For what comes at once on a quiet machine: a deadline that only ends a wait in vain, and never measures how busy the machine is.
PATIENCE_SECONDS = 60.0


def eventually(condition: Callable[[], T], *, within_seconds: float, otherwise: Callable[[], str] = lambda: "") -> T:
    """Ask until the answer is truthy and give it; real processes are waited for, so this reads the machine's clock."""
    give_up_at = time.monotonic() + within_seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            raise AssertionError(f"Not within {within_seconds} s. {otherwise()}")
        time.sleep(0.02)
