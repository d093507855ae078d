"""Each fault does what its sentence says and nothing else; a clock that the test moves."""

import json
from typing import Any

import pytest
from tests.support.simulator import SANDBOX_COLLECTION, UGANDA_COLLECTION, a_body
from tests.support.simulator_model import InProcessMtn, as_caller

from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.faults import CHAOS, FAULTS, rule_from_json
from momo_worker.simulator.interference import _AFTERWARDS, _INSTEAD


@pytest.fixture
def mtn() -> InProcessMtn:
    return InProcessMtn()


_NOTHING_CREATED = {
    "lost_before_creation": (0, b"", "cut"),
    "error_before_creation": (500, b"INTERNAL_PROCESSING_ERROR", "answered"),
    "bad_gateway": (502, b"<html>", "answered"),
    "service_unavailable": (503, b"<html>", "answered"),
    "service_unavailable_code": (503, b"SERVICE_UNAVAILABLE", "answered"),
    "html_200": (200, b"Request Rejected", "answered"),
    "redirect": (302, b"<html>", "answered"),
    "rate_limited": (429, b"Try again in 1 seconds", "answered"),
    "quota_exceeded": (403, b"Out of call volume quota. Quota will be replenished in 00:01:00.", "answered"),
    "forbidden_ip": (403, b"FORBIDDEN IP", "answered"),
    "gateway_not_found": (404, b"Resource not found", "answered"),
    "bad_request": (400, b"", "answered"),
    "unauthorised": (401, b"", "answered"),
    "wrong_key": (401, b"invalid subscription key", "answered"),
}
_CREATED_ALL_THE_SAME = {
    "lost_after_creation": (202, b"", "cut"),
    "error_after_creation": (500, b"INTERNAL_PROCESSING_ERROR", "answered"),
    "bad_gateway_after_creation": (502, b"<html>", "answered"),
    "gateway_timeout_after_creation": (504, b"<html>", "answered"),
    "html_200_after_creation": (200, b"<html>", "answered"),
    "ok_200_after_creation": (200, b"", "answered"),
    "lost_answer": (202, b"", "cut"),
    "halfway_answer": (202, b"", "halfway"),
    "slow_answer": (202, b"", "answered"),
    "empty_answer": (202, b"", "answered"),
}


@pytest.mark.parametrize("name", _NOTHING_CREATED)
def test_a_fault_before_creation_creates_nothing(mtn: InProcessMtn, name: str) -> None:
    status, words, kind = _NOTHING_CREATED[name]
    mtn.fault(name, count=1, method="POST")
    reference = mtn.reference()
    reply = mtn.post("transfer", reference)
    assert (reply.status, reply.delivery.kind) == (status, kind)
    assert words in reply.body
    assert mtn.get(f"transfer/{reference}").status == 404
    assert mtn.post("transfer", reference).status == 202


@pytest.mark.parametrize("name", _CREATED_ALL_THE_SAME)
def test_a_fault_after_creation_has_created_exactly_one_payment(mtn: InProcessMtn, name: str) -> None:
    status, words, kind = _CREATED_ALL_THE_SAME[name]
    mtn.fault(name, count=1, operation="transfer", method="POST")
    reference = mtn.reference()
    reply = mtn.post("transfer", reference)
    assert (reply.status, reply.delivery.kind) == (status, kind)
    assert words in reply.body
    assert mtn.post("transfer", reference).status == 409
    mtn.wait(1)
    assert mtn.status("transfer", reference)["status"] == "SUCCESSFUL"
    assert len(mtn.movements()) == 1


def test_every_fault_before_and_after_is_tested_here() -> None:
    assert set(_NOTHING_CREATED) | {"not_found", "late_creation"} == set(_INSTEAD)
    assert set(_CREATED_ALL_THE_SAME) | {"empty_conflict"} == set(_AFTERWARDS)
    assert set(CHAOS) <= set(FAULTS)


def test_a_retry_after_is_given_with_a_rate_limit(mtn: InProcessMtn) -> None:
    mtn.fault("rate_limited", seconds=7)
    assert mtn.get("account/balance").headers["Retry-After"] == "7"


