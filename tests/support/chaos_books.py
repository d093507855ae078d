"""A stage that was through everything comes in; it heals, and the books of four parties are compared: the fake MTN's record, the ledger, the application, the processes' journal."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import redis
from sqlalchemy.exc import DBAPIError
from tests.support.chaos_fleet import Ending, sleeps
from tests.support.chaos_monkey import Felt, Monkey
from tests.support.chaos_stage import Plan, Stage

_FINAL = ("successful", "failed", "cancelled")
_THEIR_WORD = {"collect": "requesttopay", "disburse": "transfer", "deposit": "deposit", "refund": "refund"}
_TOLD_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Books:
    """What is published of a stage."""

    plan: Plan
    seconds: float
    heal_seconds: float
    kills: Counter[tuple[str, str]]
    sleeps: Counter[tuple[str, str]]
    server_kills: Counter[str]
    felt: list[Felt]
    left_out: list[str]
    jobs: int
    bad_jobs: int
    sent_again: int
    states: Counter[str]
    movements: int
    moved_sum: Decimal
    paid_sum: Decimal
    double_references: int
    double_keys: int
    lost: int
    resends: int
    leases_over: int
    faults: Counter[str]
    #: By subscription, its busiest second.
    status_read_peaks: dict[str, int]
    breaches: list[str] = field(default_factory=list)
    #: Disasters after which the speed didn't come back within the time: a busy machine's doing, or ours.
    slow: list[str] = field(default_factory=list)

    @property
    def kill_count(self) -> int:
        return self.kills.total() + self.server_kills.total()


def heal(stage: Stage, say: Callable[[str], None]) -> float:
    """No more chaos: everybody up, MTN in a good mood, no new orders. Seconds until nothing is open any more, or the longest allowed."""
    stage.mtn.calm()
    stage.shop.close_shop()
    began = time.time()
    told_at = began
    while time.time() - began < stage.plan.heal_seconds_max:
        open_now = _open(stage)
        if not open_now:
            return time.time() - began
        if time.time() - told_at > 10:
            told_at = time.time()
            say(f"healing: {open_now}")
        time.sleep(0.25)
    return time.time() - began


def _open(stage: Stage) -> str:
    """What isn't at rest yet, in words; empty when everything is."""
    if stage.shop.broken is not None or stage.fleet.broken is not None:
        return ""
    try:
        if stage.shop.unanswered():
            return f"{len(stage.shop.unanswered())} jobs not answered"
        states = dict(stage.rows("SELECT idempotency_key, state FROM payment"))
        moving = Counter(state for state in states.values() if state not in (*_FINAL, "held"))
        if moving:
            return f"payments not at rest: {dict(moving)}"
        moved = _moved_by_desk(stage)
        if moved:
            return f"{len(moved)} on a desk that MTN has paid"
        if dict(stage.shop.consumer.states) != states:
            return "the application doesn't know the last word of every payment"
    except (DBAPIError, redis.RedisError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _moved_by_desk(stage: Stage) -> list[str]:
    """Held, and MTN moved its money: it will say so at the next look, and that moves it on."""
    held = {row[0] for row in stage.rows("SELECT reference_id FROM payment WHERE state = 'held'")}
    return (
        [one["reference"] for one in stage.mtn.control.movements()["movements"] if one["reference"] in held]
        if held
        else []
    )


def compare(stage: Stage, monkey: Monkey, *, seconds: float, heal_seconds: float) -> Books:
    """Every number of the four, and each thing that may not be."""
    stage.mtn.read_counts()
    moved = stage.mtn.control.movements()
    payments = stage.rows(
        "SELECT idempotency_key, operation, state, amount_minor, reference_id, external_id FROM payment"
    )
    states = Counter(row.state for row in payments)
    paid = [row for row in payments if row.state == "successful"]
    journal = stage.fleet.journal
    known = {row.idempotency_key for row in payments}
    lost = [key for key in stage.shop.made if key not in known]
    books = Books(
        plan=stage.plan,
        seconds=seconds,
        heal_seconds=heal_seconds,
        kills=Counter((one.kind, one.how) for one in stage.fleet.kills()),
        sleeps=Counter((one.kind, one.how) for one in sleeps(journal)),
        server_kills=monkey.server_kills,
        felt=monkey.felt,
        left_out=monkey.left_out,
        jobs=len(stage.shop.made),
        bad_jobs=len(set(stage.shop.bad.values())),
        sent_again=stage.shop.sent_again,
        states=states,
        movements=moved["count"],
        moved_sum=sum((Decimal(total["amount"]) for total in moved["totals"]), Decimal(0)),
        paid_sum=sum((Decimal(row.amount_minor) for row in paid), Decimal(0)),
        double_references=len(moved["doubles"]["references"]),
        double_keys=len(moved["doubles"]["external_ids"]),
        lost=len(lost),
        resends=stage.count("SELECT count(*) FROM transition WHERE trigger = 'resent'"),
        leases_over=stage.count("SELECT count(*) FROM transition WHERE trigger = 'lease_over'"),
        faults=Counter(stage.mtn.faults),
        status_read_peaks=dict(stage.mtn.status_read_peaks),
    )
    books.breaches.extend(_money(stage, moved, paid))
    books.breaches.extend(_answers(stage, states, lost))
    books.breaches.extend(_processes(stage, monkey, journal))
    books.slow.extend(
        f"after '{one.name}' the speed didn't come back within {stage.plan.recovery_seconds_max:.0f} s"
        for one in monkey.felt
        if None in (one.first_seconds, one.full_seconds, one.results_seconds)
    )
    return books


def _money(stage: Stage, moved: dict[str, Any], paid: list[Any]) -> list[str]:
    """MTN's record against the ledger's successful payments, and against what was ordered."""
    found = [
        f"MTN's record has {what} more than once: {_some(doubles)}"
        for what, doubles in moved["doubles"].items()
        if doubles
    ]
    theirs = {(total["operation"], total["currency"]): Decimal(total["amount"]) for total in moved["totals"]}
    ours: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in paid:
        ours[_THEIR_WORD[row.operation], "UGX"] += Decimal(row.amount_minor)
    if ours != theirs:
        found.append(f"MTN moved {theirs} and the ledger calls {dict(ours)} successful")
    different = {one["reference"] for one in moved["movements"]} ^ {row.reference_id for row in paid}
    if different:
        found.append(f"references of only one of the two: {_some(different)}")
    found += [f"{row.idempotency_key} was paid otherwise than ordered" for row in paid if not _as_ordered(stage, row)]
    return found + _attempts(stage)


def _as_ordered(stage: Stage, row: Any) -> bool:
    wanted = stage.shop.made.get(row.idempotency_key)
    if wanted is None:
        return False
    return Decimal(wanted["amount"]) == row.amount_minor and wanted["operation"] == row.operation


def _attempts(stage: Stage) -> list[str]:
    """One attempt each, under a reference of its own: nobody asked for another, and MTN contradicted nothing."""
    forbidden = {
        "contradictions": "SELECT count(*) FROM transition WHERE trigger = 'contradiction'",
        "second attempts, and nobody asked for one": "SELECT count(*) FROM attempt WHERE number > 1",
        "references of two attempts": "SELECT count(*) - count(DISTINCT reference_id) FROM attempt",
    }
    return [f"{number} {what}" for what, sql in forbidden.items() if (number := stage.count(sql))]


def _answers(stage: Stage, states: Counter[str], lost: list[str]) -> list[str]:
    shop = stage.shop
    found = []
    if shop.broken is not None:
        found.append(f"the application broke: {type(shop.broken).__name__}: {shop.broken}")
    if lost:
        found.append(f"{len(lost)} jobs that the ledger doesn't know: {_some(lost)}")
    if shop.unanswered():
        found.append(f"{len(shop.unanswered())} jobs without an answer: {_some(shop.unanswered())}")
    moving = {state: number for state, number in states.items() if state not in (*_FINAL, "held")}
    if moving:
        found.append(f"payments that didn't come to rest: {moving}")
    ledger = dict(stage.rows("SELECT idempotency_key, state FROM payment"))
    heard = dict(shop.consumer.states)
    different = {key for key in ledger.keys() | heard.keys() if ledger.get(key) != heard.get(key)}
    if different:
        some = [f"{key}: ledger {ledger.get(key)}, application {heard.get(key)}" for key in sorted(different)]
        found.append(f"{len(different)} payments of which the application knows another state: {_some(some)}")
    desks = _moved_by_desk(stage)
    if desks:
        found.append(f"on a desk, and MTN has paid: {_some(desks)}")
    return found


def _processes(stage: Stage, monkey: Monkey, journal: list[Ending]) -> list[str]:
    found = [f"{one.name} ended by itself with code {one.code}" for one in stage.fleet.by_themselves()]
    if stage.fleet.broken is not None:
        found.append(f"the supervisor broke: {stage.fleet.broken!r}")
    if stage.mtn.own_errors:
        found.append(f"the fake MTN had {stage.mtn.own_errors} errors of its own")
    if monkey.ran_out_of_time:
        found.append(f"the time was over after {monkey.kills()} of {stage.plan.kills} kills")
    if monkey.points_missed():
        found.append(f"points at which nobody was killed: {_some(monkey.points_missed())}")
    if monkey.sleeps_missed():
        found.append(f"points at which nobody slept: {_some(monkey.sleeps_missed())}")
    with stage.redis.client() as client:
        set_aside = {key: client.llen(key) for key in client.scan_iter("momo:work:*.invalid")}
    if set_aside:
        found.append(f"our own messages were set aside as broken: {set_aside}")
    return found


def _some(things: Any) -> str:
    listed = sorted(map(str, things))
    more = f" and {len(listed) - _TOLD_AT_MOST} more" if len(listed) > _TOLD_AT_MOST else ""
    return ", ".join(listed[:_TOLD_AT_MOST]) + more
