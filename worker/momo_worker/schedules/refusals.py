"""Why nothing was changed: every problem at once, each with where it stands, what stands there and what to do. Decides nothing."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in the words of whoever wrote it."""

    #: `--rule`, `pupils.csv line 3, phone` or `schedules.toml, schedule 2 (fees): rule`.
    where: str
    value: str
    reason: str
    advice: str = ""

    def __str__(self) -> str:
        shown = f" {self.value!r}" if self.value else ""
        return f"{self.where}:{shown} {self.reason}" + (f"; {self.advice}" if self.advice else "")


class NotChangedError(Exception):
    """Nothing was changed."""

    def __init__(self, why: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.problems = tuple(problems)


def refuse(problems: Sequence[Problem]) -> None:
    """Raise NotChangedError where anything is wrong."""
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
        raise NotChangedError(f"{count}, and nothing was changed", problems)
