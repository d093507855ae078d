"""What is wrong with the settings, each with its place and its fix, collected so that one start names all; never holds a secret."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a variable or `file: key`; `what` never quotes a secret; `fix` is a thing to do."""

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.fix}"


class SettingsError(Exception):
    """The settings can't be used; the text lists every problem of the load."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        count = "One setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        super().__init__("\n".join([f"{count} wrong:", *(f"  - {problem}" for problem in problems)]))


class Problems:
    """A collector that is handed down through a load."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, where: str, what: str, fix: str) -> None:
        self.found.append(Problem(where, what, fix))

    def raise_if_any(self) -> None:
        if self.found:
            raise SettingsError(self.found)
