"""The map of the source is the source: each file, test and name that worker/README.md points at is there, and every rule of money has a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "worker" / "momo_worker"
TEXT = (ROOT / "worker" / "README.md").read_text(encoding="utf-8")
ROWS = {row[0]: row[1:] for row in re.findall(r"^\| (M\d+) \| (.*?) \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)}


def test_every_rule_of_money_has_its_row() -> None:
    assert list(ROWS) == [f"M{number}" for number in range(1, 15)]


@pytest.mark.parametrize("rule", ROWS)
def test_a_rule_lives_where_the_map_says(rule: str) -> None:
    _, places, _ = ROWS[rule]
    files = re.findall(r"`([a-z_/]+\.py)`(?: \(([^)]*)\))?", places)
    assert files
    for file, inside in files:
        text = (PACKAGE / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", inside):
            assert re.search(rf"\b(?:def|class) {name}\b", text), f"{name} in {file}"


@pytest.mark.parametrize("rule", ROWS)
def test_a_rule_has_tests_that_are_there(rule: str) -> None:
    _, _, tests = ROWS[rule]
    cited = re.findall(r"`(tests/[\w/]+\.py)`(?:[^`;]*)((?:`test_\w+`(?:, )?)*)", tests)
    assert cited
    for file, names in cited:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(test_\w+)`", names):
            assert f"def {name}(" in text, f"{name} in {file}"
    assert len(re.findall(r"`test_\w+`", tests)) == sum(len(re.findall(r"`test_\w+`", names)) for _, names in cited)


def test_every_file_on_the_way_is_there() -> None:
    way = TEXT[TEXT.index("## Reading order") : TEXT.index("## The rules of money")]
    files = re.findall(r"`([a-z_/]+\.py)`", way)
    assert len(files) > 15
    assert [file for file in files if not (PACKAGE / file).is_file()] == []


def test_every_step_is_on_the_way() -> None:
    steps = {path.name for path in (PACKAGE / "steps").glob("*.py")} - {"__init__.py"}
    assert {name for name in steps if f"steps/{name.removesuffix('.py')}" in TEXT} == steps
