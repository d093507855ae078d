"""SQL with `:names` comes in, rows go out: the simulation's own eyes on the ledger, past the product's engine and its faults. Copies it and puts it back."""

import re
import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy.engine import URL, make_url


class LedgerReader:
    """A connection of its own, each statement a transaction."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._spelt = str if self._is_sqlite else _for_psycopg
        self._connection = self._connected()

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def _connected(self) -> Any:
        if self._is_sqlite:
            return sqlite3.connect(self._url.database or "", isolation_level=None, cached_statements=256)
        return psycopg.connect(self._plain(self._url), autocommit=True)

    @staticmethod
    def _plain(url: URL) -> str:
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    def rows(self, sql: str, values: dict[str, Any]) -> list[Any]:
        """Tuples, or bare values where there is one column."""
        found = self._connection.execute(self._spelt(sql), values).fetchall()
        return [row[0] for row in found] if found and len(found[0]) == 1 else found

    def copy(self, number: int) -> str:
        """The ledger as it is now, kept beside it; nobody else may be connected."""
        place = f"{self._url.database}_{number}"
        if self._is_sqlite:
            _copied(self._url.database or "", place)
        else:
            self._anew(place, self._url.database or "")
        return place

    def put_back(self, place: str) -> None:
        """The ledger as it was then; nobody else may be connected."""
        if self._is_sqlite:
            _copied(place, self._url.database or "")
        else:
            self._anew(self._url.database or "", place)

    def _anew(self, name: str, like: str) -> None:
        self._connection.close()
        with psycopg.connect(self._plain(self._url.set(database="postgres")), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")  # type: ignore[call-overload]
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {like}")  # type: ignore[call-overload]
        self._connection = self._connected()

    def close(self) -> None:
        self._connection.close()


def _copied(source: str, target: str) -> None:
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as other:
        whole.backup(other)


@lru_cache(maxsize=256)
def _for_psycopg(sql: str) -> str:
    return re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", sql.replace("%", "%%"))
