"""Every answer of the fake MTN for a documented operation is one that MTN's specification lists, or one of the table of gateway answers.

Without the specifications (see tests/support/mtn_specification.py) the tests that need them have no parameters and don't run.
"""

import base64
import json

import jsonschema
import pytest
from tests.support import mtn_specification as specification
from tests.support.simulator import (
    ALL_CREDENTIALS,
    SANDBOX_COLLECTION,
    SANDBOX_DISBURSEMENT,
    UGANDA_DISBURSEMENT,
    a_body,
)
from tests.support.simulator_model import InProcessMtn, as_caller

from momo_worker.simulator.answers import GATEWAY_ANSWERS
from momo_worker.simulator.faults import CREATION, FAULTS
from momo_worker.simulator.messages import Reply
from momo_worker.simulator.routes import ALL_ROUTES, Route

BY_PRODUCT = {"collection": SANDBOX_COLLECTION, "disbursement": SANDBOX_DISBURSEMENT, "": SANDBOX_COLLECTION}
_NUMBER = "46700000001"
# What the README says is not imitated, as pieces of the paths in the specification.
NOT_IMITATED = frozenset(
    [
        "bc-authorize",
        "oauth2",
        "invoice",
        "payment",
        "preapproval",
        "preapprovals",
        "requesttowithdraw",
        "deliverynotification",
    ]
)

OPERATIONS = (
    {(one.product, one.method, one.template): one for one in specification.operations()}
    if specification.PRESENT
    else {}
)
ROUTES = ALL_ROUTES if specification.PRESENT else ()


def name_of(route: Route) -> str:
    return f"{route.product} {route.method} {route.template}"


