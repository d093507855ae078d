"""Every wrong answer that gateways give, one payment each, all on their way at once: each ends in its right state, and money moved once or never.

A fault belongs to one number, so that payments don't disturb one another; what a whole product suffers is in test_corridor_product.py.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.callbacks import CALLBACK_SECRET, receiving_callbacks
from tests.support.corridor import Corridor, a_corridor

from momo_worker.payment.payment import Payment
from momo_worker.payment.transitions import HeldCause, State

#: As it is often told of gateways: cut connections, pages in the place of answers, silence.
POST = {"method": "POST", "count": 1}
GET = {"method": "GET", "count": 1}


@dataclass(frozen=True)
class Case:
    """What goes wrong with a payment, how it must end all the same, and what its story must tell."""

    faults: tuple[tuple[str, dict[str, Any]], ...]
    state: State = State.SUCCESSFUL
    moves: int = 1
    cause: HeldCause | None = None
    code: str | None = None
    #: Words of the log's `action`, in the order in which they must come.
    tells: tuple[str, ...] = ("taken_in", "claimed", "acknowledged", "found_successful")
    operation: str = "disburse"


def case(*faults: tuple[str, dict[str, Any]], **expected: Any) -> Case:
    return Case(faults, **expected)


LOST = ("taken_in", "claimed", "send_unknown")
FOUND = (*LOST, "found_successful")
SENT_AGAIN = (*LOST, "resent", "acknowledged", "found_successful")
DESK = ("taken_in", "claimed", "put_on_desk")
FAILED = {"state": State.FAILED, "moves": 0}
MISMATCH = {"state": State.HELD, "cause": HeldCause.MISMATCH, "tells": DESK}
VANISHED = {"state": State.HELD, "cause": HeldCause.VANISHED, "tells": DESK}

CASES = {
    "the answer to the send is lost after the payment was created": case(("lost_after_creation", POST), tells=FOUND),
    "the answer to a collection's send is lost": case(("lost_after_creation", POST), tells=FOUND, operation="collect"),
    "the answer to a deposit's send is lost": case(("lost_after_creation", POST), tells=FOUND, operation="deposit"),
    "the answer breaks off half-way": case(("halfway_answer", POST), tells=FOUND),
    "a 500 comes after the payment was created": case(("error_after_creation", POST), tells=FOUND),
    "a 502 page comes after the payment was created": case(("bad_gateway_after_creation", POST), tells=FOUND),
    "a 504 page comes after the payment was created": case(("gateway_timeout_after_creation", POST), tells=FOUND),
    "a 200 with HTML comes after the payment was created": case(("html_200_after_creation", POST), tells=FOUND),
    "a 200 without a body comes after the payment was created": case(("ok_200_after_creation", POST), tells=FOUND),
    "the answer to the send comes after the deadline": case(("slow_answer", {**POST, "seconds": 5}), tells=FOUND),
    "the request reaches MTN late": case(("late_creation", {**POST, "seconds": 2}), tells=FOUND),
    "a 200 with HTML comes and nothing was created": case(("html_200", POST), tells=SENT_AGAIN),
    "a redirect comes and nothing was created": case(("redirect", POST), tells=SENT_AGAIN),
    "a 502 page comes and nothing was created": case(("bad_gateway", POST), tells=SENT_AGAIN),
    "a 503 page comes and nothing was created": case(("service_unavailable", POST), tells=SENT_AGAIN),
    "a 503 with a code comes and nothing was created": case(("service_unavailable_code", POST), tells=SENT_AGAIN),
    "the connection is cut and nothing was created": case(("lost_before_creation", POST), tells=SENT_AGAIN),
    "a collection's connection is cut and nothing was created": case(
        ("lost_before_creation", POST), tells=SENT_AGAIN, operation="collect"
    ),
    "every send is lost before it arrives": case(
        ("lost_before_creation", {"method": "POST"}),
        state=State.HELD,
        cause=HeldCause.TOO_OLD,
        moves=0,
        tells=(*LOST, "resent", "send_unknown", "resent", "send_unknown", "put_on_desk"),
    ),
    "MTN hides the payment until we send again, and answers 409": case(
        ("lost_after_creation", POST), ("visibility_lag", {"seconds": 12}), tells=SENT_AGAIN
    ),
    "MTN hides the payment until we send again, and answers an empty 409": case(
        ("lost_after_creation", POST),
        ("visibility_lag", {"seconds": 12}),
        ("empty_conflict", {"method": "POST"}),
        tells=SENT_AGAIN,
    ),
    "404 is answered for a while after the 202": case(("visibility_lag", {"seconds": 2})),
    "MTN took it and never knows it again": case(("vanish", {}), **VANISHED, moves=0),
    "MTN forgets the reference after the money moved": case(("forget", {"seconds": 0.15}), **VANISHED),
    "the reason is a bare string": case(
        ("fail", {"code": "PAYEE_NOT_FOUND"}), ("reason_as_string", {}), **FAILED, code="PAYEE_NOT_FOUND", tells=("found_failed",)
    ),
    "the reason is an object": case(
        ("fail", {"code": "PAYER_LIMIT_REACHED"}),
        ("reason_as_object", {}),
        **FAILED,
        code="PAYER_LIMIT_REACHED",
        tells=("found_failed",),
    ),
    "the payer says no": case(
        ("fail", {"code": "APPROVAL_REJECTED"}),
        **FAILED,
        code="APPROVAL_REJECTED",
        tells=("acknowledged", "found_failed"),
        operation="collect",
    ),
    "numbers come for strings": case(("numbers_for_strings", {})),
    "fields are missing in the status": case(("missing_fields", {})),
    "a status comes that nobody documented": case(("unknown_status", {**GET, "count": 3, "code": "IN_REVIEW"})),
    "no status comes at all": case(("no_status", {**GET, "count": 3})),
    "CREATED comes for PENDING": case(("created_status", {}), ("late_success", {"seconds": 2})),
    "success comes late": case(("late_success", {"seconds": 4})),
    "the status lags behind": case(("status_lag", {"seconds": 2})),
    "the answer to a look is lost": case(("lost_answer", {**GET, "count": 2})),
    "a look is answered with HTML": case(("html_200", {**GET, "count": 2})),
    "a look is answered after the deadline": case(("slow_answer", {**GET, "seconds": 5})),
    "a look is answered 500": case(("error_before_creation", {**GET, "count": 2})),
    "MTN shows another amount": case(("wrong_amount", {}), **MISMATCH),
    "MTN shows another currency": case(("wrong_currency", {}), **MISMATCH),
    "MTN shows another number": case(("wrong_party", {}), **MISMATCH),
    "MTN shows another external id": case(("wrong_external_id", {}), **MISMATCH),
    "MTN refuses the send with a 400": case(
        ("bad_request", POST), **FAILED, code="BAD_REQUEST", tells=("claimed", "refused", "refusal_confirmed")
    ),
    "MTN refuses the send with a code": case(
        ("error_before_creation", {**POST, "code": "PAYEE_NOT_FOUND"}),
        **FAILED,
        code="PAYEE_NOT_FOUND",
        tells=("claimed", "refused", "refusal_confirmed"),
    ),
    "a refusal was no refusal, since MTN has it": case(
        ("error_after_creation", {**POST, "code": "PAYEE_NOT_FOUND"}), tells=("claimed", "refused", "found_successful")
    ),
    "a callback comes twice": case(("callback_twice", {"seconds": 0.1})),
    "no callback comes": case(("callback_never", {})),
    "a forged callback claims success of what fails": case(
        ("callback_forged", {"seconds": 0.0}),
        ("fail", {"code": "PAYEE_NOT_FOUND", "seconds": 1.5}),
        **FAILED,
        code="PAYEE_NOT_FOUND",
        tells=("acknowledged", "found_failed"),
    ),
    "a forged callback claims failure of what succeeds": case(
        ("callback_forged", {"seconds": 0.0, "code": "FAILED"}), ("late_success", {"seconds": 1.5})
    ),
}  # fmt: skip
STUCK = "MTN says pending for ever"


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corridor]:
    """Every case's job dropped at once, behind its own fault."""
    # What MTN hides it shows long after we have sent again, and well before we call it vanished, on a busy machine too.
    rules = {"CIRCUIT_PAYMENTS": "1000", "VANISHED_AFTER_MINUTES": "0.3", "VANISHED_PAUSE_COUNT": "100"}
    rules |= {"BAD_REQUESTS_IN_A_ROW": "100", "HINT_APART_SECONDS": "1"}
    with receiving_callbacks() as callbacks:
        environment = {"MOMO_CALLBACK_URL": callbacks.url, "MOMO_CALLBACK_SECRET": CALLBACK_SECRET}
        with a_corridor(
            tmp_path_factory.mktemp("corridor"), rules=rules, environment=environment, workers=2
        ) as running:
            callbacks.hints_go_to(running)
            running.simulator.fault("stuck_pending", msisdn=number(STUCK))
            for name, each in CASES.items():
                for fault, options in each.faults:
                    running.simulator.fault(fault, msisdn=number(name), **options)
            running.xadd(idempotency_key=key(STUCK), msisdn=number(STUCK), operation="collect")
            for name, each in CASES.items():
                running.xadd(idempotency_key=key(name), msisdn=number(name), operation=each.operation)
            yield running
            callbacks.hints_go_to(None)


