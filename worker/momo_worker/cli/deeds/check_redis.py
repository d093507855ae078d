"""The doctor on Redis: a client comes in, findings go out. Reads only, with what the shipped users may do: INFO and no CONFIG."""

from collections.abc import Iterator
from typing import Any

import redis

from momo_worker.celery_settings import QUEUE_KEYS
from momo_worker.cli.deeds.check_ledger import CLOCKS_APART_MS_MAX
from momo_worker.cli.deeds.finding import Finding, fail, ok, warn
from momo_worker.clock import Clock
from momo_worker.streams import CELERY_DOOR, CELERY_LISTS, JOBS, LEDGER_KEY, RESULTS, TIDE_KEY, JobsStream

_VERSION_LEAST = (7, 0)
#: A large Redis is not searched to its end: a doctor must not become the disease.
_SCAN_STEPS = 200
_SCAN_COUNT = 500
_WATCH_SECONDS = 2.0
_FULL_SHARE = 0.9
_TYPES = {
    JOBS: "stream",
    RESULTS: "stream",
    LEDGER_KEY: "string",
    TIDE_KEY: "string",
    **dict.fromkeys((*CELERY_LISTS, *QUEUE_KEYS), "list"),
}


def check_redis(client: redis.Redis, ledger_id: str | None, clock: Clock) -> Iterator[Finding]:
    """Everything about the server and our keys. Raises redis.ConnectionError when it isn't there."""
    info: dict[str, Any] = client.info()
    yield from _version(info)
    yield from _persistence(info)
    yield from _eviction(info)
    if info.get("role") not in (None, "master"):
        yield fail(
            "redis role", f"the server is a {info['role']}", "name the master, or the Sentinels, in MOMO_REDIS_URL"
        )
    yield from _allowed("redis clock", lambda: _clock(client, clock))
    yield from _allowed("redis ledger", lambda: _ledger(client, ledger_id))
    yield from _allowed("keys", lambda: _types(client))
    yield from _allowed("misplaced keys", lambda: _misplaced(client))
    yield from _allowed("invalid messages", lambda: _invalid(client))
    yield from _allowed("queues", lambda: _queues(client, clock))


def _allowed(about: str, check: Any) -> Iterator[Finding]:
    """A check that this Redis user may not do says so, and the others go on."""
    try:
        yield from check()
    except redis.exceptions.NoPermissionError as error:
        yield warn(about, f"this Redis user may not look: {error}", "run the doctor as the user of the pump")


def _version(info: dict[str, Any]) -> Iterator[Finding]:
    text = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if version < _VERSION_LEAST:
        yield fail("redis", f"{name} is too old", "use Redis 7 or later, or Valkey")
    else:
        yield ok("redis", name)


