"""A job dropped on Redis becomes one known outcome: real pump and worker processes, a fake MTN over HTTP, both databases, read as an application reads."""

from collections.abc import Iterator

import pytest
from tests.support.corridor import Corridor, a_corridor, a_key, rejection

from momo_worker.payment.transitions import State


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def corridor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    folder = tmp_path_factory.mktemp("corridor")
    if request.param == "sqlite":
        with a_corridor(folder) as running:
            yield running
        return
    with (
        request.getfixturevalue("postgres_server").database() as url,
        a_corridor(folder, ledger_url=url, pumps=2) as running,
    ):
        yield running


@pytest.mark.parametrize("operation", ["collect", "disburse", "deposit"])
def test_a_job_becomes_accepted_then_pending_then_successful(corridor: Corridor, operation: str) -> None:
    key = a_key()
    corridor.xadd(operation=operation, idempotency_key=key, metadata={"order": "A-17", "exact": 1.10})
    assert corridor.hears(key, "successful") == ["accepted", "pending", "successful"]
    (moved,) = corridor.movements(key)
    assert (moved["amount"], moved["currency"], moved["msisdn"]) == ("1500", "UGX", "256772100001")
    theirs = corridor.simulator.call("GET", "payments", params={"reference": moved["reference"]})["payments"]
    assert corridor.comes_to(key, State.SUCCESSFUL).financial_transaction_id == theirs[0]["financial_id"]


def test_a_collection_is_refunded_and_never_beyond_what_was_collected(corridor: Corridor) -> None:
    collection, first, over, rest = a_key(), a_key(), a_key(), a_key()
    refund = {"operation": "refund", "msisdn": None, "refund_of": collection}
    too_early = corridor.xadd(**{**refund, "refund_of": a_key()}, idempotency_key=a_key())
    assert rejection(corridor, too_early)["field"] == "refund_of"
    corridor.xadd(operation="collect", idempotency_key=collection, amount="1500")
    corridor.hears(collection, "successful")
    corridor.xadd(**refund, idempotency_key=first, amount="1000")
    assert corridor.hears(first, "successful") == ["accepted", "pending", "successful"]
    refused = rejection(corridor, corridor.xadd(**refund, idempotency_key=over, amount="501"))
    assert (refused["field"], "500 that is left" in refused["reason"]) == ("amount", True)
    corridor.xadd(**refund, idempotency_key=rest, amount="500")
    corridor.hears(rest, "successful")
    assert [corridor.movements(key)[0]["amount"] for key in (first, rest)] == ["1000", "500"]
    assert corridor.payment(over) is None


def test_a_job_sent_again_is_the_same_payment_and_another_body_is_rejected(corridor: Corridor) -> None:
    key = a_key()
    corridor.xadd(idempotency_key=key, amount="800")
    corridor.hears(key, "successful")
    events = sum(corridor.consumer.read().arrived.values())
    corridor.xadd(idempotency_key=key, amount="800")
    corridor.until(lambda: sum(corridor.consumer.read().arrived.values()) > events)
    assert corridor.consumer.story[key] == ["accepted", "pending", "successful"]
    other = rejection(corridor, corridor.xadd(idempotency_key=key, amount="801"))
    assert (other["code"], other["state"]) == ("key_reused", "successful")
    assert len(corridor.movements(key)) == 1


def test_a_payment_that_mtn_refuses_fails_with_mtns_reason_and_moves_nothing(corridor: Corridor) -> None:
    collect, disburse = a_key(), a_key()
    for key, number, code in (
        (collect, "256772400001", "APPROVAL_REJECTED"),
        (disburse, "256772400002", "PAYEE_NOT_FOUND"),
    ):
        corridor.simulator.fault("fail", msisdn=number, code=code)
        corridor.xadd(operation="collect" if key is collect else "disburse", idempotency_key=key, msisdn=number)
    assert corridor.hears(collect, "failed")[-1] == corridor.hears(disburse, "failed")[-1] == "failed"
    assert corridor.consumer.causes[collect] == "APPROVAL_REJECTED"
    assert corridor.consumer.causes[disburse] == "PAYEE_NOT_FOUND"
    assert corridor.movements(collect) == corridor.movements(disburse) == []


def test_the_books_of_all_these_agree(corridor: Corridor) -> None:
    """Last in the file: everything above, counted at the fake MTN, in the ledger and at the application."""
    corridor.ends(*corridor.payments())
    corridor.books_agree()
    corridor.consumer_agrees()
    assert corridor.simulator.record()["own_errors"] == 0


def test_jobs_are_acknowledged_once_they_are_in_the_ledger(corridor: Corridor) -> None:
    corridor.until(lambda: corridor.client.xpending("momo:jobs", "momo")["pending"] == 0)
    assert [name for name, said in corridor.output().items() if "Traceback" in said] == []
