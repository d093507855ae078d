"""Opens the ledger's database and its transactions: a URL comes in, durable transactions with the ledger's own clock go out.

Refuses a database that would lose a commit. Never retries a transaction by itself: whoever asked decides.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from momo_worker.clock import Clock

_BUSY_TIMEOUT_SECONDS = 30
_WAL_TRIES = 100
_WAL_PAUSE_SECONDS = 0.05
_POSTGRESQL_MIN = 150_000
_SQLITE_MIN = (3, 35, 0)
_SQLITE_FULL = 2

#: Most rows that one transaction may touch (design.md 2).
ROWS_MAX = 500

#: By so much a transaction's "now" may be older than what another has committed by the time it is held against it: a statement waits
#: no longer for a lock. What ends further ahead than this allows is the work of a clock that went back, and not of one that was slow.
NOW_IS_OLD_MS = 20_000

#: The server's own timeouts don't reach us when it is gone without a word (a firewall, a failover): the system's default waits two hours.
_NOTICE_A_DEAD_PEER = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

#: What a transaction raises when the database fails it; the pool's timeout is no DBAPIError, and as much a failure.
LEDGER_FAILURES = (DBAPIError, PoolTimeoutError)


class LedgerError(Exception):
    """The ledger can't be used as it is; the message says what is wrong and what to do."""


class OtherLedgerError(LedgerError):
    """Redis belongs to another ledger: two installations share it by mistake (money-review L4)."""


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: its connection, and the ledger's "now" read when it began."""

    conn: Connection
    now_ms: int
    dialect: str
    #: What this transaction adds to the tallies, written at its very end: see `count`.
    tallies: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    def count(self, state: str, currency: str, exponent: int, amount_minor: int, sign: int) -> None:
        """Count a payment into (+1) or out of (-1) a state, so that gauges needn't read every payment there ever was."""
        _, payments, total = self.tallies.get((state, currency), (exponent, 0, 0))
        self.tallies[state, currency] = (exponent, payments + sign, total + sign * amount_minor)


class Ledger:
    """The database behind the steps. Thread-safe; one per process."""

    def __init__(self, url: str, clock: Clock, *, pool_size: int = 16, clock_rules: bool = False) -> None:
        """Connect lazily. `clock_rules` makes PostgreSQL take the clock's time too: for tests that turn it by hand."""
        try:
            parsed = make_url(url)
            _refuse_strange(parsed)
            self.engine = _engine(url, pool_size)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise LedgerError(f"MOMO_DATABASE_URL can't be used: {error}; give sqlite:///… or postgresql://…") from None
        self.where = parsed.render_as_string(hide_password=True)
        self.dialect = parsed.get_backend_name()
        self._clock = clock
        self._clock_rules = clock_rules or self.dialect == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A writing transaction; commits at the end, rolls back on any exception."""
        with self.engine.connect().execution_options(momo_write=True) as conn, conn.begin():
            tx = Tx(conn, self._now_ms(conn), self.dialect)
            yield tx
            _write_tallies(tx)

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A reading transaction; never waits for a writer."""
        with self.engine.connect() as conn, conn.begin():
            yield Tx(conn, self._now_ms(conn), self.dialect)

    def _now_ms(self, conn: Connection) -> int:
        if self._clock_rules:
            return self._clock.now_ms()
        # clock_timestamp() and not now(), which stands still for the length of a transaction (money-review C1).
        found = conn.execute(_NOW_POSTGRESQL).scalar_one()
        return int(found)

    def check_durable(self) -> None:
        """Raise LedgerError unless a commit of this database survives a power cut."""
        try:
            with self.engine.connect() as conn:
                problem = _sqlite_problem(conn) if self.dialect == "sqlite" else _postgresql_problem(conn)
        except DBAPIError as error:
            raise LedgerError(
                f"the ledger at {self.where} can't be read: {error.orig}; check MOMO_DATABASE_URL"
            ) from None
        if problem:
            raise LedgerError(f"the ledger at {self.where} {problem}")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


