"""The pace as the steps ask for it: an account and a product come in, the call may leave when this returns. Knows which budget is whose."""

import threading

import redis

from momo_worker.accounts import Account
from momo_worker.clock import Clock
from momo_worker.pacing import Limiter, NotDepartedError
from momo_worker.payment.payment import Product


class RedisSlots:
    """Slots shared by all processes through Redis."""

    def __init__(self, limiter: Limiter, clock: Clock) -> None:
        self._limiter = limiter
        self._local = _LocalPace(clock)

    def wait(self, account: Account, product: Product, *, look: bool) -> None:
        """Return when this call may leave. Without Redis no status read begins; sends keep this process's own pace."""
        budget = _budget(account, product, look=look)
        apart_ms = account.pace.look_apart_ms if look else account.pace.send_apart_ms
        if apart_ms <= 0:
            return
        if look:
            self._limiter.wait_for_slot(budget, apart_ms)
            return
        try:
            wait_ms = self._limiter.reserve(budget, apart_ms)
        except redis.RedisError:
            self._local.wait(budget, apart_ms)
            return
        if wait_ms > SEND_WAIT_MS_MAX:
            raise NotDepartedError("no slot for a send within 2 s")
        self._local.sleep(wait_ms)

    def wait_to_check(self, account: Account, product: Product, apart_ms: int) -> None:
        """Return when a question about an account holder may leave: at a pace of its own, and in a slot of the status reads.

        Whether MTN counts these among its ten a second isn't published; a check of thousands of numbers must not be how we learn it.
        """
        if apart_ms > 0:
            self._limiter.wait_for_slot(_check_budget(account, product), apart_ms)
        self.wait(account, product, look=True)

    def slow_checks(self, account: Account, product: Product, seconds: float) -> None:
        """Hold back checks for as long as MTN named; payments are looked up all the same, and hear for themselves."""
        try:
            self._limiter.slow(_check_budget(account, product), seconds)
        except redis.RedisError:
            return

    def slow(self, account: Account, product: Product, seconds: float, *, look: bool) -> None:
        """Hold back this budget for as long as MTN named; without Redis the payments' own delays must do."""
        try:
            self._limiter.slow(_budget(account, product, look=look), seconds)
        except redis.RedisError:
            return


SEND_WAIT_MS_MAX = 2_000


def _budget(account: Account, product: Product, *, look: bool) -> str:
    return ("look|" if look else "send|") + account.budget(product)


def _check_budget(account: Account, product: Product) -> str:
    return "check|" + account.budget(product)


class _LocalPace:
    """Spacing within one process, for sends while Redis is away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._next: dict[str, float] = {}

    def wait(self, budget: str, apart_ms: int) -> None:
        with self._lock:
            now = self._clock.elapsed()
            slot = max(now, self._next.get(budget, now))
            if slot - now > SEND_WAIT_MS_MAX / 1000:
                raise NotDepartedError("no slot for a send within 2 s")
            self._next[budget] = slot + apart_ms / 1000
        self._clock.sleep(slot - now)

    def sleep(self, wait_ms: int) -> None:
        self._clock.sleep(wait_ms / 1000)
