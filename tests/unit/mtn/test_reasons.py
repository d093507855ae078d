"""The one table: every answer of the research notes (5.1-5.4) and every code of MTN's specifications, each in exactly one class."""

import json
import re
from pathlib import Path

import pytest
from tests.support.mtn_openapi import SPECIFICATIONS, needs_specifications

from momo_worker.mtn import reasons
from momo_worker.mtn.reasons import CODES, LOOKS, SENDS, Shape, Speaks, explain
from momo_worker.mtn.wire import parse_look, parse_send
from momo_worker.payment.verdict import Cause, LookAnswer, SendAnswer

JSON = {"Content-Type": "application/json"}
PAGE = {"Content-Type": "text/html; charset=utf-8"}
ACCEPTED, NOT_NOW, REFUSED, UNKNOWN = SendAnswer

KEY_TEXT = "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
QUOTA_TEXT = "Out of call volume quota. Quota will be replenished in 01:02:03."
RATE_TEXT = "Rate limit is exceeded. Try again in 12 seconds."


def code(name: str, message: str = "") -> bytes:
    return json.dumps({"code": name, "message": message}).encode()


def gateway(status: int, message: str) -> bytes:
    return json.dumps({"statusCode": status, "message": message}).encode()


#: HTTP status, headers, body; the class, the gate's cause, the code, how long to wait.
SEND_ROWS: list[tuple[int, dict[str, str], bytes, SendAnswer, Cause, str | None, float | None]] = [
    # 5.2, in its order
    (202, {}, b"", ACCEPTED, Cause.NONE, None, None),
    (202, JSON, b"{}", ACCEPTED, Cause.NONE, None, None),
    (400, {}, b"", REFUSED, Cause.NONE, "BAD_REQUEST", None),
    (400, JSON, code("PAYER_NOT_FOUND"), REFUSED, Cause.NONE, "PAYER_NOT_FOUND", None),
    (400, JSON, code("SOMETHING_NEW"), REFUSED, Cause.NONE, "SOMETHING_NEW", None),
    (400, JSON, gateway(400, "Bad Request"), REFUSED, Cause.NONE, "BAD_REQUEST", None),
    (400, JSON, code("INVALID_CURRENCY"), NOT_NOW, Cause.CONFIGURATION, "INVALID_CURRENCY", None),
    (400, JSON, code("INTERNAL_PROCESSING_ERROR"), UNKNOWN, Cause.FAULT, "INTERNAL_PROCESSING_ERROR", None),
    (400, JSON, code("RESOURCE_ALREADY_EXIST"), UNKNOWN, Cause.FAULT, "RESOURCE_ALREADY_EXIST", None),
    (401, JSON, gateway(401, KEY_TEXT), NOT_NOW, Cause.KEY_REFUSED, None, None),
    (401, JSON, gateway(401, KEY_TEXT.replace("invalid", "missing")), NOT_NOW, Cause.KEY_REFUSED, None, None),
    (401, JSON, b'{"error": "invalid token"}', NOT_NOW, Cause.TOKEN_REFUSED, None, None),
    (401, {}, b"", NOT_NOW, Cause.TOKEN_REFUSED, None, None),
    (401, {"Content-Type": "text/plain"}, b"Unauthorized", NOT_NOW, Cause.TOKEN_REFUSED, None, None),
    (403, JSON, gateway(403, "FORBIDDEN IP"), NOT_NOW, Cause.FORBIDDEN, None, None),
    (403, {}, b"", NOT_NOW, Cause.FORBIDDEN, None, None),
    (403, JSON, gateway(403, QUOTA_TEXT), NOT_NOW, Cause.THROTTLED, None, 3723.0),
    (404, JSON, gateway(404, "Resource not found"), NOT_NOW, Cause.CONFIGURATION, None, None),
    (404, JSON, code("RESOURCE_NOT_FOUND"), UNKNOWN, Cause.FAULT, "RESOURCE_NOT_FOUND", None),
    (404, {}, b"", UNKNOWN, Cause.FAULT, None, None),
    (409, JSON, code("RESOURCE_ALREADY_EXIST"), ACCEPTED, Cause.NONE, "RESOURCE_ALREADY_EXIST", None),
    (409, {}, b"", ACCEPTED, Cause.NONE, None, None),
    (409, PAGE, b"<html>Conflict</html>", UNKNOWN, Cause.FAULT, None, None),
    (409, JSON, code("PAYEE_NOT_FOUND"), UNKNOWN, Cause.FAULT, "PAYEE_NOT_FOUND", None),
    (409, JSON, b"{}", UNKNOWN, Cause.FAULT, None, None),
    (409, JSON, gateway(409, "Conflict"), UNKNOWN, Cause.FAULT, None, None),
    (411, PAGE, b"<html>Length Required</html>", UNKNOWN, Cause.FAULT, None, None),
    (429, JSON, gateway(429, RATE_TEXT), NOT_NOW, Cause.THROTTLED, None, 12.0),
    (429, JSON | {"Retry-After": "30"}, gateway(429, RATE_TEXT), NOT_NOW, Cause.THROTTLED, None, 30.0),
    (429, {}, b"", NOT_NOW, Cause.THROTTLED, None, None),
    (500, JSON, code("INVALID_CURRENCY"), NOT_NOW, Cause.CONFIGURATION, "INVALID_CURRENCY", None),
    (500, JSON, code("NOT_ALLOWED"), NOT_NOW, Cause.CONFIGURATION, "NOT_ALLOWED", None),
    (
        500,
        JSON,
        code("NOT_ALLOWED_TARGET_ENVIRONMENT"),
        NOT_NOW,
        Cause.CONFIGURATION,
        "NOT_ALLOWED_TARGET_ENVIRONMENT",
        None,
    ),
    (500, JSON, code("INVALID_CALLBACK_URL_HOST"), NOT_NOW, Cause.CONFIGURATION, "INVALID_CALLBACK_URL_HOST", None),
    (500, JSON, code("PAYER_NOT_FOUND"), REFUSED, Cause.NONE, "PAYER_NOT_FOUND", None),
    (500, JSON, code("PAYEE_NOT_FOUND"), REFUSED, Cause.NONE, "PAYEE_NOT_FOUND", None),
    (500, JSON, code("PAYEE_NOT_ALLOWED_TO_RECEIVE"), REFUSED, Cause.NONE, "PAYEE_NOT_ALLOWED_TO_RECEIVE", None),
    (500, JSON, code("NOT_ENOUGH_FUNDS"), REFUSED, Cause.NONE, "NOT_ENOUGH_FUNDS", None),
    (500, JSON, code("PAYER_LIMIT_REACHED"), REFUSED, Cause.NONE, "PAYER_LIMIT_REACHED", None),
    (500, JSON, code("INTERNAL_PROCESSING_ERROR"), UNKNOWN, Cause.FAULT, "INTERNAL_PROCESSING_ERROR", None),
    (500, JSON, code("SOMETHING_NEW"), UNKNOWN, Cause.FAULT, "SOMETHING_NEW", None),
    (500, {}, b"", UNKNOWN, Cause.FAULT, None, None),
    (503, JSON, code("SERVICE_UNAVAILABLE"), UNKNOWN, Cause.FAULT, "SERVICE_UNAVAILABLE", None),
    # 5.1: shapes
    (400, JSON, b'{"message": "m", "code": "PAYEE_NOT_FOUND"}', REFUSED, Cause.NONE, "PAYEE_NOT_FOUND", None),
    (400, PAGE, b"<html>Request Rejected. Support ID: 17</html>", UNKNOWN, Cause.FAULT, None, None),
    (200, PAGE, b"<html>Request Rejected</html>", UNKNOWN, Cause.FAULT, None, None),
    (202, PAGE, b"<html>challenge</html>", UNKNOWN, Cause.FAULT, None, None),
    (202, {"x-amzn-waf-action": "challenge"}, b"", UNKNOWN, Cause.FAULT, None, None),
    (401, PAGE, b"<html>Unauthorized</html>", UNKNOWN, Cause.TOKEN_REFUSED, None, None),
    (403, PAGE, b"<html>Request Rejected</html>", UNKNOWN, Cause.FORBIDDEN, None, None),
    (429, PAGE | {"Retry-After": "5"}, b"<html>slow down</html>", UNKNOWN, Cause.THROTTLED, None, 5.0),
    # 5.4: what nobody lists is unknown
    *[(status, {}, b"", UNKNOWN, Cause.FAULT, None, None) for status in (200, 201, 204, 301, 302, 307, 308)],
    *[(status, {}, b"", UNKNOWN, Cause.FAULT, None, None) for status in (408, 410, 411, 413, 499, 501, 502, 503, 504)],
    (502, JSON, code("PAYEE_NOT_FOUND"), UNKNOWN, Cause.FAULT, "PAYEE_NOT_FOUND", None),
    (503, JSON, code("INVALID_CURRENCY"), UNKNOWN, Cause.FAULT, "INVALID_CURRENCY", None),
    (400, JSON, b'{"code": "PAYEE_NOT_FOUND"', UNKNOWN, Cause.FAULT, None, None),
    (400, JSON, b'{"code": "PAYEE_NOT_FOUND", "code": "NOT_ALLOWED"}', UNKNOWN, Cause.FAULT, None, None),
    (400, JSON, b'["PAYEE_NOT_FOUND"]', UNKNOWN, Cause.FAULT, None, None),
    (
        400,
        {"Content-Type": "application/octet-stream"},
        b'{"code": "PAYEE_NOT_FOUND"}',
        UNKNOWN,
        Cause.FAULT,
        None,
        None,
    ),
    (400, JSON | {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08", UNKNOWN, Cause.FAULT, None, None),
]


def named(row: tuple[object, ...]) -> str:
    return f"{row[0]}-{bytes(row[2])[:40]!r}"  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("status", "headers", "body", "said", "cause", "name", "wait"), SEND_ROWS, ids=map(named, SEND_ROWS)
)
def test_every_answer_to_a_post_is_in_its_class(
    status: int,
    headers: dict[str, str],
    body: bytes,
    said: SendAnswer,
    cause: Cause,
    name: str | None,
    wait: float | None,
) -> None:
    verdict = parse_send(status, headers, body)
    assert (verdict.answer, verdict.cause, verdict.code, verdict.retry_after_seconds) == (said, cause, name, wait)
    assert verdict.http_status == status
    assert not verdict.never_left


LOOK_ROWS: list[tuple[int, dict[str, str], bytes, LookAnswer, Cause]] = [
    (200, JSON, b'{"status": "PENDING", "amount": "1"}', LookAnswer.FOUND, Cause.NONE),
    (200, JSON, b'{"amount": "1"}', LookAnswer.FOUND, Cause.NONE),
    (200, JSON, b"{}", LookAnswer.NO_WORD, Cause.FAULT),
    (200, JSON, b'{"message": "Request Rejected"}', LookAnswer.NO_WORD, Cause.FAULT),
    (200, PAGE, b"<html>Request Rejected</html>", LookAnswer.NO_WORD, Cause.FAULT),
    (200, {}, b"", LookAnswer.NO_WORD, Cause.FAULT),
    (200, JSON, b'{"status": "FAILED"', LookAnswer.NO_WORD, Cause.FAULT),
    (200, JSON, b'{"status": "PENDING", "status": "FAILED"}', LookAnswer.NO_WORD, Cause.FAULT),
    (201, JSON, b'{"status": "FAILED"}', LookAnswer.NO_WORD, Cause.FAULT),
    (302, {}, b"", LookAnswer.NO_WORD, Cause.FAULT),
    (404, JSON, code("RESOURCE_NOT_FOUND", "Requested resource was not found."), LookAnswer.NOT_FOUND, Cause.NONE),
    (404, JSON, gateway(404, "Resource not found"), LookAnswer.NO_WORD, Cause.CONFIGURATION),
    (404, JSON, code("PAYEE_NOT_FOUND"), LookAnswer.NO_WORD, Cause.FAULT),
    (404, {}, b"", LookAnswer.NO_WORD, Cause.FAULT),
    (404, PAGE, b"<html>RESOURCE_NOT_FOUND</html>", LookAnswer.NO_WORD, Cause.FAULT),
    (500, JSON, code("RESOURCE_NOT_FOUND"), LookAnswer.NO_WORD, Cause.FAULT),
    (400, {}, b"", LookAnswer.NO_WORD, Cause.NONE),
    (401, JSON, gateway(401, KEY_TEXT), LookAnswer.NO_WORD, Cause.KEY_REFUSED),
    (401, {}, b"", LookAnswer.NO_WORD, Cause.TOKEN_REFUSED),
    (403, JSON, gateway(403, QUOTA_TEXT), LookAnswer.NO_WORD, Cause.THROTTLED),
    (403, {}, b"", LookAnswer.NO_WORD, Cause.FORBIDDEN),
    (429, JSON, gateway(429, RATE_TEXT), LookAnswer.NO_WORD, Cause.THROTTLED),
    (500, JSON, code("NOT_ALLOWED_TARGET_ENVIRONMENT"), LookAnswer.NO_WORD, Cause.CONFIGURATION),
    (500, JSON, code("INTERNAL_PROCESSING_ERROR"), LookAnswer.NO_WORD, Cause.FAULT),
    (500, JSON, code("PAYEE_NOT_FOUND"), LookAnswer.NO_WORD, Cause.FAULT),
    (503, JSON, code("SERVICE_UNAVAILABLE"), LookAnswer.NO_WORD, Cause.FAULT),
    (502, PAGE, b"<html>Bad Gateway</html>", LookAnswer.NO_WORD, Cause.FAULT),
]


@pytest.mark.parametrize(("status", "headers", "body", "said", "cause"), LOOK_ROWS, ids=map(named, LOOK_ROWS))
def test_every_answer_to_a_look_is_in_its_class(
    status: int, headers: dict[str, str], body: bytes, said: LookAnswer, cause: Cause
) -> None:
    verdict = parse_look(status, headers, body)
    assert (verdict.answer, verdict.cause, verdict.http_status) == (said, cause, status)
    assert said is LookAnswer.FOUND or verdict.status is None


def test_only_a_400_or_a_listed_500_refuses_and_only_202_and_409_accept() -> None:
    refusing = {(status, speaks) for (status, _, speaks), (answer, _) in SENDS.items() if answer is REFUSED}
    assert refusing == {
        (400, None),
        (400, Speaks.OF_THE_GATEWAY),
        (400, Speaks.OF_THE_PAYMENT),
        (500, Speaks.OF_THE_PAYMENT),
    }
    assert {key[0] for key, (answer, _) in SENDS.items() if answer is ACCEPTED} == {202, 409}


def test_no_page_and_no_half_answer_accepts_refuses_or_finds() -> None:
    for (_, shape, _), (answer, _) in SENDS.items():
        if shape is Shape.MARKUP:
            assert answer is UNKNOWN
        if shape is Shape.OTHER:
            assert answer is NOT_NOW
    assert {shape for (_, shape, _), (answer, _) in LOOKS.items() if answer is LookAnswer.FOUND} == {Shape.OBJECT}


def test_what_counts_as_not_now_has_a_cause_that_the_gate_knows() -> None:
    assert all(cause is not Cause.NONE for answer, cause in SENDS.values() if answer is NOT_NOW)
    assert all(cause is Cause.NONE for answer, cause in SENDS.values() if answer in (ACCEPTED, REFUSED))


def test_every_code_has_words_for_a_person() -> None:
    for name in CODES:
        words = explain(name)
        assert words.code == name
        assert len(words.message) > 10
        assert len(words.advice) > 10
    assert explain("NEW_ONE", "MTN's own text").message == "MTN's own text"
    assert "NEW_ONE" in explain("NEW_ONE").message


@needs_specifications
def test_every_code_of_the_specifications_is_in_the_table() -> None:
    found: set[str] = set()
    for path in SPECIFICATIONS:
        found |= _codes(json.loads(Path(path).read_text(encoding="utf-8")))
    assert len(found) >= 17
    assert found - CODES.keys() == set()


def _codes(node: object) -> set[str]:
    """The enum of every `code` property, and every example's `code`."""
    if isinstance(node, list):
        return set().union(*map(_codes, node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*map(_codes, node.values()))
    value = node.get("code")
    if isinstance(value, str) and re.fullmatch(r"[A-Z_]+", value):
        found.add(value)
    if isinstance(value, dict):
        found |= set(value.get("enum", []))
    return found


def test_codes_of_the_notes_that_are_in_no_enum_are_in_the_table() -> None:
    seen = """COULD_NOT_PERFORM_TRANSACTION LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED PAYEE_LIMIT_REACHED
        SENDER_ACCOUNT_NOT_ACTIVE TRANSACTION_NOT_FOUND VALIDATION_ERROR PAYER_DELAYED PAYEE_DELAYED ONGOING"""
    assert set(seen.split()) <= reasons.CODES.keys()
