"""What a proof pack holds and how it is written: its bytes come in, values go out that are what they must be, or why not. Writes nothing.

With `proof_signed`, `proof_rows` and `proof_check` it stands in every pack as one file, verify.py: they import nothing of ours but one another.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

FORMAT = "momo-proof-1"
MANIFEST = "manifest.json"
#: Everything that a pack holds besides its manifest, in its order.
FILES = (
    "run.json",
    "rows.jsonl",
    "signatures.json",
    "first_approver.txt",
    "approvers.toml",
    "transitions.jsonl",
    "README.txt",
    "verify.py",
)
START = "0" * 64
PROBLEMS_TOLD = 50
_SMALL_BYTES_MAX = 16 * 1024 * 1024
_LINE_BYTES_MAX = 4 * 1024 * 1024
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)


class WrongError(Exception):
    """Something that doesn't hold, in words."""


@dataclass
class Checked:
    """What was found."""

    problems: list[str] = field(default_factory=list)
    #: True, and worth a look: a contradiction of MTN's, a row on a person's desk.
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def problem(self, text: str) -> None:
        """Note one; of very many the first are enough."""
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(text)


# ---- reading --------------------------------------------------------------------------------------------------------


def canonical(value: object) -> str:
    """The one writing of a JSON value in a pack."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def parsed(data: bytes, where: str) -> dict[str, Any]:
    """An object in the one writing."""
    found = loosely(data, where)
    if canonical(found).encode("ascii") != data:
        raise WrongError(f"{where}: isn't written as a pack writes it")
    return found


def loosely(data: bytes, where: str) -> dict[str, Any]:
    """An object, however it is spaced."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise WrongError(f"{where}: is no JSON") from None
    if not isinstance(found, dict):
        raise WrongError(f"{where}: is no JSON object")
    return found


def text_of(of: dict[str, Any], name: str, where: str) -> str:
    """A field that is text, which can be written in UTF-8."""
    value = of.get(name)
    if not isinstance(value, str) or (not value.isascii() and value.encode("utf-8", "replace").decode() != value):
        raise WrongError(f"{where}: has no text for {name}")
    return value


def number_of(of: dict[str, Any], name: str, where: str) -> int:
    """A field that is a whole number."""
    value = of.get(name)
    if type(value) is not int:
        raise WrongError(f"{where}: has no number for {name}")
    return value


def whole(text: str, where: str) -> int:
    """A whole number that stands in a text."""
    if not _WHOLE.fullmatch(text):
        raise WrongError(f"{where}: {text[:30]} is no whole number")
    return int(text)


def small(pack: zipfile.ZipFile, name: str) -> bytes:
    """All of a short file."""
    with pack.open(name) as file:
        data = file.read(_SMALL_BYTES_MAX + 1)
    if len(data) > _SMALL_BYTES_MAX:
        raise WrongError(f"{name} is far too long")
    return data


def lines_of(pack: zipfile.ZipFile, name: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a long file, with their numbers."""
    with pack.open(name) as file:
        number = 0
        while line := file.readline(_LINE_BYTES_MAX + 1):
            number += 1
            if not line.endswith(b"\n"):
                raise WrongError(f"{name}, line {number}: has no end, or is far too long")
            yield number, line[:-1]
