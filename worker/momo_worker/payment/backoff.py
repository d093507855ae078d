"""When to ask again: delays as pure functions of counts and ages, with jitter from a random source that is passed in."""

import random

from momo_worker.payment.payment import Lane, Payment, Product, Queue
from momo_worker.payment.rules import Rules

_JITTER = 0.2
_POWER_MAX = 40  # beyond it every factor has long met its ceiling, and the power would overflow


def jittered(delay_ms: int, rng: random.Random) -> int:
    """Spread a delay by a fifth either way, so that a batch doesn't come back as one."""
    return max(1, round(delay_ms * rng.uniform(1 - _JITTER, 1 + _JITTER)))


def named_wait_ms(seconds: float, rng: random.Random) -> int:
    """The wait that MTN named itself: spread to the later side only, never cut short (design.md 7)."""
    return round(seconds * 1000 * rng.uniform(1, 1 + _JITTER))


def first_look_ms(payment: Payment, rules: Rules) -> int:
    """The first look comes when the payment is likely final: a person types a PIN, a transfer is quick."""
    if payment.product is Product.COLLECTION:
        return rules.first_look_collection_ms
    return rules.first_look_disbursement_ms


def look_delay_ms(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> int:
    """Delay of the next look of a payment that MTN has: seconds, then fifteen minutes, after a day an hour, for as long as pending."""
    age = now_ms - (payment.acknowledged_at_ms or payment.state_since_ms)
    ceiling = rules.look_ceiling_late_ms if age >= rules.look_late_after_ms else rules.look_ceiling_ms
    factor = rules.look_factor ** min(payment.looks, _POWER_MAX)
    return jittered(min(ceiling, round(first_look_ms(payment, rules) * factor)), rng)


def wordless_delay_ms(payment: Payment, rules: Rules, rng: random.Random) -> int:
    """Delay of the next look of a payment whose fate isn't known, after one that brought no word."""
    factor = rules.look_factor ** min(payment.looks, _POWER_MAX)
    return jittered(min(rules.look_ceiling_ms, round(rules.not_found_apart_ms * factor)), rng)


def about_us_delay_ms(count: int, rules: Rules, rng: random.Random) -> int:
    """Delay of a payment whose answer speaks of our settings: it goes behind its neighbours, or it alone would close the gate each time it opens."""
    return jittered(min(rules.about_us_ceiling_ms, rules.about_us_delay_ms * 2 ** min(count, _POWER_MAX)), rng)


def not_now_delay_ms(count: int, rules: Rules, rng: random.Random) -> int:
    """Delay after the count-th "not now" in a row."""
    return jittered(min(rules.not_now_ceiling_ms, rules.not_now_delay_ms * 2 ** min(count, _POWER_MAX)), rng)


def held_look_ms(payment: Payment, now_ms: int, rules: Rules, rng: random.Random) -> int | None:
    """Delay of the next look of a held payment: hourly for three days, daily for ninety, then none."""
    age = now_ms - payment.state_since_ms
    if age >= rules.held_look_end_ms:
        return None
    return jittered(rules.held_look_ms if age < rules.held_look_late_after_ms else rules.held_look_late_ms, rng)


def queue_of(payment: Payment) -> Queue:
    """The queue that a payment's lane stands for."""
    return Queue.INTERACTIVE if payment.lane is Lane.INTERACTIVE else Queue.BULK
