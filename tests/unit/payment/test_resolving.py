"""`resolve` and `release`: payment, evidence and MTN's fresh word come in, the end or the reason against it goes out."""

from dataclasses import replace

import pytest
from tests.support import factories as make
from tests.support.factories import NOW, RULES, a_payment, a_send

from momo_worker.payment.deciding import RESOLVED_CODE
from momo_worker.payment.operator import By, NotPermitted, Standing, release
from momo_worker.payment.payment import Change, Work
from momo_worker.payment.resolving import RESOLVABLE, Asked, Resolve, resolve
from momo_worker.payment.rules import DAY, HOUR, MINUTE, SECOND
from momo_worker.payment.transitions import CAUSES_MTN_MAY_END, HeldCause, State, Trigger, edge_for
from momo_worker.payment.verdict import SendAnswer

BY = By("amina", "nobody was paid")
FAILED = Resolve(BY, State.FAILED, "the payee's account shows nothing")
SUCCESSFUL = replace(
    FAILED, outcome=State.SUCCESSFUL, evidence="the payee has it", financial_transaction_id="363440463"
)
STATEMENT = "statement-2026-12.pdf, line 14"
LOST = a_send(ending=SendAnswer.UNKNOWN)
LATER = NOW + DAY


def an_unknown(state=State.UNKNOWN, **changes):
    return a_payment(state=state, **{"could_have_left_at_ms": NOW, **changes})


def asked(verdict, *, at_ms=LATER, attempt=1):
    return Asked(attempt, at_ms, verdict)


NOTHING_THERE = asked(make.not_found())


def resolved(payment=None, said=FAILED, word=NOTHING_THERE, now_ms=LATER, standing=None):
    payment = payment or an_unknown()
    return resolve(payment, standing or Standing([LOST]), now_ms, said, word, RULES)


def refusal(*args, **changes) -> str:
    answer = resolved(*args, **changes)
    assert isinstance(answer, NotPermitted)
    assert answer.why
    assert answer.advice
    return f"{answer.why}; {answer.advice}"


# ---- failed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payment", [an_unknown(), an_unknown(State.HELD), an_unknown(State.PENDING)])
def test_a_day_and_a_fresh_not_found_end_what_may_have_been_sent(payment) -> None:
    change = resolved(payment)

    assert isinstance(change, Change)
    assert edge_for(payment.state, State.FAILED, Trigger.RESOLVED)
    assert (change.after.state, change.trigger, change.actor) == (State.FAILED, Trigger.RESOLVED, "amina")
    assert (change.after.work, change.after.due_at_ms, change.after.held_cause) == (None, None, None)
    assert change.after.reason_code == RESOLVED_CODE
    assert all(words in (change.detail or "") for words in (BY.actor, BY.reason, FAILED.evidence))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (None, "hasn't the credentials"),
        (asked(make.no_word()), "MTN said nothing"),
        (asked(make.no_slot()), "MTN said nothing"),
        (asked(make.pending()), "is PENDING at MTN"),
        (asked(make.successful()), "is SUCCESSFUL at MTN"),
        (asked(make.failed()), "is FAILED at MTN"),
        (asked(make.not_found(), attempt=2), "hasn't the credentials"),
        (asked(make.not_found(), at_ms=LATER - RULES.permission_age_ms - 1), "too long ago"),
    ],
)
def test_without_a_fresh_not_found_nothing_is_called_failed(word, told) -> None:
    assert told in refusal(word=word)


@pytest.mark.parametrize("ending", [None, SendAnswer.UNKNOWN, SendAnswer.ACCEPTED])
def test_within_a_day_of_the_last_moment_it_could_have_left_nothing_is_called_failed(ending) -> None:
    began = NOW - SECOND
    send = a_send(ending=ending, began_at_ms=began)
    payment = an_unknown(could_have_left_at_ms=None)
    ripe = began + RULES.lease_ms + DAY if ending is None else NOW + DAY

    for now_ms in (NOW, ripe - 1):
        word = asked(make.not_found(), at_ms=now_ms)
        assert "may still" in refusal(payment, word=word, now_ms=now_ms, standing=Standing([send]))
    word = asked(make.not_found(), at_ms=ripe)
    assert isinstance(resolved(payment, word=word, now_ms=ripe, standing=Standing([send])), Change)


def test_the_day_counts_from_the_last_of_all_moments() -> None:
    sends = [LOST, a_send(number=2, ending=SendAnswer.UNKNOWN, ended_at_ms=NOW + 5 * HOUR)]

    assert "may still arrive" in refusal(standing=Standing(sends))
    assert "may still arrive" in refusal(an_unknown(could_have_left_at_ms=NOW + HOUR))
    # Sends of an earlier attempt were proven dead before this one began.
    earlier = replace(sends[1], attempt=1)
    later = an_unknown(attempt=2)
    assert isinstance(
        resolved(
            later, word=asked(make.not_found(), attempt=2), standing=Standing([replace(LOST, attempt=2), earlier])
        ),
        Change,
    )


