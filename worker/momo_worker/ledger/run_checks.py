"""What the check before paying may ask the ledger: MTN's words about numbers, and what they make of a run's rows, come in and go out as values.

Names of people stand in no repr. An override is a person's, with a reason, and ends when MTN says otherwise than they saw.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Case, case, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger.check_schema import holder_check, run_check
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_schema import run_row


class CheckVerdict(StrEnum):
    """What becomes of a row by what MTN says of its number."""

    PASS = "pass"
    REVIEW = "review"  # somebody should look; bars nothing
    BLOCK = "block"  # bars the approval until somebody answers for it
    UNASKED = "unasked"  # MTN gave no answer, and somebody answered for the row all the same


@dataclass(frozen=True, slots=True)
class Holder:
    """What MTN said of a number, and when."""

    msisdn: str = field(repr=False)
    active: bool
    name: str | None = field(default=None, repr=False)
    name_asked: bool = False
    asked_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A row's verdict, and who answered for it."""

    place: int
    verdict: CheckVerdict
    why: str
    score: int | None = None
    holder_name: str | None = field(default=None, repr=False)
    checked_at_ms: int = 0
    override_reason: str | None = None
    overridden_by: str | None = None
    overridden_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Flagged:
    """A row that isn't a plain pass, as somebody looks at it."""

    check: RowCheck
    line: int
    row_id: str | None
    name: str | None = field(repr=False)
    msisdn: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of a run by verdict; those with an override are counted among their verdict's, and beside."""

    passed: int = 0
    review: int = 0
    block: int = 0
    overridden: int = 0


_HOLDER_COLUMNS = (
    holder_check.c.msisdn,
    holder_check.c.active,
    holder_check.c.name,
    holder_check.c.name_asked,
    holder_check.c.asked_at_ms,
)
_CHECK_COLUMNS = (
    run_check.c.place,
    run_check.c.verdict,
    run_check.c.why,
    run_check.c.score,
    run_check.c.holder_name,
    run_check.c.checked_at_ms,
    run_check.c.override_reason,
    run_check.c.overridden_by,
    run_check.c.overridden_at_ms,
)


def holders_of(tx: Tx, account: str, msisdns: Sequence[str], since_ms: int) -> dict[str, Holder]:
    """What MTN said of these numbers no earlier than that."""
    if not msisdns:
        return {}
    statement = select(*_HOLDER_COLUMNS).where(
        holder_check.c.account == account,
        holder_check.c.msisdn.in_(list(msisdns)),
        holder_check.c.asked_at_ms >= since_ms,
    )
    rows = tx.conn.execute(statement)
    return {row[0]: Holder(row[0], bool(row[1]), row[2], bool(row[3]), row[4]) for row in rows}


def keep_holders(tx: Tx, account: str, holders: Sequence[Holder]) -> None:
    """Write what MTN said, over what it said before."""
    if not holders:
        return
    # By number, so that two checks never wait for each other in a circle.
    values = [
        {
            "account": account,
            "msisdn": one.msisdn,
            "active": int(one.active),
            "name_asked": int(one.name_asked),
            "name": one.name,
            "asked_at_ms": tx.now_ms,
        }
        for one in sorted(holders, key=lambda one: one.msisdn)
    ]
    statement = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(holder_check)
    told = {name: statement.excluded[name] for name in ("active", "name_asked", "name", "asked_at_ms")}
    tx.conn.execute(statement.on_conflict_do_update(index_elements=["account", "msisdn"], set_=told), values)


def keep_checks(tx: Tx, run_id: str, checks: Sequence[RowCheck]) -> None:
    """Write verdicts; an override stays only where the verdict is what it was given for."""
    if not checks:
        return
    values = [
        {
            "run_id": run_id,
            "place": one.place,
            "verdict": one.verdict.value,
            "why": one.why,
            "score": one.score,
            "holder_name": one.holder_name,
            "checked_at_ms": tx.now_ms,
        }
        for one in sorted(checks, key=lambda one: one.place)
    ]
    statement = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(run_check)
    new = statement.excluded
    same = (
        (run_check.c.verdict == new.verdict)
        & (run_check.c.why == new.why)
        & run_check.c.holder_name.is_not_distinct_from(new.holder_name)
    )
    kept: dict[str, Case[object]] = {
        name: case((same, run_check.c[name]), else_=None)
        for name in ("override_reason", "overridden_by", "overridden_at_ms")
    }
    told = {name: new[name] for name in ("verdict", "why", "score", "holder_name", "checked_at_ms")}
    tx.conn.execute(statement.on_conflict_do_update(index_elements=["run_id", "place"], set_={**told, **kept}), values)


