"""The access token of an account's product: one for all processes, in Redis, sealed; goes out to callers that hold it for one call.

Never mints what another is minting, never drops a token but the one that failed, never shows a token or a key.
"""

import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
import structlog
from cryptography.fernet import Fernet, InvalidToken

from momo_worker.accounts import Account
from momo_worker.clock import Clock
from momo_worker.mtn.errors import CredentialsRefusedError, MtnError, NotReachableError
from momo_worker.mtn.minting import Mint, Minted
from momo_worker.mtn.sealing import seal_key
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause

log = structlog.get_logger(__name__)

#: MTN: refresh ten minutes before the end (BP); of a token that lives less than an hour, in its last sixth.
REFRESH_SECONDS_BEFORE = 600.0
REFRESH_PART_OF_LIFE = 1 / 6
#: How long a process goes on with its own copy before it looks into Redis again.
COPY_SECONDS_MAX = 5.0
#: One token request, from connection to last byte; the lock in Redis outlasts it.
MINT_SECONDS_MAX = 20.0
LOCK_MS = 25_000
#: While another process mints, how often we look whether it is done.
WAIT_SECONDS = 0.05
#: After a refusal nobody asks again for so long, or MTN locks the API user (money-review T5); after no answer, shorter.
REFUSED_MS = 30_000
UNREACHABLE_MS = 3_000

_DELETE_IF_EQUAL = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def _nobody() -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token in a caller's hand, good for one call."""

    value: str = field(repr=False)
    #: As it stands in Redis: what compare-and-delete compares with.
    sealed: str = field(repr=False)
    refresh_at: float
    ends_at: float


