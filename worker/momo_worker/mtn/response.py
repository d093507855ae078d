"""http.client's response, read with patience and by a quicker way: an answer's bytes come in, the same message and whether it was all go out; sends nothing.

The standard library hands header lines to its parser for e-mail, which was a twentieth of all that a payment costs (measured).
Lines of the plain form are split here instead; all others still go to the parser.
"""

import http.client
import io
import re
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPMessage, HTTPResponse, IncompleteRead
from socket import socket
from types import FunctionType
from typing import Any

#: Header lines without folding, line ends of another kind or anything else that the parser has an opinion about.
_PLAIN = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")

#: http.client reads no body after these, whatever the other side may send.
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

# What typeshed doesn't know of it is used here.
_library: Any = http.client


def parse_headers(source: Any, *limits: Any, **named: Any) -> HTTPMessage:
    """As `http.client.parse_headers`, which it leaves to do whatever isn't plain."""
    if limits or named:
        odd: HTTPMessage = _library.parse_headers(source, *limits, **named)
        return odd
    # With its limits of length and number.
    whole = b"".join(_library._read_headers(source))  # noqa: SLF001 (the half of its `parse_headers` that isn't the parser)
    if not _PLAIN.fullmatch(whole):
        return http.client.parse_headers(io.BytesIO(whole))
    message = HTTPMessage()
    for line in whole.decode("iso-8859-1").split("\r\n")[:-2]:
        name, _, value = line.partition(":")
        message.set_raw(name, value.lstrip(" \t"))
    return message


class _PatientReader(io.RawIOBase):
    """A socket's reading end that asks before each read how long it may wait: a slow drip can't outlast the whole call."""

    def __init__(self, source: socket, patience_seconds: Callable[[], float]) -> None:
        super().__init__()
        self._source = source
        self._raw = source.makefile("rb", buffering=0)
        self._patience_seconds = patience_seconds
        self._waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._waits:
            return 0
        self._source.settimeout(self._patience_seconds())
        return self._raw.readinto(buffer)

    def holds_more(self, buffer: io.BufferedReader) -> bool:
        """Whether more has come than was asked for. The socket itself is looked at when its connection is taken again."""
        self._waits = False  # or an empty buffer would be filled before it is looked at
        deciphered = getattr(self._source, "pending", None)
        return bool(buffer.peek(1)) or (deciphered is not None and deciphered() > 0)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class Readable:
    """What `HTTPResponse` asks of a socket."""

    def __init__(self, source: socket, patience_seconds: Callable[[], float]) -> None:
        self._source = source
        self._patience_seconds = patience_seconds

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_PatientReader(self._source, self._patience_seconds))


class Response(HTTPResponse):
    """A response whose `begin` is http.client's own to the letter, but for the `parse_headers` that it calls."""

    #: It is the answer and no interim one, its end was known and reached, and nothing came after it.
    was_all = False

    begin = FunctionType(HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": parse_headers}, "begin")
    begin.__kwdefaults__ = HTTPResponse.begin.__kwdefaults__

    _chunks_ended = False

    def _read_and_discard_trailer(self) -> None:
        super()._read_and_discard_trailer()  # type: ignore[misc]
        self._chunks_ended = True

    def _safe_read(self, amt: int) -> bytes:
        if amt < 0:
            # A chunk's length is read with its sign.
            raise IncompleteRead(b"")
        data: bytes = super()._safe_read(amt)  # type: ignore[misc]
        return data

    def _close_conn(self) -> None:
        # Asked here, because what came too much goes with the buffer.
        buffer: Any = self.fp
        self.was_all = self._is_at_its_end() and self._has_a_plain_end() and not buffer.raw.holds_more(buffer)
        super()._close_conn()  # type: ignore[misc]

    def _is_at_its_end(self) -> bool:
        return self._chunks_ended if self.chunked else self.length == 0

    def _has_a_plain_end(self) -> bool:
        """Whether the other side can't have meant another end than http.client does (RFC 9112, 6.3)."""
        if self.status < HTTPStatus.OK or self.status in _WITHOUT_BODY or self.headers.defects:
            return False
        codings, lengths = self.headers.get_all("transfer-encoding"), self.headers.get_all("content-length")
        if codings is not None:
            return bool(self.chunked) and len(codings) == 1 and lengths is None
        return lengths is not None and len(lengths) == 1 and lengths[0].strip(" \t").isdigit()
