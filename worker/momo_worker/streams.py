"""The doors on Redis: job entries come in from `momo:jobs` and the Celery list, result events go out on `momo:results`.

Knows names, groups and scripts; never reads what a job says. Every write either can't be doubled or is safe to double.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

JOBS = "momo:jobs"
RESULTS = "momo:results"
GROUP = "momo"
LEDGER_KEY = "momo:ledger"
TIDE_KEY = "momo:tide"
#: The list of Celery's queue `momo-intake`, and those of its other three priorities (6.1, door 2).
CELERY_DOOR = "momo-intake"
CELERY_LISTS = (CELERY_DOOR, *(f"{CELERY_DOOR}\x06\x16{priority}" for priority in (3, 6, 9)))
_FENCES = "momo:results:fences"
_PIECE = 500
#: More often than this no partition is taken between two appends: each relay appends as soon as it has taken one.
_FENCES_APART = 1_000


class WrongTypeError(Exception):
    """A key of ours is of another type: somebody wrote to it; the message names it and what to do."""


class StreamLostError(Exception):
    """The results stream has lost what it had: Redis was flushed, restored or failed over."""


class FencedError(Exception):
    """Another relay holds the partition under a higher fence."""


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An entry of `momo:jobs`; `deliveries` counts how often it was given out."""

    id: str
    fields: dict[bytes, bytes]
    deliveries: int = 1


# One call moves from all four priority lists, so that an entry is always in the list or in the stream, never in a process's memory.
# What is taken out only after it was put in: a stream that takes nothing must not cost a job. A list of another type
# is told at the end, so that it stops none of the others.
_MOVE = """
local moved = 0
local wrong
for i = 2, #KEYS do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind == 'list' then
    while moved < tonumber(ARGV[1]) do
      local entry = redis.call('LINDEX', KEYS[i], -1)
      if not entry then break end
      redis.call('XADD', KEYS[1], '*', 'celery', entry)
      redis.call('RPOP', KEYS[i])
      moved = moved + 1
    end
  elseif kind ~= 'none' then
    wrong = 'WRONGTYPE ' .. KEYS[i] .. ' is a ' .. kind
  end
end
if wrong then return redis.error_reply(wrong) end
return moved
"""

# Appends only under the highest fence that was seen for each partition, and only to a stream that still has what we know it had:
# to end above it isn't enough, since another relay may have appended after the loss. What is known is trimmed only while it is the last.
_APPEND = """
local function parts(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(seq)
end
local count = tonumber(ARGV[2])
local at = 3
for i = 1, count do
  local seen = tonumber(redis.call('HGET', KEYS[2], ARGV[at]) or '0')
  if tonumber(ARGV[at + 1]) < seen then return {'fenced', ARGV[at]} end
  at = at + 2
end
local last = '0-0'
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
end
local known_ms, known_seq = parts(ARGV[1])
local last_ms, last_seq = parts(last)
if last_ms < known_ms or (last_ms == known_ms and last_seq < known_seq) then return {'lost', last} end
if known_ms > 0 and ARGV[1] ~= last and #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return {'lost', last} end
at = 3
for i = 1, count do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]); at = at + 2 end
for i = at, #ARGV do last = redis.call('XADD', KEYS[1], '*', 'event', ARGV[i]) end
return {'ok', last}
"""