def _persistence(info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("loading"):
        yield warn("redis persistence", "the server is still reading its file", "wait a moment")
    elif not int(info.get("aof_enabled", 0)):
        yield warn(
            "redis persistence",
            "jobs that no pump has taken yet are lost when the server dies (appendonly is off)",
            "set `appendonly yes`; producers that see no momo.payment.accepted after a minute must send again, under the same key",
        )
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield fail("redis persistence", "the server can't write its file", "is its disk full? See its log")
    else:
        yield ok("redis persistence", "appendonly")


def _eviction(info: dict[str, Any]) -> Iterator[Finding]:
    policy, most = str(info.get("maxmemory_policy", "unknown")), int(info.get("maxmemory", 0))
    if policy != "noeviction":
        speak = fail if most else warn
        yield speak(
            "redis memory",
            f"the server throws keys out when it is full (maxmemory_policy {policy}): jobs and results among them",
            "set `maxmemory-policy noeviction`: a queue is no cache",
        )
    elif most and int(info.get("used_memory", 0)) > most * _FULL_SHARE:
        yield fail(
            "redis memory",
            "the server is nearly full, and will refuse jobs",
            "give it more memory, or read the results",
        )
    else:
        yield ok("redis memory", "noeviction")


def _clock(client: redis.Redis, clock: Clock) -> Iterator[Finding]:
    before = clock.now_ms()
    seconds, micros = client.time()
    theirs = int(seconds) * 1000 + int(micros) // 1000
    apart = max(before - theirs, theirs - clock.now_ms(), 0)
    if apart > CLOCKS_APART_MS_MAX:
        yield fail("redis clock", f"is {apart / 1000:.1f} s apart from this machine's", "set both by NTP")
    else:
        yield ok("redis clock", f"within {CLOCKS_APART_MS_MAX // 1000} s of this machine's")


def _ledger(client: redis.Redis, ledger_id: str | None) -> Iterator[Finding]:
    found: Any = client.get(LEDGER_KEY)
    named = found.decode() if found else None
    if named is None:
        yield warn("redis ledger", "this Redis belongs to no ledger yet", "the first process that starts claims it")
    elif ledger_id is None:
        # Nothing may be advised here that takes the Redis away from a ledger that only couldn't be read.
        yield fail(
            "redis ledger",
            f"this Redis belongs to the ledger {named}, and ours has no id that could be read",
            "put the ledger right first, as said above; then look again",
        )
    elif named != ledger_id:
        yield fail(
            "redis ledger",
            f"this Redis belongs to the ledger {named}, and ours is {ledger_id}",
            "correct MOMO_REDIS_URL or MOMO_DATABASE_URL; if the other ledger is lost and this one takes its place: "
            "momo recover --adopt-ledger --reason '…'",
        )
    else:
        yield ok("redis ledger", "belongs to our ledger")


def _types(client: redis.Redis) -> Iterator[Finding]:
    wrong = [
        f"{name!r} is a {kind} and must be a {wanted}"
        for name, wanted in _TYPES.items()
        if (kind := _text(client.type(name))) not in ("none", wanted)
    ]
    for what in wrong:
        yield fail("keys", what, "rename or delete that key: whoever wrote it uses a name of ours")
    if not wrong:
        yield ok("keys", "each has the type it must have")


def _misplaced(client: redis.Redis) -> Iterator[Finding]:
    """Producers whose client puts a prefix before every key write past our doors, and wait for ever."""
    found: set[str] = set()
    cursor, steps = 0, 0
    while steps == 0 or (cursor and steps < _SCAN_STEPS):
        answer: Any = client.scan(cursor, match="*momo*", count=_SCAN_COUNT)
        cursor, steps = int(answer[0]), steps + 1
        found |= {_text(key) for key in answer[1] if _is_misplaced(_text(key))}
    for key in sorted(found)[:10]:
        door = JOBS if JOBS in key else CELERY_DOOR
        yield fail(
            "misplaced keys",
            f"{key!r} holds jobs that nobody reads: a producer's Redis client or Celery puts a prefix before the door {door}",
            "take the prefix out of the producer's client (Celery: global_keyprefix), and send those jobs again under the same keys",
        )
    if not found:
        rest = "" if not cursor else f" among the first {_SCAN_STEPS * _SCAN_COUNT} or so"
        yield ok("misplaced keys", f"none{rest}")


def _is_misplaced(key: str) -> bool:
    name = key.partition("\x06\x16")[0]
    return name.endswith((JOBS, CELERY_DOOR)) and name not in (JOBS, CELERY_DOOR) and not name.startswith("_kombu.")


def _invalid(client: redis.Redis) -> Iterator[Finding]:
    counts = {key: _length(client, f"{key}.invalid") for key in QUEUE_KEYS}
    for key, count in counts.items():
        if count:
            yield warn(
                "invalid messages",
                f"{count} messages of our work queue couldn't be read and lie in {key}.invalid",
                "nothing is lost by them, the ledger releases again; who writes to a queue that isn't theirs?",
            )
    if not any(counts.values()):
        yield ok("invalid messages", "none")


def _queues(client: redis.Redis, clock: Clock) -> Iterator[Finding]:
    """Work that waits and doesn't get less has no worker; jobs that are new and stay new have no pump."""
    before = {key: _length(client, key) for key in QUEUE_KEYS}
    if any(before.values()):
        clock.sleep(_WATCH_SECONDS)
    for key, count in before.items():
        now = _length(client, key)
        if count and now >= count:
            yield fail(
                "worker", f"{now} messages wait in {key}, and nobody takes them", "start `momo up`, or `momo worker`"
            )
        elif count:
            yield ok("worker", f"takes its work: {count} messages, {now} after {_WATCH_SECONDS:.0f} s")
    if not any(before.values()):
        yield ok("worker", "no work is waiting")
    for key in CELERY_LISTS:
        if _length(client, key):
            yield warn(
                "celery door", f"{_length(client, key)} jobs wait in {key!r}", "does a pump run? It empties this list"
            )
    if _text(client.type(JOBS)) == "stream":
        length, pending = JobsStream(client).sizes()
        yield ok("jobs", f"{length} entries kept, {pending} being taken in")


def _length(client: redis.Redis, key: str) -> int:
    return int(client.llen(key)) if _text(client.type(key)) == "list" else 0


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