def number(name: str) -> str:
    return f"2567725{[*CASES, STUCK].index(name):05d}"


def key(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name)


def in_this_order(wanted: tuple[str, ...], told: list[str]) -> bool:
    rest = iter(told)
    return all(word in rest for word in wanted)


def story_is_told(corridor: Corridor, payment: Payment, tells: tuple[str, ...]) -> None:
    """The log tells by payment_id alone what the ledger did, to its end."""

    def told() -> bool:
        story = [line for line in corridor.story(payment.id) if "to" in line]
        actions = [str(line["action"]) for line in story]
        return in_this_order(tells, actions) and story[-1]["to"] == payment.state.value

    corridor.until(told, key=payment.idempotency_key)


@pytest.mark.parametrize("name", CASES)
def test_a_payment_ends_rightly_when(name: str, corridor: Corridor) -> None:
    expected = CASES[name]
    wanted = expected.state
    payment = corridor.comes_to(key(name), wanted)
    cause = expected.cause.value.upper() if expected.cause else expected.code
    assert (payment.held_cause, payment.reason_code) == (expected.cause, expected.code)
    assert corridor.hears(key(name), wanted.value)[-1] == wanted.value
    assert corridor.consumer.causes[key(name)] == cause
    corridor.until(lambda: len(corridor.movements(key(name))) == expected.moves)
    story_is_told(corridor, payment, expected.tells)