class Asked:
    """One route asked in every way we can think of; `replies` are the whole answers that a client got to see."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.mtn = InProcessMtn(BY_PRODUCT[route.product], reason_form="object")
        self.replies: list[Reply] = []

    def ask(
        self, *, reference: str | None = None, number: str = _NUMBER, body: bytes | None = None, **headers: str | None
    ) -> Reply:
        reply = self.mtn.send(
            self.route.method,
            self._path(reference or self.mtn.reference(), number),
            self._headers(reference, headers),
            self._body(number) if body is None else body,
        )
        if reply.delivery.kind == "answered":
            self.replies.append(reply)
        return reply

    def existing(self, number: str = _NUMBER) -> str:
        """A reference that this route will find: a payment, or an API user."""
        if not self.route.product:
            headers = {
                "ocp-apim-subscription-key": self.mtn.who.subscription_key,
                "x-reference-id": self.mtn.reference(),
            }
            assert (
                self.mtn.send("POST", "/v1_0/apiuser", headers, b'{"providerCallbackHost":"localhost"}').status == 201
            )
            return headers["x-reference-id"]
        if not self.route.reads_status:
            return self.mtn.reference()
        return self.mtn.pay(
            self.route.operation,
            number=self._refundable() if self.route.operation == "refund" and number == _NUMBER else number,
        )

    def _refundable(self) -> str:
        mtn, before = self.mtn, self.mtn.who
        collected = as_caller(mtn, SANDBOX_COLLECTION).pay("requesttopay", number=_NUMBER)
        mtn.wait(1)
        as_caller(mtn, before)
        return collected

    def _path(self, reference: str, number: str) -> str:
        values = {"{referenceId}": reference, "{X-Reference-Id}": reference, "{currency}": self.mtn.who.currency}
        values |= {"{accountHolderIdType}": "msisdn", "{accountHolderId}": number}
        path = self.route.template
        for mark, value in values.items():
            path = path.replace(mark, value)
        return f"/{self.route.product}{path}" if self.route.product else path

    def _headers(self, reference: str | None, changes: dict[str, str | None]) -> dict[str, str | None]:
        headers = self.mtn.headers(**{"x_reference_id": reference or self.mtn.reference(), **changes})
        if self.route.operation == "token" and "authorization" not in changes:
            user = f"{self.mtn.who.api_user}:{self.mtn.who.api_key}"
            headers["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        return headers

    def _body(self, number: str) -> bytes:
        if self.route.operation == "apiuser" and self.route.method == "POST":
            return b'{"providerCallbackHost":"localhost"}'
        return (
            json.dumps(a_body(self.route.operation, self.mtn.who, number=number)).encode()
            if self.route.creates
            else b""
        )


def asked_in_every_way(route: Route) -> Asked:
    asked = Asked(route)
    existing = asked.existing()
    asked.ask(reference=existing)
    asked.mtn.wait(1)
    for _ in range(2):
        asked.ask(reference=existing)
    for suffix in range(450, 465):
        number = f"46733123{suffix}" if route.operation != "refund" else str(suffix - 449)
        asked.ask(number=number, reference=asked.existing(number) if route.reads_status else None)
    for change in (
        {"x_target_environment": None},
        {"x_target_environment": "mtnuganda"},
        {"authorization": None},
        {"ocp_apim_subscription_key": None},
        {"ocp_apim_subscription_key": "0"},
        {"x_callback_url": ""},
        {"x_callback_url": "http://elsewhere.example/"},
    ):
        asked.ask(**change)
    asked.ask(reference="no-uuid")
    asked.ask(body=b"{")
    for fault in FAULTS:
        asked.mtn.fault(fault, method=route.method)
        asked.ask(reference=existing)
        asked.mtn.model.faults.clear()
    return asked


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_every_answer_is_documented_or_in_the_table_of_gateway_answers(route: Route) -> None:
    documented = OPERATIONS[route.product, route.method, route.template].statuses
    seen = {reply.status for reply in asked_in_every_way(route).replies}
    assert seen & documented, "nothing of what MTN documents was answered"
    assert seen - documented - set(GATEWAY_ANSWERS) == set()
    answered_well = {202} if route.creates else {200, 201}
    assert seen & answered_well


@pytest.mark.parametrize("route", [one for one in ROUTES if not one.creates], ids=name_of)
def test_a_good_answer_has_the_shape_of_the_specification(route: Route) -> None:
    schema = OPERATIONS[route.product, route.method, route.template].schema
    asked = Asked(route)
    seen = []
    for number in (_NUMBER, "46733123451") if route.operation != "refund" else (_NUMBER, "3"):
        existing = asked.existing(number)
        for wait_seconds in (0, 1):
            asked.mtn.wait(wait_seconds)
            seen.append(asked.ask(reference=existing, number=number))
    bodies = [reply.json() for reply in seen if reply.status in {200, 201} and reply.body]
    if schema is None:
        # OAS gives no schema for these; their bodies are in mtn-api 2.1 and 3 only.
        assert route.operation in {"apiuser", "active"}
        return
    assert bodies or route.operation == "apiuser"
    for body in bodies:
        jsonschema.validate(body, schema)
        known = _properties(schema)
        assert known is None or set(body) <= known


def _properties(schema: dict[str, object]) -> set[str] | None:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        found = schema.get("properties")
        return set(found) if isinstance(found, dict) else None
    target: object = schema
    for piece in reference.removeprefix("#/").split("/"):
        assert isinstance(target, dict)
        target = target[piece]
    return _properties(target) if isinstance(target, dict) else None


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: f"{one.product} {one.method} {one.template}")
def test_every_documented_operation_is_imitated_or_named_as_not(operation: specification.Operation) -> None:
    imitated = (operation.product, operation.method, operation.template) in {
        (one.product, one.method, one.template) for one in ALL_ROUTES
    }
    left_out = any(piece in NOT_IMITATED for piece in operation.template.split("/"))
    assert imitated != left_out


def test_every_row_of_the_table_of_gateway_answers_is_really_answered() -> None:
    seen: set[int] = set()
    for fault, (phase, _) in FAULTS.items():
        if phase != CREATION:
            mtn = InProcessMtn(UGANDA_DISBURSEMENT)
            mtn.fault(fault)
            seen |= {mtn.post("transfer", mtn.reference()).status, mtn.get("account/balance").status}
    mtn = InProcessMtn(UGANDA_DISBURSEMENT)
    seen.add(mtn.send("POST", "/disbursement/token/", {**mtn.headers(), "transfer-encoding": "chunked"}).status)
    assert set(GATEWAY_ANSWERS) <= seen


def test_the_credentials_that_tests_use_are_those_of_the_simulator() -> None:
    about = InProcessMtn().door("GET", "about")["accounts"]
    known = [
        (account["name"], one["product"], account["target_environment"], account["currency"], *_keys(one))
        for account in about
        for one in account["subscriptions"]
    ]
    users = [(account["name"], user["user_id"], user["api_key"]) for account in about for user in account["api_users"]]
    for who in ALL_CREDENTIALS:
        keys = (who.subscription_key, who.secondary_key)
        assert (who.account, who.product, who.target_environment, who.currency, *keys) in known
        assert (who.account, who.api_user, who.api_key) in users


def _keys(subscription: dict[str, str]) -> tuple[str, str]:
    return subscription["primary_key"], subscription["secondary_key"]