def test_a_confirmed_refusal_needs_no_day() -> None:
    refused = Standing([a_send(ending=SendAnswer.REFUSED)])
    word = asked(make.not_found(), at_ms=NOW + MINUTE)

    assert isinstance(resolved(word=word, now_ms=NOW + MINUTE, standing=refused), Change)
    assert "may still arrive" in refusal(
        word=word, now_ms=NOW + MINUTE, standing=Standing([*refused.sends, replace(LOST, number=2)])
    )


def test_mtns_statement_needs_no_day_and_is_named() -> None:
    said = replace(FAILED, statement=STATEMENT)

    change = resolved(said=said, word=None, now_ms=NOW + MINUTE)

    assert isinstance(change, Change)
    assert STATEMENT in (change.detail or "")
    assert isinstance(resolved(said=said, word=asked(make.no_word()), now_ms=NOW + MINUTE), Change)


def test_no_statement_speaks_of_a_send_that_may_still_leave() -> None:
    said = replace(FAILED, statement=STATEMENT)
    sleeper = Standing([a_send(began_at_ms=NOW)])
    payment = an_unknown(could_have_left_at_ms=NOW + RULES.lease_ms)

    assert "a worker that sleeps" in refusal(payment, said, None, NOW + MINUTE, sleeper)
    assert isinstance(resolved(payment, said, None, NOW + RULES.lease_ms, sleeper), Change)


def test_no_statement_speaks_of_what_was_sent_since_the_command_began() -> None:
    said = replace(FAILED, statement=STATEMENT, seen_at_ms=NOW)
    sent_since = Standing([LOST, a_send(number=2, ending=SendAnswer.UNKNOWN, ended_at_ms=NOW + SECOND)])

    assert "sent meanwhile" in refusal(said=said, word=None, now_ms=NOW + MINUTE, standing=sent_since)
    assert isinstance(resolved(said=replace(said, seen_at_ms=NOW + SECOND), word=None, standing=sent_since), Change)


def test_what_mtn_has_at_this_moment_needs_a_day_even_with_a_statement() -> None:
    said = replace(FAILED, statement=STATEMENT)

    assert "is PENDING at MTN" in refusal(said=said, word=asked(make.pending()), now_ms=LATER - 1)
    assert isinstance(resolved(said=said, word=asked(make.pending())), Change)


@pytest.mark.parametrize("cause", sorted(set(HeldCause) - CAUSES_MTN_MAY_END))
def test_a_desk_that_only_a_person_leaves_asks_for_the_statement(cause: HeldCause) -> None:
    payment = an_unknown(State.HELD, held_cause=cause)

    assert "statement" in refusal(payment)
    assert isinstance(resolved(payment, replace(FAILED, statement=STATEMENT)), Change)


def test_what_mtn_contradicted_is_called_failed_by_its_statement_only() -> None:
    standing = Standing([LOST], contradictions=["attempt 1, which was closed, is SUCCESSFUL at MTN"])
    payment = an_unknown(State.HELD, attempt=2, held_cause=HeldCause.SUSPECT_DUPLICATE, acknowledged_at_ms=None)

    assert "contradicted" in refusal(payment, standing=standing)
    assert isinstance(resolved(payment, replace(FAILED, statement=STATEMENT), standing=standing), Change)


@pytest.mark.parametrize("cause", [HeldCause.SUSPECT_DUPLICATE, HeldCause.CRASHES, HeldCause.RECOVERY])
def test_what_was_never_sent_has_not_failed(cause: HeldCause) -> None:
    payment = a_payment(state=State.HELD, held_cause=cause, first_send_at_ms=None, could_have_left_at_ms=None)

    assert "release it to be sent, or cancel it" in refusal(payment, standing=Standing())


def test_a_retry_that_was_never_sent_is_failed_as_the_attempt_before_it() -> None:
    payment = a_payment(
        state=State.HELD, held_cause=HeldCause.CRASHES, attempt=2, first_send_at_ms=None, could_have_left_at_ms=None
    )

    assert isinstance(resolved(payment, word=None, now_ms=NOW + 1, standing=Standing([LOST])), Change)


def test_of_a_restored_ledger_the_day_begins_at_its_desk() -> None:
    payment = an_unknown(State.HELD, held_cause=HeldCause.RECOVERY, state_since_ms=NOW + HOUR)

    assert "may still arrive" in refusal(payment)


# ---- successful -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", sorted(RESOLVABLE))
@pytest.mark.parametrize("word", [None, asked(make.not_found()), asked(make.no_word()), asked(make.successful())])
def test_what_was_sent_is_successful_by_evidence(state: State, word) -> None:
    change = resolved(an_unknown(state), SUCCESSFUL, word, NOW + MINUTE)

    assert isinstance(change, Change)
    assert (change.after.state, change.after.reason_code) == (State.SUCCESSFUL, RESOLVED_CODE)
    assert change.after.financial_transaction_id == "363440463"