def test_a_fault_that_waits_for_a_creation_is_not_spent_on_a_conflict(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer")
    mtn.fault("lost_after_creation", count=1)
    assert mtn.post("transfer", reference).delivery.kind == "answered"
    assert mtn.post("transfer", mtn.reference()).delivery.kind == "cut"


def test_slow_says_how_slow(mtn: InProcessMtn) -> None:
    mtn.fault("slow_answer", seconds=3)
    assert mtn.get("account/balance").delivery.delay_seconds == 3


def test_a_late_creation_is_unknown_at_first_and_then_pays(mtn: InProcessMtn) -> None:
    mtn.fault("late_creation", seconds=20, count=1)
    reference = mtn.reference()
    assert mtn.post("transfer", reference).delivery.kind == "cut"
    mtn.wait(19)
    assert mtn.get(f"transfer/{reference}").status == 404
    mtn.wait(2)
    assert mtn.status("transfer", reference)["status"] == "SUCCESSFUL"
    assert mtn.post("transfer", reference).status == 409


def test_a_late_creation_that_meets_its_own_resend_pays_once(mtn: InProcessMtn) -> None:
    mtn.fault("late_creation", seconds=20, count=1)
    reference = mtn.reference()
    mtn.post("transfer", reference)
    assert mtn.post("transfer", reference).status == 202
    mtn.wait(60)
    assert [one["reference"] for one in mtn.movements()] == [reference]


def test_a_late_creation_that_meets_a_new_reference_pays_twice_and_it_shows(mtn: InProcessMtn) -> None:
    mtn.fault("late_creation", seconds=20, count=1)
    mtn.post("transfer", mtn.reference())
    mtn.pay("transfer")
    mtn.wait(60)
    mtn.movements()
    assert mtn.door("GET", "movements")["doubles"]["external_ids"] == {"EMP-0042": 2}


def test_two_posts_of_one_reference_race_where_mtn_would_let_them() -> None:
    reference = "11111111-2222-4333-8444-555555555555"
    for window, second_answer, moved in ((0.0, 409, 1), (0.5, 202, 2)):
        mtn = InProcessMtn(racing_window_seconds=window)
        assert mtn.post("transfer", reference).status == 202
        mtn.wait(0.1)
        assert mtn.post("transfer", reference).status == second_answer
        mtn.wait(1)
        assert mtn.post("transfer", reference).status == 409
        assert len(mtn.movements()) == moved
        assert mtn.door("GET", "movements")["doubles"]["references"] == ({reference: 2} if moved == 2 else {})


def test_a_payment_can_be_invisible_for_a_while_and_is_a_conflict_all_along(mtn: InProcessMtn) -> None:
    mtn.fault("visibility_lag", seconds=30)
    reference = mtn.pay("transfer")
    mtn.wait(29)
    assert mtn.get(f"transfer/{reference}").status == 404
    assert mtn.post("transfer", reference).status == 409
    mtn.wait(1)
    assert mtn.get(f"transfer/{reference}").status == 200


def test_a_202_can_be_a_lie(mtn: InProcessMtn) -> None:
    mtn.fault("vanish", count=1)
    reference = mtn.pay("transfer")
    mtn.wait(1000)
    assert mtn.get(f"transfer/{reference}").status == 404
    assert mtn.movements() == []


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_forgotten_reference_is_404_and_can_pay_again(everywhere: bool) -> None:
    mtn = InProcessMtn(**({"forget_after_seconds": 60} if everywhere else {}))
    if not everywhere:
        mtn.fault("forget", seconds=60, count=1)
    reference = mtn.pay("transfer")
    mtn.wait(59)
    assert mtn.post("transfer", reference).status == 409
    mtn.wait(1)
    assert mtn.get(f"transfer/{reference}").status == 404
    assert mtn.post("transfer", reference).status == 202
    mtn.wait(1)
    mtn.movements()
    assert mtn.door("GET", "movements")["doubles"]["references"] == {reference: 2}


def test_a_success_can_come_late_or_never(mtn: InProcessMtn) -> None:
    mtn.fault("late_success", seconds=7200, count=1)
    late = mtn.pay("transfer")
    mtn.fault("stuck_pending", count=1)
    never = mtn.pay("transfer")
    mtn.bearer = "renewed below"
    mtn.wait(7199)
    mtn.bearer = mtn.token()
    assert mtn.status("transfer", late)["status"] == "PENDING"
    mtn.wait(1)
    assert mtn.status("transfer", late)["status"] == "SUCCESSFUL"
    mtn.wait(1_000_000)
    mtn.bearer = mtn.token()
    assert mtn.status("transfer", never)["status"] == "PENDING"


def test_a_failure_can_be_asked_for_with_its_code(mtn: InProcessMtn) -> None:
    mtn.fault("fail", code="PAYEE_LIMIT_REACHED", msisdn="256772000009")
    spared, hit = mtn.pay("transfer"), mtn.pay("transfer", number="256772000009")
    mtn.wait(1)
    assert mtn.status("transfer", spared)["status"] == "SUCCESSFUL"
    assert mtn.status("transfer", hit)["reason"] == "PAYEE_LIMIT_REACHED"


def the_status_with(name: str, **options: Any) -> dict[str, Any]:
    mtn = InProcessMtn()
    number = "256773123457" if name.startswith("reason") else "256772123456"
    reference = mtn.pay("transfer", number=number, externalId="123456789")
    mtn.wait(1)
    mtn.fault(name, **options)
    body: dict[str, Any] = mtn.status("transfer", reference)
    return body


def test_a_status_can_be_written_in_other_ways() -> None:
    assert the_status_with("reason_as_string")["reason"] == "PAYEE_NOT_FOUND"
    assert the_status_with("reason_as_object")["reason"]["code"] == "PAYEE_NOT_FOUND"
    numbers = the_status_with("numbers_for_strings")
    assert (numbers["amount"], numbers["externalId"], numbers["payee"]["partyId"]) == (1000, 123456789, 256772123456)
    assert isinstance(numbers["financialTransactionId"], int)
    assert the_status_with("unknown_status", code="ON_HOLD")["status"] == "ON_HOLD"
    assert the_status_with("shown_created")["status"] == "CREATED"
    assert "status" not in the_status_with("no_status")
    assert set(the_status_with("missing_fields")) == {"amount", "currency", "payee", "status"}
    assert the_status_with("wrong_amount")["amount"] == "11000"
    assert the_status_with("wrong_currency")["currency"] == "ZAR"
    assert the_status_with("wrong_party")["payee"]["partyId"] != "256772123456"
    assert the_status_with("wrong_external_id")["externalId"] == "other-123456789"


def test_the_form_of_a_reason_is_a_switch() -> None:
    mtn = InProcessMtn(reason_form="object")
    reference = mtn.pay("transfer", number="256773123457")
    assert mtn.status("transfer", reference)["reason"]["code"] == "PAYEE_NOT_FOUND"


def test_a_payment_can_be_created_before_it_is_pending(mtn: InProcessMtn) -> None:
    mtn.fault("created_status", count=1)
    reference = mtn.pay("transfer")
    assert mtn.status("transfer", reference)["status"] == "CREATED"
    mtn.wait(1)
    assert mtn.status("transfer", reference)["status"] == "SUCCESSFUL"


def test_a_look_can_say_404_though_the_payment_is_there(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer")
    mtn.fault("not_found", count=2)
    assert mtn.post("transfer", reference).status == 409
    assert [mtn.get(f"transfer/{reference}").status for _ in range(3)] == [404, 404, 200]


def test_a_conflict_can_come_without_a_body(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer")
    mtn.fault("empty_conflict", count=1)
    assert mtn.post("transfer", reference).body == b""
    assert mtn.post("transfer", reference).json()["code"] == "RESOURCE_ALREADY_EXIST"


def test_a_token_can_die_early_and_all_of_them_at_once(mtn: InProcessMtn) -> None:
    mtn.fault("dead_token", seconds=5, count=1)
    answer = mtn.ask_token().json()
    assert answer["expires_in"] == 3600
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    assert mtn.get("account/balance", **headers).status == 200
    mtn.wait(5)
    assert mtn.get("account/balance", **headers).status == 401
    assert mtn.get("account/balance").status == 200
    mtn.door("DELETE", "tokens")
    assert mtn.get("account/balance").status == 401


def test_a_login_can_fail(mtn: InProcessMtn) -> None:
    mtn.fault("login_failed", count=1)
    assert [mtn.ask_token().status for _ in range(2)] == [500, 200]


def test_a_fault_hits_only_what_it_names() -> None:
    mtn = InProcessMtn()
    reference = mtn.reference()
    for conditions in (
        {"operation": "deposit"},
        {"method": "GET", "operation": "transfer"},
        {"product": "collection"},
        {"account": "sandbox"},
        {"reference": mtn.reference()},
        {"external_id": "other"},
        {"msisdn": "256700000000"},
        {"probability": 0},
        {"count": 0},
        {"for_seconds": 0},
    ):
        mtn.fault("bad_gateway", **conditions)
    assert mtn.post("transfer", reference).status == 202
    assert mtn.get(f"transfer/{reference}").status == 502
    mtn.fault("service_unavailable", reference=reference, method="POST")
    assert mtn.post("transfer", reference).status == 503
    assert mtn.post("transfer", mtn.reference()).status == 202


def test_a_look_is_hit_by_the_number_of_its_payment(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer", number="256772000009")
    mtn.fault("wrong_amount", msisdn="256772000009")
    mtn.fault("bad_gateway", msisdn="256772000009", method="GET", for_seconds=10)
    assert mtn.get(f"transfer/{reference}").status == 502
    mtn.wait(10)
    assert mtn.status("transfer", reference)["amount"] == "11000"


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "lost"},
        {},
        {"fault": "fail", "msisdn": 5},
        {"fault": "fail", "probability": 2},
        {"fault": "fail", "numer": "1"},
        {"fault": "fail", "count": "3"},
    ],
)
def test_a_misspelt_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        rule_from_json(wrong, 0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"setle_seconds_max": 1},
        {"reason_form": "both"},
        {"status_cap_enforced": 1},
        {"token_seconds": -1},
        {"token_seconds": "60"},
    ],
)
def test_a_misspelt_setting_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Behaviour().changed(wrong)


