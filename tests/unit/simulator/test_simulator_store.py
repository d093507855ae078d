"""The fake MTN's file: what it is opened on, and that a refusal leaves nothing open."""

import sqlite3
from pathlib import Path

import pytest

from momo_worker.simulator.store import Store


def open_files(folder: Path) -> list[str]:
    """What of the folder this process holds open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the listing's own descriptor is gone by now
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def test_a_file_that_is_no_database_is_refused_and_not_held_open(tmp_path: Path) -> None:
    (tmp_path / "data.db").write_text("this is no database\n" * 50)

    with pytest.raises(sqlite3.DatabaseError) as refused:
        Store(str(tmp_path / "data.db"))

    # Asked while the error lives: its traceback holds the half-made store, so only a close can have freed the file.
    assert open_files(tmp_path) == [], refused.value


def test_a_second_simulator_on_one_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    path = str(tmp_path / "data.db")
    first = Store(path)
    with pytest.raises(sqlite3.OperationalError, match="locked") as refused:
        Store(path)

    first.run("INSERT INTO balances (account, product, amount_minor) VALUES ('a', 'collection', 1)")
    assert len(first.rows("SELECT * FROM balances")) == 1
    first.close()
    assert open_files(tmp_path) == [], refused.value
