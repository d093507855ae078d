"""A restored ledger comes back: it is noticed, the jobs stream is read again, MTN is asked about every payment, and a person lets it go on (design.md 9).

Sends nothing. Each function is one pass over at most a few hundred rows and may be made again at any time, by any number of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from momo_worker.commons import noticing, recording, retelling
from momo_worker.commons.parts import Parts
from momo_worker.ledger import asked_first, desk, installation, intake, moves, outbox, recovery, stops
from momo_worker.ledger.engine import Tx
from momo_worker.payment import after_restore, operator
from momo_worker.payment.after_restore import Outcome, stream_id
from momo_worker.payment.backoff import queue_of
from momo_worker.payment.deciding import let_go, moved
from momo_worker.payment.payment import Change, Payment, Work
from momo_worker.payment.tide import Copy, Standing, Why, why_restored
from momo_worker.payment.transitions import State, Trigger

log = structlog.get_logger(__name__)

#: A pump raises the tide each second; one that was raised within this is somebody's who lives.
_ALIVE_MS = 5_000
_PIECE = 500
#: After this many deaths of its readers, an entry of the jobs stream is kept as a rejected job, like at the door.
_READS_MAX = 4
_READ_COUNT = 100
#: So long one pump reads alone; longer than the ledger lets any statement take. Who hasn't said anything by then has died of what it read.
ALONE_MS = 60_000


# ---- noticing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Raised:
    """What is to be kept outside of the ledger now, and the recovery that this pass began, if it did."""

    copy: Copy
    began: recovery.Recovery | None


def raise_tide(parts: Parts, copies: Sequence[Copy], *, first: bool = False) -> Raised:
    """Count the tide up, or put the ledger in recovery where it is behind what anybody knows of it.

    `copies` were read before this call: the ledger is raised before its copies, so one that is whole is never behind them.
    `first`: a pump's first pass, in which even the absence of every copy speaks.
    """
    with parts.ledger.write() as tx:
        us = _locked(tx)
        alive = tx.now_ms - us.tide_at_ms < _ALIVE_MS
        why = why_restored(
            Standing(us.ledger_id, str(us.namespace), us.tide, alive), copies, parts.tidemark.seen, first=first
        )
        if why in (Why.OTHER_LEDGER, Why.NO_COPY):
            now = recovery.current(tx)
            why = None if now is not None and now.untouched else why
        began = None if why is None else noticing.begin(tx, parts, why, copies)
        if began is None:
            installation.raise_tide(tx)
        copy = _copy(tx)
    parts.tidemark.saw(copy.tide)
    if began is not None:
        noticing.tell_begun(began)
    return Raised(copy, began)


def begin_by_person(
    parts: Parts, copies: Sequence[Copy], *, actor: str, reason: str, since_ms: int | None = None
) -> Raised:
    """Put the ledger in recovery on a person's word: what was restored together with every copy, nobody else can see."""
    with parts.ledger.write() as tx:
        _locked(tx)
        began = noticing.begin(tx, parts, Why.BY_PERSON, copies, detail=reason, actor=actor, since_ms=since_ms)
        copy = _copy(tx)
    parts.tidemark.saw(copy.tide)
    noticing.tell_begun(began)
    return Raised(copy, began)


def _locked(tx: Tx) -> installation.Installation:
    found = installation.locked(tx)
    if found is None:
        raise AssertionError("a process that is built has prepared the installation")
    return found


def _copy(tx: Tx) -> Copy:
    us = _locked(tx)
    return Copy(us.ledger_id, str(us.namespace), us.tide, us.epoch, us.tide_at_ms, stops.kept_pauses(tx))


# ---- the jobs stream is read again ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read next: entries after `after`, up to and with `until`; `poison` where the next entry ended its readers."""

    #: Which recovery: a ledger that is restored once more counts their ids again, and never its epochs.
    epoch: int
    after: str
    until: str
    count: int
    poison: bool
    #: Until when nobody else reads; it tells this reading from every other.
    alone_until_ms: int


def next_reading(parts: Parts, *, stream_end: str, stream_begin: str | None) -> Reading | None:
    """Where reading again goes on; None when nothing is to be read, or another pump reads. Counted before it is done, so that an entry that kills is noticed.

    One pump at a time: those that read together would count each other as dead, and reject what is only being taken in.
    """
    with parts.ledger.write() as tx:
        found = recovery.lock_current(tx)
        if found is None or found.jobs_done_at_ms is not None or _is_being_read(found, tx.now_ms):
            return None
        alone_until_ms = tx.now_ms + ALONE_MS
        until = found.jobs_until or stream_end
        recovery.note(
            tx,
            found.id,
            jobs_until=until,
            jobs_tries=found.jobs_tries + 1,
            jobs_reading_until_ms=alone_until_ms,
            jobs_note=found.jobs_note or _kept(found.jobs_from, stream_begin),
        )
    poison = found.jobs_tries >= _READS_MAX
    count = _READ_COUNT if found.jobs_tries == 0 else 1
    return Reading(found.epoch, _read_to(found), until, count, poison, alone_until_ms)


