"""What the doctor finds: one line each, with a verdict and what to do next."""

from dataclasses import dataclass
from enum import StrEnum

from momo_worker.scrubbing import scrub


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    #: A part doesn't answer, so that nothing can be said about it.
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    verdict: Verdict
    what: str
    next: str = ""


def ok(about: str, what: str) -> Finding:
    """As it should be."""
    return Finding(about, Verdict.OK, scrub(what))


def warn(about: str, what: str, then: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(about, Verdict.WARN, scrub(what), then)


def fail(about: str, what: str, then: str) -> Finding:
    """It must be put right."""
    return Finding(about, Verdict.FAIL, scrub(what), then)


def away(about: str, what: str, then: str) -> Finding:
    """It doesn't answer."""
    return Finding(about, Verdict.AWAY, scrub(what), then)
