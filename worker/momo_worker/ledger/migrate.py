"""Brings a ledger's schema up to this release; migrations only go forward."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.revision import current, newest, refuse_newer, revision_in, unreachable


def alembic_config() -> Config:
    """Alembic's configuration for our migrations."""
    config = Config()
    config.set_main_option("script_location", str(files("momo_worker.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(ledger: Ledger) -> bool:
    """Apply what is missing in one transaction; True when anything was. Two at once: the second waits and finds nothing to do."""
    try:
        found = current(ledger)
        if found == newest():
            return False
        refuse_newer(ledger, found)
        with ledger.write() as tx:
            if tx.dialect == "postgresql":
                tx.conn.exec_driver_sql("SELECT pg_advisory_xact_lock(726173001)")
            if revision_in(tx) == newest():
                return False
            config = alembic_config()
            config.attributes["connection"] = tx.conn
            command.upgrade(config, "head")
    except OperationalError as error:
        raise unreachable(ledger, error) from None
    return True
