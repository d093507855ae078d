"""http.client's response, its header lines read by a quicker way: an answer's bytes come in, the same message goes out; decides nothing.

The standard library hands header lines to its parser for e-mail, which was a twentieth of all that a payment costs (measured).
Lines of the plain form are split here instead; all others still go to the parser.
"""

import http.client
import io
import re
from http.client import HTTPMessage, HTTPResponse
from types import FunctionType
from typing import Any

#: Header lines without folding, line ends of another kind or anything else that the parser has an opinion about.
_PLAIN = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")


# What typeshed doesn't know of it is used here.
_library: Any = http.client


def parse_headers(source: Any, *limits: Any, **named: Any) -> HTTPMessage:
    """As `http.client.parse_headers`, which it leaves to do whatever isn't plain."""
    if limits or named:
        odd: HTTPMessage = _library.parse_headers(source, *limits, **named)
        return odd
    # With its limits of length and number.
    whole = b"".join(_library._read_headers(source))  # noqa: SLF001 (the half of its `parse_headers` that isn't the parser)
    if not _PLAIN.fullmatch(whole):
        return http.client.parse_headers(io.BytesIO(whole))
    message = HTTPMessage()
    for line in whole.decode("iso-8859-1").split("\r\n")[:-2]:
        name, _, value = line.partition(":")
        message.set_raw(name, value.lstrip(" \t"))
    return message


class Response(HTTPResponse):
    """A response whose `begin` is http.client's own to the letter, but for the `parse_headers` that it calls."""

    begin = FunctionType(HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": parse_headers}, "begin")
    begin.__kwdefaults__ = HTTPResponse.begin.__kwdefaults__