_TALLY = text(
    "INSERT INTO tally (state, currency, shard, exponent, payments, amount_minor) "
    "VALUES (:state, :currency, :shard, :exponent, :payments, :amount_minor) "
    "ON CONFLICT (state, currency, shard) DO UPDATE "
    "SET payments = tally.payments + excluded.payments, amount_minor = tally.amount_minor + excluded.amount_minor"
)
_SHARDS = 8


def _write_tallies(tx: Tx) -> None:
    """Last in the transaction and in one order: whoever waits for a tally's row holds every other lock it needs, so nobody waits in a circle.

    Sharded by thread, so that workers of one PostgreSQL seldom wait for one another.
    """
    shard = 0 if tx.dialect == "sqlite" else threading.get_native_id() % _SHARDS
    for (state, currency), (exponent, payments, amount_minor) in sorted(tx.tallies.items()):
        if payments or amount_minor:
            values = {"state": state, "currency": currency, "shard": shard, "exponent": exponent}
            tx.conn.execute(_TALLY, {**values, "payments": payments, "amount_minor": amount_minor})


_NOW_POSTGRESQL = text("SELECT (extract(epoch from clock_timestamp()) * 1000)::bigint")


def _refuse_strange(url: URL) -> None:
    """Before an engine is made: another database's driver needn't even be installed."""
    kind = url.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise LedgerError(f"MOMO_DATABASE_URL names {kind}; give sqlite:///… or postgresql://…")
    if kind == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise LedgerError(
            "MOMO_DATABASE_URL names a ledger in memory, which ends with the process; give sqlite:///momo.db"
        )


def _engine(url: str, pool_size: int) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,  # an error's text holds no phone number
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={
                "connect_timeout": 5,
                "options": f"-c statement_timeout=30000 -c lock_timeout={NOW_IS_OLD_MS}",
                **_NOTICE_A_DEAD_PEER,
            },
        )
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,
        connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _make_for_its_owner)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_for_its_owner(_dialect: object, _record: object, arguments: list[Any], _more: object) -> None:
    """Make a ledger that isn't there so that only its owner reads it: names and numbers stand in it. Its -wal and -shm follow its mode.

    One that is there is never opened here: closing it again would take away the locks that this process has on it.
    """
    path = str(arguments[0])
    if path.startswith("file:"):
        return
    # Whatever is in the way, SQLite meets it next, and says so.
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(dbapi_connection: Any, _record: object) -> None:
    # The driver opens no transaction of its own: it would begin late and deferred, and meet SQLITE_BUSY_SNAPSHOT (money-review L5).
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    _set_wal(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _set_wal(cursor: Any) -> None:
    """Turn a new database to WAL; SQLite refuses that at once, busy timeout or not, while another process does the same."""
    for _ in range(_WAL_TRIES):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            time.sleep(_WAL_PAUSE_SECONDS)
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("momo_write") else "BEGIN")


def _sqlite_problem(conn: Connection) -> str | None:
    version = tuple(int(part) for part in conn.exec_driver_sql("SELECT sqlite_version()").scalar_one().split("."))
    if version < _SQLITE_MIN:
        return f"runs on SQLite {version}; at least {_SQLITE_MIN} is needed"
    mode = conn.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    if mode != "wal":
        return f"is in journal mode {mode} and not WAL; put it on a local file system that can lock"
    if conn.exec_driver_sql("PRAGMA synchronous").scalar_one() != _SQLITE_FULL:
        return "would lose commits at a power cut (PRAGMA synchronous is not FULL)"
    return None


def _postgresql_problem(conn: Connection) -> str | None:
    version = int(conn.exec_driver_sql("SHOW server_version_num").scalar_one())
    if version < _POSTGRESQL_MIN:
        return f"runs on PostgreSQL {version // 10_000}; at least 15 is needed"
    encoding = conn.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        # A reason, a name or an answer of MTN's that it can't hold would fail when it is written: after the call, or in a pause.
        return (
            f"keeps text in {encoding}, which can't hold every name and answer; make the database with ENCODING 'UTF8'"
        )
    for setting, wanted in (("synchronous_commit", ("on", "remote_apply")), ("fsync", ("on",))):
        found = conn.exec_driver_sql(f"SHOW {setting}").scalar_one()
        if found not in wanted:
            return f"would lose commits at a power cut ({setting} is {found}); set it to {wanted[0]}"
    return None
