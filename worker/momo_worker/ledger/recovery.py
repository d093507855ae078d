"""A restored ledger's recovery: since when and why, how far it has come, which payments MTN is still asked about, who ended it.

While one is open nothing is sent: claims and M1's last check read it like a pause. Decides nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, bindparam, insert, select, text, update

from momo_worker.ledger import outbox, schema, stops
from momo_worker.ledger.engine import Tx
from momo_worker.payment.after_restore import is_old
from momo_worker.payment.tide import Copy, Why

#: A restore takes pauses away, and nothing but a person lifts a pause (M13): those that a copy still knows are put back under this name.
ACTOR = "recovery"
#: So often MTN is asked, over a quarter of an hour, before anybody goes on without its word, however long ago the restore was.
TRIES_LEAST = 16


@dataclass(frozen=True, slots=True)
class Recovery:
    """One recovery, as it stands."""

    id: int
    epoch: int
    why: str
    detail: str | None
    actor: str
    began_at_ms: int
    tide_found: int
    tide_known: int
    #: When the ledger's last entry before it was made; None in a ledger that was new.
    lost_from_ms: int | None
    jobs_from: str
    jobs_until: str | None
    jobs_read_to: str | None
    jobs_tries: int
    jobs_read: int
    jobs_note: str | None
    jobs_reading_until_ms: int | None  # until when one pump alone reads them again
    jobs_done_at_ms: int | None
    listed_to: str
    listed_at_ms: int | None
    searched_at_ms: int | None
    released_at_ms: int | None
    released_by: str | None
    released_reason: str | None

    @property
    def searching(self) -> bool:
        """Whether payments are still looked for: until that is over, nobody else's word ends one."""
        return self.released_at_ms is None and self.searched_at_ms is None

    @property
    def untouched(self) -> bool:
        """Whether nothing has been done in it yet: to begin another for the same reason would change nothing."""
        return self.jobs_done_at_ms is None and self.jobs_read_to is None

    def is_reckoned_with(self, now_ms: int, within_ms: int) -> bool:
        """Whether the lost ledger may still come back in jobs: while it is open, and for so long after its release."""
        return self.released_at_ms is None or now_ms - self.released_at_ms < within_ms

    def is_old(self, state: str, accepted_at_ms: int, source: str) -> bool:
        """Whether the ledger that was lost may have known this payment."""
        return is_old(state, accepted_at_ms, source, began_at_ms=self.began_at_ms, jobs_until=self.jobs_until)


_columns = tuple(schema.recovery.c[field.name] for field in fields(Recovery))
_select_open = select(*_columns).where(schema.recovery.c.is_open == 1)
_select_latest = select(*_columns).order_by(schema.recovery.c.id.desc()).limit(1)


def current(tx: Tx) -> Recovery | None:
    """The recovery that is open, if one is."""
    row = tx.conn.execute(_select_open).first()
    return None if row is None else Recovery(*row)


def latest(tx: Tx) -> Recovery | None:
    """The last recovery there was, open or not."""
    row = tx.conn.execute(_select_latest).first()
    return None if row is None else Recovery(*row)


def lately(tx: Tx, *, within_ms: int) -> Recovery | None:
    """The last one, as long as what the lost ledger may have done is reckoned with."""
    found = latest(tx)
    return found if found is not None and found.is_reckoned_with(tx.now_ms, within_ms) else None


def lock_current(tx: Tx) -> Recovery | None:
    """The open recovery, its row locked until the transaction ends."""
    # Its key isn't changed: who puts a payment on its list at the same moment need not wait for us, and we not for them.
    row = tx.conn.execute(_select_open.with_for_update(key_share=True)).first()
    return None if row is None else Recovery(*row)


_SUPERSEDED = text("UPDATE search SET outcome = 'superseded', done_at_ms = :now WHERE outcome IS NULL")


