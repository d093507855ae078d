"""Asking again: what became of an ask comes in; the moment of the next one goes out, or why there is none. Pure: asks no clock, sends nothing.

For failures that are final by MTN's word (M7) and proven (M8) only: who is pending, unknown or held isn't asked again by anybody.
Every moment is one of the payer's own day: at an ask hour, never in quiet hours.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from momo_worker.timing.local_time import DAY_MS, HOUR_MS, local, moment_ms
from momo_worker.timing.quiet import QuietHours, quiet_until

DAY_HOURS = 24
MONTH_DAYS = 31
DAY = timedelta(days=1)


class Outcome(StrEnum):
    """What a failed collection tells of the next ask."""

    EXPIRED = "expired"  # nobody touched the phone: another hour may do
    DECLINED = "declined"  # the payer said no: leave them alone for days
    NO_FUNDS = "no_funds"  # there is too little money: wait for pay day
    SERVICE = "service"  # MTN wasn't able: the next ask hour
    OURS = "ours"  # our own account or settings: the payer saw nothing
    NUMBER = "number"  # the number or the wallet: a person corrects it


#: MTN's reasons, as they speak of a collection: the payer is the customer and the payee is us.
OUTCOMES: dict[str, Outcome] = {
    **dict.fromkeys(("EXPIRED", "COULD_NOT_PERFORM_TRANSACTION"), Outcome.EXPIRED),
    # By whom something was cancelled MTN doesn't say; if it was the payer, asking on would be pestering.
    **dict.fromkeys(
        ("APPROVAL_REJECTED", "PAYMENT_NOT_APPROVED", "TRANSACTION_CANCELED", "TRANSACTION_CANCELED."), Outcome.DECLINED
    ),
    # INTERNAL_PROCESSING_ERROR is "predominantly too little money" by MTN's own page.
    **dict.fromkeys(
        (
            "NOT_ENOUGH_FUNDS",
            "LOW_BALANCE_OR_PAYEE_LIMIT_REACHED_OR_NOT_ALLOWED",
            "PAYER_LIMIT_REACHED",
            "INTERNAL_PROCESSING_ERROR",
        ),
        Outcome.NO_FUNDS,
    ),
    **dict.fromkeys(("SERVICE_UNAVAILABLE", "PAYER_DELAYED", "PAYEE_DELAYED", "ONGOING"), Outcome.SERVICE),
    **dict.fromkeys(
        (
            "PAYEE_NOT_FOUND",
            "PAYEE_LIMIT_REACHED",
            "PAYEE_NOT_ALLOWED_TO_RECEIVE",
            "NOT_ALLOWED",
            "NOT_ALLOWED_TARGET_ENVIRONMENT",
            "INVALID_CALLBACK_URL_HOST",
            "INVALID_CURRENCY",
        ),
        Outcome.OURS,
    ),
    **dict.fromkeys(
        ("PAYER_NOT_FOUND", "SENDER_ACCOUNT_NOT_ACTIVE", "BAD_REQUEST", "VALIDATION_ERROR"), Outcome.NUMBER
    ),
}


class Why(StrEnum):
    """Why nobody is asked again in this period."""

    NUMBER = "the number has no wallet that can pay; a person corrects it"
    DECLINED = "the payer has declined as often as is permitted"
    ASKED = "the payer has been asked as often as is permitted"
    LATE = "the next moment to ask lies after the last day for this period"


@dataclass(frozen=True, slots=True)
class Policy:
    """When and how often a payer is asked again; `problems` says what is wrong with it."""

    ask_hours: tuple[int, ...] = (9, 18)
    expired_again_hours: int = 3
    declined_again_days: int = 3
    declines_max: int = 2
    asks_max: int = 4
    pay_days: tuple[int, ...] = (25, 28, 30, 1)
    stop_after_days: int = 21


#: (smallest, largest) of each figure.
BOUNDS = {
    "expired_again_hours": (1, 14 * DAY_HOURS),
    "declined_again_days": (1, 90),
    "declines_max": (1, 20),
    "asks_max": (1, 50),
    "stop_after_days": (1, 366),
}


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of a payer's last ask in a period, and of the asks before it."""

    code: str
    #: When the payer was first asked in this period, and when it was asked last.
    first_asked_ms: int
    asked_ms: int
    #: When the last ask ended.
    ended_ms: int
    #: How many asks there have been, the last included, and how many of them were declined.
    asks: int
    declines: int


