"""`momo payment resolve` and `release` on a real ledger (M8): a person's word ends a payment, never sends, and is followed up."""

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.factories import accepted, failed, no_answer, no_word, not_found, pending, refused, successful
from tests.support.ledger_world import World, a_job, an_account, failures, found_as, side_by_side

from momo_worker.accounts import Credentials, SameAgain
from momo_worker.ledger import desk
from momo_worker.payment.operator import By
from momo_worker.payment.payment import Product, Work
from momo_worker.payment.resolving import Resolve
from momo_worker.payment.rules import DAY, HOUR
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Facts, Status
from momo_worker.steps import operator, outcome, polling
from momo_worker.steps.operator import Decided

AMINA = By("amina", "the portal shows nothing")
FAILED = Resolve(AMINA, State.FAILED, "portal, searched by external id")
SUCCESSFUL = replace(FAILED, outcome=State.SUCCESSFUL, evidence="the payee has it")
STATEMENT = replace(FAILED, statement="statement 12, line 4")
DAY_SECONDS = DAY / 1000


def resolve(world: World, name: str, said: Resolve = FAILED, **more: Any) -> Decided:
    decided = operator.resolve(world.parts, name, said, **more)
    assert decided is not None
    return decided


def told(decided: Decided) -> str:
    assert decided.refused is not None
    return f"{decided.refused.why}; {decided.refused.advice}"


def an_unknown(world: World, key: str = "k", **changes: Any) -> str:
    """Sent, and nobody knows what became of it; MTN knows nothing of it."""
    (found,) = world.accept(key, **changes)
    world.mtn.on_send = lambda _request, _secondary: no_answer()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    assert world.payment(found).state is State.UNKNOWN
    return found


def too_old(world: World, key: str = "k") -> str:
    """On a desk, since nothing more may be sent and MTN knows nothing."""
    found = an_unknown(world, key)
    world.run_until(lambda: world.payment(found).state is State.HELD)
    assert world.payment(found).held_cause is HeldCause.TOO_OLD
    return found


def look_late(world: World) -> int:
    asked = polling.ask_late(world.parts, limit=10)
    for late, verdict in asked:
        outcome.record_late(world.parts, late, verdict)
    return len(asked)


def hold_a_suspect(world: World) -> tuple[World, str]:
    world = replace(world, parts=replace(world.parts, accounts={"default": an_account(same_again=SameAgain.HOLD)}))
    world.accept("first")
    (found,) = world.accept("second")
    assert world.payment(found).held_cause is HeldCause.SUSPECT_DUPLICATE
    return world, found


# ---- resolve --------------------------------------------------------------------------------------------------------


def test_a_day_later_and_with_a_fresh_not_found_a_held_payment_is_failed_by_a_person(world: World) -> None:
    found = too_old(world)
    sent = len(world.mtn.references())
    early = resolve(world, found)
    world.clock.on(DAY_SECONDS)
    world.mtn.looked.clear()

    late = resolve(world, found)

    assert "may still arrive" in told(early)
    assert late.refused is None
    payment = world.payment(found)
    assert payment == late.payment
    assert (payment.state, payment.reason_code, payment.work) == (State.FAILED, "RESOLVED", None)
    assert len(world.mtn.looked) == 1
    assert len(world.mtn.references()) == sent
    last = world.events(found)[-1]["data"]
    assert (last["state"], last["reason"]["code"], last["next"]) == ("failed", "RESOLVED", "none")
    # Who and when: the one decision that was made, at the time of the ledger's clock.
    ((actor, action, subject, reason, at_ms),) = world.rows("SELECT actor, action, subject, reason, at_ms FROM journal")
    assert (actor, action, subject, at_ms) == ("amina", "resolve failed", found, world.clock.at_ms)
    assert AMINA.reason in reason
    assert FAILED.evidence in reason
    # And then it may be tried again.
    retried = operator.retry(world.parts, found, by=AMINA)
    assert retried is not None
    assert retried.refused is None


def test_without_mtns_word_nothing_is_failed_and_its_statement_stands_in(world: World) -> None:
    found = too_old(world)
    world.clock.on(DAY_SECONDS)
    world.mtn.on_look = lambda _request: no_word()

    assert "MTN said nothing" in told(resolve(world, found))
    assert world.payment(found).state is State.HELD
    assert resolve(world, found, STATEMENT).refused is None
    assert world.payment(found).state is State.FAILED


def test_within_a_day_only_the_statement_ends_it(world: World) -> None:
    found = an_unknown(world)

    assert "may still arrive" in told(resolve(world, found))
    assert resolve(world, found, STATEMENT).refused is None


