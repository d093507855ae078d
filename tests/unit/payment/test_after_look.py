"""What a status read makes of a payment (M5-M8), branch by branch, at the boundaries of the numbers."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.factories import (
    NOW,
    RULES,
    a_look,
    a_payment,
    a_send,
    facts_of,
    failed,
    no_slot,
    no_word,
    not_found,
    pending,
    successful,
    under_lease,
)

from momo_worker.payment import after_look
from momo_worker.payment.after_look import LookReport
from momo_worker.payment.payment import Change, Payment, Queue, Send, Work
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, Trigger, edge_for
from momo_worker.payment.verdict import Facts, LookAnswer, LookVerdict, SendAnswer

UNKNOWN_SEND = (a_send(1, SendAnswer.UNKNOWN),)
REFUSED_SEND = (a_send(1, SendAnswer.REFUSED, code="PAYEE_NOT_FOUND"),)
PERSONS = sorted(set(HeldCause) - CAUSES_MTN_MAY_END)
OPEN = [State.SENDING, State.UNKNOWN, State.PENDING]


def decided(
    payment: Payment, report: LookReport, sends: tuple[Send, ...] = UNKNOWN_SEND, *, now_ms: int = NOW
) -> Change:
    change = after_look.decide(payment, sends, report, now_ms=now_ms, rules=RULES, rng=random.Random(1))
    assert (change.before.id, change.before.state, change.before.fence) == (payment.id, payment.state, payment.fence)
    if change.trigger is not None:
        edge_for(payment.state, change.after.state, change.trigger)
    else:
        assert change.after.state is payment.state
    return change


def looked(
    payment: Payment, verdict: LookVerdict, *, at_ms: int = NOW, sends: tuple[Send, ...] = UNKNOWN_SEND
) -> Change:
    """One look under an unbroken lease, asked and answered at `at_ms`."""
    claimed = under_lease(payment, until_ms=at_ms + 180 * SECOND)
    return decided(claimed, a_look(claimed, verdict, began_at_ms=at_ms), sends, now_ms=at_ms)


# --- M7: status decides, reason explains ---


@pytest.mark.parametrize("state", OPEN)
def test_m7_successful_with_equal_facts_is_successful(state: State) -> None:
    payment = a_payment(state)
    change = looked(payment, successful(facts_of(payment)))
    assert (change.after.state, change.trigger) == (State.SUCCESSFUL, Trigger.FOUND_SUCCESSFUL)
    assert change.after.financial_transaction_id == "363440463"
    assert (change.after.work, change.after.due_at_ms, change.after.lease_until_ms) == (None, None, None)


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize(("code", "kept"), [("NOT_ENOUGH_FUNDS", "NOT_ENOUGH_FUNDS"), (None, "UNSPECIFIED")])
def test_m7_failed_is_failed_whatever_the_reason(state: State, code: str | None, kept: str) -> None:
    change = looked(a_payment(state), failed(code))
    assert (change.after.state, change.trigger, change.after.reason_code) == (State.FAILED, Trigger.FOUND_FAILED, kept)


@pytest.mark.parametrize("raw", ["PENDING", "CREATED", "REJECTED", "successful", ""])
@pytest.mark.parametrize("state", OPEN)
def test_m7_any_other_status_means_keep_asking(state: State, raw: str) -> None:
    payment = a_payment(state, not_found_count=2, not_found_first_at_ms=NOW - 1, not_found_last_at_ms=NOW - 1)
    after = looked(payment, pending(raw)).after
    assert (after.state, after.work, after.not_found_count) == (State.PENDING, Work.LOOK, 0)
    assert after.not_found_first_at_ms is None
    assert after.due_at_ms is not None
    assert after.due_at_ms > NOW


@pytest.mark.parametrize("age_ms", [HOUR, 2 * DAY, 400 * DAY])
def test_m7_age_never_ends_a_pending_payment(age_ms: int) -> None:
    payment = a_payment(State.PENDING, acknowledged_at_ms=NOW - age_ms, looks=5_000)
    change = looked(payment, pending())
    assert (change.trigger, change.after.state) == (None, State.PENDING)
    assert change.after.due_at_ms is not None
    assert NOW < change.after.due_at_ms <= NOW + 1.2 * HOUR


# --- M6: every 200 is compared with ours ---

OTHERS: list[dict[str, Any]] = [
    {"amount": "150001"},
    {"amount": "150000.01"},
    {"amount": "a lot"},
    {"currency": "EUR"},
    {"party": "256772123457"},
    {"external_id": "EMP-0043"},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
@pytest.mark.parametrize("verdict", [successful, failed, pending])
@pytest.mark.parametrize("state", OPEN)
def test_m6_a_mismatch_is_held_and_wakes_somebody(state: State, verdict: Any, other: dict[str, Any]) -> None:
    payment = a_payment(state)
    change = looked(payment, verdict(facts=facts_of(payment, **other)))
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.MISMATCH)
    assert change.trigger is Trigger.PUT_ON_DESK
    assert change.alert


@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(amount="150000.00"),
        Facts(currency=" ugx "),
        Facts(party="+256772123456"),
        Facts(external_id="EMP-0042"),
    ],
)
def test_m6_an_absent_fact_or_another_spelling_is_no_mismatch(facts: Facts) -> None:
    assert after_look.mismatch(a_payment(State.PENDING), facts) is None


def test_m6_a_mismatch_never_tells_the_other_number() -> None:
    payment = a_payment(State.PENDING)
    assert "256700000001" not in (after_look.mismatch(payment, Facts(party="256700000001")) or "256700000001")


def test_r6_what_is_found_before_it_was_sent_is_not_ours() -> None:
    payment = a_payment(State.ACCEPTED)
    change = decided(payment, a_look(payment, successful(facts_of(payment))), ())
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.REFERENCE_USED)


# --- S7: desks ---


@pytest.mark.parametrize("cause", sorted(CAUSES_MTN_MAY_END))
@pytest.mark.parametrize(
    ("verdict", "state"),
    [(successful(), State.SUCCESSFUL), (failed(), State.FAILED), (pending(), State.PENDING)],
)
def test_s7_mtns_word_moves_on_what_is_held_for_want_of_it(
    cause: HeldCause, verdict: LookVerdict, state: State
) -> None:
    assert looked(a_payment(State.HELD, held_cause=cause), verdict).after.state is state


@pytest.mark.parametrize("cause", PERSONS)
@pytest.mark.parametrize("verdict", [successful(), failed(), pending(), not_found(), no_word(), no_slot()])
def test_s7_what_only_a_person_may_end_is_moved_by_no_word_of_mtns(cause: HeldCause, verdict: LookVerdict) -> None:
    change = looked(a_payment(State.HELD, held_cause=cause), verdict)
    assert (change.trigger, change.after.state, change.after.held_cause) == (None, State.HELD, cause)
    assert change.after.due_at_ms is not None


@pytest.mark.parametrize("cause", sorted(CAUSES_MTN_MAY_END))
def test_s7_a_mismatch_on_a_desk_makes_it_a_persons_alone(cause: HeldCause) -> None:
    payment = a_payment(State.HELD, held_cause=cause)
    change = looked(payment, successful(facts_of(payment, amount="1")))
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.MISMATCH)
    assert (change.trigger, bool(change.alert)) == (Trigger.PUT_ON_DESK, True)


@pytest.mark.parametrize("count", [0, 50])
def test_s7_not_found_ends_no_desk(count: int) -> None:
    payment = a_payment(State.HELD, not_found_count=count, first_send_at_ms=NOW - 30 * DAY)
    change = looked(payment, not_found(), sends=REFUSED_SEND)
    assert (change.trigger, change.after.state, change.after.work) == (None, State.HELD, Work.LOOK)


def test_s7_after_ninety_days_only_a_person_is_left() -> None:
    payment = a_payment(State.HELD, state_since_ms=NOW - 90 * DAY)
    assert looked(payment, not_found()).after.due_at_ms is None
    assert looked(replace(payment, state_since_ms=NOW - 90 * DAY + 1), not_found()).after.due_at_ms is not None


@pytest.mark.parametrize("verdict", [successful(), pending(), failed(), not_found(), no_word()])
def test_k2_a_hint_makes_a_desk_due_once_and_not_for_ever(verdict: LookVerdict) -> None:
    for cause in PERSONS:
        payment = a_payment(State.HELD, held_cause=cause, hint_at_ms=NOW - 1)
        after = looked(payment, verdict).after
        assert after.hint_at_ms is None
        assert after.due_at_ms is not None
        assert after.due_at_ms >= NOW + 30 * MINUTE


def test_k2_a_payment_that_goes_to_a_desk_takes_no_followed_hint_with_it() -> None:
    payment = a_payment(State.PENDING, hint_at_ms=NOW - 1)
    after = looked(payment, successful(facts_of(payment, amount="1"))).after
    assert after.due_at_ms is not None
    assert after.due_at_ms > NOW + 30 * MINUTE


# --- M5: the search ---


def searched(**changes: Any) -> Payment:
    """Not found twice, the last time thirty seconds ago, for five minutes to the millisecond: the next one proves it."""
    home: dict[str, Any] = {
        "could_have_left_at_ms": NOW - 5 * MINUTE,
        "first_send_at_ms": NOW - 5 * MINUTE - SECOND,
        "not_found_count": 2,
        "not_found_first_at_ms": NOW - 4 * MINUTE,
        "not_found_last_at_ms": NOW - 30 * SECOND,
    }
    return a_payment(State.UNKNOWN, **(home | changes))


def may_send(change: Change, sends: tuple[Send, ...] = UNKNOWN_SEND, now_ms: int = NOW) -> bool:
    permitted = after_look.resend_permitted(change.after, sends, now_ms, RULES)
    assert permitted == (change.after.work is Work.SEND)
    return permitted


def test_s5_the_third_404_after_five_minutes_permits_the_same_reference_again() -> None:
    change = looked(searched(), not_found())
    assert may_send(change)
    assert (change.trigger, change.after.state, change.after.queue) == (None, State.UNKNOWN, Queue.RESCUE)
    assert (change.after.due_at_ms, change.after.lease_until_ms) == (NOW, None)
    assert (change.after.reference_id, change.after.attempt) == (searched().reference_id, 1)


@pytest.mark.parametrize(("apart_ms", "counts"), [(30 * SECOND - 1, False), (30 * SECOND, True)])
def test_s5_two_404_closer_than_thirty_seconds_are_one(apart_ms: int, counts: bool) -> None:
    change = looked(searched(not_found_last_at_ms=NOW - apart_ms), not_found())
    assert (change.after.not_found_count == 3) == counts
    assert may_send(change) == counts


@pytest.mark.parametrize(("grace_ms", "enough"), [(5 * MINUTE - 1, False), (5 * MINUTE, True)])
def test_s5_the_last_404_is_asked_five_minutes_after_any_send_could_have_left(grace_ms: int, enough: bool) -> None:
    assert may_send(looked(searched(could_have_left_at_ms=NOW - grace_ms), not_found())) == enough


def test_s5_an_answer_that_took_long_counts_from_when_it_was_asked() -> None:
    payment = under_lease(searched(could_have_left_at_ms=NOW - 4 * MINUTE))
    change = decided(payment, a_look(payment, not_found(), began_at_ms=NOW), now_ms=NOW + 2 * MINUTE)
    assert not may_send(change, now_ms=NOW + 2 * MINUTE)


@pytest.mark.parametrize(("count", "enough"), [(1, False), (2, True)])
def test_s5_three_404_are_needed(count: int, enough: bool) -> None:
    assert may_send(looked(searched(not_found_count=count), not_found())) == enough


@pytest.mark.parametrize(("early_ms", "counts"), [(1, False), (0, True)])
def test_s5_a_404_that_was_asked_before_the_send_could_have_left_proves_nothing(early_ms: int, counts: bool) -> None:
    payment = under_lease(searched(could_have_left_at_ms=NOW, not_found_count=0, not_found_last_at_ms=None))
    change = decided(payment, a_look(payment, not_found(), began_at_ms=NOW - early_ms))
    assert change.after.not_found_count == int(counts)


@pytest.mark.parametrize(("age_ms", "held"), [(6 * HOUR - 1, False), (6 * HOUR, True)])
def test_s5_six_hours_after_the_first_send_it_goes_to_a_person(age_ms: int, held: bool) -> None:
    change = looked(searched(first_send_at_ms=NOW - age_ms), not_found())
    assert (change.after.state is State.HELD) == held
    assert (change.after.held_cause is HeldCause.TOO_OLD) == held
    if not held:
        assert may_send(change)


ENDINGS = [None, SendAnswer.UNKNOWN, SendAnswer.REFUSED]


@pytest.mark.parametrize("second", ENDINGS)
@pytest.mark.parametrize("third", ENDINGS)
def test_s5_the_third_send_that_may_have_left_was_the_last(second: SendAnswer | None, third: SendAnswer | None) -> None:
    two = (a_send(1), a_send(2, second))
    assert may_send(looked(searched(), not_found(), sends=two), two)
    change = looked(searched(), not_found(), sends=(*two, a_send(3, third)))
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.TOO_OLD)


def test_s5_sends_that_ended_not_now_are_not_among_the_three() -> None:
    sends = (a_send(1), *(a_send(number, SendAnswer.NOT_NOW) for number in range(2, 9)))
    assert may_send(looked(searched(), not_found(), sends=sends), sends)


@pytest.mark.parametrize(("left_ms", "allowed"), [(1, True), (0, False)])
def test_s11_after_not_after_it_is_looked_up_only(left_ms: int, allowed: bool) -> None:
    change = looked(searched(not_after_ms=NOW + left_ms), not_found())
    assert may_send(change) == allowed
    assert change.after.state is State.UNKNOWN
    assert change.after.due_at_ms is not None


def test_s11_after_not_after_looks_back_off_once_the_search_is_done() -> None:
    """At thirty seconds each, three hundred payments would spend all of MTN's ten status reads a second for six hours."""
    late = searched(not_after_ms=NOW - HOUR, looks=12)
    during = replace(late, not_found_count=0)

    assert looked(late, not_found()).after.due_at_ms - NOW >= 0.8 * RULES.look_ceiling_ms
    assert looked(during, not_found()).after.due_at_ms - NOW <= 1.2 * RULES.not_found_apart_ms


