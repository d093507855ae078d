"""The copy of a file that couldn't be imported: its rows as they were read come in, a CSV with a column of reasons beside it goes out."""

import csv
from collections.abc import Sequence
from pathlib import Path

from momo_worker.runs.export import plain_cell
from momo_worker.runs.fields import Finding
from momo_worker.runs.rows import Rows, by_line
from momo_worker.runs.sheets import open_sheet, read_bytes
from momo_worker.runs.whole_file import beside, put, refuse_what_is_there

_REASONS = "what to correct"


def write_problems(path: Path, found: Rows, findings: Sequence[Finding], sheet: str | None) -> Path:
    """Beside the file, under a name that says what it is; an older copy is written over. Raises NotWrittenError."""
    copy = problems_path(path)
    refuse_what_is_there(copy, force=True)
    reasons = by_line(findings)
    with beside(copy) as made:
        with made.open("w", encoding="utf-8-sig", newline="") as out:
            writer = csv.writer(out)
            for line in open_sheet(read_bytes(path), sheet).lines:
                told = (
                    _REASONS
                    if line.number == found.header_line
                    else "; ".join(map(_short, reasons.get(line.number, [])))
                )
                writer.writerow([plain_cell(told), *(plain_cell(cell.text) for cell in line.cells)])
            for finding in reasons.get(0, []):
                writer.writerow([plain_cell(_short(finding))])
        put(made, copy, force=True)
    return copy


def problems_path(path: Path) -> Path:
    """Where the copy of a file stands."""
    return path.with_name(f"{path.stem}.problems.csv")


def _short(finding: Finding) -> str:
    # In a row its value stands beside it; what is said of the whole file stands nowhere else.
    value = f" {finding.value}" if finding.value and not finding.line else ""
    return f"{finding.column}:{value} {finding.reason}" + (f" ({finding.advice})" if finding.advice else "")
