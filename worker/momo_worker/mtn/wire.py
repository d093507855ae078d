"""MTN's language: a payment comes in and bytes go out; an answer's bytes come in and a verdict goes out. Pure, never raises on an answer.

How fields are called on either side is in MAPPINGS.md.
"""

import email.utils
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from momo_worker.accounts import Account
from momo_worker.mtn.reasons import Shape, look_class, send_class
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import Operation, Payment
from momo_worker.payment.verdict import (
    Cause,
    Facts,
    LookAnswer,
    LookVerdict,
    RenderedRequest,
    SendAnswer,
    SendVerdict,
    Status,
)

PATHS: dict[Operation, str] = {
    Operation.COLLECT: "/collection/v1_0/requesttopay",
    Operation.DISBURSE: "/disbursement/v1_0/transfer",
    Operation.DEPOSIT: "/disbursement/v1_0/deposit",
    Operation.REFUND: "/disbursement/v1_0/refund",
}

#: How much of a text of theirs is kept.
CODE_CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 256
#: Nobody slows for longer than a day on one word (APIM's quotas may name a week).
RETRY_AFTER_SECONDS_MAX = 86_400.0

#: At least one of these makes an object a status answer and not some machine's.
_STATUS_FIELDS = frozenset(
    {"status", "amount", "currency", "externalId", "financialTransactionId", "payer", "payee", "reason"}
)


class RenderError(ValueError):
    """A payment that can't be put into MTN's words; the message says what is missing."""


# ---- out ------------------------------------------------------------------------------------------------------------


def render(payment: Payment, *, account: Account, refund_reference: str | None) -> RenderedRequest:
    """The request of a payment's current attempt: equal facts give equal bytes. Rendered once, then sent from the store (M3)."""
    credentials = account.credentials.get(payment.product)
    if credentials is None:
        raise RenderError(f"account {account.name} has no credentials for {payment.product.value}")
    operation = payment.operation
    if operation is Operation.REFUND and account.refund_by_transfer:
        operation = Operation.DISBURSE
    return RenderedRequest(
        reference_id=payment.reference_id,
        product=payment.product.value,
        path=PATHS[operation],
        body=_body(payment, operation, refund_reference),
        callback_url=callback_url(account, payment.reference_id),
        api_user=credentials.api_user,
        target_environment=account.market.target_environment,
        base_url=account.market.base_url,
    )


