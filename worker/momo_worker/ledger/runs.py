"""What the rooms of bulk runs may ask the ledger: runs, rows and findings come in and go out as values; a row becomes a payment elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from sqlalchemy import bindparam, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_schema import run, run_finding, run_row


@dataclass(frozen=True, slots=True)
class Run:
    """A run, as the ledger holds it."""

    id: str
    account: str
    name: str
    operation: str
    digest: str
    state: str
    currency: str
    exponent: int
    rows: int
    total_minor: int
    note: str | None
    pay_date: str | None
    file_name: str
    maker: str
    imported_at_ms: int
    state_since_ms: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One payment-to-be of a run. A whole number stands in no repr: `msisdn` is for requests and reports."""

    place: int
    line: int
    key: str
    row_id: str | None
    name: str | None
    msisdn: str | None
    amount_minor: int
    note: str | None
    collection: str | None
    replaces: str | None

    def __repr__(self) -> str:
        return f"RunRow(place={self.place}, key={self.key!r})"


@dataclass(frozen=True, slots=True)
class RunFinding:
    """What a person should know of a run, or must answer before it is approved."""

    number: int
    kind: str
    line: int
    told: str
    asked: bool
    answer: str | None = None
    answered_by: str | None = None
    answered_at_ms: int | None = None


_RUN_COLUMNS = tuple(run.c[field.name] for field in fields(Run))
_ROW_COLUMNS = tuple(run_row.c[field.name] for field in fields(RunRow))
_FINDING_COLUMNS = tuple(run_finding.c[field.name] for field in fields(RunFinding))
_insert_rows = insert(run_row)
_insert_findings = insert(run_finding)


def find(tx: Tx, run_id: str, *, lock: bool = False) -> Run | None:
    """The run of this id."""
    statement = select(*_RUN_COLUMNS).where(run.c.id == run_id)
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Run(*row)


def live(tx: Tx, account: str, name: str, *, lock: bool = False) -> Run | None:
    """The run that a name stands for now: neither put aside nor half imported."""
    statement = select(*_RUN_COLUMNS).where(
        run.c.account == account, run.c.name == name, run.c.state.not_in(("importing", "superseded", "cancelled"))
    )
    row = tx.conn.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else Run(*row)


def last_cancelled(tx: Tx, account: str, name: str) -> Run | None:
    """Of a name's runs that were cancelled before their first row, which have left it free, the last."""
    statement = select(*_RUN_COLUMNS).where(run.c.account == account, run.c.name == name, run.c.state == "cancelled")
    row = tx.conn.execute(statement.order_by(run.c.state_since_ms.desc(), run.c.id).limit(1)).first()
    return None if row is None else Run(*row)


def listed(tx: Tx, *, account: str | None, limit: int) -> list[Run]:
    """The runs that moved last, without what never came in whole."""
    statement = select(*_RUN_COLUMNS).where(run.c.state != "importing")
    if account is not None:
        statement = statement.where(run.c.account == account)
    rows = tx.conn.execute(statement.order_by(run.c.state_since_ms.desc(), run.c.id).limit(limit))
    return [Run(*row) for row in rows]


def same_file(tx: Tx, account: str, digest: str) -> list[Run]:
    """Runs of the account that were made of the very same file."""
    statement = select(*_RUN_COLUMNS).where(
        run.c.account == account, run.c.digest == digest, run.c.state.not_in(("importing", "superseded", "cancelled"))
    )
    return [Run(*row) for row in tx.conn.execute(statement.order_by(run.c.imported_at_ms))]


def add(tx: Tx, new: Run) -> None:
    """Write a run that comes in, or comes in anew: what an earlier import of the same left half done is taken away by then."""
    values = {field.name: getattr(new, field.name) for field in fields(Run)}
    statement = (sqlite.insert if tx.dialect == "sqlite" else postgresql.insert)(run).values(values)
    tx.conn.execute(statement.on_conflict_do_update(index_elements=[run.c.id], set_=values))


def counted(tx: Tx, run_id: str) -> tuple[int, int]:
    """How many rows of a run there are, and their sum in minor units."""
    statement = select(func.count(), func.coalesce(func.sum(run_row.c.amount_minor), 0)).where(
        run_row.c.run_id == run_id
    )
    row = tx.conn.execute(statement).one()
    return int(row[0]), int(row[1])


def forget_rows(tx: Tx, run_id: str, *, limit: int) -> int:
    """Take a piece of a half-imported run's rows and its findings and checks away; never of a draft. Returns how many rows that was."""
    values = {"run": run_id, "limit": limit}
    tx.conn.execute(_FORGET_FINDINGS, values)
    # The same file may be read by other columns this time: what was said of its rows is no word about these.
    tx.conn.execute(_FORGET_CHECKS, values)
    return tx.conn.execute(_FORGET_ROWS, values).rowcount


