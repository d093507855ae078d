"""`python -m tests.benchmarks.imports`: `momo run import` of the largest run there may be, as CSV and as XLSX; prints its time and memory.

The whole command is measured, from the start of its process to its answer, by the operating system's own account of it. A run whose count
or sum differs from the file's prints no figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.main import bench
from tests.benchmarks.measure import say, span
from tests.benchmarks.salary_files import KINDS
from tests.benchmarks.stage import POSTGRESQL, ROOT, SQLITE, BenchError, maybe_postgres, momo, run_to_end, stage
from tests.benchmarks.tables import Table

#: ru_maxrss is in bytes there and in KiB elsewhere.
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Used:
    """What one command took."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    answer: dict[str, Any]


def measured(command: Sequence[str], environ: dict[str, str]) -> Used:
    """Run a command that answers in JSON; its use of the machine is told by the system when it has ended."""
    with tempfile.TemporaryFile() as out:
        began = time.monotonic()
        process = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall_seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read().decode()
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit code {process.returncode}\n{said[-2_000:]}")
    return Used(
        wall_seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT_BYTES / 1e6, json.loads(said)
    )  # fmt: skip


def measure(options: argparse.Namespace) -> Table:
    """Every kind of file into each ledger, each time into an empty one."""
    table = Table(
        "Importing a bulk run",
        f"`momo run import` of {options.rows:,} rows with id, name, number, amount, currency and note, seed {options.seed}; {options.rounds} times each: "
        "smallest, median, largest. CPU and memory are the command's own, without the database server's.",
        ("file", "ledger", "size, MB", "CPU, s", "from start to answer, s", "peak memory, MB"),
    )
    with tempfile.TemporaryDirectory(prefix="momo-bench-") as folder:
        for kind, (name, suffix, _) in KINDS.items():
            file = Path(folder) / f"{kind}{suffix}"
            # In a process of its own: a child's peak begins at its parent's size, and this one stays small.
            sizes = [str(options.rows), str(options.seed), str(file)]
            total = run_to_end([sys.executable, "-m", "tests.benchmarks.salary_files", kind, *sizes], dict(os.environ))
            for ledger in options.ledger:
                row = _row(file, ledger, total.strip(), options)
                table.rows.append([name, ledger, f"{file.stat().st_size / 1e6:.1f}", *row])
    return table


def _row(file: Path, ledger: str, total: str, options: argparse.Namespace) -> Iterator[str]:
    found = [_imported(file, ledger, total, options) for _ in range(options.rounds)]
    say(f"imports: {file.name} {ledger} {[(one.cpu_seconds, one.wall_seconds) for one in found]}")
    yield span([one.cpu_seconds for one in found], 1)
    yield span([one.wall_seconds for one in found], 1)
    yield span([one.peak_mb for one in found], 0)


def _imported(file: Path, ledger: str, total: str, options: argparse.Namespace) -> Used:
    with maybe_postgres(ledger) as server, stage(ledger, seed=options.seed, server=server) as made:
        command = [*momo(), "run", "import", str(file), "--name", "salary-2026-12", "--json"]
        used = measured(command, made.environ)
    if (used.answer["rows"], used.answer["total"]) != (options.rows, total):
        raise BenchError(f"{file.name}: {options.rows} rows of {total} were written, and {used.answer} was read")
    return used


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ledger", nargs="+", choices=(SQLITE, POSTGRESQL), default=[SQLITE, POSTGRESQL])


if __name__ == "__main__":
    bench(__doc__, arguments, lambda options: [measure(options)])
