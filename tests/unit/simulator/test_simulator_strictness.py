"""The model refuses what MTN refuses, in MTN's words (mtn-api 4, 5 and 9); no socket, a clock that the test moves."""

import json
from typing import Any

import pytest
from tests.support.simulator import (
    SANDBOX_COLLECTION,
    SANDBOX_DISBURSEMENT,
    UGANDA_COLLECTION,
    UGANDA_DISBURSEMENT,
    Credentials,
    a_body,
)
from tests.support.simulator_model import InProcessMtn, as_caller

from momo_worker.simulator.messages import Request


@pytest.fixture
def mtn() -> InProcessMtn:
    return InProcessMtn()


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "salary-0042",
        "c72025f5-5cd1-1630-8e93-6dcb4f7f3a4c",
        "c72025f5-5cd1-5630-8e93-6dcb4f7f3a4c",
        "c72025f5-5cd1-4630-7e93-6dcb4f7f3a4c",
        "c72025f55cd146308e936dcb4f7f3a4c",
    ],
)
def test_a_reference_that_is_no_uuid_of_version_four_is_refused_without_a_body(
    mtn: InProcessMtn, reference: str
) -> None:
    reply = mtn.post("transfer", reference)
    assert (reply.status, reply.body) == (400, b"")


def test_a_reference_is_missing(mtn: InProcessMtn) -> None:
    reply = mtn.send(
        "POST", "/disbursement/v1_0/transfer", mtn.headers(), json.dumps(a_body("transfer", mtn.who)).encode()
    )
    assert (reply.status, reply.body) == (400, b"")


def test_a_used_reference_is_a_conflict_whatever_became_of_the_payment(mtn: InProcessMtn) -> None:
    for number in ("256772123456", "256773123451"):
        reference = mtn.pay("transfer", number=number)
        mtn.wait(5)
        again = mtn.post("transfer", reference)
        assert (again.status, again.json()["code"]) == (409, "RESOURCE_ALREADY_EXIST")
    assert len(mtn.movements()) == 1


