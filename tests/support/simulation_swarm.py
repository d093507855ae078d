"""A seed comes in, the options of one simulated life go out: which faults there are, and how often. Swarm style: each seed switches some off."""

import json
import random
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class Mode(StrEnum):
    """What MTN's memory is like. Outside `usual`, one reference may move money twice and only M5's bounds are promised."""

    USUAL = "usual"
    FORGETS = "forgets"
    RACES = "races"


#: What MTN and the way to it do wrong: the model's own faults, with how they are narrowed.
MTN_FAULTS: dict[str, dict[str, object]] = {
    "lost_before_creation": {"method": "POST"},
    "lost_after_creation": {},
    "lost_answer": {},
    "halfway_answer": {},
    "late_creation": {"method": "POST", "seconds": 45.0},
    "error_before_creation": {"method": "POST"},
    "refusal": {"fault": "error_before_creation", "method": "POST", "code": "PAYEE_NOT_FOUND"},
    "error_after_creation": {},
    "html_200": {},
    "html_200_after_creation": {},
    "bad_gateway": {},
    "bad_gateway_after_creation": {},
    "slow_answer": {"seconds": 70.0},
    "rate_limited": {"seconds": 3.0},
    "quota_exceeded": {"seconds": 20.0},
    "unauthorised": {},
    "bad_request": {"method": "POST"},
    "gateway_not_found": {},
    "visibility_lag": {"seconds": 90.0},
    "not_found": {},
    "status_lag": {"seconds": 60.0},
    "late_success": {"seconds": 900.0},
    "unknown_status": {"code": "IN_REVIEW"},
    "no_status": {},
    "wrong_amount": {},
    "created_status": {},
    "vanish": {},
    "callback_twice": {"seconds": 30.0},
    "callback_forged": {"seconds": 0.0},
    "callback_never": {},
    "empty_conflict": {},
    "fail": {"code": "NOT_ENOUGH_FUNDS"},
}
#: How often it is where its turn is, if that isn't three times in twenty: few answers are a conflict.
_IN_TURN = {"empty_conflict": 1.0}
#: What we ourselves and our servers do wrong: chances of one occurrence each.
OUR_FAULTS: dict[str, float] = {
    "worker_dies": 0.15,
    "worker_sleeps": 0.15,
    "pump_dies": 0.02,
    "relay_sleeps": 0.15,
    "commit_lost": 0.01,
    "commit_refused": 0.01,
    "ledger_unreadable": 0.01,
    "message_lost": 0.10,
    "message_doubled": 0.10,
    "message_late": 0.10,
    "no_slot": 0.03,
    "results_lost": 1.0,
    "clock_jumps": 1.0,
    "callbacks_invented": 1.0,
}
#: What producers and operators do at bad moments.
PEOPLE: dict[str, float] = {
    "same_job_again": 0.25,
    "key_reused": 0.10,
    "broken_job": 0.05,
    "unknown_account": 0.03,
    "refunds": 0.5,
    "replaces": 0.3,
    "short_lives": 0.15,
    "pauses": 1.0,
    "cancels": 1.0,
}


#: Later ones, by dice of their own.
OUR_FAULTS_LATER: dict[str, float] = {"redis_lost": 0.6}
#: By dice of its own, and no more often since such a life costs four others: a ledger that is restored, in lives whose clock is right, since by a wrong one nobody knows what was lost.
RESTORED = "ledger_restored"
_RESTORED_OFTEN = 0.15
PEOPLE_LATER: dict[str, float] = {"celery_door": 0.5, "resolves": 1.0, "releases": 1.0}

#: Where a worker's process may die or sleep: in a send or a look.
POINTS = (
    "send claimed",
    "send permitted",
    "send left",
    "send handled",
    "send answered",
    "send recorded",
    "look claimed",
    "look permitted",
    "look handled",
    "look answered",
    "look recorded",
)

#: Of five lives one is short, so that a payment meets every fault alone; in the others it has neighbours in its batch.
SIZES = (1, 10, 20, 20, 40)


