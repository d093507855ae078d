"""What MTN says of the person behind a number: an answer comes in, a verdict goes out; what isn't plainly yes, no or a name says nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from momo_worker.mtn.reasons import holder_class
from momo_worker.mtn.wire import Said, read, retry_after_seconds, text_of
from momo_worker.payment.verdict import Cause, HolderVerdict, LookAnswer

#: Longer than any name; the ledger keeps no more.
NAME_CHARACTERS_MAX = 200

_BOOLEANS = {"true": True, "false": False}
#: What the specification gives a person, and `name` and `sub`, which MTN's own SDK shows beside them.
_PERSON_FIELDS = frozenset({"given_name", "family_name", "name", "birthdate", "locale", "gender", "status", "sub"})


def parse_active(status: int, headers: Mapping[str, str], body: bytes, *, now_ms: int | None = None) -> HolderVerdict:
    """Whether the wallet is registered and active."""
    return _parsed(
        status, headers, body, now_ms, _active, HolderVerdict(answered=True, active=False, http_status=status)
    )


def parse_name(status: int, headers: Mapping[str, str], body: bytes, *, now_ms: int | None = None) -> HolderVerdict:
    """What MTN calls them. Birth date and gender are sent along and not read: nobody here needs them."""
    return _parsed(status, headers, body, now_ms, _name, HolderVerdict(answered=True, http_status=status))


def _parsed(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int | None,
    read_fields: Callable[[Mapping[str, Any], int], HolderVerdict | None],
    nobody: HolderVerdict,
) -> HolderVerdict:
    said = read(headers, body)
    answer, cause = holder_class(status, said.shape, said.code, said.message, gateway=said.gateway)
    if answer is LookAnswer.NOT_FOUND:
        return nobody
    found = read_fields(said.fields, status) if answer is LookAnswer.FOUND else None
    if found is not None:
        return found
    return HolderVerdict(
        answered=False,
        # An object under 200 without what was asked for is some machine's on the way.
        cause=Cause.FAULT if answer is LookAnswer.FOUND else cause,
        message=_told(status, said),
        http_status=status,
        retry_after_seconds=retry_after_seconds(status, headers, said.message, now_ms),
    )


def _active(fields: Mapping[str, Any], status: int) -> HolderVerdict | None:
    """A JSON boolean, or the same as text (mtn-api 11: open which)."""
    result = fields.get("result")
    if isinstance(result, str):
        result = _BOOLEANS.get(result.strip().lower())
    return HolderVerdict(answered=True, active=result, http_status=status) if isinstance(result, bool) else None


def _name(fields: Mapping[str, Any], status: int) -> HolderVerdict | None:
    if _PERSON_FIELDS.isdisjoint(fields):
        return None
    parts = [text_of(fields.get(name), NAME_CHARACTERS_MAX) for name in ("given_name", "family_name")]
    whole = " ".join(part for part in parts if part) or text_of(fields.get("name"), NAME_CHARACTERS_MAX)
    return HolderVerdict(answered=True, name=whole[:NAME_CHARACTERS_MAX] if whole else None, http_status=status)


def _told(status: int, said: Said) -> str:
    return f"HTTP {status}, {said.code or said.message or f'a body that is {said.shape.value}'}"
