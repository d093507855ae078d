"""What people signed is what leaves: rows of approved runs, one cell changed by any means, signatures that don't count; on both databases."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest
from tests.support.ledger_world import World, an_account, failures, side_by_side
from tests.support.run_office import NAME, Office, a_file, an_office, people

from momo_worker.approval.people import NOBODY, People, Role
from momo_worker.commons.parts import Approvals
from momo_worker.ledger import run_checks, runs
from momo_worker.ledger.run_checks import CheckVerdict, RowCheck
from momo_worker.ledger.runs import Run
from momo_worker.payment.payment import Operation
from momo_worker.payment.transitions import HeldCause, State
from momo_worker.runs.approving import NotSignedError, sign_run
from momo_worker.runs.progress import look, waits_for
from momo_worker.runs.releasing import NotReleasedError, Wish, cancel_run, release_run, reopen_run


class KilledError(Exception):
    """The command ends here."""


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def sent_bodies(world: World) -> list[str]:
    return sorted(departed.request.body.decode() for departed in world.mtn.left)


def test_every_row_of_a_released_run_leaves_once_with_what_was_signed(world: World, office: Office) -> None:
    run = office.released(a_file(*people(6)), note="December")
    while office.feeder().feed():
        pass
    world.turn()

    assert len(world.mtn.left) == len(set(world.mtn.references())) == 6
    body = next(text for text in sent_bodies(world) if '"externalId":"E3"' in text)
    assert '"amount":"150003"' in body
    assert '"partyId":"256772100003"' in body
    assert '"payerMessage":"December"' in body
    found = world.payment(office.payment_ids(run)[0])
    assert (found.run, found.lane.value, found.source) == (run.id, "bulk", f"run/{run.id}/1")


def told_to_watchers(world: World, run: Run, people_here: People) -> str:
    with world.ledger.read() as tx:
        return waits_for(look(tx, runs.find(tx, run.id) or run, people_here))


#: What somebody with the database's password might change after the approval, and where the row stands then.
CELLS = {
    "amount": "UPDATE payment SET amount_minor = 999999 WHERE idempotency_key = :key",
    "number": "UPDATE payment SET msisdn = '256772999999' WHERE idempotency_key = :key",
    "external id": "UPDATE payment SET external_id = 'X' WHERE idempotency_key = :key",
    "note of the payer": "UPDATE payment SET payer_message = 'X' WHERE idempotency_key = :key",
    "note of the payee": "UPDATE payment SET payee_note = 'X' WHERE idempotency_key = :key",
    "operation": "UPDATE payment SET operation = 'deposit' WHERE idempotency_key = :key",
    "attempt": "UPDATE payment SET attempt = 2 WHERE idempotency_key = :key",
    "no run": "UPDATE payment SET run = '' WHERE idempotency_key = :key",
    "another run": "UPDATE payment SET run = 'another' WHERE idempotency_key = :key",
    "name in the run": "UPDATE run_row SET name = 'Somebody' WHERE key = :key",
    "correction in the run": "UPDATE run_row SET replaces = 'x' WHERE key = :key",
    "place in the run": "UPDATE run_row SET place = 99 WHERE key = :key",
    "way to the root": "UPDATE run_path SET path = (SELECT path FROM run_path WHERE place = 2) WHERE place = 4",
    "row taken away": "DELETE FROM run_row WHERE key = :key",
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_that_was_changed_after_the_approval_keeps_that_row_from_moving(
    world: World, office: Office, cell: str
) -> None:
    run = office.released(a_file(*people(6)))
    office.feeder().feed()
    if cell == "place in the run":
        world.write("UPDATE run_path SET place = 99 WHERE place = 4")
    victim = world.id_of(office.key_of(3))
    assert world.write(CELLS[cell], key=office.key_of(3)) == 1
    world.turn()

    held = world.payment(victim)
    assert (held.state, held.held_cause) == (State.HELD, HeldCause.TAMPERED)
    assert len(world.mtn.left) == 5, "its neighbours were paid"
    assert all("256772100003" not in text and "256772999999" not in text for text in sent_bodies(world))
    assert world.sends(victim) == []
    assert office.run(run).state == "released"


def test_a_stored_request_that_was_changed_isnt_sent_again(world: World, office: Office) -> None:
    office.released(a_file(*people(1)))
    office.feeder().feed()
    victim = world.id_of(office.key_of(0))
    (report,) = world.send(world.release(), record=False)
    assert report.payment_id == victim
    world.clock.on(600)
    world.write(
        "UPDATE payment SET state = 'accepted', work = 'send', due_at_ms = 0, lease_until_ms = NULL, claims_since_word = 0"
    )
    world.write("UPDATE attempt SET body = :body", body=b'{"amount":"999999"}')
    world.turn()
    assert len(world.mtn.left) == 1
    assert world.payment(victim).held_cause is HeldCause.TAMPERED


#: Facts of the run itself: nothing of it leaves, and it waits for people.
FACTS = {
    "total": "UPDATE run SET total_minor = total_minor + 1",
    "rows": "UPDATE run SET rows = rows + 1",
    "account": "UPDATE run_signature SET root = '00' WHERE name = 'boss'",
    "start": "UPDATE run_signature SET earliest_ms = 1",
    "approvals": "UPDATE run_signature SET needed = 0",
    "approver": "UPDATE run_signature SET name = 'cfo' WHERE name = 'boss'",
    "no approval": "DELETE FROM run_signature WHERE role = 'approver'",
    "no maker": "DELETE FROM run_signature WHERE role = 'maker'",
    "maker": "UPDATE run SET maker = 'boss'",
    "import": "UPDATE run SET imported_at_ms = imported_at_ms + 1",
    "name": "UPDATE run SET name = 'salary-2027-01'",
}


@pytest.mark.parametrize("fact", FACTS)
def test_a_run_whose_facts_were_changed_is_paused_and_none_of_it_leaves(
    world: World, office: Office, fact: str
) -> None:
    run = office.released(a_file(*people(4)))
    office.feeder().feed()
    assert world.write(FACTS[fact]) >= 1
    world.turn()

    assert world.mtn.left == []
    assert world.rows("SELECT run, actor FROM pause WHERE lifted_at_ms IS NULL") == [(run.id, "worker")]
    assert set(world.rows("SELECT state FROM payment")) == {"accepted"}
    world.clock.on(3600)
    world.turn()
    assert world.mtn.left == []
    (told,) = [event["data"] for event in world.events(run.id) if event["type"] == "momo.run.paused"]
    assert (told["run_id"], told["by"]) == (run.id, "worker")
    assert [told["reason"]] == world.rows("SELECT reason FROM pause")


def test_a_run_whose_account_was_changed_is_held_where_its_rows_are_paid_from(world: World, office: Office) -> None:
    world.parts = replace(world.parts, accounts={name: an_account(name) for name in ("default", "other")})
    run = office.released(a_file(*people(2)))
    office.feeder().feed()
    world.write("UPDATE run SET account = 'other'")
    world.turn()
    assert world.mtn.left == []
    assert world.rows("SELECT account, run FROM pause WHERE lifted_at_ms IS NULL") == [("default", run.id)]
    assert office.run_events(run)[-1] == "paused"


def test_an_account_that_was_pointed_elsewhere_voids_the_approval(world: World, office: Office) -> None:
    office.released(a_file(*people(2)))
    office.feeder().feed()
    account = world.parts.accounts["default"]
    other = replace(account, market=replace(account.market, base_url="http://127.0.0.1:2"))
    world.parts = replace(world.parts, accounts={"default": other})
    world.turn()
    assert world.mtn.left == []
    assert world.count("pause") == 1


def test_a_process_that_doesnt_know_an_approver_sends_nothing_and_condemns_nothing(
    world: World, office: Office, logged: list[MutableMapping[str, Any]]
) -> None:
    run = office.released(a_file(*people(2)))
    office.feeder().feed()
    knowing = world.parts
    world.parts = replace(world.parts, approvals=Approvals(lambda: NOBODY))
    world.turn()
    assert (world.mtn.left, world.count("pause")) == ([], 0)
    (why,) = {str(one["why"]) for one in logged if "doesn't count in this process" in str(one.get("why"))}
    assert "first_approver" in why
    assert "start `momo up`" in why

    world.clock.on(120)
    assert "nothing of it was sent yet" in told_to_watchers(world, run, knowing.approvals.people())
    assert "no worker under the settings here accepts ada, boss" in told_to_watchers(world, run, NOBODY)

    world.parts = knowing
    world.turn()
    assert len(world.mtn.left) == 2
    assert told_to_watchers(world, run, knowing.approvals.people()) == ""


def test_nobody_approves_what_they_made_and_nobody_signs_twice(world: World, office: Office) -> None:
    office.draft(maker="Boss")
    with pytest.raises(NotSignedError, match="isn't submitted yet"):
        office.sign("cfo")
    office.sign("ada", Role.MAKER)
    with pytest.raises(NotSignedError, match="nobody approves their own"):
        office.sign("boss")
    assert office.sign("cfo").missing == ""
    with pytest.raises(NotSignedError, match="has signed the run"):
        office.sign("cfo")


def test_an_open_question_keeps_everybody_from_signing(world: World, office: Office) -> None:
    made = office.draft(a_file(*people(2), ("E9", "Person 0", "256772100000", "150000")))
    world.write("UPDATE run_finding SET answered_at_ms = NULL, answer = NULL WHERE asked = 1")
    assert any(one.asked for one in made.findings)
    with pytest.raises(NotSignedError, match="questions that nobody has answered"):
        office.sign("ada", Role.MAKER)


def test_rows_that_were_changed_between_two_signatures_stop_the_second(world: World, office: Office) -> None:
    office.draft()
    office.sign("ada", Role.MAKER)
    world.write("UPDATE run_row SET amount_minor = amount_minor + 1 WHERE place = 1")
    world.write("UPDATE run_row SET amount_minor = amount_minor - 1 WHERE place = 2")
    with pytest.raises(NotSignedError, match="isn't what was signed before"):
        office.sign("boss")
    assert reopen_run(world.parts, "default", NAME, reason="changed", by="boss") == 1


def test_a_run_that_was_cancelled_and_comes_again_is_signed_anew(world: World, office: Office) -> None:
    run = office.approved()
    cancel_run(world.parts, "default", NAME, reason="wrong month", by="boss")
    again = office.draft()
    assert (again.run.id, again.run.state) == (run.id, "draft")
    assert office.signatures(run) == 0
    with pytest.raises(NotReleasedError, match="nobody has approved"):
        release_run(world.parts, "default", NAME, Wish(), by="boss")


def test_two_approvals_are_needed_by_what_the_account_pays_in_a_day_and_not_by_the_file(world: World) -> None:
    account = an_account(second_approval_above_minor=1_500_000)
    world.parts = replace(world.parts, accounts={"default": account})
    office = an_office(world)
    first = office.approved(a_file(*people(6)), "salary-a")
    assert first.state == "approved", "900,015 is below"
    office.draft(a_file(*people(6, amount=160_000)), "salary-b")
    office.sign("ada", Role.MAKER, "salary-b")
    half = office.sign("boss", name="salary-b")
    assert "2 approvals" in half.missing
    with pytest.raises(NotReleasedError, match="2 approvals"):
        release_run(world.parts, "default", "salary-b", Wish(), by="boss")
    assert office.sign("cfo", name="salary-b").missing == ""
    release_run(world.parts, "default", "salary-b", Wish(), by="boss")
    office.feeder().feed()
    world.turn()
    assert len(world.mtn.left) == 6


def test_what_was_released_since_the_approval_counts_at_the_release(world: World) -> None:
    account = an_account(second_approval_above_minor=1_000_000)
    world.parts = replace(world.parts, accounts={"default": account})
    office = an_office(world)
    office.approved(a_file(*people(6)), "salary-a")
    world.accept("till-1", amount="200000")
    with pytest.raises(NotReleasedError, match="2 approvals"):
        release_run(world.parts, "default", "salary-a", Wish(), by="boss")


def test_of_two_who_release_at_once_one_is_told(world: World, office: Office) -> None:
    office.approved()
    other = world.beside()
    results = side_by_side(
        lambda: release_run(world.parts, "default", NAME, Wish(), by="boss"),
        lambda: release_run(other.parts, "default", NAME, Wish(), by="cfo"),
    )
    (told,) = failures(results)
    assert isinstance(told, NotReleasedError)
    assert "is released already" in str(told)


def test_keys_of_runs_are_no_other_doors(world: World) -> None:
    taken = world.take(
        {
            "operation": "disburse",
            "idempotency_key": "run/x/1/1",
            "amount": "1",
            "currency": "UGX",
            "msisdn": "256772123456",
        }
    )
    assert len(taken.rejected) == 1
    assert world.rejections()[0]["errors"][0]["reason"] == "is kept for rows of bulk runs and schedules"


def test_a_refund_run_gives_back_what_was_collected_and_no_more(world: World, office: Office) -> None:
    world.successful("fee-1", amount="5000")
    content = a_file(("R1", "fee-1", "3000"), ("R2", "fee-1", "2000"), head=("id", "collection", "amount"))
    run = office.released(content, operation=Operation.REFUND)
    (till,) = world.accept("till", operation="refund", amount="2000", msisdn=None, refund_of="fee-1")
    world.send([till])
    world.mtn.left.clear()
    while office.feeder().feed():
        pass
    world.turn()
    assert len(world.mtn.left) == 1
    assert world.rows("SELECT count(*) FROM payment WHERE run = :run", run=run.id) == [1]
    assert world.rejections()[0]["errors"][0]["reason"] == "is more than the 0 that is left to refund"


def test_a_direct_limit_doesnt_speak_of_an_approved_run(world: World) -> None:
    account = an_account()
    limit = replace(account.direct_limit, per_payment_minor=1_000, per_day_minor=1_000)
    world.parts = replace(world.parts, accounts={"default": replace(account, direct_limit=limit)})
    office = an_office(world)
    office.released(a_file(*people(2)))
    office.feeder().feed()
    assert (
        len(
            world.take(
                {
                    "operation": "disburse",
                    "idempotency_key": "till-1",
                    "amount": "2000",
                    "currency": "UGX",
                    "msisdn": "256772123456",
                }
            ).rejected
        )
        == 1
    )
    world.turn()
    assert len(world.mtn.left) == 2


def test_a_signed_start_holds_whoever_moves_the_release(world: World, office: Office) -> None:
    run = office.released(a_file(*people(1)), pay_date="2030-01-01")
    assert office.feeder().feed() == 0
    world.write("UPDATE run_release SET starts_at_ms = 0")
    assert office.feeder().feed() == 1
    world.turn()
    assert world.mtn.left == []
    with world.ledger.read() as tx:
        assert runs.find(tx, run.id) is not None


def test_a_signing_that_is_killed_half_way_has_signed_nothing_and_can_be_done_again(
    world: World, office: Office
) -> None:
    made = office.draft(a_file(*people(1_200)))

    def dies(what: str, done: int, _of: int | None) -> None:
        if (what, done) == ("kept", 500):
            raise KilledError

    entry = office.people.counted["ada"]
    with pytest.raises(KilledError):
        sign_run(world.parts, "default", NAME, entry, lambda: office.keys["ada"], dies)
    assert (office.signatures(made.run), office.run(made.run).state) == (0, "draft")
    office.sign("ada", Role.MAKER)
    assert office.sign("boss").missing == ""


def test_a_blocked_row_bars_signatures_and_the_release_until_somebody_answers_for_it(
    world: World, office: Office
) -> None:
    run = office.approved()
    with world.ledger.write() as tx:
        run_checks.keep_checks(tx, run.id, [RowCheck(2, CheckVerdict.BLOCK, "another name")])
    with pytest.raises(NotReleasedError, match="the check blocks 1 rows"):
        release_run(world.parts, "default", NAME, Wish(), by="boss")
    with pytest.raises(NotSignedError, match="the check blocks 1 rows"):
        office.sign("cfo")
    with world.ledger.write() as tx:
        run_checks.override(tx, run.id, 2, reason="her husband's number", by="cfo")
    release_run(world.parts, "default", NAME, Wish(), by="boss")


def test_an_account_that_needs_the_check_signs_nothing_before_it(world: World) -> None:
    world.parts = replace(world.parts, accounts={"default": an_account(check_needed=True)})
    office = an_office(world)
    office.draft()
    with pytest.raises(NotSignedError, match="MTN wasn't asked"):
        office.sign("ada", Role.MAKER)
