"""Moods and seeds come in, one life after another is lived in this very checkout, a line of JSON each goes out; ends at the first that breaks a property.

Runs inside the copy that was mutated; the runner reads its lines.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.mutations.mutation import NO_PROOF
from tests.simulation.seeds import live, quiet
from tests.support.simulation_ledgers import ledgers
from tests.support.simulation_odd import ODD
from tests.support.simulation_swarm import (
    MTN_FAULTS,
    OUR_FAULTS,
    OUR_FAULTS_LATER,
    PEOPLE,
    PEOPLE_LATER,
    RESTORED,
    Mode,
    Swarm,
    swarm_of,
)

import momo_worker

#: What a mood may say of a life besides its faults: for how long jobs come, and workers sleep, at most. `at` says where.
_LENGTHS = {"spread": "spread_seconds", "sleeps": "sleeps_seconds_max"}
_PLACES = {
    "mtn": MTN_FAULTS,
    "ours": (*OUR_FAULTS, *OUR_FAULTS_LATER, RESTORED),
    "people": {**PEOPLE, **PEOPLE_LATER, **ODD},
}


def in_mood(seed: int, mood: str, jobs_max: int) -> Swarm:
    """A seed's options with fewer jobs and, where a mood is given, no faults but those that it names."""
    swarm = swarm_of(seed)
    swarm = replace(swarm, jobs=min(swarm.jobs, jobs_max))
    if not mood:
        return swarm
    said = dict(part.split("=") for part in mood.split())
    fate_at = said.pop("at", "")
    wanted = {name: float(often) for name, often in said.items()}
    unknown = set(wanted) - {name for place in _PLACES.values() for name in place} - {"calm", *_LENGTHS}
    if unknown:
        raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
    chances = {place: {name: wanted[name] for name in names if name in wanted} for place, names in _PLACES.items()}
    lengths = {_LENGTHS[name]: wanted[name] for name in _LENGTHS if name in wanted}
    return replace(
        swarm, mode=Mode.USUAL, same_again="off", send_window_minutes=25, fate_at=fate_at, **chances, **lengths
    )


def lived(swarm: Swarm, places: Any) -> dict[str, Any]:
    """What one life showed."""
    try:
        totals = live(swarm, places)
    except Exception as error:  # noqa: BLE001 (whatever ends a life is what the runner wants to know)
        what = " ".join(str(error).split())[:300]
        return {
            "seed": swarm.seed,
            "payments": 0,
            "broken": {type(error).__name__: 1},
            "story": f"{type(error).__name__}: {what}",
            "no_proof": isinstance(error, NO_PROOF),
        }
    return {
        "seed": swarm.seed,
        "payments": totals.payments,
        "broken": dict(totals.broken),
        "story": totals.stories[0].splitlines()[0] if totals.stories else "",
        "no_proof": False,
    }


def seeds_of(given: str) -> Iterable[int]:
    """`7,1-40` is 7, then 1 to 40 without it."""
    seen: set[int] = set()
    for part in given.split(","):
        first, _, last = part.partition("-")
        for seed in range(int(first), int(last or first) + 1):
            if seed not in seen:
                seen.add(seed)
                yield seed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", nargs=2, action="append", required=True, metavar=("MOOD", "SEEDS"))
    parser.add_argument("--seconds", type=float, required=True, help="begin no further life after this")
    parser.add_argument("--jobs", type=int, required=True, help="of a life, at most")
    parser.add_argument("--all", action="store_true", help="go on after the first that breaks a property")
    given = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    assert Path(momo_worker.__file__).is_relative_to(here), f"{momo_worker.__file__} isn't the copy's"
    parent, ends_at = os.getppid(), time.monotonic() + given.seconds
    with quiet(), ledgers("sqlite") as places:
        for mood, seed in ((mood, seed) for mood, seeds in given.life for seed in seeds_of(seeds)):
            found = lived(in_mood(seed, mood, given.jobs), places)
            print(json.dumps({"mood": mood, **found}), flush=True)
            if found["no_proof"] or (found["broken"] and not given.all) or time.monotonic() > ends_at:
                break
            if os.getppid() != parent:
                # Whoever asked is gone.
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
