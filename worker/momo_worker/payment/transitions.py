"""The graph of a payment's life: states, edges, the event on each edge. One file; everything else asks it and nobody lists states again.

Goes out: whether a move is allowed, which event it emits, and a picture. Final states are derived: no edge leads out of them except
an edge that a person opens.
"""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a payment stands. Each docstring says who moves it on and who notices when nobody does (design.md 4)."""

    ACCEPTED = "accepted"  # in the ledger, not sent. Moved on by submission; the pump keeps it due.
    SENDING = "sending"  # a send has no ending yet. Submission; rescue makes it unknown when the lease is over.
    UNKNOWN = "unknown"  # the fate of the last send isn't known. Polling; gauge and alert.
    PENDING = "pending"  # MTN has it. Polling; alert after 1 h (collection) or 24 h (transfer).
    HELD = "held"  # a person's desk, with a cause. `resolve`, `release`; for some causes MTN's word.
    SUCCESSFUL = "successful"  # final: by MTN's word or a person's `resolve`.
    FAILED = "failed"  # final: by MTN's word, a refusal, or a person's `resolve`; a person or policy may open the next attempt.
    CANCELLED = "cancelled"  # final: by us, before anything was sent.


class HeldCause(StrEnum):
    """Why a payment is on a person's desk."""

    TOO_OLD = "too_old"
    VANISHED = "vanished"
    CRASHES = "crashes"
    RECOVERY = "recovery"
    SUSPECT_DUPLICATE = "suspect_duplicate"
    MISMATCH = "mismatch"
    REFERENCE_USED = "reference_used"
    TAMPERED = "tampered"


#: MTN's word with every fact equal moves a payment on from these; from the others only a person does.
CAUSES_MTN_MAY_END = frozenset(
    {HeldCause.TOO_OLD, HeldCause.VANISHED, HeldCause.CRASHES, HeldCause.RECOVERY, HeldCause.SUSPECT_DUPLICATE}
)


class EventType(StrEnum):
    """Types of result events (design.md 6.2)."""

    ACCEPTED = "momo.payment.accepted"
    PENDING = "momo.payment.pending"
    UNKNOWN = "momo.payment.unknown"
    HELD = "momo.payment.held"
    SUCCESSFUL = "momo.payment.successful"
    FAILED = "momo.payment.failed"
    CANCELLED = "momo.payment.cancelled"
    CONTRADICTED = "momo.payment.contradicted"
    JOB_REJECTED = "momo.job.rejected"


class RunEventType(StrEnum):
    """Types of events about bulk runs."""

    APPROVED = "momo.run.approved"
    STARTED = "momo.run.started"
    PROGRESS = "momo.run.progress"
    PAUSED = "momo.run.paused"
    COMPLETED = "momo.run.completed"
    SETTLED = "momo.run.settled"


class ScheduleEventType(StrEnum):
    """Types of events about schedules, their periods and payers."""

    FIRED = "momo.schedule.fired"
    MISSED = "momo.schedule.missed"
    SKIPPED = "momo.schedule.skipped"
    HELD = "momo.schedule.held"
    COLLECTED = "momo.schedule.collected"
    SETTLED = "momo.schedule.settled"
    OVERPAID = "momo.schedule.overpaid"
    REMINDER = "momo.schedule.reminder"
    UNPAID = "momo.schedule.unpaid"


