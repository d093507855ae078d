"""What the rooms of schedules may ask the ledger: schedules, payers, mandates and periods come in and go out as values; asks nobody for money."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import bindparam, delete, func, insert, select, text, update

from momo_worker.approval.mandates import Mandate
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.schedule_schema import (
    mandate_payer,
    schedule,
    schedule_mandate,
    schedule_payer,
    schedule_period,
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule, as the ledger holds it. Dates are local and as text, `2026-12-05`."""

    id: str
    account: str
    name: str
    #: active, paused or removed.
    state: str
    rule: str
    zone: str
    starts_on: str
    ends_on: str | None
    after_day: str
    amount_minor: int | None
    currency: str
    exponent: int
    note: str | None
    #: A country, `UG`, or `ZA-GP` with a subdivision; None for no calendar.
    holidays: str | None
    on_holiday: str
    #: Days that aren't in any calendar, separated by a space.
    extra_holidays: str
    catch_up: str
    maker: str
    made_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class Payer:
    """Who is asked, each period, and for how much."""

    payer_id: str
    key_id: str
    name: str | None
    msisdn: str = field(repr=False)
    amount_minor: int
    zone: str | None


@dataclass(frozen=True, slots=True)
class DecidedPeriod:
    """A period of which was decided what becomes of it: fired, missed or skipped."""

    period: str
    begins_on: str
    ends_on: str
    nominal_on: str
    fires_at_ms: int
    state: str
    why: str
    payers: int
    total_minor: int
    decided_at_ms: int


@dataclass(frozen=True, slots=True)
class SignedPayer:
    """A payer of a signed list, with the way to its root."""

    key_id: str
    msisdn: str = field(repr=False)
    most_minor: int
    place: int
    path: bytes = field(repr=False)


_COLUMNS = tuple(schedule.c[each.name] for each in fields(Schedule))
_PAYER_COLUMNS = tuple(schedule_payer.c[each.name] for each in fields(Payer))
_PERIOD_COLUMNS = tuple(schedule_period.c[each.name] for each in fields(DecidedPeriod))
_SIGNED_COLUMNS = tuple(mandate_payer.c[each.name] for each in fields(SignedPayer))


def find(tx: Tx, schedule_id: str, *, lock: bool = False) -> Schedule | None:
    """The schedule of this id."""
    statement = select(*_COLUMNS).where(schedule.c.id == schedule_id)
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Schedule(*row)