_HALF = "EXISTS (SELECT 1 FROM run WHERE id = :run AND state = 'importing')"
_FORGET_FINDINGS = text(f"DELETE FROM run_finding WHERE run_id = :run AND {_HALF}")  # noqa: S608 - constants of ours
_FORGET_CHECKS = text(f"DELETE FROM run_check WHERE run_id = :run AND {_HALF}")  # noqa: S608 - constants of ours
_FORGET_ROWS = text(
    "DELETE FROM run_row WHERE run_id = :run AND place IN "  # noqa: S608 - constants of ours
    f"(SELECT place FROM run_row WHERE run_id = :run ORDER BY place LIMIT :limit) AND {_HALF}"
)


def add_rows(tx: Tx, run_id: str, rows: Sequence[RunRow]) -> None:
    """Write a piece of a run's rows."""
    if rows:
        names = [field.name for field in fields(RunRow)]
        tx.conn.execute(
            _insert_rows, [{"run_id": run_id, **{name: getattr(one, name) for name in names}} for one in rows]
        )


def add_findings(tx: Tx, run_id: str, findings: Sequence[RunFinding]) -> None:
    """Write what is to be known or answered."""
    if findings:
        names = [field.name for field in fields(RunFinding)]
        values = [
            {"run_id": run_id, **{name: getattr(one, name) for name in names}, "asked": int(one.asked)}
            for one in findings
        ]
        tx.conn.execute(_insert_findings, values)


def move_if(tx: Tx, run_id: str, before: str, after: str) -> bool:
    """Move a run that stands there; False when it doesn't."""
    statement = update(run).where(run.c.id == run_id, run.c.state == before)
    return tx.conn.execute(statement.values(state=after, state_since_ms=tx.now_ms)).rowcount == 1


def rows_of(tx: Tx, run_id: str, *, after: int = 0, limit: int) -> list[RunRow]:
    """A piece of a run's rows, in their places."""
    statement = select(*_ROW_COLUMNS).where(run_row.c.run_id == run_id, run_row.c.place > after)
    return [RunRow(*row) for row in tx.conn.execute(statement.order_by(run_row.c.place).limit(limit))]


_PLACES = text("SELECT key, place FROM run_row WHERE run_id = :run AND key IN :keys").bindparams(
    bindparam("keys", expanding=True)
)


def places_of(tx: Tx, run_id: str, keys: Sequence[str]) -> dict[str, int]:
    """Where rows stand in a run, by their keys."""
    return {row[0]: int(row[1]) for row in tx.conn.execute(_PLACES, {"run": run_id, "keys": list(keys)})}


def findings_of(tx: Tx, run_id: str) -> list[RunFinding]:
    """Everything to know or to answer of a run."""
    statement = select(*_FINDING_COLUMNS).where(run_finding.c.run_id == run_id).order_by(run_finding.c.number)
    rows = tx.conn.execute(statement)
    return [RunFinding(row[0], row[1], row[2], row[3], bool(row[4]), *row[5:]) for row in rows]


def answer(tx: Tx, run_id: str, numbers: Sequence[int], *, text_of_answer: str, by: str) -> int:
    """Write a person's answer to findings that have none; returns how many that were."""
    statement = update(run_finding).where(
        run_finding.c.run_id == run_id,
        run_finding.c.number.in_(list(numbers)),
        run_finding.c.asked == 1,
        run_finding.c.answered_at_ms.is_(None),
    )
    return tx.conn.execute(statement.values(answer=text_of_answer, answered_by=by, answered_at_ms=tx.now_ms)).rowcount


_ALIKE = text(
    "SELECT DISTINCT r.msisdn, r.amount_minor, run.name FROM run_row AS r JOIN run ON run.id = r.run_id "
    "WHERE r.msisdn IN :msisdns AND run.account = :account AND run.operation = :operation AND run.imported_at_ms >= :since "
    "AND run.state NOT IN ('importing', 'superseded', 'cancelled') ORDER BY run.name, r.msisdn, r.amount_minor"
).bindparams(bindparam("msisdns", expanding=True))


def alike_in_others(tx: Tx, of: Run, msisdns: Sequence[str], since_ms: int) -> list[tuple[str, int, str]]:
    """What the account's recent runs of this operation pay to these numbers: number, amount and the run's name."""
    values = {"msisdns": list(msisdns), "account": of.account, "operation": of.operation, "since": since_ms}
    return [(row[0], row[1], row[2]) for row in tx.conn.execute(_ALIKE, values)]
