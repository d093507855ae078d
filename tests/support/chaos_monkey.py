"""A running stage and a seed come in; kills by chance, kills at named points, sleeps and disasters go out, each written down. Ends by itself."""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.chaos_disasters import DISASTERS, all_of
from tests.support.chaos_fleet import KILL, STOP, Arming, Member, sleeps
from tests.support.chaos_points import POINTS, points_of
from tests.support.chaos_stage import Stage

#: Points at which to sleep through a lease is the worst that can be done.
SLEEPS_AT = (
    "permitted, before the first byte",
    "claimed, nothing sent",
    "answered, not recorded",
    "recorded, not acknowledged",
    "released, message not out",
    "result read, not on the stream",
    "job taken, not in the ledger",
    "job in the ledger, not acknowledged",
)
#: An armed process that never comes by its point is killed where it is.
_ARMED_SECONDS_MAX = 15.0
_STOP_SHARE = 0.12
#: Of those that are armed, while somebody must still sleep at a point of their kind.
_STOP_SHARE_MISSED = 0.3
_LOOK_SECONDS = 0.25
#: Full speed: payments end at four fifths of the rate at which jobs come in, over so many seconds.
_WINDOW_SECONDS = 3.0
_FULL_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Felt:
    """A disaster, and how long after its end payments ended again, and as fast as jobs come in, and results likewise. None: not within the time."""

    name: str
    lasted_seconds: float
    first_seconds: float | None
    full_seconds: float | None
    results_seconds: float | None


