"""Moments as people type them: `2026-12-24T18:00:00Z`, or how long before or after now, such as `90m`, `36h`, `7d`; the ledger's milliseconds go out."""

import re
from datetime import datetime

from momo_worker.cli.saying import WrongUse

_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)


def ago(text: str, option: str, now_ms: int) -> int:
    """A moment, or so long before now."""
    return _moment(text, option, now_ms, -1)


def from_now(text: str, option: str, now_ms: int) -> int:
    """A moment, or so long after now."""
    return _moment(text, option, now_ms, +1)


def _moment(text: str, option: str, now_ms: int, sign: int) -> int:
    span = _SPAN.fullmatch(text)
    if span is not None:
        return now_ms + sign * int(span[1]) * _UNITS_MS[span[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise WrongUse(
            f"{option} is {text!r}; give a moment with its zone, such as 2026-12-24T18:00:00Z, or a span such as 90m, 36h or 7d; "
            "nothing was changed"
        )
    return int(at.timestamp()) * 1000
