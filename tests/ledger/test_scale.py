"""Currency and decimals of an account between two starts (M12, M14): what is pinned, what doesn't start, which refund is rejected."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from alembic import command
from sqlalchemy import insert, text
from tests.support.factories import NOW, a_payment
from tests.support.ledger_world import NAMESPACE, World, a_job, an_account, side_by_side

from momo_worker.accounts import Account
from momo_worker.clock import SystemClock
from momo_worker.ledger import installation, schema
from momo_worker.ledger.engine import Ledger, LedgerError
from momo_worker.ledger.migrate import alembic_config, migrate
from momo_worker.ledger.rows import payment_values
from momo_worker.payment.money import Currency, format_amount
from momo_worker.payment.payment import Product
from momo_worker.payment.rules import DAY

WHOLE = Currency("UGX", 0)
CENTS = Currency("UGX", 2)
CEDIS = Currency("GHS", 2)


def an_account_in(*products: Product, **market: Any) -> Account:
    """The account `default` with credentials for these products only (all without any), in a market with these fields changed."""
    account = an_account()
    credentials = {product: account.credentials[product] for product in products or Product}
    return replace(account, market=replace(account.market, **market), credentials=MappingProxyType(credentials))


def under(world: World, *products: Product, **market: Any) -> World:
    """The same ledger, started again under other settings."""
    return replace(world, parts=replace(world.parts, accounts={"default": an_account_in(*products, **market)}))


def start(world: World) -> None:
    """What each process asks of the ledger before it does anything, and `momo up` before all of them."""
    with world.ledger.read() as tx:
        installation.refuse_other_settings(tx, NAMESPACE, world.parts.accounts.values())
    with world.ledger.write() as tx:
        installation.pin_accounts(tx, world.parts.accounts.values(), write=False)


def a_refund(currency: Currency, key: str = "r") -> dict[str, Any]:
    """Of 10000 minor units, whatever they are worth."""
    amount = format_amount(10_000, currency.exponent)
    return a_job(key, operation="refund", amount=amount, currency=currency.code, refund_of="fee", msisdn=None)


# ---- Refunds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [WHOLE, CEDIS], ids=["decimals", "currency"])
def test_a_refund_in_other_money_than_was_collected_is_rejected(world: World, other: Currency) -> None:
    before, after = under(world, currency=CENTS), under(world, currency=other)
    fee = before.successful("fee", amount="100.00")
    # Nothing at the start kept these settings out.
    world.write("DELETE FROM pin")

    taken = after.take(a_refund(other))

    assert not taken.accepted
    (error,) = world.rejections()[0]["errors"]
    assert (error["field"], error["value"]) == ("refund_of", "fee")
    assert "UGX with 2 decimals" in error["reason"]
    assert f"{other.code} with {other.exponent} decimals" in error["reason"]
    assert "markets.toml" in error["advice"]
    assert world.payment(fee).refunded_minor == 0
    assert world.count("payment") == 1

    assert before.take(a_refund(CENTS, "again")).accepted
    assert world.payment(fee).refunded_minor == 10_000


def test_a_process_that_runs_under_other_decimals_takes_nothing_in(world: World) -> None:
    """Settings that were read before another process pinned its own are wrong, and not the job: it waits."""
    fee = under(world, currency=CENTS).successful("fee", amount="100.00")

    taken = under(world, currency=WHOLE).take(a_refund(WHOLE), a_job("salary"))

    assert not taken.accepted
    assert not taken.rejected
    assert world.payment(fee).refunded_minor == 0


def test_two_pumps_under_other_decimals_each_never_both_take_in(world: World) -> None:
    pumps = [under(world, currency=CENTS), under(world.beside(), currency=WHOLE)]

    side_by_side(*[lambda pump=pump, at=at: pump.take(a_job(f"k-{at}")) for at, pump in enumerate(pumps)])

    assert world.count("payment") == 1
    assert world.rows("SELECT DISTINCT exponent FROM pin") == world.rows("SELECT exponent FROM payment")


# ---- Starts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(CENTS, WHOLE), (WHOLE, CENTS)])
def test_a_start_under_other_decimals_is_refused_and_says_what_to_do(
    world: World, first: Currency, second: Currency
) -> None:
    paid = under(world, currency=first)
    start(paid)
    paid.accept("k")
    start(paid)

    with pytest.raises(LedgerError) as refused:
        start(under(world, currency=second))

    for words in (
        "account default",
        f"UGX under exponent {first.exponent}, and the settings say {second.exponent}",
        f"set exponent = {first.exponent} for the market uganda in markets.toml",
    ):
        assert words in str(refused.value)


@pytest.mark.parametrize(
    "market",
    [{"currency": CEDIS}, {"currency": CENTS}, {"target_environment": "mtnghana"}, {"base_url": "http://127.0.0.1:2"}],
    ids=["currency", "decimals", "environment", "base URL"],
)
def test_an_account_is_held_against_the_pin_of_a_product_that_has_no_credentials_now(
    world: World, market: dict[str, Any]
) -> None:
    under(world, Product.COLLECTION).accept("fee", operation="collect")
    assert world.rows("SELECT product FROM pin") == ["collection"]

    with pytest.raises(LedgerError, match=r"account default \(collection\)"):
        start(under(world, Product.DISBURSEMENT, **market))


def test_another_product_in_the_same_market_starts_and_is_pinned_with_its_own_first_payment(world: World) -> None:
    under(world, Product.COLLECTION).accept("fee", operation="collect")
    other = under(world, Product.DISBURSEMENT)

    start(other)
    other.accept("salary")

    assert world.rows("SELECT product, exponent FROM pin ORDER BY product") == [("collection", 0), ("disbursement", 0)]
    start(under(world))


# ---- Ledgers of an older release ------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose pins have no decimals yet."""
    url = f"sqlite:///{tmp_path / 'old.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    ledger = Ledger(url, SystemClock())
    with ledger.write() as tx:
        config = alembic_config()
        config.attributes["connection"] = tx.conn
        command.upgrade(config, "0007")
    yield ledger
    ledger.close()


