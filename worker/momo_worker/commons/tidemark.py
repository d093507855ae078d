"""How high the tide has been, as this process knows it: what it read itself and what Redis keeps come in, the least that a ledger must show goes out.

A ledger that shows less was restored under a running process (a failover to a replica that was behind); until somebody has put it in
recovery nothing may be sent. Asked before the ledger is read: the ledger is always raised first, so one that is whole is never below.
"""

import threading
from collections.abc import Callable

from momo_worker.payment.tide import Copy

#: No ledger's tide is ever so high: what Redis names is another ledger than ours.
NEVER = 2**62


class Tidemark:
    """One per process; thread-safe."""

    def __init__(
        self, ledger_id: str = "", namespace: str = "", read_copy: Callable[[], Copy | None] = lambda: None
    ) -> None:
        """`read_copy` gives the copy in Redis, or None where there is none or Redis is away."""
        self._ledger_id = ledger_id
        self._namespace = namespace
        self._read_copy = read_copy
        self._lock = threading.Lock()
        self._seen = 0

    @property
    def seen(self) -> int:
        """The highest that this process has read from the ledger itself."""
        return self._seen

    def saw(self, tide: int) -> None:
        """Remember what the ledger showed."""
        with self._lock:
            self._seen = max(self._seen, tide)

    def copy(self) -> Copy | None:
        """What Redis keeps, where it can be read."""
        return self._read_copy()

    def least(self) -> int:
        """What the ledger's tide must at least be for a send to leave."""
        copy = self._read_copy()
        if copy is None or copy.namespace != self._namespace:
            return self._seen
        return NEVER if copy.ledger_id != self._ledger_id else max(self._seen, copy.tide)
