"""Periods are decided once, whatever pumps, clocks and edits do; each is fired, or told as missed or skipped."""

from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.ledger_world import World, side_by_side
from tests.support.restored import KNOWN_BY, Restored, unnoticed
from tests.support.schedule_office import FEES, ID, Treasury, a_treasury, payers

from momo_worker.ledger import recovery, schedules
from momo_worker.schedules import firing as firing_room

# The world begins on 2026-12-01 at 06:00 in UTC, which is 09:00 in Kampala.
TODAY = "2026-12-01"


@pytest.fixture
def treasury(world: World) -> Treasury:
    return a_treasury(world)


def periods(world: World) -> list[tuple[str, str]]:
    return world.rows("SELECT period, state FROM schedule_period ORDER BY period")


def test_a_period_fires_at_its_moment_and_not_before(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    firing = treasury.firing()
    treasury.at("2026-12-05T05:59:59")
    assert (firing.fire(), periods(world)) == (0, [])
    treasury.at("2026-12-05T06:00:00")
    assert (firing.fire(), periods(world)) == (1, [("2026-12", "fired")])
    assert firing.fire() == 0
    treasury.turn()
    assert set(treasury.states()) == {f"sch/{ID}/2026-12/P0", f"sch/{ID}/2026-12/P1"}
    assert treasury.payer_events() == [("fired", "2026-12")]


def test_a_new_schedule_begins_with_the_period_that_begins_after_it_was_made(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), after_day=TODAY)
    firing = treasury.firing()
    treasury.at("2027-01-05T06:00:00")
    firing.fire()
    assert periods(world) == [("2027-01", "fired")]


def test_of_two_pumps_one_fires(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(3), after_day="2026-11-30")
    treasury.sign()
    pumps = [treasury.firing(), treasury.firing(world.beside())]
    treasury.at("2026-12-05T06:00:00")
    assert sorted(side_by_side(*(pump.fire for pump in pumps))) == [0, 1]
    assert (world.count("schedule_due"), world.count("run"), world.count("run_row")) == (3, 1, 3)


