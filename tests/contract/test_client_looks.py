"""Status reads, balance, probe and provisioning on a real wire: what may be asked again, and what is said when nothing was learnt."""

import logging
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.support.mtn_world import (
    API_KEY,
    CLOCK,
    SUBSCRIPTION_KEY,
    a_client,
    a_request,
    a_token_source,
    an_account,
)
from tests.support.raw_server import Line, RawServer, Request, Script, answer, token_answer

from momo_worker.accounts import Credentials
from momo_worker.mtn.client import Balance, MtnClient
from momo_worker.mtn.errors import (
    ConfigurationError,
    CredentialsRefusedError,
    MtnError,
    NotDepartedError,
    NotReachableError,
    UnexpectedAnswerError,
)
from momo_worker.mtn.provisioning import ApiUser, Provisioning
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, RenderedRequest, Status

FOUND = {"status": "SUCCESSFUL", "amount": "150000", "currency": "UGX", "financialTransactionId": "123"}
KEY_TEXT = "Access denied due to invalid subscription key."


class World:
    """A scripted server, a client of it, and how often it was let go."""

    def __init__(self, server: RawServer, client: MtnClient, request: RenderedRequest) -> None:
        self.server, self.client, self.request = server, client, request
        self.departures = 0

    def depart(self) -> None:
        self.departures += 1

    def look(self) -> LookVerdict:
        return self.client.look(self.request, self.depart)


Build = Callable[..., World]


@pytest.fixture(params=["its first call", "a connection that is open"])
def world(request: pytest.FixtureRequest) -> Iterator[Build]:
    """Every answer is tried on both ways to ask: one connects, the other finds a connection open."""
    opened: list[tuple[RawServer, MtnClient]] = []

    def build(script: Script, *, token_script: Script | None = None, **options: Any) -> World:
        server = RawServer(says(200, FOUND)).__enter__()
        account = an_account(server.url, **options.pop("account", {}))
        client = a_client(account, **options)
        opened.append((server, client))
        if request.param == "a connection that is open":
            assert client.look(a_request(account), lambda: None).http_status == 200
            client._tokens.close()
            client._tokens = a_token_source(account, client._product)
            server.requests.clear()
            server.token_requests.clear()
        server.script = script
        server.token_script = token_script or server.token_script
        return World(server, client, a_request(account))

    yield build
    for server, client in opened:
        client.close()
        client._tokens.close()
        server.__exit__()


def says(status: int, body: object = b"", **options: Any) -> Script:
    return lambda _request, line: line.say(answer(status, body, **options))


def test_a_look_asks_for_the_reference_and_reads_the_answer(world: Build) -> None:
    w = world(says(200, FOUND))
    verdict = w.look()
    assert (verdict.answer, verdict.status) == (LookAnswer.FOUND, Status.SUCCESSFUL)
    [seen] = w.server.requests
    assert (seen.method, seen.path, seen.body) == ("GET", f"{w.request.path}/{w.request.reference_id}", b"")
    assert "x-reference-id" not in seen.headers
    assert seen.headers["x-target-environment"] == "mtnuganda"
    assert w.departures == 1


def test_a_look_is_repeated_once_after_a_refused_token(world: Build) -> None:
    tokens = iter(["old", "new", "newer"])

    def only_new(request: Request, line: Line) -> None:
        fresh = request.headers["authorization"] == "Bearer new"
        line.say(answer(200, FOUND) if fresh else answer(401, {"error": "x"}))

    w = world(only_new, token_script=lambda _request, line: line.say(token_answer(next(tokens))))
    assert w.look().answer is LookAnswer.FOUND
    assert (w.departures, len(w.server.requests), len(w.server.token_requests)) == (2, 2, 2)


def test_a_look_refused_twice_gives_up(world: Build) -> None:
    w = world(says(401, {"error": "x"}))
    assert w.look().cause is Cause.TOKEN_REFUSED
    assert (w.departures, len(w.server.requests)) == (2, 2)


