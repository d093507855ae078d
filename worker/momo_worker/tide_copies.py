"""The copies of the tide outside of the ledger, in Redis and in a file of MOMO_HOME: read, and kept each second. Judges nothing."""

import os
import time
from pathlib import Path

import redis
import structlog

from momo_worker.payment.tide import Copy, copy_from
from momo_worker.streams import TIDE_KEY

log = structlog.get_logger(__name__)

FILE = "tide"
#: A Redis that didn't answer isn't asked again before each send.
_QUIET_SECONDS = 5.0


class TideFile:
    """The copy in a file; a folder that can't be written costs the copy and stops nothing."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE

    def read(self) -> Copy | None:
        """The copy, or None where there is none that can be read."""
        try:
            return copy_from(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return None

    def keep(self, copy: Copy) -> None:
        """Written beside and moved over, so that a process that dies leaves the old one whole."""
        beside = self._path.with_name(f"{FILE}.{os.getpid()}")
        beside.write_text(copy.text(), encoding="utf-8")
        beside.replace(self._path)


class TideInRedis:
    """The copy in Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._quiet_until = 0.0

    def read(self) -> Copy | None:
        """The copy, or None where there is none; raises redis.RedisError when nobody answers."""
        found = self._redis.get(TIDE_KEY)
        return copy_from(found.decode("utf-8", "replace") if isinstance(found, bytes) else found)

    def read_quietly(self) -> Copy | None:
        """The same before each send: None while Redis is away, and then it isn't asked for a while."""
        if time.monotonic() < self._quiet_until:
            return None
        try:
            return self.read()
        except redis.RedisError:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            return None

    def keep(self, copy: Copy) -> None:
        """Write it; raises redis.RedisError when nobody answers."""
        self._redis.set(TIDE_KEY, copy.text())