def test_an_older_ledgers_pins_take_the_decimals_of_the_latest_payment_in_their_currency(older: Ledger) -> None:
    paid = [
        ("corrected", "UGX", 2, NOW - DAY),
        ("corrected", "UGX", 0, NOW),
        ("kiosk", "UGX", 2, NOW),
        ("kiosk", "GHS", 3, NOW + DAY),
    ]
    with older.write() as tx:
        for at, (account, currency, exponent, accepted_at_ms) in enumerate(paid):
            payment = a_payment(id=f"p-{at}", idempotency_key=f"k-{at}", account=account, currency=currency)
            values = payment_values(payment.but(exponent=exponent, accepted_at_ms=accepted_at_ms))
            tx.conn.execute(insert(schema.payment).values(values))
        for account in ("corrected", "kiosk", "unpaid"):
            row = "(account, product, base_url, target_environment, currency, api_user, pinned_at_ms)"
            pin = f"INSERT INTO pin {row} VALUES ('{account}', 'collection', 'u', 'e', 'UGX', 'a', 1)"
            tx.conn.execute(text(pin))

    assert migrate(older)

    with older.read() as tx:
        found = tx.conn.execute(text("SELECT account, exponent FROM pin ORDER BY account")).all()
    assert [tuple(row) for row in found] == [("corrected", 0), ("kiosk", 2), ("unpaid", None)]


def test_a_pin_that_no_payment_told_the_decimals_of_starts_and_takes_them_from_the_first_one(world: World) -> None:
    under(world, currency=CENTS).accept("old")
    world.write("UPDATE pin SET exponent = NULL")
    paid = under(world, currency=CENTS)
    start(paid)

    paid.accept("first")

    assert world.rows("SELECT exponent FROM pin") == [2, 2]
    with pytest.raises(LedgerError, match="exponent 2"):
        start(under(world, currency=WHOLE))