@pytest.mark.parametrize("state", [State.ACCEPTED, State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_mtn_is_not_even_asked_about_what_a_person_may_not_resolve(world: World, state: State) -> None:
    (found,) = world.accept("k")
    if state is State.CANCELLED:
        operator.cancel(world.parts, found, actor="amina", reason="typed twice")
    elif state is not State.ACCEPTED:
        world.mtn.on_send = lambda _request, _secondary: accepted()
        world.mtn.on_look = lambda _request: successful() if state is State.SUCCESSFUL else failed()
        world.run_until(lambda: world.payment(found).state is state)
    before = world.payment(found)
    world.mtn.looked.clear()

    assert state.value in told(resolve(world, found, STATEMENT))
    assert world.payment(found) == before
    assert world.mtn.looked == []
    assert operator.resolve(world.parts, "no-such-payment", FAILED) is None


def test_mtns_own_word_goes_before_a_persons(world: World) -> None:
    found = too_old(world)
    world.clock.on(DAY_SECONDS)
    world.mtn.on_look = lambda _request: successful()

    decided = resolve(world, found, STATEMENT)

    assert "successful now by MTN's own word" in told(decided)
    assert world.payment(found).state is State.SUCCESSFUL
    assert world.triggers(found)[-1] == "found_successful"
    assert world.count("journal") == 0


def test_what_mtn_still_has_is_pending_again_and_not_failed(world: World) -> None:
    found = too_old(world)
    world.clock.on(DAY_SECONDS)
    world.mtn.on_look = lambda _request: pending()

    assert "pending now by MTN's own word" in told(resolve(world, found))
    assert "is PENDING at MTN" in told(resolve(world, found))
    assert world.payment(found).state is State.PENDING


def test_a_person_and_mtn_who_say_the_same_are_not_at_odds(world: World) -> None:
    found = too_old(world)
    world.mtn.on_look = lambda _request: successful()

    assert resolve(world, found, SUCCESSFUL).refused is None
    assert world.triggers(found)[-1] == "found_successful"


def test_of_two_who_resolve_at_once_one_wins_and_the_other_is_told(world: World) -> None:
    other = world.beside()
    for turn in range(3):
        found = too_old(world, f"k-{turn}")
        world.clock.on(DAY_SECONDS)
        results = side_by_side(
            lambda found=found: resolve(world, found, FAILED),
            lambda found=found: resolve(other, found, replace(SUCCESSFUL, statement="statement 12")),
        )
        assert not failures(results)
        assert sorted(decided.refused is None for decided in results) == [False, True]
        won = next(decided for decided in results if decided.refused is None)
        assert world.payment(found).state is won.payment.state
        finals = [kind for kind in world.types(found) if kind in ("successful", "failed")]
        assert finals == [won.payment.state.value]
    assert world.count("journal") == 3


def test_resolve_and_retry_at_the_same_instant_never_open_an_attempt_that_isnt_proven_failed(world: World) -> None:
    other = world.beside()
    for turn in range(3):
        found = too_old(world, f"k-{turn}")
        world.clock.on(DAY_SECONDS)
        resolved, retried = side_by_side(
            lambda found=found: resolve(world, found), lambda found=found: operator.retry(other.parts, found, by=AMINA)
        )
        assert not failures([resolved, retried])
        assert resolved.refused is None
        assert world.payment(found).attempt == (1 if retried.refused else 2)
        triggers = world.triggers(found)
        assert "retried" not in triggers or triggers.index("resolved") < triggers.index("retried")


def test_a_mismatch_is_ended_by_a_person_with_the_statement_only(world: World) -> None:
    (found,) = world.accept("k")
    world.mtn.on_look = found_as(Status.SUCCESSFUL, facts=Facts(amount="1"))
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.HELD)
    world.clock.on(DAY_SECONDS)

    assert "statement" in told(resolve(world, found))
    assert resolve(world, found, STATEMENT).refused is None


def test_a_resolved_payment_is_looked_up_late_and_a_late_success_is_told(
    world: World, logged: list[MutableMapping[str, Any]]
) -> None:
    found = too_old(world)
    world.clock.on(DAY_SECONDS)
    assert resolve(world, found).refused is None
    assert look_late(world) == 0
    world.clock.on(HOUR / 1000 + 1)
    world.mtn.on_look = lambda _request: successful()

    assert look_late(world) == 1

    assert world.payment(found).state is State.FAILED
    assert world.types(found)[-2:] == ["failed", "contradicted"]
    assert [line for line in logged if line["log_level"] == "error" and "contradicts" in str(line.get("why"))]
    refused_now = operator.retry(world.parts, found, by=AMINA)
    assert refused_now is not None
    assert "contradicted" in told(refused_now)


def test_a_resolved_success_that_mtn_failed_is_told_and_one_it_confirms_isnt(world: World) -> None:
    one, other = too_old(world, "a"), too_old(world, "b")
    assert resolve(world, one, SUCCESSFUL).refused is None
    assert resolve(world, other, SUCCESSFUL).refused is None
    wrong = world.payment(one).reference_id
    world.mtn.on_look = lambda request: failed() if request.reference_id == wrong else successful()
    world.clock.on(HOUR / 1000 + 1)

    assert look_late(world) == 2
    assert world.types(one)[-1] == "contradicted"
    assert world.types(other)[-1] == "successful"


def test_a_failed_refund_gives_back_also_by_a_persons_word(world: World) -> None:
    collection = world.successful("c", amount="1000")
    found = an_unknown(world, "r", operation="refund", refund_of="c", amount="600", msisdn=None)
    assert world.payment(collection).refunded_minor == 600

    assert resolve(world, found, STATEMENT).refused is None
    assert world.payment(collection).refunded_minor == 0
    assert operator.retry(world.parts, found, by=AMINA).refused is None  # type: ignore[union-attr]
    assert world.payment(collection).refunded_minor == 600


def test_under_other_credentials_mtn_isnt_asked_and_its_silence_proves_nothing(world: World) -> None:
    found = too_old(world)
    world.clock.on(DAY_SECONDS)
    account = an_account()
    rotated = dict(account.credentials)
    rotated[Product.DISBURSEMENT] = Credentials("key", "another-user", "api-key", None)
    stranger = world.beside(accounts={"default": replace(account, credentials=rotated)})
    world.mtn.looked.clear()

    assert "credentials" in told(resolve(stranger, found))
    assert world.mtn.looked == []


def test_a_persons_word_that_an_earlier_attempt_was_paid_is_what_a_refund_gives_back(world: World) -> None:
    (found,) = world.accept("c", operation="collect", not_after="2026-12-30T00:00:00Z")
    world.mtn.on_look = lambda _request: failed()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    first = world.payment(found).reference_id
    assert operator.retry(world.parts, found, by=AMINA).refused is None  # type: ignore[union-attr]
    world.mtn.on_look = lambda _request: successful()
    world.clock.on(HOUR / 1000 + 1)
    assert look_late(world) == 1
    assert world.payment(found).state is State.HELD

    assert "--attempt" in told(resolve(world, found, SUCCESSFUL))
    assert "no attempt 3" in told(resolve(world, found, SUCCESSFUL, paid_attempt=3))
    assert resolve(world, found, SUCCESSFUL, paid_attempt=1).refused is None

    payment = world.payment(found)
    assert (payment.state, payment.reference_id, payment.attempt) == (State.SUCCESSFUL, first, 2)
    world.take(a_job("r", operation="refund", refund_of="c", amount="10", msisdn=None))
    world.send([world.id_of("r")])
    assert first.encode() in world.mtn.left[-1].request.body
    # MTN says so, too, and that is no news.
    world.clock.on(40 * DAY_SECONDS)
    contradicted = world.types(found).count("contradicted")
    look_late(world)
    assert world.types(found).count("contradicted") == contradicted


# ---- what replaces a contradicted payment ---------------------------------------------------------------------------


def a_replaced_one(world: World) -> tuple[str, str]:
    (found,) = world.accept("k")
    world.mtn.on_send = lambda _request, _secondary: refused()
    world.mtn.on_look = lambda _request: not_found()
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    world.mtn.on_send = lambda _request, _secondary: accepted()
    (corrected,) = world.accept("n", replaces="k", msisdn="256772000001")
    return found, corrected


def test_a_late_success_of_a_replaced_payment_stops_the_one_that_replaces_it(world: World) -> None:
    found, corrected = a_replaced_one(world)
    sent = len(world.mtn.references())
    world.mtn.on_look = lambda _request: successful()
    world.clock.on(HOUR / 1000 + 1)

    assert look_late(world) == 1

    payment = world.payment(corrected)
    assert (payment.state, payment.held_cause, payment.work) == (State.HELD, HeldCause.SUSPECT_DUPLICATE, None)
    assert world.types(found)[-1] == world.types(corrected)[-1] == "contradicted"
    world.send(world.release())
    assert len(world.mtn.references()) == sent
    released = operator.release(world.parts, corrected, by=AMINA)
    assert released is not None
    assert "contradicted" in told(released)


def test_one_that_was_sent_already_goes_its_way_and_is_told(world: World) -> None:
    found, corrected = a_replaced_one(world)
    world.send([corrected])
    assert world.payment(corrected).state is State.PENDING
    reference = world.payment(found).reference_id
    world.mtn.on_look = lambda request: successful() if request.reference_id == reference else pending()
    world.clock.on(HOUR / 1000 + 1)

    assert look_late(world) == 1
    assert world.payment(corrected).state is State.PENDING
    assert world.types(corrected)[-1] == "contradicted"


# ---- release --------------------------------------------------------------------------------------------------------


def test_a_suspected_duplicate_that_is_released_is_paid_once(world: World) -> None:
    world, found = hold_a_suspect(world)

    released = operator.release(world.parts, found, by=AMINA)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)

    assert released is not None
    assert released.refused is None
    assert (released.payment.state, released.payment.work) == (State.ACCEPTED, Work.SEND)
    assert world.types(found) == ["accepted", "held", "accepted", "pending", "successful"]
    assert world.mtn.references().count(world.payment(found).reference_id) == 1
    assert world.rows("SELECT action, subject FROM journal") == [("release", found)]
    assert operator.release(world.parts, "no-such-payment", by=AMINA) is None


