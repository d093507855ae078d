"""What was written under `[check]` comes in, the numbers of a check before paying go out; contradictions are problems, with the fix."""

from dataclasses import dataclass

from momo_worker.settings_accounts import Where
from momo_worker.settings_problems import Problems
from momo_worker.settings_schema import CheckSection


@dataclass(frozen=True, slots=True)
class CheckRules:
    """How names are judged, and how MTN is asked for them."""

    #: From which likeness on, in hundredths, a row passes ...
    pass_score: int
    #: ... and from which somebody looks at it; below, it is blocked.
    review_score: int
    #: What MTN says of a number's holder is asked anew after so long.
    keep_ms: int
    #: One question each so many milliseconds, out of the pace of the status reads.
    apart_ms: int


def read_check(section: CheckSection, keep_ms: int, where: Where, problems: Problems) -> CheckRules:
    """The rules of a check; what is to be looked at lies below what passes."""
    if section.review_score > section.pass_score:
        problems.add(
            where("check", "review_score"),
            f"{section.review_score} is more than the {section.pass_score} from which on a name passes",
            "set it below pass_score: what lies between is looked at by somebody",
        )
    return CheckRules(section.pass_score, section.review_score, keep_ms, section.apart_ms)
