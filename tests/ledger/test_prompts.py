"""One open prompt per account and number: taken with the claim (M1), freed by the outcome, the till first; and who has opted out is never asked."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.factories import conflict, failed, no_answer, not_found, refused, throttled
from tests.support.ledger_world import World, a_job, an_account, an_entry, failures, found_as, side_by_side
from tests.support.run_office import a_file, an_office, people

from momo_worker.cli.deeds.following import held_back_by
from momo_worker.commons.entry import AGAIN
from momo_worker.ledger import prompts
from momo_worker.ledger.prompts import OptOut
from momo_worker.payment.payment import Operation, Product
from momo_worker.payment.rules import MINUTE
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import Status
from momo_worker.steps import operator, recovery, submission
from momo_worker.steps.rescue import Rescue

NUMBER = "256772123456"
OTHER_NUMBER = "256772123457"


def ask(world: World, *keys: str, **changes: Any) -> list[str]:
    """Collections from one number, accepted."""
    return world.accept(*keys, operation="collect", **changes)


def turn(world: World, seconds: float = 0.0) -> None:
    world.clock.on(seconds)
    world.turn(product=Product.COLLECTION)


def open_prompts(world: World) -> list[tuple[str, str, str]]:
    return world.rows("SELECT account, msisdn, payment_id FROM open_prompt ORDER BY account, msisdn")


def state(world: World, name: str) -> str:
    return world.payment(name).state.value


def reason(world: World, name: str) -> tuple[str | None, str | None]:
    payment = world.payment(name)
    return payment.reason_code, payment.reason_message


# ---- the claim ------------------------------------------------------------------------------------------------------


def test_of_two_collections_from_one_number_one_is_sent_and_the_other_waits_and_says_why(world: World) -> None:
    first, second = ask(world, "a", "b")
    world.send([first, second])
    assert (state(world, first), state(world, second)) == ("pending", "accepted")
    assert len(world.mtn.left) == 1
    waiting = world.payment(second)
    assert (waiting.reason_code, waiting.reason_message) == ("PROMPT_OPEN", "another collection is open on this number")
    assert (waiting.due_at_ms, waiting.released_until_ms) == (world.clock.at_ms + 2_000, None)
    assert (waiting.sends, waiting.claims_since_word, waiting.fence, world.sends(second)) == (0, 0, 0, [])
    assert open_prompts(world) == [("default", NUMBER, first)]
    assert "another collection is open" in (held_back_by(world.ledger, waiting) or "")


def test_bulk_that_waits_tries_again_later_than_a_till(world: World) -> None:
    first, second = ask(world, "a", "b", lane="bulk")
    world.send(world.release(product=Product.COLLECTION))
    assert sorted((state(world, first), state(world, second))) == ["accepted", "pending"]
    (due_at_ms,) = world.rows("SELECT due_at_ms FROM payment WHERE state = 'accepted'")
    assert due_at_ms == world.clock.at_ms + 15_000


def test_what_waits_is_sent_when_the_first_has_ended_and_says_nothing_of_waiting_any_more(world: World) -> None:
    first, second = ask(world, "a", "b")
    world.send([first, second])
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: state(world, first) == "successful", step=5)
    turn(world, 2)
    assert state(world, second) == "pending"
    assert reason(world, second) == (None, None)
    assert open_prompts(world) == [("default", NUMBER, second)]


def test_workers_that_claim_at_once_never_open_two_prompts_on_a_number(world: World) -> None:
    worlds = [world] + [world.beside() for _ in range(3)]
    for turn_number in range(4):
        number = f"25677212{turn_number:04}"
        ids = ask(world, *[f"k-{turn_number}-{each}" for each in range(len(worlds))], msisdn=number)
        deeds = [
            lambda one=one, name=name: submission.claim(one.parts, [name])
            for one, name in zip(worlds, ids, strict=True)
        ]
        claims = side_by_side(*deeds)
        assert not failures(claims)
        assert sum(len(claim) for claim in claims) == 1
        states = [state(world, name) for name in ids]
        assert (states.count("sending"), states.count("accepted")) == (1, 3)


def test_workers_whose_batches_share_numbers_in_opposite_order_never_wait_in_a_circle(world: World) -> None:
    other = world.beside()
    numbers = [f"2567721230{each:02}" for each in range(20)]
    for round_number in range(4):
        ours, theirs = (
            [ask(world, f"{who}-{round_number}-{number}", msisdn=number)[0] for number in order]
            for who, order in (("a", numbers), ("b", numbers[::-1]))
        )
        done = side_by_side(lambda ids=ours: world.send(ids), lambda ids=theirs: other.send(ids))
        assert not failures(done)
        assert world.count("send") == 20 * (round_number + 1)
        world.write("DELETE FROM open_prompt")


def test_a_number_is_one_per_account_and_payouts_and_other_numbers_wait_for_nobody(world: World) -> None:
    accounts = {name: an_account(name) for name in ("default", "shop")}
    world = replace(world, parts=replace(world.parts, accounts=accounts))
    ids = [
        *ask(world, "a"),
        *ask(world, "a", account="shop"),
        *ask(world, "b", msisdn=OTHER_NUMBER),
        *world.accept("pay-1", "pay-2"),
    ]
    world.send(ids)
    assert {state(world, name) for name in ids} == {"pending"}
    assert len(open_prompts(world)) == 3


def test_a_number_is_kept_until_six_minutes_after_the_last_moment_at_which_its_send_could_have_left(
    world: World,
) -> None:
    first, second = ask(world, "a", "b", not_after="2026-12-01T08:00:00Z")
    world.send([first, second])
    rules = world.parts.rules
    (until_ms,) = world.rows("SELECT until_ms FROM open_prompt")
    assert until_ms == world.clock.at_ms + rules.lease_ms - rules.call_deadline_ms + 6 * MINUTE
    world.clock.jump((until_ms - world.clock.at_ms) / 1000 - 1)
    world.send(world.release(product=Product.COLLECTION))
    assert state(world, second) == "accepted"
    assert world.payment(second).due_at_ms == until_ms, "never later than the row lives"
    world.clock.jump(1)
    world.send(world.release(product=Product.COLLECTION))
    assert (state(world, first), state(world, second)) == ("pending", "pending")
    assert open_prompts(world) == [("default", NUMBER, second)]


def test_one_that_expires_while_it_waits_tells_so_to_its_producer(world: World) -> None:
    first, second = ask(world, "a", "b", not_after="2026-12-01T06:02:00Z")
    world.send([first, second])
    world.clock.on(150)
    Rescue(world.parts).run()
    assert (state(world, first), state(world, second)) == ("pending", "cancelled")
    told = world.events(second)[-1]["data"]["reason"]
    assert told["code"] == "NOT_SENT_IN_TIME"
    assert told["message"] == "another collection is open on this number when its time was over"
    assert reason(world, second) == ("NOT_SENT_IN_TIME", told["message"])


# ---- the till first -------------------------------------------------------------------------------------------------


def test_the_till_goes_before_bulk_in_one_batch_though_bulk_was_due_first(world: World) -> None:
    (bulk,) = ask(world, "bulk", lane="bulk")
    world.clock.on(1)
    (till,) = ask(world, "till")
    world.send([*world.release(product=Product.COLLECTION), till])
    assert (state(world, bulk), state(world, till)) == ("accepted", "pending")
    assert world.payment(bulk).reason_code == "PROMPT_OPEN"


def test_bulk_takes_no_free_number_that_a_till_is_due_on_or_waits_for(world: World) -> None:
    (till,) = ask(world, "till")
    (bulk,) = ask(world, "bulk", lane="bulk")
    released = world.release(product=Product.COLLECTION)
    assert bulk in released
    world.send([bulk])
    assert state(world, bulk) == "accepted", "the till is due"
    world.write(
        "UPDATE payment SET due_at_ms = due_at_ms + 1500, reason_code = 'PROMPT_OPEN' WHERE id = :till", till=till
    )
    world.clock.on(1)
    world.write("UPDATE payment SET due_at_ms = :now WHERE id = :bulk", now=world.clock.at_ms, bulk=bulk)
    world.send(world.release(product=Product.COLLECTION))
    assert state(world, bulk) == "accepted", "the till waits for the number"
    assert open_prompts(world) == []
    world.clock.on(2)
    world.send([till])
    assert state(world, till) == "pending"


def test_a_till_that_is_not_due_yet_or_on_another_number_keeps_bulk_from_nothing(world: World) -> None:
    ask(world, "later", not_before="2026-12-01T09:00:00Z", not_after="2026-12-01T10:00:00Z")
    ask(world, "elsewhere", msisdn=OTHER_NUMBER)
    (bulk,) = ask(world, "bulk", lane="bulk")
    world.send([name for name in world.release(product=Product.COLLECTION) if name == bulk])
    assert state(world, bulk) == "pending"


# ---- the outcome ----------------------------------------------------------------------------------------------------


def test_success_and_failure_free_the_number(world: World) -> None:
    for key, look in (("a", found_as(Status.SUCCESSFUL)), ("b", lambda _request: failed())):
        (found,) = ask(world, key)
        world.send([found])
        assert open_prompts(world) == [("default", NUMBER, found)]
        world.mtn.on_look = look
        world.run_until(lambda found=found: state(world, found) in ("successful", "failed"), step=5)
        assert open_prompts(world) == []


def test_what_is_proven_not_sent_frees_the_number(world: World) -> None:
    (found,) = ask(world, "a")
    world.mtn.sends_in_turn(throttled())
    world.send([found])
    assert state(world, found) == "accepted"
    assert open_prompts(world) == []


def test_a_refusal_frees_the_number_when_it_is_confirmed_and_not_before(world: World) -> None:
    (found,) = ask(world, "a")
    world.mtn.sends_in_turn(refused("PAYER_NOT_FOUND"))
    world.send([found])
    assert (state(world, found), len(open_prompts(world))) == ("unknown", 1)
    world.mtn.on_look = lambda _request: not_found()
    world.run_until(lambda: state(world, found) == "failed", step=5)
    assert open_prompts(world) == []


def test_what_is_held_keeps_the_number_for_as_long_as_its_row_lives(world: World) -> None:
    """Nobody knows whether it stands on the phone."""
    (found,) = ask(world, "a")
    world.mtn.sends_in_turn(conflict())
    world.send([found])
    assert state(world, found) == "held"
    assert open_prompts(world) == [("default", NUMBER, found)]


def test_an_unknown_keeps_the_number_and_ends_without_touching_the_row_of_whoever_came_after(world: World) -> None:
    first, second = ask(world, "a", "b", not_after="2026-12-01T09:00:00Z")
    world.mtn.sends_in_turn(no_answer())
    world.send([first, second])
    assert (state(world, first), state(world, second)) == ("unknown", "accepted")
    world.clock.on(500)
    world.mtn.on_send = lambda _request, _secondary: throttled()
    world.write("UPDATE open_prompt SET payment_id = :second", second=second)
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.look(world.release(product=Product.COLLECTION))
    assert state(world, first) == "successful"
    assert open_prompts(world) == [("default", NUMBER, second)]


def test_a_cancel_of_what_waits_leaves_the_row_of_the_other(world: World) -> None:
    first, second = ask(world, "a", "b")
    world.send([first, second])
    operator.cancel(world.parts, second, actor="ada", reason="typed twice")
    assert state(world, second) == "cancelled"
    assert open_prompts(world) == [("default", NUMBER, first)]


# ---- the same reference again ---------------------------------------------------------------------------------------


def until_resend(world: World, key: str) -> str:
    """A collection whose send brought no word and that may be sent again now, released."""
    (found,) = ask(world, key, not_after="2026-12-01T09:00:00Z")
    world.mtn.sends_in_turn(no_answer())
    world.send([found])
    world.mtn.on_look = lambda _request: not_found()
    for _ in range(200):
        world.clock.on(15)
        released = world.release(product=Product.COLLECTION)
        if world.payment(found).work.value == "send":  # type: ignore[union-attr]
            return found
        world.look(released)
    raise AssertionError("it never was permitted")


def test_a_repeated_send_takes_its_number_anew_and_for_longer(world: World) -> None:
    found = until_resend(world, "a")
    (before_ms,) = world.rows("SELECT until_ms FROM open_prompt")
    world.mtn.on_send = lambda _request, _secondary: throttled()
    world.send([found])
    assert world.count("send") == 2
    assert len(world.mtn.left) == 2
    (after_ms,) = world.rows("SELECT until_ms FROM open_prompt")
    rules = world.parts.rules
    assert after_ms == world.clock.at_ms + rules.lease_ms - rules.call_deadline_ms + rules.prompt_ms
    assert after_ms > before_ms


def test_a_repeated_send_whose_number_another_took_meanwhile_waits_like_any_other(world: World) -> None:
    found = until_resend(world, "a")
    world.write(
        "UPDATE open_prompt SET payment_id = 'another', until_ms = :until", until=world.clock.at_ms + 3 * MINUTE
    )
    world.send([found])
    waiting = world.payment(found)
    assert (waiting.state, waiting.work.value if waiting.work else None) == (State.UNKNOWN, "send")
    assert waiting.due_at_ms == world.clock.at_ms + 2_000
    assert len(world.mtn.left) == 1
    world.mtn.on_send = lambda _request, _secondary: throttled()
    world.run_until(lambda: len(world.mtn.left) == 2, seconds_max=1_000, step=5)
    assert open_prompts(world) == [("default", NUMBER, found)]


def test_a_retry_that_waits_keeps_the_reason_of_its_failure(world: World) -> None:
    (found,) = ask(world, "a", not_after="2026-12-01T09:00:00Z")
    world.send([found])
    world.mtn.on_look = lambda _request: failed()
    world.run_until(lambda: state(world, found) == "failed", step=5)
    (other,) = ask(world, "b")
    world.send([other])
    operator.retry(world.parts, found, by=operator.By("ada", "pay day"))
    turn(world)
    assert state(world, found) == "accepted"
    assert world.payment(found).reason_code == "NOT_ENOUGH_FUNDS"


def test_rows_of_a_restored_ledger_block_no_longer_than_they_live(world: World) -> None:
    world.write(
        "INSERT INTO open_prompt (account, msisdn, payment_id, until_ms) VALUES ('default', :number, 'lost', :until)",
        number=NUMBER,
        until=world.clock.at_ms + 4 * MINUTE,
    )
    (found,) = ask(world, "a")
    world.run_until(lambda: state(world, found) == "pending", seconds_max=250, step=2)


# ---- which index ----------------------------------------------------------------------------------------------------


def test_whether_a_till_asks_is_read_from_an_index_however_many_payments_there_are(world: World) -> None:
    (like,) = ask(world, "like")
    columns = [name for name in world_columns(world) if name not in ("id", "idempotency_key", "msisdn")]
    copied = ", ".join(columns)
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        f"INSERT INTO payment (id, idempotency_key, msisdn, {copied}) "
        f"SELECT 'p-' || i, 'k-' || i, '2567' || (10000000 + i % 9000), {copied} FROM payment, n WHERE payment.id = :like"
    )
    world.write(numbers, like=like)
    world.write("UPDATE payment SET state = 'successful', due_at_ms = NULL, work = NULL WHERE id <> :like", like=like)
    world.write("ANALYZE")
    sql = str(
        prompts._tills_that_ask.params(
            account="default", numbers=[NUMBER, OTHER_NUMBER], now=world.clock.at_ms, waits="PROMPT_OPEN"
        ).compile(dialect=world.ledger.engine.dialect, compile_kwargs={"literal_binds": True})
    )
    words = "EXPLAIN QUERY PLAN " if world.ledger.dialect == "sqlite" else "EXPLAIN "
    with world.ledger.read() as tx:
        plan = "\n".join(str(row[-1]) for row in tx.conn.exec_driver_sql(words + sql))
    assert "ix_payment_" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "SCAN payment" not in plan, plan


def world_columns(world: World) -> list[str]:
    with world.ledger.read() as tx:
        return list(tx.conn.execute(text("SELECT * FROM payment WHERE 1 = 0")).keys())


# ---- who has opted out ----------------------------------------------------------------------------------------------


def opt_out(world: World, number: str = NUMBER, account: str = "") -> None:
    with world.ledger.write() as tx:
        assert prompts.add_opt_out(tx, OptOut(account, number, "asked us not to", "ada", tx.now_ms))


def test_a_collection_from_who_has_opted_out_is_rejected_at_intake_and_uses_up_no_key(world: World) -> None:
    opt_out(world)
    taken = world.take(
        a_job("a", operation="collect"), a_job("pay"), a_job("b", operation="collect", msisdn=OTHER_NUMBER)
    )
    assert (len(taken.accepted), len(taken.rejected)) == (2, 1)
    (error,) = world.rejections()[-1]["errors"]
    assert (error["field"], error["value"], error["reason"]) == ("msisdn", NUMBER, "has opted out of being asked")
    assert error["advice"]
    with world.ledger.write() as tx:
        assert prompts.remove_opt_out(tx, "", NUMBER)
    assert len(ask(world, "a")) == 1


@pytest.mark.parametrize(("account", "refuses"), [("default", True), ("shop", False), ("", True)])
def test_an_opt_out_holds_for_its_account_or_for_all(world: World, account: str, refuses: bool) -> None:
    opt_out(world, account=account)
    assert bool(world.take(a_job("a", operation="collect")).rejected) is refuses


def test_a_job_that_was_accepted_before_the_opt_out_is_the_same_payment_when_it_comes_again(world: World) -> None:
    (found,) = ask(world, "a")
    world.send([found])
    opt_out(world)
    taken = world.take(a_job("a", operation="collect"))
    assert (taken.repeated, taken.rejected) == ((found,), ())
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(lambda: state(world, found) == "successful", step=5)


def test_the_same_new_job_twice_in_one_batch_is_rejected_twice(world: World) -> None:
    opt_out(world)
    taken = world.take(a_job("a", operation="collect"), a_job("a", operation="collect"))
    assert (len(taken.accepted), len(taken.rejected)) == (0, 2)
    assert world.count("payment") == 0


def test_a_collection_that_was_accepted_before_the_opt_out_is_cancelled_at_its_claim_and_never_sent(
    world: World,
) -> None:
    (found, other) = [*ask(world, "a"), *ask(world, "b", msisdn=OTHER_NUMBER)]
    opt_out(world)
    world.send([found, other])
    assert (state(world, found), state(world, other)) == ("cancelled", "pending")
    told = world.events(found)[-1]["data"]["reason"]
    assert told["code"] == "CANCELLED"
    assert "opted out of being asked: asked us not to" in told["message"]
    assert world.sends(found) == []
    assert open_prompts(world) == [("default", OTHER_NUMBER, other)]


def test_a_repeated_send_isnt_stopped_by_an_opt_out_since_mtn_may_have_it(world: World) -> None:
    found = until_resend(world, "a")
    opt_out(world)
    world.mtn.on_send = lambda _request, _secondary: throttled()
    world.send([found])
    assert len(world.mtn.left) == 2


def test_a_retry_to_who_has_opted_out_is_as_failed_as_before(world: World) -> None:
    (found,) = ask(world, "a")
    world.send([found])
    world.mtn.on_look = lambda _request: failed()
    world.run_until(lambda: state(world, found) == "failed", step=5)
    opt_out(world)
    operator.retry(world.parts, found, by=operator.By("ada", "pay day"))
    turn(world)
    assert (state(world, found), world.payment(found).reason_code) == ("failed", "NOT_ENOUGH_FUNDS")
    assert len(world.mtn.left) == 1


def test_a_runs_row_to_who_has_opted_out_is_rejected_and_the_run_goes_on(world: World) -> None:
    office = an_office(world)
    rows = people(3)
    run = office.released(a_file(*rows), operation=Operation.COLLECT)
    number = world.rows("SELECT msisdn FROM run_row WHERE place = 2")[0]
    opt_out(world, number)
    feeder = office.feeder()
    while feeder.feed():
        pass
    assert world.count("payment") == 2
    (errors,) = world.rows("SELECT errors FROM rejected_job")
    assert json.loads(errors)[0]["reason"] == "has opted out of being asked"
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    for _ in range(50):
        world.clock.on(15)
        turn(world)
        feeder.feed()
    assert office.run(run).state == "settled"


def test_a_job_that_is_read_again_after_a_restore_is_refused_by_no_opt_out(world: World) -> None:
    """The opt-out may be one that was taken back later, and the lost ledger may have asked."""
    opt_out(world)
    recovery.begin_by_person(world.parts, [], actor="ada", reason="a backup")
    taken = world.take(replace(an_entry(a_job("a", operation="collect")), door=AGAIN))
    assert not taken.rejected
    assert world.take(an_entry(a_job("b", operation="collect"), "command_line:1")).accepted


def test_adding_twice_and_removing_what_isnt_there_say_so(world: World) -> None:
    opt_out(world)
    with world.ledger.write() as tx:
        assert not prompts.add_opt_out(tx, OptOut("", NUMBER, "again", "ada", tx.now_ms))
        assert not prompts.remove_opt_out(tx, "shop", NUMBER)
        assert [one.reason for one in prompts.opt_outs(tx, account="shop")] == ["asked us not to"]
