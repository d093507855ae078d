"""What becomes of one POST on a real wire: every way in which it may break, and on which side of the flag."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.mtn_world import REFERENCE, a_client, a_request, a_token_source, an_account
from tests.support.raw_server import Line, RawServer, Request, Script, answer, token_answer

from momo_worker.clock import SystemClock
from momo_worker.mtn.adapter import IDLE_SECONDS_MAX
from momo_worker.mtn.client import MtnClient
from momo_worker.mtn.errors import NotDepartedError
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause, RenderedRequest, SendAnswer, SendVerdict


class World:
    """A scripted server, a client of it, and how often it was let go."""

    def __init__(self, server: RawServer, client: MtnClient) -> None:
        self.server, self.client = server, client
        self.request: RenderedRequest = a_request(an_account(server.url))
        self.departures = 0

    def depart(self) -> None:
        self.departures += 1

    def send(self) -> SendVerdict:
        return self.client.send(self.request, self.depart)


Build = Callable[..., World]


FIRST, OPEN = "its first call", "a connection that is open"
#: For what is told of connections themselves.
connecting = pytest.mark.parametrize("world", [FIRST], indirect=True)


@pytest.fixture(params=[FIRST, OPEN])
def world(request: pytest.FixtureRequest) -> Iterator[Build]:
    """Every way to break is tried on both ways to send: one connects, the other finds a connection open."""
    opened: list[tuple[RawServer, MtnClient]] = []

    def build(script: Script, *, token_script: Script | None = None, **options: float) -> World:
        server = RawServer(accepts).__enter__()
        client = a_client(an_account(server.url), **options)
        opened.append((server, client))
        made = World(server, client)
        if request.param == OPEN:
            assert made.send().answer is SendAnswer.ACCEPTED
            client._tokens.close()
            client._tokens = a_token_source(an_account(server.url), made.client._product)
            server.requests.clear()
            server.token_requests.clear()
            made.departures = 0
        server.script = script
        server.token_script = token_script or server.token_script
        return made

    yield build
    for server, client in opened:
        client.close()
        client._tokens.close()
        server.__exit__()


def accepts(_request: Request, line: Line) -> None:
    line.say(answer(202))


def test_a_202_is_accepted_and_the_request_is_sent_byte_for_byte(world: Build) -> None:
    w = world(accepts)
    assert w.send() == SendVerdict(SendAnswer.ACCEPTED, http_status=202)
    [seen] = w.server.requests
    assert (seen.method, seen.path, seen.body) == ("POST", w.request.path, w.request.body)
    assert seen.headers["x-reference-id"] == REFERENCE
    assert seen.headers["x-target-environment"] == "mtnuganda"
    assert seen.headers["authorization"] == "Bearer a-token"
    assert seen.headers["x-callback-url"] == w.request.callback_url
    assert seen.headers["content-type"] == "application/json"
    assert w.departures == 1


def test_connections_and_the_token_are_used_again(world: Build) -> None:
    w = world(accepts)
    for _ in range(5):
        assert w.send().answer is SendAnswer.ACCEPTED
    assert (len(w.server.requests), len(w.server.token_requests)) == (5, 1)
    assert len({seen.connection for seen in w.server.requests}) == 1


def test_nobody_listening_is_never_sent(world: Build) -> None:
    w = world(accepts)
    w.client._tokens.current()
    w.server.__exit__()
    verdict = w.send()
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.NOT_NOW, Cause.NEVER_SENT, True)
    assert w.departures == 0


def test_a_reset_after_the_whole_request_was_read_is_unknown(world: Build) -> None:
    w = world(lambda _request, line: line.reset())
    verdict = w.send()
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.UNKNOWN, Cause.FAULT, False)
    assert len(w.server.requests) == 1


def test_a_close_without_an_answer_is_unknown_and_not_repeated(world: Build) -> None:
    w = world(lambda _request, line: line.close())
    assert w.send().answer is SendAnswer.UNKNOWN
    assert (len(w.server.requests), w.departures) == (1, 1)


@connecting
def test_a_reset_on_a_reused_connection_is_unknown_and_not_repeated(world: Build) -> None:
    w = world(lambda _request, line: line.say(answer(202)) if len(w.server.requests) == 1 else line.reset())
    assert w.send().answer is SendAnswer.ACCEPTED
    verdict = w.send()
    assert (verdict.answer, verdict.cause) == (SendAnswer.UNKNOWN, Cause.FAULT)
    assert (len(w.server.requests), w.server.connections) == (2, 2)  # the second connection was the token's


def test_a_connection_reset_between_the_flag_and_the_first_byte_is_unknown(world: Build) -> None:
    w = world(accepts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        account = an_account(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client = a_client(account, tokens=w.client._tokens)

        def the_line_is_cut() -> None:
            Line(listener.accept()[0]).reset()

        verdict = client.send(a_request(account), the_line_is_cut)
        client.close()
    # By luck of timing nothing may have arrived; what was handed to the socket is never called unsent.
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.UNKNOWN, Cause.FAULT, False)


class AheadClock(SystemClock):
    """The machine's clock, some seconds ahead."""

    ahead = 0.0

    def elapsed(self) -> float:
        return super().elapsed() + self.ahead