def test_a_look_with_a_refused_key_tries_the_secondary_and_warns_once(
    world: Build, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    def knows_the_second(request: Request, line: Line) -> None:
        known = request.headers["ocp-apim-subscription-key"].startswith("secondary")
        line.say(answer(200, FOUND) if known else answer(401, {"statusCode": 401, "message": KEY_TEXT}))

    counted: list[None] = []
    caplog.set_level(logging.DEBUG)
    w = world(knows_the_second, secondary_used=lambda: counted.append(None))
    assert w.look().answer is LookAnswer.FOUND
    assert w.look().answer is LookAnswer.FOUND
    assert (w.departures, len(counted)) == (4, 2)
    said = capsys.readouterr().out + caplog.text
    assert said.count("secondary_key_used") == 1
    assert SUBSCRIPTION_KEY not in said


def test_without_a_secondary_key_a_refused_key_is_the_answer(world: Build) -> None:
    credentials = {Product.DISBURSEMENT: Credentials("only-key", "user", "api-key")}
    w = world(says(401, {"statusCode": 401, "message": KEY_TEXT}), account={"credentials": credentials})
    assert w.look().cause is Cause.KEY_REFUSED
    assert w.departures == 1


def test_a_stopped_look_reads_nothing(world: Build) -> None:
    w = world(says(200, FOUND))

    def refuse() -> None:
        raise NotDepartedError("no slot within 2 s")

    verdict = w.client.look(w.request, refuse)
    assert (verdict.answer, verdict.cause) == (LookAnswer.NO_WORD, Cause.NOT_DEPARTED)
    assert w.server.requests == []


@pytest.mark.parametrize(
    "script",
    [
        lambda _request, line: line.reset(),
        lambda _request, line: line.close(),
        says(503),
        says(200, b"<html>Request Rejected</html>", kind="text/html"),
        says(302, headers=["Location: https://elsewhere.example/"]),
        lambda _request, line: line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{") or line.close(),
    ],
)
def test_a_broken_look_says_nothing_and_counts_as_a_fault(world: Build, script: Script) -> None:
    w = world(script)
    verdict = w.look()
    assert (verdict.answer, verdict.cause, verdict.status) == (LookAnswer.NO_WORD, Cause.FAULT, None)
    assert w.departures == 1


def test_a_look_nobody_takes_says_so(world: Build) -> None:
    w = world(says(200, FOUND))
    w.client._tokens.current()
    w.server.__exit__()
    assert w.look().cause is Cause.NEVER_SENT
    assert w.departures == 0


def test_a_look_under_other_credentials_proves_nothing_and_is_not_made(world: Build) -> None:
    w = world(says(404, {"code": "RESOURCE_NOT_FOUND"}))
    other = a_request(an_account("http://127.0.0.1:2"))
    assert w.client.look(other, w.depart).cause is Cause.NOT_DEPARTED
    assert w.server.requests == []


# ---- balance and probe


def test_a_balance_is_exact(world: Build) -> None:
    w = world(says(200, {"availableBalance": "12345678901234.05", "currency": "GHS"}))
    assert w.client.balance("GHS") == Balance(Decimal("12345678901234.05"), "GHS")
    assert w.client.balance().text == "12345678901234.05"
    assert [seen.path for seen in w.server.requests] == [
        "/disbursement/v1_0/account/balance/GHS",
        "/disbursement/v1_0/account/balance",
    ]


def test_a_balance_given_as_a_number_is_taken(world: Build) -> None:
    w = world(lambda _request, line: line.say(answer(200, b'{"availableBalance": 1000.10, "currency": "EUR"}')))
    assert w.client.balance().text == "1000.10"


@pytest.mark.parametrize(
    ("status", "body", "error", "cause"),
    [
        (401, {"statusCode": 401, "message": KEY_TEXT}, CredentialsRefusedError, Cause.KEY_REFUSED),
        (401, b"", CredentialsRefusedError, Cause.TOKEN_REFUSED),
        (403, {"message": "FORBIDDEN IP"}, ConfigurationError, Cause.FORBIDDEN),
        (500, {"code": "NOT_ALLOWED_TARGET_ENVIRONMENT"}, ConfigurationError, Cause.CONFIGURATION),
        (404, {"statusCode": 404, "message": "Resource not found"}, ConfigurationError, Cause.CONFIGURATION),
        (500, {"code": "INTERNAL_PROCESSING_ERROR"}, NotReachableError, Cause.FAULT),
        (429, {"message": "Try again in 9 seconds."}, NotReachableError, Cause.THROTTLED),
        (200, {"status": "odd"}, UnexpectedAnswerError, Cause.FAULT),
        (200, {"availableBalance": "much", "currency": "EUR"}, UnexpectedAnswerError, Cause.FAULT),
        (200, {"availableBalance": "NaN", "currency": "EUR"}, UnexpectedAnswerError, Cause.FAULT),
        (200, b"<html>", NotReachableError, Cause.FAULT),
    ],
)
def test_no_balance_is_explained(world: Build, status: int, body: object, error: type[MtnError], cause: Cause) -> None:
    w = world(says(status, body))
    with pytest.raises(error) as caught:
        w.client.balance()
    assert caught.value.cause is cause
    assert "disbursement of account default" in str(caught.value)
    assert caught.value.advice in str(caught.value)
    if status == 429:
        assert caught.value.retry_after_seconds == 9
    assert w.client.probe() is cause


def test_a_probe_that_goes_well_costs_one_token_and_one_read(world: Build) -> None:
    w = world(says(200, {"availableBalance": "1", "currency": "UGX"}))
    assert w.client.probe() is Cause.NONE
    assert (len(w.server.token_requests), len(w.server.requests)) == (1, 1)
    assert w.client.probe() is Cause.NONE
    assert (len(w.server.token_requests), len(w.server.requests)) == (1, 2)


def test_a_probe_asks_again_for_a_token_that_was_refused_a_moment_ago(world: Build) -> None:
    answers = iter([answer(500, {"error": "login_failed"}), token_answer()])
    w = world(
        says(200, {"availableBalance": "1", "currency": "UGX"}),
        token_script=lambda _request, line: line.say(next(answers)),
    )
    assert w.look().cause is Cause.LOGIN_REFUSED
    assert w.look().cause is Cause.LOGIN_REFUSED
    assert len(w.server.token_requests) == 1
    assert w.client.probe() is Cause.NONE
    assert len(w.server.token_requests) == 2


def test_nothing_that_a_person_sees_of_a_client_holds_a_secret(world: Build) -> None:
    w = world(says(500, {"code": "INTERNAL_PROCESSING_ERROR"}))
    token = w.client._tokens.current()
    with pytest.raises(MtnError) as caught:
        w.client.balance()
    shown = repr((token, w.client, w.client._tokens, w.client._credentials, caught.value, caught.value.__dict__))
    for secret in (SUBSCRIPTION_KEY, API_KEY, token.value, token.sealed):
        assert secret not in shown


# ---- what is configured wrongly is said before anything is sent


@pytest.mark.parametrize(
    "url", ["http://momo.example.org", "ftp://127.0.0.1", "proxy.momoapi.mtn.com", "http://127.0.0.1.example.org"]
)
def test_an_address_without_tls_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS"):
        a_client(an_account(url))


@pytest.mark.parametrize("bad", ["", "with space", "line\nend", "ümlaut", "a\x00b"])
def test_a_key_that_can_be_no_key_is_named_and_not_shown(bad: str) -> None:
    credentials = {Product.DISBURSEMENT: Credentials(bad, "user", "api-key")}
    with pytest.raises(ConfigurationError, match="subscription_key") as caught:
        a_client(an_account(credentials=credentials))
    assert not bad or bad not in str(caught.value)


# ---- provisioning


@pytest.fixture
def provisioning() -> Iterator[Callable[[Script], tuple[RawServer, Provisioning]]]:
    opened: list[tuple[RawServer, Provisioning]] = []

    def build(script: Script) -> tuple[RawServer, Provisioning]:
        server = RawServer(script).__enter__()
        opened.append((server, Provisioning(server.url, SUBSCRIPTION_KEY, clock=CLOCK)))
        return opened[-1]

    yield build
    for server, door in opened:
        door.close()
        server.__exit__()


USER_ID = str(uuid.UUID(int=1, version=4))


def test_a_user_a_key_and_its_details_are_asked_for(provisioning: Any) -> None:
    answers = iter(
        [
            answer(201),
            answer(409, {"code": "RESOURCE_ALREADY_EXIST"}),
            answer(201, {"apiKey": "f1db798c98df4bcf83b538175893bbf0"}),
            answer(200, {"providerCallbackHost": "pay.example.org", "targetEnvironment": "sandbox"}),
        ]
    )
    server, door = provisioning(lambda _request, line: line.say(next(answers)))
    assert door.create_user(USER_ID, "pay.example.org") is True
    assert door.create_user(USER_ID, "pay.example.org") is False
    key = door.create_key(USER_ID)
    assert key.value == "f1db798c98df4bcf83b538175893bbf0"
    assert key.value not in repr(key)
    assert door.user(USER_ID) == ApiUser("pay.example.org", "sandbox")
    create, _, make_key, read = server.requests
    assert (create.method, create.path, create.body) == (
        "POST",
        "/v1_0/apiuser",
        b'{"providerCallbackHost": "pay.example.org"}',
    )
    assert create.headers["x-reference-id"] == USER_ID
    assert (make_key.method, make_key.path) == ("POST", f"/v1_0/apiuser/{USER_ID}/apikey")
    assert make_key.headers["content-length"] == "0"
    assert (read.method, read.path) == ("GET", f"/v1_0/apiuser/{USER_ID}")


@pytest.mark.parametrize(
    "host", ["https://pay.example.org", "pay.example.org/path", "10.0.0.1", "", "pay.example.org:443"]
)
def test_a_callback_host_that_is_none_is_refused_before_asking(provisioning: Any, host: str) -> None:
    server, door = provisioning(lambda _request, line: line.say(answer(201)))
    with pytest.raises(ConfigurationError, match="host"):
        door.create_user(USER_ID, host)
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"statusCode": 401, "message": KEY_TEXT}, CredentialsRefusedError),
        (400, b"", ConfigurationError),
        (500, b"", NotReachableError),
        (200, b"<html>", NotReachableError),
    ],
)
def test_provisioning_that_fails_says_what_to_do(
    provisioning: Any, status: int, body: object, error: type[MtnError]
) -> None:
    _, door = provisioning(lambda _request, line: line.say(answer(status, body)))
    for call in (
        lambda: door.create_user(USER_ID, "a.example"),
        lambda: door.create_key(USER_ID),
        lambda: door.user(USER_ID),
    ):
        with pytest.raises(error):
            call()


def test_provisioning_without_a_network_is_not_reachable(provisioning: Any) -> None:
    server, door = provisioning(lambda _request, line: line.close())
    server.__exit__()
    with pytest.raises(NotReachableError):
        door.user(USER_ID)