@pytest.mark.parametrize(
    ("changes", "later_ms", "allowed"),
    [
        ({}, 0, True),
        ({}, 10 * MINUTE, True),
        ({}, 10 * MINUTE + 1, False),  # too old a proof
        ({"not_after_ms": NOW + 1}, 1, False),
        ({"first_send_at_ms": NOW - 6 * HOUR + 1}, 1, False),
        ({"first_send_at_ms": NOW - 6 * HOUR + 1}, 0, True),
    ],
)
def test_m5_the_permission_is_asked_again_at_the_claim(changes: dict[str, Any], later_ms: int, allowed: bool) -> None:
    payment = looked(searched(**changes), not_found()).after
    assert payment.work is Work.SEND
    assert after_look.resend_permitted(payment, UNKNOWN_SEND, NOW + later_ms, RULES) == allowed


@pytest.mark.parametrize("state", [state for state in State if state is not State.UNKNOWN])
def test_m5_nothing_but_an_unknown_payment_is_sent_again(state: State) -> None:
    payment = replace(looked(searched(), not_found()).after, state=state)
    assert not after_look.resend_permitted(payment, UNKNOWN_SEND, NOW, RULES)


def test_m5_a_lost_permission_searches_anew() -> None:
    payment = looked(searched(), not_found()).after
    lost = after_look.permission_lost(payment, NOW + HOUR)
    assert (lost.state, lost.work, lost.due_at_ms) == (State.UNKNOWN, Work.LOOK, NOW + HOUR)
    assert (lost.not_found_count, lost.not_found_last_at_ms) == (0, None)
    assert lost.could_have_left_at_ms == payment.could_have_left_at_ms
    assert not after_look.resend_permitted(lost, UNKNOWN_SEND, NOW + HOUR, RULES)


