"""`momo approver`: what it writes beside what was there, and what it makes of an `add` that was killed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from momo_worker import settings_files
from momo_worker.approvers_file import Written, read
from momo_worker.cli.deeds import approvers, keys
from momo_worker.cli.saying import AnswerIsNo
from momo_worker.settings import Settings, load


class KilledError(Exception):
    """The command ends here."""


def dies(*_: Any, **__: Any) -> None:
    raise KilledError


@pytest.mark.parametrize("before", ["MOMO_X=secret", "MOMO_X=secret\n"])
def test_the_first_approver_gets_a_line_of_its_own(tmp_path: Path, before: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(before, encoding="utf-8")
    approvers._into_dotenv(dotenv, "MOMO_Y=boss:key")
    assert dotenv.read_text(encoding="utf-8") == "MOMO_X=secret\nMOMO_Y=boss:key\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Settings]:
    """A home and a configuration of the test's own, read anew by each command."""
    # Without the people whom somebody has signed in beside the checkout, by following docs/runs.md.
    kept = shutil.ignore_patterns("approvers.toml")
    shutil.copytree(settings_files.checkout() / "config", tmp_path / "config", ignore=kept)

    def loaded() -> Settings:
        place = {"HOME": str(tmp_path), "MOMO_HOME": str(tmp_path / "home"), "MOMO_CONFIG": str(tmp_path / "config")}
        return load(place, tmp_path)

    (tmp_path / "home").mkdir()
    monkeypatch.setattr(approvers, "quiet_settings", loaded)
    return loaded


def under(settings: Settings, words: str) -> str:
    path = settings.home / "passphrase"
    path.write_text(words, encoding="utf-8")
    return str(path)


def add(settings: Settings, name: str = "ada", *, first: bool = False, words: str = "correct horse battery") -> None:
    role = "approver" if first else "maker"
    approvers.add(name, role=role, file=under(settings, words), first=first, as_json=True)


def written(settings: Settings) -> Written:
    return read(settings.config_folder / "approvers.toml")


def test_an_add_that_was_killed_before_the_entry_is_finished_with_the_key_that_is_there(
    settings: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = settings()
    with monkeypatch.context() as patched:
        patched.setattr(approvers, "add_entry", dies)
        with pytest.raises(KilledError):
            add(now)
    sealed = keys.key_path(now, "ada").read_bytes()
    assert written(now) == Written()

    with pytest.raises(AnswerIsNo, match="has this file and no entry"):
        add(now, words="another passphrase")
    assert written(now) == Written()

    add(now)
    told = json.loads(capsys.readouterr().out)
    assert (told["resumed"], keys.key_path(now, "ada").read_bytes()) == (True, sealed)
    assert [(one.name, one.key) for one in written(now).entries] == [("ada", json.loads(sealed)["public"])]
    with pytest.raises(AnswerIsNo, match="ada is there already"):
        add(now)


def test_a_first_approver_that_was_killed_before_the_setting_becomes_one_by_the_same_command(
    settings: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(approvers, "_into_dotenv", dies)
        with pytest.raises(KilledError):
            add(settings(), "boss", first=True)
    add(settings(), "boss", first=True)
    first = settings().first_approver
    assert first is not None
    assert (first.name, first.key) == (
        "boss",
        json.loads(keys.key_path(settings(), "boss").read_text(encoding="utf-8"))["public"],
    )


def test_a_key_that_was_killed_while_it_was_written_isnt_there(
    settings: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = settings()
    with monkeypatch.context() as patched:
        patched.setattr(keys, "put", dies)
        with pytest.raises(KilledError):
            add(now)
    assert not keys.key_path(now, "ada").exists()
    add(now)
    assert json.loads(capsys.readouterr().out)["resumed"] is False
    assert keys.key_path(now, "ada").stat().st_mode & 0o777 == 0o600


def test_whoever_was_taken_out_doesnt_count_again_by_an_add_of_their_old_key(settings: Callable[[], Settings]) -> None:
    add(settings(), "boss", first=True)
    add(settings())
    approvers.sign_in("ada", by="boss", file=under(settings(), "correct horse battery"), as_json=True)
    path = settings().config_folder / "approvers.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index("[[approver]]")] + text[text.index("[[signed]]") :], encoding="utf-8")
    with pytest.raises(AnswerIsNo, match="somebody took it out"):
        add(settings())
    assert written(settings()).entries == ()
