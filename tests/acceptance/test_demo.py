"""`momo demo`, whole: the command that a newcomer types first."""

from pathlib import Path

from tests.support.command_line import momo


def test_the_demo_pays_everybody_once_and_its_books_agree(tmp_path: Path) -> None:
    # A setting of the user's would stop any other command; the demo reads none.
    answer = momo("demo", "--json", home=tmp_path, MOMO_MARKET="no such market", MOMO_REDIS_URL="redis://127.0.0.1:1/0")

    assert answer.code == 0, answer
    found = answer.json
    assert found["agree"] is True
    assert found["differences"] == []
    assert found["results"] == found["simulator"]
    outcomes = {(row["operation"], row["state"], row["reason"]): row["count"] for row in found["outcomes"]}
    assert sum(outcomes.values()) == 250
    assert outcomes["collect", "successful", None] == 46
    assert outcomes["collect", "failed", "APPROVAL_REJECTED"] == 2
    assert outcomes["disburse", "failed", "NOT_ENOUGH_FUNDS"] >= 1
    assert list(tmp_path.iterdir()) == []
