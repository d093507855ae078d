"""A schedule asks whom an approver has signed for, and for no more than that; whatever is changed beside it doesn't move."""

from dataclasses import replace

import pytest
from tests.support.ledger_world import World
from tests.support.run_office import Office
from tests.support.schedule_office import ID, Treasury, a_treasury, payers

from momo_worker.approval.people import Role
from momo_worker.ledger import schedules
from momo_worker.ledger.schedules import Payer
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import LookAnswer, LookVerdict, SendAnswer, SendVerdict
from momo_worker.schedules.mandating import NotMandatedError
from momo_worker.schedules.rounds import make_round


@pytest.fixture
def treasury(world: World) -> Treasury:
    return a_treasury(world)


def key(payer: str, period: str = "2026-12") -> str:
    return f"sch/{ID}/{period}/{payer}"


def test_a_period_asks_each_payer_once_under_a_key_that_names_them(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(3))
    treasury.sign()
    treasury.fire(made)
    treasury.turn()
    assert treasury.states() == {key("P0"): "pending", key("P1"): "pending", key("P2"): "pending"}
    assert len(world.mtn.left) == 3
    assert world.rows("SELECT state, ask, ask_key FROM schedule_due ORDER BY payer_id")[0] == ("asked", 1, key("P0"))
    assert world.rows("SELECT name, rows, total_minor, state FROM run") == [("fees-2026-12", 3, 150_003, "released")]


def test_a_period_fires_once(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(2))
    treasury.sign()
    treasury.fire(made)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        treasury.fire(made)
    treasury.turn()
    assert len(world.mtn.left) == 2


def test_nobody_is_asked_before_an_approver_has_signed_and_all_are_after(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(2))
    treasury.fire(made)
    treasury.turn()
    assert (treasury.states(), world.count("run")) == ({}, 0)
    treasury.sign()
    with world.ledger.write() as tx:
        assert make_round(tx, world.parts, made, "2026-12") is not None
        assert make_round(tx, world.parts, made, "2026-12") is None
    treasury.turn()
    assert set(treasury.states().values()) == {"pending"}


def test_who_made_a_schedule_cant_approve_it(treasury: Treasury) -> None:
    treasury.schedule(payers(1), maker="Boss")
    with pytest.raises(NotMandatedError, match="nobody approves their own"):
        treasury.sign()


def test_payers_and_amounts_beyond_what_was_signed_wait_for_a_new_signature(world: World, treasury: Treasury) -> None:
    people = payers(2)
    made = treasury.schedule(people)
    treasury.sign()
    more = Payer("P1", "P1", people[1].name, people[1].msisdn, people[1].amount_minor + 1, None)
    other = Payer("P9", "P9", "Pupil 9", "256772299999", 50_000, None)
    with world.ledger.write() as tx:
        schedules.put_payers(tx, made.id, [people[0], more, other])
    treasury.fire(made)
    treasury.turn()
    assert set(treasury.states()) == {key("P0")}
    treasury.sign(who="cfo")
    with world.ledger.write() as tx:
        make_round(tx, world.parts, made, "2026-12")
    treasury.turn()
    assert set(treasury.states()) == {key("P0"), key("P1"), key("P9")}
    assert world.rows("SELECT name, rows FROM run ORDER BY name") == [("fees-2026-12", 1), ("fees-2026-12-2", 2)]


