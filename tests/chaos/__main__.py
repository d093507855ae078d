"""`make chaos`: both databases, a Sentinel and `momo up` in turn, killed a thousand times; prints progress and tables, writes them into docs/chaos.md. Exit 1 on any breach.

Every process and server is started here, on free ports of 127.0.0.1, and ended here, on Ctrl-C too.
"""

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.chaos_monkey import SLEEPS_AT
from tests.support.chaos_run import run
from tests.support.chaos_servers import POSTGRESQL, SQLITE
from tests.support.chaos_stage import Plan
from tests.support.chaos_tables import report
from tests.support.chaos_up import UP, UP_KILLED

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "chaos.md"
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
BOTH, SENTINEL = "both", "sentinel"
#: What is short: Sentinel's stage is for failovers, and that of `momo up` for its own supervisor; kills have their say in the others.
_SHORT = {
    SENTINEL: ("Sentinel's master killed", "every process of ours killed"),
    UP: (UP_KILLED, UP_KILLED, "all workers killed", "one worker stopped", "Redis killed"),
}
_SHARES = {SQLITE: 0.5, POSTGRESQL: 0.5, SENTINEL: 0.06, UP: 0.06}
#: A part that died often within a minute is started again after as much as half a minute.
_UP_MINUTES = 6.0


def main() -> int:
    options = _arguments().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Asked before anything runs: the tables written at the end change the checkout.
    commit = _commit()
    print(f"seed {options.seed}, commit {commit}", flush=True)
    books = []
    with tempfile.TemporaryDirectory(prefix="momo-chaos-") as folder:
        for plan in plans(options):
            own = Path(folder) / plan.name
            own.mkdir()
            found = run(plan, own, lambda line: print(line, flush=True))
            books.append(found)
            if found.breaches and options.keep:
                shutil.move(own, options.keep / plan.name)
    text = report(books, options.seed, _machine(), commit)
    print(f"\n{text}\n", flush=True)
    breaches = [f"{one.plan.name}: {breach}" for one in books for breach in (*one.breaches, *one.slow)]
    for breach in breaches:
        print(f"BREACH {breach}", flush=True)
    if options.write:
        write(text, options.write)
    if breaches:
        print(f"{len(breaches)} breaches with seed {options.seed}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="kill -9 altogether, at least")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--database", choices=[SQLITE, POSTGRESQL, SENTINEL, UP, BOTH], default=BOTH)
    parser.add_argument("--minutes", type=float, default=40.0, help="altogether; what isn't done by then is a breach")
    parser.add_argument("--rounds", type=int, default=2, help="how often each disaster comes, on each database")
    parser.add_argument("--rate", type=float, default=8.0, help="payments a second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--pumps", type=int, default=3)
    parser.add_argument("--frozen-seconds", type=float, default=60.0, help="how long Redis is frozen")
    parser.add_argument("--write", type=Path, nargs="?", const=PAGE, help="the page to write the tables into")
    parser.add_argument("--keep", type=Path, help="where logs and ledgers of a stage with a breach are kept")
    return parser


def plans(options: argparse.Namespace) -> list[Plan]:
    """One for each database; with both, a Sentinel's and one of `momo up` too."""
    names = list(_SHARES) if options.database == BOTH else [options.database]
    total = sum(_SHARES[name] for name in names)
    return [
        Plan(
            name=name,
            database=SQLITE if name in _SHORT else name,
            seed=options.seed + place,
            kills=max(1, round(options.kills * _SHARES[name] / total)),
            workers=options.workers,
            pumps=options.pumps,
            rate=options.rate,
            sentinel=name == SENTINEL,
            up=name == UP,
            disasters=_SHORT.get(name, ()),
            every_point=name not in _SHORT,
            sleeps_at=() if name in _SHORT else SLEEPS_AT,
            rounds=options.rounds,
            frozen_seconds=options.frozen_seconds,
            minutes_max=_UP_MINUTES if name == UP else options.minutes * _SHARES[name] / total,
        )
        for place, name in enumerate(names)
    ]


def write(text: str, page: Path) -> None:
    """Between the marks, and nothing else of the page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page} has no marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def _commit() -> str:
    """Which code runs, as far as git knows."""
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        return "unknown"
    short, changes = (
        subprocess.run([git, *words], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.strip()
        for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
    )
    return f"{short} with changes" if changes else short


if __name__ == "__main__":
    sys.exit(main())
