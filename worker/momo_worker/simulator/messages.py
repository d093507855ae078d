"""What comes in and what goes out: one HTTP request, one reply and how it is delivered. Never opens a socket."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"


@dataclass(frozen=True, slots=True)
class Request:
    """Header names are lower case; `path` is the raw path with its query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    @classmethod
    def of(cls, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> "Request":
        """Build one as an HTTP client would: lower-case names, and a Content-Length on whatever carries or may carry a body."""
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        if method != "GET" and "transfer-encoding" not in lowered:
            lowered.setdefault("content-length", str(len(body)))
        return cls(method, path, lowered, body)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a reply travels: whole, not at all (`cut`), or broken off in the middle (`halfway`), and after how long."""

    kind: str = "answered"
    delay_seconds: float = 0.0


ANSWERED = Delivery()
CUT = Delivery("cut")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delivery: Delivery = ANSWERED

    def json(self) -> Any:
        return json.loads(self.body)

    def delivered(self, kind: str) -> "Reply":
        return replace(self, delivery=replace(self.delivery, kind=kind))

    def delayed(self, seconds: float) -> "Reply":
        return replace(self, delivery=replace(self.delivery, delay_seconds=self.delivery.delay_seconds + seconds))


def json_reply(status: int, value: Any, **headers: str) -> Reply:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, {"Content-Type": JSON_TYPE, **{k.replace("_", "-"): v for k, v in headers.items()}}, body)


def html_reply(status: int, page: str) -> Reply:
    return Reply(status, {"Content-Type": HTML_TYPE}, page.encode())


def empty_reply(status: int) -> Reply:
    return Reply(status)
