"""Files that are there whole or not at all."""

from pathlib import Path

import pytest

from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put, refuse_what_is_there


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


def write(path: Path, text: str, *, force: bool = False) -> None:
    with beside(path) as made:
        made.write_text(text)
        put(made, path, force=force)


def test_a_file_is_written_for_its_owner_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "one")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_stays_as_it_is_unless_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, "one")
    with pytest.raises(FileIsThereError, match="--force"):
        write(path, "two")
    assert path.read_text() == "one"
    write(path, "two", force=True)
    assert path.read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 1


def test_work_that_ends_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    def stopped() -> None:
        with beside(tmp_path / "a.csv") as made:
            made.write_text("half")
            raise StoppedError

    with pytest.raises(StoppedError):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_isnt_there_and_a_name_that_is_one_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotWrittenError, match="check the folder"), beside(tmp_path / "none" / "a.csv"):
        pass
    with pytest.raises(NotWrittenError, match="is a folder"):
        refuse_what_is_there(tmp_path, force=True)


def test_where_links_are_not_known_a_file_gets_its_name_by_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", no_links)
    write(tmp_path / "a.csv", "one")
    with pytest.raises(FileIsThereError):
        write(tmp_path / "a.csv", "two")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["one"]
