"""A POST's headers and body come in, a draft of a payment goes out or a `Refusal` that carries MTN's answer. Never reads the store."""

import ipaddress
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import Account
from momo_worker.simulator.messages import Reply, Request

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_UUID_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_E164 = re.compile(r"\+?[0-9]{5,15}", re.ASCII)
# ERR: no apostrophe, at most 160. NB and momoapi-node#84: no ampersand. Control characters are our strictness.
_REFUSED_IN_NOTES = re.compile(r"['&\x00-\x1f\x7f]")
NOTE_LENGTH_MAX = 160
PARTY_TYPES = frozenset({"MSISDN", "EMAIL", "PARTY_CODE"})


class Refusal(Exception):  # noqa: N818 - it is an answer on its way out, not an error of ours
    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with {reply.status}")
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Draft:
    amount: str
    amount_minor: int
    currency: str
    external_id: str | None
    party_type: str | None
    party_id: str | None
    payer_message: str | None
    payee_note: str | None
    refund_of: str | None


def reference_of(request: Request) -> str:
    """X-Reference-Id must be a UUID of version 4 (ERR, OAS), else 400 without a body."""
    value = request.header("x-reference-id") or ""
    if not _UUID_V4.fullmatch(value):
        raise Refusal(answers.bad_request())
    return value.lower()


def reference_in_path(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise Refusal(answers.bad_request())
    return value.lower()


def check_environment(request: Request, account: Account) -> None:
    environment = request.header("x-target-environment")
    if not environment:
        raise Refusal(answers.bad_request())
    if environment != account.target_environment:
        raise Refusal(answers.coded(500, "NOT_ALLOWED_TARGET_ENVIRONMENT"))


def callback_url_of(request: Request, registered_host: str) -> str | None:
    """Present but empty is a 400; another host than the registered one, or an IP address, is a 500 (ERR)."""
    url = request.header("x-callback-url")
    if url is None:
        return None
    host = _host(url)
    if host is None:
        raise Refusal(answers.bad_request())
    if host != registered_host.lower() or _is_address(host):
        raise Refusal(answers.coded(500, "INVALID_CALLBACK_URL_HOST"))
    return url


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in {"http", "https"} and url.isascii() else None
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(answers.bad_request())
    return value


def draft_of(body: bytes, operation: str, account: Account) -> Draft:
    value = json_object(body)
    amount = _text(value, "amount") or ""
    minor = _minor(amount, account.decimals)
    party_type, party_id = (None, None) if operation == "refund" else _party(value, operation)
    return Draft(
        amount=amount,
        amount_minor=minor,
        currency=_text(value, "currency") or "",
        external_id=_text(value, "externalId"),
        party_type=party_type,
        party_id=party_id,
        payer_message=_note(value, "payerMessage"),
        payee_note=_note(value, "payeeNote"),
        refund_of=_refund_of(value) if operation == "refund" else None,
    )


def _text(value: dict[str, Any], name: str) -> str | None:
    """OAS types all of these as strings; a number instead is refused here, whatever MTN's examples show."""
    found = value.get(name)
    if found is not None and not (isinstance(found, str) and _is_text(found)):
        raise Refusal(answers.bad_request())
    return found


def _is_text(value: str) -> bool:
    """Half of a surrogate pair is valid JSON and no text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _minor(amount: str, decimals: int) -> int:
    if not _AMOUNT.fullmatch(amount):
        raise Refusal(answers.bad_request())
    scaled = Decimal(amount).scaleb(decimals)
    minor = int(scaled)
    if minor != scaled or minor <= 0:
        raise Refusal(answers.bad_request())
    return minor


def _party(value: dict[str, Any], operation: str) -> tuple[str, str]:
    party = value.get("payer" if operation == "requesttopay" else "payee")
    if not isinstance(party, dict):
        raise Refusal(answers.bad_request())
    party_type, party_id = _text(party, "partyIdType"), _text(party, "partyId")
    if party_type not in PARTY_TYPES or not party_id:
        raise Refusal(answers.bad_request())
    if party_type == "MSISDN" and not _E164.fullmatch(party_id):
        raise Refusal(answers.bad_request())
    return party_type, party_id


def _note(value: dict[str, Any], name: str) -> str | None:
    note = _text(value, name)
    if note is not None and (len(note) > NOTE_LENGTH_MAX or _REFUSED_IN_NOTES.search(note)):
        raise Refusal(answers.bad_request())
    return note


def _refund_of(value: dict[str, Any]) -> str:
    refund_of = _text(value, "referenceIdToRefund")
    if not refund_of:
        raise Refusal(answers.bad_request())
    return refund_of.lower()


def money_text(minor: int, decimals: int) -> str:
    """Minor units as the decimal string that MTN writes; whole amounts of a currency with cents keep their cents."""
    return str(Decimal(minor).scaleb(-decimals)) if decimals else str(minor)
