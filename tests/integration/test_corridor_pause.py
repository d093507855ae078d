"""The kill switch on real parts, as measured at the fake MTN: what leaves after `momo pause` has returned, what is on the wire, what a cancel wins."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.corridor import Corridor, a_corridor, a_job

from momo_worker.payment.transitions import State

#: On one machine a request needs far less; the machine is shared.
NETWORK_SECONDS = 1.0
MANY = 200


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    """200 salaries leave one each 60 ms, so that a pause falls into the middle of them."""
    environment = {"MOMO_PACE__SEND_APART_MS": "60"}
    with a_corridor(tmp_path_factory.mktemp("corridor"), workers=2, environment=environment) as running:
        yield running


def posts(corridor: Corridor) -> list[dict[str, Any]]:
    return [post for post in corridor.simulator.requests() if post["operation"] == "transfer"]


def keys() -> list[str]:
    return [f"salary-{at:03d}" for at in range(MANY)]


def test_no_send_begins_later_than_a_second_after_pause_has_returned(corridor: Corridor) -> None:
    number = "256772700000"
    corridor.xadd_many(
        [
            a_job(idempotency_key=key, lane="bulk", msisdn=f"{int(number) + at}", amount=str(1000 + at))
            for at, key in enumerate(keys())
        ]
    )
    corridor.until(lambda: len(posts(corridor)) >= 20)
    paused = corridor.momo("pause", "--reason", "the list looks wrong", "--json")
    returned_at = time.time()
    assert paused.returncode == 0, paused.stderr
    assert json.loads(paused.stdout)["holding"][0]["reason"] == "the list looks wrong"
    # Measured, and not only awaited: were sends still leaving at their pace, forty would in these seconds.
    corridor.until(lambda: time.time() > returned_at + 3.5)
    late = [post["at"] - returned_at for post in posts(corridor) if post["at"] > returned_at + 1 + NETWORK_SECONDS]
    assert late == []
    assert 20 <= len(posts(corridor)) < MANY
    # What MTN has is followed to its end under the pause.
    sent = {post["reference"] for post in posts(corridor)}

    def followed() -> bool:
        found = [payment for payment in corridor.payments().values() if payment.reference_id in sent]
        return len(found) == len(sent) and all(payment.state is State.SUCCESSFUL for payment in found)

    corridor.until(followed)
    waiting = [payment for payment in corridor.payments().values() if payment.state is State.ACCEPTED]
    assert len(waiting) == MANY - len(sent)


def test_cancelling_a_paused_payment_wins(corridor: Corridor) -> None:
    waiting = next(payment for payment in corridor.payments().values() if payment.state is State.ACCEPTED)
    done = corridor.momo("payment", "cancel", waiting.idempotency_key, "--reason", "left the company", "--json")
    assert done.returncode == 0, done.stderr
    assert corridor.hears(waiting.idempotency_key, "cancelled")[-1] == "cancelled"
    assert corridor.momo("payment", "cancel", waiting.idempotency_key).returncode == 1


def test_a_narrower_resume_lifts_nothing_and_the_right_one_lets_all_go_on(corridor: Corridor) -> None:
    before = len(posts(corridor))
    assert corridor.momo("resume", "--product", "disbursement", "--reason", "too narrow").returncode == 1
    assert corridor.momo("resume", "--reason", "the list was right").returncode == 0
    corridor.until(lambda: len(posts(corridor)) > before)
    ended = corridor.ends(*keys())
    states = [payment.state for payment in ended]
    assert (states.count(State.SUCCESSFUL), states.count(State.CANCELLED)) == (MANY - 1, 1)
    corridor.books_agree()
    corridor.consumer_agrees()


def test_a_call_on_the_wire_is_listed_by_pause_and_can_no_longer_be_cancelled(corridor: Corridor) -> None:
    corridor.simulator.fault("slow_answer", method="POST", msisdn="256772800001", seconds=20)
    corridor.xadd(idempotency_key="slow", msisdn="256772800001")
    payment = corridor.comes_to("slow", State.SENDING)
    # The call waits for its answer until its deadline of three seconds; it comes again if a slow machine misses the moment.
    cancelled = corridor.momo("payment", "cancel", "slow", "--json")
    assert cancelled.returncode == 1
    assert json.loads(cancelled.stdout or cancelled.stderr)
    ended = corridor.ends("slow")[0]
    assert ended.state is State.SUCCESSFUL
    assert [one["reference"] for one in corridor.movements("slow")] == [payment.reference_id]


def test_pause_lists_the_calls_that_have_begun(corridor: Corridor) -> None:
    """Ten slow calls one after another, so that one is on the wire whenever a slow machine has its command ready."""
    corridor.simulator.fault("slow_answer", method="POST", operation="deposit", seconds=20)
    wire = [f"wire-{at}" for at in range(10)]
    corridor.xadd_many(
        [
            a_job(operation="deposit", idempotency_key=key, not_before=_in_seconds(0.5 * at), msisdn=f"2567728{at:05d}")
            for at, key in enumerate(wire)
        ]
    )
    corridor.comes_to(wire[0], State.SENDING)
    paused = corridor.momo("pause", "--product", "disbursement", "--reason", "to see the wire", "--json")
    listed = {one["payment_id"] for one in json.loads(paused.stdout)["on_the_wire"]}
    assert listed
    assert listed <= {payment.id for key, payment in corridor.payments().items() if key in wire}
    assert corridor.momo("resume", "--product", "disbursement", "--reason", "seen").returncode == 0
    corridor.simulator.clear_faults()
    corridor.ends(*wire)
    corridor.books_agree()


def _in_seconds(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
