"""What a file says of somebody and what MTN says come in, pass, review or block goes out, with why. Pure; keeps nothing.

Whoever can't be compared is for a person to look at: neither an empty field of MTN's nor another script proves anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from momo_worker.ledger.run_checks import CheckVerdict
from momo_worker.runs.names import UNCOMPARED, Likeness, compare

#: Why a row passed or didn't, beside the kinds of likeness.
INACTIVE, ACTIVE_ONLY, NAMELESS = "inactive", "active_only", "nameless"

#: The same for a person who looks at a row.
WORDS: Mapping[str, str] = {
    INACTIVE: "MTN says that this number has no active wallet",
    ACTIVE_ONLY: "the number is active; the file names nobody to compare with",
    NAMELESS: "the number is active; MTN has no name to compare with",
    CheckVerdict.UNASKED: "MTN gave no answer",
    Likeness.SAME: "the names agree",
    Likeness.INITIALS: "only initials agree",
    Likeness.ONE_WORD: "only one word of a name to compare",
    Likeness.SLIP: "the names agree but for a few letters, or a form of another language",
    Likeness.PARTLY: "some of the names agree, another doesn't",
    Likeness.OTHER: "MTN has another name",
    Likeness.NO_LETTERS: "a name without letters",
    Likeness.OTHER_SCRIPT: "the names are written in different scripts",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which likeness on, in hundredths, a name passes, and from which it is looked at; below, it is blocked."""

    pass_score: int
    review_score: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row's verdict; `score` only where two names were compared."""

    verdict: CheckVerdict
    why: str
    score: int | None = None


def judge(name: str | None, *, active: bool, holder_name: str | None, thresholds: Thresholds) -> Judgement:
    """Hold a row's name against the number's."""
    if not active:
        return Judgement(CheckVerdict.BLOCK, INACTIVE)
    if name is None:
        return Judgement(CheckVerdict.PASS, ACTIVE_ONLY)
    if holder_name is None:
        return Judgement(CheckVerdict.REVIEW, NAMELESS)
    found = compare(name, holder_name)
    if found.likeness in UNCOMPARED:
        return Judgement(CheckVerdict.REVIEW, found.likeness.value)
    return Judgement(_by_score(found.score, thresholds), found.likeness.value, found.score)


def _by_score(score: int, thresholds: Thresholds) -> CheckVerdict:
    if score >= thresholds.pass_score:
        return CheckVerdict.PASS
    return CheckVerdict.REVIEW if score >= thresholds.review_score else CheckVerdict.BLOCK