def test_a_connection_that_lay_idle_is_not_trusted_with_a_post(world: Build) -> None:
    w = world(accepts)
    clock = AheadClock()
    client = MtnClient(an_account(w.server.url), Product.DISBURSEMENT, w.client._tokens, clock=clock)
    for seconds in (0, IDLE_SECONDS_MAX - 1, IDLE_SECONDS_MAX + 1):
        clock.ahead += seconds
        assert client.send(w.request, w.depart).answer is SendAnswer.ACCEPTED
    first, second, third = (seen.connection for seen in w.server.requests)
    assert first == second != third
    client.close()


@connecting
def test_a_thread_that_ends_takes_its_connection_with_it(world: Build) -> None:
    w = world(accepts)
    for _ in range(5):
        thread = threading.Thread(target=w.send)
        thread.start()
        thread.join()
    gc.collect()
    assert len(w.client._line._all) == 0


def test_a_connection_closed_while_idle_is_replaced_before_anything_is_sent(world: Build) -> None:
    def answers_and_closes(_request: Request, line: Line) -> None:
        line.say(answer(202))
        line.close()

    w = world(answers_and_closes)
    for _ in range(3):
        assert w.send().answer is SendAnswer.ACCEPTED
        kept = w.client._line._wire()._pool.pool.queue[-1]
        deadline = time.monotonic() + 5
        while kept.is_connected and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not kept.is_connected
    assert len(w.server.requests) == 3


def test_a_stopped_departure_sends_nothing_and_leaves_the_client_usable(world: Build) -> None:
    w = world(accepts)

    def refuse() -> None:
        raise NotDepartedError("paused")

    verdict = w.client.send(w.request, refuse)
    assert verdict == SendVerdict(SendAnswer.NOT_NOW, Cause.NOT_DEPARTED, message="paused")
    assert w.server.requests == []
    assert w.send().answer is SendAnswer.ACCEPTED
    assert len(w.server.requests) == 1


def test_what_else_the_door_raises_comes_through_and_nothing_is_sent(world: Build) -> None:
    w = world(accepts)

    # The second and third are kinds that a broken connection raises, too: they are still the door's own.
    for error in (LookupError("no ledger"), ConnectionResetError("no ledger"), TimeoutError("no ledger")):

        def the_ledger_is_away(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error), match="no ledger"):
            w.client.send(w.request, the_ledger_is_away)
    assert w.server.requests == []
    assert w.send().answer is SendAnswer.ACCEPTED


@connecting
def test_the_door_is_asked_after_connecting_and_after_the_token(world: Build) -> None:
    w = world(accepts)
    seen: list[tuple[int, int]] = []

    def depart() -> None:
        # The token's connection and the POST's own are both open by now, and no byte of the POST is there.
        deadline = time.monotonic() + 5
        while w.server.connections < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        seen.append((len(w.server.token_requests), w.server.connections))
        assert w.server.requests == []

    assert w.client.send(w.request, depart).answer is SendAnswer.ACCEPTED
    assert seen == [(1, 2)]


