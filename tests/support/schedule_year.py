"""A year of three schedules and a till, day by day, with kills, clocks that jump, and pumps that are down: a seed comes in, books go out.

What runs is the product: its ledger, its firing, feeding, claims, outcomes and asking again. MTN is a list of prompts with an end each;
its time is the world's, which no ledger's clock can turn.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.support.ledger_world import World
from tests.support.schedule_office import Treasury, a_treasury

from momo_worker.ledger import schedules
from momo_worker.ledger.schedules import Payer
from momo_worker.payment.payment import Product
from momo_worker.payment.rules import DAY, HOUR, MINUTE
from momo_worker.payment.verdict import LookAnswer, LookVerdict, RenderedRequest, SendAnswer, SendVerdict, Status
from momo_worker.schedules.firing import Firing
from momo_worker.schedules.following import Following
from momo_worker.schedules.planning import timetable_of
from momo_worker.schedules.settling import NotSettledError, Settling, settle
from momo_worker.settings_schedules import Etiquette
from momo_worker.steps.rescue import Rescue
from momo_worker.timing.asking_again import Policy
from momo_worker.timing.local_time import zone_or_utc
from momo_worker.timing.periods import periods
from momo_worker.timing.quiet import quiet_hours, quiet_until

ZONE = "Africa/Kampala"
QUIET = quiet_hours("20:00-07:00")
#: The world begins on 2026-12-01, a Tuesday.
BEGINS = date(2026, 12, 1)
#: A prompt that nobody answers stands on the phone for so long.
PROMPT_SECONDS = 300.0
_STEP_SECONDS_MAX = 6 * 3_600.0
#: After the year: so long until everything has ended.
DRAIN_DAYS = 45

RULES = (
    ("fees", "monthly on 5 at 09:00", "after", "all"),
    ("rent", "every 2 weeks on friday at 10:00", "keep", "latest"),
    ("savings", "weekly on monday at 08:30", "skip", "within:3d"),
)
IDS = tuple(f"3f1c8a52-6d0e-4b7a-9a57-2f6d1f0c9e{number:02d}" for number in range(len(RULES)))


class Killed(BaseException):
    """The process is gone: nobody catches this but who starts the next one."""


@dataclass
class Prompt:
    """A collection at MTN, in the world's own seconds."""

    key: str
    msisdn: str
    amount_minor: int
    began: float
    ends: float
    status: Status
    code: str | None
    #: A clock jumped while it stood on the phone: what the ledger knew of its minutes was wrong.
    doubted: bool = False


@dataclass
class Books:
    """What MTN moved and asked."""

    prompts: dict[str, Prompt] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


class Mortal:
    """A ledger whose process may die at a commit: before it, or after it with its answer lost."""

    def __init__(self, ledger: Any, dies: Callable[[], str]) -> None:
        self._ledger = ledger
        self._dies = dies

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    @contextmanager
    def write(self) -> Iterator[Any]:
        end = self._dies()
        with self._ledger.write() as tx:
            yield tx
            if end == "before":
                raise Killed
        if end == "after":
            raise Killed


