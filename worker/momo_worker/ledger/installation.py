"""Who this ledger is: its id, namespace, epoch and tide, and the accounts pinned to it. Says whether a process may start on it."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, Table, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from momo_worker.accounts import Account
from momo_worker.ledger import schema
from momo_worker.ledger.engine import LedgerError, Tx
from momo_worker.payment.events import PARTITIONS
from momo_worker.payment.payment import Product


@dataclass(frozen=True, slots=True)
class Installation:
    """The single row that names the ledger."""

    ledger_id: str
    namespace: uuid.UUID
    epoch: int
    tide: int
    tide_at_ms: int
    results_last_id: str | None


def read(tx: Tx) -> Installation | None:
    """The installation, or None in a ledger that was never prepared."""
    row = tx.conn.execute(select(schema.installation)).mappings().one_or_none()
    if row is None:
        return None
    return Installation(
        row["ledger_id"],
        uuid.UUID(row["namespace"]),
        row["epoch"],
        row["tide"],
        row["tide_at_ms"],
        row["results_last_id"],
    )


def prepare(tx: Tx, namespace: uuid.UUID | None, *, sandbox_only: bool) -> Installation:
    """Read the installation, or write it into a new ledger; raises LedgerError when namespaces disagree or one is missing.

    A namespace is drawn only where nothing but the sandbox is configured: anywhere else it must be kept with the credentials (M2).
    """
    found = read(tx)
    if found is None:
        if namespace is None and not sandbox_only:
            raise LedgerError(
                "is new and MOMO_NAMESPACE isn't set: draw one with `python3 -c 'import uuid; print(uuid.uuid4())'`, "
                "keep it with the credentials for ever, and set it in every process"
            )
        return _write_new(tx, namespace)
    _compare_namespace(found, namespace)
    return found


def refuse_other_settings(tx: Tx, namespace: uuid.UUID | None, accounts: Iterable[Account]) -> None:
    """Raise LedgerError where a process that starts under these settings would; writes nothing, and a new ledger takes any."""
    found = read(tx)
    if found is not None:
        _compare_namespace(found, namespace)
        pin_accounts(tx, accounts, write=False)


def _compare_namespace(found: Installation, namespace: uuid.UUID | None) -> None:
    if namespace is not None and namespace != found.namespace:
        raise LedgerError(
            f"belongs to the namespace {found.namespace}, and MOMO_NAMESPACE is {namespace}: "
            "one of the two is another installation's; correct MOMO_NAMESPACE or MOMO_DATABASE_URL"
        )


def _write_new(tx: Tx, given: uuid.UUID | None) -> Installation:
    namespace = given or uuid.uuid4()
    fresh = Installation(str(uuid.uuid4()), namespace, epoch=1, tide=0, tide_at_ms=tx.now_ms, results_last_id=None)
    row = {
        "id": 1,
        "ledger_id": fresh.ledger_id,
        "namespace": str(namespace),
        "epoch": fresh.epoch,
        "tide": 0,
        "tide_at_ms": tx.now_ms,
        "created_at_ms": tx.now_ms,
    }
    # Asked by RETURNING: psycopg's row count of an INSERT that may leave the row alone says nothing here.
    if (
        tx.conn.execute(_insert_or_leave(tx, schema.installation).returning(schema.installation.c.id), row).first()
        is None
    ):
        # Another process started at the same moment and was first.
        return prepare(tx, given, sandbox_only=True)
    tx.conn.execute(
        insert(schema.relay_partition),
        [{"partition": n, "owner": None, "lease_until_ms": 0, "fence": 0} for n in range(PARTITIONS)],
    )
    return fresh


def _insert_or_leave(tx: Tx, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Insert a row unless it is there; waits for a transaction that is just writing it."""
    kind = sqlite.insert if tx.dialect == "sqlite" else postgresql.insert
    return kind(table).on_conflict_do_nothing()


def epoch(tx: Tx) -> int:
    """The epoch that events carry; a recovery raises it."""
    return int(tx.conn.execute(_epoch).scalar_one())


_epoch = select(schema.installation.c.epoch)


def tide(tx: Tx) -> int:
    """How high this ledger says that its tide is."""
    return int(tx.conn.execute(select(schema.installation.c.tide)).scalar_one())


def locked(tx: Tx) -> Installation | None:
    """The installation, its row locked: who raises the tide or begins a recovery does so alone."""
    tx.conn.execute(select(schema.installation.c.id).with_for_update()).first()
    return read(tx)


