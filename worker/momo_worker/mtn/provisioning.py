"""The sandbox's own door: a subscription key comes in, an API user and its key go out. Production has no such calls: its portal makes them.

Never keeps what it was given or got, and never draws an id: whoever calls passes one in, so that a lost answer can be asked for again.
"""

import json
import re
from dataclasses import dataclass, field
from http import HTTPStatus

from momo_worker.clock import Clock
from momo_worker.mtn.adapter import Answer, WireError
from momo_worker.mtn.errors import ConfigurationError, NotReachableError
from momo_worker.mtn.line import Line
from momo_worker.mtn.minting import header_safe
from momo_worker.mtn.refusals import refusal
from momo_worker.mtn.wire import TEXT_CHARACTERS_MAX, read, text_of
from momo_worker.payment.verdict import Cause

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_NUMBERS_ONLY = re.compile(r"[0-9.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiUser:
    """What MTN says of an API user."""

    callback_host: str | None
    target_environment: str | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Shown by MTN once."""

    value: str = field(repr=False)


def _at_once() -> None:
    """Nobody holds these calls back."""


class Provisioning:
    """One subscription key at one address. Every call raises MtnError."""

    def __init__(
        self,
        base_url: str,
        subscription_key: str,
        *,
        clock: Clock,
        deadline_seconds: float = 60,
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 30,
        ca_bundle: str | None = None,
    ) -> None:
        self._line = Line(
            base_url,
            clock,
            deadline_seconds=deadline_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
            ca_bundle=ca_bundle,
        )
        self._where = f"sandbox provisioning at {self._line.base_url}"
        if not header_safe(subscription_key):
            raise self._wrong("the subscription key is empty or has characters that no key has", "copy it again")
        self._subscription_key = subscription_key

    def create_user(self, user_id: str, callback_host: str) -> bool:
        """Make an API user of this id (a UUID, version 4); False when MTN has it already. The host is fixed from then on (NKAP)."""
        if not _HOST.fullmatch(callback_host) or _NUMBERS_ONLY.fullmatch(callback_host):
            raise self._wrong(
                "the callback host is no host name",
                'give a name such as "pay.example.org", without https://, path or port',
            )
        body = json.dumps({"providerCallbackHost": callback_host}).encode()
        headers = {"X-Reference-Id": user_id, "Content-Type": "application/json"}
        answer = self._ask("POST", "/v1_0/apiuser", headers, body)
        if answer.status == HTTPStatus.CREATED:
            return True
        if answer.status == HTTPStatus.CONFLICT:
            return False
        raise refusal(answer, self._where)

    def create_key(self, user_id: str) -> ApiKey:
        """A new API key of this user; the one before stops working."""
        # No body, and a length all the same: MTN answers 411 without (OAS, NKAP).
        answer = self._ask("POST", f"/v1_0/apiuser/{user_id}/apikey", {"Content-Length": "0"}, b"")
        key = text_of(read(answer.headers, answer.body).fields.get("apiKey"), TEXT_CHARACTERS_MAX)
        if answer.status != HTTPStatus.CREATED or not header_safe(key):
            raise refusal(answer, self._where)
        return ApiKey(key or "")

    def user(self, user_id: str) -> ApiUser:
        """What the API user was made with."""
        answer = self._ask("GET", f"/v1_0/apiuser/{user_id}", {}, None)
        fields = read(answer.headers, answer.body).fields
        if answer.status != HTTPStatus.OK or "targetEnvironment" not in fields:
            raise refusal(answer, self._where)
        # Some copies of the specification call the host paymentServerUrl (SDK).
        host = fields.get("providerCallbackHost") or fields.get("paymentServerUrl")
        return ApiUser(text_of(host, TEXT_CHARACTERS_MAX), text_of(fields["targetEnvironment"], TEXT_CHARACTERS_MAX))

    def close(self) -> None:
        self._line.close()

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        headers = {"Ocp-Apim-Subscription-Key": self._subscription_key, "Accept": "application/json", **headers}
        try:
            return self._line.exchange(method, path, headers, body, self._line.flight(_at_once))
        except WireError as error:
            raise NotReachableError(
                str(error), where=self._where, advice="check the network, then try again", cause=Cause.FAULT
            ) from error

    def _wrong(self, what: str, advice: str) -> ConfigurationError:
        return ConfigurationError(what, where=self._where, advice=advice, cause=Cause.CONFIGURATION)