# --- M4: a refusal fails a payment only when a look has confirmed it ---


def test_s3_a_404_confirms_a_refusal_when_every_send_was_answered() -> None:
    sends = (a_send(1, SendAnswer.NOT_NOW), *REFUSED_SEND)
    change = looked(a_payment(State.UNKNOWN), not_found(), sends=sends)
    assert (change.after.state, change.trigger) == (State.FAILED, Trigger.REFUSAL_CONFIRMED)
    assert change.after.reason_code == "PAYEE_NOT_FOUND"


@pytest.mark.parametrize("other", [a_send(1), a_send(1, SendAnswer.UNKNOWN), a_send(3), a_send(3, SendAnswer.UNKNOWN)])
def test_s3_a_refusal_beside_a_send_of_unknown_fate_fails_nothing(other: Send) -> None:
    sends = (other, a_send(2, SendAnswer.REFUSED))
    for count in range(6):
        change = looked(searched(not_found_count=count), not_found(), sends=sends)
        assert change.after.state is State.UNKNOWN


@pytest.mark.parametrize("verdict", [no_word(), no_slot()])
def test_s3_only_resource_not_found_confirms_a_refusal(verdict: LookVerdict) -> None:
    change = looked(a_payment(State.UNKNOWN), verdict, sends=REFUSED_SEND)
    assert (change.trigger, change.after.state) == (None, State.UNKNOWN)


