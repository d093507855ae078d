"""What MTN's word makes of a restored ledger's payment, for every state and every story of up to five attempts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.factories import NOW, RULES, a_payment, failed, not_found, pending, successful

from momo_worker.payment import after_restore
from momo_worker.payment.after_restore import Finding, Outcome, Sighting
from momo_worker.payment.deciding import is_final
from momo_worker.payment.payment import Payment, Work
from momo_worker.payment.transitions import HeldCause, State, edge_for
from momo_worker.payment.verdict import LookVerdict, Status

OPEN = [State.ACCEPTED, State.UNKNOWN, State.PENDING, State.HELD, State.FAILED]
WORDS: dict[str, LookVerdict] = {"-": not_found(), "F": failed(), "P": pending(), "S": successful()}


def sightings(payment: Payment, story: str) -> list[Sighting]:
    """One letter an attempt, from the first that is asked about; asking ends where enough was said."""
    found = []
    for number, letter in zip(after_restore.attempts_to_ask(payment, RULES), story, strict=False):
        found.append(Sighting(number, f"reference-{number}", WORDS[letter]))
        if after_restore.is_enough(payment, found[-1]):
            break
    return found


def decided(payment: Payment, story: str, *, settled: bool = True) -> Finding:
    finding = after_restore.decide(
        payment, sightings(payment, story), settled=settled, now_ms=NOW, rules=RULES, rng=random.Random(1)
    )
    if finding.change is not None and finding.change.trigger is not None:
        edge_for(payment.state, finding.change.after.state, finding.change.trigger)
    return finding


def after(finding: Finding) -> Payment:
    assert finding.change is not None
    return finding.change.after


def test_every_attempt_that_there_may_be_is_asked_about_and_a_failed_ones_own_isnt() -> None:
    assert list(after_restore.attempts_to_ask(a_payment(), RULES)) == [1, 2, 3, 4, 5]
    assert list(after_restore.attempts_to_ask(a_payment(state=State.FAILED, attempt=2), RULES)) == [3, 4, 5]
    assert list(after_restore.attempts_to_ask(a_payment(state=State.FAILED, attempt=5), RULES)) == []


@pytest.mark.parametrize(
    ("state", "story", "outcome", "attempt", "to"),
    [
        (State.ACCEPTED, "S", Outcome.ADOPTED, 1, State.PENDING),
        (State.ACCEPTED, "P----", Outcome.ADOPTED, 1, State.PENDING),
        (State.ACCEPTED, "FFS", Outcome.ADOPTED, 3, State.PENDING),
        (State.ACCEPTED, "--S", Outcome.ADOPTED, 3, State.PENDING),
        (State.ACCEPTED, "-----", Outcome.UNSENT, 1, State.HELD),
        (State.UNKNOWN, "P----", Outcome.AT_MTN, 1, State.UNKNOWN),
        (State.UNKNOWN, "F-F--", Outcome.ADOPTED, 3, State.PENDING),
        (State.UNKNOWN, "-----", Outcome.NOT_FOUND, 1, State.HELD),
        (State.PENDING, "FS", Outcome.ADOPTED, 2, State.PENDING),
        (State.PENDING, "-----", Outcome.STANDS, 1, State.PENDING),
        (State.FAILED, "F---", Outcome.ADOPTED, 2, State.PENDING),
        (State.ACCEPTED, "PS", Outcome.DISPUTED, 2, State.HELD),
        (State.FAILED, "PS", Outcome.DISPUTED, 1, State.FAILED),
    ],
)
def test_the_last_attempt_that_exists_is_the_payments(
    state: State, story: str, outcome: Outcome, attempt: int, to: State
) -> None:
    finding = decided(a_payment(state=state), story)
    assert finding.outcome is outcome
    assert (after(finding).attempt, after(finding).state) == (attempt, to)


@pytest.mark.parametrize(
    ("state", "story"),
    [
        (State.ACCEPTED, "F----"),
        (State.ACCEPTED, "-FF--"),
        (State.UNKNOWN, "F----"),
        (State.PENDING, "FF---"),
        (State.HELD, "F----"),
        (State.FAILED, "F---"),
        (State.CANCELLED, "-----"),
        (State.CANCELLED, "F----"),
        # A person may have called it failed by MTN's statement, and tried again.
        (State.PENDING, "P----"),
        (State.UNKNOWN, "FP---"),
        (State.ACCEPTED, "P----"),
    ],
)
def test_what_only_404s_follow_counts_no_sooner_than_they_do(state: State, story: str) -> None:
    payment = a_payment(state=state, held_cause=HeldCause.TOO_OLD if state is State.HELD else None)
    assert decided(payment, story, settled=False) == after_restore.AGAIN
    assert decided(payment, story).outcome is not None


@pytest.mark.parametrize("story", ["S", "FS", "--S", "FFFFF", "FFFFP"])
def test_what_no_later_attempt_can_follow_counts_at_once(story: str) -> None:
    assert decided(a_payment(), story, settled=False).outcome is Outcome.ADOPTED


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.CANCELLED])
def test_what_ended_well_or_never_began_stands(state: State) -> None:
    assert decided(a_payment(state=state), "F----") == Finding(Outcome.STANDS)


def test_a_payment_that_is_being_sent_is_asked_about_again() -> None:
    assert decided(a_payment(state=State.SENDING), "-----").outcome is None


def test_a_held_payment_that_only_a_person_ends_is_told_of_a_later_attempt_and_not_moved() -> None:
    payment = a_payment(state=State.HELD, held_cause=HeldCause.MISMATCH)
    finding = decided(payment, "FS")
    assert finding.outcome is Outcome.DISPUTED
    assert after(finding) == payment
    assert finding.change is not None
    assert finding.change.alert


def test_a_payment_that_waited_for_its_search_is_followed_whatever_the_search_found() -> None:
    waiting = after_restore.until_searched(a_payment(state=State.PENDING))
    assert waiting.due_at_ms is None
    for story in ("P----", "-----", "F----", "FS"):
        assert after(decided(waiting, story)).work is Work.LOOK


@given(st.sampled_from(OPEN), st.text(alphabet="-FPS", min_size=5, max_size=5), st.booleans(), st.integers(1, 3))
def test_no_story_sends_ends_or_forgets(state: State, story: str, settled: bool, attempt: int) -> None:
    payment = a_payment(state=state, attempt=attempt)
    finding = decided(payment, story, settled=settled)
    seen = sightings(payment, story)
    if finding.change is None:
        # Too early to say, or nothing speaks against a failure.
        assert finding.outcome is None or is_final(payment) or state is State.HELD
        return
    to = finding.change.after
    # A search ends no payment and makes none due to be sent: MTN's compared word does the one, a person the other.
    assert to.state is state or to.state in (State.PENDING, State.HELD)
    assert to.work is not Work.SEND
    # What MTN has is never forgotten: the payment is its last attempt's, and is followed, or lies on a desk.
    found = [each for each in seen if each.found]
    if found and found[-1].attempt > attempt and state is not State.FAILED:
        assert to.attempt == found[-1].attempt
    if found and found[-1].verdict.status is Status.SUCCESSFUL:
        assert to.state in (State.PENDING, State.HELD, state)
        assert to.due_at_ms is not None or to.state is State.FAILED
    # A 404 moves a payment only when it counts.
    if not found:
        assert settled or to == payment
