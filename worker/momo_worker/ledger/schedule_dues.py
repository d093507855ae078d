"""Who owes what for a period: the snapshot that is made when it fires, the rounds that ask for it, and what became of each. Values in and out.

A firing is a handful of statements in the caller's transaction, whatever the number of payers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import bindparam, func, insert, select, text, update

from momo_worker.ledger.engine import Tx
from momo_worker.ledger.moves import MoveLostError
from momo_worker.ledger.schedule_schema import schedule_due, schedule_round, settlement
from momo_worker.payment.transitions import FINAL_STATES


@dataclass(frozen=True, slots=True)
class Due:
    """What one payer owes for one period."""

    schedule_id: str
    period: str
    payer_id: str
    key_id: str
    name: str | None
    msisdn: str = field(repr=False)
    zone: str | None
    amount_minor: int
    collected_minor: int
    settled_minor: int
    #: due, asked, waiting, collected, settled or stopped.
    state: str
    why: str
    ask: int
    ask_key: str | None
    attempt: int
    tries: int
    declines: int
    first_asked_at_ms: int | None
    again_at_ms: int | None
    state_since_ms: int

    @property
    def outstanding_minor(self) -> int:
        """What is still owed."""
        return max(0, self.amount_minor - self.collected_minor - self.settled_minor)

    @property
    def overpaid_minor(self) -> int:
        """What came in above what was owed."""
        return max(0, self.collected_minor + self.settled_minor - self.amount_minor)


_COLUMNS = tuple(schedule_due.c[each.name] for each in fields(Due))

_SNAPSHOT = text(
    "INSERT INTO schedule_due (schedule_id, period, payer_id, key_id, name, msisdn, zone, amount_minor, collected_minor, "
    "settled_minor, state, why, ask, attempt, tries, declines, state_since_ms) "
    "SELECT schedule_id, :period, payer_id, key_id, name, msisdn, zone, amount_minor, 0, 0, 'due', '', 0, 0, 0, 0, :now "
    "FROM schedule_payer WHERE schedule_id = :schedule"
)


def snapshot(tx: Tx, schedule_id: str, period: str) -> int:
    """Copy a schedule's payers and amounts into a period; returns how many those are."""
    values = {"schedule": schedule_id, "period": period, "now": tx.now_ms}
    return tx.conn.execute(_SNAPSHOT, values).rowcount


# Who may be asked now: not asked yet or asked without an end in money, under the mandate, not opted out and owing something. A number
# that isn't on the signed list as it stands there is left where it is until somebody signs.
_MAY_ASK = (
    "FROM schedule_due AS d JOIN mandate_payer AS m ON m.schedule_id = d.schedule_id AND m.key_id = d.key_id "
    "AND m.msisdn = d.msisdn AND m.most_minor >= d.amount_minor "
    "WHERE d.schedule_id = :schedule AND d.period = :period AND d.state = 'due' "
    "AND d.amount_minor > d.collected_minor + d.settled_minor "
    "AND NOT EXISTS (SELECT 1 FROM opt_out AS o WHERE o.msisdn = d.msisdn AND o.account IN ('', :account))"
)
_COUNT = text(f"SELECT count(*), coalesce(sum(d.amount_minor - d.collected_minor - d.settled_minor), 0) {_MAY_ASK}")
#: The first ask's key ends with the payer; a later one's with a number.
_KEY = "'sch/' || d.schedule_id || '/' || d.period || '/' || d.key_id || CASE WHEN d.ask = 0 THEN '' ELSE '/' || (d.ask + 1) END"
_ROWS = text(
    "INSERT INTO run_row (run_id, place, line, key, row_id, name, msisdn, amount_minor, replaces) "
    "SELECT :run, row_number() OVER (ORDER BY d.payer_id), row_number() OVER (ORDER BY d.payer_id), "
    f"{_KEY}, d.payer_id, d.name, d.msisdn, d.amount_minor - d.collected_minor - d.settled_minor, "
    # What is left after an ask that has failed corrects it; of one that was never sent no key stands here any more.
    "d.ask_key "
    f"{_MAY_ASK}"
)
_TAKE = text(
    f"UPDATE schedule_due SET ask_key = {_KEY.replace('d.', '')}, ask = ask + 1, attempt = 0, state = 'asked', why = '', "  # noqa: S608
    "again_at_ms = NULL, first_asked_at_ms = coalesce(first_asked_at_ms, :now), state_since_ms = :now "
    "WHERE schedule_id = :schedule AND period = :period AND state = 'due' AND payer_id IN "
    "(SELECT row_id FROM run_row WHERE run_id = :run)"
)


