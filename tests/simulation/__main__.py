"""`python -m tests.simulation --seeds 1-1000`: lives through many seeds and prints a table in Markdown; ends with 1 when a property was broken."""

import argparse
import sys

from tests.simulation.seeds import CHECKERS, Totals, run_seeds


def table(totals: Totals, seeds: str) -> str:
    """What happened, for a page."""
    sums = {
        "seeds": seeds,
        "payments": totals.payments,
        "payments a second": f"{totals.payments / max(totals.seconds, 0.001):.1f}",
        "POSTs that left": totals.posts,
        "paid twice": totals.broken["one_movement"],
        "lost (jobs, acceptances, results)": totals.broken["entries"] + totals.broken["consumer"],
        "finals wrong": totals.broken["finals"] + totals.broken["sums"],
        "without an owner": totals.broken["liveness"],
        "other properties broken": sum(totals.broken.values())
        - sum(totals.broken[name] for name in ("one_movement", "entries", "consumer", "finals", "sums", "liveness")),
        "moved twice because MTN forgot or raced (bounds only)": totals.moved_twice_when_mtn_forgets,
    }
    parts = [_rows("what", "count", sums), _rows("outcome", "count", dict(sorted(totals.outcomes.items())))]
    parts.append(_rows("held because", "count", dict(sorted(totals.held.items()))))
    parts.append(_rows("moved by", "count", dict(sorted(totals.triggers.items()))))
    parts.append(_rows("fault or deed", "count", dict(sorted(totals.faults.items()))))
    names = ", ".join(checker.__name__.rpartition(".")[2] for checker in CHECKERS)
    return "\n\n".join([*parts, f"Checked: {names}."])


def _rows(left: str, right: str, values: dict[str, object]) -> str:
    return "\n".join(
        [f"| {left} | {right} |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in values.items())]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-50", help="first and last, such as 1-1000, or one")
    given = parser.parse_args().seeds
    first, _, last = given.partition("-")
    totals = run_seeds(range(int(first), int(last or first) + 1))
    print(table(totals, given))
    for story in totals.stories:
        print(f"\n{story}", file=sys.stderr)
    return 1 if totals.broken else 0


if __name__ == "__main__":
    sys.exit(main())