@dataclass
class Year:
    """One life. `live` to its end, then look at what it left."""

    world: World
    seed: int
    days: int = 365
    payers_each: int = 6
    kills: float = 0.004
    books: Books = field(default_factory=Books)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.treasury: Treasury = a_treasury(self.world)
        self.plain = self.world.ledger
        self.mortal = False
        # Nobody's claims are made by the thread of another process here; a kill takes the whole process.
        self.world.mtn.on_send = self._asked
        self.world.mtn.on_look = self._looked
        self.start = self.world.clock.elapsed()
        self.end = self.start + self.days * 86_400
        self.down_at = self.start + self.rng.uniform(0.2, 0.7) * self.days * 86_400
        self.down_again = 0
        self._make_schedules()
        self._new_process()

    # ---- MTN --------------------------------------------------------------------------------------------------------

    def _asked(self, request: RenderedRequest, _secondary: bool) -> SendVerdict:
        body = json.loads(request.body)
        key = self.plain_rows(
            "SELECT p.idempotency_key FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id WHERE a.reference_id = :one",
            one=request.reference_id,
        )[0]
        now = self.world.clock.elapsed()
        status, code, seconds = self.rng.choices(
            [
                (Status.SUCCESSFUL, None, self.rng.uniform(10, 240)),
                (Status.FAILED, "EXPIRED", PROMPT_SECONDS),
                (Status.FAILED, "APPROVAL_REJECTED", self.rng.uniform(10, 120)),
                (Status.FAILED, "NOT_ENOUGH_FUNDS", 5.0),
            ],
            [55, 20, 10, 15],
        )[0]
        # A reference is one prompt, however often it is posted.
        self.books.prompts.setdefault(
            request.reference_id,
            Prompt(key, body["payer"]["partyId"], int(body["amount"]), now, now + seconds, status, code),
        )
        answer = self.rng.choices(["accepted", "lost"], [95, 5])[0]
        self.books.counts[f"answers {answer}"] += 1
        if answer == "lost":
            return SendVerdict(SendAnswer.UNKNOWN, http_status=None)
        return SendVerdict(SendAnswer.ACCEPTED, http_status=202)

    def _looked(self, request: RenderedRequest) -> LookVerdict:
        prompt = self.books.prompts.get(request.reference_id)
        if prompt is None:
            return LookVerdict(LookAnswer.NOT_FOUND, http_status=404)
        if self.world.clock.elapsed() < prompt.ends:
            return LookVerdict(LookAnswer.FOUND, Status.PENDING, "PENDING", http_status=200)
        return LookVerdict(
            LookAnswer.FOUND, prompt.status, prompt.status.value, http_status=200, reason_code=prompt.code
        )

    # ---- the house --------------------------------------------------------------------------------------------------

    def _make_schedules(self) -> None:
        with self.plain.write() as tx:
            now_ms = tx.now_ms
        for place, (name, rule, on_holiday, catch_up) in enumerate(RULES):
            # Half of the numbers pay to two schedules, and two payers of each share one.
            people = [
                Payer(
                    f"P{n}", f"P{n}", f"Payer {n}", f"25677230{(n // 2 if n < 2 else n) + place:04d}", 10_000 + n, None
                )
                for n in range(self.payers_each)
            ]
            self.treasury.schedule(
                people,
                id=IDS[place],
                name=name,
                rule=rule,
                on_holiday=on_holiday,
                holidays="UG",
                catch_up=catch_up,
                starts_on=BEGINS.isoformat(),
                after_day=(BEGINS - timedelta(days=1)).isoformat(),
                made_at_ms=now_ms,
            )
            self.treasury.sign(name)

    def _new_process(self) -> None:
        """As a supervisor starts it after a kill: nothing of what the last one knew is left but the ledger."""
        ledger = Mortal(self.plain, self._dies)
        parts = replace(
            self.world.parts,
            ledger=ledger,
            quiet_until=lambda zone, now_ms: quiet_until(QUIET, zone_or_utc(zone), now_ms),
        )
        self.process = replace(self.world, ledger=ledger, parts=parts)  # type: ignore[arg-type]
        self.firing = Firing(parts)
        self.following = Following(parts, Etiquette(Policy(), QUIET))
        self.feeder = self.treasury.office.feeder(self.process)

    def _dies(self) -> str:
        if not self.mortal or self.rng.random() >= self.kills:
            return ""
        end = self.rng.choice(["before", "after"])
        self.books.counts[f"killed {end} a commit"] += 1
        return end

    # ---- living -----------------------------------------------------------------------------------------------------

    def live(self) -> None:
        """The year, and then as long as it takes until everything has ended."""
        self.mortal = True
        while self.world.clock.elapsed() < self.end:
            self._step()
            self._mishap()
        self.mortal = False
        drained = self.world.clock.elapsed() + DRAIN_DAYS * 86_400
        with self.plain.write() as tx:
            for place, name in enumerate(IDS):
                schedules.change(tx, name, ends_on=self._today().isoformat(), rule=RULES[place][1])
        self._new_process()
        while self.world.clock.elapsed() < drained:
            self._step()

    def _today(self) -> date:
        return datetime.fromtimestamp(self.world.clock.now_ms() / 1000, UTC).date()

    def _step(self) -> None:
        try:
            self._turn()
        except Killed:
            self._new_process()
        self.world.clock.on(self._seconds_on())

    def _turn(self) -> None:
        """What a pump and a worker do: in any order, since they are several processes."""
        deeds = [self.firing.fire, self.following.follow, self.feeder.feed, self._work, self._till, self._cash]
        self.rng.shuffle(deeds)
        for deed in deeds:
            deed()

    def _work(self) -> None:
        ids = self.process.release(product=Product.COLLECTION)
        self.process.send(ids)
        self.process.look(ids)
        self._lapse()

    def _lapse(self) -> None:
        """Leases of processes that are gone: rescue's work."""
        Rescue(self.process.parts).run()

    def _till(self) -> None:
        """A payer of some schedule buys something, now and then."""
        if self.rng.random() >= 0.02 or not self.mortal:
            return
        number = f"25677230{self.rng.randrange(self.payers_each):04d}"
        key = f"till-{self.world.clock.now_ms()}"
        self.process.take(
            {
                "operation": "collect",
                "idempotency_key": key,
                "amount": str(self.rng.randrange(100, 900)),
                "currency": "UGX",
                "msisdn": number,
            }
        )
        self.books.counts["till"] += 1

    def _cash(self) -> None:
        """Somebody pays the bursar, all or a part of it."""
        if self.rng.random() >= 0.01 or not self.mortal:
            return
        owing = self.plain_rows(
            "SELECT s.name, d.period, d.payer_id, d.amount_minor FROM schedule_due AS d "
            "JOIN schedule AS s ON s.id = d.schedule_id WHERE d.state IN ('asked', 'waiting', 'stopped', 'due') "
            "ORDER BY d.schedule_id, d.period, d.payer_id"
        )
        if not owing:
            return
        name, period, payer, amount_minor = self.rng.choice(owing)
        part = self.rng.choice([None, amount_minor // 3])
        # A receipt of its own each time: the same amount for the same reason is the same payment, and is refused.
        receipt = f"cash, receipt {self.world.clock.now_ms()}"
        said = Settling("default", name, period, payer, part, receipt, "bursar")
        try:
            settle(self.process.parts, said)
            self.books.counts["settled in part" if part else "settled"] += 1
        except NotSettledError:
            self.books.counts["settled too much, refused"] += 1

    def _seconds_on(self) -> float:
        """To the next moment at which something is due, and never far: seconds while prompts are open."""
        now_ms = self.world.clock.now_ms()
        moments = self.plain_rows(
            "SELECT min(due_at_ms) FROM payment WHERE work IS NOT NULL AND due_at_ms IS NOT NULL "
            "UNION ALL SELECT min(again_at_ms) FROM schedule_due WHERE again_at_ms IS NOT NULL"
        )
        next_ms = min((at for at in [*moments, *self.firing._next.values()] if at is not None), default=now_ms + DAY)
        soonest = 2.0 if next_ms <= now_ms else max(2.0, (next_ms - now_ms) / 1000)
        return min(soonest + self.rng.uniform(0, 5), _STEP_SECONDS_MAX)

    def _mishap(self) -> None:
        now = self.world.clock.elapsed()
        if now >= self.down_at and self.down_again < 1:
            self.down_again += 1
            self.books.counts["a week of downtime"] += 1
            self.world.clock.on(7 * 86_400)
            self._new_process()
        if self.rng.random() < 0.0015:
            self._jump(self.rng.choice([-HOUR, HOUR, -5 * MINUTE, 40 * DAY, 3 * HOUR]))
        if self.rng.random() < 0.01:
            self._new_process()
            self.books.counts["restarted"] += 1

    def _jump(self, by_ms: int) -> None:
        """The ledger's clock is set wrong, and right again after some minutes."""
        self.books.counts["clock jumped"] += 1
        self._doubt_open()
        self.world.clock.jump(by_ms / 1000)
        for _ in range(self.rng.randrange(1, 5)):
            try:
                self._turn()
            except Killed:
                # A process that was started under a wrong clock has seen no jump; it is started again when it is right.
                self._new_process()
                self.firing._seen = (self.world.clock.now_ms() - by_ms, self.world.clock.elapsed())
            self.world.clock.on(60)
            self._doubt_open()
        self.world.clock.jump(-by_ms / 1000)

    def _doubt_open(self) -> None:
        now = self.world.clock.elapsed()
        for prompt in self.books.prompts.values():
            if prompt.began <= now < prompt.ends:
                prompt.doubted = True

    # ---- looking ----------------------------------------------------------------------------------------------------

    def plain_rows(self, sql: str, **values: Any) -> list[Any]:
        """What the ledger says, asked by nobody who can die."""
        return replace(self.world, ledger=self.plain).rows(sql, **values)

    def expected(self, place: int) -> list[str]:
        """The periods that a schedule must have accounted for, by the calendar alone."""
        with self.plain.read() as tx:
            found = schedules.find(tx, IDS[place])
        assert found is not None
        table = timetable_of(found)
        last_ms = self.world.clock.now_ms()
        return [one.name for one in periods(table, BEGINS) if one.fires_at_ms <= last_ms]


def _of(year: Year, name: str) -> list[Prompt]:
    return [prompt for prompt in year.books.prompts.values() if prompt.key.startswith(name)]


def broken_properties(year: Year) -> list[str]:
    """What a treasurer was promised and didn't get."""
    return [*_periods(year), *_money(year), *_pestered(year), *_overlaps(year), *_at_night(year), *_left_open(year)]


def _periods(year: Year) -> list[str]:
    found = []
    for place, (name, *_) in enumerate(RULES):
        decided = year.plain_rows(
            "SELECT period FROM schedule_period WHERE schedule_id = :one ORDER BY 1", one=IDS[place]
        )
        wanted = sorted(year.expected(place))
        if decided != wanted:
            found.append(
                f"{name}: {sorted(set(wanted) ^ set(decided))} not decided, or decided and not of the calendar"
            )
    return found


def _money(year: Year) -> list[str]:
    """By MTN's own record: nobody was collected more than they owed, and what the ledger calls collected was."""
    found = []
    rows = year.plain_rows(
        "SELECT schedule_id, period, key_id, amount_minor, collected_minor, settled_minor FROM schedule_due"
    )
    for schedule_id, period, key_id, amount_minor, collected_minor, _ in rows:
        key = f"sch/{schedule_id}/{period}/{key_id}"
        asks = [one for one in year.books.prompts.values() if one.key == key or one.key.startswith(f"{key}/")]
        paid = [one for one in asks if one.status is Status.SUCCESSFUL]
        if len(paid) > 1 or sum(one.amount_minor for one in paid) > amount_minor:
            found.append(f"{key}: paid {len(paid)} times, {sum(one.amount_minor for one in paid)} of {amount_minor}")
        if sum(one.amount_minor for one in paid) != collected_minor:
            found.append(f"{key}: MTN moved {sum(one.amount_minor for one in paid)}, the ledger says {collected_minor}")
    return found


def _pestered(year: Year) -> list[str]:
    """Never asked more often than the policy says, nor after the last no: whatever was killed between a failure and its count."""
    policy = Policy()
    asks: dict[str, list[Prompt]] = {}
    for prompt in _of(year, "sch/"):
        asks.setdefault("/".join(prompt.key.split("/")[:4]), []).append(prompt)
    found = [f"{key}: rang {len(prompts)} times" for key, prompts in asks.items() if len(prompts) > policy.asks_max]
    for key, prompts in asks.items():
        noes = sum(one.code == "APPROVAL_REJECTED" for one in prompts)
        if noes > policy.declines_max:
            found.append(f"{key}: rang on after {noes} noes")
    return found


def _overlaps(year: Year) -> list[str]:
    """Never two prompts on one phone, by MTN's own record."""
    found = []
    by_number: dict[str, list[Prompt]] = {}
    for prompt in year.books.prompts.values():
        by_number.setdefault(prompt.msisdn, []).append(prompt)
    for number, prompts in by_number.items():
        prompts.sort(key=lambda one: one.began)
        for first, second in pairwise(prompts):
            if second.began < first.ends and not first.doubted:
                found.append(
                    f"{number}: {second.key} rang {first.ends - second.began:.0f} s before the end of {first.key}"
                )
    return found


def _at_night(year: Year) -> list[str]:
    """By the world's own clock, which nobody sets."""
    found = []
    began_ms = int(datetime(2026, 12, 1, 6, tzinfo=UTC).timestamp() * 1000)
    for prompt in _of(year, "sch/"):
        at_ms = began_ms + int((prompt.began - year.start) * 1000)
        if quiet_until(QUIET, zone_or_utc(ZONE), at_ms) and not prompt.doubted:
            found.append(f"{prompt.key} rang at night")
    return found


def _left_open(year: Year) -> list[str]:
    rows = year.plain_rows(
        "SELECT schedule_id, period, payer_id, state FROM schedule_due WHERE state IN ('due', 'asked', 'waiting')"
    )
    return [f"{row[0]} {row[1]} {row[2]} is {row[3]} at the end" for row in rows]
