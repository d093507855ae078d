"""Which schema a ledger has and which this release needs; asks the database only, so that every command may ask without loading Alembic."""

from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from momo_worker.ledger.engine import Ledger, LedgerError, Tx

#: Every revision in order; a test holds it to the files in `migrations/versions`.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010")


def newest() -> str:
    """The revision that this release needs."""
    return REVISIONS[-1]


def current(ledger: Ledger) -> str | None:
    """The revision of the ledger, None for an empty database."""
    with ledger.read() as tx:
        return revision_in(tx)


def revision_in(tx: Tx) -> str | None:
    """The same, as this transaction sees it."""
    if not inspect(tx.conn).has_table("alembic_version"):
        return None
    found: str | None = tx.conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return found


def refuse_newer(ledger: Ledger, found: str | None) -> None:
    """A schema that this release doesn't know was made by a later one; migrations only go forward."""
    if found is not None and found not in REVISIONS:
        raise LedgerError(
            f"the ledger at {ledger.where} has schema {found}, which this release doesn't know (its newest is {newest()}): "
            "a newer release has migrated it; start that one"
        )


def check_current(ledger: Ledger) -> None:
    """Raise LedgerError unless the schema is this release's."""
    try:
        found = current(ledger)
    except OperationalError as error:
        raise unreachable(ledger, error) from None
    refuse_newer(ledger, found)
    if found != newest():
        raise LedgerError(
            f"the ledger at {ledger.where} has schema {found or 'none'}, and this release needs {newest()}; run `momo migrate`"
        )


def unreachable(ledger: Ledger, error: OperationalError) -> LedgerError:
    """The sentence for a server that isn't there."""
    return LedgerError(
        f"the ledger at {ledger.where} can't be reached: {error.orig}; check MOMO_DATABASE_URL and the server"
    )
