"""`momo recover`: the settings and a wish come in; a restored ledger's recovery is shown, begun, or ended by a person's word. Sends nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from momo_worker.cli.deeds import recovery_facts
from momo_worker.cli.deeds.moments import ago
from momo_worker.cli.deeds.reading import actor, ledger_is_there, quiet_settings
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.payment.tide import Copy
from momo_worker.settings import Settings
from momo_worker.steps import recovery
from momo_worker.streams import LEDGER_KEY
from momo_worker.tide_copies import TideFile, TideInRedis
from momo_worker.wiring import House, build

#: A living pump raises the tide each second.
_WATCH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed."""

    release: bool = False
    send_unsent: bool = False
    without_jobs: bool = False
    without_search: bool = False
    begin: bool = False
    since: str | None = None
    adopt_ledger: bool = False
    reason: str = ""
    by: str = ""


def recover(wish: Wish, *, as_json: bool) -> None:
    """Show, unless one deed is asked for."""
    _check(wish)
    settings = quiet_settings()
    with _house_of(settings) as house:
        done = _deed(house, wish)
        facts = recovery_facts.gather(house, _copies(house))
    if as_json:
        say_json({"done": done, **facts})
        return
    if done:
        say(done)
    for line in recovery_facts.lines(facts):
        say(line)


def _check(wish: Wish) -> None:
    deeds = [wish.release, wish.begin, wish.adopt_ledger]
    if sum(deeds) > 1:
        raise WrongUse("--release, --begin and --adopt-ledger are three commands: give one; nothing was changed")
    if any(deeds) and not wish.reason:
        raise WrongUse("--reason is missing: say why, in a few words; nothing was changed")
    if (wish.send_unsent or wish.without_jobs or wish.without_search) and not wish.release:
        raise WrongUse("--send-unsent and --force-… belong to --release; nothing was changed")
    if wish.since is not None and not wish.begin:
        raise WrongUse("--since belongs to --begin; nothing was changed")


@contextmanager
def _house_of(settings: Settings) -> Iterator[House]:
    """All parts, whoever's Redis it is: this is the command that settles it."""
    ledger_is_there(settings)
    house = build(settings, claims_redis=False)
    try:
        yield house
    finally:
        house.parts.ledger.close()
        house.redis.close()


def _deed(house: House, wish: Wish) -> str | None:
    if wish.release:
        return _release(house, wish)
    if wish.begin:
        return _begin(house, wish)
    return _adopt(house, wish) if wish.adopt_ledger else None


def _release(house: House, wish: Wish) -> str:
    released = recovery.release(
        house.parts,
        actor=actor(wish.by),
        reason=wish.reason,
        skip=recovery.Skip(jobs=wish.without_jobs, searches=wish.without_search),
        send_unsent=wish.send_unsent,
    )
    if released is None:
        raise AnswerIsNo("the ledger is not in recovery: there is nothing to release")
    if not released.done:
        waits = "; ".join(_words(released.waits)) or "another person has released it at this moment"
        raise AnswerIsNo(
            f"not released: {waits}. A pump goes through it by itself; `momo recover` shows how far it is",
            {"waits": _words(released.waits), "put_on_desk": released.held},
        )
    return (
        f"Released. {released.let_go} payments were let go, {released.held} that nobody had looked for lie on the desk."
    )


def _words(waits: recovery.Waits) -> list[str]:
    found = []
    if waits.jobs:
        found.append("the jobs stream has not been read again to its end (--force-without-jobs goes on without)")
    if waits.listing:
        found.append("the ledger's payments are still being listed")
    if waits.searches:
        found.append(
            f"MTN has not been asked about {waits.searches} payments to the end (--force-without-search goes on without)"
        )
    if waits.sending:
        found.append(
            f"{waits.sending} of these are being sent, as far as the ledger knows, and nobody goes on without them before their leases "
            "end: ask again in some minutes"
        )
    return found


def _begin(house: House, wish: Wish) -> str:
    recovery.begin_by_person(
        house.parts,
        [copy for copy in _copies(house).values() if copy is not None],
        actor=actor(wish.by),
        reason=wish.reason,
        since_ms=ago(wish.since, "--since", house.parts.clock.now_ms()) if wish.since else None,
    )
    return "In recovery now: no send begins from a second from now on."


def _adopt(house: House, wish: Wish) -> str:
    named = house.redis.get(LEDGER_KEY)
    text = named.decode() if isinstance(named, bytes) else named
    if text is None or text == house.ledger_id:
        raise AnswerIsNo("this Redis names no other ledger: there is nothing to adopt; nothing was changed")
    kept = TideInRedis(house.redis).read()
    if kept is not None and kept.namespace != str(house.parts.namespace):
        raise AnswerIsNo(
            f"this Redis belongs to another installation (namespace {kept.namespace}, ours is {house.parts.namespace}): "
            "its jobs are not ours; correct MOMO_REDIS_URL; nothing was changed"
        )
    house.parts.clock.sleep(_WATCH_SECONDS)
    now = TideInRedis(house.redis).read()
    if now is not None and (kept is None or now.tide != kept.tide):
        raise AnswerIsNo(
            f"the ledger {text} lives: a pump raises its tide at this moment; stop its processes first, "
            "or correct MOMO_DATABASE_URL; nothing was changed"
        )
    copies = [copy for copy in _copies(house).values() if copy is not None]
    raised = recovery.begin_by_person(house.parts, copies, actor=actor(wish.by), reason=wish.reason)
    # In recovery before Redis names it: no process may start on it and send.
    house.redis.set(LEDGER_KEY, house.ledger_id)
    TideInRedis(house.redis).keep(raised.copy)
    TideFile(house.settings.home).keep(raised.copy)
    return f"This ledger ({house.ledger_id}) takes the place of {text}, and is in recovery."


def _copies(house: House) -> dict[str, Copy | None]:
    """What is kept outside of the ledger; Redis may be away."""
    try:
        in_redis = TideInRedis(house.redis).read()
    except redis.RedisError:
        in_redis = None
    return {"redis": in_redis, "file": TideFile(house.settings.home).read()}
