"""A raw entry of one of our own work queues comes in, what is wrong with it goes out; never runs, moves or repairs anything.

Stock Celery 5.7 exits, loops or forgets on a broken envelope (reproduced for each line below), so every entry is read
here in full before Celery sees it. Strict on purpose: only the pump and intake write these queues, with Celery's own
protocol 2. Producers write to other lists, which no Celery consumer reads.
"""

# kombu carries no types.
# mypy: disable-error-code="no-untyped-call"

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kombu.utils.json import loads

NAME_LENGTH_MAX = 255
BODY_PARTS = 3  # args, kwargs, embed
TIME_LIMITS = 2  # soft, hard


class BrokenMessageError(Exception):
    """Says in a few words what is wrong; never quotes the entry, which may hold anything."""


def check_work_message(raw: bytes, queue: str) -> str:
    """Give the delivery tag; raise BrokenMessageError unless Celery can run this entry, and put it back, unsurprised."""
    envelope = _json(raw, "the entry")
    _need(isinstance(envelope, dict), "the entry is not a JSON object")
    _check_properties(_mapping(envelope, "properties"), queue)
    _check_headers(_mapping(envelope, "headers"))
    _need(envelope.get("content-type") == "application/json", "content-type is not application/json")
    _need(envelope.get("content-encoding") == "utf-8", "content-encoding is not utf-8")
    _check_body(envelope)
    return str(envelope["properties"]["delivery_tag"])


def _check_properties(properties: Mapping[str, Any], queue: str) -> None:
    _need(_is_name(properties.get("delivery_tag")), "properties.delivery_tag is missing")
    route = _mapping(properties, "delivery_info")
    # By these two the entry finds its way back when its worker dies; any other value would carry it off for good.
    _need(route.get("exchange") == "" and route.get("routing_key") == queue, "delivery_info doesn't lead to this queue")
    _need(properties.get("body_encoding") in {None, "utf-8", "base64"}, "properties.body_encoding is unknown")


def _check_headers(headers: Mapping[str, Any]) -> None:
    _need(_is_name(headers.get("id")), "headers.id is missing")
    _need(_is_name(headers.get("task")), "headers.task is missing")
    # A waiting task sits in a worker's memory; what is due later stays in the ledger.
    _need(not headers.get("eta"), "headers.eta is set")
    _need(not headers.get("compression"), "headers.compression is set")
    _need(
        headers.get("timelimit") is None or _is_list_of(TIME_LIMITS, headers["timelimit"]),
        "headers.timelimit is not a pair",
    )
    if headers.get("expires") is not None:
        try:
            datetime.fromisoformat(headers["expires"])
        except (TypeError, ValueError):
            raise BrokenMessageError("headers.expires is not a time") from None


def _check_body(envelope: Mapping[str, Any]) -> None:
    body = envelope.get("body")
    _need(isinstance(body, str), "body is not text")
    if envelope["properties"].get("body_encoding") == "base64":
        try:
            body = base64.b64decode(str(body), validate=True)
        except ValueError:
            raise BrokenMessageError("body is not base64") from None
    parts = _json(body, "body")
    _need(_is_list_of(BODY_PARTS, parts), "body is not [args, kwargs, embed]")
    args, kwargs, embed = parts
    _need(isinstance(args, list) and isinstance(kwargs, dict), "args or kwargs have the wrong type")
    # A wake-up carries ids; whatever else it asks to be run afterwards is not ours.
    _need(embed is None or (isinstance(embed, dict) and not any(embed.values())), "body asks for callbacks")


def _json(text: Any, what: str) -> Any:
    # With kombu's own reader, since it turns {"__type__": …} into values and has its own ways to fail over them.
    try:
        return loads(text)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BrokenMessageError(f"{what} is not JSON") from None


def _mapping(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise BrokenMessageError(f"{name} is missing")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= NAME_LENGTH_MAX


def _is_list_of(length: int, value: object) -> bool:
    return isinstance(value, list) and len(value) == length


def _need(holds: bool, otherwise: str) -> None:
    if not holds:
        raise BrokenMessageError(otherwise)
