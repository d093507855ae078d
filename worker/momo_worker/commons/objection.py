"""Why a row of a run isn't sent, as a value: what signatures, a mandate or a release say against it."""

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What signatures say of one row."""

    #: What the signatures are about is not this row: it goes to a person's desk.
    TAMPERED = "tampered"
    #: The run isn't approved as it stands: all of it stops.
    STOPPED = "stopped"
    #: Not yet, or not by this process.
    LATER = "later"
    #: Its run was cancelled: what of it wasn't sent never is.
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a row isn't sent."""

    answer: Answer
    why: str
    run_id: str = ""
    #: Until when it waits, where that is known; 0 for a minute.
    until_ms: int = 0