def test_s3_what_was_refused_and_is_found_follows_its_status() -> None:
    for verdict, state in ((successful(), State.SUCCESSFUL), (pending(), State.PENDING)):
        assert looked(a_payment(State.UNKNOWN), verdict, sends=REFUSED_SEND).after.state is state


# --- S6: 404 after 202 or 409 ---


@pytest.mark.parametrize(("since_ms", "vanished"), [(HOUR - 1, False), (HOUR, True)])
def test_s6_an_hour_of_nothing_but_404_after_acceptance_is_a_persons(since_ms: int, vanished: bool) -> None:
    payment = a_payment(
        State.PENDING,
        acknowledged_at_ms=NOW - 2 * HOUR,
        not_found_count=7,
        not_found_first_at_ms=NOW - since_ms,
        not_found_last_at_ms=NOW - MINUTE,
    )
    change = looked(payment, not_found())
    assert (change.after.state is State.HELD) == vanished
    assert (change.after.held_cause is HeldCause.VANISHED) == vanished
    assert bool(change.alert) == vanished


def test_s6_a_404_after_acceptance_is_never_final_nor_sent_again() -> None:
    payment = a_payment(State.PENDING, acknowledged_at_ms=NOW - 10 * MINUTE, first_send_at_ms=NOW - 5 * DAY)
    for minute in range(55):
        payment = looked(payment, not_found(), at_ms=NOW + minute * MINUTE, sends=REFUSED_SEND).after
        assert (payment.state, payment.work) == (State.PENDING, Work.LOOK)


