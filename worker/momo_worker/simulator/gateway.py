"""Keys, passwords and tokens come in, the account and API user they belong to go out, or a `Refusal`. Never touches a payment."""

import base64
import binascii
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import Account, ApiUser, Subscription
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.messages import Reply, Request, json_reply
from momo_worker.simulator.store import Store
from momo_worker.simulator.validation import Refusal, json_object, reference_in_path, reference_of


@dataclass(frozen=True, slots=True)
class Caller:
    """Which subscription a request came in on. Rate limits belong to it, so both of its keys share one."""

    account: Account
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class _Token:
    account: str
    product: str
    api_user: str
    ends_at: float


class Gateway:
    def __init__(self, store: Store, accounts: Sequence[Account], chance: random.Random) -> None:
        self._store = store
        self._chance = chance
        self._callers = {
            (subscription.product, key): Caller(account, subscription)
            for account in accounts
            for subscription in account.subscriptions
            for key in (subscription.primary_key, subscription.secondary_key)
        }
        self._users = {(account.name, user.user_id): user for account in accounts for user in account.api_users}
        self._tokens: dict[str, _Token] = {}

    def caller(self, request: Request, product: str) -> Caller:
        """Any product's key opens the provisioning calls, which have no product of their own."""
        key = request.header("ocp-apim-subscription-key") or _query_key(request.path)
        if not key:
            raise Refusal(answers.missing_key())
        products = (product,) if product else ("collection", "disbursement")
        found = next((self._callers[one, key] for one in products if (one, key) in self._callers), None)
        if found is None:
            raise Refusal(answers.wrong_key())
        return found

    def bearer(self, request: Request, caller: Caller, now: float) -> str:
        """The API user of a live token of this very product, else 401."""
        kind, _, value = (request.header("authorization") or "").partition(" ")
        token = self._token(value) if kind == "Bearer" and value else None
        if token is None or now >= token.ends_at:
            raise Refusal(answers.wrong_token())
        if (token.account, token.product) != (caller.account.name, caller.subscription.product):
            raise Refusal(answers.wrong_token())
        return token.api_user

    def user(self, account: Account, user_id: str) -> ApiUser | None:
        known = self._users.get((account.name, user_id))
        if known is not None:
            return known
        row = self._store.one("SELECT * FROM api_users WHERE user_id = ? AND account = ?", user_id, account.name)
        return ApiUser(row["user_id"], row["api_key"] or "", row["callback_host"]) if row is not None else None

    def mint(
        self, request: Request, caller: Caller, behaviour: Behaviour, now: float, life_seconds: float | None
    ) -> Reply:
        """One access token; `life_seconds` is a fault's: the token then dies early, whatever expires_in says."""
        _check_token_body(request)
        user = self._basic(request, caller.account, behaviour)
        product, name = caller.subscription.product, caller.account.name
        token = self._jwt(user.user_id, now + behaviour.token_seconds)
        ends_at = now + (behaviour.token_seconds if life_seconds is None else life_seconds)
        with self._store.transaction():
            if behaviour.new_token_ends_older:
                self._store.run(
                    "UPDATE tokens SET ends_at = ? WHERE account = ? AND product = ? AND api_user = ?",
                    now,
                    name,
                    product,
                    user.user_id,
                )
            self._tokens.clear()
            self._store.run("DELETE FROM tokens WHERE ends_at < ?", now - 60)
            # After a restart the same seed may draw the same token again; then it is simply renewed.
            sql = "INSERT OR REPLACE INTO tokens (token, account, product, api_user, ends_at) VALUES (?, ?, ?, ?, ?)"
            self._store.run(sql, token, name, product, user.user_id, ends_at)
        return json_reply(
            200, {"access_token": token, "token_type": "access_token", "expires_in": behaviour.token_seconds}
        )

    def end_tokens(self, now: float) -> int:
        self._tokens.clear()
        return self._store.run("UPDATE tokens SET ends_at = ? WHERE ends_at > ?", now, now)

    def forget_cached(self) -> None:
        self._tokens.clear()

    def create_user(self, request: Request, account: Account) -> Reply:
        user_id = reference_of(request)
        host = json_object(request.body).get("providerCallbackHost")
        if not isinstance(host, str) or "/" in host or ":" in host:
            raise Refusal(answers.bad_request())
        if self.user(account, user_id) is not None:
            raise Refusal(answers.used_reference())
        self._store.insert("api_users", {"user_id": user_id, "account": account.name, "callback_host": host})
        return Reply(201)

    def create_key(self, account: Account, user_id: str) -> Reply:
        """A new call makes a new key (NKAP); users of the configuration keep theirs."""
        user = self._existing(account, user_id)
        key = f"{self._chance.getrandbits(128):032x}"
        if not self._store.run("UPDATE api_users SET api_key = ? WHERE user_id = ?", key, user.user_id):
            raise Refusal(answers.unknown_reference())
        return json_reply(201, {"apiKey": key})

    def show_user(self, account: Account, user_id: str) -> Reply:
        user = self._existing(account, user_id)
        return json_reply(
            200, {"providerCallbackHost": user.callback_host, "targetEnvironment": account.target_environment}
        )

    def _existing(self, account: Account, user_id: str) -> ApiUser:
        user = self.user(account, reference_in_path(user_id))
        if user is None:
            raise Refusal(answers.unknown_reference())
        return user

    def _token(self, value: str) -> _Token | None:
        known = self._tokens.get(value)
        if known is None:
            row = self._store.one("SELECT account, product, api_user, ends_at FROM tokens WHERE token = ?", value)
            if row is None:
                return None
            known = self._tokens[value] = _Token(row["account"], row["product"], row["api_user"], row["ends_at"])
        return known

    def _basic(self, request: Request, account: Account, behaviour: Behaviour) -> ApiUser:
        """LMM#46 and NB: wrong credentials were answered 500 login_failed, not the specification's 401."""
        kind, _, value = (request.header("authorization") or "").partition(" ")
        if kind != "Basic":
            raise Refusal(answers.login_failed(401))
        try:
            user_id, _, api_key = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(answers.login_failed(behaviour.login_failed_status)) from None
        user = self.user(account, user_id.lower())
        if user is None or not user.api_key or user.api_key != api_key:
            raise Refusal(answers.login_failed(behaviour.login_failed_status))
        return user

    def _jwt(self, user_id: str, ends_at: float) -> str:
        """Shaped like MTN's (SDK): clientId, a local-time string, a session; the signature is noise."""
        expires = datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        session = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        head = _part(json.dumps({"typ": "JWT", "alg": "R256"}).encode())
        payload = _part(json.dumps({"clientId": user_id, "expires": expires, "sessionId": session}).encode())
        return f"{head}.{payload}.{_part(self._chance.randbytes(32))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _query_key(path: str) -> str | None:
    if "?" not in path:
        return None
    values = parse_qs(urlsplit(path).query).get("subscription-key")
    return values[0] if values else None


def _check_token_body(request: Request) -> None:
    """A form is stopped by the firewall with a 200 (VPAY); JSON with the grant is taken (VPAY, LMM); other bodies are a 400 (ERR)."""
    if "form-urlencoded" in (request.header("content-type") or "") and request.body:
        raise Refusal(answers.request_rejected())
    if request.body and json_object(request.body).get("grant_type") != "client_credentials":
        raise Refusal(answers.bad_request())
