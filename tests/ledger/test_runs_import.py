"""Drafts of runs in the ledger: the same run again, another file under its name, killed half-way, two at once; on both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.ledger_world import NAMESPACE, World, failures, side_by_side

from momo_worker.ledger import runs
from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Operation
from momo_worker.runs import importing
from momo_worker.runs.importing import Imported, NotImportedError, Wanted

UGANDA = Terms(Currency("UGX", 0), "UG")


class KilledError(Exception):
    """The process ends here."""


def a_file(*rows: Sequence[str]) -> bytes:
    head = ("id", "name", "phone", "amount")
    return "\n".join(",".join(row) for row in (head, *rows)).encode()


def people(count: int, amount: int = 150_000) -> list[tuple[str, str, str, str]]:
    return [(f"E{place}", f"Person {place}", f"2567721{place:05d}", str(amount + place)) for place in range(count)]


def wanted(content: bytes, name: str = "salary-2026-12", **more: Any) -> Wanted:
    given = {
        "file_name": "salaries.csv",
        "account": "default",
        "operation": Operation.DISBURSE,
        "terms": UGANDA,
        "maker": "ada",
    }
    return Wanted(content=content, name=name, **{**given, **more})


def silent(_what: str, _done: int, _of: int | None) -> None:
    """Nobody watches."""


def imported(world: World, want: Wanted, progress: Callable[[str, int, int | None], None] = silent) -> Imported:
    found, _ = importing.read_file(want, progress)
    return importing.write_draft(world.ledger, NAMESPACE, want, found, progress)


def rows_of(world: World, run_id: str) -> list[runs.RunRow]:
    with world.ledger.read() as tx:
        return runs.rows_of(tx, run_id, limit=10_000)


def states(world: World) -> list[tuple[str, int, str]]:
    with world.ledger.read() as tx:
        return sorted((run.name, run.rows, run.state) for run in runs.listed(tx, account=None, limit=100))


def test_a_file_becomes_a_draft_with_all_its_rows_and_pays_nobody(world: World) -> None:
    made = imported(world, wanted(a_file(*people(1_203))))
    rows = rows_of(world, made.run.id)
    assert (made.run.state, made.run.rows, made.run.total_minor) == (
        "draft",
        1_203,
        sum(row.amount_minor for row in rows),
    )
    assert [row.place for row in rows] == list(range(1, 1_204))
    assert rows[7].key == "run/salary-2026-12/E7/1"
    assert (rows[7].line, rows[7].msisdn, rows[7].amount_minor) == (9, "256772100007", 150_007)
    assert world.count("payment") == 0


def test_the_same_run_again_is_the_same_run(world: World) -> None:
    first = imported(world, wanted(a_file(*people(3))))
    world.clock.on(60)
    again = imported(world, wanted(a_file(*people(3))))
    assert (again.repeated, again.run) == (True, first.run)
    assert states(world) == [("salary-2026-12", 3, "draft")]


def test_another_file_under_the_name_takes_the_drafts_place_before_its_release(world: World) -> None:
    first = imported(world, wanted(a_file(*people(3))))
    second = imported(world, wanted(a_file(*people(4))))
    assert second.superseded == first.run
    assert states(world) == [("salary-2026-12", 3, "superseded"), ("salary-2026-12", 4, "draft")]
    back = imported(world, wanted(a_file(*people(3))))
    assert (back.run.id, back.run.state, back.superseded) == (first.run.id, "draft", second.run)
    assert len(rows_of(world, back.run.id)) == 3


def test_what_would_be_said_to_people_is_part_of_the_run(world: World) -> None:
    first = imported(world, wanted(a_file(*people(2)), note="December"))
    second = imported(world, wanted(a_file(*people(2)), note="Decembre"))
    assert second.run.id != first.run.id
    assert second.superseded is not None


def test_a_name_is_used_up_by_the_release_and_the_difference_is_told(world: World) -> None:
    first = imported(world, wanted(a_file(*people(4))))
    with world.ledger.write() as tx:
        assert runs.move_if(tx, first.run.id, "draft", "released")
    other = [*people(3)[:2], ("E2", "Person 2", "256772100002", "999"), ("E9", "New", "256772100009", "5")]
    with pytest.raises(NotImportedError) as refused:
        imported(world, wanted(a_file(*other)))
    assert "is released" in refused.value.why
    assert sorted((one.value, one.reason.split(" in ")[0]) for one in refused.value.findings if one.line) == [
        ("run/salary-2026-12/E2/1", "has another amount or number"),
        ("run/salary-2026-12/E3/1", "is"),
        ("run/salary-2026-12/E9/1", "is"),
    ]
    assert states(world) == [("salary-2026-12", 4, "released")]
    assert imported(world, wanted(a_file(*people(4)))).repeated


def test_the_same_file_under_another_name_is_asked_about_once_and_not_for_each_row(world: World) -> None:
    imported(world, wanted(a_file(*people(50)), "salary-2026-11"))
    made = imported(world, wanted(a_file(*people(50)), "salary-2026-12"))
    assert [(one.kind, one.asked) for one in made.findings] == [("repetition", True)]
    assert "salary-2026-11" in made.findings[0].told


def test_rows_that_another_recent_run_has_are_asked_about_and_those_of_last_month_are_not(world: World) -> None:
    imported(world, wanted(a_file(*people(5)), "bonus"))
    same = [*people(2), ("E7", "Other", "256772109999", "1")]
    made = imported(world, wanted(a_file(*same), "bonus-again"))
    assert [(one.kind, one.line) for one in made.findings] == [("earlier_run", 2)]
    assert "2 rows" in made.findings[0].told
    assert "lines 2, 3" in made.findings[0].told
    world.clock.on(30 * 24 * 3600)
    assert imported(world, wanted(a_file(*same[:1]), "next-month")).findings == ()


def test_a_person_twice_is_asked_about_and_answered_with_a_name(world: World) -> None:
    twice = [*people(3), ("E1", "Person 1", "256772100001", "50000"), ("E1", "Person 1", "256772100001", "50000")]
    made = imported(world, wanted(a_file(*twice)))
    assert [(one.kind, one.line) for one in made.findings] == [("same_number_and_amount", 3)]
    assert "256772100001" not in made.findings[0].told
    assert sorted(row.key for row in rows_of(world, made.run.id) if row.row_id == "E1") == [
        f"run/salary-2026-12/E1/{number}" for number in (1, 2, 3)
    ]
    with world.ledger.write() as tx:
        assert runs.answer(tx, made.run.id, [1], text_of_answer="two bonuses", by="ada") == 1
        assert runs.answer(tx, made.run.id, [1], text_of_answer="again", by="eve") == 0
    with world.ledger.read() as tx:
        (finding,) = runs.findings_of(tx, made.run.id)
    assert (finding.answer, finding.answered_by, finding.answered_at_ms) == ("two bonuses", "ada", world.clock.now_ms())


def test_an_import_that_is_killed_leaves_no_draft_and_the_next_one_is_whole(world: World) -> None:
    def dies(what: str, done: int, _of: int | None) -> None:
        if what == "write" and done >= 1_000:
            raise KilledError

    want = wanted(a_file(*people(1_600)))
    with pytest.raises(KilledError):
        imported(world, want, dies)
    assert states(world) == []
    made = imported(world, want)
    assert (made.run.state, len(rows_of(world, made.run.id))) == ("draft", 1_600)


def test_a_killed_import_leaves_the_draft_that_has_the_name(world: World) -> None:
    def dies(what: str, _done: int, _of: int | None) -> None:
        if what == "write":
            raise KilledError

    imported(world, wanted(a_file(*people(3))))
    with pytest.raises(KilledError):
        imported(world, wanted(a_file(*people(900))), dies)
    assert states(world) == [("salary-2026-12", 3, "draft")]


def test_rows_of_a_draft_are_never_taken_away(world: World) -> None:
    made = imported(world, wanted(a_file(*people(3), people(1)[0])))
    with world.ledger.write() as tx:
        assert runs.forget_rows(tx, made.run.id, limit=10) == 0
        assert len(runs.findings_of(tx, made.run.id)) == len(made.findings) == 1
    assert len(rows_of(world, made.run.id)) == 4


def test_of_two_who_import_at_once_each_draft_is_whole_or_refused(world: World) -> None:
    want = wanted(a_file(*people(1_100)))
    outcomes = side_by_side(lambda: imported(world, want), lambda: imported(world, replace(want, maker="eve")))
    assert all(isinstance(error, NotImportedError) for error in failures(outcomes))
    found = states(world)
    assert [state for _, _, state in found] in (["draft"], [])
    if found:
        with world.ledger.read() as tx:
            run = runs.live(tx, "default", "salary-2026-12")
            assert run is not None
            assert runs.counted(tx, run.id) == (run.rows, run.total_minor)
    assert imported(world, want).run.state == "draft"


def test_expectations_that_a_file_doesnt_meet_are_told_and_nothing_is_kept(world: World) -> None:
    with pytest.raises(NotImportedError) as refused:
        imported(world, wanted(a_file(*people(3)), expect_count=4, expect_total="450000"))
    assert [(one.column, one.value) for one in refused.value.findings] == [("count", "3"), ("total", "450003")]
    assert states(world) == []
    with pytest.raises(NotImportedError) as unclear:
        imported(world, wanted(a_file(*people(3)), expect_total="450.003"))
    assert [(one.column, one.advice) for one in unclear.value.findings] == [
        ("expected total", 'write it as digits only, such as "150000" or "12.50"')
    ]
    assert imported(world, wanted(a_file(*people(3)), expect_count=3, expect_total="UGX 450,003")).run.rows == 3


def test_every_problem_is_told_at_once_and_nothing_is_kept(world: World) -> None:
    rows = [("E1", "A", "0772", "5"), ("E2", "B", "256772100001", "x"), ("E3", "C", "256233100001", "0")]
    with pytest.raises(NotImportedError) as refused:
        imported(world, wanted(a_file(*rows)))
    assert [one.line for one in refused.value.findings] == [2, 3, 4, 4]
    assert states(world) == []


def refunds(*rows: Sequence[str]) -> Wanted:
    content = "\n".join(",".join(row) for row in (("id", "collection", "amount"), *rows)).encode()
    return wanted(content, "refunds-2026-12", operation=Operation.REFUND)


def test_a_collection_is_named_by_key_by_reference_or_by_mtns_transaction_id(world: World) -> None:
    ids = [world.successful(f"fee-{number}", amount="5000") for number in range(3)]
    world.write("UPDATE payment SET financial_transaction_id = 'mtn-2' WHERE id = :id", id=ids[2])
    reference = world.payment(ids[1]).reference_id
    made = imported(world, refunds(("R0", "fee-0", "1000"), ("R1", reference, "1000"), ("R2", "mtn-2", "1000")))
    assert [row.collection for row in rows_of(world, made.run.id)] == ["fee-0", "fee-1", "fee-2"]


def test_a_refund_run_that_was_paid_is_the_same_run_when_its_file_comes_again(world: World) -> None:
    world.successful("fee-1", amount="5000")
    first = imported(world, refunds(("R1", "fee-1", "5000")))
    world.write("UPDATE payment SET refunded_minor = 5000 WHERE idempotency_key = 'fee-1'")
    again = imported(world, refunds(("R1", "fee-1", "5000")))
    assert (again.repeated, again.run) == (True, first.run)


def test_every_collection_that_cant_be_refunded_so_is_told_at_once(world: World) -> None:
    world.successful("fee-1", amount="5000")
    world.accept("fee-2", operation="collect", amount="5000")
    world.accept("salary-1")
    rows = [
        ("R1", "fee-1", "3000"),
        ("R2", "fee-1", "2001"),
        ("R3", "fee-2", "1"),
        ("R4", "salary-1", "1"),
        ("R5", "no", "1"),
    ]
    with pytest.raises(NotImportedError) as refused:
        imported(world, refunds(*rows))
    assert [(one.line, one.reason) for one in refused.value.findings] == [
        (3, "has 5000 left to refund, and the file asks for more"),
        (4, "is accepted"),
        (5, "is a disburse"),
        (6, "is no payment of this account"),
    ]
    assert world.count("run") == 0
