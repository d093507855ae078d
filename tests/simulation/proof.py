"""`python -m tests.simulation.proof`: lives seed after seed until so many payments were judged, and writes the table that the README quotes.

--payments N     how many, at an MTN that remembers its references (1,000,000); those of the other lives come on top
--processes N    one a core
--state PATH     what was lived so far: an interrupted proof goes on from there, as long as the code is the same (var/proof.json)
--database NAME  sqlite (the default) or postgresql
--write          put the table into docs/proof.md and the sentence into README.md

It works on a copy of the code, so that the checkout may change meanwhile. It ends with 1 when a property was broken, after shrinking the
first such life to a short story, and when a fault, move or outcome that it must meet never occurred.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.simulation.required import OF_A_PROOF, missing
from tests.simulation.table import summary, tables
from tests.simulation.totals import Totals
from tests.support.simulation_ledgers import DATABASES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "proof.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- proof: begin -->", "<!-- proof: end -->"
_CODE = ("worker/momo_worker", "tests/simulation", "tests/support", "config")
_COPIED = ("worker", "tests", "config", "pyproject.toml")
_TOLD_EACH_SECONDS = 15.0
_SAVED_EACH_SECONDS = 10.0
#: After so many broken lives nobody needs another.
_BROKEN_MAX = 3


@dataclass
class Progress:
    """What was lived so far, and under which code; a file keeps it."""

    code: str
    database: str
    lived: set[int] = field(default_factory=set)
    totals: Totals = field(default_factory=Totals)
    broken: list[int] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, code: str, database: str) -> "Progress":
        """Go on where the last one stopped; another code's figures are put aside."""
        fresh = cls(code, database)
        if not path.exists():
            return fresh
        kept = json.loads(path.read_text(encoding="utf-8"))
        if (kept["code"], kept["database"]) != (code, database):
            aside = path.with_name(f"{path.stem}-{kept['code']}-{kept['database']}{path.suffix}")
            path.replace(aside)
            say(f"the code has changed since {path} was written: beginning anew, and keeping that as {aside}")
            return fresh
        lived = {seed for first, last in kept["lived"] for seed in range(first, last + 1)}
        return cls(
            code, database, lived, Totals.from_json(kept["totals"]), broken=kept["broken"], crashed=kept["crashed"]
        )

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {
            "code": self.code,
            "database": self.database,
            "lived": ranges(self.lived),
            "totals": self.totals.to_json(),
            "broken": self.broken,
            "crashed": self.crashed,
        }
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(kept), encoding="utf-8")
        beside.replace(path)

    def take(self, found: dict[str, Any]) -> None:
        """What one life showed."""
        seed = found["seed"]
        self.lived.add(seed)
        if "crashed" in found:
            self.crashed.append(f"seed {seed}: {found['crashed']}")
            return
        totals = Totals.from_json(found["totals"])
        self.totals.merge(totals)
        if totals.broken:
            self.broken.append(seed)
            say("\n\n".join(totals.stories[:2]))

    @property
    def hopeless(self) -> bool:
        return len(self.broken) + len(self.crashed) >= _BROKEN_MAX


def ranges(seeds: set[int]) -> list[tuple[int, int]]:
    """1, 2, 3, 7 as 1-3 and 7-7."""
    found: list[tuple[int, int]] = []
    for seed in sorted(seeds):
        if found and found[-1][1] == seed - 1:
            found[-1] = (found[-1][0], seed)
        else:
            found.append((seed, seed))
    return found


def in_words(seeds: set[int]) -> str:
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges(seeds))


def digest(root: Path) -> str:
    """Of all code that takes part: figures of two codes are never mixed."""
    whole = hashlib.sha256()
    for place in _CODE:
        for path in sorted((root / place).rglob("*")):
            if path.is_file() and path.suffix in {".py", ".toml"}:
                whole.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:12]


@contextlib.contextmanager
def a_copy() -> Iterator[Path]:
    """Of the checkout, as it is now."""
    with tempfile.TemporaryDirectory(prefix="momo-proof-") as name:
        folder = Path(name)
        for part in _COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, folder / part)
        yield folder


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