def may_ask(tx: Tx, schedule_id: str, period: str, account: str) -> tuple[int, int]:
    """How many of a period may be asked now, and for how much together."""
    values = {"schedule": schedule_id, "period": period, "account": account}
    row = tx.conn.execute(_COUNT, values).one()
    return int(row[0]), int(row[1])


def write_rows(tx: Tx, schedule_id: str, period: str, account: str, run_id: str) -> int:
    """Make rows of a run of all who may be asked now; returns how many. Each stands as asked from then on.

    Raises MoveLostError where somebody paid by other means in between: the caller's transaction is taken back, and done again.
    """
    values = {"schedule": schedule_id, "period": period, "account": account, "run": run_id, "now": tx.now_ms}
    count = tx.conn.execute(_ROWS, values).rowcount
    if tx.conn.execute(_TAKE, values).rowcount != count:
        raise MoveLostError(f"a payer of {schedule_id} {period} was settled while a round was made")
    return count


OPTED_OUT = "has opted out of being asked"
_STOP_OPTED_OUT = text(
    "UPDATE schedule_due SET state = 'stopped', why = :why, again_at_ms = NULL, state_since_ms = :now "
    "WHERE schedule_id = :schedule AND period = :period AND state IN ('due', 'waiting') "
    "AND EXISTS (SELECT 1 FROM opt_out AS o WHERE o.msisdn = schedule_due.msisdn AND o.account IN ('', :account)) RETURNING payer_id"
)


def stop_opted_out(tx: Tx, schedule_id: str, period: str, account: str) -> list[Due]:
    """Ask those no more who don't want to be asked; what they owe stays outstanding. Returns who those are."""
    values = {"schedule": schedule_id, "period": period, "account": account, "why": OPTED_OUT, "now": tx.now_ms}
    stopped = sorted(tx.conn.execute(_STOP_OPTED_OUT, values).scalars())
    found = [due_of(tx, schedule_id, period, payer_id) for payer_id in stopped]
    return [due for due in found if due is not None]


_STILL_DUE = text(
    "SELECT count(*), coalesce(sum(amount_minor - collected_minor - settled_minor), 0) FROM schedule_due "
    "WHERE schedule_id = :schedule AND period = :period AND state = 'due'"
)


def still_due(tx: Tx, schedule_id: str, period: str) -> tuple[int, int]:
    """How many of a period are to be asked and aren't, and for how much together."""
    row = tx.conn.execute(_STILL_DUE, {"schedule": schedule_id, "period": period}).one()
    return int(row[0]), int(row[1])


_HELD = text(
    "UPDATE schedule_due SET why = :why WHERE schedule_id = :schedule AND period = :period AND state = 'due' AND why <> :why"
)


def mark_held(tx: Tx, schedule_id: str, period: str, why: str) -> int:
    """Say why those who aren't asked aren't; returns of how many that wasn't said before."""
    return tx.conn.execute(_HELD, {"schedule": schedule_id, "period": period, "why": why}).rowcount


def add_round(tx: Tx, run_id: str, schedule_id: str, period: str, number: int) -> None:
    """Say which run asks for which period; the same number twice is refused by its key."""
    values = {"run_id": run_id, "schedule_id": schedule_id, "period": period, "number": number}
    tx.conn.execute(insert(schedule_round).values(values))


def last_round(tx: Tx, schedule_id: str, period: str) -> int:
    """The number of a period's latest round, 0 for none."""
    columns = schedule_round.c
    statement = select(func.coalesce(func.max(columns.number), 0)).where(
        columns.schedule_id == schedule_id, columns.period == period
    )
    return int(tx.conn.execute(statement).scalar_one())


def round_of(tx: Tx, run_id: str) -> tuple[str, str, int] | None:
    """Which schedule's period a run asks for: schedule id, period, number; None for a run that people made."""
    columns = schedule_round.c
    statement = select(columns.schedule_id, columns.period, columns.number).where(columns.run_id == run_id)
    row = tx.conn.execute(statement).first()
    return None if row is None else (row[0], row[1], int(row[2]))


_OUT = text(
    "SELECT coalesce(sum(p.amount_minor), 0) FROM schedule_round AS r JOIN payment AS p ON p.run = r.run_id AND p.run <> '' "
    "WHERE r.schedule_id = :schedule AND r.period = :period AND p.state NOT IN ('failed', 'cancelled')"
)


def out_minor(tx: Tx, schedule_id: str, period: str) -> int:
    """What a period has collected and is asking for by payments, in minor units."""
    return int(tx.conn.execute(_OUT, {"schedule": schedule_id, "period": period}).scalar_one())


