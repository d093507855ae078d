"""Whether a ledger was restored: its own counter and the copies of it come in, why it is in recovery (or nothing) goes out. Pure.

The tide counts up each second in the ledger and is copied elsewhere; a ledger that is behind a copy has lost what came after (design.md 9).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Why(StrEnum):
    """What put a ledger in recovery."""

    BEHIND = "behind"  # a copy of the tide, or this process's memory, is ahead of the ledger: a backup, a replica that was behind
    EMPTY = "empty"  # new, under a namespace that was used before
    OTHER_LEDGER = "other_ledger"  # the only copy that is left names another ledger of this installation
    NO_COPY = "no_copy"  # used before, and no copy of its tide is left anywhere: nobody can say that it wasn't restored
    LOST_CLAIM = "lost_claim"  # a worker's committed claim is gone: a failover that lost less than the tide can show
    BY_PERSON = "by_person"  # a person said so, or swapped the ledger knowingly


@dataclass(frozen=True, slots=True)
class KeptPause:
    """A pause as a copy keeps it: what stops sends must outlive the ledger that says so (M13)."""

    account: str
    product: str
    run: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Copy:
    """What is kept of a ledger outside of it, each second."""

    ledger_id: str
    namespace: str
    tide: int
    epoch: int
    at_ms: int
    pauses: tuple[KeptPause, ...] = ()

    def text(self) -> str:
        """As Redis and the file keep it."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)


def copy_from(text: str | None) -> Copy | None:
    """A copy as it was kept; None where there is none, or what is there isn't one (a torn file says nothing)."""
    if text is None:
        return None
    try:
        fields = json.loads(text)
        return Copy(
            str(fields["ledger_id"]),
            str(fields["namespace"]),
            int(fields["tide"]),
            int(fields["epoch"]),
            int(fields["at_ms"]),
            tuple(KeptPause(**pause) for pause in fields["pauses"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class Standing:
    """The ledger itself, as it is read after the copies."""

    ledger_id: str
    namespace: str
    tide: int
    #: Somebody has raised the tide within the last seconds, by the ledger's own word.
    alive: bool


def ours(copies: Sequence[Copy], namespace: str) -> list[Copy]:
    """Those that are of this installation; another's say nothing about it."""
    return [copy for copy in copies if copy.namespace == namespace]


def why_restored(us: Standing, copies: Sequence[Copy], seen: int, *, first: bool) -> Why | None:
    """Why this ledger must be taken for restored, or None.

    `seen` is the highest tide that this process itself has read. `first` is a pump's first question: only then does the absence of
    every copy mean something, since a pump that runs writes them.
    """
    known = ours(copies, us.namespace)
    if us.tide < max([seen, *(copy.tide for copy in known)]):
        return Why.EMPTY if us.tide == 0 else Why.BEHIND
    if known and all(copy.ledger_id != us.ledger_id for copy in known):
        return Why.OTHER_LEDGER
    if first and not known and us.tide > 0 and not us.alive:
        return Why.NO_COPY
    return None