def test_a_period_above_the_ceiling_asks_nobody(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(3))
    treasury.sign(ceiling_minor=150_002)
    treasury.fire(made)
    treasury.turn()
    assert treasury.states() == {}
    treasury.sign(ceiling_minor=150_003)
    with world.ledger.write() as tx:
        make_round(tx, world.parts, made, "2026-12")
    treasury.turn()
    assert len(treasury.states()) == 3


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE payment SET amount_minor = amount_minor + 1",
        "UPDATE payment SET msisdn = '256772299999'",
        "UPDATE mandate_payer SET most_minor = 90000",
        "UPDATE mandate_payer SET msisdn = '256772299999'",
        "UPDATE mandate_payer SET place = place + 1",
        "UPDATE payment SET idempotency_key = idempotency_key || '/x'",
        "UPDATE schedule_round SET number = 1",
    ],
)
def test_what_was_changed_after_the_signature_goes_to_a_desk(world: World, treasury: Treasury, change: str) -> None:
    made = treasury.schedule(payers(2))
    treasury.sign(ceiling_minor=200_000)
    treasury.fire(made)
    treasury.feeder().feed()
    world.write(change)
    treasury.turn()
    expected = {"pending"} if "schedule_round" in change else {"held"}
    assert set(treasury.states().values()) == expected
    assert len(world.mtn.left) == (2 if "schedule_round" in change else 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE schedule_mandate SET ceiling_minor = 100000",
        "UPDATE schedule_mandate SET name = 'cfo'",
        "UPDATE schedule SET currency = 'USD'",
        "DELETE FROM schedule_mandate",
    ],
)
def test_what_was_signed_is_changed_and_the_run_stops(world: World, treasury: Treasury, change: str) -> None:
    made = treasury.schedule(payers(2))
    treasury.sign(ceiling_minor=200_000)
    treasury.fire(made)
    treasury.feeder().feed()
    world.write(change)
    treasury.turn()
    assert set(treasury.states().values()) == {"accepted"}
    assert world.mtn.left == []
    assert len(world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL")) == 1


def test_a_round_of_a_schedule_can_pay_nobody(world: World, treasury: Treasury) -> None:
    """Somebody with the database writes a payout into a schedule's run: a mandate permits asking and nothing else."""
    made = treasury.schedule(payers(1))
    treasury.sign()
    treasury.fire(made)
    treasury.feeder().feed()
    world.write("UPDATE run SET operation = 'disburse'")
    world.write("UPDATE payment SET operation = 'disburse', product = 'disbursement'")
    world.turn()
    treasury.turn()
    assert world.mtn.left == []
    # It would leave from an account that the mandate isn't about.
    assert set(treasury.states().values()) == {"accepted"}
    assert len(world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL")) == 1


def test_keys_of_schedules_are_theirs(world: World, treasury: Treasury) -> None:
    world.take(
        {
            "operation": "collect",
            "idempotency_key": key("P0"),
            "amount": "5",
            "currency": "UGX",
            "msisdn": "256772123456",
        }
    )
    assert world.rejections()[0]["errors"][0]["reason"] == "is kept for rows of bulk runs and schedules"
    assert treasury.office.people.of("boss", Role.APPROVER) is not None
    assert isinstance(treasury.office, Office)


def test_who_has_paid_meanwhile_is_not_asked(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(2))
    treasury.sign()
    treasury.fire(made)
    treasury.feeder().feed()
    world.write("UPDATE schedule_due SET settled_minor = amount_minor WHERE payer_id = 'P0'")
    treasury.turn()
    assert treasury.states() == {key("P0"): "cancelled", key("P1"): "pending"}
    assert len(world.mtn.left) == 1


def test_a_payment_that_the_schedule_doesnt_ask_for_goes_to_a_desk(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(1))
    treasury.sign(ceiling_minor=500_000)
    treasury.fire(made)
    treasury.feeder().feed()
    world.write("UPDATE schedule_due SET ask_key = ask_key || '/2'")
    treasury.turn()
    assert (set(treasury.states().values()), world.mtn.left) == ({"held"}, [])


def test_nobody_is_asked_in_quiet_hours_and_all_are_after_them(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(2))
    treasury.sign()
    treasury.fire(made)
    night_ends_ms = world.clock.now_ms() + 3_600_000
    zones: list[str] = []

    def quiet(zone: str, now_ms: int) -> int | None:
        zones.append(zone)
        return night_ends_ms if now_ms < night_ends_ms else None

    world.parts = replace(world.parts, quiet_until=quiet)
    world.write("UPDATE schedule_due SET zone = 'Europe/Paris' WHERE payer_id = 'P1'")
    treasury.turn()
    assert (set(treasury.states().values()), world.mtn.left) == ({"accepted"}, [])
    assert set(zones) == {"Africa/Kampala", "Europe/Paris"}
    assert world.rows("SELECT DISTINCT due_at_ms FROM payment") == [night_ends_ms]
    world.clock.on(3_600)
    treasury.turn()
    assert len(world.mtn.left) == 2


def test_a_stored_request_that_asks_for_more_is_not_sent_again(world: World, treasury: Treasury) -> None:
    """Its answer is lost and MTN knows nothing of it: before it leaves once more somebody has changed the request itself."""
    made = treasury.schedule(payers(1, 30_000))
    treasury.sign(ceiling_minor=500_000)
    treasury.fire(made)
    treasury.feeder().feed()
    world.mtn.on_send = lambda _request, _secondary: SendVerdict(SendAnswer.UNKNOWN)
    world.mtn.on_look = lambda _request: LookVerdict(LookAnswer.NOT_FOUND, http_status=404)
    world.turn(product=Product.COLLECTION)
    (body,) = world.rows("SELECT body FROM attempt")
    changed = bytes(body).replace(b"30000", b"29000")
    assert changed != bytes(body)
    world.write("UPDATE attempt SET body = :body", body=changed)
    world.run_until(lambda: set(treasury.states().values()) == {"held"}, seconds_max=7 * 3_600)
    assert world.rows("SELECT held_cause FROM payment") == ["tampered"]
    assert len(world.mtn.left) == 1
