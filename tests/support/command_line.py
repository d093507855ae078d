"""The command line as a user types it: words and a home come in, what was printed and the exit code go out. Nobody's settings but the test's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.valkey import free_port
from tests.support.waiting import eventually

MOMO = Path(sys.executable).with_name("momo")
SECONDS_MAX = 270


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """A clean environment: no MOMO_ setting of whoever runs the tests gets in."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("MOMO_")}
    return {**kept, "MOMO_HOME": str(home), "COLUMNS": "200", **settings}


def momo(*words: str, home: Path, cwd: Path | None = None, given: bytes | None = None, **settings: str) -> Answer:
    """Run one command to its end. No traceback ever reaches a user, so none may stand in any answer."""
    done = subprocess.run(
        [MOMO, *words],
        env=environment(home, **settings),
        cwd=cwd or home,
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
    for trace in ("Traceback", 'File "', "a mistake of ours"):
        assert trace not in answer.out + answer.err, f"{words}: {answer}"
    return answer


@dataclass
class Town:
    """A running `momo up --simulator`: `home` is the simulator's own, as the second terminal has it."""

    process: subprocess.Popen[bytes]
    top: Path
    facts: dict[str, Any]
    settings: dict[str, str]
    log_path: Path

    @property
    def home(self) -> Path:
        return Path(self.facts["home"])

    @property
    def simulator(self) -> str:
        return str(self.facts["simulator"])

    def momo(self, *words: str, **settings: str) -> Answer:
        return momo(*words, home=self.home, **{**self.settings, **settings})

    def log(self) -> list[dict[str, Any]]:
        """What was logged so far, whole lines only."""
        lines = self.log_path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def pid_of(self, part: str) -> int:
        """The process of a part as it was last started."""
        starts = [line for line in self.log() if line["event"] == "part started" and line["part"] == part]
        return int(starts[-1]["pid"])


@contextmanager
def running_town(top: Path, *words: str, **settings: str) -> Iterator[Town]:
    """`momo up --simulator` on free ports, until the block ends."""
    ports = ["--redis-port", str(free_port()), "--simulator-port", str(free_port())]
    settings = {"MOMO_METRICS_PORT": str(free_port()), **settings}
    log_path = top / "up.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [MOMO, "up", "--simulator", "--json", *ports, *words],
            env=environment(top, **settings),
            cwd=top,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, f"momo up ended with {process.wait(30)}: {log_path.read_text()}"
            town = Town(process, top, json.loads(line), settings, log_path)
            eventually(lambda: ready(town), within_seconds=60, otherwise=log_path.read_text)
            yield town
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def ready(town: Town) -> bool:
    """Pump and worker have opened their doors."""
    opened = {line["process"] for line in town.log() if line["event"] == "metrics door open"}
    return {"pump", "worker"} <= opened


def alive(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has waited for doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
