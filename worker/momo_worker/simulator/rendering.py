"""A stored payment and the faults of this look come in, the body of a status answer or a callback goes out. Never changes a payment."""

from collections.abc import Callable
from typing import Any

from momo_worker.simulator import answers
from momo_worker.simulator.faults import Rule
from momo_worker.simulator.store import Row

_OTHER_NUMBER = "46700000000"


def status_body(row: Row, status: str, reason_form: str, twists: list[Rule]) -> dict[str, Any]:
    """The field order of a real answer (NKAP); financialTransactionId only when SUCCESSFUL, reason only when FAILED."""
    body: dict[str, Any] = {}
    if row["external_id"] is not None:
        body["externalId"] = row["external_id"]
    body |= {"amount": row["amount"], "currency": row["currency"]}
    if row["party_id"] is not None:
        side = "payer" if row["operation"] == "requesttopay" else "payee"
        body[side] = {"partyIdType": row["party_type"], "partyId": row["party_id"]}
    for field, column in (("payerMessage", "payer_message"), ("payeeNote", "payee_note")):
        if row[column] is not None:
            body[field] = row[column]
    body["status"] = status
    if status == "SUCCESSFUL":
        body["financialTransactionId"] = row["financial_id"]
    if status == "FAILED" and row["reason"] is not None:
        body["reason"] = _reason(row["reason"], _form(reason_form, twists))
    for rule in twists:
        _twist(body, rule)
    return body


def _form(reason_form: str, twists: list[Rule]) -> str:
    names = {rule.fault for rule in twists}
    if "reason_as_object" in names:
        return "object"
    return "string" if "reason_as_string" in names else reason_form


def _reason(code: str, form: str) -> str | dict[str, str]:
    return code if form == "string" else {"code": code, "message": answers.MESSAGES.get(code, code)}


def _twist(body: dict[str, Any], rule: Rule) -> None:
    twist = _TWISTS.get(rule.fault)
    if twist is not None:
        twist(body, rule)


def _set(body: dict[str, Any], name: str, value: str) -> None:
    body[name] = value


def _drop(body: dict[str, Any], *names: str) -> None:
    for name in names:
        body.pop(name, None)


def _wrong_party(body: dict[str, Any]) -> None:
    for side in ("payer", "payee"):
        if side in body:
            body[side] = {"partyIdType": "MSISDN", "partyId": _OTHER_NUMBER}


def _as_numbers(body: dict[str, Any]) -> None:
    """OAS examples show JSON numbers; a float here is MTN's, not ours: it never comes back into an account."""
    for name in ("amount", "externalId", "financialTransactionId"):
        if isinstance(body.get(name), str):
            body[name] = _number(body[name])
    for side in ("payer", "payee"):
        if side in body:
            body[side] = {**body[side], "partyId": _number(body[side]["partyId"])}


def _number(text: str) -> str | int | float:
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return float(text) if "." in text else text
    except ValueError:
        return text


# reason_as_string and reason_as_object are not here: they are the form in which the reason is written in the first place.
_TWISTS: dict[str, Callable[[dict[str, Any], Rule], None]] = {
    "numbers_for_strings": lambda body, _: _as_numbers(body),
    "unknown_status": lambda body, rule: _set(body, "status", rule.code or "IN_REVIEW"),
    "shown_created": lambda body, _: _set(body, "status", "CREATED"),
    "no_status": lambda body, _: _drop(body, "status"),
    "missing_fields": lambda body, _: _drop(body, "payerMessage", "payeeNote", "externalId", "financialTransactionId"),
    "wrong_amount": lambda body, _: _set(body, "amount", f"1{body['amount']}"),
    "wrong_currency": lambda body, _: _set(body, "currency", "ZAR" if body["currency"] != "ZAR" else "EUR"),
    "wrong_party": lambda body, _: _wrong_party(body),
    "wrong_external_id": lambda body, _: _set(body, "externalId", f"other-{body.get('externalId', '')}"),
}