@pytest.mark.parametrize("body", [b"<html>Request Rejected</html>", b"  <!DOCTYPE html><p>Support ID: 1</p>"])
@pytest.mark.parametrize("status", [200, 202, 400, 403, 404, 409, 500, 502, 503])
def test_a_page_is_unknown_whatever_its_status(world: Build, status: int, body: bytes) -> None:
    w = world(lambda _request, line: line.say(answer(status, body, kind="text/html")))
    assert w.send().answer is SendAnswer.UNKNOWN


def test_a_chunked_page_with_200_is_unknown(world: Build) -> None:
    page = b"<html><body>Request Rejected</body></html>"
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, page[i : i + 1]) for i in range(len(page))) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
    w = world(lambda _request, line: line.say(head + chunks))
    assert w.send().answer is SendAnswer.UNKNOWN
    assert w.send().answer is SendAnswer.UNKNOWN


def test_a_redirect_is_unknown_and_not_followed(world: Build) -> None:
    w = world(lambda _request, line: line.say(answer(307, headers=["Location: /elsewhere"])))
    assert w.send().answer is SendAnswer.UNKNOWN
    assert [seen.path for seen in w.server.requests] == [w.request.path]


def test_a_huge_body_is_not_read_to_its_end_and_its_connection_not_used_again(world: Build) -> None:
    w = world(lambda _request, line: line.say(answer(400, b"x" * 10_000_000, kind=None)))
    assert w.send().answer is SendAnswer.UNKNOWN
    assert w.send().answer is SendAnswer.UNKNOWN
    assert len({seen.connection for seen in w.server.requests}) == 2


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_slow_drip_ends_with_the_deadline_of_the_whole_call(world: Build, part: str) -> None:
    gone = threading.Event()

    def drip(_request: Request, line: Line) -> None:
        line.say(b"HTTP/1.1 400 Bad\r\nContent-Length: 60000\r\n" + (b"\r\n" if part == "body" else b"X-Slow: "))
        while not gone.wait(0.02):
            line.say(b"x")

    w = world(drip, deadline_seconds=0.6, read_timeout_seconds=0.5)
    began = time.monotonic()
    verdict = w.send()
    gone.set()
    assert verdict.answer is SendAnswer.UNKNOWN
    assert 0.5 < time.monotonic() - began < 3


def test_no_answer_within_the_read_timeout_is_unknown(world: Build) -> None:
    gone = threading.Event()
    w = world(lambda _request, _line: gone.wait(10), read_timeout_seconds=0.2)
    verdict = w.send()
    gone.set()
    assert (verdict.answer, verdict.message) == (SendAnswer.UNKNOWN, "no answer in time")


@connecting
def test_a_deadline_that_is_over_before_the_first_byte_sends_nothing(world: Build) -> None:
    w = world(accepts, deadline_seconds=0)
    assert w.send().never_left
    assert w.server.requests == []


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 99999 Big\r\n\r\n",
        b"HTTP/1.1 202\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 400 Bad\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 400 Bad\r\nContent-Length: abc, 7\r\n\r\n{",
        b"HTTP/1.1 400 " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"ICY 400 OK\r\n\r\n",
    ],
)
def test_bytes_that_are_no_whole_answer_are_unknown(world: Build, said: bytes) -> None:
    def say(_request: Request, line: Line) -> None:
        line.say(said)
        line.close()

    assert world(say).send().answer is SendAnswer.UNKNOWN


def test_a_refused_token_is_dropped_and_the_step_may_repeat_with_a_new_one(world: Build) -> None:
    tokens = iter(["first-token", "second-token", "third-token"])

    def refuses_the_first(request: Request, line: Line) -> None:
        fresh = request.headers["authorization"] == "Bearer second-token"
        line.say(answer(202) if fresh else answer(401, {"error": "expired"}))

    w = world(refuses_the_first, token_script=lambda _request, line: line.say(token_answer(next(tokens))))
    first = w.send()
    assert (first.answer, first.cause, len(w.server.requests)) == (SendAnswer.NOT_NOW, Cause.TOKEN_REFUSED, 1)
    assert w.send().answer is SendAnswer.ACCEPTED
    assert len(w.server.token_requests) == 2


