"""The wire: a request and its flight come in, an answer goes out; repeats nothing, follows nothing, decides nothing.

`Flight.departed` is the one flag that tells *never sent* from *perhaps sent*: it goes up before the first byte of the
request is handed to the socket, whatever happens next, and no exception's class is asked (money-review S2).
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection as PlainConnection
from http.client import HTTPException, HTTPResponse
from socket import socket
from typing import Any, Self, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool as AnyPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, ProxyError
from urllib3.response import BaseHTTPResponse

from momo_worker.clock import Clock
from momo_worker.mtn.errors import ConfigurationError, NotDepartedError
from momo_worker.mtn.response import Readable, Response
from momo_worker.pacing import is_loopback
from momo_worker.payment.verdict import Cause

#: The longest body that is read; MTN's own answers have some hundred bytes.
BODY_BYTES_MAX = 64 * 1024
#: A connection that lay idle for longer is opened anew: gateways drop idle ones without a word (Azure's balancer after
#: four minutes), and a POST that goes into such a hole is *unknown*.
IDLE_SECONDS_MAX = 20.0

_WIRE_FAILURES = (HTTPError, HTTPException, OSError)


class WireError(Exception):
    """No whole answer came. Whether the request left is the flight's to say, not this error's."""


class _HeldBackError(Exception):
    """`depart` raised what would pass for the wire's own failure: it comes out as it was, and not as a broken connection."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Flight:
    """One call on its way: how long it may take, who lets it go, and whether it has left."""

    __slots__ = ("_clock", "_depart", "_ends_at", "_read_timeout_seconds", "departed")

    def __init__(
        self, clock: Clock, depart: Callable[[], None], *, ends_at: float, read_timeout_seconds: float
    ) -> None:
        self._clock = clock
        self._depart = depart
        self._ends_at = ends_at
        self._read_timeout_seconds = read_timeout_seconds
        self.departed = False

    def leave(self) -> None:
        """Ask at the door, once, and put the flag up. Raises what the door raises, with the flag still down."""
        if self._remaining_seconds() <= 0:
            raise NotDepartedError("the call's deadline passed before its first byte")
        try:
            self._depart()
        except _WIRE_FAILURES as error:
            raise _HeldBackError(error) from error
        self.departed = True

    def read_patience_seconds(self) -> float:
        """How long the next read may wait: the read timeout, or what is left of the whole call's time."""
        remaining = self._remaining_seconds()
        if remaining <= 0:
            raise TimeoutError("the whole call's deadline passed")
        return min(self._read_timeout_seconds, remaining)

    def _remaining_seconds(self) -> float:
        return self._ends_at - self._clock.elapsed()


