"""Schedules on a world's ledger: a list of payers that an approver has signed for, periods that fire; what tests of schedules share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.ledger_world import World
from tests.support.run_office import Office, an_office

from momo_worker.ledger import schedule_dues, schedules
from momo_worker.ledger.schedules import DecidedPeriod, Payer, Schedule
from momo_worker.payment.payment import Product
from momo_worker.runs.feeding import Feeder
from momo_worker.schedules.firing import Firing
from momo_worker.schedules.following import Following
from momo_worker.schedules.mandating import Mandated, sign_mandate
from momo_worker.schedules.rounds import make_round
from momo_worker.settings_schedules import Etiquette
from momo_worker.timing.asking_again import Policy
from momo_worker.timing.quiet import QuietHours

ID = "3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e11"
FEES = "fees"


def payers(count: int, amount: int = 50_000) -> list[Payer]:
    """Pupils of a school, each with a number of their own."""
    return [
        Payer(f"P{place}", f"P{place}", f"Pupil {place}", f"2567722{place:05d}", amount + place, None)
        for place in range(count)
    ]


@dataclass
class Treasury:
    """A school's fees: made by ada, approved by boss."""

    office: Office

    @property
    def world(self) -> World:
        return self.office.world

    def schedule(self, people: list[Payer], **changes: Any) -> Schedule:
        """A monthly schedule with these payers, not signed for yet."""
        with self.world.ledger.write() as tx:
            values: dict[str, Any] = {
                "id": ID,
                "account": "default",
                "name": FEES,
                "state": "active",
                "rule": "monthly on 5 at 09:00",
                "zone": "Africa/Kampala",
                "starts_on": "2026-01-01",
                "ends_on": None,
                "after_day": "2026-01-01",
                "amount_minor": None,
                "currency": "UGX",
                "exponent": 0,
                "note": "School fees",
                "holidays": None,
                "on_holiday": "keep",
                "extra_holidays": "",
                "catch_up": "all",
                "maker": "ada",
                "made_at_ms": tx.now_ms,
                "changed_at_ms": tx.now_ms,
            }
            made = Schedule(**{**values, **changes})
            schedules.add(tx, made)
            schedules.put_payers(tx, made.id, people)
        return made

    def sign(self, name: str = FEES, who: str = "boss", **more: Any) -> Mandated:
        entry = self.office.people.counted[who]
        return sign_mandate(self.world.parts, "default", name, entry, lambda: self.office.keys[who], **more)

    def fire(self, made: Schedule, period: str = "2026-12") -> None:
        """What a firing writes, without asking whether its time has come."""
        with self.world.ledger.write() as tx:
            count, total = schedules.count_payers(tx, made.id)
            day = f"{period}-01"
            decided = DecidedPeriod(period, day, f"{period}-28", day, tx.now_ms, "fired", "", count, total, tx.now_ms)
            schedules.add_period(tx, made.id, decided)
            schedule_dues.snapshot(tx, made.id, period)
            make_round(tx, self.world.parts, made, period)

    def firing(self, world: World | None = None) -> Firing:
        """A pump's loop that decides periods."""
        return Firing((world or self.world).parts)

    def following(self, policy: Policy | None = None, quiet: QuietHours | None = None) -> Following:
        """A pump's loop that concludes asks and asks again."""
        return Following(self.world.parts, Etiquette(policy or Policy(), quiet))

    def at(self, text: str) -> None:
        """Turn the clock forward to a moment, `2026-12-05T06:00`, in UTC."""
        there_ms = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        assert there_ms >= self.world.clock.now_ms(), text
        self.world.clock.on((there_ms - self.world.clock.now_ms()) / 1000)

    def payer_events(self) -> list[tuple[str, str]]:
        """What was told of schedules, with the payer or the period it is about."""
        found = [event for event in self.world.events() if event["type"].startswith("momo.schedule.")]
        return [
            (event["type"].removeprefix("momo.schedule."), event["data"].get("payer_id") or event["data"]["period"])
            for event in found
        ]

    def dues(self) -> dict[str, str]:
        """Where each payer stands, by period and id."""
        rows = self.world.rows("SELECT period, payer_id, state FROM schedule_due ORDER BY period, payer_id")
        return {f"{period} {payer}": state for period, payer, state in rows}

    def feeder(self) -> Feeder:
        return self.office.feeder()

    def turn(self) -> None:
        """Rows become payments, and what is due is sent."""
        self.feeder().feed()
        self.world.turn(product=Product.COLLECTION)

    def states(self) -> dict[str, str]:
        return dict(self.world.rows("SELECT idempotency_key, state FROM payment ORDER BY idempotency_key"))


def a_treasury(world: World) -> Treasury:
    """People with keys around a world's ledger."""
    return Treasury(an_office(world))
