"""Rows that failed are corrected in a run of their own, once, and the ledger knows what they correct; on both databases."""

import csv
import io

import pytest
from tests.support.ledger_world import World, found_as
from tests.support.run_office import NAME, Office, an_office
from tests.support.run_story import FAILED, REFUSED, a_story

from momo_worker.cli.deeds.run_report import explained
from momo_worker.ledger import run_outcomes, runs
from momo_worker.ledger.runs import Run
from momo_worker.payment.verdict import Status
from momo_worker.runs.follow_up import Left, header, lines, spaced
from momo_worker.runs.outcomes import outcomes

AGAIN = "salary-2026-12-again"


@pytest.fixture
def office(world: World) -> Office:
    return an_office(world)


def written(world: World, run: Run) -> tuple[list[dict[str, str]], Left, bytes]:
    left, out = Left(), io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header(run))
    for piece in outcomes(world.ledger, run, explained):
        writer.writerows(lines(world.ledger, run, piece, left))
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline=""))), left, out.getvalue().encode()


def test_failed_and_rejected_rows_are_written_and_nothing_that_may_still_be_paid(world: World, office: Office) -> None:
    run = a_story(world, office)
    rows, left, _ = written(world, run)
    assert [(row["id"], row["replaces"]) for row in rows] == [
        (f"E{FAILED}", office.key_of(FAILED)),
        (f"E{REFUSED}", ""),
    ]
    assert (left.failed, left.rejected, left.open, left.never_sent) == (1, 1, 1, 4)
    assert rows[0]["number"] == "+256 772 100 001"
    assert rows[0]["what happened"] == "the receiver's number has no MTN wallet"


def test_the_file_imports_as_it_is_and_its_payments_correct_those_that_failed(world: World, office: Office) -> None:
    first = a_story(world, office)
    _, _, content = written(world, first)
    again = office.released(content, AGAIN)
    with world.ledger.read() as tx:
        rows = runs.rows_of(tx, again.id, limit=10)
        assert run_outcomes.corrected_runs(tx, again.id, again.rows) == {NAME: 1}
    assert [(row.msisdn, row.amount_minor, row.replaces) for row in rows] == [
        ("256772100001", 150_001, office.key_of(FAILED)),
        ("256772100002", 150_002, None),
    ]
    feeder = office.feeder()
    while feeder.feed():
        pass
    world.mtn.on_look = found_as(Status.SUCCESSFUL)
    world.run_until(
        lambda: len(world.rows("SELECT id FROM payment WHERE run = :run AND state = 'successful'", run=again.id)) == 2
    )
    corrected = world.payment(world.id_of(f"run/{AGAIN}/E{FAILED}/1"))
    assert corrected.replaces == world.id_of(office.key_of(FAILED))

    rows_left, left, _ = written(world, first)
    assert [row["id"] for row in rows_left] == [f"E{REFUSED}"], "a payment is corrected once"
    assert left.corrected == 1


def test_a_failure_that_mtn_spoke_against_is_left_to_a_person(world: World, office: Office) -> None:
    run = a_story(world, office)
    world.write(
        "INSERT INTO transition (payment_id, attempt, sequence, before, after, trigger, fence, at_ms) "
        "VALUES (:id, 1, 9, 'failed', 'failed', 'contradiction', 0, 0)",
        id=world.id_of(office.key_of(FAILED)),
    )
    rows, left, _ = written(world, run)
    assert ([row["id"] for row in rows], left.contradicted) == ([f"E{REFUSED}"], 1)


def test_a_run_on_its_way_has_only_what_has_ended(world: World, office: Office) -> None:
    run = a_story(world, office, ends=False)
    rows, left, _ = written(world, run)
    assert ([row["id"] for row in rows], left.open) == ([f"E{REFUSED}"], 7)


def test_numbers_are_written_so_that_a_spreadsheet_leaves_them_alone() -> None:
    assert [spaced(number) for number in ("256772123456", "46733123450", "")] == [
        "+256 772 123 456",
        "+467 331 234 50",
        "",
    ]
