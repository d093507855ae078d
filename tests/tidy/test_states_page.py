"""The page about states shows the graph that the code has, arrow for arrow."""

import re
from pathlib import Path

from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, mermaid

PAGE = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")


def test_the_picture_in_the_docs_is_the_one_that_the_code_draws() -> None:
    pictures = re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert pictures == [mermaid()], "paste what `momo states` draws into docs/states.md"


def test_the_page_names_every_state_and_every_cause() -> None:
    table, _, words = PAGE.partition("Three things")
    assert {state.value for state in State} == set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", table)))
    )
    by_mtn, _, by_person = words.partition("From `mismatch`")
    assert all(f"`{cause.value}`" in by_mtn for cause in CAUSES_MTN_MAY_END)
    assert all(f"`{cause.value}`" in "From `mismatch`" + by_person for cause in set(HeldCause) - CAUSES_MTN_MAY_END)
