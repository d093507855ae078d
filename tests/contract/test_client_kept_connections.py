"""Which connection is used again: one payment's answer must never be read as another's, whatever a server says and when."""

import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.mtn_world import a_client, a_request, an_account
from tests.support.raw_server import Line, RawServer, Request, answer

from momo_worker.mtn.client import MtnClient
from momo_worker.payment.verdict import Cause, LookAnswer, RenderedRequest, SendAnswer, SendVerdict

REFUSAL = answer(400, {"code": "PAYEE_NOT_FOUND", "message": "x"})
NOT_FOUND = answer(404, {"code": "RESOURCE_NOT_FOUND", "message": "x"})
FRESH, WARM = "a fresh connection", "a warm connection"


class World:
    """A server that says one thing at once and the rest late: when the connection's next request is there."""

    def __init__(self, server: RawServer, client: MtnClient) -> None:
        self.server, self.client = server, client
        self.request: RenderedRequest = a_request(an_account(server.url))
        self.lines: list[Line] = []

    def send(self, depart: Callable[[], None] = lambda: None) -> SendVerdict:
        return self.client.send(self.request, depart)

    def says(self, at_once: bytes, late: bytes = b"", own: bytes = answer(202)) -> None:
        """`at_once` to the next request; to each later one its own answer, after what is late if it came the same way."""
        first: list[int] = []

        def script(request: Request, line: Line) -> None:
            if not first:
                first.append(request.connection)
                line.say(at_once)
            else:
                line.say((late if request.connection == first[0] else b"") + own)

        self.server.requests.clear()
        self.server.script = script

    @property
    def ways(self) -> list[int]:
        return [request.connection for request in self.server.requests]


@pytest.fixture(params=[FRESH, WARM])
def w(request: pytest.FixtureRequest) -> Iterator[World]:
    def accepts(_request: Request, line: Line) -> None:
        made.lines.append(line)
        line.say(answer(202))

    with RawServer(accepts) as server:
        client = a_client(an_account(server.url))
        made = World(server, client)
        if request.param == WARM:
            assert made.send().answer is SendAnswer.ACCEPTED
        yield made
        client.close()
        client._tokens.close()


def interim(status: int) -> bytes:
    return b"HTTP/1.1 %d Soon\r\n\r\n" % status


INTERIM = pytest.mark.parametrize("status", [101, 102, 103, 199])


@INTERIM
def test_an_interim_answer_to_a_send_is_unknown_and_the_next_send_goes_another_way(w: World, status: int) -> None:
    w.says(interim(status), late=REFUSAL)
    first, second = w.send(), w.send()
    assert (first.answer, first.cause, first.never_left) == (SendAnswer.UNKNOWN, Cause.FAULT, False)
    assert first.message == f"an interim answer ({status}), which is not waited out"
    assert second == SendVerdict(SendAnswer.ACCEPTED, http_status=202)
    assert len(set(w.ways)) == 2


@INTERIM
def test_an_interim_answer_to_a_send_is_not_followed_by_its_real_one_to_a_look(w: World, status: int) -> None:
    w.says(interim(status), late=NOT_FOUND, own=answer(200, {"status": "PENDING"}))
    assert w.send().answer is SendAnswer.UNKNOWN
    look = w.client.look(w.request, lambda: None)
    assert (look.answer, look.raw_status) == (LookAnswer.FOUND, "PENDING")
    assert len(set(w.ways)) == 2


@INTERIM
def test_an_interim_answer_to_a_look_is_no_word_and_the_next_send_goes_another_way(w: World, status: int) -> None:
    w.says(interim(status), late=REFUSAL)
    assert w.client.look(w.request, lambda: None).answer is LookAnswer.NO_WORD
    assert w.send().answer is SendAnswer.ACCEPTED
    assert len(set(w.ways)) == 2


def test_100_continue_is_skipped_as_ever_and_the_connection_kept(w: World) -> None:
    w.says(interim(100) + answer(202), late=b"")
    assert [w.send().answer for _ in range(2)] == [SendAnswer.ACCEPTED] * 2
    assert len(set(w.ways)) == 1


def head(*lines: str, status: int = 202) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Said", *lines, "", ""]).encode()


