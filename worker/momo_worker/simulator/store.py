"""Rows of the fake MTN in one SQLite database: payments, movements, balances, tokens, API users, callbacks. Never decides anything.

A file survives kill -9 of the simulator (WAL, the system keeps what was committed); ":memory:" serves a simulation in-process.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
  id INTEGER PRIMARY KEY, account TEXT NOT NULL, product TEXT NOT NULL, operation TEXT NOT NULL, version TEXT NOT NULL,
  reference TEXT NOT NULL, api_user TEXT NOT NULL, amount TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
  external_id TEXT, party_type TEXT, party_id TEXT, payer_message TEXT, payee_note TEXT, refund_of TEXT,
  callback_url TEXT, callback_plan TEXT, created_at REAL NOT NULL, visible_at REAL NOT NULL, forget_at REAL,
  status TEXT NOT NULL, reason TEXT, financial_id TEXT, settled_at REAL, status_lag_seconds REAL NOT NULL DEFAULT 0,
  settles_at REAL, planned_status TEXT, planned_reason TEXT);
CREATE INDEX IF NOT EXISTS payments_by_reference ON payments (reference);
CREATE INDEX IF NOT EXISTS payments_due ON payments (settles_at) WHERE settles_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS refunds_of ON payments (refund_of) WHERE refund_of IS NOT NULL;
CREATE TABLE IF NOT EXISTS movements (
  id INTEGER PRIMARY KEY, payment_id INTEGER NOT NULL UNIQUE REFERENCES payments (id), account TEXT NOT NULL, product TEXT NOT NULL,
  operation TEXT NOT NULL, reference TEXT NOT NULL, msisdn TEXT, amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
  currency TEXT NOT NULL, decimals INTEGER NOT NULL, external_id TEXT, refund_of TEXT, direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
  at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS balances (
  account TEXT NOT NULL, product TEXT NOT NULL, amount_minor INTEGER NOT NULL CHECK (amount_minor >= 0), PRIMARY KEY (account, product));
CREATE TABLE IF NOT EXISTS tokens (
  token TEXT PRIMARY KEY, account TEXT NOT NULL, product TEXT NOT NULL, api_user TEXT NOT NULL, ends_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS api_users (user_id TEXT PRIMARY KEY, account TEXT NOT NULL, api_key TEXT, callback_host TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS callbacks (
  id INTEGER PRIMARY KEY, payment_id INTEGER NOT NULL, reference TEXT NOT NULL, method TEXT NOT NULL, url TEXT NOT NULL, body TEXT NOT NULL,
  forged INTEGER NOT NULL, due_at REAL NOT NULL, taken_at REAL, outcome TEXT);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due_at) WHERE taken_at IS NULL;
CREATE TABLE IF NOT EXISTS late_requests (
  id INTEGER PRIMARY KEY, due_at REAL NOT NULL, account TEXT NOT NULL, path TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL);
"""
_TABLES = ("callbacks", "late_requests", "movements", "payments", "balances", "tokens", "api_users")

Row = Mapping[str, Any]


class Store:
    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, cached_statements=256, timeout=1.0)
        self._db.row_factory = sqlite3.Row
        try:
            self._prepare()
        except sqlite3.Error:
            self._db.close()
            raise

    def _prepare(self) -> None:
        # One process a file: a second one would not see what the first has in memory, so it must not start.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # Never waits for the disk: we promise to survive our own death (the system keeps what was written), not the machine's.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """State and movement become true together or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def insert(self, table: str, values: Mapping[str, Any]) -> int:
        # Table and column names come from our own code, never from a request.
        columns = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        cursor = self._db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", dict(values))  # noqa: S608
        return int(cursor.lastrowid or 0)

    def run(self, sql: str, *values: Any) -> int:
        return self._db.execute(sql, values).rowcount

    def one(self, sql: str, *values: Any) -> Row | None:
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return list(self._db.execute(sql, values).fetchall())

    def empty(self) -> None:
        for table in _TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from the tuple above
