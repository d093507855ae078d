"""What becomes of a payment, and that money moves exactly when MTN says SUCCESSFUL; a clock that the test moves."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.simulator import (
    SANDBOX_COLLECTION,
    SANDBOX_DISBURSEMENT,
    UGANDA_COLLECTION,
    UGANDA_DISBURSEMENT,
    a_body,
)
from tests.support.simulator_model import InProcessMtn, as_caller

from momo_worker.simulator.messages import Request


def test_a_transfer_is_pending_then_successful_and_leaves_the_float() -> None:
    mtn = InProcessMtn()
    before = int(mtn.balance())
    reference = mtn.pay("transfer", amount="1500")
    pending = mtn.status("transfer", reference)
    assert pending["status"] == "PENDING"
    assert "financialTransactionId" not in pending
    assert "reason" not in pending
    assert mtn.movements() == []
    mtn.wait(1)
    done = mtn.status("transfer", reference)
    assert done["status"] == "SUCCESSFUL"
    assert done["financialTransactionId"].isdigit()
    assert {name: done[name] for name in ("amount", "currency", "externalId")} == {
        "amount": "1500",
        "currency": "UGX",
        "externalId": "EMP-0042",
    }
    assert done["payee"] == {"partyIdType": "MSISDN", "partyId": "256772123456"}
    assert int(mtn.balance()) == before - 1500
    (movement,) = mtn.movements()
    expected = {
        "reference": reference,
        "operation": "transfer",
        "direction": "out",
        "amount": "1500",
        "msisdn": "256772123456",
    }
    assert expected.items() <= movement.items()


def test_a_collection_comes_in() -> None:
    mtn = InProcessMtn(SANDBOX_COLLECTION)
    reference = mtn.pay("requesttopay", amount="12.50", number="46700000001")
    mtn.wait(1)
    assert mtn.status("requesttopay", reference)["status"] == "SUCCESSFUL"
    assert mtn.balance() == "12.50"
    assert mtn.get("account/balance/EUR").json() == {"availableBalance": "12.50", "currency": "EUR"}
    assert mtn.get("account/balance/UGX").json()["code"] == "INVALID_CURRENCY"
    assert mtn.movements()[0]["direction"] == "in"


@pytest.mark.parametrize("version", ["v1_0", "v2_0"])
def test_a_deposit_of_either_version_is_read_by_one_call(version: str) -> None:
    mtn = InProcessMtn()
    reference = mtn.reference()
    assert mtn.post("deposit", reference, version=version).status == 202
    mtn.wait(1)
    assert mtn.status("deposit", reference)["status"] == "SUCCESSFUL"


_REASONS = {
    ("requesttopay", "450"): "INTERNAL_PROCESSING_ERROR",
    ("requesttopay", "451"): "APPROVAL_REJECTED",
    ("requesttopay", "452"): "EXPIRED",
    ("requesttopay", "455"): "PAYER_NOT_FOUND",
    ("requesttopay", "457"): "NOT_ALLOWED",
    ("requesttopay", "463"): "COULD_NOT_PERFORM_TRANSACTION",
    ("deposit", "456"): "PAYEE_NOT_ALLOWED_TO_RECEIVE",
    ("transfer", "455"): "NOT_ENOUGH_FUNDS",
    ("transfer", "456"): "PAYER_LIMIT_REACHED",
    ("transfer", "457"): "PAYEE_NOT_FOUND",
    ("transfer", "458"): "NOT_ALLOWED",
    ("transfer", "463"): "SERVICE_UNAVAILABLE",
}


@pytest.mark.parametrize(("operation", "suffix"), _REASONS)
@pytest.mark.parametrize("market", [False, True])
def test_a_test_number_fails_at_once_as_mtn_says_with_a_bare_string(operation: str, suffix: str, market: bool) -> None:
    sandbox, uganda = (
        (SANDBOX_COLLECTION, UGANDA_COLLECTION)
        if operation == "requesttopay"
        else (SANDBOX_DISBURSEMENT, UGANDA_DISBURSEMENT)
    )
    mtn = InProcessMtn(uganda if market else sandbox)
    reference = mtn.pay(operation, number=f"{'256773123' if market else '46733123'}{suffix}")
    body = mtn.status(operation, reference)
    assert (body["status"], body["reason"]) == ("FAILED", _REASONS[operation, suffix])
    mtn.wait(10_000)
    assert mtn.movements() == []


@pytest.mark.parametrize(
    ("who", "number", "reason"),
    [
        (SANDBOX_COLLECTION, "46733123453", "EXPIRED"),
        (UGANDA_COLLECTION, "256773123453", "COULD_NOT_PERFORM_TRANSACTION"),
    ],
)
def test_a_payer_who_does_nothing_has_five_minutes(who: Any, number: str, reason: str) -> None:
    mtn = InProcessMtn(who)
    reference = mtn.pay("requesttopay", number=number)
    mtn.wait(299)
    assert mtn.status("requesttopay", reference)["status"] == "PENDING"
    mtn.wait(1)
    assert mtn.status("requesttopay", reference)["reason"] == reason


def test_a_delayed_transfer_succeeds_between_four_and_forty_five_seconds() -> None:
    mtn = InProcessMtn(SANDBOX_DISBURSEMENT)
    reference = mtn.pay("transfer", number="46733123454")
    mtn.wait(3.9)
    assert mtn.status("transfer", reference)["status"] == "PENDING"
    mtn.wait(41.2)
    assert mtn.status("transfer", reference)["status"] == "SUCCESSFUL"


def test_a_delayed_request_to_pay_is_created_and_has_not_moved_at_forty_seconds() -> None:
    mtn = InProcessMtn(SANDBOX_COLLECTION)
    reference = mtn.pay("requesttopay", number="46733123454")
    mtn.wait(40)
    assert mtn.status("requesttopay", reference)["status"] == "CREATED"


@pytest.mark.parametrize("number", ["0772123456", "+256772123456", "233201234567"])
def test_a_number_without_its_markets_country_code_is_not_found(number: str) -> None:
    mtn = InProcessMtn()
    reference = mtn.pay("transfer", number=number)
    mtn.wait(1)
    assert mtn.status("transfer", reference)["reason"] == "PAYEE_NOT_FOUND"
    as_caller(mtn, UGANDA_COLLECTION)
    reference = mtn.pay("requesttopay", number=number)
    mtn.wait(1)
    assert mtn.status("requesttopay", reference)["reason"] == "PAYER_NOT_FOUND"


@pytest.mark.parametrize("reason", ["NOT_ENOUGH_FUNDS", "INTERNAL_PROCESSING_ERROR"])
def test_a_float_that_runs_dry_fails_the_rest_and_never_goes_below_zero(reason: str) -> None:
    mtn = InProcessMtn(short_float_reason=reason)
    mtn.door("POST", "balances", {"account": "uganda", "product": "disbursement", "amount": "2500"})
    references = [mtn.pay("transfer", amount="1000") for _ in range(3)]
    mtn.wait(1)
    bodies = [mtn.status("transfer", one) for one in references]
    assert [body["status"] for body in bodies] == ["SUCCESSFUL", "SUCCESSFUL", "FAILED"]
    assert bodies[2]["reason"] == reason
    assert mtn.balance() == "500"


def a_collected(mtn: InProcessMtn, amount: str) -> str:
    as_caller(mtn, UGANDA_COLLECTION)
    reference = mtn.pay("requesttopay", amount=amount)
    mtn.wait(1)
    as_caller(mtn, UGANDA_DISBURSEMENT)
    return reference


@pytest.mark.parametrize("version", ["v1_0", "v2_0"])
def test_a_refund_gives_the_payer_the_money_back(version: str) -> None:
    mtn = InProcessMtn()
    collected = a_collected(mtn, "1000")
    before = int(mtn.balance())
    reference = mtn.reference()
    assert (
        mtn.post("refund", reference, a_body("refund", mtn.who, amount="400", number=collected), version=version).status
        == 202
    )
    mtn.wait(1)
    body = mtn.status("refund", reference)
    assert (body["status"], body["payee"]["partyId"]) == ("SUCCESSFUL", "256772123456")
    assert int(mtn.balance()) == before - 400
    assert mtn.movements()[-1]["refund_of"] == collected


def test_refunds_together_do_not_exceed_what_was_collected() -> None:
    mtn = InProcessMtn()
    collected = a_collected(mtn, "100000")
    references = [mtn.pay("refund", amount="80000", number=collected) for _ in range(2)]
    mtn.wait(1)
    bodies = [mtn.status("refund", one) for one in references]
    assert [body["status"] for body in bodies] == ["SUCCESSFUL", "FAILED"]
    assert bodies[1]["reason"] == "NOT_ALLOWED"


def test_an_mtn_that_does_not_check_refunds_pays_them_twice_and_the_record_shows_it() -> None:
    mtn = InProcessMtn(refund_check="none")
    collected = a_collected(mtn, "100000")
    for _ in range(2):
        mtn.pay("refund", amount="80000", number=collected)
    mtn.wait(1)
    assert [one["amount"] for one in mtn.movements() if one["operation"] == "refund"] == ["80000", "80000"]


def test_a_refund_of_nothing_fails_or_is_refused() -> None:
    mtn = InProcessMtn()
    reference = mtn.pay("refund", number=mtn.reference())
    mtn.wait(1)
    assert mtn.status("refund", reference)["reason"] == "RESOURCE_NOT_FOUND"
    strict = InProcessMtn(refund_check="at_post")
    reply = strict.post("refund", strict.reference(), a_body("refund", strict.who, number=strict.reference()))
    assert (reply.status, reply.json()["code"]) == (500, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize(
    ("refund_of", "status", "reason"),
    [
        ("3", "FAILED", "APPROVAL_REJECTED"),
        ("13", "FAILED", "COULD_NOT_PERFORM_TRANSACTION"),
        ("6", "SUCCESSFUL", None),
        ("5", "FAILED", "EXPIRED"),
    ],
)
def test_the_sandboxs_test_refunds_end_as_mtn_says(refund_of: str, status: str, reason: str | None) -> None:
    mtn = InProcessMtn(SANDBOX_DISBURSEMENT)
    reference = mtn.pay("refund", amount="5.00", number=refund_of)
    mtn.wait(301)
    body = mtn.status("refund", reference)
    assert (body["status"], body.get("reason")) == (status, reason)


def test_who_is_active_and_who_is_it() -> None:
    mtn = InProcessMtn(SANDBOX_DISBURSEMENT)
    answers = {
        suffix: mtn.get(f"accountholder/msisdn/46733123{suffix}/active")
        for suffix in ("450", "451", "452", "455", "464")
    }
    assert answers["450"].json() == answers["451"].json() == {"result": False}
    assert answers["464"].json() == {"result": True}
    assert (answers["452"].status, answers["455"].status) == (500, 503)
    assert mtn.get("accountholder/MSISDN/46733123464/active").status == 400
    one, same = (mtn.get(f"accountholder/{kind}/256772123456/basicuserinfo").json() for kind in ("MSISDN", "msisdn"))
    assert one == same
    assert one["given_name"]
    assert mtn.get("accountholder/msisdn/0772123456/active").status == 400
    assert mtn.get("accountholder/msisdn/0772123456/basicuserinfo").status == 500


def test_a_test_says_who_has_a_number_and_what_it_says_wrongly_is_refused() -> None:
    mtn = InProcessMtn(SANDBOX_DISBURSEMENT)
    amina = {"msisdn": "256772123456", "given_name": "Amina", "active": False}
    assert mtn.door("POST", "holders", amina) == {"holders": 1}
    assert mtn.get("accountholder/msisdn/256772123456/active").json() == {"result": False}
    person = mtn.get("accountholder/msisdn/256772123456/basicuserinfo").json()
    assert (person["given_name"], "family_name" in person) == ("Amina", False)
    for wrong in ({"msisdn": "0772"}, {**amina, "active": "no"}, {**amina, "age": 9}, {"given_name": "Amina"}):
        reply = mtn.control.handle(Request.of("POST", "/_simulator/holders", {}, json.dumps(wrong).encode()))
        assert reply.status == 400, wrong
    mtn.door("POST", "reset")
    assert mtn.door("GET", "holders") == {"holders": []}


def test_what_moved_survives_another_start_and_a_float_is_not_filled_up_again(tmp_path: Path) -> None:
    data = str(tmp_path / "simulator.db")
    first = InProcessMtn(data=data)
    first.door("POST", "balances", {"account": "uganda", "product": "disbursement", "amount": "9000"})
    settled, open_one = first.pay("transfer", amount="1000"), ""
    first.wait(1)
    assert first.balance() == "8000"
    open_one = first.pay("transfer", amount="500")
    first.model.store.close()
    second = InProcessMtn(data=data)
    second.now = first.now
    assert second.balance() == "8000"
    assert second.post("transfer", settled).status == 409
    assert second.status("transfer", open_one)["status"] == "PENDING"
    second.wait(1)
    assert second.status("transfer", open_one)["status"] == "SUCCESSFUL"
    assert second.balance() == "7500"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_goes_wrong_balances_equal_movements_and_every_success_moved_once(seed: int) -> None:
    """Two hundred requests under chaos; the books must close, and the same seed must give the same books."""
    first, again = (a_chaotic_day(seed) for _ in range(2))
    assert first == again, f"seed {seed} is not repeatable"


def a_chaotic_day(seed: int) -> list[dict[str, Any]]:
    mtn = InProcessMtn(seed=seed)
    mtn.door("POST", "faults", {"chaos": 0.05})
    mtn.door("POST", "balances", {"account": "uganda", "product": "disbursement", "amount": "60000"})
    choices = random.Random(seed)
    references = [mtn.reference() for _ in range(30)]
    for _ in range(200):
        mtn.wait(choices.random())
        reference = choices.choice(references)
        if choices.random() < 0.5:
            mtn.post("transfer", reference, a_body("transfer", mtn.who, amount=str(choices.randint(1, 5000))))
        else:
            mtn.get(f"transfer/{reference}")
    mtn.wait(1000)
    movements = mtn.movements()
    spent = sum(int(one["amount"]) for one in movements)
    assert mtn.door("GET", "movements")["balances"]["uganda"]["disbursement"] == str(60000 - spent), f"seed {seed}"
    successes = [one["reference"] for one in mtn.door("GET", "payments")["payments"] if one["status"] == "SUCCESSFUL"]
    assert sorted(successes) == sorted(one["reference"] for one in movements), f"seed {seed}"
    assert len(set(successes)) == len(successes), f"seed {seed}: a reference paid twice"
    return movements
