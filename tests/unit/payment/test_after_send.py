"""What a POST's answer makes of a payment (M1, M4, M6), branch by branch, under the names of the scenarios that the rules are for."""

import random
from dataclasses import replace

import pytest
from tests.support.factories import (
    NOW,
    RULES,
    a_payment,
    a_report,
    a_send,
    accepted,
    conflict,
    never_sent,
    no_answer,
    refused,
    throttled,
)

from momo_worker.payment import after_send
from momo_worker.payment.after_look import resend_permitted
from momo_worker.payment.after_send import SendReport
from momo_worker.payment.payment import Change, Lane, Payment, Queue, Send, Work
from momo_worker.payment.rules import HOUR, MINUTE, SECOND
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, Trigger, edge_for
from momo_worker.payment.verdict import Cause, SendAnswer, SendVerdict

NOT_ALLOWED = SendVerdict(SendAnswer.NOT_NOW, Cause.CONFIGURATION, code="NOT_ALLOWED", http_status=500)
UNAUTHORISED = SendVerdict(SendAnswer.NOT_NOW, Cause.TOKEN_REFUSED, http_status=401)
NEGATIVE = [never_sent(), throttled(), UNAUTHORISED, NOT_ALLOWED, refused(), no_answer()]
OPEN = [State.ACCEPTED, State.SENDING, State.UNKNOWN, State.PENDING, State.HELD]


def decided(
    payment: Payment, report: SendReport, before: tuple[Send, ...] = (), *, now_ms: int = NOW, adopting: bool = False
) -> Change:
    """As the outcome decides: the send's own ending is among the sends. A move that the graph doesn't have fails the test."""
    unbroken = after_send.unbroken(payment, report, now_ms)
    sends = (*before, after_send.ended_send(report, now_ms, unbroken=unbroken))
    change = after_send.decide(
        payment, sends, report, now_ms=now_ms, rules=RULES, rng=random.Random(1), adopting=adopting
    )
    assert change.before == payment
    if change.trigger is not None:
        edge_for(payment.state, change.after.state, change.trigger)
    else:
        assert change.after.state is payment.state
    return change


def sending(**changes: object) -> Payment:
    return a_payment(State.SENDING, **changes)


# --- M4: the four answers, under an unbroken lease ---


def test_m4_a_202_makes_it_pending_and_due_for_a_look() -> None:
    change = decided(sending(), a_report(sending(), accepted()))
    assert (change.after.state, change.trigger) == (State.PENDING, Trigger.ACKNOWLEDGED)
    assert (change.after.acknowledged_at_ms, change.after.lease_until_ms) == (NOW, None)
    assert change.after.work is Work.LOOK
    assert change.after.due_at_ms is not None
    assert NOW < change.after.due_at_ms <= NOW + 6 * SECOND


@pytest.mark.parametrize("verdict", [never_sent(), throttled(), UNAUTHORISED, NOT_ALLOWED])
def test_m4_not_now_goes_back_and_stays_due_under_its_reference(verdict: SendVerdict) -> None:
    payment = sending(first_send_at_ms=NOW - HOUR)
    change = decided(payment, a_report(payment, verdict))
    assert (change.after.state, change.trigger) == (State.ACCEPTED, Trigger.NOT_NOW)
    assert (change.after.work, change.after.lease_until_ms) == (Work.SEND, None)
    assert change.after.due_at_ms is not None
    assert change.after.due_at_ms > NOW
    assert (change.after.reference_id, change.after.attempt) == (payment.reference_id, payment.attempt)


def test_m5_the_hours_begin_with_the_first_send_that_may_have_left() -> None:
    payment = sending(first_send_at_ms=NOW - 7 * HOUR)
    assert decided(payment, a_report(payment, throttled())).after.first_send_at_ms is None


def test_m4_not_now_waits_at_least_as_long_as_mtn_says() -> None:
    for seed in range(50):
        change = after_send.decide(
            sending(),
            [a_send(ending=SendAnswer.NOT_NOW)],
            a_report(sending(), throttled(retry_after_seconds=90)),
            now_ms=NOW,
            rules=RULES,
            rng=random.Random(seed),
        )
        assert change.after.due_at_ms is not None
        assert change.after.due_at_ms >= NOW + 90 * SECOND


def test_m4_a_refusal_fails_nothing_and_is_looked_up_at_once() -> None:
    change = decided(sending(), a_report(sending(), refused()))
    assert (change.after.state, change.trigger) == (State.UNKNOWN, Trigger.REFUSED)
    assert (change.after.work, change.after.due_at_ms) == (Work.LOOK, NOW)
    assert change.after.reason_code == "PAYEE_NOT_FOUND"


