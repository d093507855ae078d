"""How far long work is, drawn on stderr while it lasts: rows done come in, a bar goes out."""

import sys
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn


class Bar:
    """Progress on stderr, where somebody watches; nothing where nobody does."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def tell(self, what: str, done: int, of: int | None) -> None:
        """So many rows of so many are done."""
        if self._progress is None:
            return
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=of)
        self._progress.update(self._tasks[what], completed=done, total=of)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()


def bar(*, quiet: bool) -> Bar:
    """A bar to tell; silent for JSON and where stderr is no screen."""
    if quiet or not sys.stderr.isatty():
        return Bar(None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"))
    return Bar(Progress(*columns, console=Console(stderr=True), transient=True))