@dataclass(frozen=True)
class Swarm:
    """One seed's options. A fault that isn't named here is off."""

    seed: int
    mode: Mode
    jobs: int
    spread_seconds: float
    mtn: dict[str, float] = field(default_factory=dict)
    ours: dict[str, float] = field(default_factory=dict)
    people: dict[str, float] = field(default_factory=dict)
    same_again: str = "off"
    #: How long a worker may sleep: within a call, through a lease, through the hours in which a send may be repeated.
    sleeps_seconds_max: float = 400.0
    #: Where workers die and sleep; empty: at any point.
    fate_at: str = ""
    accounts: int = 1
    #: How many phone numbers the jobs are for.
    numbers: int = 5
    #: The longest a pump rests while there is work.
    turn_seconds_max: float = 2.5
    #: Whether status reads wait for slots at MTN's pace.
    paced: bool = False
    #: How many calls to MTN take their time.
    slow_calls: float = 0.1
    #: M5's six hours; shorter in most seeds, since a search that fills them costs seven hundred looks.
    send_window_minutes: int = 360

    #: How long faults go on after the last job.
    faults_after_seconds: float = 500.0
    #: Faults that are off whatever else is said: what shrinking a story adds to.
    without: tuple[str, ...] = ()
    #: Other dice for the same options: None for those of the seed.
    other_dice: str | None = None

    @property
    def dice(self) -> str:
        return str(self.seed) if self.other_dice is None else f"{self.seed}, {self.other_dice}"

    def chance(self, name: str) -> float:
        return 0.0 if name in self.without else self.ours.get(name, self.people.get(name, 0.0))

    def names(self) -> tuple[str, ...]:
        """Every fault that these options name and that is on."""
        return tuple(name for name in (*self.ours, *self.people, *self.mtn) if name not in self.without)

    def to_json(self) -> str:
        """For the command line; `swarm_from_json` reads it."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        parts = [f"{name}={value}" for name, value in asdict(self).items() if name not in {"mtn", "ours", "people"}]
        chances = {**self.ours, **self.people, **self.mtn}
        parts += [f"{name}={value:.3f}" for name, value in chances.items() if name not in self.without]
        return " ".join(parts)


def swarm_from_json(text: str) -> Swarm:
    """What `to_json` wrote."""
    given = json.loads(text)
    return Swarm(**{**given, "mode": Mode(given["mode"]), "without": tuple(given["without"])})


def swarm_of(seed: int) -> Swarm:
    """The options that this seed stands for, for ever."""
    rng = random.Random(f"swarm {seed}")
    calm = rng.random() < 0.1
    share = 0.0 if calm else rng.choice((0.15, 0.4, 0.4, 0.7))
    mode = rng.choices((Mode.USUAL, Mode.FORGETS, Mode.RACES), (8, 1, 1))[0]
    names = tuple(MTN_FAULTS)
    # Three of MTN's faults by turns, so that a few seeds in a row meet all of them.
    in_turn = set() if calm else {names[(3 * seed + place) % len(names)] for place in range(3)}
    ours = {name: often * rng.uniform(0.3, 1.5) for name, often in OUR_FAULTS.items() if rng.random() < share}
    if seed % 2 and not calm:
        # Every second seed has workers that die, or a short run would miss some of the points at which they can.
        ours |= {"worker_dies": 0.4, "worker_sleeps": 0.2}
    # Dice of its own, so that what a life costs moves no fault of it.
    size = random.Random(f"size {seed}")
    jobs = rng.randint(20, 50) * size.choice(SIZES)
    turn_seconds_max = size.choice((2.5, 10.0, 30.0))
    slow_calls = size.choice((0.02, 0.02, 0.1, 0.6))
    paced = size.random() < 0.4
    if not calm:
        ours |= {
            name: often * size.uniform(0.3, 1.5) for name, often in OUR_FAULTS_LATER.items() if size.random() < 0.4
        }
    if not calm and random.Random(f"restored {seed}").random() < _RESTORED_OFTEN:
        ours = {name: often for name, often in ours.items() if name != "clock_jumps"} | {RESTORED: 1.0}
    later = {name: often for name, often in PEOPLE_LATER.items() if size.random() < 0.4}
    return Swarm(
        seed=seed,
        mode=mode,
        jobs=jobs,
        numbers=max(5, jobs // 6),
        turn_seconds_max=turn_seconds_max,
        slow_calls=slow_calls,
        paced=paced,
        spread_seconds=rng.choice((20.0, 120.0, 400.0)),
        mtn={
            name: _IN_TURN.get(name, 0.15) if name in in_turn else rng.choice((0.02, 0.05, 0.15))
            for name in names
            if rng.random() < share * 0.6 or name in in_turn
        },
        ours=ours,
        people={name: often * rng.uniform(0.5, 1.5) for name, often in PEOPLE.items() if rng.random() < 0.5} | later,
        same_again=rng.choice(("off", "off", "warn", "hold")),
        sleeps_seconds_max=rng.choice((100.0, 400.0, 400.0, 900.0, 3 * 3600.0)),
        accounts=rng.choice((1, 1, 2)),
        send_window_minutes=rng.choice((25, 25, 25, 60, 360)) if seed % 10 == 0 else 25,
    )
