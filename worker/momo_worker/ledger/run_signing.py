"""What people signed for runs, and the ways from rows to signed roots: read and written as values; decides nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, text

from momo_worker.approval.people import Role
from momo_worker.approval.statements import Signature
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_schema import run_path, run_signature


def signatures(tx: Tx, run_id: str) -> list[Signature]:
    """Every signature under a run, in the order in which they were given."""
    table = run_signature.c
    columns = (table.role, table.name, table.root, table.earliest_ms, table.needed, table.signed_at_ms, table.signature)
    rows = tx.conn.execute(select(*columns).where(table.run_id == run_id).order_by(table.signed_at_ms, table.name))
    return [Signature(Role(row[0]), *row[1:]) for row in rows]


def add_signature(tx: Tx, run_id: str, new: Signature) -> None:
    """Keep a signature; the same person's twice in one role is refused by the key."""
    values = {
        "run_id": run_id,
        "role": new.role.value,
        "name": new.name,
        "root": new.root,
        "earliest_ms": new.earliest_ms,
        "needed": new.needed,
        "signed_at_ms": new.signed_at_ms,
        "signature": new.signature,
    }
    tx.conn.execute(insert(run_signature).values(values))


def forget_signatures(tx: Tx, run_id: str) -> int:
    """Take a run's signatures away: what they were about has changed, or its maker takes it back."""
    return tx.conn.execute(delete(run_signature).where(run_signature.c.run_id == run_id)).rowcount


_PUT_PATH = text(
    "INSERT INTO run_path (run_id, place, path) VALUES (:run_id, :place, :path) "
    "ON CONFLICT (run_id, place) DO UPDATE SET path = excluded.path"
)


def put_paths(tx: Tx, run_id: str, paths: Iterable[tuple[int, bytes]]) -> None:
    """Write a piece of the ways from rows to the root."""
    values = [{"run_id": run_id, "place": place, "path": path} for place, path in paths]
    if values:
        tx.conn.execute(_PUT_PATH, values)


@dataclass(frozen=True, slots=True)
class SignedRow:
    """What a row says beside its request, and the way from its leaf to the root."""

    place: int
    name: str | None
    replaces: str | None
    path: bytes


_SIGNED_ROWS = text(
    "SELECT r.key, r.place, r.name, r.replaces, p.path FROM run_row AS r "
    "JOIN run_path AS p ON p.run_id = r.run_id AND p.place = r.place WHERE r.run_id = :run AND r.key IN :keys"
).bindparams(bindparam("keys", expanding=True))


def signed_rows(tx: Tx, run_id: str, keys: Sequence[str]) -> dict[str, SignedRow]:
    """Rows of a run by their keys, those that have a way to a root."""
    rows = tx.conn.execute(_SIGNED_ROWS, {"run": run_id, "keys": list(keys)})
    return {row[0]: SignedRow(row[1], row[2], row[3], bytes(row[4])) for row in rows}


_RETRIED = text(
    "SELECT payment_id, attempt FROM transition WHERE payment_id IN :ids AND trigger = 'retried'"
).bindparams(bindparam("ids", expanding=True))


def retried(tx: Tx, payment_ids: Sequence[str]) -> frozenset[tuple[str, int]]:
    """Attempts that a person's or a policy's retry made, with their payments."""
    if not payment_ids:
        return frozenset()
    return frozenset((row[0], int(row[1])) for row in tx.conn.execute(_RETRIED, {"ids": list(payment_ids)}))


def paths_of(tx: Tx, run_id: str, *, after: int, limit: int) -> list[tuple[int, bytes]]:
    """A piece of the ways, by place."""
    statement = select(run_path.c.place, run_path.c.path).where(run_path.c.run_id == run_id, run_path.c.place > after)
    return [(row[0], bytes(row[1])) for row in tx.conn.execute(statement.order_by(run_path.c.place).limit(limit))]
