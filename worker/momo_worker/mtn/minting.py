"""One token from MTN: credentials come in, a token goes out; knows no cache and never tries twice."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeGuard

import structlog

from momo_worker.accounts import Account, Credentials
from momo_worker.clock import Clock
from momo_worker.mtn.adapter import Answer, WireError
from momo_worker.mtn.errors import ConfigurationError, CredentialsRefusedError, MtnError, NotReachableError
from momo_worker.mtn.line import Line
from momo_worker.mtn.reasons import Shape
from momo_worker.mtn.wire import Said, read, retry_after_seconds, text_of
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause

log = structlog.get_logger(__name__)

#: A token that doesn't say how long it lives; MTN's live an hour (SDK).
LIFE_SECONDS_UNSAID = 900
LIFE_SECONDS_MIN = 30
LIFE_SECONDS_MAX = 86_400

_THROTTLED = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)

_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Minted:
    """A token as MTN gave it, with the seconds it has left."""

    value: str = field(repr=False)
    life_seconds: float


class Mint:
    """Asks `/{product}/token/` once per call. `requested` is told before each request leaves."""

    def __init__(
        self,
        account: Account,
        product: Product,
        clock: Clock,
        *,
        requested: Callable[[], None],
        deadline_seconds: float,
        connect_timeout_seconds: float,
        ca_bundle: str | None = None,
    ) -> None:
        self.credentials = checked_credentials(account, product)
        self._product = product
        self._clock = clock
        self._requested = requested
        self._line = Line(
            account.market.base_url,
            clock,
            deadline_seconds=deadline_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=deadline_seconds,
            ca_bundle=ca_bundle,
        )
        self._where = f"{product.value} token at {self._line.base_url}"

    def ask(self) -> Minted:
        """Raises MtnError; with the primary subscription key refused the secondary is asked, which is a second request."""
        began_at = self._clock.elapsed()
        answer = self._answer(self.credentials.subscription_key)
        if self.credentials.secondary_key and _key_refused(answer):
            log.warning("secondary_key_used", action="token_mint", where=self._where)
            answer = self._answer(self.credentials.secondary_key)
        said = read(answer.headers, answer.body)
        token = said.fields.get("access_token")
        if answer.status != HTTPStatus.OK or not header_safe(token):
            raise self._refusal(answer, said)
        return Minted(token, _life_seconds(said) - (self._clock.elapsed() - began_at))

    def close(self) -> None:
        self._line.close()

    def _answer(self, subscription_key: str) -> Answer:
        pair = f"{self.credentials.api_user}:{self.credentials.api_key}".encode()
        headers = {
            "Authorization": "Basic " + base64.b64encode(pair).decode("ascii"),
            "Ocp-Apim-Subscription-Key": subscription_key,
            # No body, and a length all the same: without one MTN answers 411 with a page (NKAP, VPAY).
            "Content-Length": "0",
        }
        try:
            return self._line.exchange(
                "POST", f"/{self._product.value}/token/", headers, b"", self._line.flight(self._requested)
            )
        except WireError as error:
            raise NotReachableError(
                str(error), where=self._where, advice="it is tried again by itself", cause=Cause.NEVER_SENT
            ) from error

    def _refusal(self, answer: Answer, said: Said) -> MtnError:
        status = answer.status
        if status == HTTPStatus.UNAUTHORIZED and "subscription key" in said.message.lower():
            return CredentialsRefusedError(
                "the subscription key was refused",
                where=self._where,
                advice=f"check that the key belongs to the product {self._product.value} and is active",
                cause=Cause.KEY_REFUSED,
            )
        # The specification says 401, the sandbox says 500 with this word (LMM#46, NB).
        if status == HTTPStatus.UNAUTHORIZED or (
            status == HTTPStatus.INTERNAL_SERVER_ERROR and said.message.lower().replace(" ", "_") == "login_failed"
        ):
            return CredentialsRefusedError(
                "API user or API key were refused",
                where=self._where,
                advice="check API user and API key, and that they belong to this country",
                cause=Cause.LOGIN_REFUSED,
            )
        if status == HTTPStatus.FORBIDDEN and "quota" not in said.message.lower() and said.shape is not Shape.MARKUP:
            return ConfigurationError(
                "MTN doesn't take calls from this address",
                where=self._where,
                advice="have MTN whitelist the address that your calls leave from",
                cause=Cause.FORBIDDEN,
            )
        if status == HTTPStatus.NOT_FOUND and said.gateway:
            return ConfigurationError(
                "there is no such address", where=self._where, advice="check MOMO_BASE_URL", cause=Cause.CONFIGURATION
            )
        return NotReachableError(
            f"HTTP {status} and no token" + (" but a page" if said.shape is Shape.MARKUP else ""),
            where=self._where,
            advice="it is tried again by itself; if it stays, ask MTN's support",
            cause=Cause.THROTTLED if status in _THROTTLED else Cause.NEVER_SENT,
            retry_after_seconds=retry_after_seconds(status, answer.headers, said.message, self._clock.now_ms()),
        )


def header_safe(value: object) -> TypeGuard[str]:
    """Whether a secret may stand in a header as it is; http.client would put any other into its complaint."""
    return isinstance(value, str) and _HEADER_SAFE.fullmatch(value) is not None


def checked_credentials(account: Account, product: Product) -> Credentials:
    """The account's credentials for a product. Raises ConfigurationError, which names the setting and never its value."""
    where = f"account {account.name}, {product.value}"
    credentials = account.credentials.get(product)
    if credentials is None:
        raise ConfigurationError(
            "there are no credentials",
            where=where,
            advice="set its subscription key, API user and API key",
            cause=Cause.CONFIGURATION,
        )
    for name in ("subscription_key", "secondary_key", "api_user", "api_key"):
        value = getattr(credentials, name)
        if value is not None and not header_safe(value):
            raise ConfigurationError(
                f"{name} is empty or has characters that no key has",
                where=where,
                advice="copy it again, without spaces, quotes and line ends",
                cause=Cause.CONFIGURATION,
            )
    return credentials


def _key_refused(answer: Answer) -> bool:
    return (
        answer.status == HTTPStatus.UNAUTHORIZED
        and "subscription key" in read(answer.headers, answer.body).message.lower()
    )


def _life_seconds(said: Said) -> int:
    text = text_of(said.fields.get("expires_in"), 12) or ""
    if not (text.isascii() and text.isdigit()):
        return LIFE_SECONDS_UNSAID
    return min(max(int(text), LIFE_SECONDS_MIN), LIFE_SECONDS_MAX)
