"""What commands about schedules ask the ledger besides: who isn't signed for, whose numbers others ask, counts of periods, decisions. Values in and out."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, text, update

from momo_worker.ledger import schema, stops
from momo_worker.ledger.engine import ROWS_MAX, Tx
from momo_worker.ledger.schedules import sharing


@dataclass(frozen=True, slots=True)
class Decided:
    """A line of the journal about a schedule."""

    actor: str
    action: str
    reason: str
    at_ms: int


def subject_of(schedule_id: str, account: str) -> str:
    """How the journal names a schedule: by what never changes."""
    return f"schedule={schedule_id} account={account}"


def decisions_about(tx: Tx, schedule_id: str, account: str, *, limit: int = 1_000) -> list[Decided]:
    """What people decided about a schedule, the latest first."""
    columns = schema.journal.c
    statement = select(columns.actor, columns.action, columns.reason, columns.at_ms).where(
        columns.subject == subject_of(schedule_id, account)
    )
    return [Decided(*row) for row in tx.conn.execute(statement.order_by(columns.id.desc()).limit(limit))]


_UNSIGNED = text(
    "SELECT count(*) FROM schedule_payer AS p WHERE p.schedule_id = :schedule AND NOT EXISTS "
    "(SELECT 1 FROM mandate_payer AS m WHERE m.schedule_id = p.schedule_id AND m.key_id = p.key_id "
    "AND m.msisdn = p.msisdn AND m.most_minor >= p.amount_minor)"
)


def count_unsigned(tx: Tx, schedule_id: str) -> int:
    """How many payers nobody has signed for, as they stand now: new ones, other numbers, higher amounts."""
    return int(tx.conn.execute(_UNSIGNED, {"schedule": schedule_id}).scalar_one())


@dataclass(frozen=True, slots=True)
class Sharing:
    """Another schedule that asks some of the same numbers."""

    schedule_id: str
    name: str
    state: str
    payers: int


def shared_with(tx: Tx, account: str, msisdns: Sequence[str], *, but: str, removed_since_ms: int) -> list[Sharing]:
    """All schedules of the account that ask these numbers, in pieces that a statement takes."""
    found: dict[str, Sharing] = {}
    for at in range(0, len(msisdns), ROWS_MAX):
        piece = msisdns[at : at + ROWS_MAX]
        for schedule_id, name, state, count in sharing(tx, account, piece, but=but, removed_since_ms=removed_since_ms):
            before = found[schedule_id].payers if schedule_id in found else 0
            found[schedule_id] = Sharing(schedule_id, name, state, before + count)
    return sorted(found.values(), key=lambda one: (one.name, one.schedule_id))


@dataclass(frozen=True, slots=True)
class Standing:
    """How many payers of a period stand in a state, and their money."""

    period: str
    state: str
    payers: int
    amount_minor: int
    collected_minor: int
    settled_minor: int


_STANDINGS = text(
    "SELECT period, state, count(*), sum(amount_minor), sum(collected_minor), sum(settled_minor) FROM schedule_due "
    "WHERE schedule_id = :schedule AND period IN :periods GROUP BY period, state ORDER BY period, state"
).bindparams(bindparam("periods", expanding=True))


def standings(tx: Tx, schedule_id: str, periods: Sequence[str]) -> list[Standing]:
    """What became of those who owe for these periods, counted."""
    rows = tx.conn.execute(_STANDINGS, {"schedule": schedule_id, "periods": list(periods)})
    return [Standing(row[0], row[1], *(int(figure) for figure in row[2:])) for row in rows]


@dataclass(frozen=True, slots=True)
class Round:
    """A bulk run that asks for a period."""

    run_id: str
    period: str
    name: str
    state: str


_ROUNDS = text(
    "SELECT r.id, o.period, r.name, r.state FROM schedule_round AS o JOIN run AS r ON r.id = o.run_id "
    "WHERE o.schedule_id = :schedule ORDER BY o.period, o.number"
)


def rounds(tx: Tx, schedule_id: str) -> list[Round]:
    """The runs of a schedule, by period and number."""
    return [Round(*row) for row in tx.conn.execute(_ROUNDS, {"schedule": schedule_id})]


def lift(tx: Tx, pauses: Sequence[stops.Pause], *, reason: str, actor: str) -> None:
    """Lift just these pauses; others of the same run hold on (M13)."""
    for pause in pauses:
        statement = update(schema.pause).where(schema.pause.c.id == pause.id, schema.pause.c.lifted_at_ms.is_(None))
        tx.conn.execute(statement.values(lifted_at_ms=tx.now_ms, lifted_by=actor, lifted_reason=reason))
        subject = f"account={pause.account or 'all'} product={pause.product or 'all'} run={pause.run}"
        stops.journal(tx, actor=actor, action="resume", subject=subject, reason=reason)
