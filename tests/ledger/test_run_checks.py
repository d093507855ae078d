"""The check before paying, on both databases: what is asked and what is known, killed half-way, silent numbers, verdicts and overrides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from tests.support.ledger_world import NAMESPACE, World, an_account, failures, side_by_side

from momo_worker.accounts import Account
from momo_worker.commons.runner import InlineRunner, ThreadRunner
from momo_worker.ledger import run_checks, runs
from momo_worker.ledger.run_checks import CheckVerdict, Counts, Holder, RowCheck
from momo_worker.ledger.runs import Run
from momo_worker.pacing import NotDepartedError
from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Operation
from momo_worker.payment.verdict import Cause, HolderVerdict
from momo_worker.runs import checking
from momo_worker.runs.checking import Checked, CheckParts, MovedError, check
from momo_worker.runs.importing import Wanted, read_file, write_draft
from momo_worker.runs.judging import Thresholds

PASS, REVIEW, BLOCK = CheckVerdict.PASS, CheckVerdict.REVIEW, CheckVerdict.BLOCK
DAY_MS = 86_400_000

Answers = Callable[[str], HolderVerdict]


UGANDA = Terms(Currency("UGX", 0), "UG")


class KilledError(Exception):
    """The process ends here."""


def silent(_what: str, _done: int, _of: int | None) -> None:
    """Nobody watches."""


def people(count: int) -> list[tuple[str, str, str, str]]:
    return [(f"E{place}", f"Person {place}", f"2567721{place:05d}", str(1_000 + place)) for place in range(count)]


def a_run(
    world: World, count: int = 3, name: str = "salary-2026-12", rows: Sequence[Sequence[str]] | None = None
) -> Run:
    lines = [("id", "name", "phone", "amount"), *(rows or people(count))]
    wanted = Wanted(
        file_name="salaries.csv",
        content="\n".join(",".join(line) for line in lines).encode(),
        account="default",
        name=name,
        operation=Operation.DISBURSE,
        terms=UGANDA,
        maker="ada",
    )
    found, _ = read_file(wanted, silent)
    return write_draft(world.ledger, NAMESPACE, wanted, found, silent).run


def active(is_active: bool = True) -> HolderVerdict:
    return HolderVerdict(answered=True, active=is_active, http_status=200)


def called(name: str | None) -> HolderVerdict:
    return HolderVerdict(answered=True, name=name, http_status=200)


def nothing(cause: Cause, **more: Any) -> HolderVerdict:
    return HolderVerdict(answered=False, cause=cause, message="nothing was said", **more)


def after(world: World, seconds: float, verdict: HolderVerdict) -> HolderVerdict:
    """An answer that took so long."""
    world.clock.on(seconds)
    return verdict


@dataclass
class Mtn:
    """Who has which number: `Person 7` of number 7 has it, until a test says otherwise. Asks `depart` first, as the client does."""

    on_active: Answers = lambda _msisdn: active()
    on_name: Answers = lambda msisdn: called(f"Person {int(msisdn[-5:])}")
    asked: list[str] = field(default_factory=list)

    def holder_active(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        return self._said(self.on_active, f"active {msisdn}", msisdn, depart)

    def holder_name(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        return self._said(self.on_name, f"name {msisdn}", msisdn, depart)

    def _said(self, answers: Answers, what: str, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        try:
            depart()
        except NotDepartedError as error:
            return HolderVerdict(answered=False, cause=Cause.NOT_DEPARTED, message=error.reason)
        self.asked.append(what)
        return answers(msisdn)


@dataclass
class Office:
    """Somebody who checks runs."""

    world: World
    mtn: Mtn = field(default_factory=Mtn)
    slowed: list[float] = field(default_factory=list)
    depart: Callable[[], None] = lambda: None
    runner: Any = field(default_factory=InlineRunner)

    def parts(self, **changes: Any) -> CheckParts:
        made = CheckParts(
            ledger=self.world.ledger,
            account=an_account(),
            asks=self.mtn,
            depart=self.depart,
            slow=self.slowed.append,
            runner=self.runner,
            clock=self.world.clock,
            thresholds=Thresholds(90, 60),
            keep_ms=30 * DAY_MS,
        )
        return replace(made, **changes)

    def check(self, run: Run, *, again: bool = False, progress: Any = silent, **changes: Any) -> Checked:
        return check(self.parts(**changes), run, again=again, progress=progress)

    def counts(self, run: Run) -> Counts:
        with self.world.ledger.read() as tx:
            return run_checks.counts(tx, run.id)

    def left(self, run: Run) -> tuple[int, int]:
        """Blocked and not answered for; without a verdict."""
        with self.world.ledger.read() as tx:
            return run_checks.unanswered(tx, run.id), run_checks.unchecked(tx, run.id)

    def override(self, run: Run, place: int, reason: str = "paid on her husband's phone") -> None:
        with self.world.ledger.write() as tx:
            run_checks.override(tx, run.id, place, reason=reason, by="ada")

    def row(self, run: Run, place: int) -> RowCheck | None:
        with self.world.ledger.read() as tx:
            return run_checks.check_of(tx, run.id, place)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def test_every_row_gets_its_verdict_and_a_second_check_asks_nothing(world: World, office: Office) -> None:
    run = a_run(world, 5)
    office.mtn.on_active = lambda msisdn: active(not msisdn.endswith("2"))
    office.mtn.on_name = lambda msisdn: called({"1": "Persn 1", "3": "Somebody Else"}.get(msisdn[-1], "PERSON"))
    assert office.left(run) == (0, 5)
    done = office.check(run)
    assert (done.asked, done.known, done.silent_lines, done.stopped) == (5, 0, (), None)
    assert [(one.verdict, one.why) for n in range(1, 6) if (one := office.row(run, n))] == [
        (PASS, "same"),
        (REVIEW, "slip"),
        (BLOCK, "inactive"),
        (BLOCK, "other"),
        (PASS, "same"),
    ]
    assert (office.counts(run), office.left(run)) == (Counts(passed=2, review=1, block=2), (2, 0))
    assert "name 256772100002" not in office.mtn.asked, "nobody is asked for the name of a number without a wallet"
    before = list(office.mtn.asked)
    again = office.check(run)
    assert (again.asked, again.known, office.mtn.asked) == (0, 5, before)


def test_what_is_known_of_a_number_serves_other_runs_and_grows_old(world: World, office: Office) -> None:
    first, second = a_run(world, 3), a_run(world, 4, "bonus-2026-12")
    office.check(first)
    assert (office.check(second).asked, office.check(second).known) == (1, 4)
    world.clock.on(31 * 86_400)
    assert office.check(second).asked == 4
    world.clock.on(60)
    assert office.check(second, again=True).asked == 4
    other = replace(second, account="other")
    with world.ledger.read() as tx:
        assert run_checks.holders_of(tx, other.account, ["256772100000"], 0) == {}


def test_a_number_in_several_rows_is_asked_about_once(world: World, office: Office) -> None:
    rows = [
        ("E1", "Person 7", "256772100007", "100"),
        ("E2", "", "256772100007", "200"),
        ("E3", "Ann", "256772100007", "5"),
    ]
    run = a_run(world, rows=rows)
    assert office.check(run).asked == 1
    assert office.mtn.asked == ["active 256772100007", "name 256772100007"]
    verdicts = [one.verdict for n in (1, 2, 3) if (one := office.row(run, n))]
    assert verdicts == [PASS, PASS, BLOCK]
    nameless = office.row(run, 2)
    assert nameless is not None
    assert (nameless.why, nameless.holder_name) == ("active_only", None)


def test_whoever_named_nobody_asks_for_no_name_and_a_file_with_names_asks_anew(world: World, office: Office) -> None:
    office.check(a_run(world, rows=[("E7", "", "256772100007", "100")]))
    assert office.mtn.asked == ["active 256772100007"]
    office.check(a_run(world, rows=[("E7", "Person 7", "256772100007", "100")], name="bonus-2026-12"))
    assert office.mtn.asked[1:] == ["active 256772100007", "name 256772100007"]


def test_a_check_that_is_killed_goes_on_where_it_was(world: World, office: Office) -> None:
    run = a_run(world, checking.PAGE * 2 + 3)
    office.mtn.on_name = lambda _msisdn: after(world, 0.3, called("Person"))

    def killed(_what: str, done: int, _of: int | None) -> None:
        if done > checking.PAGE * 3 // 2:
            raise KilledError

    with pytest.raises(KilledError):
        office.check(run, progress=killed)
    numbers = {one.split()[1] for one in office.mtn.asked}
    kept = world.count("holder_check")
    assert len(numbers) - kept <= 4, "no more than a second's answers"
    office.mtn.asked.clear()
    done = office.check(run)
    assert done.known == kept
    assert done.asked == run.rows - kept
    assert office.left(run) == (0, 0)


def test_a_number_that_mtn_says_nothing_of_gets_no_verdict_and_somebody_may_answer_for_it(
    world: World, office: Office
) -> None:
    run = a_run(world, 12)
    office.mtn.on_active = lambda msisdn: nothing(Cause.NONE) if msisdn.endswith("4") else active()
    office.mtn.on_name = lambda msisdn: nothing(Cause.FAULT) if msisdn.endswith("6") else called("Person")
    done = office.check(run)
    assert (done.silent_lines, done.silent_why, done.stopped) == ((6, 8), "nothing was said", None)
    assert office.left(run) == (0, 2)
    assert office.mtn.asked.count("name 256772100006") == checking.TRIES_MAX
    office.override(run, 5)
    assert office.left(run) == (0, 1)
    answered = office.row(run, 5)
    assert answered is not None
    assert (answered.verdict, answered.overridden_by) == (CheckVerdict.UNASKED, "ada")
    office.mtn.on_active = lambda _msisdn: active()
    office.check(run)
    later = office.row(run, 5)
    assert later is not None
    assert (later.verdict, later.overridden_by) == (PASS, None)


def test_many_silent_numbers_in_a_row_stop_the_check_and_what_was_answered_is_kept(
    world: World, office: Office
) -> None:
    run = a_run(world, 60)
    office.mtn.on_active = lambda msisdn: active() if int(msisdn[-5:]) < 20 else nothing(Cause.FAULT)
    office.mtn.on_name = lambda _msisdn: called("Person")
    done = office.check(run)
    assert done.stopped is not None
    assert (done.asked, done.stopped.cause) == (20, Cause.FAULT)
    asked = {one.split()[1] for one in office.mtn.asked}
    assert len(asked) < 60, "whoever is left isn't asked about"
    assert office.left(run) == (0, 40)
    assert "2567721" not in repr(done)


def test_silent_numbers_among_others_stop_nothing(world: World, office: Office) -> None:
    run = a_run(world, 60)
    office.mtn.on_active = lambda msisdn: nothing(Cause.NONE) if int(msisdn) % 2 else active()
    done = office.check(run)
    assert (done.stopped, done.asked, len(done.silent_lines)) == (None, 30, 30)


@pytest.mark.parametrize("cause", [Cause.TOKEN_REFUSED, Cause.KEY_REFUSED, Cause.LOGIN_REFUSED, Cause.FORBIDDEN])
def test_a_refusal_of_ours_stops_the_check(world: World, office: Office, cause: Cause) -> None:
    office.mtn.on_active = lambda _msisdn: after(world, 2, nothing(cause))
    done = office.check(a_run(world, 9))
    assert done.stopped is not None
    assert (done.stopped.cause, done.asked, len(office.mtn.asked)) == (cause, 0, 1)


def test_a_wait_that_mtn_names_is_kept_and_a_quotas_is_told(world: World, office: Office) -> None:
    run = a_run(world, 2)
    waits = iter([nothing(Cause.THROTTLED, retry_after_seconds=7.0), active(), active()])
    office.mtn.on_active = lambda _msisdn: next(waits)
    began = world.clock.elapsed()
    assert office.check(run).stopped is None
    assert (office.slowed, world.clock.elapsed() - began >= 7) == ([7.0], True)
    office.mtn.on_active = lambda _msisdn: nothing(Cause.THROTTLED, retry_after_seconds=7_200.0)
    world.clock.on(1)
    done = office.check(run, again=True)
    assert done.stopped is not None
    assert (done.stopped.cause, office.slowed[1:]) == (Cause.THROTTLED, [7_200.0, 7_200.0])


def test_without_a_slot_it_waits_and_then_stops(world: World, office: Office) -> None:
    refusals = [5]

    def crowded() -> None:
        if refusals[0]:
            refusals[0] -= 1
            raise NotDepartedError("no slot within 2 s")

    office.depart = crowded
    run = a_run(world, 2)
    assert office.check(run).stopped is None
    refusals[0] = 10**9
    world.clock.on(1)
    began = world.clock.elapsed()
    done = office.check(run, again=True)
    assert done.stopped is not None
    assert done.stopped.cause is Cause.NOT_DEPARTED
    assert world.clock.elapsed() - began <= checking.PATIENCE_SECONDS * 2


def test_threads_ask_side_by_side_and_every_answer_is_kept(world: World, office: Office) -> None:
    office.runner = ThreadRunner(8)
    run = a_run(world, checking.PAGE + 50)
    done = office.check(run)
    office.runner.close()
    assert (done.asked, world.count("holder_check"), world.count("run_check")) == (run.rows, run.rows, run.rows)


def test_a_run_whose_file_was_replaced_meanwhile_gets_no_verdicts(world: World, office: Office) -> None:
    run = a_run(world, 3)

    def another_file(_msisdn: str) -> HolderVerdict:
        if world.count("holder_check") == 0:
            a_run(world, 4)
        return called("Person")

    office.mtn.on_name = another_file
    with pytest.raises(MovedError, match="check it again"):
        office.check(run)
    assert world.count("run_check") == 0


def test_the_same_file_read_anew_begins_without_verdicts(world: World, office: Office) -> None:
    run = a_run(world, 3)
    office.mtn.on_name = lambda _msisdn: called("Somebody Else")
    office.check(run)
    office.override(run, 1)
    a_run(world, 4)
    back = a_run(world, 3)
    assert back.id == run.id
    assert (office.counts(back), office.left(back)) == (Counts(), (0, 3))


def test_an_override_is_kept_until_mtn_says_otherwise(world: World, office: Office) -> None:
    run = a_run(world, 2)
    office.mtn.on_name = lambda _msisdn: called("Somebody Else")
    office.check(run)
    assert office.left(run) == (2, 0)
    office.override(run, 1)
    office.check(run)
    kept = office.row(run, 1)
    assert kept is not None
    assert (kept.override_reason, kept.overridden_by, office.left(run)) == (
        "paid on her husband's phone",
        "ada",
        (1, 0),
    )
    assert office.counts(run) == Counts(block=2, overridden=1)
    office.mtn.on_name = lambda _msisdn: called("A Third Man")
    world.clock.on(1)
    office.check(run, again=True)
    assert office.left(run) == (2, 0), "nobody has answered for this name"


def test_what_bars_a_run_is_said_in_words_and_only_what_the_account_asks_for(world: World, office: Office) -> None:
    run = a_run(world, 3)
    office.mtn.on_name = lambda msisdn: called("Person" if msisdn.endswith("0") else "Persom 2")
    office.mtn.on_active = lambda msisdn: active(not msisdn.endswith("1"))
    usual, strict = an_account(), an_account(check_needed=True)

    def bars(account: Account) -> str:
        with world.ledger.read() as tx:
            return checking.what_bars(tx, run, account)

    assert bars(usual) == ""
    assert "3 rows" in bars(strict)
    office.check(run)
    for account in (usual, strict):
        assert "blocks 1 rows" in bars(account)
    office.override(run, 2)
    assert (bars(usual), bars(strict)) == ("", ""), "what is to review bars nothing"


def test_rows_to_look_at_come_blocked_first_and_what_is_answered_last(world: World, office: Office) -> None:
    run = a_run(world, 5)
    names = {"0": "Persom 0", "1": "Else", "2": "Person", "3": "Other", "4": "Persom 4"}
    office.mtn.on_name = lambda msisdn: called(names[msisdn[-1]])
    office.check(run)
    office.override(run, 2)
    with world.ledger.read() as tx:
        found = run_checks.flagged(tx, run.id, limit=10)
    assert [(one.check.place, one.check.verdict) for one in found] == [(4, BLOCK), (1, REVIEW), (5, REVIEW), (2, BLOCK)]
    assert (found[0].name, found[0].line, found[0].msisdn) == ("Person 3", 5, "256772100003")
    shown = repr((found, office.row(run, 4), Holder("256772100003", active=True, name="Other")))
    assert not [word for word in ("Person 3", "Other", "256772100003") if word in shown]


def test_two_checks_at_once_are_one(world: World, office: Office) -> None:
    run = a_run(world, 40)
    other = Office(world.beside())
    results = side_by_side(lambda: office.check(run), lambda: other.check(run))
    assert not failures(results)
    assert (office.left(run), world.count("run_check"), world.count("holder_check")) == ((0, 0), 40, 40)


def test_half_an_override_is_refused_by_the_schema(world: World, office: Office) -> None:
    run = a_run(world, 1)
    office.check(run)
    with pytest.raises(IntegrityError), world.ledger.write() as tx:
        tx.conn.exec_driver_sql("UPDATE run_check SET override_reason = 'because'")
    assert office.row(run, 1) is not None


def test_a_released_run_keeps_its_verdicts(world: World, office: Office) -> None:
    run = a_run(world, 2)
    office.check(run)
    with world.ledger.write() as tx:
        assert runs.move_if(tx, run.id, "draft", "released")
        assert runs.forget_rows(tx, run.id, limit=10) == 0
    assert office.counts(run) == Counts(passed=2)