def test_s5_what_was_not_found_before_a_refused_send_proves_nothing_about_it() -> None:
    searched = sending(not_found_count=3, not_found_first_at_ms=NOW - HOUR, not_found_last_at_ms=NOW - MINUTE)
    after = decided(searched, a_report(searched, refused(), number=2), (a_send(ending=SendAnswer.UNKNOWN),)).after
    assert (after.not_found_count, after.not_found_last_at_ms, after.could_have_left_at_ms) == (0, None, NOW)


def test_m4_no_answer_is_unknown_and_the_search_begins_now() -> None:
    searched = sending(not_found_count=3, not_found_last_at_ms=NOW - MINUTE, could_have_left_at_ms=NOW - HOUR)
    change = decided(searched, a_report(searched, no_answer()))
    assert (change.after.state, change.trigger) == (State.UNKNOWN, Trigger.SEND_UNKNOWN)
    assert (change.after.not_found_count, change.after.could_have_left_at_ms) == (0, NOW)
    # A till's customer waits, also for a fate that isn't known; a run's go to rescue.
    assert (change.after.work, change.after.queue) == (Work.LOOK, Queue.INTERACTIVE)
    of_a_run = decided(searched.but(lane=Lane.BULK), a_report(searched, no_answer()))
    assert of_a_run.after.queue is Queue.RESCUE


@pytest.mark.parametrize("earlier", [None, SendAnswer.UNKNOWN, SendAnswer.REFUSED, SendAnswer.ACCEPTED])
def test_s4_not_now_goes_back_to_accepted_only_if_every_send_ended_so(earlier: SendAnswer | None) -> None:
    payment = sending()
    change = decided(payment, a_report(payment, throttled(), number=2), (a_send(1, earlier),))
    assert (change.after.state, change.trigger) == (State.UNKNOWN, Trigger.NOT_NOW)
    assert change.after.work is Work.LOOK
    back = decided(payment, a_report(payment, throttled(), number=2), (a_send(1, SendAnswer.NOT_NOW),))
    assert back.after.state is State.ACCEPTED


# --- M4: evidence isn't symmetric ---


@pytest.mark.parametrize("verdict", NEGATIVE)
@pytest.mark.parametrize("state", OPEN)
def test_s1_what_mtn_has_not_counts_under_an_unbroken_lease_only(state: State, verdict: SendVerdict) -> None:
    payment = a_payment(state)
    change = decided(payment, a_report(payment, verdict, fence=payment.fence + 1))
    assert change.trigger is None
    assert change.after.state is payment.state
    assert change.after.lease_until_ms == payment.lease_until_ms


@pytest.mark.parametrize(("late_ms", "unbroken"), [(-1, True), (0, False), (1, False)])
def test_s1_a_lease_is_broken_from_the_moment_it_ends(late_ms: int, unbroken: bool) -> None:
    payment = sending(lease_until_ms=NOW)
    change = decided(payment, a_report(payment, throttled()), now_ms=NOW + late_ms)
    assert (change.trigger is Trigger.NOT_NOW) == unbroken


@pytest.mark.parametrize("verdict", [throttled(), UNAUTHORISED, NOT_ALLOWED, refused(), no_answer()])
def test_s1_under_a_broken_lease_a_send_that_left_is_unknown_for_ever(verdict: SendVerdict) -> None:
    report = a_report(sending(), verdict)
    assert after_send.as_recorded(report, unbroken=False) is SendAnswer.UNKNOWN
    assert after_send.as_recorded(report, unbroken=True) is verdict.answer


def test_s2_a_send_that_our_own_flag_kept_back_never_left_whatever_its_lease() -> None:
    assert after_send.as_recorded(a_report(sending(), never_sent()), unbroken=False) is SendAnswer.NOT_NOW


@pytest.mark.parametrize("verdict", [accepted(), conflict()])
@pytest.mark.parametrize("state", [State.ACCEPTED, State.SENDING, State.UNKNOWN])
def test_s1_that_mtn_has_it_counts_whoever_brings_it_and_whenever(state: State, verdict: SendVerdict) -> None:
    payment = a_payment(state, fence=7)
    sends = (a_send(1, SendAnswer.UNKNOWN),)
    change = decided(payment, a_report(payment, verdict, number=2, fence=1), sends, now_ms=NOW + 7 * HOUR)
    assert (change.after.state, change.trigger) == (State.PENDING, Trigger.ACKNOWLEDGED)


@pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN, State.HELD])
def test_s5_a_sleepers_send_makes_earlier_looks_prove_nothing(state: State) -> None:
    late = NOW + HOUR
    payment = a_payment(
        state,
        fence=3,
        could_have_left_at_ms=NOW - MINUTE,
        not_found_count=3,
        not_found_first_at_ms=NOW,
        not_found_last_at_ms=late - 1,
    )
    after = decided(payment, a_report(payment, no_answer(), number=1, fence=1), now_ms=late).after
    assert (after.could_have_left_at_ms, after.not_found_count) == (late, 0)
    assert (after.lease_until_ms, after.fence) == (payment.lease_until_ms, payment.fence)


