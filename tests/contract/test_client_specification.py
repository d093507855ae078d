"""What our client puts on the wire, held against MTN's own specifications: paths, methods, headers, bodies; and their examples, read by us.

Tests that need the specifications aren't collected where those aren't (tests/support/mtn_openapi.py).
"""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from tests.support.mtn_openapi import SPECIFICATIONS, hold_against, needs_specifications, specification
from tests.support.mtn_world import CLOCK, REFERENCE, SUBSCRIPTION_KEY, a_client, a_request, an_account
from tests.support.raw_server import RawServer, answer

from momo_worker.mtn.provisioning import Provisioning
from momo_worker.mtn.reasons import CODES
from momo_worker.mtn.wire import PATHS, parse_look, parse_send
from momo_worker.payment.payment import PRODUCT_OF, Operation, Product
from momo_worker.payment.verdict import LookAnswer, SendAnswer, Status

JSON = {"Content-Type": "application/json"}
OUR_PATHS = {path.removeprefix(f"/{PRODUCT_OF[operation].value}") for operation, path in PATHS.items()}


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(lambda _request, line: line.say(answer(404))) as running:
        yield running


def body_schema(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a body in either form of specification; references lead into the same document."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema: dict[str, Any] | None = content.get("schema")
    for one in operation.get("parameters", []):
        if one["in"] == "body":
            schema = one["schema"]
    if schema is None:
        return None
    named = schema["$ref"].split("/")
    found: dict[str, Any] = document
    for part in named[1:]:
        found = found[part]
    return {**document, **found, "additionalProperties": False}


@needs_specifications
@pytest.mark.parametrize("operation", Operation)
def test_a_send_and_its_look_are_mtns_own_calls(operation: Operation, server: RawServer) -> None:
    product = PRODUCT_OF[operation]
    account = an_account(server.url)
    client = a_client(account, product)
    request = a_request(account, operation)
    client.send(request, lambda: None)
    client.look(request, lambda: None)
    client.close()
    client._tokens.close()
    document = specification(product.value)
    [token] = server.token_requests
    sent, looked = server.requests
    hold_against(document, token)
    hold_against(document, looked)
    schema = body_schema(document, hold_against(document, sent))
    assert schema is not None
    jsonschema.validate(json.loads(sent.body), schema)
    assert json.loads(sent.body).keys() == schema["properties"].keys()
    assert sent.headers["content-type"] == "application/json"
    assert looked.body == b""
    assert uuid.UUID(sent.headers["x-reference-id"]).version == 4


@needs_specifications
@pytest.mark.parametrize("product", Product)
@pytest.mark.parametrize("currency", [None, "EUR"])
def test_a_balance_is_mtns_own_call(product: Product, currency: str | None) -> None:
    says = answer(200, {"availableBalance": "1", "currency": "EUR"})
    with RawServer(lambda _request, line: line.say(says)) as server:
        client = a_client(an_account(server.url), product)
        client.balance(currency)
        client.close()
        client._tokens.close()
    hold_against(specification(product.value), server.requests[0])


@needs_specifications
def test_provisioning_is_mtns_own_calls() -> None:
    answers = iter([answer(201), answer(201, {"apiKey": "k"}), answer(200, {"targetEnvironment": "sandbox"})])
    with RawServer(lambda _request, line: line.say(next(answers))) as server:
        door = Provisioning(server.url, SUBSCRIPTION_KEY, clock=CLOCK)
        door.create_user(REFERENCE, "pay.example.org")
        door.create_key(REFERENCE)
        door.user(REFERENCE)
        door.close()
    document = specification("sandbox-provisioning-api")
    operations = [hold_against(document, seen) for seen in server.requests]
    schema = body_schema(document, operations[0])
    assert schema is not None
    jsonschema.validate(json.loads(server.requests[0].body), schema)
    assert [len(seen.body) for seen in server.requests[1:]] == [0, 0]


def _examples() -> Iterator[tuple[str, str, str, str, Any]]:
    """Every example of an answer to the calls that we make: file, method, path, status, body."""
    for name in ("collection", "disbursement") if SPECIFICATIONS else ():
        for path, operations in specification(name)["paths"].items():
            if path.removesuffix("/{referenceId}") not in OUR_PATHS:
                continue
            for method, operation in operations.items():
                for status, said in operation["responses"].items():
                    for example in _bodies(said):
                        yield name, method, path, status, example


def _bodies(said: dict[str, Any]) -> Iterator[Any]:
    yield from said.get("examples", {}).values()
    for content in said.get("content", {}).values():
        if "example" in content:
            yield content["example"]
        for one in content.get("examples", {}).values():
            yield one.get("value")


EXAMPLES = [one for one in _examples() if isinstance(one[4], dict)]


@needs_specifications
@pytest.mark.parametrize(("name", "method", "path", "status", "body"), EXAMPLES)
def test_every_example_of_mtns_is_read(name: str, method: str, path: str, status: str, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    if method == "post":
        verdict = parse_send(int(status), JSON, data)
        assert verdict.code in CODES
        if (status, verdict.code) == ("409", "RESOURCE_ALREADY_EXIST"):
            assert verdict.answer is SendAnswer.ACCEPTED
        elif status == "409":
            # Noise of the generator: a code of a payment under a conflict proves nothing.
            assert verdict.answer is SendAnswer.UNKNOWN
        return
    look = parse_look(int(status), JSON, data)
    if status == "200":
        assert look.answer is LookAnswer.FOUND
        assert look.status is (Status(body["status"]) if body["status"] in set(Status) else Status.PENDING)
        assert look.facts.amount == str(body["amount"])
        assert look.reason_code is None or look.reason_code in CODES
    elif body.get("code") == "RESOURCE_NOT_FOUND" and status == "404":
        assert look.answer is LookAnswer.NOT_FOUND
    else:
        assert look.answer is LookAnswer.NO_WORD


@needs_specifications
def test_there_are_examples_to_read() -> None:
    assert len(EXAMPLES) > 20