def test_an_eleventh_look_within_any_second_is_an_overrun(mtn: InProcessMtn) -> None:
    reference = mtn.pay("transfer")
    for pause_seconds in (0.75, 0.25, 0.0):
        for _ in range(5):
            mtn.get(f"transfer/{reference}")
        mtn.wait(pause_seconds)
    assert mtn.door("GET", "record")["overrun_count"] == 0
    assert mtn.get(f"transfer/{reference}").status == 200
    record = mtn.door("GET", "record")
    assert record["overrun_count"] == 1
    assert record["overruns"][0]["at"] == mtn.now
    assert record["peak_status_reads_per_second"] == {"uganda/disbursement": 11}


def test_above_the_cap_mtn_says_429_where_that_is_switched_on() -> None:
    mtn = InProcessMtn(status_cap_enforced=True)
    reference = mtn.pay("transfer")
    replies = [
        mtn.get(f"transfer/{reference}", ocp_apim_subscription_key=key)
        for key in (mtn.who.subscription_key, mtn.who.secondary_key)
        for _ in range(6)
    ]
    assert [reply.status for reply in replies] == [200] * 10 + [429] * 2
    assert replies[-1].headers["Retry-After"] == "1"
    assert mtn.get("account/balance").status == 200
    mtn.wait(1)
    assert mtn.get(f"transfer/{reference}").status == 200


