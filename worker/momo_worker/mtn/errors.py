"""What may go wrong at the border, for calls that move no money; sends and looks answer with verdicts and never raise these.

Exception
├── NotDepartedError            a `depart` callable stopped the call before its first byte (lives in pacing)
└── MtnError                    what happened, where, and what to do next; `cause` is the gate's word for it
    ├── CredentialsRefusedError the API user, API key, token or subscription key is wrong
    ├── NotReachableError       no answer, or one of a machine on the way: try again
    ├── ConfigurationError      an address, environment or currency that can't work; nothing is gained by trying again
    └── UnexpectedAnswerError   an answer that fits nothing MTN describes
"""

from momo_worker.pacing import NotDepartedError
from momo_worker.payment.verdict import Cause

__all__ = [
    "ConfigurationError",
    "CredentialsRefusedError",
    "MtnError",
    "NotDepartedError",
    "NotReachableError",
    "UnexpectedAnswerError",
]


class MtnError(Exception):
    """One sentence for a person: what, where, what to do next. Holds no token and no key."""

    def __init__(
        self, what: str, *, where: str, advice: str, cause: Cause, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{where}: {what}; {advice}")
        self.what = what
        self.where = where
        self.advice = advice
        self.cause = cause
        self.retry_after_seconds = retry_after_seconds


class CredentialsRefusedError(MtnError):
    """MTN knows the caller not, or not any more."""


class NotReachableError(MtnError):
    """Nothing was learnt; the same call may be made again later."""


class ConfigurationError(MtnError):
    """What is configured can't work."""


class UnexpectedAnswerError(MtnError):
    """An answer that nobody describes."""