def test_a_refused_key_is_named_and_the_secondary_key_is_the_steps_to_choose(world: Build) -> None:
    def knows_the_second(request: Request, line: Line) -> None:
        if request.headers["ocp-apim-subscription-key"].startswith("secondary"):
            line.say(answer(202))
        else:
            text = "Access denied due to invalid subscription key. Make sure to provide a valid key."
            line.say(answer(401, {"statusCode": 401, "message": text}))

    w = world(knows_the_second)
    assert w.send().cause is Cause.KEY_REFUSED
    assert w.client.send(w.request, w.depart, secondary=True).answer is SendAnswer.ACCEPTED
    assert len(w.server.token_requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (500, {"error": "login_failed"}, Cause.LOGIN_REFUSED),
        (500, {"error": "login failed"}, Cause.LOGIN_REFUSED),
        (401, {"error": "unauthorized"}, Cause.LOGIN_REFUSED),
        (401, {"statusCode": 401, "message": "Access denied due to invalid subscription key."}, Cause.KEY_REFUSED),
        (500, {"code": "INTERNAL_PROCESSING_ERROR"}, Cause.NEVER_SENT),
        (503, {}, Cause.NEVER_SENT),
        (429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 7 seconds."}, Cause.THROTTLED),
        (403, {"statusCode": 403, "message": "FORBIDDEN IP"}, Cause.FORBIDDEN),
        (404, {"statusCode": 404, "message": "Resource not found"}, Cause.CONFIGURATION),
        (200, {}, Cause.NEVER_SENT),
        (200, {"access_token": ""}, Cause.NEVER_SENT),
        (200, {"access_token": "with a space\n"}, Cause.NEVER_SENT),
        (200, b"<html>Request Rejected</html>", Cause.NEVER_SENT),
    ],
)
def test_no_token_is_not_now_and_no_connection_for_the_post_is_opened(
    world: Build, status: int, body: object, cause: Cause
) -> None:
    w = world(accepts, token_script=lambda _request, line: line.say(answer(status, body)))
    verdict = w.send()
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.NOT_NOW, cause, True)
    assert (w.server.requests, w.departures) == ([], 0)
    if status == 429:
        assert verdict.retry_after_seconds == 7


def test_a_request_of_other_credentials_never_leaves(world: Build) -> None:
    w = world(accepts)
    for change in ({"api_user": "rotated"}, {"base_url": "https://elsewhere"}, {"target_environment": "sandbox"}):
        fields = {name: getattr(w.request, name) for name in RenderedRequest.__slots__} | change
        verdict = w.client.send(RenderedRequest(**fields), w.depart)
        assert (verdict.answer, verdict.cause) == (SendAnswer.NOT_NOW, Cause.NOT_DEPARTED)
    assert w.server.requests == []


def test_many_threads_have_a_connection_each(world: Build) -> None:
    together = threading.Barrier(8)

    def waits_for_all(_request: Request, line: Line) -> None:
        together.wait(10)
        line.say(answer(202))

    w = world(waits_for_all)
    verdicts: list[SendVerdict] = []
    threads = [threading.Thread(target=lambda: verdicts.append(w.send())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [verdict.answer for verdict in verdicts] == [SendAnswer.ACCEPTED] * 8
    assert len(w.server.token_requests) == 1


def test_a_host_that_takes_no_connection_is_never_sent(world: Build) -> None:
    w = world(accepts)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # A listener that never accepts and whose queue is full lets connecting time out.
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        account = an_account(f"http://127.0.0.1:{address[1]}")
        client = a_client(account, tokens=w.client._tokens, connect_timeout_seconds=0.2)
        verdict = client.send(a_request(account), w.depart)
        for filler in fillers:
            filler.close()
        client.close()
    assert (verdict.answer, verdict.cause, verdict.never_left) == (SendAnswer.NOT_NOW, Cause.NEVER_SENT, True)
    assert w.departures == 0