def test_products_have_caps_of_their_own() -> None:
    mtn = InProcessMtn(status_cap_enforced=True)
    transfer = mtn.pay("transfer")
    for _ in range(10):
        mtn.get(f"transfer/{transfer}")
    as_caller(mtn, UGANDA_COLLECTION)
    assert mtn.get(f"requesttopay/{mtn.pay('requesttopay')}").status == 200


_URL = "http://localhost:9/callback"


def due(mtn: InProcessMtn) -> list[tuple[str, dict[str, Any]]]:
    return [(one.method, json.loads(one.body)) for one in mtn.model.due_callbacks(mtn.now)]


def test_a_callback_comes_once_after_the_end_and_only_where_asked_for(mtn: InProcessMtn) -> None:
    mtn.pay("transfer")
    mtn.pay("transfer", headers={"x_callback_url": _URL})
    assert due(mtn) == []
    mtn.wait(1)
    ((method, body),) = due(mtn)
    assert (method, body["status"], body["externalId"]) == ("POST", "SUCCESSFUL", "EMP-0042")
    assert not any("reference" in name.lower() for name in body)
    mtn.wait(1000)
    assert due(mtn) == []


def test_a_second_version_calls_back_with_put_and_a_failure_with_its_bare_reason(mtn: InProcessMtn) -> None:
    mtn.post(
        "deposit",
        mtn.reference(),
        a_body("deposit", mtn.who, number="256773123455"),
        version="v2_0",
        x_callback_url=_URL,
    )
    ((method, body),) = due(mtn)
    assert (method, body["status"], body["reason"]) == ("PUT", "FAILED", "PAYER_NOT_FOUND")