def test_s5_a_permission_to_send_again_is_taken_back_when_a_sleeper_wakes() -> None:
    payment = a_payment(
        State.UNKNOWN,
        work=Work.SEND,
        fence=3,
        could_have_left_at_ms=NOW - HOUR,
        not_found_count=3,
        not_found_last_at_ms=NOW,
        first_send_at_ms=NOW - HOUR,
    )
    sends = [a_send(1)]
    assert resend_permitted(payment, sends, NOW, RULES)
    after = decided(payment, a_report(payment, no_answer(), number=1, fence=1)).after
    assert not resend_permitted(after, sends, NOW, RULES)
    assert (after.work, after.due_at_ms) == (Work.LOOK, NOW)


# --- M6: a 409 proves that the reference is used, not by whom ---


@pytest.mark.parametrize(
    "earlier",
    [
        a_send(1),
        a_send(1, SendAnswer.UNKNOWN),
        a_send(1, SendAnswer.ACCEPTED, http_status=202),
        a_send(1, SendAnswer.REFUSED, http_status=400),
        a_send(1, SendAnswer.NOT_NOW, http_status=500, code="NOT_ALLOWED"),
    ],
)
def test_m6_a_409_after_a_send_that_may_have_arrived_is_acceptance(earlier: Send) -> None:
    change = decided(sending(sends=2), a_report(sending(sends=2), conflict()), (earlier,))
    assert (change.after.state, change.trigger) == (State.PENDING, Trigger.ACKNOWLEDGED)


@pytest.mark.parametrize(
    "earlier",
    [
        (),
        (a_send(1, SendAnswer.NOT_NOW, never_left=True),),
        # The gateway turned it away, so it can't be why the reference is used (R6, R1).
        *((a_send(1, SendAnswer.NOT_NOW, http_status=status),) for status in (401, 403, 404, 429)),
    ],
)
def test_r6_a_409_that_nothing_of_ours_explains_is_a_persons(earlier: tuple[Send, ...]) -> None:
    payment = sending(sends=len(earlier) + 1)
    change = decided(payment, a_report(payment, conflict()), earlier)
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.REFERENCE_USED)
    assert change.alert


def test_b6_in_recovery_a_409_to_a_first_send_is_adopted() -> None:
    change = decided(sending(), a_report(sending(), conflict()), adopting=True)
    assert change.after.state is State.PENDING


def test_m6_a_409_is_no_news_where_mtn_has_acknowledged_before() -> None:
    payment = a_payment(State.PENDING)
    assert decided(payment, a_report(payment, conflict())).trigger is None


@pytest.mark.parametrize("cause", HeldCause)
def test_r6_on_a_desk_a_409_that_nothing_explains_makes_it_a_persons_alone(cause: HeldCause) -> None:
    payment = a_payment(State.HELD, held_cause=cause, fence=5)
    change = decided(payment, a_report(payment, conflict(), number=1, fence=1))
    assert change.after.state is State.HELD
    assert change.after.held_cause is (HeldCause.REFERENCE_USED if cause in CAUSES_MTN_MAY_END else cause)


def test_s7_on_a_desk_a_202_asks_for_mtns_compared_word_and_moves_nothing() -> None:
    payment = a_payment(State.HELD, due_at_ms=NOW + HOUR)
    change = decided(payment, a_report(payment, accepted(), fence=0))
    assert (change.trigger, change.after.state, change.after.due_at_ms) == (None, State.HELD, NOW)
    assert change.after.held_cause is payment.held_cause


@pytest.mark.parametrize("state", [State.PENDING, State.HELD, State.SUCCESSFUL, State.FAILED])
def test_s1_two_202_under_one_reference_wake_somebody(state: State) -> None:
    payment = a_payment(state, sends=2)
    change = decided(payment, a_report(payment, accepted()), (a_send(1, SendAnswer.ACCEPTED, http_status=202),))
    assert (change.trigger, change.after) == (Trigger.CONTRADICTION, payment)
    assert change.alert is not None
    assert "may have paid twice" in change.alert


# --- Against final states, and closed attempts (M8) ---


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_s9_a_202_against_a_final_state_is_told_and_changes_nothing(state: State) -> None:
    payment = a_payment(state)
    change = decided(payment, a_report(payment, accepted()))
    assert (change.trigger, change.after) == (Trigger.CONTRADICTION, payment)
    assert change.alert


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_s8_a_409_against_a_persons_failed_is_told(state: State) -> None:
    """The sleeper's POST after `resolve failed`: MTN has the reference after all, though it was not found."""
    payment = a_payment(state, acknowledged_at_ms=None)
    assert decided(payment, a_report(payment, conflict()), (a_send(0),)).trigger is Trigger.CONTRADICTION


