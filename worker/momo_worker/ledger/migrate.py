"""Brings a ledger's schema up to this release, or says that it isn't; migrations only go forward."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from momo_worker.ledger.engine import Ledger, LedgerError


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("momo_worker.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision that this release needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise LedgerError("has no migrations in this installation; install the package again")
    return head


def current(ledger: Ledger) -> str | None:
    """The revision of the ledger, None for an empty database."""
    with ledger.read() as tx:
        return MigrationContext.configure(tx.conn).get_current_revision()


def _refuse_newer(ledger: Ledger, found: str | None) -> None:
    """A schema that this release doesn't know was made by a later one; migrations only go forward."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise LedgerError(
            f"the ledger at {ledger.where} has schema {found}, which this release doesn't know (its newest is {newest()}): "
            "a newer release has migrated it; start that one"
        )


def migrate(ledger: Ledger) -> bool:
    """Apply what is missing in one transaction; True when anything was. Two at once: the second waits and finds nothing to do."""
    try:
        found = current(ledger)
        if found == newest():
            return False
        _refuse_newer(ledger, found)
        with ledger.write() as tx:
            if tx.dialect == "postgresql":
                tx.conn.exec_driver_sql("SELECT pg_advisory_xact_lock(726173001)")
            if MigrationContext.configure(tx.conn).get_current_revision() == newest():
                return False
            config = _config()
            config.attributes["connection"] = tx.conn
            command.upgrade(config, "head")
    except OperationalError as error:
        raise LedgerError(
            f"the ledger at {ledger.where} can't be reached: {error.orig}; check MOMO_DATABASE_URL and the server"
        ) from None
    return True


def check_current(ledger: Ledger) -> None:
    """Raise LedgerError unless the schema is this release's."""
    try:
        found = current(ledger)
    except OperationalError as error:
        raise LedgerError(
            f"the ledger at {ledger.where} can't be reached: {error.orig}; check MOMO_DATABASE_URL and the server"
        ) from None
    _refuse_newer(ledger, found)
    if found != newest():
        raise LedgerError(
            f"the ledger at {ledger.where} has schema {found or 'none'}, and this release needs {newest()}; run `momo migrate`"
        )
