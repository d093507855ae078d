"""MTN's language both ways: equal facts give equal bytes; any bytes give a verdict, and none by accident."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.mtn_world import REFERENCE, a_payment, an_account

from momo_worker.mtn.wire import (
    RenderError,
    callback_path,
    parse_look,
    parse_send,
    read,
    reference_of_callback,
    render,
    retry_after_seconds,
    text_of,
)
from momo_worker.payment.payment import Operation
from momo_worker.payment.verdict import Cause, Facts, LookAnswer, SendAnswer, Status

JSON = {"Content-Type": "application/json"}


def looked(body: Any, **headers: str) -> Any:
    return parse_look(200, JSON | headers, body if isinstance(body, bytes) else json.dumps(body).encode())


# ---- out


def test_a_transfer_is_these_bytes_for_ever() -> None:
    request = render(a_payment(), account=an_account(), refund_reference=None)
    assert request.path == "/disbursement/v1_0/transfer"
    assert request.body == (
        b'{"amount":"150000","currency":"UGX","externalId":"EMP-0042",'
        b'"payee":{"partyIdType":"MSISDN","partyId":"256772123456"},'
        b'"payerMessage":"Salary November","payeeNote":"Salary November"}'
    )


def test_a_collection_names_the_payer() -> None:
    request = render(
        a_payment(Operation.COLLECT, amount_minor=1250, currency="GHS", exponent=2),
        account=an_account(),
        refund_reference=None,
    )
    assert (request.path, request.product) == ("/collection/v1_0/requesttopay", "collection")
    fields = json.loads(request.body)
    assert (fields["amount"], fields["payer"]["partyId"]) == ("12.50", "256772123456")
    assert "payee" not in fields


def test_a_deposit_is_a_transfer_at_another_address() -> None:
    request = render(a_payment(Operation.DEPOSIT), account=an_account(), refund_reference=None)
    assert request.path == "/disbursement/v1_0/deposit"
    assert json.loads(request.body)["payee"]["partyId"] == "256772123456"


def test_a_refund_names_the_collections_reference_and_nobody() -> None:
    request = render(a_payment(Operation.REFUND, msisdn=None), account=an_account(), refund_reference=REFERENCE)
    fields = json.loads(request.body)
    assert request.path == "/disbursement/v1_0/refund"
    assert fields["referenceIdToRefund"] == REFERENCE
    assert fields.keys().isdisjoint({"payer", "payee"})


def test_a_refund_may_be_paid_as_a_transfer() -> None:
    account = an_account(refund_by_transfer=True)
    request = render(a_payment(Operation.REFUND), account=account, refund_reference=REFERENCE)
    assert request.path == "/disbursement/v1_0/transfer"
    assert json.loads(request.body)["payee"]["partyId"] == "256772123456"
    with pytest.raises(RenderError, match="number"):
        render(a_payment(Operation.REFUND, msisdn=None), account=account, refund_reference=REFERENCE)


@pytest.mark.parametrize("operation", Operation)
def test_rendering_twice_gives_the_same_request(operation: Operation) -> None:
    def once() -> object:
        return render(a_payment(operation), account=an_account(), refund_reference=REFERENCE)

    assert once() == once()


def test_a_payment_that_lacks_something_is_not_rendered() -> None:
    with pytest.raises(RenderError, match="reference"):
        render(a_payment(Operation.REFUND), account=an_account(), refund_reference=None)
    with pytest.raises(RenderError, match="credentials"):
        render(a_payment(), account=an_account(credentials={}), refund_reference=None)
    with pytest.raises(RenderError, match="MOMO_CALLBACK_SECRET"):
        render(a_payment(), account=an_account(callback_secret=None), refund_reference=None)


def test_a_callback_url_is_a_path_that_only_we_can_make() -> None:
    request = render(a_payment(), account=an_account(), refund_reference=None)
    assert request.callback_url is not None
    assert re.fullmatch(rf"https://callbacks\.example\.org/mtn/{REFERENCE}/[0-9a-f]{{64}}", request.callback_url)
    path = callback_path("callback-secret", REFERENCE)
    assert reference_of_callback("callback-secret", path) == REFERENCE
    assert reference_of_callback("another-secret", path) is None
    assert reference_of_callback("callback-secret", path.replace("6f1f", "7f1f")) is None
    assert reference_of_callback("callback-secret", "") is None
    assert render(a_payment(), account=an_account(callback_url=None), refund_reference=None).callback_url is None


# ---- in


def test_a_real_pending_answer_is_read() -> None:
    body = (
        b'{"externalId":"job-1","amount":"5000","currency":"EUR","payer":{"partyIdType":"MSISDN","partyId":"46733123453"},'
        b'"payerMessage":"m","payeeNote":"n","status":"PENDING"}'
    )
    verdict = looked(body)
    assert (verdict.answer, verdict.status, verdict.raw_status) == (LookAnswer.FOUND, Status.PENDING, "PENDING")
    assert verdict.facts == Facts("5000", "EUR", "46733123453", "job-1")
    assert verdict.financial_transaction_id is None


def test_numbers_where_text_was_promised_are_taken_as_written() -> None:
    body = b'{"amount":100.50,"currency":"UGX","financialTransactionId":363440463,"externalId":83453,"payee":{"partyId":4609274685},"status":"SUCCESSFUL"}'
    verdict = looked(body)
    assert verdict.facts == Facts("100.50", "UGX", "4609274685", "83453")
    assert verdict.financial_transaction_id == "363440463"


def test_no_amount_passes_through_a_float() -> None:
    assert looked(b'{"amount":12345678901234567.89,"status":"PENDING"}').facts.amount == "12345678901234567.89"
    assert looked(b'{"amount":1.5E+3,"status":"PENDING"}').facts.amount == "1500"
    assert len(looked(b'{"amount":1E+999999999,"status":"PENDING"}').facts.amount) < 30
    assert read(JSON, b'{"a": 0.1}').fields["a"] == Decimal("0.1")
    for constant in (b"NaN", b"Infinity", b"-Infinity"):
        assert looked(b'{"status":"FAILED","amount":' + constant + b"}").answer is LookAnswer.NO_WORD


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("SUCCESSFUL", Status.SUCCESSFUL),
        ("FAILED", Status.FAILED),
        ("PENDING", Status.PENDING),
        ("CREATED", Status.PENDING),
        ("failed", Status.PENDING),
        (" FAILED", Status.PENDING),
        ("FAILED\x00", Status.PENDING),
        ("SUCCESSFULL", Status.PENDING),
        ("", Status.PENDING),
        (None, Status.PENDING),
        (True, Status.PENDING),
        (["FAILED"], Status.PENDING),
        ({"status": "FAILED"}, Status.PENDING),
        (7, Status.PENDING),
    ],
)
def test_only_the_two_final_words_to_the_letter_are_final(raw: object, status: Status) -> None:
    verdict = looked({"status": raw, "amount": "1"})
    assert (verdict.answer, verdict.status) == (LookAnswer.FOUND, status)
    if raw == "CREATED":
        assert verdict.raw_status == "CREATED"


def test_a_reason_is_read_as_text_and_as_an_object() -> None:
    assert looked({"status": "FAILED", "reason": "EXPIRED"}).reason_code == "EXPIRED"
    verdict = looked({"status": "FAILED", "reason": {"code": "PAYER_LIMIT_REACHED", "message": "The limit."}})
    assert (verdict.reason_code, verdict.reason_message) == ("PAYER_LIMIT_REACHED", "The limit.")
    for odd in (None, [], {}, {"code": None}, {"code": ["x"]}, True):
        verdict = looked({"status": "FAILED", "reason": odd})
        assert (verdict.status, verdict.reason_code) == (Status.FAILED, None)


def test_a_reason_never_decides() -> None:
    assert looked({"status": "FAILED", "reason": "INTERNAL_PROCESSING_ERROR"}).status is Status.FAILED
    assert looked({"status": "PENDING", "reason": "EXPIRED"}).status is Status.PENDING
    assert looked({"reason": "EXPIRED"}).status is Status.PENDING


def test_missing_and_extra_fields_are_taken() -> None:
    verdict = looked({"status": "SUCCESSFUL", "payer": "nobody", "payee": {}, "new": {"deep": [1, 2]}})
    assert (verdict.status, verdict.facts) == (Status.SUCCESSFUL, Facts())


def test_no_text_of_theirs_can_break_a_ledger() -> None:
    verdict = looked(
        b'{"status":"FAILED","reason":{"code":"A\\u0000B","message":"\\ud800\\u202e x\\n' + b"y" * 9000 + b'"}}'
    )
    assert verdict.reason_code == "A B"
    message = verdict.reason_message or ""
    message.encode("utf-8")
    assert len(message) <= 256
    assert message.isprintable()


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"a":' * 20_000, b"1" * 50_000, b"\xff\xfe{}", b'{"status":"FAILED"} x', b"null"]
)
def test_hard_bodies_are_other_and_say_nothing(body: bytes) -> None:
    assert looked(body).answer is LookAnswer.NO_WORD
    assert parse_send(400, JSON, body).answer is SendAnswer.UNKNOWN


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "17"}, "", 17.0),
        ({"Retry-After": " 0 "}, "", 0.0),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, "", 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 09:59:00 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, "", 0.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}, "", 90.0),  # now_ms is 10,000 below
        ({"Retry-After": "999999999999999999"}, "", 86_400.0),
        ({"Retry-After": "-5"}, "", None),
        ({"Retry-After": "soon"}, "", None),
        ({"Retry-After": "\u0665"}, "", None),
        ({}, "Rate limit is exceeded. Try again in 42 seconds.", 42.0),
        ({}, "Rate limit is exceeded. Try again in 1 second.", 1.0),
        ({}, "Quota will be replenished in 02:00:05.", 7205.0),
        ({"Retry-After": "bad"}, "Try again in 3 seconds.", 3.0),
        ({}, "", None),
    ],
)
def test_how_long_to_wait_is_read_in_all_its_forms(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    assert retry_after_seconds(429, headers, message, 10_000) == seconds


def test_a_wait_is_read_only_where_one_is_meant() -> None:
    assert retry_after_seconds(200, {"Retry-After": "5"}, "", None) is None
    assert retry_after_seconds(429, {"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, "", None) is None


# ---- any bytes

HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(["application/json", "text/html", "text/plain", "application/xml", "x/y", ""])
        | st.text(max_size=20),
        "Content-Encoding": st.sampled_from(["gzip", "identity", ""]),
        "Retry-After": st.text(max_size=30),
        "Date": st.text(max_size=30),
    },
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["FAILED", "SUCCESSFUL", "PAYEE_NOT_FOUND", "NOT_ALLOWED"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["code", "message", "status", "partyId"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "status",
        "reason",
        "code",
        "message",
        "error",
        "statusCode",
        "amount",
        "currency",
        "externalId",
        "payer",
        "payee",
        "financialTransactionId",
    ]
)
BODIES = st.binary(max_size=300) | st.dictionaries(NAMES | st.text(), VALUES, max_size=6).map(
    lambda d: json.dumps(d).encode()
)
STATUSES = st.integers(100, 599) | st.sampled_from([200, 202, 400, 401, 403, 404, 409, 429, 500, 503])


@given(status=STATUSES, headers=HEADERS, body=BODIES)
@example(status=400, headers={}, body=b"\x0b")
def test_any_answer_to_a_post_gives_a_verdict_and_none_by_accident(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = parse_send(status, headers, body, now_ms=0)
    said = read(headers, body)
    if verdict.answer is SendAnswer.REFUSED:
        assert status in (400, 500)
        assert not body.strip() or isinstance(json.loads(body), dict)
        assert status == 400 or said.fields["code"] == verdict.code
    if verdict.answer is SendAnswer.ACCEPTED:
        assert status == 202 or (
            status == 409 and (not body.strip() or said.fields["code"] == "RESOURCE_ALREADY_EXIST")
        )
    if verdict.answer is SendAnswer.NOT_NOW:
        assert status in (400, 401, 403, 404, 429, 500)
        assert verdict.cause is not Cause.NONE
    for text in (verdict.code, verdict.message):
        assert text is None or (text.isprintable() and len(text) <= 256)
        (text or "").encode("utf-8")
    assert verdict.retry_after_seconds is None or 0 <= verdict.retry_after_seconds <= 86_400


@given(status=STATUSES, headers=HEADERS, body=BODIES)
def test_any_answer_to_a_look_gives_a_verdict_and_none_by_accident(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    verdict = parse_look(status, headers, body, now_ms=0)
    if verdict.answer is LookAnswer.FOUND:
        assert status == 200
        fields = json.loads(body)
        assert (verdict.status is Status.FAILED) == (fields.get("status") == "FAILED")
        assert (verdict.status is Status.SUCCESSFUL) == (fields.get("status") == "SUCCESSFUL")
    else:
        assert verdict.status is None
    if verdict.answer is LookAnswer.NOT_FOUND:
        assert status == 404
        assert json.loads(body)["code"] == "RESOURCE_NOT_FOUND"
    facts = (verdict.facts.amount, verdict.facts.currency, verdict.facts.party, verdict.facts.external_id)
    for text in (
        *facts,
        verdict.reason_code,
        verdict.reason_message,
        verdict.raw_status,
        verdict.financial_transaction_id,
    ):
        assert text is None or text.isprintable()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2) | st.integers(-(10**15), 10**15))
def test_a_number_keeps_its_value_as_text(number: Decimal | int) -> None:
    assert Decimal(text_of(number, 256) or "") == number
