"""Our reader of header lines beside the standard library's, over whatever bytes a server may send."""

import http.client
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from momo_worker.mtn.response import Readable, Response, parse_headers

_NAMES = st.sampled_from(
    [
        b"Content-Length",
        b"content-type",
        b"Transfer-Encoding",
        b"Retry-After",
        b"X",
        b"",
        b"From a",
        b" folded",
        b"a\xe9",
    ]
)
_ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])
_LINES = st.tuples(_NAMES, st.sampled_from([b":", b": ", b":\t", b"", b" : "]), st.binary(max_size=12), _ENDS).map(
    b"".join
)
_BLOCKS = st.tuples(
    st.lists(_LINES, max_size=6).map(b"".join), st.sampled_from([b"\r\n", b"\n", b""]), st.binary(max_size=4)
)


def read(parser, block: bytes) -> tuple[list[tuple[str, str]], bytes]:
    source = io.BytesIO(block)
    return parser(source).items(), source.read()


@given(_BLOCKS.map(b"".join))
@example(b"Content-Length: 12\r\nContent-Type: application/json \r\n\r\nrest")
@example(b"Content-Length : 12\r\n\r\n")
@example(b"Content-Length: 1\r\n 2\r\n\r\n")
@example(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n")
def test_header_lines_are_read_as_the_standard_library_reads_them(block):
    assert read(parse_headers, block) == read(http.client.parse_headers, block)


@pytest.mark.parametrize(
    "lines",
    [[b"X" * 70_000 + b": 1\r\n"], [b"A: 1\r\n"] * 200],
    ids=["a line that is too long", "too many lines"],
)
def test_the_standard_librarys_limits_hold(lines):
    block = b"".join(lines) + b"\r\n"
    with pytest.raises(http.client.HTTPException) as theirs:
        read(http.client.parse_headers, block)
    with pytest.raises(type(theirs.value)):
        read(parse_headers, block)


class _Socket:
    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def makefile(self, _mode: str, buffering: int = -1) -> io.BytesIO:
        return io.BytesIO(self.answer)

    def settimeout(self, _seconds: float) -> None:
        pass


class _TlsSocket(_Socket):
    """Hands out one record at each read, and knows what it has deciphered of the next one."""

    def __init__(self, *records: bytes) -> None:
        self.records = list(records)

    def makefile(self, _mode: str, buffering: int = -1) -> io.RawIOBase:
        records = self.records

        class Raw(io.RawIOBase):
            def readinto(self, buffer) -> int:
                record = records.pop(0)
                buffer[: len(record)] = record
                return len(record)

        return Raw()

    def pending(self) -> int:
        return len(self.records[0]) if self.records else 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        b"HTTP/1.0 404 Not Found\r\ncontent-length: -4\r\n\r\nabc",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n",
    ],
    ids=["empty", "with a length", "chunked", "after a 100", "an old server with a nonsensical length", "no content"],
)
def test_a_response_is_the_standard_librarys_in_all_that_follows_from_its_headers(answer):
    seen = []
    for response in (
        http.client.HTTPResponse(_Socket(answer), method="GET"),
        Response(Readable(_Socket(answer), lambda: 1.0), method="GET"),
    ):
        response.begin()
        facts = (
            response.status,
            response.reason,
            response.version,
            response.chunked,
            response.length,
            response.will_close,
        )
        seen.append((facts, response.getheaders(), response.read()))
    assert seen[0] == seen[1]


def test_only_the_reading_of_header_lines_is_ours():
    assert Response.begin.__code__ is http.client.HTTPResponse.begin.__code__


def _was_all(source: _Socket, size: int | None = None) -> bool:
    response = Response(Readable(source, lambda: 1.0), method="GET")
    response.begin()
    response.read(size)
    response.close()
    return response.was_all


def test_an_answer_was_all_when_its_end_was_reached_and_nothing_came_after_it():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    assert _was_all(_Socket(answer))
    assert not _was_all(_Socket(answer), 1)
    assert not _was_all(_Socket(answer + b"H"))
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    assert _was_all(_Socket(chunked + b"0\r\n\r\n"), 3)
    assert not _was_all(_Socket(chunked + b"0\r\n\r\n"), 2)


def test_what_tls_has_deciphered_beyond_an_answer_counts_as_more():
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    assert _was_all(_TlsSocket(answer))
    assert not _was_all(_TlsSocket(answer, b"HTTP/1.1 400 Bad Request\r\n"))