def _read_to(found: recovery.Recovery) -> str:
    return found.jobs_read_to or found.jobs_from


def _is_being_read(found: recovery.Recovery, now_ms: int) -> bool:
    """One that would last longer than any is the work of a clock that went back, and is over."""
    until_ms = found.jobs_reading_until_ms
    return until_ms is not None and now_ms < until_ms <= now_ms + ALONE_MS


def give_back(parts: Parts, reading: Reading) -> None:
    """Uncount a reading that failed and ended nobody: only a reader's end counts against an entry.

    Made twice, because nobody knows whether the first was committed, it delays at worst that an entry which does kill is kept as rejected.
    """
    with parts.ledger.write() as tx:
        found = recovery.lock_current(tx)
        if found is None or found.epoch != reading.epoch or _read_to(found) != reading.after:
            return
        recovery.note(tx, found.id, jobs_tries=max(0, found.jobs_tries - 1), **_let_go_of(found, reading))


def _let_go_of(found: recovery.Recovery, reading: Reading) -> dict[str, int | None]:
    """Let others read, unless another does already: this one took so long that it passed for dead."""
    return {"jobs_reading_until_ms": None} if found.jobs_reading_until_ms == reading.alone_until_ms else {}


def _kept(wanted: str, stream_begin: str | None) -> str:
    if stream_begin is None:
        return "the jobs stream is empty: Redis lost it, or nothing was ever written there"
    if stream_id(stream_begin) > stream_id(wanted):
        return f"the jobs stream is kept since {stream_begin.partition('-')[0]} ms, later than wanted"
    return "the jobs stream is kept for the whole time"


def note_read(parts: Parts, reading: Reading, last_id: str | None, count: int) -> None:
    """Write down that these were taken in; `last_id` None: there was nothing more. Never goes back behind what another has read."""
    with parts.ledger.write() as tx:
        found = recovery.lock_current(tx)
        if found is None or found.epoch != reading.epoch:
            return
        if last_id and found.jobs_read_to and stream_id(last_id) <= stream_id(found.jobs_read_to):
            # Another was faster; who reads on must not wait for this one's time alone to end.
            if found.jobs_reading_until_ms == reading.alone_until_ms:
                recovery.note(tx, found.id, jobs_reading_until_ms=None)
            return
        values: dict[str, str | int | None] = {"jobs_tries": 0, "jobs_read": found.jobs_read + count}
        values |= {"jobs_done_at_ms": tx.now_ms} if last_id is None else {"jobs_read_to": last_id}
        recovery.note(tx, found.id, **values, **_let_go_of(found, reading))


def raise_fences(parts: Parts, fences: dict[int, int]) -> None:
    """Put the relay's fences above those that Redis has seen: a restored ledger's are lower, and nothing would ever be published again."""
    with parts.ledger.write() as tx:
        outbox.raise_fences(tx, fences)


# ---- which payments are looked for ---------------------------------------------------------------------------------------


def look_for_told(parts: Parts, epoch: int, payment_ids: Sequence[str]) -> None:
    """Put these on the list: something was told of them since the ledger's last entry, and what is true now must be told again."""
    for at in range(0, len(payment_ids), _PIECE):
        with parts.ledger.write() as tx:
            found = recovery.lock_current(tx)
            if found is None or found.epoch != epoch:
                return
            recovery.look_for_known(tx, found.id, payment_ids[at : at + _PIECE])


def list_payments(parts: Parts) -> int:
    """Put a piece of the ledger's payments on the list, once the jobs are read; returns how many were looked at."""
    with parts.ledger.write() as tx:
        found = recovery.lock_current(tx)
        if found is None or found.jobs_done_at_ms is None or found.listed_at_ms is not None:
            return 0
        lost_from = found.lost_from_ms or found.began_at_ms
        since = lost_from - parts.rules.recovery_failed_ms
        piece = recovery.candidates(tx, found.listed_to, since, lost_from, limit=_PIECE)
        recovery.look_for(
            tx,
            found.id,
            [each.payment_id for each in piece if found.is_old(each.state, each.accepted_at_ms, each.source)],
        )
        if piece:
            recovery.note(tx, found.id, listed_to=piece[-1].payment_id)
        else:
            recovery.note(tx, found.id, listed_at_ms=tx.now_ms)
    return len(piece)


# ---- the end ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waits:
    """What stands against a release."""

    jobs: bool
    listing: bool
    searches: int
    #: Of these, payments that are being sent by the ledger's word: nobody goes on without them before their leases end.
    sending: int

    @property
    def nothing(self) -> bool:
        """Whether a release may be made."""
        return not (self.jobs or self.listing or self.searches)


