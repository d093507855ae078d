"""What a command says: answers to stdout, as text or one JSON document; refusals as exceptions that carry their exit code. Loads nothing heavy."""

import json
import sys
from collections.abc import Mapping
from typing import Any

DONE = 0
NO = 1
WRONG_USE = 2
NOT_REACHABLE = 3


class Refusal(Exception):  # noqa: N818 - the names are the answers that a command line gives
    """Ends a command with a message for a person, on stderr, and an exit code; never with a traceback."""

    exit_code = NO

    def __init__(self, message: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        #: What `--json` gives besides the message.
        self.facts = dict(facts or {})


class AnswerIsNo(Refusal):
    """The command was right and what it asked for is refused."""


class WrongUse(Refusal):
    """The command, or the settings it runs under, must be changed first."""

    exit_code = WRONG_USE


class NotReachable(Refusal):
    """A part that is needed doesn't answer; the same command may work later."""

    exit_code = NOT_REACHABLE


def say(text: str = "") -> None:
    """A line for people."""
    print(text, flush=True)


def say_json(document: object) -> None:
    """One JSON document on one line, so that lines of a tail and single answers are read the same way."""
    print(json.dumps(document, ensure_ascii=False, default=str), flush=True)


def complain(message: str) -> None:
    """A line on stderr."""
    print(message, file=sys.stderr, flush=True)


def refuse(refusal: Refusal, *, as_json: bool) -> int:
    """Tell a refusal; gives the exit code."""
    if as_json:
        say_json({"error": refusal.message, "exit_code": refusal.exit_code, **refusal.facts})
    complain(f"momo: {refusal.message}")
    return refusal.exit_code
