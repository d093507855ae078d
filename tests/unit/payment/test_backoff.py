"""When to ask again: never at once, never beyond the ceiling, never before the time that MTN named."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.factories import NOW, RULES, a_payment

from momo_worker.payment import backoff
from momo_worker.payment.payment import Lane, Operation, Queue
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND
from momo_worker.payment.transitions import State

SEEDS = st.integers(0, 2**32)


@given(st.integers(1, 10**9), SEEDS)
def test_jitter_moves_a_delay_by_a_fifth_at_most(delay_ms: int, seed: int) -> None:
    moved = backoff.jittered(delay_ms, random.Random(seed))
    assert max(1, round(delay_ms * 0.8)) <= moved <= round(delay_ms * 1.2)


@given(st.floats(0, 86_400), SEEDS)
def test_a_wait_that_mtn_named_is_never_cut_short(seconds: float, seed: int) -> None:
    wait_ms = backoff.named_wait_ms(seconds, random.Random(seed))
    assert round(seconds * 1000) <= wait_ms <= round(seconds * 1200) + 1


@given(st.integers(0, 10_000), st.integers(0, 10 * DAY), SEEDS)
def test_looks_back_off_to_their_ceiling_and_never_stop(looks: int, age_ms: int, seed: int) -> None:
    payment = a_payment(State.PENDING, looks=looks, acknowledged_at_ms=NOW - age_ms)
    delay_ms = backoff.look_delay_ms(payment, NOW, RULES, random.Random(seed))
    ceiling_ms = HOUR if age_ms >= DAY else 15 * MINUTE
    assert 0 < delay_ms <= ceiling_ms * 1.2


@pytest.mark.parametrize(
    ("operation", "first_ms"), [(Operation.COLLECT, 15 * SECOND), (Operation.DISBURSE, 5 * SECOND)]
)
def test_the_first_look_waits_for_a_person_with_a_pin_longer_than_for_a_transfer(
    operation: Operation, first_ms: int
) -> None:
    assert backoff.first_look_ms(a_payment(State.PENDING, operation=operation), RULES) == first_ms


@given(st.integers(0, 10_000), SEEDS)
def test_not_now_doubles_to_five_minutes(count: int, seed: int) -> None:
    delay_ms = backoff.not_now_delay_ms(count, RULES, random.Random(seed))
    plain_ms = min(5 * MINUTE, 2 * SECOND * 2 ** min(count, 20))
    assert round(plain_ms * 0.8) <= delay_ms <= round(plain_ms * 1.2)


@pytest.mark.parametrize(
    ("age_ms", "plain_ms"),
    [(0, HOUR), (3 * DAY - 1, HOUR), (3 * DAY, DAY), (90 * DAY - 1, DAY)],
)
def test_a_desk_is_looked_up_hourly_for_three_days_and_daily_for_ninety(age_ms: int, plain_ms: int) -> None:
    held = a_payment(State.HELD, state_since_ms=NOW - age_ms)
    delay_ms = backoff.held_look_ms(held, NOW, RULES, random.Random(1))
    assert delay_ms is not None
    assert plain_ms * 0.8 <= delay_ms <= plain_ms * 1.2


def test_a_desk_of_ninety_days_is_looked_up_no_more() -> None:
    held = a_payment(State.HELD, state_since_ms=NOW - 90 * DAY)
    assert backoff.held_look_ms(held, NOW, RULES, random.Random(1)) is None


def test_a_lane_is_its_queue() -> None:
    assert backoff.queue_of(a_payment(lane=Lane.INTERACTIVE)) is Queue.INTERACTIVE
    assert backoff.queue_of(a_payment(lane=Lane.BULK)) is Queue.BULK