@dataclass
class Monkey:
    """`run` returns when everything has happened, or the time is over."""

    stage: Stage
    say: Callable[[str], None]
    felt: list[Felt] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    server_kills: Counter[str] = field(default_factory=Counter)
    armed: Counter[str] = field(default_factory=Counter)
    ran_out_of_time: bool = False
    _chance: random.Random = field(init=False)
    _calm: threading.Event = field(default_factory=threading.Event)
    _wait: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.stage.plan.seed + 1)
        self._calm.set()
        self.stage.fleet.arm_next = self._arm

    def kills(self) -> int:
        return len(self.stage.fleet.kills()) + self.server_kills.total()

    def run(self) -> None:
        plan = self.stage.plan
        give_up_at = time.time() + plan.minutes_max * 60
        pending = [name for _ in range(plan.rounds) for name in self._shuffled(all_of(plan))]
        every = max(1, plan.kills // (len(pending) + 1))
        self._until(self.stage.fleet.all_up, 60)
        self._until(lambda: len(self.stage.tape.read()) >= 5, 60)
        while pending or self.kills() < plan.kills or self.points_missed() or self.sleeps_missed():
            if time.time() > give_up_at or self.stage.fleet.broken is not None:
                self.ran_out_of_time = True
                break
            self._kill_for_a_while(self.kills() + every, give_up_at)
            if pending:
                self._disaster(pending.pop(0))
        self._calm.set()
        # A sleep is one only if its sleeper wakes again into what the others did meanwhile.
        self._until(lambda: not any(one.wakes_at for one in self.stage.fleet.members), plan.sleep_seconds * 2)
        self.say(f"the monkey rests: {self.kills()} kills")

    def _shuffled(self, names: tuple[str, ...]) -> list[str]:
        return self._chance.sample(names, k=len(names))

    def points_missed(self) -> list[str]:
        """Points at which nothing has been killed yet."""
        if not self.stage.plan.every_point:
            return []
        hit = {ending.how for ending in self.stage.fleet.kills()}
        return [name for name in POINTS if name not in hit]

    def sleeps_missed(self) -> list[str]:
        """Points of the plan's at which nobody has slept yet."""
        slept = {ending.how for ending in sleeps(self.stage.fleet.journal)}
        return [name for name in self.stage.plan.sleeps_at if name not in slept]

    # ---- kills ----------------------------------------------------------------------------------------------------

    def _kill_for_a_while(self, until_kills: int, give_up_at: float) -> None:
        self._calm.clear()
        missed_before = self._missed()
        while self.kills() < until_kills and time.time() < give_up_at:
            self._wait.wait(self._chance.uniform(0.05, self.stage.plan.pause_seconds))
            self._strike()
            if self.kills() >= self.stage.plan.kills and self._missed() < missed_before:
                break
        self._calm.set()

    def _missed(self) -> int:
        return len(self.points_missed()) + len(self.sleeps_missed())

    def _strike(self) -> None:
        fleet = self.stage.fleet
        now = time.time()
        awake = fleet.awake()
        late = [one for one in awake if one.arming and now - one.started_at > _ARMED_SECONDS_MAX]
        if late:
            fleet.kill(late[0], "at random")
            return
        free = [one for one in awake if one.arming is None and one.came_up()]
        # Somebody stays, so that there is a corridor at all.
        if not free or len(awake) == 1:
            return
        # Who is started again is armed, and so those are chosen of whose kind a point is still missed.
        wanted = {POINTS[name].kind for name in [*self.points_missed(), *self.sleeps_missed()]}
        free = [one for one in free if one.kind in wanted and self._unarmed(one.kind, but=one)] or free
        victim = self._chance.choice(free)
        if self._chance.random() < _STOP_SHARE and len(fleet.awake()) == len(fleet.members):
            fleet.put_to_sleep(victim, "at random", self.stage.plan.sleep_seconds)
            return
        fleet.kill(victim, "at random")

    def _arm(self, member: Member) -> Arming | None:
        """At a process's start: the point of its kind that was armed least; one of each kind stays as it is."""
        if self._calm.is_set() or self._unarmed(member.kind, but=member) == 0:
            return None
        sleep = self._arm_for_sleep(member)
        if sleep is not None:
            return sleep
        missed = self._not_aimed_at(self.points_missed(), member.kind, KILL)
        point = min(missed or points_of(member.kind), key=lambda name: self.armed[name])
        self.armed[point] += 1
        fault = POINTS[point].fault
        if fault is not None:
            self._ask_mtn_for(fault)
        return Arming(point, 1 if missed or fault else self._chance.randint(1, 8), KILL)

    def _arm_for_sleep(self, member: Member) -> Arming | None:
        """A few of them; a missed point goes before all others."""
        missed = self._not_aimed_at(self.sleeps_missed(), member.kind, STOP)
        if missed and (self._chance.random() < _STOP_SHARE_MISSED or not self._short_of_kills(member.kind)):
            return Arming(self._chance.choice(missed), 1, STOP)
        if self._chance.random() < _STOP_SHARE and not self.points_missed():
            point = self._chance.choice([name for name in SLEEPS_AT if POINTS[name].kind == member.kind])
            return Arming(point, self._chance.randint(1, 5), STOP)
        return None

    def _short_of_kills(self, kind: str) -> bool:
        """The count of kills, or a point at which nobody of this kind was killed, is still to come."""
        return self.kills() < self.stage.plan.kills or any(POINTS[name].kind == kind for name in self.points_missed())

    def _not_aimed_at(self, names: list[str], kind: str, act: str) -> list[str]:
        """Of a kind's points those for which nobody is armed already."""
        armings = [one.arming for one in self.stage.fleet.of(kind) if one.arming is not None]
        aimed_at = {arming.point for arming in armings if arming.act == act}
        return [name for name in names if POINTS[name].kind == kind and name not in aimed_at]

    def _unarmed(self, kind: str, but: Member) -> int:
        return sum(one.arming is None for one in self.stage.fleet.of(kind) if one is not but)

    def _ask_mtn_for(self, fault: str) -> None:
        try:
            # Long enough for the armed process to come up; so few that the product isn't suspended for all that time.
            self.stage.mtn.control.fault(fault, method="POST", for_seconds=20, count=6, probability=0.5)
        except OSError:  # the fake MTN is away just now
            self.say("MTN is away and wasn't asked for a fault")

    # ---- disasters ------------------------------------------------------------------------------------------------

    def _disaster(self, name: str) -> None:
        disaster = DISASTERS[name]
        if not disaster.possible(self.stage):
            if name not in self.left_out:
                self.left_out.append(name)
            return
        self._become_calm()
        began_at = time.time()
        disaster.deed(self.stage)
        over_at = time.time()
        self.server_kills[name] += disaster.kills
        found = self._recovery(name, began_at, over_at)
        self.felt.append(found)
        self.say(f"{name}: {_told(found)}")

    def _become_calm(self) -> None:
        """Everybody is up, no point is armed any more, and payments and results come at full speed."""
        self._calm.set()
        fleet = self.stage.fleet
        for member in fleet.members:
            if member.arming is not None:
                fleet.kill(member, "at random")
        if not self._until(fleet.all_up, 60):
            missing = [one.name for one in fleet.members if not fleet.alive(one) or not one.came_up()]
            self.say(f"not everybody is up: {missing}")
        since = time.time()
        self._until(lambda: None not in self._speeds(since), self.stage.plan.calm_seconds_max)

    def _speeds(self, since: float) -> tuple[float | None, float | None]:
        """Seconds from a moment to full speed, of payments and of their results."""
        now, rate = time.time(), self.stage.plan.rate
        heard = list(self.stage.shop.consumer.finals_at)
        return full_again(self.stage.tape.read(), since, rate, now), full_again(heard, since, rate, now)

    def _recovery(self, name: str, began_at: float, over_at: float) -> Felt:
        self._until(lambda: None not in self._speeds(over_at), self.stage.plan.recovery_seconds_max)
        full, results = self._speeds(over_at)
        first = next((at - over_at for at in sorted(self.stage.tape.finals) if at > over_at), None)
        return Felt(name, over_at - began_at, first, full, results)

    def _until(self, condition: Callable[[], object], seconds: float) -> bool:
        give_up_at = time.time() + seconds
        while time.time() < give_up_at:
            if condition():
                return True
            self._wait.wait(_LOOK_SECONDS)
        return False


def _told(found: Felt) -> str:
    first, full, results = (
        f"{one:.1f} s" if one is not None else "never"
        for one in (found.first_seconds, found.full_seconds, found.results_seconds)
    )
    return f"lasted {found.lasted_seconds:.1f} s; first payment after {first}, full speed after {full}, of results after {results}"


def full_again(moments: list[float], over_at: float, rate: float, now: float) -> float | None:
    """Seconds from the end of a disaster to the beginning of the first window in which payments end as fast as jobs come in."""
    after = sorted(at for at in moments if at >= over_at)
    wanted = math.ceil(rate * _FULL_SHARE * _WINDOW_SECONDS)
    # A window begins with a payment that ended: what waited comes in a rush, and isn't counted for the time before it.
    for place, begin in enumerate(after):
        last = place + wanted - 1
        if last < len(after) and after[last] < begin + _WINDOW_SECONDS <= now:
            return begin - over_at
    return None
