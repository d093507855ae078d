"""A small change that breaks one rule of money, as data: which sentence, in which file, which text becomes which. Changes nothing by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The product's code, from the checkout; nothing else is ever mutated.
PRODUCT = "worker/momo_worker"
#: A mutation that ends like this isn't a broken rule but broken code, and proves nothing.
NO_PROOF = (NameError, TypeError, AttributeError, ImportError, SyntaxError)


class StaleMutationError(Exception):
    """The text that a mutation would change isn't in its file exactly once: the code has moved on, and the mutation must, too."""


@dataclass(frozen=True)
class Edit:
    """One place: `old` stands exactly once in `file` (below the package) and becomes `new`."""

    file: str
    old: str
    new: str

    @property
    def path(self) -> str:
        return f"{PRODUCT}/{self.file}"


@dataclass(frozen=True)
class Mutation:
    """A rule, broken on purpose."""

    name: str
    rule: str
    #: The sentence of the design that doesn't hold any more.
    breaks: str
    edits: tuple[Edit, ...]
    #: What must happen often in a life for the rule to matter, such as `worker_sleeps=0.6`; empty: lives as the proof has them.
    mood: str = ""
    #: Tests, or files of them, that must fail where the simulation can't reach the rule by its nature ...
    tests: tuple[str, ...] = ()
    #: ... and why it can't.
    beyond: str = ""


def broken(
    name: str,
    rule: str,
    breaks: str,
    file: str,
    old: str,
    new: str,
    *,
    mood: str = "",
    tests: str = "",
    beyond: str = "",
) -> Mutation:
    """A mutation in one place."""
    return Mutation(name, rule, breaks, (Edit(file, old, new),), mood, tuple(tests.split()), beyond)


def mutated(mutation: Mutation, root: Path = ROOT) -> Mapping[str, str]:
    """The new text of each file that it changes, by its path from `root`; raises StaleMutationError."""
    texts: dict[str, str] = {}
    for edit in mutation.edits:
        before = texts.get(edit.path) or (root / edit.path).read_text(encoding="utf-8")
        found = before.count(edit.old)
        if found != 1 or edit.old == edit.new:
            raise StaleMutationError(
                f"{mutation.name}: this text stands {found} times in {edit.path}, and must stand there once:\n{edit.old}"
            )
        texts[edit.path] = before.replace(edit.old, edit.new)
    return texts