def test_release_and_cancel_at_the_same_instant_have_one_winner(world: World) -> None:
    world, found = hold_a_suspect(world)
    other = world.beside()

    released, cancelled = side_by_side(
        lambda: operator.release(world.parts, found, by=AMINA),
        lambda: operator.cancel(other.parts, found, actor="bea", reason="one is enough"),
    )

    assert not failures([released, cancelled])
    # Cancelled after the release is fine: nothing was sent in between.
    assert cancelled.refused is None
    assert world.payment(found).state is State.CANCELLED
    assert world.types(found)[-1] == "cancelled"


@pytest.mark.parametrize(("deed", "state"), [("release", State.ACCEPTED), ("cancel", State.CANCELLED)])
def test_of_two_who_release_or_cancel_at_once_one_wins_and_the_other_is_told(
    world: World, deed: str, state: State
) -> None:
    deeds: dict[str, Callable[[World], Decided | None]] = {
        "release": lambda one: operator.release(one.parts, found, by=AMINA),
        "cancel": lambda one: operator.cancel(one.parts, found, actor="bea", reason="one is enough"),
    }
    world, found = hold_a_suspect(world)
    other = world.beside()
    before = world.types(found)

    results = side_by_side(lambda: deeds[deed](world), lambda: deeds[deed](other))

    assert not failures(results)
    assert sorted(decided.refused is None for decided in results) == [False, True]
    assert all(decided.payment.state is state for decided in results)
    assert world.payment(found).state is state
    assert world.types(found) == [*before, state.value]
    assert world.rows("SELECT action, subject FROM journal") == [(deed, found)]


