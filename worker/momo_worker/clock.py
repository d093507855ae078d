"""Time as it comes into the house: wall milliseconds, an elapsed-time reading and a sleep; nobody else asks the machine.

Times that processes compare are the ledger's (`ledger.engine`); what is here serves SQLite's "now", elapsed time and waiting.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What a room may ask of time."""

    def now_ms(self) -> int:
        """Wall time in whole milliseconds since the epoch."""

    def elapsed(self) -> float:
        """Seconds since some fixed moment; goes on while the machine is suspended, never back."""

    def sleep(self, seconds: float) -> None:
        """Return no earlier than `seconds` from now."""


class SystemClock:
    """The machine's own clocks."""

    # A suspended machine stops CLOCK_MONOTONIC, and a worker that slept through its lease would not notice
    # (money-review S1). CLOCK_BOOTTIME goes on; only Linux has it.
    _elapsed_clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def elapsed(self) -> float:
        return time.clock_gettime(self._elapsed_clock)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
