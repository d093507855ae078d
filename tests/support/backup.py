"""An open ledger comes in, its rows are kept and put back in one transaction, as an older backup or a replica that was behind would have them."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, insert, select, text

from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.schema import metadata

_ROWS = 200


@dataclass
class Backup:
    """Everything that a ledger held when it was made."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: Ledger) -> "Backup":
        with ledger.engine.connect().execution_options(isolation_level="SERIALIZABLE") as conn, conn.begin():
            return cls(
                {
                    table.name: [dict(row) for row in conn.execute(select(table)).mappings()]
                    for table in metadata.sorted_tables
                }
            )

    def restore(self, ledger: Ledger) -> None:
        """At once, whether processes run on it or not; counters go back, too."""
        with ledger.write() as tx:
            if tx.dialect == "postgresql":
                tx.conn.execute(text(f"LOCK TABLE {', '.join(metadata.tables)} IN ACCESS EXCLUSIVE MODE"))
            for table in reversed(metadata.sorted_tables):
                tx.conn.execute(table.delete())
            for table in metadata.sorted_tables:
                kept = self.rows[table.name]
                for at in range(0, len(kept), _ROWS):
                    tx.conn.execute(insert(table), kept[at : at + _ROWS])
                if tx.dialect == "postgresql" and table.primary_key.columns.keys() == ["id"]:
                    self._turn_back(tx, table)

    def _turn_back(self, tx: Any, table: Any) -> None:
        sequence = tx.conn.execute(
            text("SELECT pg_get_serial_sequence(:name, 'id')"), {"name": table.name}
        ).scalar_one()
        if sequence is not None:
            last = tx.conn.execute(select(func.max(table.c.id))).scalar_one()
            tx.conn.execute(
                text("SELECT setval(:name, :last, :used)"), {"name": sequence, "last": last or 1, "used": bool(last)}
            )
