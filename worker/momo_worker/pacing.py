"""How fast calls may leave: a budget's name comes in, a moment to leave at goes out, in Redis's time and over all processes.

Never lets a call go when Redis can't be asked, and never keeps a subscription key: a budget's name is hashed.
"""

import hashlib
import ipaddress
import math
from urllib.parse import urlsplit

import redis

from momo_worker.clock import Clock

#: The longest a call waits for its slot with a thread in hand; the payment is due again later instead.
WAIT_MS_MAX = 2_000
#: A grant older than this at departure is asked for again, so that late wakers can't bunch up (design.md 7).
GRANT_AGE_SECONDS_MAX = 0.050
#: A quota may name days; nobody slows for longer than this without being told again.
SLOW_SECONDS_MAX = 86_400.0

# What is kept is the last slot given out, in microseconds of Redis's time. A slot is never given out further ahead
# than the longest wait, so a stored one beyond that says that Redis's clock went back, and is cut to now.
_RESERVE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local apart = ARGV[1] * 1000
local longest = ARGV[2] * 1000
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if last - now > longest then last = now end
local slot = math.max(now, last + apart, now + math.max(0, redis.call('PTTL', KEYS[2])) * 1000)
if slot - now <= longest then
  redis.call('SET', KEYS[1], string.format('%.0f', slot), 'PX', math.ceil((slot - now + apart) / 1000) + 1000)
end
return math.ceil((slot - now) / 1000)
"""

_SLOW = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 1
"""


class NotDepartedError(Exception):
    """Raised by a `depart` callable to stop a call before its first byte; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Limiter:
    """Evenly spaced slots of named budgets, without bursts; any number of processes share them."""

    def __init__(self, client: redis.Redis, clock: Clock) -> None:
        self._clock = clock
        self._reserve = client.register_script(_RESERVE)
        self._slow = client.register_script(_SLOW)

    def reserve(self, budget_key: str, apart_ms: int) -> int:
        """Milliseconds until the slot that is now the caller's.

        More than WAIT_MS_MAX means that no slot was given: ask again then. Raises redis.RedisError.
        """
        return int(self._reserve(keys=_keys(budget_key), args=[apart_ms, WAIT_MS_MAX]))

    def slow(self, budget_key: str, seconds: float) -> None:
        """No slot of this budget for so long: a 429 or a quota said so. A shorter word never shortens a longer one.

        Raises redis.RedisError.
        """
        milliseconds = math.ceil(min(max(seconds, 0.001), SLOW_SECONDS_MAX) * 1000)
        self._slow(keys=_keys(budget_key)[1:], args=[milliseconds])

    def wait_for_slot(self, budget_key: str, apart_ms: int) -> None:
        """Return when the call may leave. Raises NotDepartedError when there is no slot within two seconds, or no Redis."""
        give_up_at = self._clock.elapsed() + WAIT_MS_MAX / 1000
        while True:
            asked_at = self._clock.elapsed()
            wait_seconds = self._granted(budget_key, apart_ms) / 1000
            if self._clock.elapsed() + wait_seconds > give_up_at:
                raise NotDepartedError("no slot within 2 s")
            self._clock.sleep(wait_seconds)
            if self._clock.elapsed() - (asked_at + wait_seconds) <= GRANT_AGE_SECONDS_MAX:
                return

    def _granted(self, budget_key: str, apart_ms: int) -> int:
        try:
            return self.reserve(budget_key, apart_ms)
        except redis.RedisError as error:
            raise NotDepartedError("Redis doesn't answer, and without it nobody knows the pace") from error


def is_loopback(base_url: str) -> bool:
    """Whether a URL leads to this very machine."""
    host = urlsplit(base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _keys(budget_key: str) -> list[str]:
    # One hash tag, so that a cluster keeps both keys of a budget on one node.
    name = hashlib.sha256(budget_key.encode()).hexdigest()[:32]
    return [f"momo:pace:{{{name}}}", f"momo:pace:{{{name}}}:slow"]
