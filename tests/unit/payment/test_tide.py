"""Whether a ledger was restored, as the copies of its tide tell it."""

from dataclasses import replace

import pytest

from momo_worker.payment.tide import Copy, KeptPause, Standing, Why, copy_from, why_restored

US = Standing("ours", "space", 100, alive=True)
COPY = Copy("ours", "space", 100, 1, 5, (KeptPause("default", "", "", "fraud", "eve"),))


@pytest.mark.parametrize(
    ("us", "copies", "seen", "first", "why"),
    [
        (US, [COPY], 100, False, None),
        (US, [replace(COPY, tide=99)], 0, True, None),
        (US, [replace(COPY, tide=101)], 0, False, Why.BEHIND),
        (US, [], 101, False, Why.BEHIND),
        (US, [replace(COPY, tide=99), replace(COPY, tide=101)], 0, False, Why.BEHIND),
        (replace(US, tide=0), [replace(COPY, ledger_id="old", tide=7)], 0, True, Why.EMPTY),
        (replace(US, tide=0), [], 0, True, None),
        (US, [replace(COPY, ledger_id="old", tide=7)], 0, False, Why.OTHER_LEDGER),
        # Another copy names ours: the file of a machine that slept through the adoption.
        (US, [replace(COPY, ledger_id="old", tide=7), COPY], 0, True, None),
        (US, [replace(COPY, namespace="others", tide=900)], 0, False, None),
        (replace(US, alive=False), [replace(COPY, namespace="others")], 0, True, Why.NO_COPY),
        (replace(US, alive=False), [], 0, True, Why.NO_COPY),
        (replace(US, alive=False), [], 0, False, None),
        (US, [], 0, True, None),
    ],
)
def test_a_ledger_that_anybody_knows_more_of_was_restored(
    us: Standing, copies: list[Copy], seen: int, first: bool, why: Why | None
) -> None:
    assert why_restored(us, copies, seen, first=first) is why


def test_a_copy_is_read_as_it_was_kept() -> None:
    assert copy_from(COPY.text()) == COPY


@pytest.mark.parametrize("text", [None, "", "ours 100", "[]", "{}", COPY.text()[:-3], '{"tide": "x"}', "7"])
def test_what_isnt_a_copy_says_nothing(text: str | None) -> None:
    assert copy_from(text) is None
