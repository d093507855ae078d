"""Any exception of a command comes in, the refusal that a person can act on goes out; None for a mistake of ours, which is told as such.

Classes are known by their names: whoever raised one has loaded its module, and an answer shouldn't wait for the others.
"""

from collections.abc import Callable
from typing import Any

from momo_worker.cli.saying import AnswerIsNo, NotReachable, Refusal, WrongUse
from momo_worker.scrubbing import scrub

_REDIS_ADVICE = (
    "check MOMO_REDIS_URL and the server; without that setting it is the one that `momo up` starts on 127.0.0.1:6388"
)


def as_refusal(error: BaseException) -> Refusal | None:
    """The message and exit code for an exception, or None."""
    if isinstance(error, Refusal):
        found: Refusal | None = error
    else:
        found = next((make(error) for kind in _names(error) if (make := _BY_NAME.get(kind))), None)
    return None if found is None else type(found)(scrub(found.message), found.facts)


def _names(error: BaseException) -> list[str]:
    """Full names of the exception's class and those it is made of, the nearest first."""
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]


def _ledger(error: Any) -> Refusal:
    text = str(error)
    text = text if text.startswith(("the ledger", "this Redis", "MOMO_")) else f"the ledger {text}"
    if "can't be reached" in text or "can't be read" in text:
        return NotReachable(text)
    return WrongUse(text) if "MOMO_" in text else AnswerIsNo(text)


def _redis(error: Any) -> Refusal:
    text = str(error).rstrip(". ") or type(error).__name__
    if "Protocol Error" in text:
        return WrongUse(f"what answers at MOMO_REDIS_URL is no Redis ({text}); check host and port")
    if "closed by server" in text:
        return NotReachable(
            f"what answers at MOMO_REDIS_URL closed the connection: is it a Redis, and does it want rediss:// (TLS)? {_REDIS_ADVICE}"
        )
    return NotReachable(f"Redis doesn't answer: {text}; {_REDIS_ADVICE}")


def _redis_refuses(error: Any) -> Refusal:
    text = str(error).rstrip(". ")
    if "Protocol Error" in text:
        return _redis(error)
    if "DB index" in text:
        return WrongUse(f"Redis refuses: {text}; correct the database's number at the end of MOMO_REDIS_URL")
    if "unknown command 'SENTINEL'" in text:
        return WrongUse(
            "what answers at MOMO_REDIS_URL is a Redis and no Sentinel; write redis:// or name the Sentinels"
        )
    return AnswerIsNo(f"Redis refuses: {text}; its log and `momo doctor` may say more")


def _mtn(kind: type[Refusal]) -> Callable[[Any], Refusal]:
    return lambda error: kind(str(error))


_BY_NAME: dict[str, Callable[[Any], Refusal]] = {
    "momo_worker.settings_problems.SettingsError": lambda error: WrongUse(str(error)),
    "momo_worker.ledger.engine.OtherLedgerError": lambda error: WrongUse(str(error)),
    "momo_worker.ledger.engine.LedgerError": _ledger,
    "momo_worker.ledger.moves.MoveLostError": lambda _: AnswerIsNo(
        "the payment moved in this very moment; look at it again with `momo payment show`"
    ),
    "momo_worker.streams.WrongTypeError": lambda error: AnswerIsNo(str(error)),
    "momo_worker.embedded.EmbeddedError": lambda error: NotReachable(str(error)),
    "momo_worker.mtn.errors.NotReachableError": _mtn(NotReachable),
    "momo_worker.mtn.errors.ConfigurationError": _mtn(WrongUse),
    "momo_worker.mtn.errors.CredentialsRefusedError": _mtn(WrongUse),
    "momo_worker.mtn.errors.MtnError": _mtn(AnswerIsNo),
    "redis.exceptions.AuthenticationError": lambda error: WrongUse(
        f"Redis refuses us: {error}; check user and password in MOMO_REDIS_URL"
    ),
    "redis.exceptions.NoPermissionError": lambda error: AnswerIsNo(
        f"Redis refuses us: {error}; this Redis user may not do that, name another one in MOMO_REDIS_URL"
    ),
    "redis.exceptions.InvalidResponse": _redis,
    "redis.exceptions.ConnectionError": _redis,
    "redis.exceptions.TimeoutError": _redis,
    "redis.exceptions.RedisError": _redis_refuses,
    "kombu.exceptions.OperationalError": _redis,
    "celery.exceptions.CeleryError": lambda error: AnswerIsNo(str(error)),
    "sqlalchemy.exc.DBAPIError": lambda error: NotReachable(
        f"the ledger doesn't answer: {error.orig}; check MOMO_DATABASE_URL and the server"
    ),
    "sqlalchemy.exc.SQLAlchemyError": lambda error: NotReachable(
        f"the ledger can't be used: {error}; check MOMO_DATABASE_URL and the server"
    ),
    "builtins.UnicodeEncodeError": lambda error: WrongUse(
        f"{error.object[:40]!a} can't be written in {error.encoding}; use clean UTF-8 text, and a terminal whose LANG says UTF-8"
    ),
    "builtins.OSError": lambda error: AnswerIsNo(
        f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
    ),
}
