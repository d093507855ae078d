"""Accounts, payments and clients for tests of the border with MTN: nothing comes in, values with plain defaults go out."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import redis
from tests.support import simulator as fake

from momo_worker.accounts import Account, Credentials, Market
from momo_worker.clock import SystemClock
from momo_worker.mtn.client import MtnClient
from momo_worker.mtn.token import TokenSource
from momo_worker.mtn.wire import render
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import PRODUCT_OF, Lane, Operation, Payment, Product
from momo_worker.payment.transitions import State
from momo_worker.payment.verdict import RenderedRequest

REFERENCE = "6f1f0a3c-3c55-4a68-9c3f-0d0c8c2d7b11"
CLOCK = SystemClock()
SUBSCRIPTION_KEY = "subscription-key-0123456789abcdef"
SECONDARY_KEY = "secondary-key-0123456789abcdef"
API_KEY = "api-key-fedcba9876543210"
API_USER = "0b9c7a52-5f5c-4a4c-8df6-1a2b3c4d5e6f"
SECRETS = (SUBSCRIPTION_KEY, SECONDARY_KEY, API_KEY, "a-token")


def an_account(base_url: str = "http://127.0.0.1:1", **changes: Any) -> Account:
    credentials = Credentials(SUBSCRIPTION_KEY, API_USER, API_KEY, SECONDARY_KEY)
    account = Account(
        "default",
        Market("uganda", base_url, "mtnuganda", Currency("UGX", 0), "UG", "Africa/Kampala"),
        MappingProxyType(dict.fromkeys(Product, credentials)),
        callback_url="https://callbacks.example.org/mtn",
        callback_secret="callback-secret",
    )
    return replace(account, **changes)


def a_payment(operation: Operation = Operation.DISBURSE, **changes: Any) -> Payment:
    payment = Payment(
        id="7d9f2d0e-0000-4000-8000-000000000001",
        account="default",
        idempotency_key="salary-1",
        operation=operation,
        product=PRODUCT_OF[operation],
        lane=Lane.BULK,
        amount_minor=150_000,
        currency="UGX",
        exponent=0,
        msisdn="256772123456",
        external_id="EMP-0042",
        payer_message="Salary November",
        payee_note="Salary November",
        metadata=None,
        body_digest="",
        refund_of=None,
        replaces=None,
        environment="mtnuganda",
        source="test",
        accepted_at_ms=0,
        not_before_ms=None,
        not_after_ms=1,
        state=State.ACCEPTED,
        state_since_ms=0,
        reference_id=REFERENCE,
    )
    return replace(payment, **changes)


def a_request(account: Account, operation: Operation = Operation.DISBURSE, **changes: Any) -> RenderedRequest:
    refund_reference = REFERENCE if operation is Operation.REFUND else None
    return render(a_payment(operation, **changes), account=account, refund_reference=refund_reference)


def a_token_source(
    account: Account, product: Product = Product.DISBURSEMENT, client: redis.Redis | None = None, **options: Any
) -> TokenSource:
    return TokenSource(account, product, client, CLOCK, **options)


def a_client(
    account: Account, product: Product = Product.DISBURSEMENT, tokens: TokenSource | None = None, **options: Any
) -> MtnClient:
    return MtnClient(account, product, tokens or a_token_source(account, product), clock=CLOCK, **options)


def credentials_of(who: fake.Credentials) -> Credentials:
    return Credentials(who.subscription_key, who.api_user, who.api_key, who.secondary_key)


def uganda(url: str, **changes: Any) -> Account:
    keys = {
        Product.COLLECTION: credentials_of(fake.UGANDA_COLLECTION),
        Product.DISBURSEMENT: credentials_of(fake.UGANDA_DISBURSEMENT),
    }
    market = Market("uganda", url, "mtnuganda", Currency("UGX", 0), "UG", "Africa/Kampala")
    return an_account(url, **{"market": market, "credentials": MappingProxyType(keys), "callback_url": None, **changes})
