"""A report as CSV: outcomes come in by pieces, lines go out that no spreadsheet runs. Knows no totals: it is for other programs."""

import csv
from collections.abc import Sequence
from pathlib import Path

from momo_worker.runs.export import csv_cell
from momo_worker.runs.outcomes import Outcome, Totals
from momo_worker.runs.report import COLUMNS, Subject, cells


class CsvReport:
    """Every row of a run, below one header."""

    def __init__(self, path: Path, subject: Subject) -> None:
        self._subject = subject
        # With the mark that makes a spreadsheet read UTF-8.
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)

    def rows(self, piece: Sequence[Outcome]) -> None:
        """Write a piece of the rows."""
        self._writer.writerows([csv_cell(cell) for cell in cells(one, self._subject)] for one in piece)

    def finish(self, _totals: Totals) -> None:
        """All of it is written."""
        self._file.flush()

    def close(self) -> None:
        """Let the file go, finished or not."""
        self._file.close()
