"""The runbook knows every line that wakes somebody: each ERROR that the code can write has its heading, each gauge and cause its row."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from momo_worker.commons.gatekeeping import BAD_REQUESTS, CIRCUIT, CLOSING
from momo_worker.metrics import GAUGES
from momo_worker.payment.transitions import HeldCause

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "runbook.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^### `(.*)`$", TEXT, re.MULTILINE)


def error_lines(path: Path) -> Iterator[str]:
    """First words of every ERROR: `log.error`, `log.exception`, and `speak`, which stands for one of two levels."""
    text = path.read_text(encoding="utf-8")
    if "getLogger" not in text and "get_logger" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "log.error",
            "log.exception",
            "log.critical",
            "speak",
        }:
            assert isinstance(node.args[0], ast.Constant), (
                f"{path.name}:{node.lineno}: the words of an ERROR stand still"
            )
            yield re.sub(r"%[sdr]", "…", node.args[0].value)


def test_every_error_has_its_heading_and_every_heading_its_error() -> None:
    found = {line for path in (ROOT / "worker" / "momo_worker").rglob("*.py") for line in error_lines(path)}
    assert len(found) > 10
    headings = {re.sub(r"code 70", "code …", heading) for heading in HEADINGS}
    assert headings == found


def test_every_gauge_has_its_row() -> None:
    rows = re.findall(r"^\| `(momo_\w+)", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(GAUGES)


def test_every_cause_has_its_row() -> None:
    rows = {name for row in re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert rows >= {cause.value for cause in HeldCause}
    assert rows >= {*(cause.value for cause in CLOSING), BAD_REQUESTS, CIRCUIT}