def test_s6_one_200_starts_the_hour_anew() -> None:
    payment = a_payment(State.PENDING, not_found_count=9, not_found_first_at_ms=NOW - 59 * MINUTE)
    heard = looked(payment, pending()).after
    assert looked(heard, not_found(), at_ms=NOW + 2 * MINUTE).after.state is State.PENDING


# --- M4: evidence isn't symmetric ---


@pytest.mark.parametrize("verdict", [not_found(), no_word(), no_slot()])
@pytest.mark.parametrize("state", State)
def test_s1_what_mtn_has_not_counts_under_an_unbroken_lease_only(state: State, verdict: LookVerdict) -> None:
    payment = under_lease(a_payment(state, not_found_count=2), until_ms=NOW + 1)
    broken = [
        decided(payment, a_look(payment, verdict, fence=payment.fence - 1), REFUSED_SEND),
        decided(payment, a_look(payment, verdict), REFUSED_SEND, now_ms=NOW + 1),
    ]
    unclaimed = replace(payment, lease_until_ms=None)
    for change in [*broken, decided(unclaimed, a_look(unclaimed, verdict), REFUSED_SEND)]:
        assert change.after == change.before


@pytest.mark.parametrize("verdict", [not_found(), no_word(), no_slot()])
def test_s1_a_look_that_brings_nothing_takes_no_lease_from_a_send(verdict: LookVerdict) -> None:
    payment = a_payment(State.SENDING)
    assert decided(payment, a_look(payment, verdict)).after == payment


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize(
    ("verdict", "after"),
    [(successful(), State.SUCCESSFUL), (failed(), State.FAILED), (pending(), State.PENDING)],
)
def test_s1_that_mtn_has_it_counts_whoever_brings_it(state: State, verdict: LookVerdict, after: State) -> None:
    payment = a_payment(state, fence=9)
    assert decided(payment, a_look(payment, verdict, fence=1)).after.state is after


# --- What says nothing ---


@pytest.mark.parametrize("state", [State.UNKNOWN, State.PENDING, State.HELD])
def test_m7_what_says_nothing_changes_nothing_but_the_next_look(state: State) -> None:
    payment = a_payment(state, not_found_count=2, claims_since_word=1)
    change = looked(payment, no_word())
    assert change.trigger is None
    assert (change.after.state, change.after.not_found_count) == (state, 2)
    assert change.after.due_at_ms is not None
    assert change.after.due_at_ms > NOW
    assert (change.after.lease_until_ms, change.after.claims_since_word) == (None, 0)


@given(st.floats(0, 86_400), st.sampled_from([State.UNKNOWN, State.PENDING]), st.integers(0, 1_000))
def test_a_look_waits_at_least_as_long_as_mtn_says(seconds: float, state: State, seed: int) -> None:
    payment = under_lease(a_payment(state))
    report = a_look(payment, no_word(retry_after_seconds=seconds))
    change = after_look.decide(payment, (), report, now_ms=NOW, rules=RULES, rng=random.Random(seed))
    assert change.after.due_at_ms is not None
    assert change.after.due_at_ms >= NOW + round(seconds * 1000)