def test_what_was_sent_once_is_never_released(world: World) -> None:
    found = too_old(world)
    released = operator.release(world.parts, found, by=AMINA)

    assert released is not None
    assert "money may have moved" in told(released)
    assert world.payment(found).state is State.HELD


def test_a_release_after_its_not_after_says_until_when_and_is_sent_then(world: World) -> None:
    world = replace(world, parts=replace(world.parts, accounts={"default": an_account(same_again=SameAgain.HOLD)}))
    world.accept("first", operation="collect")
    (found,) = world.accept("second", operation="collect")
    world.clock.on(11 * 60)

    late = operator.release(world.parts, found, by=AMINA)
    until_ms = world.clock.at_ms + HOUR
    prolonged = operator.release(world.parts, found, by=AMINA, until_ms=until_ms)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: world.payment(found).state is State.SUCCESSFUL)

    assert late is not None
    assert "--until" in told(late)
    assert prolonged is not None
    assert prolonged.refused is None
    assert world.payment(found).not_after_ms == until_ms


def test_decisions_about_a_payment_are_read_back_in_order(world: World) -> None:
    world, found = hold_a_suspect(world)
    released_at_ms = world.clock.at_ms
    operator.release(world.parts, found, by=AMINA)
    world.clock.on(90)
    operator.cancel(world.parts, found, actor="bea", reason="one is enough")

    with world.ledger.read() as tx:
        decisions = desk.decisions_about(tx, [found])

    assert [(one.actor, one.action, one.reason, one.at_ms) for one in decisions] == [
        ("amina", "release", AMINA.reason, released_at_ms),
        ("bea", "cancel", "one is enough", released_at_ms + 90_000),
    ]
