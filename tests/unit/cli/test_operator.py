"""Cancelling: a payment and its sends come in, the change or the reason against it goes out."""

from dataclasses import replace

import pytest
from tests.support.factories import NOW, a_payment, a_send

from momo_worker.payment.operator import NotPermitted, cancel
from momo_worker.payment.payment import Change
from momo_worker.payment.transitions import HeldCause, State, Trigger, edge_for
from momo_worker.payment.verdict import SendAnswer


def cancelled(payment, *sends):
    return cancel(payment, sends, NOW, actor="amina", reason="typed twice")


def test_a_payment_without_any_send_is_cancelled_and_is_due_for_nothing_any_more():
    change = cancelled(a_payment(state=State.ACCEPTED))

    assert isinstance(change, Change)
    assert change.trigger is Trigger.CANCELLED
    assert (change.after.state, change.after.due_at_ms, change.after.work) == (State.CANCELLED, None, None)
    assert change.after.released_until_ms is None
    assert change.actor == "amina"
    assert "typed twice" in change.detail


def test_sends_that_all_ended_not_now_leave_it_cancellable():
    sends = [a_send(number=1, ending=SendAnswer.NOT_NOW), a_send(number=2, ending=SendAnswer.NOT_NOW)]

    assert isinstance(cancelled(a_payment(state=State.ACCEPTED), *sends), Change)


@pytest.mark.parametrize("ending", [None, SendAnswer.UNKNOWN, SendAnswer.ACCEPTED, SendAnswer.REFUSED])
def test_one_send_that_ended_otherwise_keeps_it_from_being_cancelled(ending):
    sends = [a_send(number=1, ending=SendAnswer.NOT_NOW), a_send(number=2, ending=ending)]

    assert isinstance(cancelled(a_payment(state=State.ACCEPTED), *sends), NotPermitted)


def test_the_sends_of_an_earlier_attempt_say_nothing_of_this_one_and_a_cancelled_retry_is_failed_as_before():
    payment = a_payment(state=State.ACCEPTED, attempt=2, reason_code="NOT_ENOUGH_FUNDS", reason_message="empty wallet")

    change = cancelled(payment, a_send(attempt=1, ending=SendAnswer.ACCEPTED))

    assert isinstance(change, Change)
    assert (change.trigger, change.after.state) == (Trigger.RETRY_CANCELLED, State.FAILED)
    assert (change.after.reason_code, change.after.reason_message) == ("NOT_ENOUGH_FUNDS", "empty wallet")


def test_a_held_payment_is_cancelled_only_where_no_send_was_ever_made():
    payment = a_payment(state=State.HELD, held_cause=HeldCause.SUSPECT_DUPLICATE)

    assert isinstance(cancelled(payment), Change)
    assert isinstance(cancelled(payment, a_send(ending=SendAnswer.NOT_NOW)), NotPermitted)
    assert isinstance(cancelled(replace(payment, attempt=2)), NotPermitted)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_an_answer_and_every_change_is_an_edge_of_the_graph(state):
    answer = cancelled(a_payment(state=state))

    if isinstance(answer, Change):
        assert edge_for(answer.before.state, answer.after.state, answer.trigger)
        assert state in (State.ACCEPTED, State.HELD)
    else:
        assert answer.why
        assert answer.advice