def test_a_reference_is_the_same_in_upper_and_lower_case(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer")
    assert mtn.post("transfer", reference.upper()).status == 409
    assert mtn.get(f"transfer/{reference.upper()}").status == 200


@pytest.mark.parametrize(("scope", "expected"), [("environment", 409), ("product", 202)])
def test_the_scope_of_a_reference_is_a_switch(scope: str, expected: int) -> None:
    mtn = InProcessMtn(UGANDA_COLLECTION, reference_scope=scope)
    reference = mtn.pay("requesttopay")
    as_caller(mtn, UGANDA_DISBURSEMENT)
    assert mtn.post("transfer", reference).status == expected


def test_the_target_environment_is_required_and_must_be_ones_own(mtn: InProcessMtn) -> None:
    missing = mtn.post("transfer", mtn.reference(), x_target_environment=None)
    assert (missing.status, missing.body) == (400, b"")
    wrong = mtn.post("transfer", mtn.reference(), x_target_environment="sandbox")
    assert (wrong.status, wrong.json()["code"]) == (500, "NOT_ALLOWED_TARGET_ENVIRONMENT")
    assert mtn.get("account/balance", x_target_environment=None).status == 400


def test_a_subscription_key_opens_its_own_product_only(mtn: InProcessMtn) -> None:
    missing = mtn.post("transfer", mtn.reference(), ocp_apim_subscription_key=None)
    assert (missing.status, missing.json()["statusCode"]) == (401, 401)
    assert "missing subscription key" in missing.json()["message"]
    for key in ("0" * 32, UGANDA_COLLECTION.subscription_key):
        wrong = mtn.post("transfer", mtn.reference(), ocp_apim_subscription_key=key)
        assert wrong.status == 401
        assert "Access denied due to invalid subscription key" in wrong.json()["message"]


def test_both_keys_of_a_subscription_work(mtn: InProcessMtn) -> None:
    assert mtn.post("transfer", mtn.reference(), ocp_apim_subscription_key=mtn.who.secondary_key).status == 202


def test_a_token_lives_an_hour_and_belongs_to_one_product(mtn: InProcessMtn) -> None:
    collection_token = mtn.token(UGANDA_COLLECTION)
    assert mtn.post("transfer", mtn.reference(), authorization=f"Bearer {collection_token}").status == 401
    for value in (None, "Bearer ", "Bearer nonsense", f"Basic {mtn.bearer}"):
        assert mtn.post("transfer", mtn.reference(), authorization=value).status == 401
    mtn.wait(3599.9)
    assert mtn.get("account/balance").status == 200
    mtn.wait(0.2)
    assert mtn.get("account/balance").status == 401


def test_a_token_looks_like_mtns(mtn: InProcessMtn) -> None:
    body = mtn.ask_token().json()
    assert (body["token_type"], body["expires_in"]) == ("access_token", 3600)
    assert body["access_token"].count(".") == 2


@pytest.mark.parametrize("ends", [False, True])
def test_whether_a_new_token_ends_the_older_is_a_switch(ends: bool) -> None:
    mtn = InProcessMtn(new_token_ends_older=ends)
    mtn.token()
    assert mtn.get("account/balance").status == (401 if ends else 200)


@pytest.mark.parametrize("status", [500, 401])
def test_wrong_credentials_fail_the_login(status: int) -> None:
    mtn = InProcessMtn(login_failed_status=status)
    for basic in ("Basic bm9ib2R5Om5vdGhpbmc=", "Basic !!!"):
        reply = mtn.ask_token(authorization=basic)
        assert (reply.status, reply.json()) == (status, {"error": "login_failed"})


def test_a_token_request_without_a_length_is_answered_with_a_page(mtn: InProcessMtn) -> None:
    bare = Request("POST", "/disbursement/token/", {"ocp-apim-subscription-key": mtn.who.subscription_key})
    reply = mtn.model.handle(bare)
    assert (reply.status, reply.headers["Content-Type"]) == (411, "text/html")


def test_a_grant_in_a_form_meets_the_firewall_and_in_json_it_does_not(mtn: InProcessMtn) -> None:
    headers = {"ocp-apim-subscription-key": mtn.who.subscription_key}
    form = {**headers, "content-type": "application/x-www-form-urlencoded"}
    rejected = mtn.send("POST", "/disbursement/token/", form, b"grant_type=client_credentials")
    assert rejected.status == 200
    assert b"Request Rejected" in rejected.body
    basic = {
        **headers,
        "authorization": "Basic MjU2MDAwMDItMDAwMC00MDAwLTgwMDAtMDAwMDAwMDBkMTViOmIwYjBiMGIwYjBiMGIwYjBiMGIwYjBiMGIwYjBkMTVi",
    }
    assert mtn.send("POST", "/disbursement/token/", basic, b'{"grant_type":"client_credentials"}').status == 200
    assert mtn.send("POST", "/disbursement/token/", basic, b"hello").status == 400


@pytest.mark.parametrize(("who", "wrong"), [(SANDBOX_DISBURSEMENT, "UGX"), (UGANDA_DISBURSEMENT, "EUR")])
def test_another_currency_than_the_environments_is_a_client_error_on_a_500(who: Credentials, wrong: str) -> None:
    mtn = InProcessMtn(who)
    reply = mtn.post("transfer", mtn.reference(), a_body("transfer", who, currency=wrong))
    assert (reply.status, reply.json()["code"]) == (500, "INVALID_CURRENCY")


_BAD_BODIES: dict[str, Any] = {
    "no JSON": b"{",
    "deep JSON": b"[" * 100_000,
    "no object": [],
    "no amount": {"amount": None},
    "amount is a number": {"amount": 1000},
    "amount is zero": {"amount": "0"},
    "amount is negative": {"amount": "-5"},
    "amount in science": {"amount": "1e3"},
    "amount is a word": {"amount": "NaN"},
    "a fraction of a shilling": {"amount": "1000.50"},
    "a fraction too fine to see": {"amount": "1000." + "0" * 40 + "1"},
    "no payee": {"payee": None},
    "payee is no object": {"payee": "256772123456"},
    "unknown party type": {"payee": {"partyIdType": "ALIAS", "partyId": "1"}},
    "letters in the number": {"payee": {"partyIdType": "MSISDN", "partyId": "25677212345O"}},
    "number too long": {"payee": {"partyIdType": "MSISDN", "partyId": "2" * 16}},
    "note with an apostrophe": {"payerMessage": "N'Guessan"},
    "note with an ampersand": {"payeeNote": "A & B"},
    "note of 161 characters": {"payeeNote": "x" * 161},
    "NUL in a note": {"payeeNote": "a\x00b"},
    "half a surrogate pair": {"externalId": "\ud83d"},
    "external id is a number": {"externalId": 42},
}


@pytest.mark.parametrize("name", _BAD_BODIES)
def test_a_body_that_mtn_would_not_take_is_a_400_without_a_body(mtn: InProcessMtn, name: str) -> None:
    bad = _BAD_BODIES[name]
    body = {**a_body("transfer", mtn.who), **bad} if isinstance(bad, dict) else bad
    reply = mtn.post(
        "transfer",
        mtn.reference(),
        {k: v for k, v in body.items() if v is not None} if isinstance(body, dict) else body,
    )
    assert (reply.status, reply.body) == (400, b"")


def test_a_note_of_160_characters_is_taken(mtn: InProcessMtn) -> None:
    mtn.pay("transfer", payeeNote="x" * 160)


def test_an_empty_note_is_answered_500_in_a_market_and_taken_in_the_sandbox(mtn: InProcessMtn) -> None:
    assert mtn.post("transfer", mtn.reference(), a_body("transfer", mtn.who, payerMessage="")).status == 500
    sandbox = InProcessMtn(SANDBOX_DISBURSEMENT)
    sandbox.pay("transfer", number="46700000001", payerMessage="")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("", 400, None),
        ("localhost/callback", 400, None),
        ("https://elsewhere.example/callback", 500, "INVALID_CALLBACK_URL_HOST"),
        ("http://127.0.0.1:9/callback", 500, "INVALID_CALLBACK_URL_HOST"),
        ("http://localhost:9/callback", 202, None),
    ],
)
def test_a_callback_goes_to_the_registered_host_or_the_request_is_refused(
    mtn: InProcessMtn, url: str, status: int, code: str | None
) -> None:
    reply = mtn.post("transfer", mtn.reference(), x_callback_url=url)
    assert reply.status == status
    assert (reply.json()["code"] if reply.body else None) == code


