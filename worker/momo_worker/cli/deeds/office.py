"""All parts for one command that decides or pays: settings come in, a house goes out, whether its Redis is there or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from momo_worker import logs
from momo_worker.cli.deeds.reading import ledger_is_there
from momo_worker.settings import Settings
from momo_worker.wiring import House, build, claim_redis


@dataclass(frozen=True, slots=True)
class Office:
    """A house, and whether its Redis is away (why, in words)."""

    house: House
    redis_away: str | None


@contextmanager
def office_of(settings: Settings) -> Iterator[Office]:
    """All parts for one command; Redis may be away, but another ledger's Redis is refused before anything is done."""
    ledger_is_there(settings)
    house = build(settings, claims_redis=False)
    try:
        yield Office(house, _claim(house))
    finally:
        house.parts.ledger.close()
        house.redis.close()


def _claim(house: House) -> str | None:
    try:
        claim_redis(house.redis, house.ledger_id)
    except redis.AuthenticationError:
        # It is there and refuses us, for good: nothing would ever go out.
        raise
    except (redis.ConnectionError, redis.TimeoutError) as error:
        return logs.scrub(str(error))
    return None
