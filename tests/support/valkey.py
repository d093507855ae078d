"""A folder comes in, a real Valkey server that a test may kill, freeze and bring back goes out; touches only its own process."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from momo_worker.embedded import EmbeddedError, EmbeddedValkey


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """start() after stop() or kill() brings the same server back: same port, same folder."""

    def __init__(self, folder: Path, *, port: int | None = None, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.options = tuple(options)
        self._chosen_port = port
        self._server = self._a_server()

    def _a_server(self) -> EmbeddedValkey:
        return EmbeddedValkey(self.folder, self._chosen_port or free_port(), options=self.options)

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def pid(self) -> int:
        return self._server.pid

    def start(self) -> Self:
        # Between finding a free port and taking it another test may have taken it; then the next one is tried.
        for attempt in range(5):
            try:
                self._server.start()
                break
            except EmbeddedError:
                if self._chosen_port is not None or attempt == 4:
                    raise
                self._server = self._a_server()
        self._chosen_port = self.port
        return self

    def stop(self) -> None:
        if self._server.running():
            self.resume()  # a frozen process doesn't hear SIGTERM
        self._server.stop()

    def kill(self) -> None:
        self._server.kill()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def client(self, *, decode_responses: bool = True) -> redis.Redis:
        """For `with`: closes its connection at the end. Never sends a command twice."""
        return redis.Redis(
            port=self.port,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
            decode_responses=decode_responses,
        )
