"""The import contracts hold, and each breaks when somebody crosses it: tried on a copy, so that a contract that forbids nothing shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORRIDOR = "The corridor runs one way"
STEPS = "Steps do not call one another"
MTN = "Only the wiring knows MTN's client; the command line may provision"
SIMULATOR = "Only the command line starts the simulator"

#: Who crosses, by which line, and which contracts say so.
CROSSINGS = {
    "a step calls a step": ("steps/submission.py", "from momo_worker.steps import outcome", {STEPS}),
    "a step calls a step through the back door": (
        "steps/relay.py",
        "def later() -> None:\n    from momo_worker.steps import rescue\n    print(rescue)",
        {STEPS},
    ),
    "commons calls a step": ("commons/recording.py", "import momo_worker.steps.rescue", {CORRIDOR, STEPS}),
    "payment reads a clock": ("payment/payment.py", "import momo_worker.clock", {CORRIDOR}),
    "payment asks the ledger": ("payment/job.py", "import momo_worker.ledger.engine", {CORRIDOR}),
    "the client writes the ledger": ("mtn/client.py", "import momo_worker.ledger.moves", {CORRIDOR}),
    "the ledger calls MTN": ("ledger/work.py", "import momo_worker.mtn.client", {CORRIDOR, MTN}),
    "a step knows MTN's client": ("steps/polling.py", "import momo_worker.mtn.client", {MTN}),
    "the simulator reads the wire with our eyes": ("simulator/bank.py", "import momo_worker.mtn.wire", {CORRIDOR, MTN}),
    "the simulator shares our idea of money": ("simulator/bank.py", "import momo_worker.payment.money", {CORRIDOR}),
    "the wiring starts the simulator": ("wiring.py", "import momo_worker.simulator.server", {SIMULATOR}),
    "a small room enters a large one": ("settings.py", "import momo_worker.wiring", {CORRIDOR}),
    "a new file that nobody gave a place": ("helpers.py", "", {CORRIDOR}),
}


def check(folder: Path) -> tuple[int, set[str], str]:
    """Exit code, names of broken contracts, and the whole output."""
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(tool), "--no-cache", "--no-logo"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "worker"), "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = done.stdout + done.stderr
    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", output).split())
    return done.returncode, {name for name in (CORRIDOR, STEPS, MTN, SIMULATOR) if f"{name} BROKEN" in plain}, output


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "worker" / "momo_worker",
        tmp_path / "worker" / "momo_worker",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return tmp_path


def test_the_contracts_hold(copy: Path) -> None:
    code, broken, output = check(copy)
    assert (code, broken) == (0, set()), output
    assert "4 kept, 0 broken" in output


@pytest.mark.parametrize("crossing", CROSSINGS)
def test_a_crossing_breaks_its_contract(crossing: str, copy: Path) -> None:
    file, line, expected = CROSSINGS[crossing]
    path = copy / "worker" / "momo_worker" / file
    before = path.read_text(encoding="utf-8") if path.exists() else '"""New."""\n'
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    code, broken, output = check(copy)
    assert code != 0, output
    if crossing == "a new file that nobody gave a place":
        assert "helpers" in output, output
    else:
        assert broken == expected, output
