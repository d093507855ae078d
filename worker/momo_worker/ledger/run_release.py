"""How far runs were released and handed over, and how their payments stand: read and written as values; moves no payment."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger import runs, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_schema import run, run_release
from momo_worker.ledger.runs import Run
from momo_worker.payment.transitions import FINAL_STATES, State


@dataclass(frozen=True, slots=True)
class Release:
    """How far a run may go, and how far it went."""

    run_id: str
    released_to: int
    fed_to: int
    starts_at_ms: int
    released_at_ms: int
    released_by: str
    leased_until_ms: int = 0
    told_percent: int = 0


_NOT_FINAL = tuple(sorted(state.value for state in State if state not in FINAL_STATES))
_COLUMNS = tuple(run_release.c[field.name] for field in fields(Release))


def release_of(tx: Tx, run_id: str, *, lock: bool = False) -> Release | None:
    """A run's release, None where it has none."""
    statement = select(*_COLUMNS).where(run_release.c.run_id == run_id)
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Release(*row)


def put_release(tx: Tx, new: Release) -> None:
    """Write a release, over an earlier one that went less far."""
    values = {field.name: getattr(new, field.name) for field in fields(Release)}
    statement = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(run_release).values(values)
    tx.conn.execute(statement.on_conflict_do_update(index_elements=[run_release.c.run_id], set_=values))


def forget(tx: Tx, run_id: str) -> None:
    """Take a release away, with a run that comes again."""
    tx.conn.execute(delete(run_release).where(run_release.c.run_id == run_id))


_LEASE = text("UPDATE run_release SET leased_until_ms = :until WHERE run_id = :run AND leased_until_ms <= :now")


def lease(tx: Tx, run_id: str, lease_ms: int) -> int | None:
    """Be the one who hands over a run's rows for a while: until when; None while somebody else does."""
    until_ms = tx.now_ms + lease_ms
    values = {"run": run_id, "now": tx.now_ms, "until": until_ms}
    return until_ms if tx.conn.execute(_LEASE, values).rowcount == 1 else None


_FED = text("UPDATE run_release SET fed_to = :to WHERE run_id = :run AND fed_to = :was AND released_to >= :to")


def fed(tx: Tx, run_id: str, was: int, to: int) -> bool:
    """Say that the rows after `was` and up to `to` were handed over; False where it doesn't stand there, as after a restore (section 9)."""
    return tx.conn.execute(_FED, {"run": run_id, "was": was, "to": to}).rowcount == 1


_GIVE_BACK = text("UPDATE run_release SET leased_until_ms = 0 WHERE run_id = :run AND leased_until_ms = :leased")


def give_back(tx: Tx, run_id: str, leased_until_ms: int) -> None:
    """End this lease, and no later one."""
    tx.conn.execute(_GIVE_BACK, {"run": run_id, "leased": leased_until_ms})


_TOLD = text("UPDATE run_release SET told_percent = :percent WHERE run_id = :run AND told_percent < :percent")


def tell_percent(tx: Tx, run_id: str, percent: int) -> bool:
    """Say that so much of a run was told; False when somebody else has."""
    return tx.conn.execute(_TOLD, {"run": run_id, "percent": percent}).rowcount == 1


_BY_STATE = text("SELECT state, count(*), min(state_since_ms) FROM run GROUP BY state")


def by_state(tx: Tx) -> list[tuple[str, int, int]]:
    """How many runs stand where, and since when the longest does."""
    return [(row[0], int(row[1]), int(row[2])) for row in tx.conn.execute(_BY_STATE)]


def in_state(tx: Tx, states: Sequence[str]) -> list[Run]:
    """Runs that stand there, the longest first."""
    columns = tuple(run.c[field.name] for field in fields(runs.Run))
    statement = select(*columns).where(run.c.state.in_(states)).order_by(run.c.state_since_ms, run.c.id)
    return [Run(*row) for row in tx.conn.execute(statement)]


