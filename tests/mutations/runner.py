"""A mutation comes in; a copy of the checkout is mutated and tried, and what caught it goes out. The checkout itself is never touched."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutations.mutation import NO_PROOF, ROOT, Mutation, mutated

_COPIED = ("worker", "tests", "config", "pyproject.toml")
#: A life that hangs is a life that was broken, but not by any checker; no seed takes half as long.
_LIFE_SECONDS_MAX = 240
_TESTS_SECONDS_MAX = 600
#: A named test that ends by one of these has met broken code, or a statement that no database takes, before it came to what it asks.
_NO_PROOF_OF_A_TEST = (*(kind.__name__ for kind in NO_PROOF), "ModuleNotFoundError", "KeyError", "sqlalchemy.exc.")


@dataclass(frozen=True)
class Limits:
    """How far a search goes."""

    seeds: int = 60
    seconds: float = 600.0
    #: In each life: fewer than in the proof's own, so that what is broken shows sooner.
    jobs: int = 40


@dataclass(frozen=True)
class Caught:
    """What became of a mutation: by what it was caught, where it was, and what that took."""

    mutation: Mutation
    by: str | None
    seed: int | None
    payments: int
    lives: int
    seconds: float
    story: str
    #: The mutation is broken code: it proves nothing, whatever failed.
    no_proof: bool = False

    @property
    def through(self) -> bool:
        return self.by is None or self.no_proof


@contextmanager
def copied(mutation: Mutation | None) -> Iterator[Path]:
    """A copy of the checkout with this mutation in it, or as it is."""
    with tempfile.TemporaryDirectory(prefix="momo-mutation-") as name:
        folder = Path(name)
        for part in _COPIED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        for path, text in mutated(mutation, folder).items() if mutation else ():
            (folder / path).write_text(text, encoding="utf-8")
        yield folder


def try_out(mutation: Mutation, known_seed: int | None, limits: Limits) -> Caught:
    """The seed that is known to catch it first, then others; or the tests that are named."""
    began = time.monotonic()
    with copied(mutation) as folder:
        if mutation.tests:
            failed, story = failing_test(folder, mutation.tests)
            broken = story.startswith(_NO_PROOF_OF_A_TEST)
            return Caught(mutation, failed, None, 0, 0, time.monotonic() - began, story, broken)
        seeds = f"1-{limits.seeds}" if known_seed is None else f"{known_seed},1-{limits.seeds}"
        lives = list(live(folder, [(mutation.mood, seeds)], limits))
    last = lives[-1] if lives else {"seed": None, "broken": {}, "story": "no life was lived", "no_proof": True}
    return Caught(
        mutation,
        ", ".join(sorted(last["broken"])) or None,
        last["seed"] if last["broken"] else None,
        sum(life["payments"] for life in lives),
        len(lives),
        time.monotonic() - began,
        last["story"],
        last["no_proof"],
    )


def failing_lives(lives: Iterable[tuple[str, int]], jobs: int) -> list[str]:
    """Stories of those of these lives (mood, seed) that the code as it is doesn't live through; each must, or it proves nothing elsewhere."""
    wanted = sorted(set(lives))
    shares = [share for share in (wanted[place::jobs] for place in range(jobs)) if share]
    with copied(None) as folder, ThreadPoolExecutor(jobs) as pool:
        return [story for stories in pool.map(lambda share: _failing(folder, share), shares) for story in stories]


def _failing(folder: Path, wanted: Sequence[tuple[str, int]]) -> list[str]:
    limits = Limits(seconds=_LIFE_SECONDS_MAX * float(len(wanted)))
    lived = list(live(folder, [(mood, str(seed)) for mood, seed in wanted], limits, all_of_them=True))
    missing = sorted(set(wanted) - {(life["mood"], life["seed"]) for life in lived})
    return [
        *(
            f"seed {life['seed']} ({life['mood']}): {life['story']}"
            for life in lived
            if life["broken"] or life["no_proof"]
        ),
        *(f"seed {seed} ({mood}) was not lived" for mood, seed in missing),
    ]


def failing_tests(tests: Iterable[str]) -> str | None:
    """A named test that fails for the code as it is."""
    wanted = sorted(set(tests))
    if not wanted:
        return None
    with copied(None) as folder:
        return failing_test(folder, wanted)[0]


def live(
    folder: Path, lives: Sequence[tuple[str, str]], limits: Limits, *, all_of_them: bool = False
) -> Iterator[dict[str, Any]]:
    """One life after another in this copy, each mood with its seeds."""
    command = [
        sys.executable,
        "-m",
        "tests.mutations.trial",
        "--seconds",
        str(limits.seconds),
        "--jobs",
        str(limits.jobs),
    ]
    for mood, seeds in lives:
        command += ["--life", mood, seeds]
    command += ["--all"] if all_of_them else []
    patience = limits.seconds + _LIFE_SECONDS_MAX
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=_environment(folder),
                stdout=said,
                stderr=subprocess.PIPE,
                text=True,
                timeout=patience,
                check=False,
            )
            trouble = f"the trial ended with {done.returncode}: {done.stderr[-600:]}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            trouble = "a life never ended"
        said.seek(0)
        yield from (json.loads(line) for line in said if line.startswith("{"))
    if trouble:
        yield {"mood": "", "seed": None, "payments": 0, "broken": {}, "story": trouble, "no_proof": True}


def failing_test(folder: Path, tests: Sequence[str]) -> tuple[str | None, str]:
    """The first of these tests that fails in this copy, or None."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests]
    done = subprocess.run(
        command,
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=_TESTS_SECONDS_MAX,
        check=False,
    )
    found = re.search(r"^FAILED \S+?::(\w+)(?:\[[^\]]*\])?(?: - (.*))?", done.stdout, re.MULTILINE)
    if found:
        return found[1], found[2] or ""
    if done.returncode:
        # An import that fails or a test that isn't there is no catch.
        raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    return None, ""


def _environment(folder: Path) -> dict[str, str]:
    """The copy's code before the installed one; nothing of the caller's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOMO_", "PYTEST_"))}
    if "MOMO_MTN_OPENAPI" in os.environ:
        kept["MOMO_MTN_OPENAPI"] = os.environ["MOMO_MTN_OPENAPI"]
    code = {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'worker'}", "PYTHONHASHSEED": "0"}
    # Wide, or pytest leaves out why a test with a long name failed.
    return {**kept, **code, "COLUMNS": "1000"}
