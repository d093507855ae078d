"""A proof goes on where it was interrupted and never mixes codes; a life that breaks a property shrinks to what breaks it."""

import json
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from tests.simulation import seeds
from tests.simulation.proof import BEGIN, END, PAGE, README, Progress, concluded, in_words
from tests.simulation.seeds import live, quiet
from tests.simulation.shrink import shrunk
from tests.simulation.table import summary
from tests.simulation.totals import Totals
from tests.support.simulation_ledgers import ledgers
from tests.support.simulation_story import Broken
from tests.support.simulation_swarm import Swarm, swarm_from_json, swarm_of


def a_life(payments: int = 10) -> Totals:
    return Totals(seeds=1, payments=payments, payments_usual=payments, outcomes=Counter(successful=payments))


def test_a_proof_goes_on_where_it_stopped(tmp_path: Path) -> None:
    state = tmp_path / "var" / "proof.json"
    first = Progress("code", "sqlite")
    for seed in (1, 2, 4):
        first.take({"seed": seed, "totals": json.loads(json.dumps(a_life().to_json()))})
    first.write(state)

    again = Progress.read(state, "code", "sqlite")

    assert again.lived == {1, 2, 4}
    assert again.totals == first.totals
    assert again.totals.payments == 30
    assert in_words(again.lived) == "1-2, 4"


def test_figures_of_another_code_or_database_are_put_aside(tmp_path: Path) -> None:
    state = tmp_path / "proof.json"
    before = Progress("before", "sqlite")
    before.take({"seed": 1, "totals": a_life().to_json()})
    before.write(state)

    assert not Progress.read(state, "after", "sqlite").lived
    assert Progress.read(tmp_path / "proof-before-sqlite.json", "before", "sqlite").lived == {1}


def test_a_broken_or_an_incomplete_run_is_no_proof() -> None:
    progress = Progress("code", "sqlite")
    progress.take({"seed": 1, "totals": a_life().to_json()})
    progress.take({"seed": 2, "crashed": "ValueError: boo"})
    broken = a_life()
    broken.broken["one_movement"] = 1
    broken.stories.append("seed 3, one_movement: paid twice")
    progress.take({"seed": 3, "totals": broken.to_json()})

    whole, text = concluded(progress, 1_000, database="sqlite", head="abc")

    assert not whole
    for part in ("seed 3 broke a property", "ValueError: boo", "never happened: faults", "20 of 1,000 payments"):
        assert part in text
    assert "| **paid twice** | **1** |" in text


def test_a_life_shrinks_to_the_fault_the_job_and_the_time_that_break_it() -> None:
    """By a checker that knows exactly what it minds: lost commits, where at least five jobs come within a minute."""
    swarm = replace(swarm_of(5), ours={**swarm_of(5).ours, "commit_lost": 0.5, "message_lost": 0.5})

    def lived(candidate: Swarm) -> Totals:
        totals = a_life()
        if candidate.chance("commit_lost") and candidate.jobs >= 5:
            totals.broken["minded"] += 1
            totals.stories.append(f"seed 5, minded: {candidate.jobs}")
        return totals

    found = shrunk(swarm, lived, lambda _: None, seconds=60.0)

    assert found is not None
    short, story = found
    assert short.names() == ("commit_lost",)
    assert short.jobs == 5
    assert short.spread_seconds < 2.0
    assert story == "seed 5, minded: 5"
    assert swarm_from_json(short.to_json()) == short


def test_a_real_life_shrinks_and_its_story_says_how_to_live_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lived on a ledger, by a checker of our own that minds any commit whose answer was lost."""
    minds = ModuleType("minds")
    minds.check = lambda world: [Broken("a commit's answer was lost")] if world.counts["commit_lost"] else []  # type: ignore[attr-defined]
    monkeypatch.setattr(seeds, "CHECKERS", (minds,))
    options = {"commit_lost": 0.3, "message_lost": 0.3, "worker_dies": 0.3}
    swarm = replace(swarm_of(4), jobs=6, ours=options, mtn={}, people={}, spread_seconds=20.0)

    with quiet(), ledgers("sqlite") as places:
        found = shrunk(swarm, lambda candidate: live(candidate, places), lambda _: None, seconds=30.0)

    assert found is not None
    short, story = found
    assert short.names() == ("commit_lost",)
    assert short.jobs == 1
    again = re.search(r"--swarm '(.*)'", story)
    assert again is not None
    assert swarm_from_json(again[1]) == short


def test_what_a_checker_has_nothing_to_say_of_is_not_counted_as_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    silent, content = ModuleType("silent"), ModuleType("content")
    silent.check, content.check = lambda _: None, lambda _: []  # type: ignore[attr-defined]
    monkeypatch.setattr(seeds, "CHECKERS", (silent, content))

    with quiet(), ledgers("sqlite") as places:
        totals = live(replace(swarm_of(4), jobs=3, ours={}, mtn={}), places)

    assert totals.payments
    assert totals.judged == Counter(content=totals.payments)
    assert not totals.broken


def test_the_readme_counts_only_payments_for_which_everything_is_promised() -> None:
    totals = a_life(100)
    totals.payments_usual, totals.moved_twice_when_mtn_forgets = 80, 3
    totals.faults.update({"commit_lost": 7, "send tasks": 1_000, "consumer got an event again": 5_000})

    said = summary(totals, "1-2", "abc")

    assert "over 80 simulated payments" in said
    assert "7 faults" in said
    assert "In 20 further ones MTN itself forgot" in said
    assert "the money of 3 twice" in said


def test_a_life_that_breaks_nothing_shrinks_to_nothing() -> None:
    began = time.monotonic()

    assert shrunk(swarm_of(1), lambda _: a_life(), lambda _: None) is None
    assert time.monotonic() - began < 10


def test_the_pages_have_a_place_for_the_table_and_its_sentence() -> None:
    for page in (PAGE, README):
        text = page.read_text(encoding="utf-8")
        assert 0 < text.index(BEGIN) < text.index(END), page.name
