"""Any exception of a command comes in, the refusal that a person can act on goes out; None for a mistake of ours, which is told as such."""

import redis
from celery.exceptions import CeleryError
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from momo_worker.cli.saying import AnswerIsNo, NotReachable, Refusal, WrongUse
from momo_worker.embedded import EmbeddedError
from momo_worker.ledger.engine import LedgerError
from momo_worker.ledger.moves import MoveLostError
from momo_worker.mtn.errors import ConfigurationError, CredentialsRefusedError, MtnError, NotReachableError
from momo_worker.scrubbing import scrub
from momo_worker.settings import SettingsError
from momo_worker.streams import WrongTypeError
from momo_worker.wiring import OtherLedgerError

_REDIS_ADVICE = (
    "check MOMO_REDIS_URL and the server; without that setting it is the one that `momo up` starts on 127.0.0.1:6388"
)


def as_refusal(error: BaseException) -> Refusal | None:
    """The message and exit code for an exception, or None."""
    found = _refusal(error)
    return None if found is None else type(found)(scrub(found.message), found.facts)


def _refusal(error: BaseException) -> Refusal | None:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, SettingsError):
        return WrongUse(str(error))
    if isinstance(error, LedgerError):
        return _of_ledger(error)
    if isinstance(error, redis.RedisError | BrokerError):
        return _of_redis(error)
    if isinstance(error, MtnError):
        return _of_mtn(error)
    if isinstance(error, WrongTypeError | CeleryError):
        return AnswerIsNo(str(error))
    if isinstance(error, EmbeddedError):
        return NotReachable(str(error))
    return _of_database(error)


def _of_ledger(error: LedgerError) -> Refusal:
    text = str(error)
    text = text if text.startswith(("the ledger", "this Redis", "MOMO_")) else f"the ledger {text}"
    if "can't be reached" in text or "can't be read" in text:
        return NotReachable(text)
    return WrongUse(text) if "MOMO_" in text or isinstance(error, OtherLedgerError) else AnswerIsNo(text)


def _of_redis(error: Exception) -> Refusal:
    text = str(error) or type(error).__name__
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return WrongUse(f"Redis refuses us: {text}; check user and password in MOMO_REDIS_URL, and the user's rights")
    if isinstance(error, redis.exceptions.InvalidResponse) or "Protocol Error" in text:
        return WrongUse(f"what answers at MOMO_REDIS_URL is no Redis ({text}); check host and port")
    if isinstance(error, redis.ResponseError):
        return AnswerIsNo(f"Redis refuses: {text}; `momo doctor` looks closer")
    return NotReachable(f"Redis doesn't answer: {text}; {_REDIS_ADVICE}")


def _of_mtn(error: MtnError) -> Refusal:
    if isinstance(error, NotReachableError):
        return NotReachable(str(error))
    if isinstance(error, ConfigurationError | CredentialsRefusedError):
        return WrongUse(str(error))
    return AnswerIsNo(str(error))


def _of_database(error: BaseException) -> Refusal | None:
    if isinstance(error, MoveLostError):
        return AnswerIsNo("the payment moved in this very moment; look at it again with `momo payment show`")
    if isinstance(error, DBAPIError):
        return NotReachable(f"the ledger doesn't answer: {error.orig}; check MOMO_DATABASE_URL and the server")
    if isinstance(error, SQLAlchemyError):
        return NotReachable(f"the ledger can't be used: {error}; check MOMO_DATABASE_URL and the server")
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return AnswerIsNo(f"{error.strerror or error}{where}")
    return None