def test_a_payment_that_mtn_calls_pending_is_followed_and_never_ended(corridor: Corridor) -> None:
    """Asked last, when all others have ended: it has been asked about again and again, and it is still MTN's."""
    payment = corridor.payment(key(STUCK))
    assert payment is not None
    assert (payment.state, payment.due_at_ms is not None) == (State.PENDING, True)
    assert payment.looks >= 3
    assert corridor.consumer.story[key(STUCK)] == ["accepted", "pending"]


def test_callbacks_only_bring_looks_forward(corridor: Corridor) -> None:
    """They came once, twice, late and forged; each arrived, and not one of them wrote a state."""
    sent = corridor.simulator.callbacks()
    assert {one["forged"] for one in sent if one["outcome"].startswith("delivered")} == {0, 1}
    twice = key("a callback comes twice")
    assert corridor.consumer.story[twice] == ["accepted", "pending", "successful"]
    assert max(corridor.consumer.arrived.values()) == 1
    words = corridor.count("SELECT count(*) FROM transition WHERE trigger LIKE '%callback%'")
    assert words == 0


def test_nothing_moved_twice_and_nothing_that_the_ledger_calls_failed(corridor: Corridor) -> None:
    moved = corridor.simulator.movements()
    assert moved["doubles"] == {"references": {}, "external_ids": {}}
    assert len(moved["movements"]) == sum(each.moves for each in CASES.values())
    assert corridor.simulator.record()["own_errors"] == 0
    traces = [name for name, said in corridor.output().items() if "Traceback" in said]
    assert traces == []