def begin(
    tx: Tx,
    why: Why,
    *,
    tide_known: int,
    copies: Sequence[Copy],
    jobs_margin_ms: int,
    detail: str | None,
    actor: str,
    since_ms: int | None = None,
) -> Recovery:
    """Put the ledger in recovery: epoch and tide go above everything that anybody knows of, pauses that copies know are put back.

    A recovery that was open is closed by it: what it had found was lost, or is found again. The caller has locked the installation.
    """
    us = tx.conn.execute(select(schema.installation)).mappings().one()
    before = current(tx)
    _close(tx, ACTOR, "the ledger was restored once more")
    tx.conn.execute(_SUPERSEDED, {"now": tx.now_ms})
    # Where nobody is left who knows the last epoch, the clock draws one above all that ever were.
    unknown = not copies or why in (Why.BY_PERSON, Why.NO_COPY)
    epoch = max([us["epoch"], *(copy.epoch for copy in copies), *([tx.now_ms // 1000] if unknown else [])]) + 1
    new = us["tide"] == 0
    lost_from = since_ms if since_ms is not None else (None if new or why is Why.BY_PERSON else us["tide_at_ms"])
    if before is not None and before.searching and lost_from is not None:
        # It hadn't read or told everything again; what is read now begins where it began.
        lost_from = None if before.lost_from_ms is None else min(lost_from, before.lost_from_ms)
    jobs_from = "0-0" if lost_from is None else f"{max(0, lost_from - jobs_margin_ms)}-0"
    values = {
        "is_open": 1,
        "epoch": epoch,
        "why": why.value,
        "detail": detail,
        "actor": actor,
        "began_at_ms": tx.now_ms,
        "tide_found": us["tide"],
        "tide_known": tide_known,
        "lost_from_ms": lost_from,
        "jobs_from": jobs_from,
        "jobs_tries": 0,
        "jobs_read": 0,
        "listed_to": "",
    }
    tx.conn.execute(insert(schema.recovery).values(values))
    # A tide counts seconds, pump by pump: no other life of this ledger, put in its place later, is above the clock's milliseconds.
    tide = max(us["tide"], tide_known, tx.now_ms) + 1
    tx.conn.execute(update(schema.installation).values(epoch=epoch, tide=tide, tide_at_ms=tx.now_ms))
    outbox.raise_untold(tx, uuid.UUID(us["namespace"]), lost_from or 0, epoch)
    put_back = _put_back(tx, copies)
    told = f"epoch {epoch}, tide {us['tide']} of {tide_known}, {put_back} pauses put back"
    stops.journal(tx, actor=actor, action="recovery begun", subject=told[:200], reason=detail or why.value)
    found = current(tx)
    assert found is not None  # noqa: S101 (written above; for the type checker)
    return found


def _put_back(tx: Tx, copies: Sequence[Copy]) -> int:
    if not copies:
        return 0
    newest = max(copies, key=lambda copy: copy.tide)
    holding = {(pause.account, pause.product, pause.run, pause.reason) for pause in stops.pauses(tx)}
    lost = [pause for pause in newest.pauses if (pause.account, pause.product, pause.run, pause.reason) not in holding]
    for pause in lost:
        stops.add_pause(
            tx,
            account=pause.account,
            product=pause.product,
            run=pause.run,
            reason=pause.reason,
            actor=f"{ACTOR}, for {pause.actor}"[:64],
        )
    return len(lost)


def _close(tx: Tx, by: str, reason: str) -> int:
    statement = (
        update(schema.recovery)
        .where(schema.recovery.c.is_open == 1)
        .values(is_open=None, released_at_ms=tx.now_ms, released_by=by, released_reason=reason)
    )
    return tx.conn.execute(statement).rowcount


def release(tx: Tx, *, actor: str, reason: str) -> bool:
    """End the open recovery, by a person's word; False when another was faster."""
    if not _close(tx, actor, reason):
        return False
    stops.journal(tx, actor=actor, action="recovery released", subject="ledger", reason=reason)
    return True


def note(tx: Tx, recovery_id: int, **values: Any) -> None:
    """Write down how far it has come."""
    tx.conn.execute(update(schema.recovery).where(schema.recovery.c.id == recovery_id).values(**values))


# ---- the search ---------------------------------------------------------------------------------------------------------

_CANDIDATES = text(
    "SELECT id, state, accepted_at_ms, source FROM payment WHERE id > :after AND ("
    "state IN ('accepted', 'sending', 'unknown', 'pending', 'held') OR (state = 'failed' AND state_since_ms >= :since) "
    "OR (state = 'cancelled' AND state_since_ms >= :lost_from)) ORDER BY id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A payment that may have to be looked for."""

    payment_id: str
    state: str
    accepted_at_ms: int
    source: str


def candidates(tx: Tx, after: str, failed_since_ms: int, lost_from_ms: int, *, limit: int) -> list[Candidate]:
    """Payments that aren't final, those that failed since then, and what was cancelled since its sends may be lost; by their ids."""
    values = {"after": after, "since": failed_since_ms, "lost_from": lost_from_ms, "limit": limit}
    return [Candidate(*row) for row in tx.conn.execute(_CANDIDATES, values)]


_INSERT = (
    "INSERT INTO search (recovery_id, payment_id, due_at_ms, tries) VALUES (:recovery, :payment, :due, 0) "
    "ON CONFLICT (recovery_id, payment_id) DO "
)
_SEARCH = text(f"{_INSERT} NOTHING")
_SEARCH_ANEW = text(
    f"{_INSERT} UPDATE SET due_at_ms = excluded.due_at_ms, tries = 0, outcome = NULL, done_at_ms = NULL"
)


def look_for(tx: Tx, recovery_id: int, payment_ids: Sequence[str]) -> None:
    """MTN is to be asked about these; who is on the list already stays as it is."""
    if payment_ids:
        rows = [{"recovery": recovery_id, "payment": each, "due": tx.now_ms} for each in sorted(payment_ids)]
        tx.conn.execute(_SEARCH, rows)


_SEARCH_KNOWN = text(
    "INSERT INTO search (recovery_id, payment_id, due_at_ms, tries) SELECT :recovery, id, :due, 0 FROM payment WHERE id IN :ids "
    "ON CONFLICT (recovery_id, payment_id) DO NOTHING"
).bindparams(bindparam("ids", expanding=True))


def look_for_known(tx: Tx, recovery_id: int, payment_ids: Sequence[str]) -> None:
    """The same, for those of these that the ledger holds."""
    tx.conn.execute(_SEARCH_KNOWN, {"recovery": recovery_id, "due": tx.now_ms, "ids": list(payment_ids)})


def look_for_anew(tx: Tx, recovery_id: int, payment_id: str) -> None:
    """The same for one that may have been searched before, and of which MTN said something new since."""
    tx.conn.execute(_SEARCH_ANEW, {"recovery": recovery_id, "payment": payment_id, "due": tx.now_ms})


@dataclass(frozen=True, slots=True)
class Search:
    """A payment that MTN is to be asked about now."""

    recovery_id: int
    payment_id: str
    tries: int


_due_searches = (
    select(schema.search.c.recovery_id, schema.search.c.payment_id, schema.search.c.tries)
    .where(schema.search.c.outcome.is_(None), schema.search.c.due_at_ms <= bindparam("now"))
    .order_by(schema.search.c.due_at_ms, schema.search.c.payment_id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def claim_searches(tx: Tx, *, limit: int, lease_ms: int) -> list[Search]:
    """Due searches, their time moved forward by a lease so that no other process makes them too."""
    rows = tx.conn.execute(_due_searches, {"now": tx.now_ms, "limit": limit}).all()
    found = [Search(*row) for row in rows]
    for each in found:
        put_off(tx, each, tx.now_ms + lease_ms, counts=True)
    return found


def put_off(tx: Tx, search: Search, due_at_ms: int, *, counts: bool = False) -> None:
    """Search again later."""
    statement = update(schema.search).where(
        schema.search.c.recovery_id == search.recovery_id, schema.search.c.payment_id == search.payment_id
    )
    tries = min(search.tries + 1, TRIES_LEAST) if counts else search.tries
    tx.conn.execute(statement.values(due_at_ms=due_at_ms, tries=tries))


def conclude(tx: Tx, search: Search, outcome: str) -> None:
    """The search has ended, with this."""
    statement = update(schema.search).where(
        schema.search.c.recovery_id == search.recovery_id, schema.search.c.payment_id == search.payment_id
    )
    tx.conn.execute(statement.values(outcome=outcome, done_at_ms=tx.now_ms))


def still_open(tx: Tx, recovery_id: int, *, limit: int) -> list[str]:
    """Up to `limit` payments whose searches haven't ended, by their ids; nothing is locked."""
    statement = select(schema.search.c.payment_id).where(_is_open(recovery_id))
    return list(tx.conn.execute(statement.order_by(schema.search.c.payment_id).limit(limit)).scalars())


def give_up(tx: Tx, recovery_id: int, payment_ids: Sequence[str], outcome: str) -> set[str]:
    """End those of these searches that haven't ended, without MTN's word; the caller has locked the payments, whose locks come first."""
    mine = _is_open(recovery_id) & schema.search.c.payment_id.in_(payment_ids)
    statement = update(schema.search).where(mine).values(outcome=outcome, done_at_ms=tx.now_ms)
    return set(tx.conn.execute(statement.returning(schema.search.c.payment_id)).scalars())


_WITHOUT_WORD = text(
    "UPDATE search SET outcome = :outcome, done_at_ms = :now WHERE payment_id = :id AND outcome IS NULL"
)


def go_on_without(tx: Tx, payment_id: str, outcome: str) -> None:
    """A person lets it go on although MTN never answered its search; the caller has locked the payment."""
    tx.conn.execute(_WITHOUT_WORD, {"id": payment_id, "outcome": outcome, "now": tx.now_ms})


def _is_open(recovery_id: int) -> ColumnElement[bool]:
    return (schema.search.c.recovery_id == recovery_id) & schema.search.c.outcome.is_(None)


_WAITED_FOR = text(
    "SELECT 1 FROM search AS s JOIN payment AS p ON p.id = s.payment_id WHERE s.payment_id = :id AND s.outcome IS NULL "
    "AND (p.accepted_at_ms > :since OR s.tries < :least)"
)


def is_searched(tx: Tx, payment_id: str, *, accepted_since_ms: int = 0) -> bool:
    """Whether MTN is still asked about this payment, however long it has been silent.

    Of one that was accepted before, only while it hasn't been asked often enough: who is told to wait may ask again at once.
    """
    values = {"id": payment_id, "since": accepted_since_ms, "least": TRIES_LEAST}
    return tx.conn.execute(_WAITED_FOR, values).first() is not None


def unsearched(tx: Tx, payment_id: str, *, within_ms: int) -> bool:
    """Whether the search for this payment is to be made, or goes on: nothing may be decided about it before.

    Once no recovery is open, a search that MTN never answers stands in the way only for `within_ms` from its release, or from the
    acceptance of a payment that came later; one that was made anew, until it was asked for `TRIES_LEAST` times.
    """
    found = latest(tx)
    if found is None:
        return False
    accepted_since_ms = 0 if found.is_reckoned_with(tx.now_ms, within_ms) else tx.now_ms - within_ms
    if is_searched(tx, payment_id, accepted_since_ms=accepted_since_ms):
        return True
    return found.released_at_ms is None and found.listed_at_ms is None


_GIVEN_UP = text("SELECT 1 FROM search WHERE recovery_id = :recovery AND payment_id = :payment AND outcome = 'skipped'")


def ask_first(tx: Tx, payment_id: str, *, within_ms: int, since_ms: int | None = None) -> bool:
    """Whether MTN must be asked before this payment, of which nothing was sent, is ended; puts it on the list of the last recovery.

    Long after a restore, a job that only its producer still had may come again, and the lost ledger may have paid it. Where a person
    went on without MTN's word, it is asked now, also after `within_ms`. `since_ms`: what else has stood as it is only since the recovery
    began needs no asking.
    """
    found = latest(tx)
    if found is None:
        return False
    if tx.conn.execute(_GIVEN_UP, {"recovery": found.id, "payment": payment_id}).first() is not None:
        look_for_anew(tx, found.id, payment_id)
    elif found.is_reckoned_with(tx.now_ms, within_ms) and (since_ms is None or since_ms < found.began_at_ms):
        look_for(tx, found.id, [payment_id])
    return unsearched(tx, payment_id, within_ms=within_ms)


_OPEN_SEARCHES = text(
    "SELECT count(*) FROM search AS s JOIN payment AS p ON p.id = s.payment_id "
    "WHERE s.recovery_id = :recovery AND s.outcome IS NULL AND p.state LIKE :state"
)


def open_searches(tx: Tx, recovery_id: int, *, state: str = "%") -> int:
    """How many searches haven't ended, of all payments or those in this state."""
    return int(tx.conn.execute(_OPEN_SEARCHES, {"recovery": recovery_id, "state": state}).scalar_one())


_SENDABLE = text(
    "SELECT p.id FROM search AS s JOIN payment AS p ON p.id = s.payment_id WHERE s.recovery_id = :recovery "
    "AND s.outcome IN :outcomes AND p.state = 'held' AND p.held_cause = 'recovery' AND p.id > :after ORDER BY p.id LIMIT :limit"
).bindparams(bindparam("outcomes", expanding=True))


def waiting_unsent(tx: Tx, recovery_id: int, outcomes: Sequence[str], after: str, *, limit: int) -> list[str]:
    """Payments that wait on the desk because they were never sent, in the order of their ids."""
    values = {"recovery": recovery_id, "outcomes": list(outcomes), "after": after, "limit": limit}
    return [row[0] for row in tx.conn.execute(_SENDABLE, values)]
