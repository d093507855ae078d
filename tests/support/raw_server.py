"""A server of bytes on 127.0.0.1: a script comes in, what it says goes out, to the byte; for what no HTTP library would ever send."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Request:
    """A request as it was read, and on which connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Line:
    """The server's end of one connection, in the script's hands."""

    sock: socket.socket
    closed: bool = False

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self.closed = True
        # A TLS connection keeps its socket until it is unwrapped; shutting down says goodbye at once.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """As a machine that died: RST and no goodbye."""
        self.closed = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Request, Line], None]


def answer(
    status: int, body: Any = b"", *, kind: str | None = "application/json", headers: Sequence[str] = ()
) -> bytes:
    """A well-formed HTTP answer with a length."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}", *headers]
    if kind is not None and data:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def token_answer(value: str = "a-token", life_seconds: int = 3600) -> bytes:
    return answer(200, {"access_token": value, "token_type": "access_token", "expires_in": life_seconds})


@dataclass
class RawServer:
    """Answers tokens by itself unless told otherwise; everything else is the script's."""

    script: Script
    token_script: Script = lambda _request, line: line.say(token_answer())
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    token_requests: list[Request] = field(default_factory=list)
    connections: int = 0
    problems: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)
        assert not self.problems, self.problems

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            line = Line(sock)
            reader = sock.makefile("rb")
            with reader:
                while not line.closed and (request := _request(reader, number)) is not None:
                    self._take(request, line)
        except OSError:
            pass  # the client went away, which is its right
        except Exception as error:  # noqa: BLE001 (a thread's failure must reach the test)
            self.problems.append(error)
        finally:
            sock.close()

    def _take(self, request: Request, line: Line) -> None:
        token = request.path.endswith("/token/")
        with self._lock:
            (self.token_requests if token else self.requests).append(request)
        (self.token_script if token else self.script)(request, line)


def _request(reader: Any, number: int) -> Request | None:
    first = reader.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Request(first[0], first[1], headers, body, number)