class JobsStream:
    """Door 1, and door 2 emptied into it."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._move = client.register_script(_MOVE)

    def ensure_group(self) -> None:
        """Make the group at `0`: producers may have written before the first pump, and after Redis lost its data (money-review I2)."""
        try:
            self._redis.xgroup_create(JOBS, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise _translated(error) from error

    def read(self, consumer: str, *, count: int, block_ms: int) -> list[StreamEntry]:
        """New entries for this consumer, waiting up to `block_ms` for the first."""
        try:
            found: Any = self._redis.xreadgroup(GROUP, consumer, {JOBS: ">"}, count=count, block=block_ms)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise _translated(error) from error
            self.ensure_group()
            return []
        return [entry for entries in _of_streams(found) for entry in _entries(entries)]

    def left_behind(self, *, idle_ms: int, count: int) -> list[tuple[str, int]]:
        """Entries that were given out, not acknowledged and not touched for so long: id, and how often they were given out."""
        try:
            found: Any = self._redis.xpending_range(JOBS, GROUP, "-", "+", count=count, idle=idle_ms)
        except redis.ResponseError as error:
            if "NOGROUP" not in str(error):
                raise _translated(error) from error
            self.ensure_group()
            return []
        return [(_text(item["message_id"]), int(item["times_delivered"])) for item in found]

    def take_over(self, consumer: str, left: Sequence[tuple[str, int]], *, idle_ms: int) -> list[StreamEntry]:
        """Claim these for this consumer, each counted as given out once more; what another was quicker to claim is left out."""
        if not left:
            return []
        times = dict(left)
        found: Any = self._redis.xclaim(JOBS, GROUP, consumer, min_idle_time=idle_ms, message_ids=list(times))
        entries = _entries([item for item in found if item and item[0] is not None])
        return [StreamEntry(entry.id, entry.fields, times[entry.id] + 1) for entry in entries if entry.fields]

    def give_back(self, consumer: str, entries: Sequence[StreamEntry]) -> None:
        """Uncount the last delivery of entries that couldn't be taken in and did no harm: only a reader's end counts against them."""
        for entry in entries:
            self._redis.xclaim(
                JOBS,
                GROUP,
                consumer,
                min_idle_time=0,
                message_ids=[entry.id],
                retrycount=entry.deliveries - 1,
                justid=True,
            )

    def ends(self) -> tuple[str | None, str]:
        """The first id that is kept, None in an empty stream, and the last that was ever given."""
        try:
            known: Any = self._redis.xinfo_stream(JOBS)
        except redis.ResponseError as error:
            if "no such key" not in str(error):
                raise _translated(error) from error
            return None, "0-0"
        first: Any = self._redis.xrange(JOBS, count=1)
        return (_text(first[0][0]) if first else None), _text(known["last-generated-id"])

    def between(self, after: str, until: str, *, count: int) -> list[StreamEntry]:
        """Entries after this id up to and with that one, whoever has read or acknowledged them."""
        return _entries(self._redis.xrange(JOBS, min=f"({after}", max=until, count=count))

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Only after the ledger has committed."""
        if ids:
            self._redis.xack(JOBS, GROUP, *ids)

    def move_from_celery(self, *, limit: int) -> int:
        """Empty Celery's lists into the stream; returns how many entries were moved."""
        try:
            return int(self._move(keys=[JOBS, *CELERY_LISTS], args=[limit]))
        except redis.ResponseError as error:
            raise _translated(error) from error

    def trim(self, keep_ms: int) -> int:
        """Drop entries older than `keep_ms`, never one that isn't acknowledged; without its group nobody knows which are."""
        self.ensure_group()
        return _trim(self._redis, JOBS, keep_ms)

    def sizes(self) -> tuple[int, int]:
        """How long the stream is, and how many entries are taken and not acknowledged."""
        groups: Any = self._redis.xinfo_groups(JOBS)
        pending = sum(int(group["pending"]) for group in groups if _text(group["name"]) == GROUP)
        return int(self._redis.xlen(JOBS)), pending


