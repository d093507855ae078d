"""Schedules are made, edited, held and ended, and nobody is asked twice for it, nor by a list that came to harm (money-review H1, H3)."""

import random
from itertools import pairwise
from typing import Any

import pytest
from tests.support.ledger_world import World
from tests.support.schedule_office import FEES, ID, Treasury, a_treasury, payers

from momo_worker.ledger import schedule_desk, schedules
from momo_worker.ledger.schedules import Payer, Schedule
from momo_worker.runs.releasing import pause_run
from momo_worker.schedules.applying import Applied, apply_declared
from momo_worker.schedules.declared import Declared, read_declared
from momo_worker.schedules.editing import Permitted, Taken, Wish, prepare, take
from momo_worker.schedules.holding import pause_schedule, remove_schedule, resume_schedule
from momo_worker.schedules.payer_file import PayerFile
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.schedules.wording import Said

# The world begins on 2026-12-01 at 09:00 in Kampala.


@pytest.fixture
def treasury(world: World) -> Treasury:
    return a_treasury(world)


def a_list(people: list[Payer], *, amounts: bool = True) -> PayerFile:
    head = "student no,name,phone" + (",fees" if amounts else "")
    lines = [f"{one.payer_id},{one.name},{one.msisdn}" + (f",{one.amount_minor}" if amounts else "") for one in people]
    return PayerFile("pupils.csv", "\n".join([head, *lines]).encode())


def add(world: World, said: Said, file: PayerFile | None, begins: str | None = None, **permitted: Any) -> Taken:
    return _taken(world, Wish("default", said, file, "ada", begins=begins), Permitted(**permitted))


def edit(world: World, said: Said, file: PayerFile | None = None, name: str = FEES, **permitted: Any) -> Taken:
    with world.ledger.read() as tx:
        before = schedules.named(tx, "default", name)
        assert before is not None
        last_end = schedules.last_end(tx, before.id)
    return _taken(world, Wish("default", said, file, "ada", before, last_end), Permitted(**permitted))


def _taken(world: World, wish: Wish, permitted: Permitted) -> Taken:
    prepared = prepare(world.parts, wish, world.clock.now_ms())
    with world.ledger.write() as tx:
        return take(tx, world.parts, prepared, permitted)


def fees(**changes: str) -> Said:
    return Said(**{"name": FEES, "rule": "monthly on 5", **changes})


def journal(world: World, schedule: Schedule) -> list[tuple[str, str]]:
    with world.ledger.read() as tx:
        return [(one.actor, one.action) for one in schedule_desk.decisions_about(tx, schedule.id, "default")]


def periods(world: World) -> list[tuple[str, str]]:
    return world.rows("SELECT period, state FROM schedule_period ORDER BY begins_on, period")


def test_a_schedule_begins_with_the_first_period_after_it_was_made_and_is_asked_for_under_its_own_id(
    world: World, treasury: Treasury
) -> None:
    made = add(world, fees(), a_list(payers(2)))
    assert (made.schedule.zone, made.schedule.after_day, made.first.name) == ("Africa/Kampala", "2026-12-01", "2027-01")
    assert (made.payers, made.total_minor, made.unsigned, made.passed) == (2, 100_001, 2, ())
    assert journal(world, made.schedule) == [("ada", "schedule added")]
    treasury.sign()
    treasury.at("2027-01-05T06:00:00")
    treasury.firing().fire()
    treasury.turn()
    assert set(treasury.states()) == {f"sch/{made.schedule.id}/2027-01/{payer}" for payer in ("P0", "P1")}


