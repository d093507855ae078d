"""What stands in the copy of a file that couldn't be imported."""

import os
import stat
from pathlib import Path

import pytest

from momo_worker.cli.deeds.run_problems import _short, write_problems
from momo_worker.runs.columns import Header
from momo_worker.runs.fields import Finding
from momo_worker.runs.rows import Rows
from momo_worker.runs.whole_file import NotWrittenError

READ = Rows(Header({}, (), ()), header_line=1)


def test_what_is_said_of_the_whole_file_brings_its_value_along():
    whole = Finding(0, "count", "2", "rows were read, and 200 are expected")
    row = Finding(3, "amount", "-3", "is negative")

    assert _short(whole) == "count: 2 rows were read, and 200 are expected"
    assert _short(row) == "amount: is negative", "the value stands beside it"


def test_the_copy_is_read_by_its_owner_alone_also_where_an_older_one_was_open_to_all(tmp_path: Path) -> None:
    file, old = tmp_path / "salaries.csv", tmp_path / "salaries.problems.csv"
    file.write_text("phone,amount\n0772,5\n")
    old.write_text("of last month")
    old.chmod(0o644)
    before = os.umask(0o022)
    try:
        copy = write_problems(file, READ, [Finding(2, "phone", "0772", "is too short")], None)
    finally:
        os.umask(before)

    assert copy == old
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert "phone: is too short,0772,5" in copy.read_text()
    assert sorted(tmp_path.iterdir()) == [file, old]


def test_a_copy_that_cant_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "salaries.csv"
    file.write_text("phone,amount\n0772,5\n")
    (tmp_path / "salaries.problems.csv").mkdir()

    with pytest.raises(NotWrittenError, match="is a folder"):
        write_problems(file, READ, [], None)
