"""One statement for many rows: compiled once per dialect and handed to the driver as it is.

SQLAlchemy binds each row of an executemany anew, by name and type; over a batch that was the largest cost of recording (measured:
0.1 ms a payment). The statements are still Core's, so both dialects are written by it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.sql.dml import UpdateBase

from momo_worker.ledger.engine import Tx


class Many:
    """A statement that runs over rows of named values."""

    def __init__(self, statement: UpdateBase, names: Sequence[str] | None = None) -> None:
        """`names` are the columns of an INSERT; an UPDATE names its own parameters."""
        self._statement = statement
        self._names = list(names) if names is not None else None
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def run(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute for each row; returns how many rows of the table were written."""
        if not rows:
            return 0
        sql, order = self._for(tx)
        if order is not None:
            return tx.conn.exec_driver_sql(sql, [tuple(row[name] for name in order) for row in rows]).rowcount
        return tx.conn.exec_driver_sql(sql, [dict(row) for row in rows]).rowcount

    def _for(self, tx: Tx) -> tuple[str, tuple[str, ...] | None]:
        found = self._compiled.get(tx.dialect)
        if found is None:
            compiled = self._statement.compile(dialect=tx.conn.dialect, column_keys=self._names)
            order = getattr(compiled, "positiontup", None)
            found = self._compiled[tx.dialect] = (str(compiled), tuple(order) if order is not None else None)
        return found