def test_s9_a_409_against_mtns_own_failed_is_no_news() -> None:
    payment = a_payment(State.FAILED)
    assert decided(payment, a_report(payment, conflict())).trigger is None


@pytest.mark.parametrize("verdict", [accepted(), conflict()])
def test_s9_acceptance_is_no_news_to_a_success(verdict: SendVerdict) -> None:
    payment = a_payment(State.SUCCESSFUL)
    assert decided(payment, a_report(payment, verdict)).trigger is None


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.SUCCESSFUL])
@pytest.mark.parametrize("verdict", NEGATIVE)
def test_m8_what_mtn_has_not_never_changes_a_final_state(state: State, verdict: SendVerdict) -> None:
    payment = a_payment(state)
    assert decided(payment, a_report(payment, verdict)).after == payment


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SENDING, State.UNKNOWN])
def test_s1_when_an_earlier_attempt_was_accepted_no_further_one_goes_out(state: State) -> None:
    payment = a_payment(state, attempt=2)
    change = decided(payment, a_report(payment, accepted(), attempt=1))
    assert change.trigger is Trigger.CONTRADICTION
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.SUSPECT_DUPLICATE)
    assert change.after.work is not Work.SEND
    assert change.after.lease_until_ms is None
    assert change.alert


@pytest.mark.parametrize("state", [State.PENDING, State.HELD, State.FAILED, State.SUCCESSFUL, State.CANCELLED])
def test_s1_where_nothing_can_be_sent_an_accepted_earlier_attempt_is_only_told(state: State) -> None:
    payment = a_payment(state, attempt=2)
    change = decided(payment, a_report(payment, accepted(), attempt=1))
    assert (change.trigger, change.after) == (Trigger.CONTRADICTION, payment)


def test_m8_a_send_on_its_way_when_an_earlier_attempt_is_found_breaks_no_desk() -> None:
    payment = sending(attempt=2)
    desk = decided(payment, a_report(payment, accepted(), attempt=1)).after
    assert desk.could_have_left_at_ms == payment.lease_until_ms
    for verdict in NEGATIVE:
        assert decided(desk, a_report(payment, verdict)).after.state is State.HELD
    assert decided(desk, a_report(payment, accepted())).after.due_at_ms == NOW


# --- Leases that end ---


def test_s1_a_lease_that_ends_without_a_word_makes_it_unknown_until_the_leases_end() -> None:
    payment = sending(not_found_count=3, not_found_last_at_ms=NOW, claims_since_word=2)
    end_ms = payment.lease_until_ms
    assert end_ms is not None
    change = after_send.lease_over(payment, now_ms=end_ms + 5, rules=RULES, rng=random.Random(1))
    assert (change.after.state, change.trigger) == (State.UNKNOWN, Trigger.LEASE_OVER)
    assert (change.after.could_have_left_at_ms, change.after.not_found_count) == (end_ms + 5, 0)
    assert (change.after.lease_until_ms, change.after.released_until_ms) == (None, None)
    assert (change.after.work, change.after.claims_since_word) == (Work.LOOK, 2)  # S13: no word was recorded


def test_k3_a_hint_that_came_while_it_was_sent_is_followed() -> None:
    payment = sending(hint_at_ms=NOW - 1)
    for verdict in (accepted(), no_answer()):
        due_at_ms = decided(payment, a_report(payment, verdict)).after.due_at_ms
        assert due_at_ms == NOW - 1


def test_m4_no_answer_to_a_post_ever_ends_a_payment() -> None:
    for verdict in (accepted(), conflict(), *NEGATIVE):
        for state in OPEN:
            for before in ((), (a_send(1, SendAnswer.REFUSED),), (a_send(1),)):
                payment = a_payment(state, sends=2)
                after = decided(payment, a_report(payment, verdict), before).after
                assert after.state not in {State.SUCCESSFUL, State.FAILED, State.CANCELLED}
                assert replace(after, state=payment.state).reference_id == payment.reference_id


def test_c2_after_a_clock_that_jumped_the_search_begins_now_and_not_at_the_leases_end() -> None:
    payment = sending()
    now = (payment.lease_until_ms or 0) + 10 * MINUTE
    change = after_send.lease_over(payment, now_ms=now, rules=RULES, rng=random.Random(1))
    assert change.after.could_have_left_at_ms == now


def test_t4_an_answer_that_speaks_of_us_goes_behind_its_neighbours() -> None:
    payment = sending()
    for count, least_ms in ((0, 90 * 1000), (3, 10 * MINUTE), (30, 40 * MINUTE)):
        counted = payment.but(not_now_count=count)
        change = decided(counted, a_report(counted, NOT_ALLOWED))
        assert change.after.state is State.ACCEPTED
        assert (change.after.due_at_ms or 0) - NOW >= least_ms
