"""A Redis URL comes in, its parts go out; opens no connection and never quotes the URL, which may hold a password.

Forms: `redis://[user:password@]host[:6379][/db]`, `rediss://…` (TLS), and for Sentinel
`sentinel://[user:password@]host:26379[;host2:26379…]/SERVICE[?db=N&sentinel_username=…&sentinel_password=…]`:
user and password are the data servers'; the sentinels' own stand in the query.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from momo_worker.settings_problems import Problems

_SENTINEL_QUERY = frozenset({"db", "sentinel_username", "sentinel_password"})
_SENTINEL_PORT = 26379


class RedisUrlError(ValueError):
    """A URL that can't be used; says why without showing it."""


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """The parts of a `sentinel://` URL."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def parse_sentinel(url: str) -> SentinelUrl:
    """The parts, or a RedisUrlError."""
    match = re.fullmatch(r"sentinel://(?:([^@/]*)@)?([^@/?]+)/([A-Za-z0-9._-]+)(?:\?(.*))?", url)
    if match is None:
        raise RedisUrlError("is not sentinel://host:26379;host2:26379/service")
    userinfo, hosts, service, query_text = match.groups()
    query = parse_qs(query_text or "", keep_blank_values=True)
    if not query.keys() <= _SENTINEL_QUERY:
        raise RedisUrlError(f"knows after the ? only {', '.join(sorted(_SENTINEL_QUERY))}")
    if not re.fullmatch(r"[0-9]{1,4}", query.get("db", ["0"])[0], re.ASCII):
        raise RedisUrlError("has a db that is no number")
    username, _, password = (userinfo or "").partition(":")
    return SentinelUrl(
        hosts=tuple(_host(part) for part in hosts.split(";")),
        service=service,
        db=int(query.get("db", ["0"])[0]),
        username=unquote(username) or None,
        password=unquote(password) or None,
        sentinel_username=query.get("sentinel_username", [None])[0],
        sentinel_password=query.get("sentinel_password", [None])[0],
    )


def _host(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port or str(_SENTINEL_PORT), re.ASCII):
        raise RedisUrlError("names a sentinel that is not host:port")
    return host, int(port or _SENTINEL_PORT)


def check_redis_url(url: str, where: str, problems: Problems) -> None:
    try:
        _check(url)
    except RedisUrlError as error:
        problems.add(
            where,
            str(error),
            "write redis://user:password@host:6379/0, rediss:// for TLS, or sentinel://host:26379;host2:26379/service",
        )


def _check(url: str) -> None:
    if url.startswith("sentinel://"):
        parse_sentinel(url)
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise RedisUrlError("is not a URL") from None
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise RedisUrlError("is not a Redis URL with a host")
    if not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path, re.ASCII):
        raise RedisUrlError("has a path that is no database number")
