"""The numbers of the money rules: the defaults are design.md's, and a set that contradicts itself never starts."""

from typing import Any

import pytest

from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND, Rules, RulesError


def test_the_defaults_are_the_rules_own() -> None:
    rules = Rules()
    assert (rules.call_deadline_ms, rules.lease_ms, rules.permit_age_ms) == (60 * SECOND, 180 * SECOND, SECOND)
    assert (rules.not_found_needed, rules.not_found_apart_ms, rules.not_found_grace_ms) == (3, 30 * SECOND, 5 * MINUTE)
    assert (rules.sends_max, rules.send_window_ms, rules.vanished_after_ms) == (3, 6 * HOUR, HOUR)
    assert (rules.claims_alone, rules.claims_held, rules.bad_requests_in_a_row) == (2, 4, 3)
    assert rules.late_looks_ms == (HOUR, DAY, 3 * DAY, 7 * DAY, 30 * DAY)
    assert (rules.attempts_max, rules.resolve_after_ms) == (5, DAY)
    assert (rules.collect_expires_ms, rules.expires_ms) == (10 * MINUTE, 7 * DAY)
    assert rules.probe_delays_ms == (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lease_ms": 120 * SECOND}, "lease_ms"),  # exactly twice the deadline is not over it
        ({"call_deadline_ms": 90 * SECOND}, "call_deadline_ms"),
        ({"not_found_grace_ms": 60 * SECOND - 1}, "not_found_grace_ms"),
        ({"not_found_apart_ms": 150 * SECOND + 1}, "not_found_apart_ms"),
        ({"claims_held": 2}, "claims_held"),
        ({"sends_max": 0}, "sends_max"),
        ({"not_found_needed": 0}, "not_found_needed"),
        ({"bad_requests_in_a_row": 0}, "bad_requests_in_a_row"),
        ({"attempts_max": 0}, "attempts_max"),
        ({"resolve_after_ms": 6 * HOUR - 1}, "resolve_after_ms"),
        ({"send_window_ms": 5 * MINUTE - 1}, "send_window_ms"),
        ({"held_look_end_ms": 3 * DAY}, "held_look_end_ms"),
        ({"permit_age_ms": 0}, "permit_age_ms"),
        ({"call_deadline_ms": -1}, "call_deadline_ms"),
        ({"late_looks_ms": ()}, "late_looks_ms"),
        ({"probe_delays_ms": (MINUTE, 0)}, "probe_delays_ms"),
    ],
)
def test_rules_that_contradict_one_another_are_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RulesError, match=named):
        Rules(**changes)


def test_rules_at_their_bounds_are_taken() -> None:
    Rules(lease_ms=120 * SECOND + 1)
    Rules(not_found_grace_ms=60 * SECOND)
    Rules(claims_alone=2, claims_held=3)
    Rules(sends_max=1, not_found_needed=1, bad_requests_in_a_row=1, attempts_max=1)
    Rules(resolve_after_ms=6 * HOUR)