def going_on(tx: Tx) -> list[Run]:
    """Every run that would go on by itself and isn't paused by itself."""
    paused = {pause.run for pause in stops.pauses(tx)}
    return [one for one in in_state(tx, ("released",)) if one.id not in paused]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the payments of a run stand, and how many of its rows were refused."""

    count: dict[str, int]
    amount_minor: dict[str, int]
    rejected: int

    @property
    def payments(self) -> int:
        return sum(self.count.values())

    @property
    def final(self) -> int:
        """Rows that have ended, refused ones among them."""
        return sum(self.count.get(state.value, 0) for state in FINAL_STATES) + self.rejected

    @property
    def held(self) -> int:
        return self.count.get(State.HELD.value, 0)

    @property
    def unsent(self) -> int:
        return self.count.get(State.ACCEPTED.value, 0)


# Each of these says `run <> ''` too, or SQLite leaves the index aside, which is made of runs' payments alone, and reads them all.
_STANDING = text("SELECT state, count(*), sum(amount_minor) FROM payment WHERE run = :run AND run <> '' GROUP BY state")
_WAITING = text("SELECT count(*) FROM waiting_job WHERE door = 'run' AND source LIKE :like")
_UNSENT = text("SELECT count(*) FROM payment WHERE run = :run AND run <> '' AND state = 'accepted'")


def standing_of(tx: Tx, run_id: str, fed_to: int) -> Standing:
    """The counts of a run, read from an index; what was handed over and is neither a payment nor waiting was refused."""
    # What waits first: a row that becomes a payment between the two is counted twice and not, as refused, never.
    waiting = int(tx.conn.execute(_WAITING, {"like": f"run/{run_id}/%"}).scalar_one())
    rows = tx.conn.execute(_STANDING, {"run": run_id}).all()
    count = {row[0]: int(row[1]) for row in rows}
    rejected = max(0, fed_to - sum(count.values()) - waiting)
    return Standing(count, {row[0]: int(row[2]) for row in rows}, rejected)


def unsent(tx: Tx, run_id: str) -> int:
    """How many rows are in the ledger and not sent yet."""
    return int(tx.conn.execute(_UNSENT, {"run": run_id}).scalar_one())


_SUM = text(
    "SELECT coalesce(sum(total_minor), 0) FROM run WHERE account = :account AND id <> :but AND operation <> 'collect' "
    # One that is released is paying, or may at any moment, however long ago that was.
    "AND state NOT IN ('importing', 'draft', 'superseded', 'cancelled') AND (state_since_ms >= :since OR state = 'released')"
)
_DIRECT = text("SELECT coalesce(sum(direct_minor), 0) FROM outflow WHERE account = :account AND day >= :day")


def asked_for_since(tx: Tx, account: str, *, but: str, since_ms: int, since_day: str) -> int:
    """What an account has released or been asked for since then, in minor units: runs but this one, and what went out directly."""
    found = tx.conn.execute(_SUM, {"account": account, "but": but, "since": since_ms}).scalar_one()
    return int(found) + int(tx.conn.execute(_DIRECT, {"account": account, "day": since_day}).scalar_one())


# Each from the end of its own stretch of the index: together they would be read as a whole, and sorted.
_LAST_ENDS = text(
    """
    SELECT state, reason_code FROM (
        SELECT * FROM (
            SELECT id, state, reason_code, state_since_ms FROM payment
            WHERE run = :run AND run <> '' AND state = 'successful' AND state_since_ms >= :since
            ORDER BY state_since_ms DESC LIMIT :limit) AS paid
        UNION ALL
        SELECT * FROM (
            SELECT id, state, reason_code, state_since_ms FROM payment
            WHERE run = :run AND run <> '' AND state = 'failed' AND state_since_ms >= :since
            ORDER BY state_since_ms DESC LIMIT :limit) AS unpaid
    ) AS ends ORDER BY state_since_ms DESC, id LIMIT :limit
    """
)


def last_ends(tx: Tx, run_id: str, *, since_ms: int, limit: int) -> list[tuple[str, str | None]]:
    """How the last rows of a run ended, the newest first: state and reason."""
    rows = tx.conn.execute(_LAST_ENDS, {"run": run_id, "since": since_ms, "limit": limit})
    return [(row[0], row[1]) for row in rows]


# By what is under way and not by the account, which most payments there ever were may have: hence the text that no index has.
_ON_THE_WAY = text(
    "SELECT coalesce(sum(amount_minor), 0) FROM payment WHERE state IN ('accepted', 'sending', 'unknown', 'pending') "
    "AND currency = :currency AND account || '' = :account AND operation <> 'collect'"
)


def on_the_way_minor(tx: Tx, account: str, currency: str) -> int:
    """What of an account's payouts was accepted and hasn't ended, in minor units, over all runs and doors (money-review Q1)."""
    return int(tx.conn.execute(_ON_THE_WAY, {"account": account, "currency": currency}).scalar_one())


_RESUMED = text("SELECT coalesce(max(lifted_at_ms), 0) FROM pause WHERE run = :run")


def last_resumed_ms(tx: Tx, run_id: str) -> int:
    """When a pause of this run was last lifted, 0 for never."""
    return int(tx.conn.execute(_RESUMED, {"run": run_id}).scalar_one())


_STILL_TO_COME = text(
    "SELECT coalesce(sum(w.amount_minor), 0) FROM run JOIN run_release AS r ON r.run_id = run.id JOIN run_row AS w "
    "ON w.run_id = run.id AND w.place > r.fed_to AND w.place <= r.released_to "
    "WHERE run.account = :account AND run.currency = :currency AND run.operation <> 'collect' AND run.state = 'released'"
)


def still_to_come_minor(tx: Tx, account: str, currency: str) -> int:
    """What an account's released runs are still to hand over, in minor units. Reads those rows: asked when a run begins, not at each piece."""
    return int(tx.conn.execute(_STILL_TO_COME, {"account": account, "currency": currency}).scalar_one())


_OPEN = text("SELECT 1 FROM payment WHERE run = :run AND run <> '' AND state IN :states LIMIT 1").bindparams(
    bindparam("states", expanding=True)
)


def has_open(tx: Tx, run_id: str) -> bool:
    """Whether a payment of a run hasn't ended."""
    return tx.conn.execute(_OPEN, {"run": run_id, "states": list(_NOT_FINAL)}).first() is not None


_FAILED_SO = text(
    "SELECT id, idempotency_key, attempt FROM payment "
    "WHERE run = :run AND run <> '' AND state = 'failed' AND reason_code IN :codes AND id > :after "
    "ORDER BY id LIMIT :limit"
).bindparams(bindparam("codes", expanding=True))


def failed_so(tx: Tx, run_id: str, codes: Sequence[str], *, after: str, limit: int) -> list[tuple[str, str, int]]:
    """Failed rows with one of these reasons: id, key, attempt."""
    values = {"run": run_id, "codes": list(codes), "after": after, "limit": limit}
    return [(row[0], row[1], row[2]) for row in tx.conn.execute(_FAILED_SO, values)]


_IN_STATE = text(
    "SELECT id FROM payment WHERE run = :run AND run <> '' AND state = :state AND id > :after ORDER BY id LIMIT :limit"
)


def ids_in_state(tx: Tx, run_id: str, state: State, *, after: str, limit: int) -> list[str]:
    """Payments of a run that stand there, by id."""
    values = {"run": run_id, "state": state.value, "after": after, "limit": limit}
    return [row[0] for row in tx.conn.execute(_IN_STATE, values)]
