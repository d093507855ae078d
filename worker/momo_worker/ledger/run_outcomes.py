"""What became of a run's rows: keys and entries come in, payments, refusals and whole histories go out, a piece at a time. Reads only."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Table, bindparam, select, text

from momo_worker.ledger import schema
from momo_worker.ledger.engine import Tx

_SOURCES: BindParameter[Any] = bindparam("sources", expanding=True)
_REFUSED = text("SELECT source, errors, rejected_at_ms FROM rejected_job WHERE source IN :sources").bindparams(_SOURCES)
_WAITING = text("SELECT source, why FROM waiting_job WHERE source IN :sources").bindparams(_SOURCES)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that intake refused: the errors as the JSON that its event carries, and when."""

    errors: str
    at_ms: int


def refused_among(tx: Tx, sources: Sequence[str]) -> dict[str, Refused]:
    """Which of these entries were refused, and why."""
    if not sources:
        return {}
    rows = tx.conn.execute(_REFUSED, {"sources": list(sources)})
    return {row[0]: Refused(row[1], int(row[2])) for row in rows}


def waiting_among(tx: Tx, sources: Sequence[str]) -> dict[str, str]:
    """Which of these entries wait before they become payments, and what for."""
    if not sources:
        return {}
    return {row[0]: row[1] for row in tx.conn.execute(_WAITING, {"sources": list(sources)})}


_FIRST_SENDS = text(
    "SELECT payment_id, min(began_at_ms) FROM send WHERE payment_id IN :ids GROUP BY payment_id"
).bindparams(bindparam("ids", expanding=True))


def first_sends(tx: Tx, ids: Sequence[str]) -> dict[str, int]:
    """When these payments were first sent, in whichever attempt; those that never were are left out."""
    if not ids:
        return {}
    return {row[0]: int(row[1]) for row in tx.conn.execute(_FIRST_SENDS, {"ids": list(ids)})}


_REPLACED = text("SELECT replaces, id FROM payment WHERE replaces IN :ids").bindparams(bindparam("ids", expanding=True))
_CONTRADICTED = text(
    "SELECT DISTINCT payment_id FROM transition WHERE payment_id IN :ids AND trigger = 'contradiction'"
).bindparams(bindparam("ids", expanding=True))


def replaced_among(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """Which of these payments another one corrects already, and which."""
    if not ids:
        return {}
    return {row[0]: row[1] for row in tx.conn.execute(_REPLACED, {"ids": list(ids)})}


def contradicted_among(tx: Tx, ids: Sequence[str]) -> frozenset[str]:
    """Of which of these payments MTN said something against what was held for settled."""
    if not ids:
        return frozenset()
    return frozenset(row[0] for row in tx.conn.execute(_CONTRADICTED, {"ids": list(ids)}))


_CORRECTS = text(
    "SELECT replaces FROM run_row WHERE run_id = :run AND replaces IS NOT NULL AND place > :after ORDER BY place LIMIT :limit"
)


def corrected_runs(tx: Tx, run_id: str, rows: int) -> dict[str, int]:
    """Of how many rows of which other runs this one's rows are corrections: a row's key holds its run's name."""
    found: dict[str, int] = defaultdict(int)
    # Rows of a run are at most some ten thousands, and this reads one short column of those that correct something.
    for key in tx.conn.execute(_CORRECTS, {"run": run_id, "after": 0, "limit": rows}).scalars():
        parts = key.split("/")
        is_of_a_run = len(parts) > 2 and parts[0] == "run"  # noqa: PLR2004 - run/<name>/<row id>/<n>
        found[parts[1] if is_of_a_run else ""] += 1
    return dict(found)


@dataclass(frozen=True, slots=True)
class Histories:
    """Rows of the ledger's tables about some payments, by payment and in their order."""

    attempts: Mapping[str, list[dict[str, Any]]]
    sends: Mapping[str, list[dict[str, Any]]]
    transitions: Mapping[str, list[dict[str, Any]]]
    events: Mapping[str, list[dict[str, Any]]]


def histories(tx: Tx, ids: Sequence[str]) -> Histories:
    """Everything that happened to these payments, as the ledger wrote it down."""
    return Histories(
        _by_payment(tx, schema.attempt, ids, ("number",)),
        _by_payment(tx, schema.send, ids, ("attempt", "number")),
        _by_payment(tx, schema.transition, ids, ("id",)),
        _by_payment(tx, schema.outbox, ids, ("id",)),
    )


def _by_payment(tx: Tx, table: Table, ids: Sequence[str], order: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if ids:
        statement = select(table).where(table.c.payment_id.in_(list(ids)))
        for row in tx.conn.execute(statement.order_by(*(table.c[name] for name in order))).mappings():
            found[row["payment_id"]].append(dict(row))
    return found


_PLACES = text(
    "SELECT DISTINCT a.base_url, a.target_environment, a.api_user FROM attempt AS a JOIN payment AS p ON p.id = a.payment_id "
    "WHERE p.run = :run AND p.run <> '' ORDER BY a.base_url, a.target_environment, a.api_user"
)


def sent_from(tx: Tx, run_id: str) -> list[tuple[str, str, str]]:
    """Where the account's money was when rows of a run were sent: base URL, target environment and API user."""
    return [(row[0], row[1], row[2]) for row in tx.conn.execute(_PLACES, {"run": run_id})]


_JOURNAL = text("SELECT actor, action, reason, at_ms FROM journal WHERE subject = :subject ORDER BY id")


def journal_of(tx: Tx, subject: str) -> list[dict[str, Any]]:
    """What people decided about a run, in their order."""
    return [dict(row) for row in tx.conn.execute(_JOURNAL, {"subject": subject}).mappings()]
