"""`python -m tests.mutations`: breaks each rule of money on purpose and says what caught it; ends with 1 when a mutation gets through.

--list           the mutations, with the sentence each breaks
--only NAME      some of them (again for more; a rule such as M5 stands for all of its own)
--remember       keep the seeds that were found, to be tried first the next time
--write          put the table into docs/mutations.md
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.mutations.catalogue import MUTATIONS
from tests.mutations.mutation import ROOT, Mutation
from tests.mutations.runner import Caught, Limits, failing_lives, failing_tests, try_out

SEEDS = Path(__file__).with_name("seeds.json")
PAGE = ROOT / "docs" / "mutations.md"
BEGIN, END = "<!-- mutations: begin -->", "<!-- mutations: end -->"


def known_seeds() -> dict[str, int]:
    """Seeds that caught a mutation before; where one doesn't any more, others are tried."""
    return dict(json.loads(SEEDS.read_text(encoding="utf-8")))


def table(results: Sequence[Caught]) -> str:
    """The results, for a page."""
    head = "| mutation | rule | caught by | seed | payments until caught | seconds |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *(_row(result) for result in results)])


def _row(result: Caught) -> str:
    by = "**nothing**" if result.through else f"`{result.by}`"
    seed, payments = (result.seed, result.payments) if result.seed is not None else ("", "")
    name = f"`{result.mutation.name}`: {result.mutation.breaks}"
    return f"| {name} | {result.mutation.rule} | {by} | {seed} | {payments} | {result.seconds:.0f} |"


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def run(mutations: Sequence[Mutation], jobs: int, seeds: dict[str, int], limits: Limits) -> list[Caught]:
    """Try all of them side by side; the results come in the order of the mutations."""
    results: dict[str, Caught] = {}
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(try_out, mutation, seeds.get(mutation.name), limits) for mutation in mutations]
        for future in as_completed(waiting):
            result = future.result()
            results[result.mutation.name] = result
            where = f"seed {result.seed}, life {result.lives}" if result.seed is not None else f"{result.lives} lives"
            word = "GOT THROUGH" if result.through else f"caught by {result.by}"
            say(
                f"[{len(results):3}/{len(mutations)}] {result.mutation.name}: {word} ({where}, {result.seconds:.0f} s) {result.story[:160]}"
            )
    return [results[mutation.name] for mutation in mutations]


def write_page(text: str) -> None:
    """The table, between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def chosen(only: Sequence[str]) -> list[Mutation]:
    """Those that were named, by name or rule; all of them where none was."""
    unknown = set(only) - {name for mutation in MUTATIONS for name in (mutation.name, mutation.rule)}
    if unknown:
        raise SystemExit(f"no such mutation or rule: {', '.join(sorted(unknown))}; see --list")
    return [mutation for mutation in MUTATIONS if not only or mutation.name in only or mutation.rule in only]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--most-seeds", type=int, default=Limits.seeds, help="lives to live until a mutation got through"
    )
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="for each mutation's lives")
    parser.add_argument("--remember", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    mutations = chosen(given.only)
    if given.list:
        for mutation in mutations:
            print(f"{mutation.rule:4} {mutation.name:34} {mutation.breaks}")
        return 0
    seeds = known_seeds()
    results = run(mutations, given.jobs, seeds, Limits(given.most_seeds, given.seconds))
    sound = _soundness(results, given.jobs)
    if given.remember:
        found = {
            result.mutation.name: result.seed for result in results if result.seed is not None and not result.through
        }
        SEEDS.write_text(json.dumps({**seeds, **found}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    text = f"{table(results)}\n\n{sum(not result.through for result in results)} of {len(results)} caught. {sound[1]}"
    print(text)
    if given.write:
        write_page(text)
    return 0 if sound[0] and not any(result.through for result in results) else 1


def _soundness(results: Sequence[Caught], jobs: int) -> tuple[bool, str]:
    """The code as it is lives through every seed that caught a mutation, and passes every test that did."""
    say("the code as it is, with the same seeds and tests")
    lives = {(result.mutation.mood, result.seed) for result in results if result.seed is not None}
    stories = failing_lives(lives, jobs)
    failed = failing_tests(test for result in results for test in result.mutation.tests)
    for story in stories:
        say(story)
    if stories or failed:
        return False, f"**The code as it is fails, too**: {'; '.join(stories)} {failed or ''}"
    return True, f"The code as it is lives through all {len(lives)} of these lives and passes the named tests."


if __name__ == "__main__":
    sys.exit(main())