class ResultsStream:
    """Door out."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._append = client.register_script(_APPEND)

    def append(self, fences: dict[int, int], known_last_id: str | None, bodies: Sequence[str]) -> str:
        """Append events under these fences (by partition); returns the stream's last id.

        Raises FencedError when another relay has taken a partition, StreamLostError when the stream is behind what we know.
        """
        marks = [str(part) for pair in sorted(fences.items()) for part in pair]
        args: list[str | int] = [known_last_id or "0-0", len(fences), *marks, *bodies]
        try:
            answer: Any = self._append(keys=[RESULTS, _FENCES], args=list(args))
        except redis.ResponseError as error:
            raise _translated(error) from error
        verdict, detail = _text(answer[0]), _text(answer[1])
        if verdict == "fenced":
            raise FencedError(f"partition {detail} is held under a higher fence")
        if verdict == "lost":
            raise StreamLostError(f"the results stream ends at {detail}, and hasn't {known_last_id}, which it had")
        return detail

    def holds(self, stream_id: str, body: str) -> bool:
        """Whether this event still stands under this id: a Redis that lost its last moments may have given the id to another."""
        found: Any = self._redis.xrange(RESULTS, stream_id, stream_id, count=1)
        return any(_text(value) == body for _, fields in found for value in fields.values())

    def has(self, stream_id: str) -> bool:
        """Whether anything stands under this id."""
        return bool(self._redis.xrange(RESULTS, stream_id, stream_id, count=1))

    def since(self, stream_id: str) -> Iterator[str]:
        """Every event after this id that is kept, oldest first."""
        while True:
            found: Any = self._redis.xrange(RESULTS, min=f"({stream_id}", count=_PIECE)
            if not found:
                return
            # Whoever else wrote here may have written bytes that are no text.
            yield from (value.decode(errors="replace") for _, fields in found for value in fields.values())
            stream_id = _text(found[-1][0])

    def fences(self) -> dict[int, int]:
        """The highest fence that was seen for each partition."""
        found: Any = self._redis.hgetall(_FENCES)
        return {int(_text(partition)): int(_text(fence)) for partition, fence in found.items()}

    def raise_fences(self) -> dict[int, int]:
        """Put every fence above whatever a relay that sleeps may hold, so that none of those appends any more; returns the new ones."""
        return {
            partition: int(self._redis.hincrby(_FENCES, str(partition), _FENCES_APART)) for partition in self.fences()
        }

    def trim(self, keep_ms: int, max_bytes: int) -> tuple[int, str | None]:
        """Drop entries older than `keep_ms` that every group has read; over `max_bytes` the oldest go all the same.

        Returns how many were dropped, and, when unread ones had to go, the first id that is left.
        """
        dropped = _trim(self._redis, RESULTS, keep_ms)
        used: Any = self._redis.memory_usage(RESULTS) if self._redis.exists(RESULTS) else 0
        if not used or used <= max_bytes:
            return dropped, None
        length = int(self._redis.xlen(RESULTS))
        keep = max(1, length * max_bytes // int(used))
        forced = int(self._redis.xtrim(RESULTS, maxlen=keep, approximate=True))
        if not forced:
            return dropped, None
        first: Any = self._redis.xrange(RESULTS, count=1)
        return dropped + forced, _text(first[0][0]) if first else None


def _trim(client: redis.Redis, name: str, keep_ms: int) -> int:
    if not client.exists(name):
        return 0
    seconds, _ = client.time()
    oldest = f"{int(seconds) * 1000 - keep_ms}-0"
    groups: Any = client.xinfo_groups(name)
    for group in groups:
        summary: Any = client.xpending(name, group["name"])
        unread = _after(_text(group["last-delivered-id"]))
        kept = _text(summary["min"]) if summary["pending"] else unread
        oldest = min(oldest, kept, key=_order)
    return int(client.xtrim(name, minid=oldest, approximate=True))


def _after(stream_id: str) -> str:
    milliseconds, sequence = _order(stream_id)
    return f"{milliseconds}-{sequence + 1}"


def _order(stream_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _of_streams(found: Any) -> list[Any]:
    """RESP2 answers with a list of streams, RESP3 with a mapping."""
    if not found:
        return []
    if isinstance(found, dict):
        return [entries[0] if entries and isinstance(entries[0], list) else entries for entries in found.values()]
    return [entries for _, entries in found]


def _entries(raw: Any) -> list[StreamEntry]:
    return [StreamEntry(_text(entry_id), dict(fields or {})) for entry_id, fields in raw]


def _translated(error: redis.ResponseError) -> Exception:
    if "WRONGTYPE" in str(error):
        return WrongTypeError(
            f"a key of the doors holds another type ({error}); rename or delete it, jobs are read again as soon as it is gone"
        )
    return error
