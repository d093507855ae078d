"""A job as it comes through a door, and what became of a batch of them. Values only."""

from dataclasses import dataclass

from momo_worker.payment.job import Problem
from momo_worker.payment.payment import RUN_KEYS

#: The doors of the jobs stream: bare jobs, and Celery messages that were moved there.
STREAM, CELERY = "stream", "celery"
#: The door of entries that are read once more after a restore.
AGAIN = "recovery"
#: The door of rows of approved runs.
RUNS = "run"


@dataclass(frozen=True, slots=True)
class Entry:
    """A job as it came through a door. `source` names the entry for ever; `door` is for counting."""

    source: str
    payload: bytes
    door: str
    #: A Celery message instead of a bare job.
    envelope: bool = False
    #: What is wrong with the entry itself, where it never was a job.
    broken: Problem | None = None
    #: It ended its reader again and again; it may still have become a payment before it did.
    poison: bool = False
    #: Since when it waits, where it does.
    waits_since_ms: int | None = None
    #: The id of the approved run whose row it is.
    run: str = ""

    @property
    def again(self) -> bool:
        """Read once more after a restore: a ledger that knew more may have accepted it."""
        return self.door == AGAIN

    @property
    def known_since_ms(self) -> int | None:
        """Since when a ledger knows it: 0 where it is read once more, and a lost one may have known it; None where it comes for the first time."""
        return 0 if self.again else self.waits_since_ms

    @property
    def stream_id(self) -> str | None:
        """Its place in the jobs stream, where it came by one of its doors."""
        return self.source.rpartition("/")[2] if self.door in (STREAM, CELERY) else None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch of entries."""

    #: Interactive payments that were released with their insert: to be handed to the workers at once.
    released: tuple[str, ...]
    accepted: tuple[str, ...]
    repeated: tuple[str, ...]
    rejected: tuple[str, ...]
    waiting: tuple[str, ...]
    #: Nothing became of these yet: a recovery reads them again first.
    left: tuple[str, ...] = ()


def run_source(run: str, place: int) -> str:
    """The name of a run's row as an entry, for ever."""
    return f"{RUN_KEYS}{run}/{place}"


def run_of(entry_door: str, source: str) -> str:
    """The run whose row an entry is, '' for none."""
    return source.split("/")[1] if entry_door == RUNS else ""
