"""What `momo recover` shows to a person, and which words it refuses: facts and wishes come in, lines and refusals go out."""

from collections.abc import Mapping
from typing import Any

import pytest

from momo_worker.cli.deeds import recover, recovery_facts
from momo_worker.cli.deeds.recover import Wish
from momo_worker.cli.saying import WrongUse
from momo_worker.payment.after_restore import Outcome
from momo_worker.payment.tide import Copy, Why
from momo_worker.steps.recovery import Waits

LEDGER = {"id": "l-1", "tide": 41, "epoch": 3}
NONE_KEPT: Mapping[str, Any] = {"redis": None, "file": None}
SINCE, FROM = "2026-11-28T02:00:07.000Z", "2026-11-27T22:00:00.000Z"


def a_recovery(**changes: Any) -> dict[str, Any]:
    """Begun by the pump, and ready."""
    return {
        "why": "behind",
        "detail": None,
        "by": "recovery",
        "since": SINCE,
        "epoch": 3,
        "tide_found": 40,
        "tide_known": 99,
        "lost_from": FROM,
        "lost_until": SINCE,
        "jobs": {
            "from": "7-0",
            "until": "9-0",
            "read": 12,
            "done_at": SINCE,
            "note": "kept for all of it",
            "waiting": 0,
        },
        "listed_at": SINCE,
        "searched_at": SINCE,
        "searches_open": 0,
        "payments": [],
        "sendable": [],
        "may_be_released": True,
        "released": None,
        **changes,
    }


def a_tally(outcome: str | None, **changes: Any) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "state": "held",
        "held_cause": "recovery",
        "payments": 3,
        "amount": "4500",
        "currency": "UGX",
        "oldest_accepted_at": FROM,
        **changes,
    }


def shown(found: dict[str, Any] | None, *, in_recovery: bool = True, **changes: Any) -> str:
    facts = {"in_recovery": in_recovery, "ledger": LEDGER, "copies": NONE_KEPT, "recovery": found, "pauses": []}
    return "\n".join(recovery_facts.lines({**facts, **changes}))


def test_a_ledger_that_was_never_restored_says_so_and_no_more() -> None:
    assert shown(None, in_recovery=False).splitlines() == [
        "The ledger l-1 is not in recovery. Tide 41, epoch 3.",
        "  copy in redis: none",
        "  copy in file: none",
    ]


def test_a_copy_is_shown_with_its_ledger_and_its_time() -> None:
    copy = recovery_facts._copy(Copy("l-0", "namespace", 99, 2, 0))

    assert copy == {"ledger_id": "l-0", "tide": 99, "epoch": 2, "at": "1970-01-01T00:00:00.000Z"}
    assert recovery_facts._copy(None) is None
    assert "copy in redis: tide 99 of ledger l-0, 1970-01-01T00:00:00.000Z" in shown(None, copies={"redis": copy})


@pytest.mark.parametrize("why", list(Why))
def test_every_reason_is_told_in_words_with_epoch_and_the_span_that_may_be_lost(why: Why) -> None:
    told = shown(a_recovery(why=why.value, detail="by word"))

    assert told.startswith("The ledger l-1 is IN RECOVERY: nothing is sent.")
    assert f"Recovery since {SINCE}, by recovery: {recovery_facts._WHY[why]} (by word)" in told
    assert "found at tide 40, known was 99; results carry epoch 3 since" in told
    assert f"what was decided between {FROM} and {SINCE} may be lost" in told


def test_reasons_and_outcomes_have_words_of_their_own() -> None:
    assert set(recovery_facts._WHY) == set(Why)
    assert set(recovery_facts._OUTCOME) == {None, *Outcome}
    for words in (recovery_facts._WHY.values(), recovery_facts._OUTCOME.values()):
        assert len(set(words)) == len(words)