def raise_tide(tx: Tx) -> int:
    """Count the tide up by one; a ledger that is behind a copy of it was restored (design.md 9)."""
    tx.conn.execute(text("UPDATE installation SET tide = tide + 1, tide_at_ms = :now"), {"now": tx.now_ms})
    return tide(tx)


def keep_results_last_id(tx: Tx, last_id: str | None) -> None:
    """Remember the last id that the results stream gave us, the highest where two relays tell at once; None after its loss."""
    kept = tx.conn.execute(select(schema.installation.c.results_last_id).with_for_update()).scalar_one_or_none()
    if kept is not None and last_id is not None and _order(kept) >= _order(last_id):
        return
    tx.conn.execute(update(schema.installation).values(results_last_id=last_id))


def _order(stream_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = stream_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def pin_accounts(tx: Tx, accounts: Iterable[Account], *, write: bool) -> None:
    """Hold each account against all pins of its name; with `write`, pin what has its first payment now.

    Raises LedgerError when base URL, target environment, currency, its decimals or an API user differ from the pinned ones
    (money-review R3). The market is compared also with the pin of a product that has no credentials now: a collection that
    was made under them is refunded by the other product, as the same number of minor units (M14).
    """
    pins = _pins(tx)
    for account in accounts:
        pinned = pins.get(account.name, {})
        _compare(account, pinned)
        if write and _pin_what_is_missing(tx, account, pinned):
            # Two pumps may see an account's first payment at the same moment: who comes second compares.
            _compare(account, _pins(tx)[account.name])


def pin_problem(tx: Tx, account: Account) -> str | None:
    """Why this account's settings aren't those of its first payment, or None: another process may have pinned others meanwhile."""
    try:
        pin_accounts(tx, [account], write=False)
    except LedgerError as error:
        return str(error)
    return None


def _pins(tx: Tx) -> dict[str, dict[str, RowMapping]]:
    """The pins of each account's name, by product."""
    pins: dict[str, dict[str, RowMapping]] = {}
    for row in tx.conn.execute(select(schema.pin).order_by(schema.pin.c.account, schema.pin.c.product)).mappings():
        pins.setdefault(row["account"], {})[row["product"]] = row
    return pins


def _pin_what_is_missing(tx: Tx, account: Account, pinned: Mapping[str, RowMapping]) -> bool:
    """Write the pins that this account doesn't have yet; whether there were any to write."""
    missing = [product for product in account.credentials if product.value not in pinned]
    for product in missing:
        tx.conn.execute(_insert_or_leave(tx, schema.pin), _pin_row(tx, account, product))
    # Pinned by a release that kept no decimals, and no payment told the migration which they were.
    bare = any(row["exponent"] is None for row in pinned.values())
    if bare:
        of_account = (schema.pin.c.account == account.name) & schema.pin.c.exponent.is_(None)
        tx.conn.execute(update(schema.pin).where(of_account).values(exponent=account.market.currency.exponent))
    return bool(missing) or bare


def _pin_row(tx: Tx, account: Account, product: Product) -> dict[str, Any]:
    return {
        "account": account.name,
        "product": product.value,
        "base_url": account.market.base_url,
        "target_environment": account.market.target_environment,
        "currency": account.market.currency.code,
        "exponent": account.market.currency.exponent,
        "api_user": account.credentials[product].api_user,
        "pinned_at_ms": tx.now_ms,
    }


def _compare(account: Account, pins: Mapping[str, RowMapping]) -> None:
    for product, pinned in pins.items():
        _compare_market(account, product, pinned)
        credentials = account.credentials.get(Product(product))
        if credentials is not None:
            _same(account, product, "API user", pinned["api_user"], credentials.api_user)


def _compare_market(account: Account, product: str, pinned: RowMapping) -> None:
    market = account.market
    _same(account, product, "base URL", pinned["base_url"], market.base_url)
    _same(account, product, "target environment", pinned["target_environment"], market.target_environment)
    _same(account, product, "currency", pinned["currency"], market.currency.code)
    first, configured = pinned["exponent"], market.currency.exponent
    if first is not None and first != configured:
        raise LedgerError(
            f"has payments of account {account.name} ({product}) in {market.currency.code} under exponent {first}, and the settings say "
            f"{configured}: every amount that it holds would be another one, and each job that is repeated another payment; set exponent = "
            f"{first} for the market {market.name} in markets.toml again, or use another account name or another ledger"
        )


def _same(account: Account, product: str, name: str, first: str, configured: str) -> None:
    if first != configured:
        raise LedgerError(
            f"has payments of account {account.name} ({product}) under {name} {first}, and the settings say {configured}: "
            "use another account name or another ledger; its open payments can only be followed under the credentials they were sent with"
        )
