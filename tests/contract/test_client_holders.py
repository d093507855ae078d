"""Questions about the person behind a number, on a real wire and at the fake MTN: yes, no, a name, nobody; and all the answers that say nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mtn_openapi import hold_against, needs_specifications, specification
from tests.support.mtn_world import a_client, an_account, uganda
from tests.support.raw_server import Line, RawServer, Request, answer, token_answer
from tests.support.simulator import SimulatorControl

from momo_worker.mtn.client import MtnClient
from momo_worker.mtn.holders import parse_active, parse_name
from momo_worker.pacing import NotDepartedError
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause, HolderVerdict

NUMBER = "256772123456"
JSON = {"Content-Type": "application/json"}
PAGE = {"Content-Type": "text/html"}
KEY_TEXT = "Access denied due to invalid subscription key."


def code(name: str) -> bytes:
    return json.dumps({"code": name, "message": ""}).encode()


def gateway(status: int, message: str) -> bytes:
    return json.dumps({"statusCode": status, "message": message}).encode()


#: What both questions are answered without an answer: status, headers, body, cause, wait.
NO_WORD: list[tuple[int, dict[str, str], bytes, Cause, float | None]] = [
    (200, {}, b"", Cause.FAULT, None),
    (200, PAGE, b"<html>Request Rejected</html>", Cause.FAULT, None),
    (200, JSON, b"<html>", Cause.FAULT, None),
    (200, JSON, b"{}", Cause.FAULT, None),
    (200, JSON, b'{"somebody": "else"}', Cause.FAULT, None),
    (200, JSON, b"[true]", Cause.FAULT, None),
    (200, JSON, b"true", Cause.FAULT, None),
    (200, JSON, b'{"result": true, "result": false}', Cause.FAULT, None),
    (202, JSON, b'{"result": true, "given_name": "Amina"}', Cause.FAULT, None),
    (302, {}, b"", Cause.FAULT, None),
    (400, {}, b"", Cause.NONE, None),
    (401, {}, b"", Cause.TOKEN_REFUSED, None),
    (401, JSON, b'{"error": "invalid_token"}', Cause.TOKEN_REFUSED, None),
    (401, JSON, gateway(401, KEY_TEXT), Cause.KEY_REFUSED, None),
    (403, JSON, gateway(403, "FORBIDDEN IP"), Cause.FORBIDDEN, None),
    (403, JSON, gateway(403, "Out of call volume quota. Quota will be replenished in 00:01:02."), Cause.THROTTLED, 62),
    (404, JSON, gateway(404, "Resource not found"), Cause.CONFIGURATION, None),
    (404, {}, b"", Cause.FAULT, None),
    (404, PAGE, b"<html>Not found</html>", Cause.FAULT, None),
    (404, JSON, code("SOMETHING_NEW"), Cause.FAULT, None),
    (429, JSON, gateway(429, "Rate limit is exceeded. Try again in 7 seconds."), Cause.THROTTLED, 7),
    (500, JSON, code("NOT_ALLOWED"), Cause.CONFIGURATION, None),
    (500, JSON, code("NOT_ALLOWED_TARGET_ENVIRONMENT"), Cause.CONFIGURATION, None),
    (500, JSON, code("INTERNAL_PROCESSING_ERROR"), Cause.FAULT, None),
    (502, PAGE, b"<html>Bad Gateway</html>", Cause.FAULT, None),
    (503, JSON, code("SERVICE_UNAVAILABLE"), Cause.FAULT, None),
]


@pytest.mark.parametrize(("status", "headers", "body", "cause", "wait"), NO_WORD)
def test_what_is_no_answer_says_neither_yes_nor_no(
    status: int, headers: dict[str, str], body: bytes, cause: Cause, wait: float | None
) -> None:
    for parse in (parse_active, parse_name):
        verdict = parse(status, headers, body)
        assert (verdict.answered, verdict.cause, verdict.retry_after_seconds) == (False, cause, wait)
        assert (verdict.active, verdict.name) == (None, None)
        assert verdict.message


@pytest.mark.parametrize(
    ("body", "active"),
    [
        (b'{"result": true}', True),
        (b'{"result": false}', False),
        (b'{"result": "true"}', True),
        (b'{"result": "False"}', False),
        (b'{"result": true, "more": 1}', True),
    ],
)
def test_yes_and_no_are_read_as_a_boolean_and_as_text(body: bytes, active: bool) -> None:
    assert parse_active(200, JSON, body) == HolderVerdict(answered=True, active=active, http_status=200)


@pytest.mark.parametrize("body", [b'{"result": "yes"}', b'{"result": 1}', b'{"result": null}', b'{"result": [true]}'])
def test_a_result_that_is_neither_says_nothing(body: bytes) -> None:
    assert not parse_active(200, JSON, body).answered


@pytest.mark.parametrize("status", [404, 500])
@pytest.mark.parametrize("word", ["RESOURCE_NOT_FOUND", "PAYEE_NOT_FOUND", "PAYER_NOT_FOUND", "NOT_FOUND"])
def test_mtns_own_word_that_it_knows_nobody_is_an_answer(status: int, word: str) -> None:
    assert parse_active(status, JSON, code(word)) == HolderVerdict(answered=True, active=False, http_status=status)
    assert parse_name(status, JSON, code(word)) == HolderVerdict(answered=True, http_status=status)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"given_name": "Amina", "family_name": "Okello", "birthdate": "1990-01-01"}, "Amina Okello"),
        ({"given_name": "Amina", "family_name": ""}, "Amina"),
        ({"given_name": None, "family_name": "Okello"}, "Okello"),
        ({"sub": "0", "name": "Sand Box", "given_name": "Sand", "family_name": "Box"}, "Sand Box"),
        ({"name": "Sand Box"}, "Sand Box"),
        ({"given_name": " A\u0000mina\n", "family_name": "O'Kello"}, "A mina O'Kello"),
        ({"given_name": ["Amina"], "locale": "en_UG"}, None),
        ({"status": "ACTIVE"}, None),
        ({"given_name": "x" * 900, "family_name": "y"}, "x" * 200),
    ],
)
def test_a_person_is_a_name_or_none(body: dict[str, Any], name: str | None) -> None:
    verdict = parse_name(200, JSON, json.dumps(body).encode())
    assert (verdict.answered, verdict.name) == (True, name)
    assert "Amina" not in repr(verdict)


@given(st.integers(100, 599), st.binary(max_size=80), st.sampled_from([JSON, PAGE, {}]))
def test_no_answer_whatever_breaks_the_reading(status: int, body: bytes, headers: dict[str, str]) -> None:
    active, name = parse_active(status, headers, body), parse_name(status, headers, body)
    assert active.answered == (active.active is not None)
    assert name.answered or name.name is None


# ---- on the wire


class Asked:
    """A scripted server, a client of it, and how often it was let go."""

    def __init__(self, server: RawServer, product: Product = Product.DISBURSEMENT) -> None:
        self.server, self.client = server, a_client(an_account(server.url), product)
        self.departures = 0

    def depart(self) -> None:
        self.departures += 1

    def close(self) -> None:
        self.client.close()
        self.client._tokens.close()


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(lambda _request, line: line.say(answer(200, {"result": True}))) as running:
        yield running


@needs_specifications
@pytest.mark.parametrize("product", Product)
def test_both_questions_are_mtns_own_calls(server: RawServer, product: Product) -> None:
    asked = Asked(server, product)
    asked.client.holder_active(NUMBER, asked.depart)
    asked.client.holder_name(NUMBER, asked.depart)
    asked.close()
    for seen in server.requests:
        operation = hold_against(specification(product.value), seen)
        [kind] = [one for one in operation["parameters"] if one["name"] == "accountHolderIdType"]
        allowed = kind.get("enum") or kind.get("schema", {}).get("enum") or ["msisdn"]
        assert "msisdn" in {one.lower() for one in allowed}
        assert (seen.method, seen.body) == ("GET", b"")
        assert "x-reference-id" not in seen.headers
    assert [seen.path.rsplit("/", 1)[1] for seen in server.requests] == ["active", "basicuserinfo"]
    assert asked.departures == 2


def test_a_refused_token_costs_one_more_read_and_each_is_let_go(server: RawServer) -> None:
    tokens = iter(["old", "new"])

    def only_new(request: Request, line: Line) -> None:
        fresh = request.headers["authorization"] == "Bearer new"
        line.say(answer(200, {"result": False}) if fresh else answer(401))

    server.script, server.token_script = only_new, lambda _request, line: line.say(token_answer(next(tokens)))
    asked = Asked(server)
    assert asked.client.holder_active(NUMBER, asked.depart).active is False
    assert asked.departures == 2
    asked.close()


def test_a_refused_key_tries_the_secondary(server: RawServer) -> None:
    def knows_the_second(request: Request, line: Line) -> None:
        known = request.headers["ocp-apim-subscription-key"].startswith("secondary")
        line.say(answer(200, {"given_name": "Amina"}) if known else answer(401, {"message": KEY_TEXT}))

    server.script = knows_the_second
    asked = Asked(server)
    assert asked.client.holder_name(NUMBER, asked.depart).name == "Amina"
    asked.close()


def test_who_may_not_leave_asks_nothing(server: RawServer) -> None:
    def refuse() -> None:
        raise NotDepartedError("no slot within 2 s")

    asked = Asked(server)
    verdict = asked.client.holder_active(NUMBER, refuse)
    assert (verdict.answered, verdict.cause, server.requests) == (False, Cause.NOT_DEPARTED, [])
    asked.close()


def test_nobody_there_is_no_answer(server: RawServer) -> None:
    asked = Asked(server)
    asked.client._tokens.current()
    server.__exit__()
    assert asked.client.holder_active(NUMBER, asked.depart).cause is Cause.NEVER_SENT
    asked.close()


@pytest.mark.parametrize("bad", ["", "+256772123456", "256/../x", "256 772", "٢٥٦"])
def test_what_is_no_number_is_never_asked_about(server: RawServer, bad: str) -> None:
    asked = Asked(server)
    with pytest.raises(ValueError, match="digits"):
        asked.client.holder_name(bad, asked.depart)
    assert server.requests == []
    asked.close()


# ---- at the fake MTN


@pytest.fixture(params=list(Product))
def client(simulator: SimulatorControl, request: pytest.FixtureRequest) -> Iterator[MtnClient]:
    client = a_client(uganda(simulator.url), request.param)
    yield client
    client.close()
    client._tokens.close()


def let_go() -> None:
    """Nobody holds it back."""


def test_who_is_set_at_the_simulator_is_who_answers(simulator: SimulatorControl, client: MtnClient) -> None:
    simulator.holders(
        {"msisdn": "256772000001", "given_name": "Amina", "family_name": "Okello"},
        {"msisdn": "256772000002", "given_name": "Kofi", "active": False},
        {"msisdn": "256772000003", "known": False},
        {"msisdn": "256772000004"},
    )
    active = [client.holder_active(f"25677200000{n}", let_go).active for n in (1, 2, 3, 4)]
    names = [client.holder_name(f"25677200000{n}", let_go).name for n in (1, 2, 3, 4)]
    assert active == [True, False, False, True]
    assert names == ["Amina Okello", "Kofi", None, None]
    simulator.reset()
    assert client.holder_name("256772000004", let_go).name


def test_every_odd_form_is_read(simulator: SimulatorControl, client: MtnClient) -> None:
    simulator.holders({"msisdn": NUMBER, "given_name": "Amina", "family_name": "Okello"})
    simulator.fault("result_as_text", msisdn=NUMBER)
    assert client.holder_active(NUMBER, let_go).active is True
    simulator.fault("whole_name", count=1)
    assert client.holder_name(NUMBER, let_go).name == "Amina Okello"
    simulator.fault("missing_fields", count=1)
    nameless = client.holder_name(NUMBER, let_go)
    assert (nameless.answered, nameless.name) == (True, None)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("empty_answer", Cause.FAULT),
        ("html_200", Cause.FAULT),
        ("bad_gateway", Cause.FAULT),
        ("lost_answer", Cause.FAULT),
        ("halfway_answer", Cause.FAULT),
        ("forbidden_ip", Cause.FORBIDDEN),
        ("quota_exceeded", Cause.THROTTLED),
        ("gateway_not_found", Cause.CONFIGURATION),
        ("error_before_creation", Cause.FAULT),
        ("redirect", Cause.FAULT),
        ("bad_request", Cause.NONE),
    ],
)
def test_what_goes_wrong_says_nothing_of_the_person(
    simulator: SimulatorControl, client: MtnClient, fault: str, cause: Cause
) -> None:
    simulator.fault(fault, msisdn=NUMBER)
    for verdict in (client.holder_active(NUMBER, let_go), client.holder_name(NUMBER, let_go)):
        assert (verdict.answered, verdict.cause) == (False, cause)


def test_the_test_numbers_of_the_sandbox_answer_as_mtn_says(simulator: SimulatorControl, client: MtnClient) -> None:
    endings = {suffix: client.holder_active(f"256773123{suffix}", let_go) for suffix in range(450, 457)}
    assert [one.active for one in endings.values()] == [False, False, None, None, None, None, True]
    assert endings[454].cause is Cause.FAULT
    assert client.holder_name("256773123450", let_go).name is None
