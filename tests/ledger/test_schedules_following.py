"""What becomes of an ask: asked again at the payer's hours, stopped, settled, overpaid; never a second prompt, never a second payment."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.ledger_world import World, found_as
from tests.support.schedule_office import FEES, ID, Treasury, a_treasury, payers

from momo_worker.cli.deeds.run_report import explained
from momo_worker.ledger import moves, prompts, runs, schedule_dues, schedules
from momo_worker.ledger.prompts import OptOut
from momo_worker.payment.payment import Product
from momo_worker.payment.transitions import Trigger
from momo_worker.payment.verdict import LookVerdict, RenderedRequest, Status
from momo_worker.runs.outcomes import LEFT_TO_THE_SCHEDULE, outcomes
from momo_worker.runs.releasing import NotReleasedError, cancel_run, resume_run
from momo_worker.schedules import following as following_room
from momo_worker.schedules.holding import remove_schedule
from momo_worker.schedules.settling import NotSettledError, Settling, settle
from momo_worker.steps import operator
from momo_worker.timing.asking_again import Policy
from momo_worker.timing.quiet import quiet_hours

KEY = f"sch/{ID}/2026-12/P0"


@pytest.fixture
def treasury(world: World) -> Treasury:
    return a_treasury(world)


def asked(treasury: Treasury, count: int = 1, **changes: Any) -> None:
    """A period that has fired and whose asks are at MTN, on 5 December at 09:00 in Kampala."""
    treasury.schedule(payers(count), after_day="2026-11-30", **changes)
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    treasury.turn()


def failing(code: str) -> Callable[[RenderedRequest], LookVerdict]:
    return found_as(Status.FAILED, reason_code=code)


def until_ended(treasury: Treasury) -> None:
    world = treasury.world
    final = {"successful", "failed", "cancelled"}
    world.run_until(lambda: set(treasury.states().values()) <= final)


def due(world: World, column: str, payer: str = "P0") -> Any:
    return world.rows(f"SELECT {column} FROM schedule_due WHERE payer_id = :payer", payer=payer)[0]


def local(world: World, payer: str = "P0") -> str:
    """When a payer is asked again, in Kampala."""
    at_ms = due(world, "again_at_ms", payer)
    return (datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(hours=3)).strftime("%d %H:%M")


def test_who_has_paid_is_told_and_asked_no_more(world: World, treasury: Treasury) -> None:
    asked(treasury, 2)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    assert set(treasury.dues().values()) == {"collected"}
    assert due(world, "collected_minor") == 50_000
    assert treasury.payer_events() == [("fired", "2026-12"), ("collected", "P0"), ("collected", "P1")]
    assert treasury.following().follow() == 0


@pytest.mark.parametrize(
    ("code", "again"),
    [
        # It fails minutes after nine: three hours on, at the evening's hour; three days on; the next pay day, the 25th.
        ("EXPIRED", "05 18:00"),
        ("APPROVAL_REJECTED", "08 09:00"),
        ("NOT_ENOUGH_FUNDS", "25 09:00"),
    ],
)
def test_a_failed_ask_is_tried_again_by_what_mtn_said(world: World, treasury: Treasury, code: str, again: str) -> None:
    asked(treasury)
    world.mtn.on_look = failing(code)
    until_ended(treasury)
    treasury.following().follow()
    assert (treasury.dues(), local(world)) == ({"2026-12 P0": "waiting"}, again)
    assert treasury.payer_events()[-1] == ("reminder", "P0")
    treasury.following().follow()
    assert len(world.mtn.left) == 1
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)
    treasury.following().follow()
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.turn(product=Product.COLLECTION)
    until_ended(treasury)
    treasury.following().follow()
    assert (treasury.dues(), len(world.mtn.left)) == ({"2026-12 P0": "collected"}, 2)
    assert len(set(world.mtn.references())) == 2


def test_two_noes_are_the_last(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("APPROVAL_REJECTED")
    for _ in range(2):
        until_ended(treasury)
        treasury.following().follow()
        at_ms = due(world, "again_at_ms")
        if at_ms is not None:
            world.clock.on((at_ms - world.clock.now_ms()) / 1000)
            treasury.following().follow()
            world.turn(product=Product.COLLECTION)
    assert treasury.dues() == {"2026-12 P0": "stopped"}
    assert due(world, "why") == "the payer has declined as often as is permitted"
    assert treasury.payer_events()[-1] == ("unpaid", "P0")
    assert len(world.mtn.left) == 2


def test_asks_keep_to_their_hours_whatever_they_wait_for(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    policy = Policy(ask_hours=(6, 22), expired_again_hours=1)
    treasury.following(policy, quiet_hours("20:00-07:00")).follow()
    assert local(world) == "06 07:00"


def test_a_kill_before_the_next_attempt_loses_neither_it_nor_its_count(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(following_room.operator, "retry", killed)
        with pytest.raises(KeyboardInterrupt):
            treasury.following().follow()
    assert due(world, "tries") == 1
    treasury.following().follow()
    assert (due(world, "state, tries, again_at_ms"), world.rows("SELECT attempt FROM payment")) == (
        ("asked", 1, None),
        [2],
    )


def test_a_kill_after_the_next_attempt_makes_no_third(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)
    real = following_room.operator.retry

    def killed_after(*given: Any, **more: Any) -> None:
        real(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(following_room.operator, "retry", killed_after)
        with pytest.raises(KeyboardInterrupt):
            treasury.following().follow()
    # The second attempt has failed as well before anybody looks.
    world.turn(product=Product.COLLECTION)
    until_ended(treasury)
    treasury.following().follow()
    assert world.rows("SELECT attempt FROM payment") == [2]
    assert due(world, "state") == "waiting"
    assert due(world, "tries") == 2


def said(amount_minor: int | None = None, payer: str = "P0") -> Settling:
    return Settling("default", FEES, "2026-12", payer, amount_minor, "cash, receipt 118", "bursar")


def test_who_paid_in_cash_before_the_ask_left_is_not_asked(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    after = settle(world.parts, said())
    # Its run hasn't handed it over yet: it is stopped at the claim.
    assert (after.due.outstanding_minor, after.prompt_is_open) == (0, True)
    treasury.turn()
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "settled", "2026-12 P1": "asked"}
    assert len(world.mtn.left) == 1


def test_who_paid_in_cash_while_waiting_is_asked_no_more(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("NOT_ENOUGH_FUNDS")
    until_ended(treasury)
    treasury.following().follow()
    assert settle(world.parts, said()).due.state == "settled"
    treasury.at("2026-12-25T06:00:00")
    treasury.following().follow()
    world.turn(product=Product.COLLECTION)
    assert len(world.mtn.left) == 1


def test_cash_while_the_prompt_is_open_is_told_as_overpaid_with_the_refund_ready(
    world: World, treasury: Treasury
) -> None:
    asked(treasury)
    assert settle(world.parts, said()).prompt_is_open
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    assert treasury.payer_events()[-1] == ("overpaid", "P0")
    told = world.events()[-1]["data"]
    assert (told["overpaid"], told["outstanding"]) == ("50000", "0")
    taken = world.take(told["refund_job"])
    assert len(taken.accepted) == 1, world.rejections()
    assert world.take(told["refund_job"]).accepted == ()


def test_a_prompt_that_fails_after_cash_is_not_repeated(world: World, treasury: Treasury) -> None:
    asked(treasury)
    settle(world.parts, said())
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "settled"}


def test_after_a_part_was_paid_the_rest_is_asked_under_a_key_of_its_own(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    settle(world.parts, said(20_000))
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)
    treasury.following().follow()
    treasury.turn()
    assert world.rows("SELECT idempotency_key, amount_minor, state FROM payment ORDER BY 1") == [
        (KEY, 50_000, "failed"),
        (f"{KEY}/2", 30_000, "pending"),
    ]
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    until_ended(treasury)
    treasury.following().follow()
    assert (treasury.dues(), due(world, "collected_minor")) == ({"2026-12 P0": "collected"}, 30_000)
    assert world.rows("SELECT replaces FROM payment WHERE idempotency_key = :key", key=f"{KEY}/2") == [world.id_of(KEY)]


def test_part_of_it_paid_before_the_ask_left_asks_for_the_rest_alone(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    settle(world.parts, said(20_000))
    treasury.turn()
    treasury.following().follow()
    treasury.following().follow()
    treasury.turn()
    assert world.rows("SELECT amount_minor, state FROM payment ORDER BY idempotency_key") == [
        (50_000, "cancelled"),
        (30_000, "pending"),
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"amount_minor": 50_001}, "P0 owes 50000 UGX for 2026-12, and 50001 was given"),
        ({"payer_id": "nobody"}, "nobody owes nothing for 2026-12"),
        ({"period": "2026-11"}, "has asked nobody for 2026-11 yet, so that nothing is owed for it"),
        ({"name": "rent"}, "account default has no schedule rent"),
    ],
)
def test_what_cant_be_settled_is_refused_with_why(
    world: World, treasury: Treasury, change: dict[str, Any], complaint: str
) -> None:
    asked(treasury)
    with pytest.raises(NotSettledError, match=complaint):
        settle(world.parts, replace(said(), **change))
    assert world.count("settlement") == 0


def test_settling_twice_is_refused(world: World, treasury: Treasury) -> None:
    asked(treasury)
    settle(world.parts, said())
    with pytest.raises(NotSettledError, match="has paid for 2026-12: 0 collected, 50000 settled"):
        settle(world.parts, said())


def test_a_receipt_that_is_given_twice_counts_once(world: World, treasury: Treasury) -> None:
    asked(treasury, 2)
    settle(world.parts, said(20_000))
    with pytest.raises(
        NotSettledError, match=r"20000 UGX of P0 for 2026-12 was settled by bursar at .* for the same reason"
    ):
        settle(world.parts, said(20_000))
    assert due(world, "settled_minor") == 20_000
    # Another receipt, another amount and another payer are another payment.
    settle(world.parts, replace(said(20_000), reason="cash, receipt 119"))
    settle(world.parts, said(5_000))
    settle(world.parts, said(20_000, "P1"))
    assert due(world, "settled_minor") == 45_000
    assert due(world, "settled_minor", "P1") == 20_000


def test_a_report_of_what_a_schedule_asked_advises_no_second_payment(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    with world.ledger.read() as tx:
        run = runs.find(tx, world.rows("SELECT run_id FROM schedule_round")[0])
    assert run is not None
    told = [one for piece in outcomes(world.ledger, run, explained) for one in piece]
    assert [(one.state, one.code, one.advice) for one in told] == [("failed", "EXPIRED", LEFT_TO_THE_SCHEDULE)]


def test_who_opted_out_is_asked_no_more_and_still_owes(world: World, treasury: Treasury) -> None:
    asked(treasury, 2)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    with world.ledger.write() as tx:
        prompts.add_opt_out(tx, OptOut("", "256772200000", "asked us", "bursar", tx.now_ms))
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)
    treasury.following().follow()
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.turn(product=Product.COLLECTION)
    until_ended(treasury)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped", "2026-12 P1": "collected"}
    assert len(world.mtn.left) == 3


def test_who_has_opted_out_before_a_period_fires_is_told_as_asked_by_nobody(world: World, treasury: Treasury) -> None:
    with world.ledger.write() as tx:
        prompts.add_opt_out(tx, OptOut("", "256772200000", "asked us", "bursar", tx.now_ms))
    asked(treasury, 2)
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped", "2026-12 P1": "asked"}
    assert [one for one in treasury.payer_events() if one[0] == "unpaid"] == [("unpaid", "P0")]


def test_an_ask_that_a_person_cancels_is_not_made_again(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    world.clock.on((due(world, "again_at_ms") - world.clock.now_ms()) / 1000)
    treasury.following().follow()
    operator.cancel(world.parts, world.id_of(KEY), actor="bursar", reason="spoke with the mother")
    treasury.following().follow()
    treasury.following().follow()
    assert (treasury.dues(), len(world.mtn.left)) == ({"2026-12 P0": "stopped"}, 1)


def test_a_round_that_a_person_cancels_leaves_its_payers_owing(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    cancel_run(world.parts, "default", "fees-2026-12", reason="wrong amounts", by="boss")
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "stopped", "2026-12 P1": "stopped"}
    assert treasury.states() == {}


def test_nobody_is_asked_again_of_a_schedule_that_is_paused(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    treasury.following().follow()
    with world.ledger.write() as tx:
        schedules.change(tx, ID, state="paused")
    treasury.at("2026-12-06T06:00:00")
    treasury.following().follow()
    assert treasury.dues() == {"2026-12 P0": "waiting"}


def test_nobody_of_a_schedule_that_was_removed_is_left_waiting(world: World, treasury: Treasury) -> None:
    asked(treasury, 3)
    world.mtn.on_look = failing("EXPIRED")
    until_ended(treasury)
    world.write("UPDATE schedule_due SET state = 'due' WHERE payer_id = 'P2'")
    remove_schedule(world.parts, "default", FEES, reason="the school has closed", by="bursar")
    treasury.following().follow()
    assert set(treasury.dues().values()) == {"stopped"}
    assert world.rows("SELECT DISTINCT why FROM schedule_due") == ["its schedule was removed"]


def test_a_schedules_run_asks_again_by_the_schedule_alone(world: World, treasury: Treasury) -> None:
    asked(treasury)
    world.mtn.on_look = failing("NOT_ENOUGH_FUNDS")
    until_ended(treasury)
    with pytest.raises(NotReleasedError, match="was made by a schedule, which asks again by itself"):
        resume_run(world.parts, "default", "fees-2026-12", reason="now", by="boss", again_unfunded=True)
    assert world.rows("SELECT attempt FROM payment") == [1]


def test_a_gauge_tells_who_waits_for_a_signature_and_who_is_asked(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    world.clock.on(60)
    with world.ledger.read() as tx:
        assert schedule_dues.open_by_state(tx) == [("due", 2, tx.now_ms - 60_000)]
    treasury.sign()
    treasury.following().follow()
    with world.ledger.read() as tx:
        assert schedule_dues.open_by_state(tx) == [("asked", 2, tx.now_ms)]


@pytest.mark.parametrize("contradicted", [True, False])
def test_what_ran_out_of_time_is_asked_anew_but_not_beside_what_mtn_has(
    world: World, treasury: Treasury, *, contradicted: bool
) -> None:
    """A restored ledger ends as never sent what the lost one had sent; MTN's word against that stands in its history."""
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    treasury.feeder().feed()
    world.clock.on(8 * 86_400)
    world.turn(product=Product.COLLECTION)
    assert treasury.states() == {KEY: "cancelled"}
    if contradicted:
        said = moves.Transition(
            payment_id=world.id_of(KEY),
            attempt=1,
            sequence=3,
            before="cancelled",
            after="cancelled",
            trigger=Trigger.CONTRADICTION,
            detail="MTN says SUCCESSFUL",
            actor=None,
            fence=0,
        )
        with world.ledger.write() as tx:
            moves.add_transitions(tx, [said])
    for _ in range(3):
        treasury.following().follow()
        treasury.turn()
    asks = {KEY: "cancelled"} if contradicted else {KEY: "cancelled", f"{KEY}/2": "pending"}
    assert (treasury.states(), len(world.mtn.left)) == (asks, len(asks) - 1)
    assert treasury.dues() == {"2026-12 P0": "stopped" if contradicted else "asked"}