class _Watched(HTTPConnection):
    """A connection that asks its flight before the first byte of a request, after it is connected."""

    flight: Flight
    _answer: Response | None = None
    _kept = False
    _at_the_gate = False
    _with_body = False
    _head: bytes | None = None

    def request(self, method: str, url: str, body: Any = None, *args: Any, **kwargs: Any) -> None:
        self._begin(body, kept=False)
        super().request(method, url, body, *args, **kwargs)

    def request_plainly(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        """The same request on a kept connection, as http.client makes it, without what urllib3 puts around it."""
        self._begin(body, kept=True)
        PlainConnection.request(self, method, url, body, headers)

    def _begin(self, body: Any, *, kept: bool) -> None:
        self._at_the_gate, self._with_body, self._head = True, bool(body), None
        self._kept, self._answer = kept, None

    @property
    def may_be_kept(self) -> bool:
        """Only after an answer that was all there was: any rest would be read as the next call's answer."""
        return self._answer is not None and self._answer.was_all

    def send(self, data: Any) -> None:
        if self._at_the_gate:
            # Down first: what connecting sends (a proxy's CONNECT) is not the request.
            self._at_the_gate = False
            if self.sock is None:
                self.connect()
            self.flight.leave()
            if self._kept and not self.is_connected:
                # The door may take its time, and what came meanwhile would be read as this request's answer. A new
                # connection has nothing of another's, and TLS says things of its own on it.
                raise WireError("the other side spoke or hung up before the request was sent")
            if self._with_body:
                # Head and body leave in one piece: one segment on the wire, and seldom half a request at the other end.
                self._head = data
                return
        if self._head is not None:
            self._head, data = None, self._head + data
        super().send(data)

    def response_class(self, source: socket, *args: Any, **kwargs: Any) -> HTTPResponse:  # type: ignore[override]  # http.client only calls it
        readable = Readable(source, self.flight.read_patience_seconds)
        self._answer = Response(readable, *args, **kwargs)  # type: ignore[arg-type]  # and only makefile() is asked
        return self._answer


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _PoolOfWatched(AnyPool):
    """Hands each connection the flight of the call it is taken for; a pool belongs to one thread."""

    flight: Flight
    clock: Clock
    _used_at = 0.0

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.is_closed and self.clock.elapsed() - self._used_at > IDLE_SECONDS_MAX:
            connection.close()
        connection.flight = self.flight
        return connection

    def _put_conn(self, conn: Any) -> None:
        # Every way back leads through here, also urllib3's own at an answer's end.
        if conn is not None and not conn.may_be_kept:
            conn.close()
        self._used_at = self.clock.elapsed()
        super()._put_conn(conn)

    def take_open(self) -> _Watched | None:
        """The connection of the call before, if it is still open; who takes it gives it back."""
        connection: _Watched = self._get_conn()
        if not connection.is_closed:
            return connection
        self._put_conn(None)
        return None

    def give_back(self, connection: _Watched) -> None:
        """A closed one is as good as none: the next call opens another."""
        self._put_conn(None if connection.is_closed else connection)


class _Pool(_PoolOfWatched, HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(_PoolOfWatched, HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


_POOLS = {"http": _Pool, "https": _TlsPool}


class Wire(HTTPAdapter):
    """One thread's connection to one base URL: requests' pools, proxies and TLS, without its session's detours.

    A session would follow redirects, keep cookies, read `.netrc` and put what it finds there in place of our Bearer.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        *,
        proxies: dict[str, str],
        connect_timeout_seconds: float,
        ca_bundle: str | None,
    ) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._clock = clock
        self._connect_timeout_seconds = connect_timeout_seconds
        self._pool = self._pool_for(base_url, proxies, ca_bundle)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def _pool_for(self, base_url: str, proxies: dict[str, str], ca_bundle: str | None) -> _PoolOfWatched:
        verify = ca_bundle or True
        sample = requests.Request("GET", base_url).prepare()
        pool = self.get_connection_with_tls_context(sample, verify, proxies=proxies)
        self.cert_verify(pool, base_url, verify, None)  # type: ignore[no-untyped-call]  # requests left its pool untyped
        assert isinstance(pool, _PoolOfWatched)  # noqa: S101 (a pool that doesn't raise the flag must never send)
        pool.clock = self._clock
        return pool

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, flight: Flight
    ) -> Answer:
        """At most one request on the wire. Raises WireError, or what `depart` raised."""
        self._pool.flight = flight
        try:
            connection = self._pool.take_open()
            if connection is None:
                return self._over_a_new_connection(method, path, headers, body, flight)
            return self._over_an_open_one(connection, method, path, headers, body)
        except _HeldBackError as held:
            raise held.why from None
        except _WIRE_FAILURES as error:
            raise WireError(described(error)) from error

    def _over_a_new_connection(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, flight: Flight
    ) -> Answer:
        """urllib3's own way, which knows how to connect: by a proxy, by TLS, and what each of their failures is."""
        response = self._pool.urlopen(
            method,
            path,
            body,
            headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            timeout=Timeout(connect=self._connect_timeout_seconds, read=flight.read_patience_seconds()),
        )
        return _read(response)

    def _over_an_open_one(
        self, connection: _Watched, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """The same request without urllib3's layers, which on an open connection are half of what a call costs."""
        whole = False
        try:
            connection.timeout = self._connect_timeout_seconds
            connection.request_plainly(method, path, body, headers)
            answer = _read_plainly(PlainConnection.getresponse(connection))
            whole = True
            return answer
        finally:
            # A connection with an unread rest would give it to the next call as its answer.
            if not whole:
                connection.close()
            self._pool.give_back(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(response: BaseHTTPResponse) -> Answer:
    whole = False
    try:
        _refuse_interim(response.status)
        body = response.read(BODY_BYTES_MAX + 1, decode_content=False)
        if len(body) > BODY_BYTES_MAX:
            raise WireError(f"an answer of more than {BODY_BYTES_MAX} bytes")
        whole = True
        return Answer(response.status, response.headers, body)
    finally:
        # A connection with an unread rest would give it to the next call as its answer.
        if whole:
            response.release_conn()
        else:
            response.close()


def _read_plainly(response: HTTPResponse) -> Answer:
    _refuse_interim(response.status)
    if response.length is None:
        # Chunked, or until the connection ends: both say so themselves when something is missing.
        body = response.read(BODY_BYTES_MAX + 1)
    elif response.length > BODY_BYTES_MAX:
        raise WireError(f"an answer of more than {BODY_BYTES_MAX} bytes")
    else:
        # Without a number, which would make less than was promised look like all.
        body = response.read()
    if len(body) > BODY_BYTES_MAX:
        raise WireError(f"an answer of more than {BODY_BYTES_MAX} bytes")
    # http.client's headers are looked up without regard to case, as urllib3's are; it only doesn't call them a mapping.
    return Answer(response.status, cast("Mapping[str, str]", response.headers), body)


def _refuse_interim(status: int) -> None:
    """Of these http.client skips only 100; after any other it would hand the real answer to the next call."""
    if status < HTTPStatus.OK:
        raise WireError(f"an interim answer ({status}), which is not waited out")


def described(error: BaseException) -> str:
    """Our words for what a library raised; its own text may hold addresses and headers."""
    if isinstance(error, NameResolutionError):
        return "the host's name wasn't found"
    if isinstance(error, ConnectTimeoutError):
        return "nobody took the connection in time" if type(error) is ConnectTimeoutError else "the connection failed"
    if isinstance(error, ProxyError):
        return "the proxy didn't connect us"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"the certificate wasn't accepted ({inner.verify_message})"
        if isinstance(inner, TimeoutError):
            return "no answer in time"
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror.lower()
        inner = inner.__cause__ or inner.__context__
    return f"the connection broke ({type(error).__name__})"


def checked_base_url(base_url: str) -> str:
    """The same URL; `http://` is for this very machine only. Raises ConfigurationError."""
    if base_url.startswith("https://") or (base_url.startswith("http://") and is_loopback(base_url)):
        return base_url.rstrip("/")
    raise ConfigurationError(
        "the address isn't HTTPS",
        where=base_url,
        advice="set MOMO_BASE_URL to MTN's https:// address",
        cause=Cause.CONFIGURATION,
    )


def environment_proxies(base_url: str) -> dict[str, str]:
    """HTTPS_PROXY and NO_PROXY, read once; a loopback address never goes through a proxy. Raises ConfigurationError."""
    if is_loopback(base_url):
        return {}
    proxies = dict(get_environ_proxies(base_url))
    chosen = select_proxy(base_url, proxies) or ""
    if chosen.startswith("socks"):
        raise ConfigurationError(
            "a SOCKS proxy can't be used", where="HTTPS_PROXY", advice="name an HTTP proxy", cause=Cause.CONFIGURATION
        )
    return proxies
