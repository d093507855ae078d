"""What `momo demo` shows: books come in, live progress on a terminal or plain lines elsewhere go out, and the table at the end."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from momo_worker.cli.deeds.demo_books import Books, moved, paid
from momo_worker.cli.saying import say_json

#: Without a terminal: a line each so many seconds, and at the end.
_LINE_EACH_SECONDS = 3.0


class Screen:
    """One run's progress."""

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._line_at = 0.0

    def note(self, text: str) -> None:
        """A step that was taken."""
        self.console.print(text, markup=False)

    def begin(self, total: int) -> None:
        """Progress begins."""
        if not self.console.is_terminal:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self.console)
        self._task = self._progress.add_task("payments ended", total=total)
        self._progress.start()

    def show(self, books: Books, seconds: float) -> None:
        """Where it stands."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=books.ended, description=_states(books))
        elif seconds - self._line_at >= _LINE_EACH_SECONDS:
            self._line_at = seconds
            self.note(f"{seconds:5.1f} s  {_states(books)}")

    def end(self, books: Books, seconds: float) -> None:
        """All have ended."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=books.ended, description=_states(books))
        self.stopping()
        self.note(f"{seconds:5.1f} s  {_states(books)}: all have ended")

    def stopping(self) -> None:
        """No live line any more, whatever happened."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def judge(
        self, books: Books, record: Mapping[str, Any], found: Sequence[str], seconds: float, *, as_json: bool
    ) -> None:
        """The two records side by side, and the verdict."""
        if as_json:
            say_json(_as_json(books, record, found, seconds))
            return
        self.console.print(_outcomes(books))
        self.console.print(_comparison(books, record))
        if found:
            self.note("The books do NOT agree:")
            for line in found:
                self.note(f"  {line}")
        else:
            self.note(f"The books agree to the shilling, and nothing was paid twice. Took {seconds:.1f} s.")


def _states(books: Books) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(books.states().items())) or "nothing accepted yet"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number >= len(columns) - 2 else "left")
    return table


def _outcomes(books: Books) -> Table:
    table = _table("What momo:results says", "operation", "state", "reason", "payments", "UGX")
    for operation, state, reason, count, amount in books.outcomes():
        table.add_row(operation, state, reason, str(count), f"{amount:,}")
    return table


def _comparison(books: Books, record: Mapping[str, Any]) -> Table:
    table = _table("Money that moved", "operation", "by whose record", "payments", "UGX")
    ours, theirs = paid(books), moved(record)
    for operation in sorted({*ours, *theirs}):
        for whose, totals in (("our results", ours), ("the simulator", theirs)):
            total = totals.get(operation)
            table.add_row(operation, whose, str(total.count if total else 0), f"{total.amount if total else 0:,}")
    return table


def _as_json(books: Books, record: Mapping[str, Any], found: Sequence[str], seconds: float) -> dict[str, Any]:
    def totals(side: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {"count": total.count, "amount": f"{total.amount:f}"} for name, total in side.items()}

    return {
        "agree": not found,
        "differences": list(found),
        "outcomes": [
            {"operation": operation, "state": state, "reason": reason or None, "count": count, "amount": _plain(amount)}
            for operation, state, reason, count, amount in books.outcomes()
        ],
        "results": totals(paid(books)),
        "simulator": totals(moved(record)),
        "seconds": round(seconds, 1),
    }


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"
