"""JSON text as it comes through a door: bytes come in, one object's fields or the reasons against it go out. Pure, and raises nothing but JobError.

Numbers stay as they were written (M12); what an error shows of a value is one short printable line.
"""

import json
from dataclasses import dataclass
from typing import Any

JOB_MAX_BYTES = 16 * 1024
#: Objects and lists inside one another: deep enough for any metadata, and far from where reading it would end a thread's stack.
DEPTH_MAX = 32
_VALUE_SHOWN = 80
#: Where Python refuses to read a number, in words about Python.
_DIGITS_MAX = 4_300
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason against a job."""

    field: str
    value: str
    reason: str
    advice: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.field, "value": self.value, "reason": self.reason, "advice": self.advice}


class JobError(ValueError):
    """A job that can't become a payment, with every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.field} {p.reason}" for p in problems))
        self.problems = problems


class Fraction(str):
    """A JSON number with a point or an exponent, kept as it was written: never a float (M12)."""

    __slots__ = ()


def shown(value: object) -> str:
    """A value as an error shows it: one line, short."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, default=str)
    clean = "".join(char if char.isprintable() else "�" for char in text)
    return clean if len(clean) <= _VALUE_SHOWN else clean[: _VALUE_SHOWN - 1] + "…"


def parse_fields(payload: bytes, *, most_bytes: int = JOB_MAX_BYTES) -> dict[str, Any]:
    """Read a job's JSON; raises JobError when it is no JSON object, too large, or names a field twice."""
    if len(payload) > most_bytes:
        raise JobError(
            [
                Problem(
                    "job",
                    f"{len(payload)} bytes",
                    f"is over {most_bytes} bytes",
                    "send one payment a job; metadata may have 4 KiB",
                )
            ]
        )
    if payload.startswith(_MARK):
        raise JobError([_malformed(payload, "begins with a byte order mark", "encode the job as UTF-8 without one")])
    try:
        found = json.loads(
            payload.decode("utf-8"),
            parse_float=Fraction,
            parse_int=_whole,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object_without_doubles,
        )
    except UnicodeDecodeError:
        raise JobError([_malformed(payload, "is not UTF-8", "encode the job as UTF-8")]) from None
    except RecursionError:
        raise JobError([_malformed(payload, "is nested too deeply", "send a flat JSON object")]) from None
    except ValueError as error:
        raise JobError(
            [_malformed(payload, f"is not JSON: {error}", "send one JSON object in the field job")]
        ) from None
    if not isinstance(found, dict):
        raise JobError(
            [_malformed(payload, "is not a JSON object", 'send an object such as {"operation": "collect", …}')]
        )
    if _deeper_than(found, DEPTH_MAX):
        raise JobError([_malformed(payload, "is nested too deeply", "send a flat JSON object")])
    return found


def _deeper_than(value: object, depth: int) -> bool:
    """Whether anything lies deeper than this; level by level, since what is too deep would end a recursion, too."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list) for inner in level)


def _whole(text: str) -> int:
    digits = len(text.removeprefix("-"))
    if digits > _DIGITS_MAX:
        raise ValueError(f"it holds a number of {digits} digits")
    return int(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _object_without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a field twice")
    return found


def _malformed(payload: bytes, reason: str, advice: str) -> Problem:
    return Problem("job", shown(payload[:200].decode("utf-8", "replace")), reason, advice)
