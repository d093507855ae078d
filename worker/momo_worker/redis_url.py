"""A Redis URL comes in, its parts go out; opens no connection and never quotes the URL, which may hold a password.

Forms: `redis://[user:password@]host[:6379][/db]`, `rediss://…` (TLS), and for Sentinel one URL a sentinel, with the name of
the service after the last: `sentinel://[user:password@]host:26379/0;sentinel://host2:26379/0?master_name=NAME`. User, password
and database are the data server's and are read from the first.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from momo_worker.settings_problems import Problems

_SENTINEL_PORT = 26379
_SERVICE = "mymaster"
_ONE_SENTINEL = re.compile(
    r"sentinel://(?:(?P<userinfo>[^@/]*)@)?(?P<host>[^@/:]+)(?::(?P<port>[0-9]{1,5}))?(?:/(?P<db>[0-9]{0,4}))?",
    re.ASCII,
)


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


def parse_sentinel(url: str) -> SentinelUrl:
    """The parts, or a RedisUrlError."""
    urls, _, query_text = url.partition("?")
    query = parse_qs(query_text, keep_blank_values=True)
    if not query.keys() <= {"master_name"} or not query.get("master_name", [_SERVICE])[0]:
        raise RedisUrlError("has something else than master_name=NAME after its ?")
    matches = [_ONE_SENTINEL.fullmatch(part) for part in urls.split(";")]
    if None in matches:
        raise RedisUrlError("is not one sentinel://host:26379/0 after another, with ; between")
    found = [match for match in matches if match is not None]
    username, _, password = (found[0]["userinfo"] or "").partition(":")
    return SentinelUrl(
        hosts=tuple((match["host"], int(match["port"] or _SENTINEL_PORT)) for match in found),
        service=query.get("master_name", [_SERVICE])[0],
        db=int(found[0]["db"] or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
    )


def check_redis_url(url: str, where: str, problems: Problems) -> None:
    try:
        _check(url)
    except RedisUrlError as error:
        problems.add(
            where,
            str(error),
            "write redis://user:password@host:6379/0, rediss:// for TLS, or sentinel://host:26379/0;sentinel://host2:26379/0?master_name=NAME",
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
