"""Calls to one base URL from any number of threads: a request comes in, an answer goes out; one connection a thread, nothing is repeated."""

import threading
import weakref
from collections.abc import Callable, Mapping

from momo_worker.clock import Clock
from momo_worker.mtn.adapter import Answer, Flight, Wire, checked_base_url, environment_proxies


class Line:
    """One thread's connections are its own, as requests asks of its sessions; `close` ends those of all threads."""

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        *,
        deadline_seconds: float,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        ca_bundle: str | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self._proxies = environment_proxies(self.base_url)
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._connect_timeout_seconds = connect_timeout_seconds
        self._read_timeout_seconds = read_timeout_seconds
        self._ca_bundle = ca_bundle
        self._mine = threading.local()
        # A thread that ended takes its connection with it.
        self._all: weakref.WeakSet[Wire] = weakref.WeakSet()
        self._lock = threading.Lock()

    def ends_at(self) -> float:
        """When a call that begins now must be over, in the clock's elapsed seconds."""
        return self._clock.elapsed() + self._deadline_seconds

    def flight(self, depart: Callable[[], None], ends_at: float | None = None) -> Flight:
        """A call that begins now."""
        return Flight(
            self._clock,
            depart,
            ends_at=self.ends_at() if ends_at is None else ends_at,
            read_timeout_seconds=self._read_timeout_seconds,
        )

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, flight: Flight
    ) -> Answer:
        """At most one request on the wire. Raises WireError, or what the flight's `depart` raised."""
        return self._wire().exchange(method, path, headers, body, flight)

    def close(self) -> None:
        """End every thread's connection; a later call opens a new one."""
        with self._lock:
            wires = list(self._all)
            self._all.clear()
            self._mine = threading.local()
        for wire in wires:
            wire.close()

    def _wire(self) -> Wire:
        wire: Wire | None = getattr(self._mine, "wire", None)
        if wire is None:
            wire = Wire(
                self.base_url,
                self._clock,
                proxies=self._proxies,
                connect_timeout_seconds=self._connect_timeout_seconds,
                ca_bundle=self._ca_bundle,
            )
            self._mine.wire = wire
            with self._lock:
                self._all.add(wire)
        return wire
