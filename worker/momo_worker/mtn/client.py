"""Calls that move money and calls that ask about it: a rendered request comes in, a verdict goes out; never repeats a POST, never raises for what MTN says.

What a failure means is known from the flight's flag alone: up, and the fate of a POST is unknown; down, and nothing left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from http import HTTPStatus

import structlog

from momo_worker.accounts import Account
from momo_worker.clock import Clock
from momo_worker.mtn.adapter import Answer, WireError
from momo_worker.mtn.errors import MtnError, NotDepartedError, NotReachableError, UnexpectedAnswerError
from momo_worker.mtn.holders import parse_active, parse_name
from momo_worker.mtn.line import Line
from momo_worker.mtn.minting import checked_credentials
from momo_worker.mtn.refusals import refusal
from momo_worker.mtn.token import Token, TokenSource
from momo_worker.mtn.wire import TEXT_CHARACTERS_MAX, parse_look, parse_send, read, text_of
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import (
    Cause,
    HolderVerdict,
    LookAnswer,
    LookVerdict,
    RenderedRequest,
    SendAnswer,
    SendVerdict,
)

log = structlog.get_logger(__name__)

#: The secondary key works as well as the first, so it warns, and not at each call.
SECONDARY_WARNING_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Balance:
    """What MTN says lies in the wallet."""

    available: Decimal
    currency: str

    @property
    def text(self) -> str:
        """As people and JSON read it."""
        return f"{self.available:f}"


def _at_once() -> None:
    """A call that nobody holds back."""


class MtnClient:
    """One per account, product and API user; any number of threads."""

    def __init__(
        self,
        account: Account,
        product: Product,
        tokens: TokenSource,
        *,
        clock: Clock,
        deadline_seconds: float = 60,
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 30,
        ca_bundle: str | None = None,
        secondary_used: Callable[[], None] = _at_once,
    ) -> None:
        self._credentials = checked_credentials(account, product)
        self._account = account
        self._product = product
        self._tokens = tokens
        self._clock = clock
        self._secondary_used = secondary_used
        self._secondary_warned_at: float | None = None
        self._line = Line(
            account.market.base_url,
            clock,
            deadline_seconds=deadline_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
            ca_bundle=ca_bundle,
        )
        self._where = f"{product.value} of account {account.name} at {self._line.base_url}"

    def close(self) -> None:
        self._line.close()

    # ---- sends ----------------------------------------------------------------------------------------------------

    def send(self, request: RenderedRequest, depart: Callable[[], None], *, secondary: bool = False) -> SendVerdict:
        """At most one POST on the wire; `depart` is called once, before its first byte."""
        if stranger := self._not_ours(request):
            return SendVerdict(SendAnswer.NOT_NOW, Cause.NOT_DEPARTED, message=stranger)
        try:
            token = self._tokens.current()
        except MtnError as error:
            # Whatever its cause: no connection for this POST was opened.
            return SendVerdict(
                SendAnswer.NOT_NOW, error.cause, message=error.what, retry_after_seconds=error.retry_after_seconds
            )
        flight = self._line.flight(depart)
        try:
            answer = self._line.exchange(
                "POST", request.path, self._send_headers(request, token, secondary=secondary), request.body, flight
            )
        except NotDepartedError as error:
            return SendVerdict(SendAnswer.NOT_NOW, Cause.NOT_DEPARTED, message=error.reason)
        except WireError as error:
            if flight.departed:
                return SendVerdict(SendAnswer.UNKNOWN, Cause.FAULT, message=str(error))
            return SendVerdict(SendAnswer.NOT_NOW, Cause.NEVER_SENT, message=str(error))
        verdict = parse_send(answer.status, answer.headers, answer.body, now_ms=self._clock.now_ms())
        if verdict.cause is Cause.TOKEN_REFUSED:
            self._tokens.drop(token)
        return verdict

    def _send_headers(self, request: RenderedRequest, token: Token, *, secondary: bool) -> dict[str, str]:
        headers = self._headers(token, secondary=secondary)
        headers["X-Reference-Id"] = request.reference_id
        headers["Content-Type"] = "application/json"
        if request.callback_url:  # present and empty is a 400 (ERR)
            headers["X-Callback-Url"] = request.callback_url
        return headers

    def _headers(self, token: Token, *, secondary: bool = False) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {token.value}",
            "X-Target-Environment": self._account.market.target_environment,
            "Ocp-Apim-Subscription-Key": self._subscription_key(secondary=secondary),
            "Accept": "application/json",
            "User-Agent": "momo-worker",
        }

    def _subscription_key(self, *, secondary: bool) -> str:
        key = self._credentials.secondary_key
        if not secondary or key is None:
            return self._credentials.subscription_key
        self._secondary_used()
        now = self._clock.elapsed()
        if self._secondary_warned_at is None or now - self._secondary_warned_at >= SECONDARY_WARNING_SECONDS:
            self._secondary_warned_at = now
            log.warning(
                "secondary_key_used",
                action="secondary_key",
                account=self._account.name,
                product=self._product.value,
                advice="the primary subscription key is refused; renew it in MTN's portal",
            )
        return key

    def _not_ours(self, request: RenderedRequest) -> str | None:
        """M5: a reference is sent and looked up under the credentials and address of its first send, or not at all."""
        market = self._account.market
        mine = (self._product.value, self._credentials.api_user, market.target_environment, market.base_url.rstrip("/"))
        theirs = (request.product, request.api_user, request.target_environment, request.base_url.rstrip("/"))
        if mine == theirs:
            return None
        return "rendered for another product, API user, environment or address than this client's"

    # ---- looks ----------------------------------------------------------------------------------------------------

    def look(self, request: RenderedRequest, depart: Callable[[], None]) -> LookVerdict:
        """One status read; once more after a refused token, or with the secondary key. `depart` is called before each."""
        if stranger := self._not_ours(request):
            return LookVerdict(LookAnswer.NO_WORD, reason_message=stranger, cause=Cause.NOT_DEPARTED)
        path = f"{request.path}/{request.reference_id}"
        ends_at = self._line.ends_at()
        verdict = self._looked(path, depart, ends_at, secondary=False)
        if verdict.cause is Cause.TOKEN_REFUSED:
            return self._looked(path, depart, ends_at, secondary=False)
        if verdict.cause is Cause.KEY_REFUSED and self._credentials.secondary_key:
            return self._looked(path, depart, ends_at, secondary=True)
        return verdict

    def _looked(self, path: str, depart: Callable[[], None], ends_at: float, *, secondary: bool) -> LookVerdict:
        try:
            return self._asked(path, depart, ends_at, secondary=secondary)[1]
        except NotDepartedError as error:
            return LookVerdict(LookAnswer.NO_WORD, reason_message=error.reason, cause=Cause.NOT_DEPARTED)
        except MtnError as error:
            return LookVerdict(
                LookAnswer.NO_WORD,
                reason_message=error.what,
                cause=error.cause,
                retry_after_seconds=error.retry_after_seconds,
            )

    def _asked(
        self, path: str, depart: Callable[[], None], ends_at: float, *, secondary: bool
    ) -> tuple[Answer, LookVerdict]:
        """One GET. Raises MtnError or NotDepartedError; a refused token is dropped."""
        token = self._tokens.current()
        flight = self._line.flight(depart, ends_at)
        try:
            answer = self._line.exchange("GET", path, self._headers(token, secondary=secondary), None, flight)
        except WireError as error:
            raise NotReachableError(
                str(error),
                where=self._where,
                advice="it is tried again by itself",
                cause=Cause.FAULT if flight.departed else Cause.NEVER_SENT,
            ) from error
        verdict = parse_look(answer.status, answer.headers, answer.body, now_ms=self._clock.now_ms())
        if verdict.cause is Cause.TOKEN_REFUSED:
            self._tokens.drop(token)
        return answer, verdict

    # ---- questions about the account ------------------------------------------------------------------------------

    def balance(self, currency: str | None = None) -> Balance:
        """What lies in the wallet. Raises MtnError."""
        path = f"/{self._product.value}/v1_0/account/balance"
        if currency is not None:
            path = f"{path}/{currency}"
        return self._balance(self._answered(path, _at_once))

    def _answered(self, path: str, depart: Callable[[], None]) -> Answer:
        """One read; once more after a refused token, or with the secondary key. Raises MtnError, or what `depart` raised."""
        ends_at = self._line.ends_at()
        answer, verdict = self._asked(path, depart, ends_at, secondary=False)
        if verdict.cause is Cause.TOKEN_REFUSED:
            answer, _ = self._asked(path, depart, ends_at, secondary=False)
        elif verdict.cause is Cause.KEY_REFUSED and self._credentials.secondary_key:
            answer, _ = self._asked(path, depart, ends_at, secondary=True)
        return answer

    def probe(self) -> Cause:
        """One token, fresh if the last was refused, and one balance read: NONE when both went well."""
        try:
            self._tokens.forced()
            self.balance()
        except MtnError as error:
            return error.cause
        return Cause.NONE

    # ---- questions about people ---------------------------------------------------------------------------------

    def holder_active(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        """Whether a number has a wallet that is registered and active; `depart` is called before each read."""
        return self._of_holder(msisdn, "active", depart, parse_active)

    def holder_name(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        """What MTN calls whoever has this number; needs no consent of theirs (OAS)."""
        return self._of_holder(msisdn, "basicuserinfo", depart, parse_name)

    def _of_holder(
        self, msisdn: str, question: str, depart: Callable[[], None], parse: Callable[..., HolderVerdict]
    ) -> HolderVerdict:
        if not (msisdn.isascii() and msisdn.isdigit()):
            raise ValueError("a number is asked about as digits, country code first")
        # The type in lower case: 'active' takes no other, and for 'basicuserinfo' it is what MTN's own SDK sends.
        path = f"/{self._product.value}/v1_0/accountholder/msisdn/{msisdn}/{question}"
        try:
            answer = self._answered(path, depart)
        except NotDepartedError as error:
            return HolderVerdict(answered=False, cause=Cause.NOT_DEPARTED, message=error.reason)
        except MtnError as error:
            return HolderVerdict(
                answered=False,
                cause=error.cause,
                message=error.what,
                retry_after_seconds=error.retry_after_seconds,
            )
        return parse(answer.status, answer.headers, answer.body, now_ms=self._clock.now_ms())

    def _balance(self, answer: Answer) -> Balance:
        said = read(answer.headers, answer.body)
        amount = text_of(said.fields.get("availableBalance"), TEXT_CHARACTERS_MAX)
        currency = text_of(said.fields.get("currency"), 8)
        if answer.status != HTTPStatus.OK or amount is None or currency is None:
            raise refusal(answer, self._where)
        try:
            available = Decimal(amount)
        except InvalidOperation:
            available = Decimal("NaN")
        if not available.is_finite():
            raise UnexpectedAnswerError(
                "the balance isn't a number", where=self._where, advice="ask MTN's support", cause=Cause.FAULT
            )
        return Balance(available, currency)