class Trigger(StrEnum):
    """What moved a payment; the name stands in the transition row and in the log."""

    TAKEN_IN = "taken_in"
    CLAIMED = "claimed"
    RESENT = "resent"
    ACKNOWLEDGED = "acknowledged"
    NOT_NOW = "not_now"
    SEND_UNKNOWN = "send_unknown"
    REFUSED = "refused"
    LEASE_OVER = "lease_over"
    FOUND_PENDING = "found_pending"
    FOUND_SUCCESSFUL = "found_successful"
    FOUND_FAILED = "found_failed"
    REFUSAL_CONFIRMED = "refusal_confirmed"
    PUT_ON_DESK = "put_on_desk"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RETRY_CANCELLED = "retry_cancelled"
    RELEASED_BY_PERSON = "released_by_person"
    RESOLVED = "resolved"
    RETRIED = "retried"
    CONTRADICTION = "contradiction"
    ADOPTED = "adopted"  # a restored ledger learned what MTN has (design.md 9)


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed move: where from (None: from nothing), where to, what does it, and the event that leaves the house, if any."""

    before: State | None
    after: State
    trigger: Trigger
    event: EventType | None


def _edges() -> tuple[Edge, ...]:
    s, t, e = State, Trigger, EventType
    # From held itself, too: what MTN says later can turn a desk that its word may end into one that only a person may.
    to_desk = [Edge(b, s.HELD, t.PUT_ON_DESK, e.HELD) for b in (s.ACCEPTED, s.SENDING, s.UNKNOWN, s.PENDING, s.HELD)]
    open_states = (s.SENDING, s.UNKNOWN, s.PENDING, s.HELD)
    by_mtn = [
        edge
        for b in open_states
        for edge in (
            Edge(b, s.SUCCESSFUL, t.FOUND_SUCCESSFUL, e.SUCCESSFUL),
            Edge(b, s.FAILED, t.FOUND_FAILED, e.FAILED),
        )
    ]
    by_person = [
        edge
        for b in (s.UNKNOWN, s.PENDING, s.HELD)
        for edge in (Edge(b, s.SUCCESSFUL, t.RESOLVED, e.SUCCESSFUL), Edge(b, s.FAILED, t.RESOLVED, e.FAILED))
    ]
    # Also from states that aren't final: an earlier attempt, closed long ago, may be the one that MTN speaks of (M8).
    against = [Edge(b, b, t.CONTRADICTION, e.CONTRADICTED) for b in s]
    # No further attempt (M8): one that may still be sent stops here.
    stopped = [Edge(b, s.HELD, t.CONTRADICTION, e.CONTRADICTED) for b in (s.ACCEPTED, s.SENDING, s.UNKNOWN)]
    # A restored ledger learns that MTN has this attempt, or a later one: the only move out of `failed` that no person makes.
    lost = (s.ACCEPTED, s.SENDING, s.UNKNOWN, s.PENDING, s.HELD, s.FAILED)
    by_search = [Edge(b, s.PENDING, t.ADOPTED, e.PENDING) for b in lost]
    return (
        Edge(None, s.ACCEPTED, t.TAKEN_IN, e.ACCEPTED),
        Edge(s.ACCEPTED, s.SENDING, t.CLAIMED, None),
        Edge(s.ACCEPTED, s.CANCELLED, t.CANCELLED, e.CANCELLED),
        Edge(s.ACCEPTED, s.CANCELLED, t.EXPIRED, e.CANCELLED),
        # A retry that is taken back, or that wasn't sent in time, leaves the payment as failed as it was before.
        Edge(s.ACCEPTED, s.FAILED, t.RETRY_CANCELLED, e.FAILED),
        Edge(s.ACCEPTED, s.FAILED, t.EXPIRED, e.FAILED),
        # A worker that slept through its lease brings MTN's 202 after the payment had gone back: evidence counts whenever (M4).
        Edge(s.ACCEPTED, s.PENDING, t.ACKNOWLEDGED, e.PENDING),
        Edge(s.SENDING, s.PENDING, t.ACKNOWLEDGED, e.PENDING),
        Edge(s.SENDING, s.PENDING, t.FOUND_PENDING, e.PENDING),
        Edge(s.SENDING, s.ACCEPTED, t.NOT_NOW, None),
        Edge(s.SENDING, s.UNKNOWN, t.NOT_NOW, e.UNKNOWN),
        Edge(s.SENDING, s.UNKNOWN, t.SEND_UNKNOWN, e.UNKNOWN),
        Edge(s.SENDING, s.UNKNOWN, t.REFUSED, e.UNKNOWN),
        Edge(s.SENDING, s.UNKNOWN, t.LEASE_OVER, e.UNKNOWN),
        Edge(s.UNKNOWN, s.SENDING, t.RESENT, None),
        Edge(s.UNKNOWN, s.PENDING, t.ACKNOWLEDGED, e.PENDING),
        Edge(s.UNKNOWN, s.PENDING, t.FOUND_PENDING, e.PENDING),
        Edge(s.UNKNOWN, s.FAILED, t.REFUSAL_CONFIRMED, e.FAILED),
        Edge(s.HELD, s.PENDING, t.FOUND_PENDING, e.PENDING),
        Edge(s.HELD, s.ACCEPTED, t.RELEASED_BY_PERSON, e.ACCEPTED),
        Edge(s.HELD, s.CANCELLED, t.CANCELLED, e.CANCELLED),
        Edge(s.FAILED, s.ACCEPTED, t.RETRIED, e.ACCEPTED),
        *to_desk,
        *by_mtn,
        *by_person,
        *against,
        *stopped,
        *by_search,
    )


EDGES: tuple[Edge, ...] = _edges()
_BY_MOVE = {(edge.before, edge.after, edge.trigger): edge for edge in EDGES}

#: Triggers that only a person (or a policy that a person set) pulls.
BY_PERSON = frozenset(
    {Trigger.RESOLVED, Trigger.RETRIED, Trigger.RELEASED_BY_PERSON, Trigger.CANCELLED, Trigger.RETRY_CANCELLED}
)

_UNDOING = BY_PERSON | {Trigger.ADOPTED}

#: Derived, never listed: a state is final when nothing but a person, or the search after a restore, leads out of it to another state
#: and MTN's word doesn't move it.
FINAL_STATES: frozenset[State] = frozenset(
    state
    for state in State
    if not any(edge.before is state and edge.after is not state and edge.trigger not in _UNDOING for edge in EDGES)
)
FINAL_EVENTS = frozenset({EventType.SUCCESSFUL, EventType.FAILED, EventType.CANCELLED})


class ForbiddenMoveError(Exception):
    """A move that the graph doesn't have: a mistake in our code, never an answer to give a user."""


def edge_for(before: State | None, after: State, trigger: Trigger) -> Edge:
    """The edge of this move; raises ForbiddenMoveError, with both ends in the message, when there is none."""
    edge = _BY_MOVE.get((before, after, trigger))
    if edge is None:
        raise ForbiddenMoveError(f"no edge from {before} to {after} by {trigger}")
    return edge


def mermaid() -> str:
    """The graph as a mermaid state diagram, as the docs show it."""
    lines = ["stateDiagram-v2"]
    for edge in EDGES:
        label = edge.trigger.value + (f" / {edge.event.value}" if edge.event else "")
        lines.append(f"    {edge.before.value if edge.before else '[*]'} --> {edge.after.value}: {label}")
    lines += [f"    {state.value} --> [*]" for state in State if state in FINAL_STATES]
    return "\n".join(lines) + "\n"
