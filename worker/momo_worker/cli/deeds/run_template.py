"""`momo run template`: an operation comes in, an example file that imports as it is goes out; never writes over a file."""

import csv
from pathlib import Path

import openpyxl

from momo_worker.cli.deeds.reading import quiet_settings
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.payment.payment import Operation
from momo_worker.runs.columns import HEADERS

_NUMBERS = {
    "UG": "256772123456",
    "GH": "233241234567",
    "ZM": "260961234567",
    "CI": "2250506123456",
    "CM": "237670123456",
}
_NAMES = {"disburse": "salary-2026-12", "refund": "refunds-2026-12", "collect": "fees-2026-12"}
_SANDBOX = "46733123450"
_PEOPLE = (("EMP-0001", "Amina Nakato", "150000"), ("EMP-0002", "Joseph Okello", "275000"))


def template(file: str, operation: str, account: str, *, columns: bool, as_json: bool) -> None:
    """Write two rows to be replaced, with every column that the operation reads."""
    if columns and as_json:
        say_json({column.value: list(headers) for column, headers in HEADERS.items()})
        return
    if columns:
        for column, headers in HEADERS.items():
            say(f"{column.value:<11} {', '.join(headers)}")
        return
    if operation not in ("disburse", "refund", "collect"):
        raise WrongUse(f"--operation is {operation!r}; use one of disburse, refund, collect")
    path = Path(file)
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise WrongUse(f"{file} ends in {path.suffix or 'nothing'}; name a .csv or an .xlsx")
    rows = _rows(Operation(operation), account)
    try:
        _write(path, rows)
    except FileExistsError:
        raise AnswerIsNo(f"{file} is there already, and nothing was written over it; name another file") from None
    if as_json:
        say_json({"file": file, "rows": len(rows) - 1})
        return
    say(f"{file} is written: {len(rows) - 1} rows to replace. Then: {_next(file, operation, account)}")


def _next(file: str, operation: str, account: str) -> str:
    """The import that fits: a file of refunds that is read as one of salaries has no column for numbers."""
    words = f"momo run import {file} --name {_NAMES[operation]}"
    words += "" if operation == "disburse" else f" --operation {operation}"
    return words + ("" if account == "default" else f" --account {account}")


def _rows(operation: Operation, account: str) -> list[list[str]]:
    found = quiet_settings().accounts.get(account)
    currency = found.market.currency.code if found else "UGX"
    region = found.market.region if found else "UG"
    number = _SANDBOX if region is None else _NUMBERS.get(region, "")
    if operation is Operation.REFUND:
        return [
            ["collection", "amount", "currency", "note"],
            ["order-1001", "5000", currency, "Refund of order 1001"],
            ["order-1002", "12000", currency, "Refund of order 1002"],
        ]
    note = "Salary December 2026" if operation is Operation.DISBURSE else "Fee December 2026"
    head = ["id", "name", "number", "amount", "currency", "note"]
    last = {"0": "1", "6": "7"}
    other = number[:-1] + last.get(number[-1:], "1") if number else ""
    return [
        head,
        *(
            [row[0], row[1], msisdn, row[2], currency, note]
            for row, msisdn in zip(_PEOPLE, (number, other), strict=True)
        ),
    ]


def _write(path: Path, rows: list[list[str]]) -> None:
    if path.suffix.lower() == ".csv":
        with path.open("x", encoding="utf-8-sig", newline="") as out:
            csv.writer(out).writerows(rows)
        return
    book = openpyxl.Workbook(write_only=False)
    sheet = book.create_sheet("Run", 0)
    for extra in book.sheetnames[1:]:
        del book[extra]
    for row in rows:
        sheet.append(row)
    for cells in sheet.iter_rows():
        for cell in cells:
            # Text, or a spreadsheet takes leading zeros and last digits away.
            cell.number_format = "@"
    with path.open("xb") as out:
        book.save(out)