_LEFT = text(
    "SELECT DISTINCT d.schedule_id, d.period FROM schedule_due AS d JOIN schedule AS s ON s.id = d.schedule_id "
    "WHERE d.state = 'due' AND s.state = 'active' ORDER BY d.schedule_id, d.period"
)


def periods_with_due(tx: Tx) -> list[tuple[str, str]]:
    """Periods of active schedules in which somebody is to be asked and isn't: schedule id and period."""
    return [(row[0], row[1]) for row in tx.conn.execute(_LEFT)]


def dues_of(
    tx: Tx, schedule_id: str, period: str | None = None, *, after: tuple[str, str] = ("", ""), limit: int = 1_000_000
) -> list[Due]:
    """A piece of who owes what, by period and payer."""
    statement = select(*_COLUMNS).where(schedule_due.c.schedule_id == schedule_id)
    if period is not None:
        statement = statement.where(schedule_due.c.period == period)
    beyond = (schedule_due.c.period > after[0]) | (
        (schedule_due.c.period == after[0]) & (schedule_due.c.payer_id > after[1])
    )
    ordered = statement.where(beyond).order_by(schedule_due.c.period, schedule_due.c.payer_id).limit(limit)
    return [Due(*row) for row in tx.conn.execute(ordered)]


def due_of(tx: Tx, schedule_id: str, period: str, payer_id: str, *, lock: bool = False) -> Due | None:
    """What one payer owes for a period."""
    statement = select(*_COLUMNS).where(
        schedule_due.c.schedule_id == schedule_id,
        schedule_due.c.period == period,
        schedule_due.c.payer_id == payer_id,
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Due(*row)


def by_ask_keys(tx: Tx, schedule_id: str, period: str, keys: Sequence[str]) -> dict[str, Due]:
    """Who owes what of a period, by the keys under which they are or were asked last."""
    statement = select(*_COLUMNS).where(schedule_due.c.schedule_id == schedule_id, schedule_due.c.period == period)
    # Those that stand as asked have an index; of the few others the period's are read.
    asked = statement.where(schedule_due.c.state == "asked", schedule_due.c.ask_key.in_(list(keys)))
    found = {row.ask_key: Due(*row) for row in tx.conn.execute(asked)}
    left = [key for key in keys if key not in found]
    if left:
        found |= {row.ask_key: Due(*row) for row in tx.conn.execute(statement.where(schedule_due.c.ask_key.in_(left)))}
    return found


_ON_NUMBERS = text(
    "SELECT idempotency_key, amount_minor FROM payment WHERE account = :account AND msisdn IN :numbers "
    "AND operation = 'collect' AND run <> '' AND state NOT IN ('failed', 'cancelled')"
).bindparams(bindparam("numbers", expanding=True))


def out_on_numbers(tx: Tx, account: str, numbers: Sequence[str]) -> list[tuple[str, int]]:
    """What these numbers have paid to runs and are asked for by them: key and amount of each payment."""
    rows = tx.conn.execute(_ON_NUMBERS, {"account": account, "numbers": list(numbers)})
    return [(row[0], int(row[1])) for row in rows]


_BY_PERSON = text(
    "UPDATE schedule_due SET state = 'asked', why = '', again_at_ms = NULL, state_since_ms = :now "
    "WHERE schedule_id = :schedule AND period = :period AND ask_key = :key AND state IN ('waiting', 'stopped', 'settled')"
)


def asked_by_person(tx: Tx, key: str) -> None:
    """A person gives a payer's last ask its next attempt: it stands as asked, so that its end is counted."""
    parts = key.split("/")
    if len(parts) in (4, 5):
        tx.conn.execute(_BY_PERSON, {"schedule": parts[1], "period": parts[2], "key": key, "now": tx.now_ms})


def change(tx: Tx, due: Due, **values: object) -> None:
    """Write fields of what a payer owes; `state` brings its moment along."""
    if "state" in values:
        values["state_since_ms"] = tx.now_ms
    where = (
        schedule_due.c.schedule_id == due.schedule_id,
        schedule_due.c.period == due.period,
        schedule_due.c.payer_id == due.payer_id,
    )
    tx.conn.execute(update(schedule_due).where(*where).values(**values))


@dataclass(frozen=True, slots=True)
class Ended:
    """An ask whose payment has ended, or is under way again though nobody waits for it."""

    due: Due
    account: str
    payment_id: str
    state: str
    reason_code: str | None
    reason_message: str | None
    amount_minor: int
    attempt: int


# Both in the order of their index, which holds those alone that stand as asked: dues stay for ever, and the pump asks each other second.
_WITHOUT_PAYMENT = text(
    "SELECT d.payer_id, d.schedule_id, d.period FROM run AS r JOIN schedule_round AS o ON o.run_id = r.id "
    "JOIN schedule_due AS d ON d.schedule_id = o.schedule_id AND d.period = o.period AND d.state = 'asked' "
    "JOIN run_row AS w ON w.run_id = r.id AND w.key = d.ask_key "
    "WHERE r.state IN ('stopped', 'cancelled', 'completed', 'settled') "
    "AND NOT EXISTS (SELECT 1 FROM payment AS p WHERE p.account = r.account AND p.idempotency_key = d.ask_key) "
    "ORDER BY d.ask_key LIMIT :limit"
)


def without_payment(tx: Tx, *, limit: int) -> list[Due]:
    """Those whose ask never became a payment and never will: its run was cancelled, or intake refused the row."""
    rows = tx.conn.execute(_WITHOUT_PAYMENT, {"limit": limit}).all()
    found = [due_of(tx, row[1], row[2], row[0]) for row in rows]
    return [due for due in found if due is not None]


REMOVED = "its schedule was removed"
_STOP_ALL = text(
    "UPDATE schedule_due SET state = 'stopped', why = :why, again_at_ms = NULL, state_since_ms = :now "
    "WHERE schedule_id = :schedule AND state IN ('due', 'waiting')"
)


def stop_all(tx: Tx, schedule_id: str, why: str) -> int:
    """Ask nobody of a schedule any more; what they owe stays outstanding. Returns how many would have been."""
    return tx.conn.execute(_STOP_ALL, {"schedule": schedule_id, "why": why, "now": tx.now_ms}).rowcount


_D_COLUMNS = ", ".join(f"d.{each.name}" for each in fields(Due))
_ENDED = text(
    f"SELECT {_D_COLUMNS}, p.account, p.id, p.state, p.reason_code, p.reason_message, p.amount_minor, p.attempt "  # noqa: S608
    "FROM schedule_due AS d JOIN schedule AS s ON s.id = d.schedule_id "
    "JOIN payment AS p ON p.account = s.account AND p.idempotency_key = d.ask_key "
    "WHERE d.state = 'asked' AND p.state IN :final AND p.attempt > d.attempt ORDER BY d.ask_key LIMIT :limit"
).bindparams(bindparam("final", expanding=True))


def ended_asks(tx: Tx, *, limit: int) -> list[Ended]:
    """Asks whose payment has ended and whose payer still stands as asked."""
    values = {"final": [state.value for state in FINAL_STATES], "limit": limit}
    width = len(fields(Due))
    return [Ended(Due(*row[:width]), *row[width:]) for row in tx.conn.execute(_ENDED, values)]


_AGAIN = text(
    f"SELECT {_D_COLUMNS} FROM schedule_due AS d JOIN schedule AS s ON s.id = d.schedule_id "  # noqa: S608
    "WHERE d.again_at_ms IS NOT NULL AND d.again_at_ms <= :now AND s.state = 'active' ORDER BY d.again_at_ms LIMIT :limit"
)


def to_ask_again(tx: Tx, *, limit: int) -> list[Due]:
    """Those of active schedules whose time has come once more, the longest first."""
    return [Due(*row) for row in tx.conn.execute(_AGAIN, {"now": tx.now_ms, "limit": limit})]


# Each state from an index of its own: what is over is never read.
_OPEN_BY_STATE = text(
    "SELECT state, count(*), min(state_since_ms) FROM schedule_due WHERE state = 'due' GROUP BY state UNION ALL "
    "SELECT state, count(*), min(state_since_ms) FROM schedule_due WHERE state = 'asked' GROUP BY state"
)


def open_by_state(tx: Tx) -> list[tuple[str, int, int]]:
    """How many are to be asked, or are being asked, and since when the longest is."""
    return [(row[0], int(row[1]), int(row[2])) for row in tx.conn.execute(_OPEN_BY_STATE)]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was paid by other means."""

    id: str
    payer_id: str
    period: str
    amount_minor: int
    reason: str
    actor: str
    at_ms: int


def add_settlement(tx: Tx, schedule_id: str, new: Settled) -> None:
    """Keep what somebody says was paid."""
    values = {each.name: getattr(new, each.name) for each in fields(Settled)}
    tx.conn.execute(insert(settlement).values(schedule_id=schedule_id, **values))


def settlements_of(tx: Tx, schedule_id: str, period: str | None = None) -> Sequence[Settled]:
    """What was paid by other means, in its order."""
    columns = tuple(settlement.c[each.name] for each in fields(Settled))
    statement = select(*columns).where(settlement.c.schedule_id == schedule_id)
    if period is not None:
        statement = statement.where(settlement.c.period == period)
    return [Settled(*row) for row in tx.conn.execute(statement.order_by(settlement.c.at_ms, settlement.c.id))]
