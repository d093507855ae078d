"""Celery messages read as data: an envelope of protocol 1 or 2 comes in, a job's fields go out; nothing of Celery runs here.

`eta` and `expires` become `not_before` and `not_after`; whatever isn't a plain keyword call of a known task is refused with its reason.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from momo_worker.payment.job import JobError, Problem, parse_fields, shown

ENVELOPE_MAX_BYTES = 64 * 1024

#: What a rejection of a message may be about, beside a job's own fields.
ENVELOPE_PARTS = ("job", "task", "args", "kwargs", "body", "content-type")

OPERATIONS = {
    "momo.collect": "collect",
    "momo.disburse": "disburse",
    "momo.deposit": "deposit",
    "momo.refund": "refund",
}


@dataclass(frozen=True, slots=True)
class _Call:
    task: object
    args: object
    kwargs: object
    eta: object
    expires: object


def fields_of_envelope(payload: bytes) -> dict[str, Any]:
    """The job's fields inside a Celery message; raises JobError for what can't be read as one."""
    envelope = parse_fields(payload, most_bytes=ENVELOPE_MAX_BYTES)
    content_type = envelope.get("content-type", "application/json")
    if content_type != "application/json":
        raise _broken("content-type", content_type, "is not application/json", "set task_serializer to json")
    body = _body(envelope)
    headers = envelope.get("headers")
    call = _protocol_2(headers, body) if isinstance(headers, dict) and "task" in headers else _protocol_1(body)
    return _fields(call)


def _broken(field: str, value: object, reason: str, advice: str) -> JobError:
    return JobError([Problem(field, shown(value), reason, advice)])


def _body(envelope: Mapping[str, Any]) -> Any:
    text = envelope.get("body")
    properties = envelope.get("properties")
    encoding = properties.get("body_encoding") if isinstance(properties, dict) else None
    if not isinstance(text, str):
        raise _broken("body", text, "is not text", "send the task with a Celery client, or use XADD momo:jobs")
    if encoding != "base64":
        return _parsed(text.encode("utf-8", "surrogatepass"))
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _broken(
            "body", text, "is not base64", "send the task with a Celery client, or use XADD momo:jobs"
        ) from None
    return _parsed(data)


def _parsed(data: bytes) -> Any:
    # Wrapped in an object, so that one reader with its limits and its care for numbers serves jobs and envelopes alike.
    found = parse_fields(b'{"body":' + data + b"}", most_bytes=ENVELOPE_MAX_BYTES)
    if found.keys() != {"body"}:
        raise _broken(
            "body", data.decode("utf-8", "replace"), "is not one JSON value", "send the task with a Celery client"
        )
    return found["body"]


def _protocol_2(headers: Mapping[str, Any], body: Any) -> _Call:
    if not isinstance(body, list) or len(body) < 2:  # noqa: PLR2004 (args and kwargs)
        raise _broken("body", body, "is not [args, kwargs, embed]", "send the task with a Celery client")
    return _Call(headers.get("task"), body[0], body[1], headers.get("eta"), headers.get("expires"))


def _protocol_1(body: Any) -> _Call:
    if not isinstance(body, dict):
        raise _broken("body", body, "is neither protocol 1 nor 2 of Celery", "send the task with a Celery client")
    return _Call(body.get("task"), body.get("args", []), body.get("kwargs", {}), body.get("eta"), body.get("expires"))


def _fields(call: _Call) -> dict[str, Any]:
    operation = OPERATIONS.get(call.task) if isinstance(call.task, str) else None
    if operation is None:
        raise _broken("task", call.task, "is no task of this door", f"call one of {', '.join(OPERATIONS)}")
    if call.args not in ([], None):
        raise _broken("args", call.args, "are positional arguments", "pass everything as keyword arguments")
    if not isinstance(call.kwargs, dict):
        raise _broken("kwargs", call.kwargs, "are not keyword arguments", "pass the job's fields as keyword arguments")
    if "operation" in call.kwargs:
        raise _broken(
            "operation",
            call.kwargs["operation"],
            "is named by the task already",
            "leave operation out of the arguments",
        )
    fields = {"operation": operation, **call.kwargs}
    for name, value in (("not_before", call.eta), ("not_after", call.expires)):
        if value is not None and fields.get(name) is None:
            fields[name] = _moment(name, value)
    return fields


def _moment(name: str, value: object) -> str:
    """Celery writes ISO 8601, in UTC where it names no zone; older clients give `expires` as seconds since the epoch."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            at = datetime.fromtimestamp(value, UTC)
        else:
            at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise _broken(name, value, "is not a time", "set eta and expires with a Celery client") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def task_id_of(payload: bytes) -> str | None:
    """The task's id, where the message has one: a rejection names it beside the entry."""
    try:
        found = json.loads(payload)
        task_id = found["headers"]["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return task_id if isinstance(task_id, str) else None
