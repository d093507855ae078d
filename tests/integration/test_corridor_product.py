"""What a whole product suffers on real parts: throttling, dead tokens, refused keys and credentials, a firewall, an outage. No payment fails for it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.corridor import Corridor, a_corridor, a_key

from momo_worker.payment.transitions import State


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    with a_corridor(tmp_path_factory.mktemp("corridor")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_fault_is_left(corridor: Corridor) -> Iterator[None]:
    yield
    corridor.simulator.clear_faults()


def posts_of(corridor: Corridor, key: str) -> list[dict[str, Any]]:
    payment = corridor.payment(key)
    assert payment is not None
    return [post for post in corridor.simulator.requests() if post["reference"] == payment.reference_id]


def said(corridor: Corridor, event: str, **facts: str) -> list[dict[str, Any]]:
    """Lines of all logs with this event and these facts."""
    lines = [line for process in corridor.processes for line in process.lines()]
    return [line for line in lines if line["event"] == event and facts.items() <= line.items()]


def pay(corridor: Corridor, *, operation: str = "disburse", count: int = 1) -> list[str]:
    keys = [a_key() for _ in range(count)]
    for at, key in enumerate(keys):
        corridor.xadd(idempotency_key=key, operation=operation, msisdn=f"2567729{at:05d}")
    return keys


def all_succeed_once(corridor: Corridor, keys: list[str]) -> None:
    assert [payment.state for payment in corridor.ends(*keys)] == [State.SUCCESSFUL] * len(keys)
    assert [len(corridor.movements(key)) for key in keys] == [1] * len(keys)


@pytest.mark.parametrize("fault", ["rate_limited", "quota_exceeded"])
def test_a_send_that_mtn_has_no_room_for_goes_again_after_the_time_it_named(corridor: Corridor, fault: str) -> None:
    corridor.simulator.fault(fault, method="POST", operation="transfer", count=1, seconds=2)
    (key,) = pay(corridor)
    all_succeed_once(corridor, [key])
    first, second = posts_of(corridor, key)
    assert second["at"] - first["at"] >= 2.0
    assert corridor.hears(key, "successful") == ["accepted", "pending", "successful"]


@pytest.mark.parametrize("fault", ["rate_limited", "quota_exceeded"])
def test_a_look_that_mtn_has_no_room_for_is_made_again(corridor: Corridor, fault: str) -> None:
    corridor.simulator.fault(fault, method="GET", operation="transfer", count=1, seconds=1)
    all_succeed_once(corridor, pay(corridor))


def test_a_token_that_died_early_is_replaced_once_and_its_send_repeated_once(corridor: Corridor) -> None:
    all_succeed_once(corridor, pay(corridor))
    before = corridor.simulator.record()["token_requests"]
    corridor.simulator.end_tokens()
    (key,) = pay(corridor)
    all_succeed_once(corridor, [key])
    after = corridor.simulator.record()["token_requests"]
    (name,) = [name for name in after if "disbursement" in name]
    assert after[name] - before[name] == 1
    assert len(posts_of(corridor, key)) == 2
    payment = corridor.payment(key)
    assert payment is not None
    assert payment.sends == 2


def test_a_token_that_dies_between_send_and_look_is_replaced(corridor: Corridor) -> None:
    corridor.simulator.fault("late_success", seconds=2, count=1)
    (key,) = pay(corridor)
    corridor.comes_to(key, State.PENDING)
    corridor.simulator.end_tokens()
    all_succeed_once(corridor, [key])


def test_an_address_that_is_not_whitelisted_suspends_the_product_and_fails_nobody(corridor: Corridor) -> None:
    corridor.simulator.fault("forbidden_ip", product="disbursement", for_seconds=3)
    keys = pay(corridor, count=5)
    corridor.until(lambda: said(corridor, "product suspended", product="disbursement", cause="forbidden"))
    (collection,) = pay(corridor, operation="collect")
    all_succeed_once(corridor, [collection, *keys])
    assert said(corridor, "product resumed", product="disbursement")


def test_a_wrong_path_at_the_gateway_suspends_the_product_and_fails_nobody(corridor: Corridor) -> None:
    corridor.simulator.fault("gateway_not_found", product="disbursement", for_seconds=3)
    keys = pay(corridor, count=3)
    corridor.until(lambda: said(corridor, "product suspended", product="disbursement", cause="configuration"))
    all_succeed_once(corridor, keys)


@pytest.mark.parametrize("fault", ["service_unavailable", "lost_before_creation"])
def test_an_outage_opens_the_circuit_and_everything_is_paid_once_it_is_over(corridor: Corridor, fault: str) -> None:
    before = len(said(corridor, "product suspended", cause="circuit"))
    corridor.simulator.fault(fault, product="disbursement", for_seconds=4)
    keys = pay(corridor, count=12)
    corridor.until(lambda: len(said(corridor, "product suspended", cause="circuit")) > before)
    all_succeed_once(corridor, keys)


def test_a_gateway_that_hangs_ends_no_worker_and_everything_is_paid_once_it_answers(corridor: Corridor) -> None:
    """More batches than threads wait at their deadlines at once: none of that is a worker that is stuck."""
    before = len(said(corridor, "product suspended", cause="circuit"))
    corridor.simulator.fault("slow_answer", product="disbursement", for_seconds=6, seconds=30)
    keys = pay(corridor, count=150)
    corridor.until(lambda: len(said(corridor, "product suspended", cause="circuit")) > before)
    all_succeed_once(corridor, keys)
    assert [process.name for process in corridor.processes if not process.alive()] == []


def test_wrong_credentials_suspend_a_product_and_a_secondary_key_stands_in(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Disbursements are stopped whole and go out when the key is right; collections go on under the secondary key."""
    wrong = {
        "MOMO_COLLECTION_SUBSCRIPTION_KEY": "0" * 32,
        "MOMO_DISBURSEMENT_API_KEY": "1" * 32,
        "MOMO_RULES__PROBE_DELAYS_MINUTES": "0.02",
    }
    with a_corridor(tmp_path_factory.mktemp("wrong"), environment=wrong) as corridor:
        (collection,) = pay(corridor, operation="collect")
        all_succeed_once(corridor, [collection])
        used = [line for line in corridor.workers[0].metrics().splitlines() if "secondary_key_total{" in line]
        assert re.fullmatch(r".*product=\"collection\".* [1-9][0-9.]*", used[0])
        keys = pay(corridor, count=4)
        corridor.until(lambda: said(corridor, "product suspended", product="disbursement", cause="login_refused"))
        corridor.until(lambda: said(corridor, "product still suspended", product="disbursement"))
        states = {corridor.comes_to(key, State.ACCEPTED, State.SENDING).state for key in keys}
        assert states <= {State.ACCEPTED, State.SENDING}
        assert [post for post in corridor.simulator.requests() if post["operation"] == "transfer"] == []
        right = {**corridor.environment, "MOMO_DISBURSEMENT_API_KEY": "b0b0b0b0b0b0b0b0b0b0b0b0b0b0d15b"}
        for process in corridor.processes:
            assert process.terminate() == 0
            process.environment |= right
            process.start()
        all_succeed_once(corridor, keys)
        assert {payment.state for payment in corridor.payments().values()} == {State.SUCCESSFUL}
        corridor.books_agree()


def test_the_books_agree_after_all_of_it(corridor: Corridor) -> None:
    assert {payment.state for payment in corridor.payments().values()} == {State.SUCCESSFUL}
    corridor.books_agree()
    corridor.consumer_agrees()
    assert corridor.simulator.record()["own_errors"] == 0