def test_without_a_last_entry_everything_since_the_beginning_may_be_lost() -> None:
    assert f"between the beginning and {SINCE} may be lost" in shown(a_recovery(lost_from=None))


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_every_outcome_is_counted_in_a_line_of_its_own(outcome: Outcome | None) -> None:
    told = shown(a_recovery(payments=[a_tally(outcome), a_tally("skipped", state="accepted", held_cause=None)]))

    assert f"      3 held (recovery), 4500 UGX, oldest of {FROM}: {recovery_facts._OUTCOME[outcome]}" in told
    # Given up by a person: the word that the ledger has.
    assert f"      3 accepted, 4500 UGX, oldest of {FROM}: skipped" in told


def test_what_is_still_to_be_done_stands_against_a_release() -> None:
    jobs = {"from": "0-0", "until": None, "read": 0, "done_at": None, "note": None, "waiting": 2}
    told = shown(a_recovery(jobs=jobs, searched_at=None, searches_open=5, may_be_released=False))

    assert "jobs read again: 0 entries from 0-0, going on; not begun" in told
    assert "2 of them wait for another payment" in told
    assert "every payment that isn't final: 5 open" in told
    assert "Not ready for a release" in told
    assert "--release" not in told


def test_what_a_release_would_send_is_shown_before_it() -> None:
    sendable = [
        {"payments": 2, "amount": "3000", "currency": "UGX"},
        {"payments": 1, "amount": "9.50", "currency": "EUR"},
    ]
    told = shown(a_recovery(sendable=sendable), pauses=["all, by eve: fraud"])

    assert "At a release these are sent: 2 payments, 3000 UGX; 1 payments, 9.50 EUR." in told
    assert "At a release these are sent: none." in shown(a_recovery())
    assert "momo recover --release --reason" in told
    assert "  paused: all, by eve: fraud" in told


def test_a_recovery_that_is_over_says_who_ended_it_and_offers_nothing() -> None:
    one = {"at": SINCE, "by": "amina", "reason": "compared"}
    told = shown(a_recovery(released=one, may_be_released=False), in_recovery=False)

    assert "is not in recovery" in told
    assert f"  released {SINCE} by amina: compared" in told
    assert "Not ready" not in told
    assert "--release" not in told


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(begin=True), "--reason is missing"),
        (Wish(release=True), "--reason is missing"),
        (Wish(adopt_ledger=True), "--reason is missing"),
        (Wish(begin=True, release=True, reason="x"), "three commands: give one"),
        (Wish(begin=True, adopt_ledger=True, reason="x"), "three commands: give one"),
        (Wish(release=True, adopt_ledger=True, reason="x"), "three commands: give one"),
        (Wish(send_unsent=True), "belong to --release"),
        (Wish(begin=True, send_unsent=True, reason="x"), "belong to --release"),
        (Wish(adopt_ledger=True, without_jobs=True, reason="x"), "belong to --release"),
        (Wish(without_jobs=True), "belong to --release"),
        (Wish(without_search=True), "belong to --release"),
        (Wish(since="12h"), "--since belongs to --begin"),
        (Wish(release=True, since="12h", reason="x"), "--since belongs to --begin"),
    ],
)
def test_words_that_dont_go_together_are_refused_before_anything_is_opened(wish: Wish, says: str) -> None:
    with pytest.raises(WrongUse, match=says) as refused:
        recover.recover(wish, as_json=False)

    assert "nothing was changed" in str(refused.value)


def test_a_refused_release_says_that_something_is_being_sent_and_when_to_come_again() -> None:
    """Also to whoever has asked to go on without MTN's word: that isn't possible for these."""
    (asked, sending) = recover._words(Waits(jobs=False, listing=False, searches=3, sending=1))
    assert asked.startswith("MTN has not been asked about 3 payments")
    assert sending.startswith("1 of these are being sent")
    assert "ask again in some minutes" in sending
    assert recover._words(Waits(jobs=False, listing=False, searches=0, sending=0)) == []
