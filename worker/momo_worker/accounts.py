"""Accounts as values: a merchant in a market, with its credentials, pace and limits. Made by `settings`, read by everyone, never printed whole.

Secrets sit in fields that repr leaves out, so that no log line, traceback or assertion shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Product


@dataclass(frozen=True, slots=True)
class Market:
    """A row of `config/markets.toml`: where, in which currency, under which of MTN's names."""

    name: str
    base_url: str
    target_environment: str
    currency: Currency
    #: ISO country of the numbers it takes ("UG"); None takes any country's, as the sandbox does.
    region: str | None
    zone: str

    @property
    def sandbox(self) -> bool:
        return self.target_environment == "sandbox"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one product of one account needs to speak with MTN."""

    subscription_key: str = field(repr=False)
    api_user: str
    api_key: str = field(repr=False)
    secondary_key: str | None = field(default=None, repr=False)


class SameAgain(StrEnum):
    """What becomes of the same operation, number and amount under another key within ten minutes."""

    OFF = "off"
    WARN = "warn"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class DirectLimit:
    """The most that may be paid out at any door but an approved run, in minor units; None is no limit."""

    per_payment_minor: int | None = None
    per_day_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an account's calls may leave."""

    #: Status reads: one each so many milliseconds; MTN allows ten a second, so below 100 only against loopback.
    look_apart_ms: int = 105
    #: Sends; MTN publishes no limit, a 429 slows further.
    send_apart_ms: int = 40


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant in a market. The name is part of every reference and never changes (M2); `label` may."""

    name: str
    market: Market
    credentials: Mapping[Product, Credentials] = field(default_factory=lambda: MappingProxyType({}))
    callback_url: str | None = None
    callback_secret: str | None = field(default=None, repr=False)
    label: str | None = None
    pace: Pace = Pace()
    same_again: SameAgain = SameAgain.WARN
    direct_limit: DirectLimit = DirectLimit()
    #: Beyond this much within 24 hours, in minor units, runs need a second approver; None asks for one only.
    second_approval_above_minor: int | None = None
    #: Refunds by MTN's refund operation; True pays them as a transfer.
    refund_by_transfer: bool = False
    #: A run whose numbers MTN wasn't asked about can't be approved.
    check_needed: bool = False

    def budget(self, product: Product) -> str:
        """Name of the status budget: it belongs to base URL, product and subscription key, not to the account's name."""
        key = self.credentials[product].subscription_key if product in self.credentials else self.name
        return f"{self.market.base_url}|{product.value}|{key}"