def _body(payment: Payment, operation: Operation, refund_reference: str | None) -> bytes:
    fields: dict[str, Any] = {
        "amount": format_amount(payment.amount_minor, payment.exponent),
        "currency": payment.currency,
        "externalId": payment.external_id,
        **_other_side(payment, operation, refund_reference),
        "payerMessage": payment.payer_message,
        "payeeNote": payment.payee_note,
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _other_side(payment: Payment, operation: Operation, refund_reference: str | None) -> dict[str, Any]:
    if operation is Operation.REFUND:
        if not refund_reference:
            raise RenderError(f"refund {payment.id} has no reference of the collection that it refunds")
        return {"referenceIdToRefund": refund_reference}
    if not payment.msisdn:
        raise RenderError(f"payment {payment.id} has no number")
    field = "payer" if operation is Operation.COLLECT else "payee"
    return {field: {"partyIdType": "MSISDN", "partyId": payment.msisdn}}


def callback_url(account: Account, reference_id: str) -> str | None:
    """Where MTN may tell us about this reference: an unguessable path, no query (K, TSK: MTN advises against them)."""
    if account.callback_url is None:
        return None
    if not account.callback_secret:
        raise RenderError(f"account {account.name} has a callback URL and no callback secret; set MOMO_CALLBACK_SECRET")
    return f"{account.callback_url.rstrip('/')}/{callback_path(account.callback_secret, reference_id)}"


def callback_path(secret: str, reference_id: str) -> str:
    """`reference/seal`: the body of a callback doesn't name the reference (NKAP), so the path does."""
    return f"{reference_id}/{_seal(secret, reference_id)}"


def reference_of_callback(secret: str, path: str) -> str | None:
    """The reference that a callback's path names, or None when we didn't make that path."""
    reference_id, _, seal = path.strip("/").partition("/")
    if hmac.compare_digest(_seal(secret, reference_id).encode(), seal.encode()):
        return reference_id
    return None


def _seal(secret: str, reference_id: str) -> str:
    return hmac.new(secret.encode(), reference_id.encode(), hashlib.sha256).hexdigest()


# ---- in -------------------------------------------------------------------------------------------------------------


def parse_send(status: int, headers: Mapping[str, str], body: bytes, *, now_ms: int | None = None) -> SendVerdict:
    """What an answer to a POST means (M4)."""
    said = read(headers, body)
    answer, cause = send_class(status, said.shape, said.code, said.message, gateway=said.gateway)
    code = said.code
    if answer is SendAnswer.REFUSED and code is None:
        code = "BAD_REQUEST"
    return SendVerdict(
        answer, cause, code, said.message or None, status, retry_after_seconds(status, headers, said.message, now_ms)
    )


def parse_look(status: int, headers: Mapping[str, str], body: bytes, *, now_ms: int | None = None) -> LookVerdict:
    """What an answer to a status read means."""
    said = read(headers, body)
    answer, cause = look_class(status, said.shape, said.code, said.message, gateway=said.gateway)
    if answer is LookAnswer.FOUND and _STATUS_FIELDS.isdisjoint(said.fields):
        answer, cause = LookAnswer.NO_WORD, Cause.FAULT
    if answer is not LookAnswer.FOUND:
        return LookVerdict(
            answer,
            reason_code=said.code,
            reason_message=said.message or None,
            cause=cause,
            http_status=status,
            retry_after_seconds=retry_after_seconds(status, headers, said.message, now_ms),
        )
    return _found(status, said.fields)


def _found(http_status: int, fields: Mapping[str, Any]) -> LookVerdict:
    raw_status = text_of(fields.get("status"), TEXT_CHARACTERS_MAX)
    reason_code, reason_message = _reason(fields.get("reason"))
    return LookVerdict(
        LookAnswer.FOUND,
        status=_status(fields.get("status")),
        raw_status=raw_status,
        facts=Facts(
            amount=text_of(fields.get("amount"), TEXT_CHARACTERS_MAX),
            currency=text_of(fields.get("currency"), TEXT_CHARACTERS_MAX),
            party=_party(fields),
            external_id=text_of(fields.get("externalId"), TEXT_CHARACTERS_MAX),
        ),
        reason_code=reason_code,
        reason_message=reason_message,
        financial_transaction_id=text_of(fields.get("financialTransactionId"), TEXT_CHARACTERS_MAX),
        http_status=http_status,
    )


def _status(raw: Any) -> Status:
    """What isn't one of the two final words, to the letter, means keep asking (M7)."""
    if raw == "SUCCESSFUL":
        return Status.SUCCESSFUL
    if raw == "FAILED":
        return Status.FAILED
    return Status.PENDING


def _reason(value: Any) -> tuple[str | None, str | None]:
    """A bare string on the wire (NKAP, CATI), an object in the specification (OAS)."""
    if isinstance(value, dict):
        return text_of(value.get("code"), CODE_CHARACTERS_MAX), text_of(value.get("message"), TEXT_CHARACTERS_MAX)
    return text_of(value, CODE_CHARACTERS_MAX), None


def _party(fields: Mapping[str, Any]) -> str | None:
    for name in ("payer", "payee"):
        side = fields.get(name)
        if isinstance(side, dict) and side.get("partyId") is not None:
            return text_of(side["partyId"], TEXT_CHARACTERS_MAX)
    return None


@dataclass(frozen=True, slots=True)
class Said:
    """A body, read: its shape and the fields that any of MTN's error bodies has (mtn-api 5.1)."""

    shape: Shape
    fields: Mapping[str, Any]
    code: str | None = None
    message: str = ""

    @property
    def gateway(self) -> bool:
        """The gateway's own form, `{"statusCode": …, "message": …}`: never the wallet platform's (APIM)."""
        return self.code is None and "statusCode" in self.fields


_NOTHING: Mapping[str, Any] = {}

#: Amazon's firewall answers 202 in the place of whom it guards, and to us, who don't accept HTML, without any page.
_WAF_CHALLENGE = "x-amzn-waf-action"


def read(headers: Mapping[str, str], body: bytes) -> Said:
    """Sort a body. Only a whole JSON object without doubled names is an object; what can't be read is never half read."""
    stripped = body.strip()
    content_type = (headers.get("Content-Type") or "").lower()
    if _WAF_CHALLENGE in headers:
        return Said(Shape.MARKUP, _NOTHING)
    if stripped[:1] == b"<" or (stripped and ("html" in content_type or "xml" in content_type)):
        return Said(Shape.MARKUP, _NOTHING)
    if not stripped:
        return Said(Shape.EMPTY, _NOTHING)
    fields = _object(stripped) if _may_be_json(headers, content_type) else None
    if fields is None:
        return Said(Shape.OTHER, _NOTHING, message=_plain(stripped))
    message = fields.get("message")
    if message is None:
        message = fields.get("error")
    return Said(
        Shape.OBJECT,
        fields,
        text_of(fields.get("code"), CODE_CHARACTERS_MAX),
        text_of(message, TEXT_CHARACTERS_MAX) or "",
    )


def _may_be_json(headers: Mapping[str, str], content_type: str) -> bool:
    # We ask for no compression (Accept-Encoding: identity); what comes compressed all the same is not read.
    if (headers.get("Content-Encoding") or "identity").lower() != "identity":
        return False
    return not content_type or "json" in content_type or content_type.startswith("text/plain")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice")
    return fields


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_unique)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = _DECODER.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # also broken UTF-8, and numbers of thousands of digits
        return None
    return value if isinstance(value, dict) else None


