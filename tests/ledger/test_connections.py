"""The ledger's connections: what they are told, so that none waits for a server that is gone without a word."""

import os
import stat
from pathlib import Path
from typing import Any

from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import NOW_IS_OLD_MS, Ledger
from momo_worker.ledger.migrate import migrate


def test_a_connection_to_postgresql_notices_a_dead_peer_within_half_a_minute(postgres_ledger_url: str) -> None:
    ledger = Ledger(postgres_ledger_url, SystemClock())
    try:
        with ledger.read() as tx:
            driver: Any = tx.conn.connection.driver_connection
            told = driver.info.get_parameters()
            limits = {
                name: tx.conn.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("lock_timeout", "statement_timeout")
            }
    finally:
        ledger.close()
    idle, interval, count = (int(told[f"keepalives_{name}"]) for name in ("idle", "interval", "count"))
    assert idle + interval * count <= 30
    assert int(told["tcp_user_timeout"]) <= 30_000
    # And one that is there answers within its own limits; what a transaction may be late by is the one for locks.
    assert limits == {"lock_timeout": f"{NOW_IS_OLD_MS // 1000}s", "statement_timeout": "30s"}


def test_a_ledger_that_is_made_is_read_by_its_owner_alone_and_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.touch()
    there.chmod(0o640)
    before = os.umask(0o022)
    try:
        for name in ("new.db", "there.db"):
            ledger = Ledger(f"sqlite:///{tmp_path / name}", SystemClock())
            migrate(ledger)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{name}*")}
            ledger.close()
            wanted = 0o600 if name == "new.db" else 0o640
            assert modes == {name: wanted, f"{name}-wal": wanted, f"{name}-shm": wanted}
    finally:
        os.umask(before)