def waits_of(tx: Tx, found: recovery.Recovery) -> Waits:
    """What a recovery still has to do."""
    searches, sending = recovery.open_searches(tx, found.id), recovery.open_searches(tx, found.id, state=State.SENDING)
    return Waits(found.jobs_done_at_ms is None, found.listed_at_ms is None, searches, sending)


@dataclass(frozen=True, slots=True)
class Skip:
    """What a person knowingly gives up, by name."""

    jobs: bool = False
    searches: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """How a release ended: refused for what still waits, or done."""

    waits: Waits
    done: bool
    let_go: int = 0
    held: int = 0


def release(
    parts: Parts, *, actor: str, reason: str, skip: Skip | None = None, send_unsent: bool = False
) -> Released | None:
    """End the recovery; None where there is none. What was never sent stays on the desk unless `send_unsent` says otherwise.

    What is skipped by name is never sent for it: a payment that nobody has looked for goes to the desk.
    """
    skip = skip or Skip()
    with parts.ledger.write() as tx:
        found = recovery.lock_current(tx)
        if found is None:
            return None
        if skip.jobs and found.jobs_done_at_ms is None:
            recovery.note(
                tx,
                found.id,
                jobs_done_at_ms=tx.now_ms,
                jobs_note="not read again, by a person's word",
                jobs_until=found.jobs_until or "0-0",
            )
    if skip.jobs or skip.searches:
        while list_payments(parts):
            pass
    waits = _waits_now(parts, found)
    held = 0
    if skip.searches and not (waits.jobs or waits.listing or waits.sending):
        # Only for a release that can be made: what is given up is asked about no more.
        held = _give_up_searches(parts, found.id)
        waits = _waits_now(parts, found)
    if not waits.nothing:
        return Released(waits, done=False, held=held)
    # Before the end, so that nobody sends in between: what is let go is still held back by the recovery itself.
    let = _let_go_unsent(parts, found.id, actor, reason) if send_unsent else 0
    retelling.tell_again(parts, found)
    with parts.ledger.write() as tx:
        now = recovery.lock_current(tx)
        if now is None or now.epoch != found.epoch:
            # Another was faster, or the ledger was restored once more meanwhile, and nobody has asked about that one.
            return Released(waits, done=False, held=held, let_go=let)
        recovery.note(tx, found.id, searched_at_ms=found.searched_at_ms or tx.now_ms)
        done = recovery.release(tx, actor=actor, reason=reason)
        intake.wake_waiting(tx)
    log.info("recovery released", actor=actor, reason=reason, let_go=let, held=held, action="released")
    return Released(waits, done=done, let_go=let, held=held)


def _waits_now(parts: Parts, found: recovery.Recovery) -> Waits:
    with parts.ledger.read() as tx:
        now = recovery.current(tx)
        return waits_of(tx, found if now is None else now)


def _give_up_searches(parts: Parts, recovery_id: int) -> int:
    """What nobody asked MTN about isn't sent: it goes to the desk. Nothing is being sent, and nothing can be before the recovery ends."""
    count = 0
    while True:
        with parts.ledger.write() as tx:
            ids = recovery.still_open(tx, recovery_id, limit=_PIECE)
            payments = moves.lock(tx, ids)
            skipped = recovery.give_up(tx, recovery_id, ids, asked_first.SKIPPED)
            ended = [
                after_restore.unasked(payments[payment_id], tx.now_ms, parts.rules, parts.rng)
                for payment_id in sorted(skipped)
            ]
            told = recording.conclude(tx, parts, [change for change in ended if change is not None])
        recording.tell(parts, told)
        count += sum(item.change.trigger is Trigger.PUT_ON_DESK for item in told)
        if not ids:
            return count


def _let_go_unsent(parts: Parts, recovery_id: int, actor: str, reason: str) -> int:
    count, after = 0, ""
    while True:
        with parts.ledger.write() as tx:
            ids = recovery.waiting_unsent(tx, recovery_id, [Outcome.UNSENT], after, limit=_PIECE)
            changes = [
                _released(payment, tx.now_ms, actor, reason)
                for payment in moves.lock(tx, ids).values()
                if operator.against_releasing(payment, desk.standing_of(tx, payment)) is None
            ]
            told = recording.conclude(tx, parts, changes)
        recording.tell(parts, told)
        count += len(told)
        if not ids:
            return count
        after = ids[-1]


def _released(payment: Payment, now_ms: int, actor: str, reason: str) -> Change:
    back = moved(let_go(payment), State.ACCEPTED, now_ms).but(
        work=Work.SEND, queue=queue_of(payment), due_at_ms=max(now_ms, payment.not_before_ms or 0), hint_at_ms=None
    )
    detail = f"let go with the recovery by {actor}: {reason}"
    return Change(payment, back, Trigger.RELEASED_BY_PERSON, detail=detail, actor=actor)
