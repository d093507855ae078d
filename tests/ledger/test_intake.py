"""Jobs into the ledger (M10, M14, 6.1): who was first, what is refused and kept, what waits, what is marked or limited."""

import hashlib
import json
from dataclasses import replace

import pytest
from tests.support.factories import not_found, refused
from tests.support.ledger_world import World, a_job, an_account, an_entry, failures, found_as, side_by_side

from momo_worker.accounts import DirectLimit, SameAgain
from momo_worker.payment.job import Problem
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Lane, Product
from momo_worker.payment.rules import DAY, HOUR, MINUTE
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.payment.verdict import Status
from momo_worker.steps import intake


def with_account(world: World, **changes: object) -> World:
    return replace(world, parts=replace(world.parts, accounts={"default": an_account(**changes)}))


# ---- M10: who was first ---------------------------------------------------------------------------------------------


def test_the_same_job_at_the_same_instant_through_two_doors_is_one_payment(world: World) -> None:
    other = world.beside()
    for turn in range(8):
        job = a_job(f"k-{turn}")
        taken = side_by_side(lambda job=job: world.take(job), lambda job=job: other.take(job))
        assert not failures(taken)
        assert sorted([len(taken[0].accepted), len(taken[1].accepted)]) == [0, 1]
        assert sorted([len(taken[0].repeated), len(taken[1].repeated)]) == [0, 1]
    assert world.count("payment") == 8


def test_two_pumps_that_take_the_same_keys_in_opposite_order_never_wait_in_a_circle(world: World) -> None:
    other = world.beside()
    jobs = [a_job(f"k-{number:03}") for number in range(60)]
    for _ in range(3):
        taken = side_by_side(lambda: world.take(*jobs), lambda: other.take(*reversed(jobs)))
        assert not failures(taken)
    assert world.count("payment") == 60


def test_the_same_job_twice_in_one_batch_is_one_payment(world: World) -> None:
    taken = world.take(a_job("k"), a_job("k"))
    assert (len(taken.accepted), len(taken.repeated), len(taken.rejected)) == (1, 1, 0)
    assert world.types(world.id_of("k")) == ["accepted"]


def test_another_body_under_a_used_key_is_rejected_and_names_the_first(world: World) -> None:
    (first,) = world.accept("k")
    for batch in ([a_job("k", amount="1")], [a_job("k", operation="deposit")], [a_job("k", msisdn="256772123457")]):
        assert len(world.take(*batch).rejected) == 1
    for rejection in world.rejections():
        (error,) = rejection["errors"]
        assert (error["field"], error["value"], error["code"]) == ("idempotency_key", "k", "key_reused")
        assert (rejection["payment_id"], rejection["state"]) == (first, "accepted")
    assert world.payment(first).amount_minor == 150_000
    assert world.types(first) == ["accepted"]


def test_another_body_in_the_same_batch_is_rejected_and_the_first_goes_on(world: World) -> None:
    taken = world.take(a_job("k"), a_job("k", amount="2"), a_job("l"))
    assert (len(taken.accepted), len(taken.rejected)) == (2, 1)
    assert world.payment(world.id_of("k")).amount_minor == 150_000


@pytest.mark.parametrize(
    "same",
    [
        {"amount": "150000.00"},
        {"amount": 150000},
        {"msisdn": "+256772123456"},
        {"metadata": {"other": "words"}},
        {"account": "default"},
        {"lane": "interactive"},
    ],
)
def test_a_body_that_means_the_same_is_the_same_payment(world: World, same: dict[str, object]) -> None:
    world.accept("k")
    taken = world.take(a_job("k", **same))
    assert taken.repeated == (world.id_of("k"),)


def test_keys_of_two_accounts_are_two_payments_with_two_references(world: World) -> None:
    world = replace(world, parts=replace(world.parts, accounts={name: an_account(name) for name in ("default", "b")}))
    first, second = world.accept("k") + world.accept("k", account="b")
    assert first != second
    assert world.payment(first).reference_id != world.payment(second).reference_id


