"""approvers.toml: read anew when it changes, only ever added to, and a broken one lets nobody count."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from momo_worker.approval.people import Entry, Role, SignIn
from momo_worker.approval.signing import new_key, public_text, sign
from momo_worker.approvers_file import ApproversError, ApproversFile, Written, add_entry, add_sign_in, read

BOSS_KEY = new_key()
BOSS = Entry("boss", Role.APPROVER, public_text(BOSS_KEY))
ADA = Entry("ada", Role.MAKER, public_text(new_key()))
SIGNED = SignIn("ada", "boss", sign(BOSS_KEY, ADA.statement("boss")))


def test_what_is_added_is_read_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "approvers.toml"
    assert read(path) == Written()
    add_entry(path, ADA)
    path.write_text(path.read_text(encoding="utf-8") + "# ada came in June\n", encoding="utf-8")
    add_sign_in(path, SIGNED)
    assert read(path) == Written((ADA,), (SIGNED,))
    assert "# ada came in June" in path.read_text(encoding="utf-8")


def test_a_long_lived_process_sees_who_was_signed_in_and_who_was_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "approvers.toml"
    file = ApproversFile(path, BOSS)
    assert set(file.people().counted) == {"boss"}
    add_entry(path, ADA)
    assert "isn't signed in yet" in file.people().not_counted["ada"]
    add_sign_in(path, SIGNED)
    assert set(file.people().counted) == {"boss", "ada"}
    path.unlink()
    assert set(file.people().counted) == {"boss"}


@pytest.mark.parametrize(
    "text",
    [
        "[[approver]\n",
        "approver = 3\n",
        "[[approver]]\nname = 'ada'\n",
        "[[approver]]\nname = 'ada'\nrole = 'king'\nkey = 'x'\n",
        "[[signed]]\nname = 'ada'\n",
        "[[king]]\nname = 'ada'\n",
        "approver = ['ada']\n",
    ],
)
def test_a_broken_file_lets_nobody_count_and_says_where(tmp_path: Path, text: str) -> None:
    path = tmp_path / "approvers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ApproversError, match=r"approvers\.toml"):
        read(path)
    with capture_logs() as logs:
        assert ApproversFile(path, BOSS).people().counted == {}
    assert [one["log_level"] for one in logs] == ["error"]


def test_a_file_that_isnt_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "approvers.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ApproversError, match="can't be read"):
        read(path)