@dataclass
class Proof:
    """Hands seeds to processes, one thread each, and gathers what they say."""

    progress: Progress
    state: Path
    wanted: int
    code: Path
    stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _taken: set[int] = field(default_factory=set)
    _next: int = 1
    _began: float = field(default_factory=time.monotonic)
    _began_with: int = 0
    _saved_at: float = 0.0

    def run(self, processes: int) -> None:
        self._began_with = self.progress.totals.payments_usual
        threads = [threading.Thread(target=self._work, name=f"proof-{number}") for number in range(processes)]
        for thread in threads:
            thread.start()
        told_at = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
            if time.monotonic() - told_at >= _TOLD_EACH_SECONDS:
                self._tell()
                told_at = time.monotonic()
        self.progress.write(self.state)
        self._tell()

    def _seed(self) -> int | None:
        with self._lock:
            if self.stopping.is_set() or self.progress.hopeless or self.progress.totals.payments_usual >= self.wanted:
                return None
            while self._next in self.progress.lived or self._next in self._taken:
                self._next += 1
            self._taken.add(self._next)
            return self._next

    def _work(self) -> None:
        command = [sys.executable, "-m", "tests.simulation.proof_worker", "--database", self.progress.database]
        environment = {**os.environ, "PYTHONPATH": f"{self.code / 'worker'}{os.pathsep}{self.code}"}
        # In a session of its own: Ctrl-C is ours to pass on, and a life that was begun is lived to its end.
        with subprocess.Popen(
            command,
            cwd=self.code,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while (seed := self._seed()) is not None:
                self._live(seed, process.stdin, process.stdout)
            process.stdin.close()

    def _live(self, seed: int, ask: IO[str], answers: IO[str]) -> None:
        try:
            ask.write(f"{seed}\n")
            ask.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        found = json.loads(line) if line else {"seed": seed, "crashed": "its process ended"}
        with self._lock:
            self.progress.take(found)
            if time.monotonic() - self._saved_at > _SAVED_EACH_SECONDS:
                self.progress.write(self.state)
                self._saved_at = time.monotonic()
            if not line:
                self.stopping.set()

    def _tell(self) -> None:
        with self._lock:
            totals, lives = self.progress.totals, len(self.progress.lived)
            done, faults = totals.payments_usual, totals.faults_and_deeds
            bad = sum(totals.broken.values()) + len(self.progress.crashed)
        rate = (done - self._began_with) / max(time.monotonic() - self._began, 0.001)
        left = f"{(self.wanted - done) / rate / 60:.0f} min left" if rate > 0 and done < self.wanted else "-"
        say(
            f"{done:,} of {self.wanted:,} payments in {lives:,} lives, {rate:.0f} a second, {left}, {faults:,} faults and deeds, {bad} broken"
        )


def commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "no commit"


def put_between(path: Path, text: str) -> None:
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    assert rest, f"{path} has no {BEGIN}"
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def concluded(progress: Progress, wanted: int, *, database: str, head: str) -> tuple[bool, str]:
    """Whether it is a proof, and its tables."""
    totals, seeds = progress.totals, in_words(progress.lived)
    cpu = f"{totals.seconds / 3600:.1f} h" if totals.seconds else "-"
    heads = {"seeds": f"{seeds} ({len(progress.lived):,} lives)", "commit": f"`{head}`, code `{progress.code}`"}
    text = tables(totals, {**heads, "database": database, "time of all processes": cpu})
    never = missing(totals, OF_A_PROOF)
    problems = [*(f"seed {seed} broke a property" for seed in progress.broken), *progress.crashed]
    problems += [f"never happened: {kind}: {', '.join(names)}" for kind, names in never.items()]
    if totals.payments_usual < wanted:
        problems.append(f"{totals.payments_usual:,} of {wanted:,} payments: interrupted")
    if problems:
        text = "\n".join([text, "", "**No proof:**", "", *(f"- {problem}" for problem in problems)])
    return not problems, text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--shrink-seconds", type=float, default=900.0)
    return parser.parse_args()


def main() -> int:
    given = options()
    state = given.state or ROOT / "var" / (
        "proof.json" if given.database == "sqlite" else f"proof-{given.database}.json"
    )
    with a_copy() as code:
        head = commit()
        progress = Progress.read(state, digest(code), given.database)
        proof = Proof(progress, state, given.payments, code)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: proof.stopping.set())
        proof.run(given.processes)
        whole, text = concluded(progress, given.payments, database=given.database, head=head)
        print(text)
        if progress.broken and not proof.stopping.is_set():
            shrink = ["-m", "tests.simulation.shrink", str(progress.broken[0]), "--database", given.database]
            environment = {**os.environ, "PYTHONPATH": f"{code / 'worker'}{os.pathsep}{code}"}
            seconds = ["--seconds", str(given.shrink_seconds)]
            subprocess.run([sys.executable, *shrink, *seconds], cwd=code, env=environment, check=False)
    if whole and given.write:
        put_between(PAGE, text)
        put_between(README, summary(progress.totals, in_words(progress.lived), progress.code))
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