def test_a_repeated_job_is_answered_with_the_latest_event_once_more(world: World) -> None:
    (found,) = world.accept("k")
    world.send([found])
    world.write("UPDATE outbox SET published_at_ms = 1")
    world.take(a_job("k"))
    waiting = world.rows("SELECT type FROM outbox WHERE published_at_ms IS NULL")
    assert waiting == ["momo.payment.pending"]
    assert world.count("outbox") == 2


# ---- Rejections -----------------------------------------------------------------------------------------------------

BAD: list[tuple[str, bytes | dict[str, object], str]] = [
    ("malformed JSON", b'{"operation": "collect", ', "job"),
    ("no object", b'["collect"]', "job"),
    ("not UTF-8", b'{"operation": "\xff"}', "job"),
    ("a megabyte", b'{"payer_message": "' + b"x" * 1_000_000 + b'"}', "job"),
    ("a field twice", b'{"operation": "collect", "operation": "disburse"}', "job"),
    ("nested without end", b'{"metadata": ' + b"[" * 6000 + b"]" * 6000 + b"}", "job"),
    ("nested as deep as the parser goes", b'{"metadata": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"}", "job"),
    ("an unknown field nested deeply", b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}", "job x"),
    ("negative", a_job(amount="-5"), "amount"),
    ("scientific", a_job(amount="1e5"), "amount"),
    ("zero", a_job(amount="0"), "amount"),
    ("a fraction of a shilling", a_job(amount="150000.50"), "amount"),
    ("a JSON fraction", a_job(amount=150000.5), "amount"),
    ("sixteen digits", a_job(amount="1234567890123"), "amount"),
    ("no amount", a_job(amount=None), "amount"),
    ("another currency", a_job(currency="EUR"), "currency"),
    ("a number of no country", a_job(msisdn="999772123456"), "msisdn"),
    ("another country's", a_job(msisdn="233241234567"), "msisdn"),
    ("letters in the number", a_job(msisdn="25677212345O"), "msisdn"),
    ("a local form", a_job(msisdn="0772123456"), "msisdn"),
    ("arabic digits", a_job(msisdn="٢٥٦٧٧٢١٢٣٤٥٦"), "msisdn"),
    ("a NUL in a note", a_job(payer_message="a\x00b"), "payer_message"),
    ("a key with a space", a_job("a b"), "idempotency_key"),
    ("a key with an accent", a_job("café"), "idempotency_key"),
    ("a long key", a_job("k" * 129), "idempotency_key"),
    ("an empty key", a_job(""), "idempotency_key"),
    ("a long note", a_job(payee_note="x" * 161), "payee_note"),
    ("an unknown field", a_job(colour="red"), "colour"),
    ("an unknown field's name half a character", json.dumps(a_job() | {"\ud800": 1}).encode(), "�"),
    ("metadata too large", a_job(metadata={"x": "y" * 4096}), "metadata"),
    ("half a character in metadata", a_job(metadata={"x": "\ud800"}), "metadata"),
    ("an infinity in metadata", json.dumps(a_job()).encode()[:-1] + b', "metadata": {"x": 1e400}}', "metadata"),
    ("an unknown operation", a_job(operation="steal"), "operation"),
    ("a refund of nothing", a_job(operation="refund", msisdn=None, refund_of="nobody"), "refund_of"),
    ("a correction of nothing", a_job(replaces="nobody"), "replaces"),
    ("a time without a zone", a_job(not_after="2026-12-01T06:00:00"), "not_after"),
    ("no account's name", a_job(account="../etc"), "account"),
]


def test_bad_input_is_kept_whole_told_and_rolls_nobody_back(world: World) -> None:
    for number, (what, job, field) in enumerate(BAD):
        source = f"momo:jobs/1-{number}"
        bad = an_entry(job, source)
        taken = world.take(a_job(f"before-{number}"), bad, a_job(f"after-{number}"))
        assert (len(taken.accepted), taken.rejected) == (2, (source,)), what
        assert_kept(world, bad)
        rejection = world.rejections()[-1]
        assert rejection["source"] == source
        # How deep the parser itself goes depends on how deep the caller stands, so that one may be told either way.
        assert {error["field"] for error in rejection["errors"]} & {field, *field.split()}, (what, rejection)
        assert all(error["reason"] and error["advice"] for error in rejection["errors"]), what
    assert len(world.rejections()) == len(BAD)


def assert_kept(world: World, entry: intake.Entry) -> None:
    ((payload, size, digest),) = world.rows(
        "SELECT payload, payload_bytes, payload_sha256 FROM rejected_job WHERE source = :source", source=entry.source
    )
    assert bytes(payload) == entry.payload[: 64 * 1024]
    assert (size, digest) == (len(entry.payload), hashlib.sha256(entry.payload).hexdigest())


@pytest.mark.parametrize("note", ["N'Guessan & fils", "🎉", "مرحبا", "\u202eevil", "<script>", "a\nb"])
def test_any_note_becomes_one_that_mtn_takes(world: World, note: str) -> None:
    (found,) = world.accept("k", payer_message=note, metadata={"note": note})
    folded = world.payment(found).payer_message
    assert folded
    assert folded.isascii()
    assert not set(folded) & set("'&<>\n")
    assert world.events(found)[0]["data"]["metadata"] == {"note": note}


def test_a_job_with_a_thousand_unknown_fields_gets_a_short_answer(world: World) -> None:
    world.take(a_job(**{f"f{number}": 1 for number in range(900)}))
    assert len(world.rejections()[0]["errors"]) == 20


def test_a_rejected_entry_that_comes_again_is_neither_a_second_rejection_nor_a_payment(world: World) -> None:
    limited = with_account(world, direct_limit=DirectLimit(per_payment_minor=1))
    entry = an_entry(a_job("k"), "momo:jobs/7-0")
    assert limited.take(entry).rejected == ("momo:jobs/7-0",)
    # The limit was raised since; the producer was told no and may have paid with cash.
    again = world.take(entry)
    assert (again.accepted, again.rejected) == ((), ())
    assert len(world.rejections()) == 1
    assert world.count("payment") == 0


def test_a_rejected_job_uses_up_no_key(world: World) -> None:
    world.take(a_job("k", amount="-1"))
    assert world.take(a_job("k")).accepted == (world.id_of("k"),)


def test_a_key_whose_first_job_is_refused_is_free_for_the_next_in_the_same_batch(world: World) -> None:
    limited = with_account(world, direct_limit=DirectLimit(per_payment_minor=100))
    taken = limited.take(a_job("k", amount="101"), a_job("k", amount="99"), a_job("k", amount="99"))
    assert (len(taken.accepted), len(taken.repeated), len(taken.rejected)) == (1, 1, 1)
    assert world.payment(world.id_of("k")).amount_minor == 99


def test_poison_is_kept_at_last_and_nothing_else_is(world: World) -> None:
    problem = Problem("job", "", "ended its reader 3 times", "look at the kept job")
    entry = an_entry(a_job("k"), "momo:jobs/9-0", broken=problem, poison=True)
    assert world.take(entry).rejected == ("momo:jobs/9-0",)
    assert world.count("payment") == 0


def test_poison_that_had_become_a_payment_is_that_payment_and_no_rejection(world: World) -> None:
    entry = an_entry(a_job("k"), "momo:jobs/9-0")
    world.take(entry)
    poison = replace(entry, broken=Problem("job", "", "ended its reader", "look"), poison=True)
    taken = world.take(poison)
    assert (taken.repeated, taken.rejected) == ((world.id_of("k"),), ())


# ---- Unknown accounts -----------------------------------------------------------------------------------------------


def test_a_job_for_an_unknown_account_waits_and_is_accepted_once_it_is_configured(world: World) -> None:
    taken = world.take(an_entry(a_job("k", account="new"), "momo:jobs/3-0"))
    assert taken.waiting == ("momo:jobs/3-0",)
    assert not world.rejections()
    world.clock.on(31)
    assert intake.retry_waiting(world.parts, limit=100).waiting == ("momo:jobs/3-0",)
    world.parts.accounts["new"] = an_account("new")  # type: ignore[index]
    world.clock.on(2 * 3600)  # the pump was away for longer than the hour
    assert len(intake.retry_waiting(world.parts, limit=100).accepted) == 1
    assert world.count("waiting_job") == 0


def test_a_job_whose_account_is_unknown_for_an_hour_is_rejected(world: World) -> None:
    world.take(an_entry(a_job("k", account="new"), "momo:jobs/3-0"))
    world.clock.on(HOUR / 1000 - 1)
    assert not intake.retry_waiting(world.parts, limit=100).rejected
    world.clock.on(15 * MINUTE / 1000 + 1)
    assert intake.retry_waiting(world.parts, limit=100).rejected == ("momo:jobs/3-0",)
    (error,) = world.rejections()[0]["errors"]
    assert (error["field"], error["value"]) == ("account", "new")
    assert world.count("waiting_job") == 0


def test_what_waits_is_tried_less_and_less_often(world: World) -> None:
    world.take(an_entry(a_job("k", account="new"), "momo:jobs/3-0"))
    tries = 0
    for _ in range(300):
        world.clock.on(10)
        tries += bool(intake.retry_waiting(world.parts, limit=100).waiting)
    assert 15 <= tries <= 30, "of 100, were each thirty seconds apart"


def test_a_waiting_job_is_tried_by_one_process_at_a_time(world: World) -> None:
    world.take(a_job("k", account="new"))
    world.clock.on(31)
    world.parts.accounts["new"] = an_account("new")  # type: ignore[index]
    other = world.beside()
    taken = side_by_side(
        lambda: intake.retry_waiting(world.parts, limit=10), lambda: intake.retry_waiting(other.parts, limit=10)
    )
    assert not failures(taken)
    assert sum(len(one.accepted) for one in taken) == 1
    assert world.count("waiting_job") == 0


# ---- Same again, limits, times --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", list(SameAgain))
def test_the_same_facts_under_another_key_are_taken_marked_or_held(world: World, policy: SameAgain) -> None:
    world = with_account(world, same_again=policy)
    first, second = world.accept("k1") + world.accept("k2")
    held = world.payment(second)
    reason = world.events(second)[0]["data"]["reason"]
    if policy is SameAgain.OFF:
        assert (held.state, reason) == (State.ACCEPTED, None)
        return
    assert reason["code"] == "SAME_AGAIN"
    assert first in reason["message"]
    if policy is SameAgain.WARN:
        assert held.state is State.ACCEPTED
        return
    assert (held.state, held.held_cause, held.work) == (State.HELD, HeldCause.SUSPECT_DUPLICATE, None)
    assert world.types(second) == ["accepted", "held"]
    assert [event["data"]["sequence"] for event in world.events(second)] == [1, 2]
    world.send([second])
    assert world.mtn.references() == []


def test_the_same_facts_twice_in_one_batch_are_noticed_and_after_ten_minutes_forgotten(world: World) -> None:
    world = with_account(world, same_again=SameAgain.HOLD)
    world.take(a_job("k1"), a_job("k2"), a_job("k3", amount="7"))
    states = [world.payment(world.id_of(key)).state for key in ("k1", "k2", "k3")]
    assert states == [State.ACCEPTED, State.HELD, State.ACCEPTED]
    world.clock.on(601)
    assert world.payment(world.accept("k4")[0]).state is State.ACCEPTED


def test_the_direct_limit_of_a_day_holds_for_everything_paid_out_and_not_for_collections(world: World) -> None:
    world = with_account(world, direct_limit=DirectLimit(per_payment_minor=60, per_day_minor=100))
    assert not world.take(a_job("a", amount="60"), a_job("b", operation="deposit", amount="40")).rejected
    assert len(world.take(a_job("c", amount="1")).rejected) == 1
    assert len(world.take(a_job("d", amount="61")).rejected) == 1
    assert not world.take(a_job("e", operation="collect", amount="500")).rejected
    world.clock.on(DAY / 1000)
    assert not world.take(a_job("f", amount="60")).rejected


def test_two_pumps_never_exceed_the_limit_of_a_day_together(world: World) -> None:
    world = with_account(world, direct_limit=DirectLimit(per_day_minor=1000))
    other = world.beside()
    deeds = [
        lambda at=at, where=where: where.take(*[a_job(f"{at}-{number}", amount="100") for number in range(6)])
        for at, where in enumerate((world, other))
    ]
    taken = side_by_side(*deeds)
    assert not failures(taken)
    assert sum(len(one.accepted) for one in taken) == 10
    assert world.rows("SELECT sum(amount_minor) FROM payment") == [1000]
    assert world.rows("SELECT direct_minor FROM outflow") == [1000]


def test_a_collection_lasts_ten_minutes_and_a_payout_seven_days(world: World) -> None:
    collect, pay = world.accept("c", operation="collect") + world.accept("d")
    assert world.payment(collect).not_after_ms == world.clock.at_ms + 10 * MINUTE
    assert world.payment(pay).not_after_ms == world.clock.at_ms + 7 * DAY


def test_a_time_to_begin_moves_the_due_time_and_the_end(world: World) -> None:
    (found,) = world.accept("c", operation="collect", not_before="2026-12-02T06:00:00Z")
    payment = world.payment(found)
    assert payment.due_at_ms == world.clock.at_ms + DAY
    assert payment.not_after_ms == payment.due_at_ms + 10 * MINUTE
    assert payment.released_until_ms is None
    world.turn(product=Product.COLLECTION)
    assert world.mtn.references() == []


def test_a_not_after_of_1970_is_taken_at_its_word(world: World) -> None:
    (found,) = world.accept("c", not_after="1970-01-01T00:00:00Z")
    assert world.payment(found).not_after_ms == 0
    world.send([found])
    assert world.mtn.references() == []
    assert world.payment(found).state is State.CANCELLED


def test_an_interactive_job_is_released_with_its_insert_and_a_bulk_job_isnt(world: World) -> None:
    taken = world.take(a_job("a"), a_job("b", lane="bulk"))
    assert taken.released == (world.id_of("a"),)
    assert world.payment(world.id_of("b")).lane is Lane.BULK


# ---- M14 ------------------------------------------------------------------------------------------------------------


def a_refund(key: str, amount: str, of: str = "fee") -> dict[str, object]:
    return a_job(key, operation="refund", amount=amount, refund_of=of, msisdn=None)


def refunded(world: World, key: str = "fee") -> int:
    return world.payment(world.id_of(key)).refunded_minor


def test_concurrent_refunds_never_exceed_what_was_collected(world: World) -> None:
    world.successful("fee", amount="100000")
    worlds = [world, world.beside(), world.beside()]
    deeds = [
        lambda at=at, where=where: where.take(*[a_refund(f"r-{at}-{number}", "30000") for number in range(3)])
        for at, where in enumerate(worlds)
    ]
    taken = side_by_side(*deeds)
    assert not failures(taken)
    assert sum(len(one.accepted) for one in taken) == 3
    assert refunded(world) == 90_000
    assert world.rows("SELECT sum(amount_minor) FROM payment WHERE operation = 'refund'") == [90_000]


def test_a_refund_of_too_much_is_refused_in_the_words_of_the_job_and_not_in_cents(world: World) -> None:
    euros = with_account(world, market=replace(an_account().market, currency=Currency("EUR", 2)))
    euros.successful("fee", amount="12.50", currency="EUR")
    euros.take({**a_refund("r", "50"), "currency": "EUR"})
    (error,) = euros.rejections()[0]["errors"]
    assert error["value"] == "50.00"
    assert "12.50" in error["reason"]


def test_refunds_of_two_collections_in_opposite_order_never_wait_in_a_circle(world: World) -> None:
    for key in ("fee-a", "fee-b"):
        world.successful(key, amount="1000")
    other = world.beside()
    for turn in range(4):
        one = [a_refund(f"x-{turn}", "10", "fee-a"), a_refund(f"y-{turn}", "10", "fee-b")]
        two = [a_refund(f"a-{turn}", "10", "fee-b"), a_refund(f"b-{turn}", "10", "fee-a")]
        taken = side_by_side(lambda one=one: world.take(*one), lambda two=two: other.take(*two))
        assert not failures(taken)
    assert (refunded(world, "fee-a"), refunded(world, "fee-b")) == (80, 80)


@pytest.mark.parametrize("key", ["fee", "pay"])
def test_only_a_successful_collection_is_refunded(world: World, key: str) -> None:
    world.accept("fee", operation="collect")
    world.accept("pay")
    world.take(a_refund("r", "1", key))
    (error,) = world.rejections()[0]["errors"]
    assert error["field"] == "refund_of"
    assert refunded(world, key) == 0


def test_a_failed_refund_gives_back_and_a_successful_one_doesnt(world: World) -> None:
    world.successful("fee", amount="100")
    for key, status, left in (("r1", Status.FAILED, 0), ("r2", Status.SUCCESSFUL, 60)):
        world.take(a_refund(key, "60"))
        assert refunded(world) == 60
        world.mtn.on_look = found_as(status, reason_code="NOT_ALLOWED" if status is Status.FAILED else None)
        found = world.id_of(key)
        world.turn()
        world.run_until(lambda found=found: world.payment(found).state in (State.FAILED, State.SUCCESSFUL))
        assert refunded(world) == left
    assert len(world.take(a_refund("r3", "41")).rejected) == 1


def test_a_refund_that_expires_gives_back(world: World) -> None:
    world.successful("fee", amount="100")
    world.take(a_refund("r", "60"))
    world.clock.on(8 * 86_400)
    world.send(world.release())
    assert world.payment(world.id_of("r")).state is State.CANCELLED
    assert refunded(world) == 0


def test_a_refund_that_the_limit_refuses_stays_no_part_of_the_count(world: World) -> None:
    world.successful("fee", amount="100")
    limited = with_account(world, direct_limit=DirectLimit(per_payment_minor=50))
    assert len(limited.take(a_refund("r", "60")).rejected) == 1
    assert refunded(world) == 0
    assert not limited.take(a_refund("r2", "50")).rejected


def test_a_refund_names_the_reference_that_was_collected(world: World) -> None:
    fee = world.payment(world.successful("fee", amount="100"))
    world.take(a_refund("r", "60"))
    world.send([world.id_of("r")])
    body = json.loads(world.mtn.left[-1].request.body)
    assert body["referenceIdToRefund"] == fee.reference_id


# ---- replaces -------------------------------------------------------------------------------------------------------


def a_failure(world: World, key: str) -> str:
    (found,) = world.accept(key)
    world.mtn.sends_in_turn(refused())
    world.mtn.looks_in_turn(not_found())
    world.send([found])
    world.run_until(lambda: world.payment(found).state is State.FAILED)
    world.mtn.sends_in_turn()
    return found


def test_a_failed_payment_is_replaced_once(world: World) -> None:
    failed = a_failure(world, "k")
    taken = world.take(a_job("n1", replaces="k"), a_job("n2", replaces="k"))
    assert (len(taken.accepted), len(taken.rejected)) == (1, 1)
    assert world.payment(world.id_of("n1")).replaces == failed
    assert world.rejections()[0]["errors"][0]["field"] == "replaces"


def test_two_pumps_replace_a_payment_once(world: World) -> None:
    a_failure(world, "k")
    other = world.beside()
    taken = side_by_side(lambda: world.take(a_job("n1", replaces="k")), lambda: other.take(a_job("n2", replaces="k")))
    assert not failures(taken)
    assert sorted(len(one.accepted) for one in taken) == [0, 1]


def test_a_payment_that_may_still_be_paid_is_not_replaced(world: World) -> None:
    world.accept("k")
    taken = world.take(a_job("n1", replaces="k"), a_job("n2", replaces="k"))
    assert len(taken.rejected) == 2
    assert all("not proven failed" in item["errors"][0]["reason"] for item in world.rejections())


def test_jobs_that_were_woken_together_are_tried_in_the_order_in_which_they_came(world: World) -> None:
    """Two refunds of one collection: in no fixed order, PostgreSQL let the second take the room of the first."""
    world.take(an_entry(a_job("first", account="later"), "momo:jobs/9-0"))
    world.clock.on(1)
    world.take(an_entry(a_job("second", account="later"), "momo:jobs/1-0"))
    # A row that is written once more lies behind the others in PostgreSQL's table.
    world.write("UPDATE waiting_job SET why = 'written again' WHERE source = 'momo:jobs/9-0'")
    world.write("UPDATE waiting_job SET next_try_at_ms = :now", now=world.clock.now_ms())
    world.write("UPDATE waiting_job SET next_try_at_ms = :now WHERE source = 'momo:jobs/9-0'", now=world.clock.now_ms())
    assert intake.retry_waiting(world.parts, limit=1).waiting == ("momo:jobs/9-0",)