def test_callbacks_can_come_twice_late_never_or_forged(mtn: InProcessMtn) -> None:
    headers = {"x_callback_url": _URL}
    mtn.fault("callback_twice", seconds=180, count=1)
    mtn.pay("transfer", headers=headers)
    mtn.wait(1)
    assert len(due(mtn)) == 1
    mtn.wait(180)
    assert len(due(mtn)) == 1
    mtn.fault("callback_late", seconds=60, count=1)
    mtn.pay("transfer", headers=headers)
    mtn.wait(60)
    assert due(mtn) == []
    mtn.wait(1)
    assert len(due(mtn)) == 1
    mtn.fault("callback_never", count=1)
    mtn.pay("transfer", headers=headers)
    mtn.wait(1000)
    assert due(mtn) == []
    mtn.fault("callback_forged", count=1)
    mtn.fault("fail", code="NOT_ALLOWED", count=1)
    forged = mtn.pay("transfer", headers=headers)
    assert [body["status"] for _, body in due(mtn)] == ["SUCCESSFUL"]
    assert mtn.status("transfer", forged)["status"] == "PENDING"
    mtn.wait(1)
    assert [body["status"] for _, body in due(mtn)] == ["FAILED"]


def test_a_callback_can_know_more_than_a_look(mtn: InProcessMtn) -> None:
    mtn.fault("status_lag", seconds=10)
    reference = mtn.pay("transfer", headers={"x_callback_url": _URL})
    mtn.wait(1)
    assert [body["status"] for _, body in due(mtn)] == ["SUCCESSFUL"]
    assert mtn.status("transfer", reference)["status"] == "PENDING"
    mtn.wait(10)
    assert mtn.status("transfer", reference)["status"] == "SUCCESSFUL"


def test_a_reset_forgets_everything() -> None:
    mtn = InProcessMtn(SANDBOX_COLLECTION)
    reference = mtn.pay("requesttopay", number="46700000001")
    mtn.wait(1)
    mtn.fault("bad_gateway")
    mtn.door("POST", "reset")
    assert mtn.movements() == []
    mtn.bearer = mtn.token()
    assert mtn.balance() == "0.00"
    assert mtn.post("requesttopay", reference).status == 202


def test_posts_are_kept_with_their_time_of_arrival(mtn: InProcessMtn) -> None:
    before = mtn.now
    mtn.wait(5)
    reference = mtn.pay("transfer")
    (entry,) = mtn.door("GET", f"requests?since={before + 1}")["requests"]
    assert (entry["at"], entry["operation"], entry["reference"], entry["answer"]) == (
        mtn.now,
        "transfer",
        reference,
        "202",
    )