def named(tx: Tx, account: str, name: str, *, lock: bool = False) -> Schedule | None:
    """The schedule that a name stands for now, or, by its id, one that was removed, too."""
    statement = select(*_COLUMNS).where(
        schedule.c.account == account,
        ((schedule.c.name == name) & (schedule.c.state != "removed")) | (schedule.c.id == name),
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Schedule(*row)


def listed(tx: Tx, *, account: str | None = None, removed: bool = False) -> list[Schedule]:
    """All schedules, by account and name."""
    statement = select(*_COLUMNS)
    if account is not None:
        statement = statement.where(schedule.c.account == account)
    if not removed:
        statement = statement.where(schedule.c.state != "removed")
    return [Schedule(*row) for row in tx.conn.execute(statement.order_by(schedule.c.account, schedule.c.name))]


def add(tx: Tx, new: Schedule) -> None:
    """Write a new schedule; its name is free and its id is new, or the database refuses."""
    tx.conn.execute(insert(schedule).values({each.name: getattr(new, each.name) for each in fields(Schedule)}))


def change(tx: Tx, schedule_id: str, **values: object) -> None:
    """Write fields of a schedule, with the time of it."""
    tx.conn.execute(update(schedule).where(schedule.c.id == schedule_id).values(changed_at_ms=tx.now_ms, **values))


def put_payers(tx: Tx, schedule_id: str, payers: Sequence[Payer]) -> None:
    """Put a whole list in the place of the one before, in the caller's transaction: nobody sees half of it."""
    tx.conn.execute(delete(schedule_payer).where(schedule_payer.c.schedule_id == schedule_id))
    names = [each.name for each in fields(Payer)]
    if payers:
        rows = [{"schedule_id": schedule_id, **{name: getattr(one, name) for name in names}} for one in payers]
        tx.conn.execute(insert(schedule_payer), rows)


def payers_of(tx: Tx, schedule_id: str, *, after: str = "", limit: int = 1_000_000) -> list[Payer]:
    """A piece of a schedule's payers, by their ids."""
    statement = select(*_PAYER_COLUMNS).where(
        schedule_payer.c.schedule_id == schedule_id, schedule_payer.c.payer_id > after
    )
    return [Payer(*row) for row in tx.conn.execute(statement.order_by(schedule_payer.c.payer_id).limit(limit))]


def count_payers(tx: Tx, schedule_id: str) -> tuple[int, int]:
    """How many payers a schedule has, and what one period asks of them together."""
    statement = select(func.count(), func.coalesce(func.sum(schedule_payer.c.amount_minor), 0)).where(
        schedule_payer.c.schedule_id == schedule_id
    )
    row = tx.conn.execute(statement).one()
    return int(row[0]), int(row[1])


_SHARED = text(
    "SELECT s.id, s.name, s.state, count(*) FROM schedule_payer AS p JOIN schedule AS s ON s.id = p.schedule_id "
    "WHERE s.account = :account AND s.id <> :but AND p.msisdn IN :msisdns "
    "AND (s.state <> 'removed' OR s.changed_at_ms >= :removed_since) GROUP BY s.id, s.name, s.state ORDER BY s.name"
).bindparams(bindparam("msisdns", expanding=True))


def sharing(
    tx: Tx, account: str, msisdns: Sequence[str], *, but: str, removed_since_ms: int
) -> list[tuple[str, str, str, int]]:
    """Other schedules that ask these numbers: id, name, state and how many of them."""
    values = {"account": account, "but": but, "msisdns": list(msisdns), "removed_since": removed_since_ms}
    return [(row[0], row[1], row[2], int(row[3])) for row in tx.conn.execute(_SHARED, values)]


def put_mandate(tx: Tx, schedule_id: str, given: Mandate, payers: Iterable[SignedPayer]) -> None:
    """Keep what was signed, in the place of an earlier mandate."""
    tx.conn.execute(delete(mandate_payer).where(mandate_payer.c.schedule_id == schedule_id))
    tx.conn.execute(delete(schedule_mandate).where(schedule_mandate.c.schedule_id == schedule_id))
    values = {each.name: getattr(given, each.name) for each in fields(Mandate)}
    tx.conn.execute(insert(schedule_mandate).values(schedule_id=schedule_id, **values))
    names = [each.name for each in fields(SignedPayer)]
    rows = [{"schedule_id": schedule_id, **{name: getattr(one, name) for name in names}} for one in payers]
    if rows:
        tx.conn.execute(insert(mandate_payer), rows)


def mandate_of(tx: Tx, schedule_id: str) -> Mandate | None:
    """What was signed for a schedule."""
    columns = tuple(schedule_mandate.c[each.name] for each in fields(Mandate))
    row = tx.conn.execute(select(*columns).where(schedule_mandate.c.schedule_id == schedule_id)).first()
    return None if row is None else Mandate(*row)


def signed_payers(tx: Tx, schedule_id: str, key_ids: Sequence[str]) -> dict[str, SignedPayer]:
    """Payers of the signed list, by their ids as in keys."""
    statement = select(*_SIGNED_COLUMNS).where(
        mandate_payer.c.schedule_id == schedule_id, mandate_payer.c.key_id.in_(list(key_ids))
    )
    found = [SignedPayer(row[0], row[1], row[2], row[3], bytes(row[4])) for row in tx.conn.execute(statement)]
    return {one.key_id: one for one in found}


def periods_of(tx: Tx, schedule_id: str, *, limit: int = 1_000_000) -> list[DecidedPeriod]:
    """A schedule's decided periods, the latest first."""
    statement = select(*_PERIOD_COLUMNS).where(schedule_period.c.schedule_id == schedule_id)
    rows = tx.conn.execute(statement.order_by(schedule_period.c.begins_on.desc()).limit(limit))
    return [DecidedPeriod(*row) for row in rows]


def last_end(tx: Tx, schedule_id: str) -> str | None:
    """The last day of the latest period that was decided; what an edit changes begins after it (money-review H1)."""
    statement = select(func.max(schedule_period.c.ends_on)).where(schedule_period.c.schedule_id == schedule_id)
    found: str | None = tx.conn.execute(statement).scalar_one()
    return found


def decided_names(tx: Tx, schedule_id: str, after_day: str) -> frozenset[str]:
    """The periods that begin after a day and were decided."""
    columns = schedule_period.c
    statement = select(columns.period).where(columns.schedule_id == schedule_id, columns.begins_on > after_day)
    return frozenset(row[0] for row in tx.conn.execute(statement))


def is_decided(tx: Tx, schedule_id: str, period: str) -> bool:
    """Whether it was decided what becomes of a period."""
    columns = schedule_period.c
    statement = select(columns.period).where(columns.schedule_id == schedule_id, columns.period == period)
    return tx.conn.execute(statement).first() is not None


def add_period(tx: Tx, schedule_id: str, decided: DecidedPeriod) -> None:
    """Write what was decided of a period; a second time is refused by its key."""
    values = {each.name: getattr(decided, each.name) for each in fields(DecidedPeriod)}
    tx.conn.execute(insert(schedule_period).values(schedule_id=schedule_id, **values))
