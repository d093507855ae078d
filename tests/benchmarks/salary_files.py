"""A count and a seed come in, a file of that many salaries goes out, as CSV and as the workbooks that spreadsheets save; nobody in it is real.

`python -m tests.benchmarks.salary_files excel 100000 7 pay.xlsx` writes one and prints its sum.
"""

import csv
import io
import random
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openpyxl import Workbook

#: MTN Uganda's ranges.
_RANGES = ("25677", "25678", "25676")
_FIRST = ("Amina", "Joseph", "Grace", "Moses", "Sarah", "Peter", "Ruth", "Isaac", "Zoé", "David")
_LAST = ("Nakato", "Okello", "Achieng", "Mugisha", "Namuli", "Odongo", "Kato", "Auma", "Byaruhanga", "Ssali")
_HEAD = ("id", "name", "number", "amount", "currency", "note")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


@dataclass(frozen=True, slots=True)
class Salary:
    """One line of the file."""

    row_id: str
    name: str
    msisdn: str
    amount: int


def salaries(count: int, seed: int) -> list[Salary]:
    """Everybody once, under a number of their own."""
    chance = random.Random(seed)
    drawn = chance.sample(range(len(_RANGES) * 10**7), count)
    return [
        Salary(
            f"EMP-{place:06d}",
            f"{chance.choice(_FIRST)} {chance.choice(_LAST)} {place}",
            f"{_RANGES[number // 10**7]}{number % 10**7:07d}",
            chance.randrange(150_000, 3_000_000, 50),
        )
        for place, number in enumerate(drawn, start=1)
    ]


def as_csv(people: Sequence[Salary]) -> bytes:
    """As a payroll program writes it."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([_HEAD, *map(_texts, people)])
    return file.getvalue().encode()


def _texts(one: Salary) -> tuple[str, ...]:
    return (one.row_id, one.name, one.msisdn, str(one.amount), "UGX", "Salary December 2026")


def as_saved_by_excel(people: Sequence[Salary]) -> bytes:
    """Texts in a table of their own, numbers and amounts as figures: openpyxl writes no such file, and Excel no other."""
    file = io.BytesIO()
    Workbook().save(file)
    strings: dict[str, int] = {}
    sheet = "".join(_excel_rows(people, strings)).encode()
    table = "".join(f"<si><t>{text}</t></si>" for text in strings)
    with zipfile.ZipFile(file) as empty, zipfile.ZipFile(whole := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as book:
        for name in empty.namelist():
            book.writestr(name, sheet if name == "xl/worksheets/sheet1.xml" else _with_strings(name, empty.read(name)))
        book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{_MAIN}">{table}</sst>')
    return whole.getvalue()


def _excel_rows(people: Sequence[Salary], strings: dict[str, int]) -> Iterator[str]:
    def text(place: str, value: str) -> str:
        return f'<c r="{place}" t="s"><v>{strings.setdefault(value, len(strings))}</v></c>'

    yield f'<worksheet xmlns="{_MAIN}"><sheetFormatPr defaultRowHeight="15"/><sheetData>'
    head = "".join(text(f"{letter}1", title) for letter, title in zip("ABCDEF", _HEAD, strict=True))
    yield f'<row r="1" spans="1:6">{head}</row>'
    for row, one in enumerate(people, start=2):
        row_id, name, msisdn, amount, currency, note = _texts(one)
        cells = (
            text(f"A{row}", row_id), text(f"B{row}", name), f'<c r="C{row}" s="0"><v>{msisdn}</v></c>',
            f'<c r="D{row}" s="0"><v>{amount}</v></c>', text(f"E{row}", currency), text(f"F{row}", note),
        )  # fmt: skip
        yield f'<row r="{row}" spans="1:6">{"".join(cells)}</row>'
    yield "</sheetData></worksheet>"


def _with_strings(name: str, part: bytes) -> bytes:
    if name != "[Content_Types].xml":
        return part
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    entry = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}"/></Types>'
    return part.replace(b"</Types>", entry.encode())


def as_written_by_a_program(people: Sequence[Salary]) -> bytes:
    """Every value as text within its cell, as `momo run template` and many a payroll program write it."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Run")
    for row in [_HEAD, *map(_texts, people)]:
        sheet.append(row)
    book.save(file := io.BytesIO())
    return file.getvalue()


#: What a file is called in a table, and how it is made.
KINDS: Mapping[str, tuple[str, str, Callable[[Sequence[Salary]], bytes]]] = {
    "csv": ("CSV", ".csv", as_csv),
    "excel": ("XLSX as Excel saves it", ".xlsx", as_saved_by_excel),
    "program": ("XLSX with texts in their cells", ".xlsx", as_written_by_a_program),
}


if __name__ == "__main__":
    _kind, _count, _seed, _path = sys.argv[1:]
    _people = salaries(int(_count), int(_seed))
    Path(_path).write_bytes(KINDS[_kind][2](_people))
    print(sum(one.amount for one in _people))
