"""A fixed number of seeds: every property holds in each, and over all of them every fault, deed and outcome that is asked for occurred."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.simulation.seeds import Totals, run_seeds
from tests.support.ledger_world import HandClock
from tests.support.simulation import simulated
from tests.support.simulation_swarm import swarm_of

from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate

SEEDS = range(1, 15)
#: Longer lives would be cheaper by the payment, and take more than a minute.
JOBS_MAX = 100

#: A run in which one of these never happened proves nothing about it.
OUTCOMES = {"successful", "failed", "cancelled", "held", "rejected jobs"}
TRIGGERS = {
    "acknowledged",
    "cancelled",
    "claimed",
    "expired",
    "found_failed",
    "found_pending",
    "found_successful",
    "lease_over",
    "not_now",
    "put_on_desk",
    "refusal_confirmed",
    "refused",
    "resent",
    "send_unknown",
    "taken_in",
}
FAULTS = {
    "MTN: bad_request",
    "MTN: callback_forged",
    "MTN: callback_twice",
    "MTN: error_after_creation",
    "MTN: fail",
    "MTN: html_200",
    "MTN: html_200_after_creation",
    "MTN: late_creation",
    "MTN: late_success",
    "MTN: lost_after_creation",
    "MTN: lost_before_creation",
    "MTN: not_found",
    "MTN: rate_limited",
    "MTN: unknown_status",
    "MTN: visibility_lag",
    "MTN: wrong_amount",
    "broken job",
    "callback",
    "cancel done",
    "cancel refused",
    "clock jumps back",
    "clock jumps on",
    "commit_lost",
    "commit_refused",
    "consumer got an event again",
    "invented callback",
    "ledger_unreadable",
    "message_doubled",
    "message_late",
    "message_lost",
    "no_slot",
    "operator pauses",
    "other body under the same key",
    "pump dies at: before acknowledgement",
    "pump dies at: before hand-over",
    "pump dies at: committed",
    "refund asked for",
    "relay dies after append",
    "relay dies before append",
    "relay fenced",
    "replacement asked for",
    "results_lost",
    "same job again",
    "unknown account",
    "worker dies at: look recorded",
    "worker dies at: send answered",
    "worker dies at: send claimed",
    "worker dies at: send handled",
    "worker dies at: send left",
    "worker dies at: send permitted",
    "worker dies at: send recorded",
    "worker sleeps at: send answered",
    "worker sleeps at: send claimed",
    "worker sleeps at: send left",
    "worker sleeps at: send permitted",
}


@pytest.fixture(scope="module")
def totals() -> Totals:
    return run_seeds(SEEDS, jobs_max=JOBS_MAX)


def test_no_property_is_broken_in_any_seed(totals: Totals) -> None:
    assert not totals.broken, "\n\n".join([str(dict(totals.broken)), *totals.stories[:5]])


def test_every_outcome_move_and_fault_occurred_over_all_seeds(totals: Totals) -> None:
    missing = {
        "outcomes": OUTCOMES - set(totals.outcomes),
        "moves": TRIGGERS - set(totals.triggers),
        "faults": FAULTS - set(totals.faults),
        "modes": {"usual", "forgets", "races"} - set(totals.modes),
    }

    assert not any(missing.values()), f"never happened in seeds {SEEDS}: {missing}"


def test_a_seed_lives_the_same_life_again(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    ledger = Ledger(f"sqlite:///{template}", HandClock())
    migrate(ledger)
    ledger.close()
    lives = []
    for _ in range(2):
        with simulated(replace(swarm_of(SEEDS[-1]), jobs=JOBS_MAX), template, tmp_path) as world:
            world.live()
            moves = world.rows("SELECT payment_id, before, after, trigger, detail, at_ms FROM transition ORDER BY id")
            lives.append((world.counts, list(world.posts), moves))

    assert lives[0] == lives[1]
