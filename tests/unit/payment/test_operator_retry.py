"""A retry: a payment and what stands beside it come in, the next attempt or the reason against it goes out."""

from dataclasses import replace

import pytest
from tests.support.factories import NOW, RULES, a_payment, a_send

from momo_worker.payment.operator import By, NotPermitted, Retry, Standing, retry
from momo_worker.payment.payment import Change, Lane, Queue, Work
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import State, Trigger
from momo_worker.payment.verdict import SendAnswer

NEXT_REFERENCE = "00000000-0000-4000-8000-0000000000a2"
ASKED = Retry(By("amina", "the wallet was topped up"), NEXT_REFERENCE)
PROVEN = Standing([a_send(ending=SendAnswer.ACCEPTED)], closed_by=Trigger.FOUND_FAILED)


def retried(payment=None, standing=PROVEN, asked=ASKED, now_ms=NOW):
    return retry(payment or a_payment(state=State.FAILED), standing, now_ms, asked, RULES)


def test_a_proven_failure_gets_the_next_attempt_under_its_own_reference_due_at_once() -> None:
    change = retried()

    assert isinstance(change, Change)
    assert (change.trigger, change.actor) == (Trigger.RETRIED, "amina")
    assert "the wallet was topped up" in (change.detail or "")
    after = change.after
    assert (after.state, after.attempt, after.reference_id) == (State.ACCEPTED, 2, NEXT_REFERENCE)
    assert (after.work, after.due_at_ms, after.queue) == (Work.SEND, NOW, Queue.INTERACTIVE)


def test_everything_that_belonged_to_the_last_attempt_begins_anew_and_the_rest_stays() -> None:
    worn = a_payment(
        state=State.FAILED,
        lane=Lane.BULK,
        fence=9,
        sequence=7,
        sends=3,
        not_now_count=4,
        looks=5,
        not_found_count=2,
        not_found_first_at_ms=NOW - HOUR,
        not_found_last_at_ms=NOW - HOUR,
        could_have_left_at_ms=NOW - HOUR,
        financial_transaction_id="363440463",
        hinted_at_ms=NOW - HOUR,
        claims_since_word=1,
    )

    after = retried(worn).after

    fresh = a_payment(state=State.ACCEPTED)
    of_an_attempt = (
        *("first_send_at_ms", "could_have_left_at_ms", "acknowledged_at_ms", "sends", "not_now_count", "looks"),
        *("not_found_count", "not_found_first_at_ms", "not_found_last_at_ms", "financial_transaction_id"),
        *("held_cause", "hint_at_ms", "hinted_at_ms", "lease_until_ms", "released_until_ms", "claims_since_word"),
    )
    assert {name: getattr(after, name) for name in of_an_attempt} == {
        name: getattr(fresh, name) for name in of_an_attempt
    }
    # Fences only ever grow, so that whoever slept through the last attempt may not send under the next.
    assert (after.fence, after.sequence, after.queue) == (9, 7, Queue.BULK)
    assert (after.idempotency_key, after.amount_minor, after.not_after_ms) == (
        worn.idempotency_key,
        worn.amount_minor,
        worn.not_after_ms,
    )
    # A cancelled retry gives back the failure as it was.
    assert after.reason_code == worn.reason_code


def refusal(*args, **changes) -> NotPermitted:
    answer = retried(*args, **changes)
    assert isinstance(answer, NotPermitted)
    assert answer.why
    assert answer.advice
    return answer


@pytest.mark.parametrize("state", sorted(set(State) - {State.FAILED}))
def test_whatever_has_not_failed_is_refused_and_told_why(state: State) -> None:
    assert f"is {state.value}" in refusal(a_payment(state=state)).why


@pytest.mark.parametrize(
    "closed_by", sorted(set(Trigger) - {Trigger.FOUND_FAILED, Trigger.RESOLVED, Trigger.REFUSAL_CONFIRMED})
)
def test_a_failure_that_nothing_on_record_proves_is_refused(closed_by: Trigger) -> None:
    if closed_by in (Trigger.RETRY_CANCELLED, Trigger.EXPIRED):
        assert isinstance(retried(standing=Standing((), closed_by=closed_by)), Change)
    else:
        refusal(standing=replace(PROVEN, closed_by=closed_by))
    refusal(standing=Standing(PROVEN.sends, closed_by=None))


@pytest.mark.parametrize("ending", [None, SendAnswer.UNKNOWN])
@pytest.mark.parametrize("closed_by", [Trigger.REFUSAL_CONFIRMED, Trigger.RETRY_CANCELLED, Trigger.EXPIRED])
def test_a_send_whose_fate_is_unknown_is_ended_by_mtns_word_or_a_person_only(closed_by, ending) -> None:
    unknown = [a_send(number=1, ending=SendAnswer.REFUSED), a_send(number=2, ending=ending)]

    refusal(standing=Standing(unknown, closed_by=closed_by))
    assert isinstance(retried(standing=Standing(unknown, closed_by=Trigger.FOUND_FAILED)), Change)
    assert isinstance(retried(standing=Standing(unknown, closed_by=Trigger.RESOLVED)), Change)
    # An earlier attempt's say nothing of this one: it was proven failed before this one began.
    assert isinstance(
        retried(a_payment(state=State.FAILED, attempt=2), Standing(unknown, closed_by=closed_by)),
        Change,
    )


def test_five_attempts_are_the_most() -> None:
    assert isinstance(retried(a_payment(state=State.FAILED, attempt=4)), Change)
    assert "5 are the most" in refusal(a_payment(state=State.FAILED, attempt=5)).why


def test_what_mtn_contradicted_on_any_attempt_is_never_tried_again() -> None:
    said = "attempt 1, which was closed, is SUCCESSFUL at MTN"
    answer = refusal(a_payment(state=State.FAILED, attempt=2), replace(PROVEN, contradictions=[said]))
    assert said in answer.why


def test_what_another_payment_replaces_is_never_tried_again() -> None:
    assert "replaced by payment other" in refusal(standing=replace(PROVEN, successor="other")).why


def test_who_saw_an_earlier_attempt_fail_is_told_that_somebody_was_faster() -> None:
    later = a_payment(state=State.FAILED, attempt=3)

    assert "retried meanwhile" in refusal(later, asked=replace(ASKED, seen_attempt=2)).why
    assert isinstance(retried(later, asked=replace(ASKED, seen_attempt=3)), Change)


def test_a_look_alike_asks_for_the_producers_word() -> None:
    standing = replace(PROVEN, alike="look-alike")

    assert "look-alike" in refusal(standing=standing).why
    assert isinstance(retried(standing=standing, asked=replace(ASKED, producer_knows=True)), Change)


def test_after_its_not_after_a_retry_says_until_when() -> None:
    over = a_payment(state=State.FAILED, not_after_ms=NOW)

    assert "--until" in refusal(over).advice
    assert "has passed" in refusal(over, asked=replace(ASKED, until_ms=NOW)).why
    change = retried(over, asked=replace(ASKED, until_ms=NOW + DAY))
    assert isinstance(change, Change)
    assert change.after.not_after_ms == NOW + DAY


def test_its_not_before_is_kept() -> None:
    assert retried(a_payment(state=State.FAILED, not_before_ms=NOW + HOUR)).after.due_at_ms == NOW + HOUR
