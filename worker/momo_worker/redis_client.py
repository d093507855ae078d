"""A Redis URL comes in, a client goes out that never repeats a command by itself and never waits for ever."""

# redis-py leaves its Sentinel untyped.
# mypy: disable-error-code="no-untyped-call"

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from momo_worker.redis_url import parse_sentinel


def connect(url: str, *, timeout_seconds: float = 5.0, connections: int = 64) -> redis.Redis:
    """A client for `redis://`, `rediss://` and `sentinel://`; connects when first used.

    redis-py repeats every command ten times by default, and a repeated XADD is a second entry.
    """
    options = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": min(timeout_seconds, 5.0),
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": connections,
    }
    if not url.startswith("sentinel://"):
        return redis.Redis.from_url(url, **options)
    parts = parse_sentinel(url)
    sentinel = Sentinel(list(parts.hosts), sentinel_kwargs={"socket_timeout": 1.0, "retry": Retry(NoBackoff(), 0)})
    master: redis.Redis = sentinel.master_for(
        parts.service, db=parts.db, username=parts.username, password=parts.password, **options
    )
    return master