@pytest.mark.parametrize(
    ("rule", "begins", "first", "passed"),
    [
        ("monthly on 5", "2026-12", "2026-12", ()),
        ("monthly on 5", "2026-11", "2026-11", ("2026-11",)),
        ("monthly on 5", "2026-11-20", "2026-11", ("2026-11",)),
        ("every 2 weeks on friday", "2026-W49", "2026-W49", ()),
        ("every 2 weeks on friday", None, "2026-W50", ()),
        ("every 2 weeks on monday", "2026-12-03", "2026-W49", ("2026-W49",)),
        ("yearly on 31 march", None, "2027", ()),
        ("daily", None, "2026-12-02", ()),
        ("RRULE:FREQ=MONTHLY;BYDAY=2SA", None, "2027-01", ()),
        ("every 3 months on 5", None, "2027-01", ()),
    ],
)
def test_a_schedule_begins_where_it_is_told_to(
    world: World, rule: str, begins: str | None, first: str, passed: tuple[str, ...]
) -> None:
    made = add(world, fees(rule=rule), a_list(payers(1)), begins)
    assert (made.first.name, made.passed) == (first, passed)


@pytest.mark.parametrize(
    ("said", "begins", "words"),
    [
        (fees(rule="RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), None, "never fires"),
        (fees(ends="2026-11-01"), None, "ends on 2026-11-01"),
        (fees(ends="2026-12-20"), None, "never fires"),
        (fees(), "2026-13", "is no period"),
        (fees(zone="Africa/Kampla"), None, "did you mean Africa/Kampala"),
        (fees(starts="2030-01-01", ends="2029-01-01"), None, "ends on 2029-01-01"),
    ],
)
def test_what_can_never_ask_anybody_is_refused(world: World, said: Said, begins: str | None, words: str) -> None:
    with pytest.raises(NotChangedError) as caught:
        add(world, said, a_list(payers(1)), begins)
    assert words in str(caught.value.problems[0])
    assert world.count("schedule") == 0


def test_all_that_is_wrong_is_told_at_once(world: World) -> None:
    file = PayerFile("pupils.csv", b"student no,phone,fees\nS1,12,5\nS2,0772123456,x\n")
    with pytest.raises(NotChangedError) as caught:
        add(world, Said(rule="monthly on 40", zone="x"), file)
    assert [one.where for one in caught.value.problems] == [
        "--rule",
        "--zone",
        "--name",
        "pupils.csv line 2, phone",
        "pupils.csv line 3, fees",
    ]


def test_a_name_is_free_again_when_its_schedule_was_removed(world: World) -> None:
    made = add(world, fees(), a_list(payers(1)))
    with pytest.raises(NotChangedError) as caught:
        add(world, fees(), a_list([Payer("X", "X", None, "256772299999", 5, None)]))
    assert "is the name of another schedule" in str(caught.value.problems[0])
    remove_schedule(world.parts, "default", FEES, reason="a slip", by="ada")
    again = add(world, fees(), a_list([Payer("X", "X", None, "256772299999", 5, None)]))
    assert again.schedule.id != made.schedule.id


# ---- edits (money-review H1) ------------------------------------------------------------------------------------


def test_an_edit_after_the_fifth_was_asked_asks_nobody_a_second_time_in_december(
    world: World, treasury: Treasury
) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    firing = treasury.firing()
    firing.fire()
    edited = edit(world, Said(rule="monthly on 10"))
    assert edited.first.name == "2027-01"
    treasury.at("2026-12-31T06:00:00")
    firing.fire()
    assert periods(world) == [("2026-12", "fired")]
    treasury.at("2027-01-10T06:00:00")
    firing.fire()
    assert periods(world) == [("2026-12", "fired"), ("2027-01", "fired")]


@pytest.mark.parametrize(
    ("rule", "first"),
    [
        ("weekly on monday", "2027-W01"),
        ("every 2 weeks on friday", "2027-W02"),
        ("daily", "2027-01-01"),
        ("yearly on 5 march", "2027"),
    ],
)
def test_an_edit_to_another_measure_holds_after_the_month_that_was_asked_for(
    world: World, treasury: Treasury, rule: str, first: str
) -> None:
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    edited = edit(world, Said(rule=rule))
    assert (edited.schedule.after_day, edited.first.begins.isoformat() > "2026-12-31") == ("2026-12-31", True)
    assert edited.first.name == first
    treasury.at("2026-12-31T20:00:00")
    treasury.firing().fire()
    assert periods(world) == [("2026-12", "fired")]


def test_an_edit_before_the_period_fired_holds_for_it(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), after_day="2026-11-30")
    edited = edit(world, Said(rule="monthly on 20 at 10:00", note="Fees of December"))
    assert (edited.first.name, edited.first.moved.isoformat()) == ("2026-12", "2026-12-20")
    assert len(edited.edited) == 2


RULES = (
    "monthly on 5", "monthly on last friday", "last working day", "every 2 weeks on friday", "weekly on monday", "daily", "every 10 days",
    "every 3 months on 5", "quarterly on 5", "yearly on 31 march", "RRULE:FREQ=MONTHLY;BYDAY=2SA", "RRULE:FREQ=WEEKLY;BYDAY=MO,TH",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_edited_no_day_belongs_to_two_periods_that_asked(
    world: World, treasury: Treasury, seed: int
) -> None:
    chance = random.Random(seed)
    treasury.schedule(payers(1), after_day="2026-11-30")
    for _ in range(90):
        step = chance.random()
        if step < 0.35:
            edit(world, Said(rule=chance.choice(RULES)))
        elif step < 0.5:
            edit(
                world,
                Said(holidays=chance.choice(["UG", "none"]), on_holiday=chance.choice(["before", "after", "keep"])),
            )
        elif step < 0.6:
            edit(world, Said(starts=chance.choice(["2026-01-01", "2026-11-19", "2027-02-03"])))
        else:
            world.clock.on(chance.choice([3_600, 40_000, 86_400, 20 * 86_400]))
        if chance.random() < 0.6:
            treasury.firing().fire()
    asked = world.rows("SELECT begins_on, ends_on FROM schedule_period WHERE state = 'fired' ORDER BY begins_on")
    assert len(asked) > 1
    assert all(before[1] < after[0] for before, after in pairwise(asked)), asked


def test_a_name_means_nothing(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    edited = edit(world, Said(name="tuition"))
    assert (edited.schedule.id, edited.schedule.after_day, edited.first.name) == (ID, "2026-11-30", "2027-01")
    treasury.firing().fire()
    assert periods(world) == [("2026-12", "fired")]


def test_what_was_edited_in_the_same_moment_is_said_again(world: World, treasury: Treasury) -> None:
    made = treasury.schedule(payers(1), after_day="2026-11-30")
    wish = Wish("default", Said(rule="monthly on 6"), None, "ada", made, None)
    prepared = prepare(world.parts, wish, world.clock.now_ms())
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    with pytest.raises(NotChangedError, match="in this very moment"), world.ledger.write() as tx:
        take(tx, world.parts, prepared, Permitted())


def test_an_edit_that_says_nothing_new_changes_nothing(world: World, treasury: Treasury) -> None:
    people = payers(3)
    made = treasury.schedule(people)
    same = edit(world, Said(rule="Monthly on the 5th"), a_list(people))
    assert (same.edited, same.schedule, journal(world, made)) == ((), made, [])


# ---- lists of payers --------------------------------------------------------------------------------------------


def test_a_list_that_lost_its_half_is_held_back_until_somebody_says_why(world: World, treasury: Treasury) -> None:
    people = payers(10)
    made = treasury.schedule(people)
    with pytest.raises(NotChangedError) as caught:
        edit(world, Said(), a_list(people[:5]))
    assert "differs by 50 %" in caught.value.why
    assert "5 gone, 0 new, 0 with another" in caught.value.why
    assert "gone: P5 (Pupil 5), 256…05, 50005" in caught.value.why
    assert people[5].msisdn not in caught.value.why
    with world.ledger.read() as tx:
        assert schedules.count_payers(tx, ID)[0] == 10
    taken = edit(world, Said(), a_list(people[:5]), accept_changes="the leavers of 2026")
    assert taken.payers == 5
    (reason,) = world.rows("SELECT reason FROM journal WHERE action = 'schedule edited'")
    assert "the leavers of 2026" in reason
    assert journal(world, made) == [("ada", "schedule edited")]


def test_what_changed_is_counted_over_the_larger_list(world: World, treasury: Treasury) -> None:
    people = payers(10)
    treasury.schedule(people)
    others = [Payer("N1", "N1", "New", "256772299991", 5, None), *people[:8], people[9]]
    dearer = [*others[:-1], Payer("P9", "P9", "Pupil 9", people[9].msisdn, 99, None)]
    with pytest.raises(NotChangedError, match="differs by 40 %"):
        edit(
            world,
            Said(),
            a_list([*dearer[:-2], Payer("P7", "P7", "Pupil 7", "256772299992", 50_007, None), dearer[-1]]),
        )
    assert edit(world, Said(), a_list(dearer)).unsigned == 10
    taken = edit(world, Said(amount="7000"))
    assert (taken.payers, taken.total_minor) == (10, 70_000)


def test_payers_beyond_the_mandate_are_counted(world: World, treasury: Treasury) -> None:
    people = payers(4)
    treasury.schedule(people)
    treasury.sign()
    cheaper = [Payer("P0", "P0", "Pupil 0", people[0].msisdn, 1, None), *people[1:]]
    assert edit(world, Said(), a_list(cheaper)).unsigned == 0
    more = [*cheaper, Payer("P5", "P5", "Pupil 5", "256772299995", 1, None)]
    assert edit(world, Said(), a_list(more)).unsigned == 1
    taken = edit(world, Said(amount="60000"), a_list(more, amounts=False))
    assert (taken.unsigned, taken.above_ceiling) == (5, True)


def test_payers_of_another_schedule_are_asked_by_both_only_where_somebody_says_so(
    world: World, treasury: Treasury
) -> None:
    people = payers(3)
    treasury.schedule(people)
    bus = fees(name="bus")
    with pytest.raises(NotChangedError, match=r"2 by fees \(active\)"):
        add(world, bus, a_list(people[:2]))
    made = add(world, bus, a_list(people[:2]), also="the bus costs extra")
    (reason,) = world.rows("SELECT reason FROM journal WHERE action = 'schedule added'")
    assert "the bus costs extra" in reason
    # Those that are in it already are no news; another one is.
    assert edit(world, Said(note="Bus"), a_list(people[:2]), name="bus").schedule.id == made.schedule.id
    with pytest.raises(NotChangedError, match=r"1 by fees \(active\)"):
        edit(world, Said(), a_list(people), name="bus", accept_changes="one more")


def test_a_schedule_that_is_declared_anew_in_the_period_it_asked_for_is_held_back(
    world: World, treasury: Treasury
) -> None:
    people = payers(2)
    treasury.schedule(people, after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    treasury.at("2026-12-10T06:00:00")
    remove_schedule(world.parts, "default", FEES, reason="renamed", by="ada")
    with pytest.raises(NotChangedError, match=r"2 by fees \(removed\)"):
        add(world, fees(name="tuition"), a_list(people), "2026-12")
    treasury.at("2027-01-01T06:00:00")
    assert add(world, fees(name="tuition"), a_list(people)).payers == 2


# ---- holding and ending -----------------------------------------------------------------------------------------


def an_open_round(world: World, treasury: Treasury) -> Schedule:
    """A schedule that has fired, whose rows aren't handed over yet."""
    made = treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    assert treasury.firing().fire() == 1
    return made


def test_a_pause_stops_periods_and_what_is_being_asked_for_and_a_resume_lets_both_go_on(
    world: World, treasury: Treasury
) -> None:
    made = an_open_round(world, treasury)
    held = pause_schedule(world.parts, "default", FEES, reason="a strike", by="ada")
    assert held.runs == ("fees-2026-12",)
    treasury.turn()
    assert world.mtn.left == []
    treasury.at("2027-01-05T06:00:00")
    assert treasury.firing().fire() == 0
    with pytest.raises(NotChangedError, match="paused already"):
        pause_schedule(world.parts, "default", FEES, reason="once more", by="ada")
    freed = resume_schedule(world.parts, "default", FEES, reason="over", by="ada")
    assert (freed.runs, freed.still_paused, freed.passed) == (("fees-2026-12",), (), ("2027-01",))
    assert world.rows("SELECT run FROM pause WHERE lifted_at_ms IS NULL") == []
    assert treasury.firing().fire() == 1
    treasury.turn()
    assert len(treasury.states()) == 4
    assert journal(world, made)[:2] == [("ada", "schedule resumed"), ("ada", "schedule paused")]


def test_a_resume_lifts_no_pause_that_isnt_its_own(world: World, treasury: Treasury) -> None:
    an_open_round(world, treasury)
    pause_run(world.parts, "default", "fees-2026-12", reason="the bank called", by="boss")
    pause_schedule(world.parts, "default", FEES, reason="a strike", by="ada")
    freed = resume_schedule(world.parts, "default", FEES, reason="over", by="ada")
    assert (freed.runs, freed.still_paused) == ((), (("fees-2026-12", "the bank called"),))
    treasury.turn()
    assert world.mtn.left == []


@pytest.mark.parametrize("fed", [False, True])
def test_what_a_removed_schedule_has_not_sent_is_never_sent(world: World, treasury: Treasury, *, fed: bool) -> None:
    made = an_open_round(world, treasury)
    if fed:
        treasury.feeder().feed()
    done = remove_schedule(world.parts, "default", FEES, reason="the school closed", by="ada")
    assert (done.spared, done.cancelled, done.sent) == ((0, 2, 0) if fed else (2, 0, 0))
    treasury.turn()
    treasury.at("2027-01-05T06:00:00")
    assert treasury.firing().fire() == 0
    treasury.turn()
    assert world.mtn.left == []
    assert set(treasury.states().values()) <= {"cancelled"}
    assert journal(world, made)[0] == ("ada", "schedule removed")
    with pytest.raises(NotChangedError, match="has no schedule fees"):
        remove_schedule(world.parts, "default", FEES, reason="again", by="ada")
    again = remove_schedule(world.parts, "default", made.id, reason="killed in the middle", by="ada")
    assert again.cancelled == 0


# ---- schedules.toml ---------------------------------------------------------------------------------------------

OTHER = "3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e12"


def entry(schedule_id: str, name: str, rule: str = "monthly on 5", more: str = "") -> str:
    return f'[[schedule]]\nid = "{schedule_id}"\nname = "{name}"\nrule = "{rule}"\npayers = "{name}.csv"\n{more}\n'


def apply(
    world: World, text: str, lists: dict[str, list[Payer]], *, dry_run: bool = False, **permitted: Any
) -> Applied:
    def read(one: Declared) -> PayerFile:
        return a_list(lists[one.schedule_id])

    declared = read_declared(text, "schedules.toml")
    return apply_declared(world.parts, declared, read, Permitted(**permitted), by="ada", dry_run=dry_run)


def test_a_file_is_brought_onto_the_same_table_and_again_changes_nothing(world: World) -> None:
    lists = {ID: payers(2), OTHER: [Payer("T1", "T1", "Tenant", "256772299999", 9_000, None)]}
    text = entry(ID, "fees", more="from = 2026-12-01\nholidays = 'UG'\non_holiday = 'after'") + entry(
        OTHER, "rent", "last working day"
    )
    dry = apply(world, text, lists, dry_run=True)
    assert ([one.first.name for one in dry.taken], world.count("schedule")) == (["2026-12", "2027-01"], 0)
    done = apply(world, text, lists)
    assert {one.schedule.id for one in done.taken} == {ID, OTHER}
    again = apply(
        world,
        entry(OTHER, "rent", "last working day") + entry(ID, "fees", more="holidays = 'UG'\non_holiday = 'after'"),
        lists,
    )
    assert [one.edited for one in again.taken] == [(), ()]
    assert world.rows("SELECT after_day FROM schedule WHERE name = 'fees'") == ["2026-11-30"]


def test_what_was_renamed_and_moved_in_the_file_is_the_same_schedule_and_asks_nobody_twice(
    world: World, treasury: Treasury
) -> None:
    people = payers(2)
    treasury.schedule(people, after_day="2026-11-30", note=None)
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    done = apply(world, entry(ID, "tuition", "monthly on 10", "starts = 2026-01-01"), {ID: people})
    assert (done.taken[0].schedule.name, done.taken[0].first.name, done.left) == ("tuition", "2027-01", ())
    treasury.at("2026-12-31T06:00:00")
    treasury.firing().fire()
    treasury.turn()
    assert len(treasury.states()) == 2


def test_what_isnt_in_the_file_goes_on_and_is_told(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1))
    done = apply(world, "", {})
    assert ([one.name for one in done.left], done.left[0].state) == ([FEES], "active")


def test_a_file_is_taken_whole_or_not_at_all(world: World, treasury: Treasury) -> None:
    people = payers(2)
    treasury.schedule(people, name="old")
    text = entry(OTHER, "rent") + entry("3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e13", "bus")
    lists = {OTHER: [Payer("T1", "T1", "Tenant", "256772299999", 9_000, None)], text[-1]: people}
    lists["3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e13"] = people
    with pytest.raises(NotChangedError, match=r"payers of bus are asked by other schedules.*2 by old"):
        apply(world, text, lists)
    assert world.count("schedule") == 1
    assert len(apply(world, text, lists, also="the bus costs extra").taken) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("account = 'shop'", "is no account of this machine"),
        ("zone = 'Kampala'", "did you mean Africa/Kampala"),
        ("amount = '12.5'", "fraction"),
    ],
)
def test_an_entry_that_cant_be_is_told_with_its_place(world: World, more: str, words: str) -> None:
    with pytest.raises(NotChangedError) as caught:
        apply(world, entry(ID, "fees", more=more), {ID: payers(1)})
    assert str(caught.value.problems[0]).startswith("schedules.toml, schedule 1 (fees): ")
    assert words in str(caught.value.problems[0])


def test_a_removed_schedule_doesnt_come_back_under_its_id(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1))
    remove_schedule(world.parts, "default", FEES, reason="over", by="ada")
    with pytest.raises(NotChangedError) as caught:
        apply(world, entry(ID, "fees"), {ID: payers(1)})
    assert "was removed" in str(caught.value.problems[0])


def test_a_period_that_a_new_rule_leaves_behind_is_told_as_skipped(world: World, treasury: Treasury) -> None:
    """The 25th and 26th wait until the 28th, the 27th was asked for on its own day, and then the rule is another."""
    made = treasury.schedule(
        payers(1), rule="daily at 09:00", after_day="2026-12-24", holidays="UG", on_holiday="after"
    )
    treasury.at("2026-12-27T06:00:00")
    treasury.firing().fire()
    wish = Wish("default", Said(rule="weekly on monday"), None, "ada", made, "2026-12-27")
    _taken(world, wish, Permitted())
    assert world.rows("SELECT period, state FROM schedule_period ORDER BY period") == [
        ("2026-12-25", "skipped"),
        ("2026-12-26", "skipped"),
        ("2026-12-27", "fired"),
    ]
    assert [one for one in treasury.payer_events() if one[0] == "skipped"] == [
        ("skipped", "2026-12-25"),
        ("skipped", "2026-12-26"),
    ]