def counts(tx: Tx, run_id: str) -> Counts:
    """How many rows of a run there are of each verdict."""
    statement = (
        select(run_check.c.verdict, func.count(), func.count(run_check.c.overridden_at_ms))
        .where(run_check.c.run_id == run_id)
        .group_by(run_check.c.verdict)
    )
    found = {row[0]: (row[1], row[2]) for row in tx.conn.execute(statement)}
    return Counts(
        passed=found.get(CheckVerdict.PASS, (0, 0))[0],
        review=found.get(CheckVerdict.REVIEW, (0, 0))[0],
        block=found.get(CheckVerdict.BLOCK, (0, 0))[0],
        overridden=sum(one[1] for one in found.values()),
    )


def unanswered(tx: Tx, run_id: str) -> int:
    """How many rows are blocked and nobody has answered for: with one of them a run isn't approved."""
    statement = select(func.count()).where(
        run_check.c.run_id == run_id,
        run_check.c.verdict == CheckVerdict.BLOCK.value,
        run_check.c.overridden_at_ms.is_(None),
    )
    return int(tx.conn.execute(statement).scalar_one())


def unchecked(tx: Tx, run_id: str) -> int:
    """How many rows with a number have no verdict: with one of them a run isn't approved where the account needs the check."""
    there = select(run_check.c.place).where(
        run_check.c.run_id == run_row.c.run_id, run_check.c.place == run_row.c.place
    )
    statement = select(func.count()).where(
        run_row.c.run_id == run_id, run_row.c.msisdn.is_not(None), ~there.correlate(run_row).exists()
    )
    return int(tx.conn.execute(statement).scalar_one())


def check_of(tx: Tx, run_id: str, place: int) -> RowCheck | None:
    """A row's verdict, if it has one."""
    statement = select(*_CHECK_COLUMNS).where(run_check.c.run_id == run_id, run_check.c.place == place)
    row = tx.conn.execute(statement).first()
    return None if row is None else RowCheck(row[0], CheckVerdict(row[1]), *row[2:])


def overrides(tx: Tx, run_id: str, *, after: int = 0, to: int) -> list[RowCheck]:
    """Rows of these places that somebody answers for, in their order."""
    statement = select(*_CHECK_COLUMNS).where(
        run_check.c.run_id == run_id,
        run_check.c.place > after,
        run_check.c.place <= to,
        run_check.c.overridden_at_ms.is_not(None),
    )
    rows = tx.conn.execute(statement.order_by(run_check.c.place))
    return [RowCheck(row[0], CheckVerdict(row[1]), *row[2:]) for row in rows]


def flagged(tx: Tx, run_id: str, *, limit: int) -> list[Flagged]:
    """Rows that are blocked, then rows to review, in their places; those that nobody answered for first."""
    order = case((run_check.c.verdict == CheckVerdict.BLOCK.value, 0), else_=1)
    statement = (
        select(*_CHECK_COLUMNS, run_row.c.line, run_row.c.row_id, run_row.c.name, run_row.c.msisdn)
        .join(run_row, (run_row.c.run_id == run_check.c.run_id) & (run_row.c.place == run_check.c.place))
        .where(run_check.c.run_id == run_id, run_check.c.verdict != CheckVerdict.PASS.value)
        .order_by(run_check.c.overridden_at_ms.is_not(None), order, run_check.c.place)
        .limit(limit)
    )
    width = len(_CHECK_COLUMNS)
    return [
        Flagged(RowCheck(row[0], CheckVerdict(row[1]), *row[2:width]), *row[width:])
        for row in tx.conn.execute(statement)
    ]


def override(tx: Tx, run_id: str, place: int, *, reason: str, by: str) -> None:
    """Write who answers for a row; one that MTN gave no answer about gets its verdict by that."""
    said = {"override_reason": reason, "overridden_by": by, "overridden_at_ms": tx.now_ms}
    row = update(run_check).where(run_check.c.run_id == run_id, run_check.c.place == place)
    if tx.conn.execute(row.values(said)).rowcount:
        return
    unasked = {"verdict": CheckVerdict.UNASKED.value, "why": CheckVerdict.UNASKED.value, "checked_at_ms": tx.now_ms}
    tx.conn.execute(insert(run_check).values({"run_id": run_id, "place": place, **unasked, **said}))
