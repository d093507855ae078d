"""Thousands of lives by chance: whatever order sends, looks, sleepers, clocks and people come in, the rules of money hold."""

from collections import Counter

import pytest
from tests.support.payment_walk import walk

from momo_worker.payment.transitions import EDGES, State, Trigger

SEEDS = range(20)
STEPS = 10_000


@pytest.fixture(scope="module")
def moves() -> Counter[str]:
    """All moves of all walks; a rule that breaks names its seed and step."""
    return sum((walk(seed, STEPS) for seed in SEEDS), Counter())


def test_no_rule_breaks_on_any_way(moves: Counter[str]) -> None:
    assert sum(count for move, count in moves.items() if " by " in move) > 2_000
    assert {f"{what} refused: {state}" for what, state in ASKED_TOO_SOON} <= set(moves)


#: What a person or another room does, and what needs a clock of its own, isn't walked here.
ELSEWHERE = {Trigger.TAKEN_IN, Trigger.ADOPTED}
#: Where a person asked in haste, and was refused.
ASKED_TOO_SOON = [
    (what, state)
    for what in ("retry", "cancel", "release", "resolve")
    for state in (State.SENDING, State.UNKNOWN, State.HELD, State.PENDING)
]


@pytest.mark.parametrize(
    "trigger", sorted({edge.trigger for edge in EDGES} - ELSEWHERE), ids=lambda trigger: trigger.value
)
def test_the_walk_meets_every_trigger_often(moves: Counter[str], trigger: Trigger) -> None:
    assert sum(count for move, count in moves.items() if move.endswith(f" by {trigger}")) >= 5


@pytest.mark.parametrize("state", State)
def test_the_walk_comes_to_every_state(moves: Counter[str], state: State) -> None:
    assert sum(count for move, count in moves.items() if f"-{state} by" in move) >= 10
