"""What no other test runs (the benchmarks, the chaos, the proof) at least finds all that it imports: a renamed function breaks here, and not in a year."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("benchmarks", "chaos", "mutations", "simulation")
    for path in (ROOT / "tests" / folder).rglob("*.py")
    if not path.name.startswith("test_")
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_ours_finds_what_it_imports(program):
    assert importlib.import_module(program).__doc__