def _plain(body: bytes) -> str:
    return text_of(body[:TEXT_CHARACTERS_MAX].decode("utf-8", "replace"), TEXT_CHARACTERS_MAX) or ""


def text_of(value: Any, characters_max: int) -> str | None:
    """Text of theirs as a ledger may keep it: no control characters (PostgreSQL takes no NUL), no half surrogates, not endless.

    Numbers where text was promised are taken as they are written (the specification's own examples have them).
    """
    if value is None or isinstance(value, bool | dict | list):
        return None
    if isinstance(value, Decimal):
        value = format(value, "f") if abs(value.adjusted()) < 40 and value.is_finite() else str(value)  # noqa: PLR2004 (longer than any amount)
    text = value if type(value) is str else str(value)
    if not text.isascii() or not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text[:characters_max].strip() or None


_IN_SECONDS = re.compile(r"in (\d{1,9}) second", re.ASCII | re.IGNORECASE)
_REPLENISHED = re.compile(r"(\d{1,4}):(\d{2}):(\d{2})", re.ASCII)


def retry_after_seconds(status: int, headers: Mapping[str, str], message: str, now_ms: int | None) -> float | None:
    """How long they ask us to wait: `Retry-After` in either form, or the gateway's sentences (APIM); None when they don't say."""
    if status not in (403, 429, 503):
        return None
    found = _from_header(headers, now_ms)
    if found is None:
        found = _from_sentence(message)
    return None if found is None else min(max(found, 0.0), RETRY_AFTER_SECONDS_MAX)


def _from_header(headers: Mapping[str, str], now_ms: int | None) -> float | None:
    value = (headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _moment(value)
    now = _moment(headers.get("Date") or "")
    if now is None and now_ms is not None:
        now = now_ms / 1000
    return None if until is None or now is None else until - now


def _moment(value: str) -> float | None:
    if not value:
        return None
    try:
        return email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None


def _from_sentence(message: str) -> float | None:
    if match := _IN_SECONDS.search(message):
        return float(match[1])
    if match := _REPLENISHED.search(message):
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return None