def test_a_look_that_we_held_back_is_no_look() -> None:
    payment = a_payment(State.PENDING, looks=3, hint_at_ms=NOW - 1)
    after = looked(payment, no_slot()).after
    assert (after.looks, after.hint_at_ms) == (3, NOW - 1)
    assert after.due_at_ms is not None
    assert NOW < after.due_at_ms <= NOW + 2 * SECOND


@pytest.mark.parametrize(("began_ms", "due_at_once"), [(0, False), (-1, True)])
def test_m11_a_hint_that_came_after_the_look_began_is_still_followed(began_ms: int, due_at_once: bool) -> None:
    payment = under_lease(a_payment(State.PENDING, hint_at_ms=NOW))
    change = decided(payment, a_look(payment, pending(), began_at_ms=NOW + began_ms))
    assert change.after.due_at_ms is not None
    assert (change.after.due_at_ms <= NOW) == due_at_once


# --- M8: closed attempts and final states ---


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SENDING, State.UNKNOWN])
@pytest.mark.parametrize("verdict", [successful(), pending()])
def test_s9_when_a_closed_attempt_lives_no_further_one_goes_out(state: State, verdict: LookVerdict) -> None:
    payment = a_payment(state, attempt=2)
    change = decided(payment, a_look(payment, verdict, attempt=1), ())
    assert change.trigger is Trigger.CONTRADICTION
    assert (change.after.state, change.after.held_cause) == (State.HELD, HeldCause.SUSPECT_DUPLICATE)
    assert change.after.work is not Work.SEND
    assert change.alert


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verdict", [failed(), not_found(), no_word()])
def test_s9_a_closed_attempt_that_failed_or_is_not_there_is_no_news(state: State, verdict: LookVerdict) -> None:
    payment = a_payment(state, attempt=2)
    change = decided(payment, a_look(payment, verdict, attempt=1))
    assert (change.trigger, change.after) == (None, payment)


@pytest.mark.parametrize(
    ("state", "verdict", "contradicts"),
    [
        (State.SUCCESSFUL, successful(), False),
        (State.SUCCESSFUL, failed(), True),
        (State.SUCCESSFUL, pending(), True),
        (State.SUCCESSFUL, successful(Facts(amount="1")), True),
        (State.FAILED, failed(), False),
        (State.FAILED, successful(), True),
        (State.FAILED, pending(), True),
        (State.CANCELLED, successful(), True),
        (State.CANCELLED, failed(), True),
        (State.CANCELLED, pending(), True),
        (State.FAILED, not_found(), False),
        (State.CANCELLED, no_word(), False),
    ],
)
def test_s9_what_mtn_says_against_a_final_state_is_told(state: State, verdict: LookVerdict, contradicts: bool) -> None:
    change = looked(a_payment(state), verdict)
    assert (change.trigger is Trigger.CONTRADICTION) == contradicts == bool(change.alert)
    assert change.after.state is state


def test_s9_a_pending_that_was_asked_before_the_success_is_only_older() -> None:
    payment = a_payment(State.SUCCESSFUL)
    assert decided(payment, a_look(payment, pending(), began_at_ms=NOW - 1)).trigger is None
    assert decided(payment, a_look(payment, failed(), began_at_ms=NOW - 1)).trigger is Trigger.CONTRADICTION


def test_s9_a_pending_that_was_asked_before_mtns_own_failed_is_only_older() -> None:
    """But against a person's word, or a refusal, it is the news that MTN has it: no false alarm, and none left out."""
    by_mtn = a_payment(State.FAILED)
    by_person = replace(by_mtn, reason_code="RESOLVED")
    refused = replace(by_mtn, acknowledged_at_ms=None)

    def trigger(payment: Payment, began_at_ms: int) -> Trigger | None:
        return decided(payment, a_look(payment, pending(), began_at_ms=began_at_ms)).trigger

    assert trigger(by_mtn, NOW - 1) is None
    assert trigger(by_mtn, NOW) is Trigger.CONTRADICTION
    assert trigger(by_person, NOW - 1) is trigger(refused, NOW - 1) is Trigger.CONTRADICTION


def test_what_is_found_is_found_whatever_it_is_called() -> None:
    odd = LookVerdict(LookAnswer.FOUND, successful().status, facts=Facts())
    assert looked(a_payment(State.PENDING), odd).after.state is State.SUCCESSFUL
