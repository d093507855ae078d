"""SQL with `:names` comes in, rows go out: the simulation's own eyes on the ledger, past the product's engine and its faults. Never writes."""

import re
import sqlite3
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy.engine import make_url


class LedgerReader:
    """A connection of its own, each statement a transaction."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._connection: Any
        if parsed.get_backend_name() == "sqlite":
            self._connection = sqlite3.connect(parsed.database or "", isolation_level=None, cached_statements=256)
            self._spelt = str
        else:
            plain = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(plain, autocommit=True)
            self._spelt = _for_psycopg

    def rows(self, sql: str, values: dict[str, Any]) -> list[Any]:
        """Tuples, or bare values where there is one column."""
        found = self._connection.execute(self._spelt(sql), values).fetchall()
        return [row[0] for row in found] if found and len(found[0]) == 1 else found

    def close(self) -> None:
        self._connection.close()


@lru_cache(maxsize=256)
def _for_psycopg(sql: str) -> str:
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", sql.replace("%", "%%"))