def test_a_look_finds_only_what_the_same_api_user_made() -> None:
    mtn = InProcessMtn(UGANDA_COLLECTION)
    reference = mtn.pay("requesttopay")
    other = Credentials(
        "uganda",
        "collection",
        "mtnuganda",
        "UGX",
        UGANDA_COLLECTION.subscription_key,
        "",
        UGANDA_DISBURSEMENT.api_user,
        UGANDA_DISBURSEMENT.api_key,
    )
    as_caller(mtn, other)
    reply = mtn.get(f"requesttopay/{reference}")
    assert (reply.status, reply.json()["code"]) == (404, "RESOURCE_NOT_FOUND")


def test_looks_at_what_is_not_there(mtn: InProcessMtn) -> None:
    unknown = mtn.get(f"transfer/{mtn.reference()}")
    assert (unknown.status, unknown.json()["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert mtn.get("transfer/not-a-uuid").status == 400
    assert mtn.get(f"deposit/{mtn.pay('transfer')}").status == 404
    for path in ("transfers/1", "v2/transfer"):
        wrong = mtn.get(path)
        assert (wrong.status, wrong.json()) == (404, {"statusCode": 404, "message": "Resource not found"})


def test_the_path_is_taken_to_the_letter(mtn: InProcessMtn) -> None:
    assert mtn.send("POST", "/disbursement/token", mtn.headers()).status == 404
    assert mtn.send("POST", "/disbursement//token/", mtn.headers()).status == 400
    assert mtn.send("POST", "/disbursement/v1_0/requesttopay", mtn.headers()).status == 404
    assert mtn.send("DELETE", "/disbursement/v1_0/transfer", mtn.headers()).status == 404


def test_sandbox_api_users_are_made_by_api_and_can_then_pay() -> None:
    mtn = InProcessMtn(SANDBOX_COLLECTION)
    user_id, key_header = mtn.reference(), {"ocp-apim-subscription-key": SANDBOX_COLLECTION.subscription_key}
    body = b'{"providerCallbackHost":"localhost"}'
    create = {**key_header, "x-reference-id": user_id}
    assert mtn.send("POST", "/v1_0/apiuser", create, body).status == 201
    assert mtn.send("POST", "/v1_0/apiuser", create, body).json()["code"] == "RESOURCE_ALREADY_EXIST"
    assert mtn.send("POST", "/v1_0/apiuser", {**key_header, "x-reference-id": "7"}, body).status == 400
    shown = mtn.send("GET", f"/v1_0/apiuser/{user_id}", key_header)
    assert shown.json() == {"providerCallbackHost": "localhost", "targetEnvironment": "sandbox"}
    api_key = mtn.send("POST", f"/v1_0/apiuser/{user_id}/apikey", key_header).json()["apiKey"]
    assert len(api_key) == 32
    fresh = Credentials(
        "sandbox", "collection", "sandbox", "EUR", SANDBOX_COLLECTION.subscription_key, "", user_id, api_key
    )
    as_caller(mtn, fresh).pay("requesttopay", number="46700000001")
    renewed = mtn.send("POST", f"/v1_0/apiuser/{user_id}/apikey", key_header).json()["apiKey"]
    assert renewed != api_key
    assert mtn.ask_token(fresh).status == 500
    assert mtn.send("POST", f"/v1_0/apiuser/{mtn.reference()}/apikey", key_header).status == 404


def test_a_market_makes_no_api_users(mtn: InProcessMtn) -> None:
    headers = {"ocp-apim-subscription-key": mtn.who.subscription_key, "x-reference-id": mtn.reference()}
    assert mtn.send("POST", "/v1_0/apiuser", headers, b'{"providerCallbackHost":"localhost"}').status == 404


@pytest.mark.parametrize("after", [400, 409, 500])
def test_whether_a_refused_post_uses_its_reference_up_is_a_switch(after: int) -> None:
    mtn = InProcessMtn(refused_post_uses_reference=after == 409)
    reference = mtn.reference()
    refusals = {400: {"amount": "0"}, 409: {"amount": "0"}, 500: {"currency": "EUR"}}
    mtn.post("transfer", reference, a_body("transfer", mtn.who, **refusals[after]))
    assert mtn.post("transfer", reference).status == (409 if after == 409 else 202)
    assert mtn.get(f"transfer/{reference}").status == (404 if after == 409 else 200)
