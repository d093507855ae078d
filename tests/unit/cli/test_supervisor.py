"""The supervisor with real processes: what dies comes back, what must end ends in its order, and nothing outlives its starter."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.command_line import alive
from tests.support.waiting import PATIENCE_SECONDS, eventually

from momo_worker.cli.supervisor import BACKOFF_FIRST_SECONDS, Part, Supervisor
from momo_worker.clock import SystemClock

#: Notes its name when it starts and when it is asked to end.
NOTING = """
import pathlib, signal, sys, time
journal = pathlib.Path(sys.argv[2])
def note(word):
    with journal.open("a") as file: file.write(f"{sys.argv[1]} {word}\\n")
def end(*_):
    note("ends"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("starts")
while True: time.sleep(0.05)
"""


def a_part(name: str, journal: Path, **changes) -> Part:
    return Part(name, (sys.executable, "-c", NOTING, name, str(journal)), dict(os.environ), **changes)


def lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


@pytest.fixture
def supervisor():
    found = Supervisor(SystemClock())
    yield found
    found.stop()


def test_a_part_that_is_killed_is_started_again_and_later_each_time(supervisor, tmp_path):
    journal = tmp_path / "journal"
    supervisor.start(a_part("worker", journal))
    clock, waits = SystemClock(), []
    for count in (1, 2, 3):
        eventually(
            lambda wanted=count: lines(journal).count("worker starts") == wanted, within_seconds=PATIENCE_SECONDS
        )
        before = supervisor.pids()["worker"]
        os.kill(before, signal.SIGKILL)
        died_at = clock.elapsed()
        eventually(
            lambda pid=before: supervisor.look() or supervisor.pids()["worker"] != pid, within_seconds=PATIENCE_SECONDS
        )
        waits.append(clock.elapsed() - died_at)

    assert waits[0] >= BACKOFF_FIRST_SECONDS
    assert waits[2] >= BACKOFF_FIRST_SECONDS * 4


def test_parts_end_in_the_reverse_order_of_their_start_and_those_of_one_kind_together(supervisor, tmp_path):
    journal = tmp_path / "journal"
    supervisor.start(a_part("simulator", journal, stop_seconds=5))
    supervisor.start(a_part("pump", journal, stop_seconds=9))
    supervisor.start(a_part("worker", journal, stop_seconds=9))
    eventually(lambda: len(lines(journal)) == 3, within_seconds=PATIENCE_SECONDS)

    assert supervisor.stop() is True
    ends = [line for line in lines(journal) if line.endswith("ends")]
    assert ends[-1] == "simulator ends"
    assert sorted(ends[:2]) == ["pump ends", "worker ends"]


def test_a_part_that_does_not_end_is_killed_and_told_of(supervisor):
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(60)"
    )
    process = supervisor.start(
        Part("deaf", (sys.executable, "-c", deaf), dict(os.environ), 0.3, output=subprocess.PIPE)
    )
    assert process.stdout.readline() == "deaf\n"

    assert supervisor.stop() is False
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death; see leash.py")
def test_a_leashed_command_ends_with_the_process_that_started_it():
    starter = (
        "import subprocess, sys, time, os\n"
        "from momo_worker.cli.supervisor import leashed\n"
        "child = subprocess.Popen(leashed([sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(60)']), stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    assert alive(child)

    process.kill()
    process.wait()
    process.stdout.close()

    eventually(lambda: not alive(child), within_seconds=PATIENCE_SECONDS)


def test_a_leash_to_a_parent_that_is_gone_already_starts_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "momo_worker.cli.leash", "1", sys.executable, "-c", "print('began')"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
    assert done.returncode != 0
