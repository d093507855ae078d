"""`momo approver`: what it writes beside what was there."""

from pathlib import Path

import pytest

from momo_worker.cli.deeds import approvers


@pytest.mark.parametrize("before", ["MOMO_X=secret", "MOMO_X=secret\n"])
def test_the_first_approver_gets_a_line_of_its_own(tmp_path: Path, before: str) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(before, encoding="utf-8")
    approvers._into_dotenv(dotenv, "MOMO_Y=boss:key")
    assert dotenv.read_text(encoding="utf-8") == "MOMO_X=secret\nMOMO_Y=boss:key\n"