class TokenSource:
    """One per account and product and process, for any number of threads.

    `client` is None, or away: this process then mints its own. It is passed in with timeouts and without retries.
    """

    def __init__(
        self,
        account: Account,
        product: Product,
        client: redis.Redis | None,
        clock: Clock,
        *,
        requested: Callable[[], None] = _nobody,
        connect_timeout_seconds: float = 5,
        ca_bundle: str | None = None,
    ) -> None:
        self._mint = Mint(
            account,
            product,
            clock,
            requested=requested,
            deadline_seconds=MINT_SECONDS_MAX,
            connect_timeout_seconds=connect_timeout_seconds,
            ca_bundle=ca_bundle,
        )
        credentials = self._mint.credentials
        self._names = {"account": account.name, "product": product.value}
        self._where = f"{product.value} token of account {account.name}"
        self._seal = Fernet(seal_key(credentials.api_key, product.value, credentials.api_user))
        self._key = f"momo:token:{{{_fingerprint(account.market.base_url, product.value, credentials.api_user)}}}"
        self._client = client
        self._delete_if_equal = client.register_script(_DELETE_IF_EQUAL) if client is not None else None
        self._clock = clock
        self._held: Token | None = None
        self._dropped: str | None = None
        self._look_again_at = 0.0
        self._refusal: tuple[float, MtnError] | None = None
        self._lock = threading.Lock()

    def current(self) -> Token:
        """A token that is good now. Raises MtnError when there is none to be had."""
        held = self._held
        now = self._clock.elapsed()
        if held is not None and now < held.ends_at:
            if now < self._look_again_at:
                return held
            # Somebody of this process is already looking or minting: the others go on with the old one.
            if not self._lock.acquire(blocking=False):
                return held
        else:
            self._lock.acquire()
        try:
            return self._looked_up()
        finally:
            self._lock.release()

    def drop(self, token: Token) -> None:
        """This very token was refused. Whoever holds another, here or in Redis, keeps it."""
        # Without the lock: whoever mints holds it for seconds, and an answer is waiting to be recorded. What is lost
        # at worst is a copy that is read again from Redis.
        self._dropped = token.value
        held = self._held
        if held is not None and held.value == token.value:
            self._held = None
        if self._delete_if_equal is None:
            return
        try:
            self._delete_if_equal(keys=[self._key], args=[token.sealed])
        except redis.RedisError as error:
            log.warning("token_not_dropped", action="token_drop", error=type(error).__name__, **self._names)

    def forced(self) -> Token:
        """A token, fresh if the last was refused: for the one probe that may ask although the last was told no."""
        with self._lock:
            self._refusal = None
            self._forget_marks()
            return self._looked_up()

    def close(self) -> None:
        self._mint.close()

    # ---- below: with the lock held --------------------------------------------------------------------------------

    def _looked_up(self) -> Token:
        held, now = self._held, self._clock.elapsed()
        if held is not None and now < min(self._look_again_at, held.ends_at):
            return held  # another thread has been here while we waited
        try:
            token = self._from_redis() if self._client is not None else self._renewed_alone()
        except redis.RedisError as error:
            log.warning("token_without_redis", action="token", error=type(error).__name__, **self._names)
            token = self._renewed_alone()
        self._held = None if token.value == self._dropped else token
        self._look_again_at = min(self._clock.elapsed() + COPY_SECONDS_MAX, token.ends_at)
        return token

    def _renewed_alone(self) -> Token:
        """Without Redis: our own copy until it is due, then one of our own."""
        held = self._held
        if held is not None and self._clock.elapsed() < held.refresh_at:
            return held
        return self._minted_or(held)

    def _from_redis(self) -> Token:
        token = self._read()
        while token is None or self._clock.elapsed() >= token.refresh_at:
            owner = secrets.token_hex(16)  # not chance in a decision: only who may unlock
            if self._redis.set(f"{self._key}:lock", owner, nx=True, px=LOCK_MS):
                return self._minted_under_lock(owner)
            if token is not None:
                return token
            self._clock.sleep(WAIT_SECONDS)
            self._raise_if_refused()
            token = self._read()
        return token

    def _minted_under_lock(self, owner: str) -> Token:
        try:
            token = self._read()  # the last owner may have written it between our look and our lock
            if token is not None and self._clock.elapsed() < token.refresh_at:
                return token
            return self._minted_or(token)
        finally:
            self._unlock(owner)

    def _minted_or(self, old: Token | None) -> Token:
        """A new token; or the old one, while it is good, when none is to be had."""
        try:
            self._raise_if_refused()
            return self._minted()
        except MtnError:
            if old is not None and self._clock.elapsed() < old.ends_at:
                return old
            raise

    def _minted(self) -> Token:
        try:
            minted = self._mint.ask()
        except MtnError as error:
            self._remember(error)
            log.warning("token_refused", action="token_mint", reason=error.what, cause=error.cause.value, **self._names)
            raise
        self._refusal = None
        log.info("token_minted", action="token_mint", life_seconds=round(minted.life_seconds), **self._names)
        return self._written(minted)

    # ---- below: Redis ---------------------------------------------------------------------------------------------

    @property
    def _redis(self) -> redis.Redis:
        if self._client is None:
            raise redis.ConnectionError("no Redis is configured")
        return self._client

    def _read(self) -> Token | None:
        """Redis's own clock says how long it still lives, so that no two machines' clocks are compared."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.get(self._key)
            pipe.pttl(self._key)
            sealed, left_ms = pipe.execute()
        if sealed is None or left_ms <= 0:
            return None
        text = sealed.decode("ascii") if isinstance(sealed, bytes) else sealed
        try:
            inside = json.loads(self._seal.decrypt(text))
        except InvalidToken:
            return None  # another API key's: ours will replace it
        if inside["token"] == self._dropped:
            return None  # it failed here, and Redis didn't take our word for it
        return self._token(inside["token"], text, left_ms / 1000, inside["life_seconds"])

    def _written(self, minted: Minted) -> Token:
        inside = json.dumps({"token": minted.value, "life_seconds": minted.life_seconds})
        sealed = self._seal.encrypt(inside.encode()).decode("ascii")
        token = self._token(minted.value, sealed, minted.life_seconds, minted.life_seconds)
        if self._client is not None:
            try:
                self._redis.set(self._key, sealed, px=max(1, int(minted.life_seconds * 1000)))
                self._redis.delete(f"{self._key}:refused")
            except redis.RedisError as error:
                log.warning("token_not_shared", action="token", error=type(error).__name__, **self._names)
        return token

    def _token(self, value: str, sealed: str, left_seconds: float, life_seconds: float) -> Token:
        ends_at = self._clock.elapsed() + left_seconds
        early = min(REFRESH_SECONDS_BEFORE, life_seconds * REFRESH_PART_OF_LIFE)
        return Token(value, sealed, refresh_at=ends_at - early, ends_at=ends_at)

    def _unlock(self, owner: str) -> None:
        if self._delete_if_equal is not None:
            try:
                self._delete_if_equal(keys=[f"{self._key}:lock"], args=[owner])
            except redis.RedisError as error:
                log.warning("token_lock_left", action="token", error=type(error).__name__, **self._names)

    # ---- below: what MTN said no to is not asked again at once ----------------------------------------------------

    def _remember(self, error: MtnError) -> None:
        milliseconds = REFUSED_MS if isinstance(error, CredentialsRefusedError) else UNREACHABLE_MS
        milliseconds = max(milliseconds, int((error.retry_after_seconds or 0) * 1000))
        self._refusal = (self._clock.elapsed() + milliseconds / 1000, error)
        if self._client is not None:
            try:
                self._redis.set(f"{self._key}:refused", error.cause.value, px=milliseconds)
            except redis.RedisError as redis_error:
                log.warning("token_refusal_not_shared", action="token", error=type(redis_error).__name__, **self._names)

    def _raise_if_refused(self) -> None:
        if self._refusal is not None:
            until, error = self._refusal
            if self._clock.elapsed() < until:
                raise error
            self._refusal = None
        said = self._refused_elsewhere()
        if said is not None:
            raise _again(said, self._where)

    def _refused_elsewhere(self) -> Cause | None:
        if self._client is None:
            return None
        try:
            said = self._redis.get(f"{self._key}:refused")
        except redis.RedisError:
            return None  # then we find out ourselves
        return _cause(said.decode("ascii") if isinstance(said, bytes) else said) if said else None

    def _forget_marks(self) -> None:
        if self._client is not None:
            try:
                self._redis.delete(f"{self._key}:refused")
            except redis.RedisError as error:
                log.warning("token_mark_left", action="token", error=type(error).__name__, **self._names)


def _cause(said: str) -> Cause:
    # A newer release in the next process may know causes that this one doesn't.
    return Cause(said) if said in set(Cause) else Cause.NEVER_SENT


def _again(cause: Cause, where: str) -> MtnError:
    if cause in (Cause.LOGIN_REFUSED, Cause.KEY_REFUSED):
        return CredentialsRefusedError(
            "another process was refused a moment ago", where=where, advice="check the credentials", cause=cause
        )
    return NotReachableError(
        "another process got no token a moment ago", where=where, advice="it is tried again by itself", cause=cause
    )


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