LENGTH = f"Content-Length: {len(REFUSAL)}"


@pytest.mark.parametrize(
    ("at_once", "late"),
    [
        pytest.param(head(LENGTH, status=204), REFUSAL, id="204 with a body"),
        pytest.param(head(LENGTH, status=304), REFUSAL, id="304 with a body"),
        pytest.param(head("Content-Length: 0", LENGTH), REFUSAL, id="two lengths"),
        pytest.param(head("Content-Length: 0", "Transfer-Encoding: gzip, chunked"), REFUSAL, id="a length and codings"),
        pytest.param(head("Content-Length: 0", "Transfer-Encoding:\r\n chunked"), REFUSAL, id="a folded coding"),
        pytest.param(head(LENGTH, "Transfer-Encoding: chunked") + b"0\r\n\r\n", REFUSAL, id="a length and chunks"),
        pytest.param(head("Content-Length: 0", "Odd", LENGTH), REFUSAL, id="a line that is no header"),
        pytest.param(head("Content-Length: 0_0"), REFUSAL, id="a length that is no number"),
        pytest.param(
            answer(202) + b"HTT", b"P/1.1 400 Said\r\nContent-Length: 0\r\n\r\n", id="a second answer's begin"
        ),
        pytest.param(answer(202) + REFUSAL, REFUSAL, id="a second answer and a third"),
        pytest.param(answer(202) + b"\r\n", REFUSAL, id="an empty line"),
        pytest.param(answer(202, b"x" * 9_000) + b"x", REFUSAL, id="one byte more than a long body"),
        pytest.param(
            head("Transfer-Encoding: chunked") + b"1\r\n{\r\n0\r\n\r\nx", REFUSAL, id="a byte after the chunks"
        ),
        pytest.param(head("Connection: close", "Content-Length: 0"), REFUSAL, id="a close that isn't carried out"),
    ],
)
def test_a_connection_whose_answer_may_not_be_all_is_not_used_again(w: World, at_once: bytes, late: bytes) -> None:
    w.says(at_once, late)
    w.send()
    assert w.send() == SendVerdict(SendAnswer.ACCEPTED, http_status=202)
    assert w.ways[-1] != w.ways[-2]


@pytest.mark.parametrize(
    "said",
    [
        answer(202),
        answer(202, b"x" * 20_000),
        head("Content-Length: \t0 \t"),
        head("Transfer-Encoding: chunked") + b"1\r\n{\r\n0\r\n\r\n",
        head("Transfer-Encoding: Chunked") + b"2000\r\n" + b"x" * 0x2000 + b"\r\n0\r\nTrailer: x\r\n\r\n",
        head("Content-Length: 0").replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
    ],
)
def test_a_connection_whose_answer_is_all_is_used_again(w: World, said: bytes) -> None:
    w.says(said, own=said)
    assert [w.send().http_status for _ in range(3)] == [202] * 3
    assert len(set(w.ways)) == 1


@pytest.mark.parametrize("w", [WARM], indirect=True)
def test_what_was_said_before_the_request_left_is_not_its_answer(w: World) -> None:
    """Such as the answer before it, said twice, or a gateway's 408 to a connection that lay idle."""
    kept = w.client._line._wire()._pool.pool.queue[-1]
    w.server.requests.clear()

    def depart() -> None:
        w.lines[-1].say(REFUSAL)
        deadline = time.monotonic() + 5
        while kept.is_connected and time.monotonic() < deadline:
            time.sleep(0.001)

    verdict = w.send(depart)
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.UNKNOWN, Cause.FAULT, False)
    assert w.server.requests == []
    assert w.send().answer is SendAnswer.ACCEPTED


@pytest.mark.parametrize("size", [b"-5", b"-1", b"0x-1"])
def test_chunks_of_less_than_nothing_are_unknown(w: World, size: bytes) -> None:
    w.says(head("Transfer-Encoding: chunked", status=400) + size + b"\r\nabc\r\n0\r\n\r\n", REFUSAL)
    assert w.send().answer is SendAnswer.UNKNOWN
    assert w.send().answer is SendAnswer.ACCEPTED