def test_a_kill_in_the_middle_of_a_firing_leaves_nothing_and_the_next_pass_does_all(
    world: World, treasury: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(firing_room.telling, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            treasury.firing().fire()
    assert [world.count(table) for table in ("schedule_period", "schedule_due", "run", "run_row")] == [0, 0, 0, 0]
    assert treasury.firing().fire() == 1
    assert world.count("run_row") == 2


WEEKLY = {"rule": "weekly on monday at 09:00", "after_day": TODAY}


@pytest.mark.parametrize(
    ("policy", "fired", "missed"),
    [
        ("all", ["2026-W50", "2026-W51", "2026-W52"], []),
        ("latest", ["2026-W52"], ["2026-W50", "2026-W51"]),
        ("within:8d", ["2026-W51", "2026-W52"], ["2026-W50"]),
    ],
)
def test_pumps_that_were_down_for_weeks_catch_up_by_the_policy_and_tell_what_was_missed(
    world: World, treasury: Treasury, policy: str, fired: list[str], missed: list[str]
) -> None:
    treasury.schedule(payers(2), catch_up=policy, **WEEKLY)
    treasury.sign()
    treasury.at("2026-12-22T06:00:00")
    assert treasury.firing().fire() == len(fired)
    assert [name for name, state in periods(world) if state == "fired"] == fired
    assert [name for name, state in periods(world) if state == "missed"] == missed
    assert treasury.payer_events() == [
        (state, name) for name, state in sorted([*((n, "fired") for n in fired), *((n, "missed") for n in missed)])
    ]


def test_a_clock_that_runs_ahead_and_is_set_right_again_asks_nobody(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    firing = treasury.firing()
    firing.fire()
    world.clock.jump(40 * 86_400)
    assert firing.fire() == 0
    world.clock.on(300)
    assert firing.fire() == 0
    world.clock.jump(-40 * 86_400)
    firing.fire()
    world.clock.on(700)
    assert (firing.fire(), periods(world)) == (0, [])


def test_a_clock_that_jumps_and_stays_is_believed_after_ten_minutes(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    firing = treasury.firing()
    firing.fire()
    world.clock.jump(5 * 86_400)
    assert firing.fire() == 0
    world.clock.on(601)
    assert firing.fire() == 1


def test_a_clock_that_goes_back_fires_no_period_again(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    firing = treasury.firing()
    treasury.at("2026-12-05T06:00:00")
    assert firing.fire() == 1
    world.clock.jump(-3_600)
    firing.fire()
    for _ in range(12):
        world.clock.on(601)
        assert firing.fire() == 0
    assert world.count("schedule_period") == 1


def test_a_schedule_that_was_moved_to_a_later_day_asks_nobody_twice_in_a_month(
    world: World, treasury: Treasury
) -> None:
    """Fired on the 5th, then edited to the 10th (money-review H1): the period's name is the calendar's."""
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    firing = treasury.firing()
    treasury.at("2026-12-05T06:00:00")
    firing.fire()
    with world.ledger.write() as tx:
        schedules.change(tx, ID, rule="monthly on 10 at 09:00")
    treasury.at("2027-01-09T06:00:00")
    assert firing.fire() == 0
    treasury.at("2027-01-10T06:00:00")
    assert firing.fire() == 1
    assert periods(world) == [("2026-12", "fired"), ("2027-01", "fired")]


def test_a_holiday_moves_a_period_or_has_it_told_as_skipped(world: World, treasury: Treasury) -> None:
    """25 December 2026 is a Friday, and the 26th a holiday, too: the Monday is the next working day."""
    christmas = {"rule": "monthly on 25 at 09:00", "after_day": "2026-11-30", "holidays": "UG"}
    treasury.schedule(payers(1), on_holiday="after", **christmas)
    treasury.schedule(payers(1), id=ID[:-1] + "2", name="skips", on_holiday="skip", **christmas)
    treasury.schedule(payers(1), id=ID[:-1] + "3", name="before", on_holiday="before", **christmas)
    firing = treasury.firing()
    treasury.at("2026-12-24T06:00:00")
    assert firing.fire() == 1
    treasury.at("2026-12-25T06:00:00")
    assert firing.fire() == 0
    treasury.at("2026-12-28T06:00:00")
    assert firing.fire() == 1
    rows = world.rows(
        "SELECT s.name, p.state, p.nominal_on FROM schedule_period AS p JOIN schedule AS s ON s.id = p.schedule_id ORDER BY 1"
    )
    assert rows == [
        ("before", "fired", "2026-12-25"),
        (FEES, "fired", "2026-12-25"),
        ("skips", "skipped", "2026-12-25"),
    ]
    assert ("skipped", "2026-12") in treasury.payer_events()


def test_days_that_holidays_put_in_another_order_are_each_decided(world: World, treasury: Treasury) -> None:
    """The 25th and 26th wait until the 28th, and the 27th, a Sunday, doesn't: it comes first and takes nothing from them."""
    treasury.schedule(payers(1), rule="daily at 09:00", after_day="2026-12-24", holidays="UG", on_holiday="after")
    firing = treasury.firing()
    treasury.at("2026-12-27T06:00:00")
    assert firing.fire() == 1
    treasury.at("2026-12-28T06:00:00")
    assert firing.fire() == 3
    assert [name for name, _ in periods(world)] == ["2026-12-25", "2026-12-26", "2026-12-27", "2026-12-28"]


def test_a_yearly_period_that_is_due_at_its_end_is_not_late(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), rule="yearly on 31 december at 09:00", after_day="2025-12-31")
    firing = treasury.firing()
    assert firing.fire() == 0
    treasury.at("2026-12-31T05:59:59")
    assert firing.fire() == 0
    world.clock.on(1)
    assert firing.fire() == 1
    assert periods(world) == [("2026", "fired")]


def test_nothing_fires_while_a_restored_ledger_is_searched(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.at("2026-12-05T06:00:00")
    firing = treasury.firing()
    with world.ledger.write() as tx:
        recovery.begin(tx, recovery.Why.BY_PERSON, tide_known=0, copies=[], jobs_margin_ms=0, detail=None, actor="boss")
    assert (firing.fire(), periods(world)) == (0, [])


def test_a_paused_schedule_catches_up_when_it_goes_on(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), state="paused", catch_up="latest", **WEEKLY)
    firing = treasury.firing()
    treasury.at("2026-12-22T06:00:00")
    assert (firing.fire(), periods(world)) == (0, [])
    world.write("UPDATE schedule SET state = 'active'")
    assert firing.fire() == 1
    assert periods(world) == [("2026-W50", "missed"), ("2026-W51", "missed"), ("2026-W52", "fired")]


def test_one_that_cant_be_read_wakes_somebody_and_keeps_nobody_else(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(1), id=ID[:-1] + "2", name="broken", rule="whenever", after_day="2026-11-30")
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.at("2026-12-05T06:00:00")
    with capture_logs() as logs:
        assert treasury.firing().fire() == 1
    assert [(line["schedule"], line["why"]) for line in logs if line["log_level"] == "error"] == [
        ("broken", "`whenever` is no rule")
    ]


def test_a_ledger_that_lost_a_firing_asks_for_the_very_same_payments_again(world: World, treasury: Treasury) -> None:
    treasury.schedule(payers(2), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    treasury.firing().fire()
    treasury.turn()
    references = sorted(world.mtn.references())
    for table in ("run_release", "run_row", "schedule_round", "schedule_due", "schedule_period", "run"):
        world.write(f"DELETE FROM {table}")
    assert treasury.firing().fire() == 1
    treasury.turn()
    assert (world.count("payment"), sorted(world.mtn.references())) == (2, references)


@pytest.mark.parametrize("known_by", KNOWN_BY)
def test_a_restored_ledger_that_nobody_has_noticed_fires_nothing_and_ends_nothing(
    restored: Restored, known_by: str
) -> None:
    """It has lost what was settled or asked since: until a pump has compared, nothing is decided on its word."""
    world = restored.world
    treasury = a_treasury(world)
    treasury.schedule(payers(1), after_day="2026-11-30")
    treasury.sign()
    treasury.at("2026-12-05T06:00:00")
    restored.backup()
    unnoticed(restored, known_by)
    assert (treasury.firing().fire(), world.count("schedule_period")) == (0, 0)
    assert treasury.following().follow() == 0
    assert treasury.feeder().feed() == 0