@dataclass(frozen=True, slots=True)
class Again:
    """Ask at this moment, or as soon after it as can be outside quiet hours."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nobody is asked again in this period."""

    why: Why


def outcome_of(code: str) -> Outcome:
    """What a reason tells of the next ask.

    One that nobody listed is taken for too little money: of all it may be, that waits longest and bothers the payer least, and
    `asks_max` ends it. A reason that turns up often belongs in the table.
    """
    return OUTCOMES.get(code, Outcome.NO_FUNDS)


def problems(policy: Policy) -> tuple[tuple[str, str, str], ...]:
    """What is wrong with a policy: (field, what, fix)."""
    found = []
    for name, (least, most) in BOUNDS.items():
        if not least <= getattr(policy, name) <= most:
            found.append((name, f"is {getattr(policy, name)}", f"use {least} to {most}"))
    lists = (("ask_hours", policy.ask_hours, 0, DAY_HOURS - 1), ("pay_days", policy.pay_days, 1, MONTH_DAYS))
    for name, values, least, most in lists:
        if not values:
            found.append((name, "is empty", f"name at least one, {least} to {most}"))
        if any(not least <= value <= most for value in values):
            found.append((name, f"holds {', '.join(map(str, values))}", f"use {least} to {most}"))
    return tuple(found)


def again(policy: Policy, happened: Happened, zone: ZoneInfo, quiet: QuietHours | None) -> Again | Stop:
    """Whether and when to ask once more."""
    outcome = outcome_of(happened.code)
    if outcome is Outcome.NUMBER:
        return Stop(Why.NUMBER)
    if happened.declines >= policy.declines_max:
        return Stop(Why.DECLINED)
    if happened.asks >= policy.asks_max:
        return Stop(Why.ASKED)
    at_ms = _next(policy, outcome, happened, zone, quiet)
    if at_ms > happened.first_asked_ms + policy.stop_after_days * DAY_MS:
        return Stop(Why.LATE)
    return Again(at_ms)


def _next(policy: Policy, outcome: Outcome, happened: Happened, zone: ZoneInfo, quiet: QuietHours | None) -> int:
    ended = local(zone, happened.ended_ms).date()
    hours = policy.ask_hours
    match outcome:
        case Outcome.EXPIRED:
            after_ms = happened.ended_ms + policy.expired_again_hours * HOUR_MS
            moments = _moments(zone, quiet, _days(local(zone, after_ms).date()), hours)
            return next(moment for moment in moments if moment >= after_ms)
        case Outcome.DECLINED:
            days = _days(ended + policy.declined_again_days * DAY)
        case Outcome.NO_FUNDS:
            # After the day of the ask, not of its end: who was asked late on the 24th is asked on the 25th.
            asked = local(zone, happened.asked_ms).date()
            days = (day for day in _days(asked + DAY) if _is_pay_day(day, policy.pay_days))
        case Outcome.OURS:
            days = _days(ended + DAY)
        case _:
            return next(moment for moment in _moments(zone, quiet, _days(ended), hours) if moment > happened.ended_ms)
    first_hour = _moments(zone, quiet, days, (min(hours),))
    return next(moment for moment in first_hour if moment > happened.ended_ms)


def _days(first: date) -> Iterator[date]:
    while True:
        yield first
        first += DAY


def _moments(zone: ZoneInfo, quiet: QuietHours | None, days: Iterator[date], hours: tuple[int, ...]) -> Iterator[int]:
    """The ask hours of these days; one that lies in quiet hours is their end."""
    for day in days:
        for hour in sorted(set(hours)):
            moment = moment_ms(zone, day, time(hour))
            yield quiet_until(quiet, zone, moment) or moment


def _is_pay_day(day: date, pay_days: tuple[int, ...]) -> bool:
    """A date that the month hasn't is its last day."""
    last = calendar.monthrange(day.year, day.month)[1]
    return day.day in {min(pay_day, last) for pay_day in pay_days}
