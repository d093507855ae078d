"""A plan comes in, its books go out: everything started, the monkey let loose, healed, compared, ended."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.chaos_books import Books, compare, heal
from tests.support.chaos_monkey import Monkey
from tests.support.chaos_stage import Plan, Stage, a_stage


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Books:
    """One stage from its start to its books."""
    began = time.time()

    def told(line: str) -> None:
        say(f"[{plan.name} {time.time() - began:5.0f} s] {line}")

    with a_stage(plan, folder) as stage:
        monkey = Monkey(stage, told)
        monkey.run()
        told(_standing(stage, monkey))
        heal_seconds = heal(stage, told)
        books = compare(stage, monkey, seconds=time.time() - began, heal_seconds=heal_seconds)
    told(f"healed in {heal_seconds:.0f} s; {len(books.breaches)} breaches {books.breaches + books.slow}")
    return books


def _standing(stage: Stage, monkey: Monkey) -> str:
    ends = Counter(one.how for one in stage.fleet.journal if one.code is not None)
    return f"{len(stage.shop.made)} jobs, {monkey.kills()} kills, ends {dict(ends)}, failed sends {stage.shop.failures}"