@pytest.mark.parametrize("word", [asked(make.failed()), asked(make.pending())])
def test_against_mtns_word_of_this_moment_only_its_statement_stands(word) -> None:
    assert "at MTN at this moment" in refusal(said=SUCCESSFUL, word=word)
    assert isinstance(resolved(said=replace(SUCCESSFUL, statement=STATEMENT), word=word), Change)


@pytest.mark.parametrize("cause", [HeldCause.SUSPECT_DUPLICATE, HeldCause.CRASHES])
def test_what_was_never_sent_was_not_paid(cause: HeldCause) -> None:
    payment = a_payment(state=State.HELD, held_cause=cause)

    assert "never sent" in refusal(payment, SUCCESSFUL, standing=Standing())


def test_of_a_contradicted_payment_a_person_says_which_attempt_was_paid() -> None:
    standing = Standing([LOST], contradictions=["attempt 1, which was closed, is SUCCESSFUL at MTN"])
    payment = a_payment(
        state=State.HELD,
        attempt=2,
        held_cause=HeldCause.SUSPECT_DUPLICATE,
        first_send_at_ms=None,
        could_have_left_at_ms=None,
    )
    first = "00000000-0000-4000-8000-0000000000a9"

    assert "--attempt" in refusal(payment, SUCCESSFUL, None, standing=standing)
    change = resolved(payment, replace(SUCCESSFUL, paid_reference=first), None, standing=standing)
    assert isinstance(change, Change)
    assert (change.after.reference_id, change.after.attempt) == (first, 2)
    # While the last one may have been paid too, that isn't the whole story.
    both = replace(standing, sends=[LOST, replace(LOST, attempt=2, began_at_ms=LATER, ended_at_ms=LATER)])
    assert "may still arrive" in refusal(payment, replace(SUCCESSFUL, paid_reference=first), None, standing=both)


@pytest.mark.parametrize("state", sorted(set(State) - RESOLVABLE))
@pytest.mark.parametrize("said", [FAILED, SUCCESSFUL])
def test_what_is_not_sent_or_is_final_is_not_resolved(state: State, said: Resolve) -> None:
    told = refusal(a_payment(state=state), replace(said, statement=STATEMENT), standing=Standing([LOST]))
    assert state.value in told


# ---- release --------------------------------------------------------------------------------------------------------


def on_desk(cause=HeldCause.SUSPECT_DUPLICATE, **changes):
    return a_payment(state=State.HELD, held_cause=cause, sends=0, first_send_at_ms=None, **changes)


@pytest.mark.parametrize("cause", [HeldCause.SUSPECT_DUPLICATE, HeldCause.RECOVERY, HeldCause.CRASHES])
def test_what_was_never_sent_goes_back_to_be_sent(cause: HeldCause) -> None:
    change = release(on_desk(cause), Standing(), NOW, BY)

    assert isinstance(change, Change)
    assert (change.after.state, change.after.held_cause, change.trigger) == (
        State.ACCEPTED,
        None,
        Trigger.RELEASED_BY_PERSON,
    )
    assert (change.after.work, change.after.due_at_ms, change.after.attempt) == (Work.SEND, NOW, 1)


@pytest.mark.parametrize(
    "cause", sorted(set(HeldCause) - {HeldCause.SUSPECT_DUPLICATE, HeldCause.RECOVERY, HeldCause.CRASHES})
)
def test_a_desk_that_speaks_of_money_at_mtn_releases_nothing(cause: HeldCause) -> None:
    assert isinstance(release(on_desk(cause), Standing(), NOW, BY), NotPermitted)


@pytest.mark.parametrize("ending", [None, *SendAnswer])
def test_any_send_row_keeps_it_where_it_is(ending) -> None:
    assert isinstance(release(on_desk(), Standing([a_send(ending=ending)]), NOW, BY), NotPermitted)
    # The attempt before it was proven dead; this one's own are none.
    retried = on_desk(HeldCause.CRASHES, attempt=2)
    assert isinstance(release(retried, Standing([a_send(ending=ending)]), NOW, BY), Change)


def test_what_mtn_contradicted_or_another_replaces_is_not_released() -> None:
    assert isinstance(release(on_desk(), Standing(contradictions=["SUCCESSFUL"]), NOW, BY), NotPermitted)
    assert isinstance(release(on_desk(), Standing(successor="other"), NOW, BY), NotPermitted)
    assert isinstance(release(on_desk(acknowledged_at_ms=NOW), Standing(), NOW, BY), NotPermitted)


@pytest.mark.parametrize("state", sorted(set(State) - {State.HELD}))
def test_only_what_is_held_is_released(state: State) -> None:
    answer = release(a_payment(state=state), Standing(), NOW, BY)
    assert isinstance(answer, NotPermitted)
    assert state.value in answer.why


def test_after_its_not_after_a_release_says_until_when() -> None:
    over = on_desk(not_after_ms=NOW)

    assert isinstance(release(over, Standing(), NOW, BY), NotPermitted)
    change = release(over, Standing(), NOW, BY, until_ms=NOW + HOUR)
    assert isinstance(change, Change)
    assert change.after.not_after_ms == NOW + HOUR
