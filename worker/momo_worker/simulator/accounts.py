"""Who may call the fake MTN: subscriptions, API users, environment, currency, starting money. Values only, read by the model.

The defaults below are published throw-away constants: `momo up --simulator`, `momo demo` and the tests use them.
One server carries both accounts, as MTN's gateway carries many: the subscription key says which one is meant.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# mtn-api 9.2: ISO exponents; MTN's own table is not published, so a fraction of these is refused.
ZERO_DECIMAL_CURRENCIES = frozenset({"UGX", "XOF", "XAF", "GNF", "RWF"})

SANDBOX_ENVIRONMENT = "sandbox"


@dataclass(frozen=True, slots=True)
class Subscription:
    """One product of one account, with its two interchangeable keys (mtn-api 3, FAQ) and what is on it at the start."""

    product: str
    primary_key: str
    secondary_key: str
    starting_balance: str = "0"


@dataclass(frozen=True, slots=True)
class ApiUser:
    user_id: str
    api_key: str
    callback_host: str


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    target_environment: str
    currency: str
    country_code: str
    subscriptions: tuple[Subscription, ...]
    api_users: tuple[ApiUser, ...] = ()

    @property
    def decimals(self) -> int:
        return 0 if self.currency in ZERO_DECIMAL_CURRENCIES else 2

    @property
    def is_sandbox(self) -> bool:
        return self.target_environment == SANDBOX_ENVIRONMENT


SANDBOX = Account(
    name="sandbox",
    target_environment=SANDBOX_ENVIRONMENT,
    currency="EUR",
    country_code="",
    subscriptions=(
        Subscription("collection", "51c0113c710000000000000000000001", "51c0113c710000000000000000000002"),
        Subscription(
            "disbursement", "51d15b0000000000000000000000d001", "51d15b0000000000000000000000d002", "1000000.00"
        ),
    ),
    api_users=(
        ApiUser("5a5d0001-0000-4000-8000-00000000c011", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0c011", "localhost"),
        ApiUser("5a5d0002-0000-4000-8000-00000000d15b", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0d15b", "localhost"),
    ),
)

UGANDA = Account(
    name="uganda",
    target_environment="mtnuganda",
    currency="UGX",
    country_code="256",
    subscriptions=(
        Subscription("collection", "256c0113c71000000000000000000001", "256c0113c71000000000000000000002"),
        Subscription(
            "disbursement", "256d15b000000000000000000000d001", "256d15b000000000000000000000d002", "1000000000000"
        ),
    ),
    api_users=(
        ApiUser("25600001-0000-4000-8000-00000000c011", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0c011", "localhost"),
        ApiUser("25600002-0000-4000-8000-00000000d15b", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0d15b", "localhost"),
    ),
)

DEFAULT_ACCOUNTS = (SANDBOX, UGANDA)


def accounts_by_mode(mode: str) -> tuple[Account, ...]:
    """`sandbox`, `market` or `both`: which of the default accounts a server carries."""
    chosen = {"sandbox": (SANDBOX,), "market": (UGANDA,), "both": DEFAULT_ACCOUNTS}
    if mode not in chosen:
        raise ValueError(f"mode is {mode!r}; it may be one of {', '.join(chosen)}")
    return chosen[mode]


def account_from_json(value: Mapping[str, Any]) -> Account:
    """The shape of an account in a file given with --accounts; `account_as_json` writes the same shape."""
    return Account(
        name=value["name"],
        target_environment=value["target_environment"],
        currency=value["currency"],
        country_code=value.get("country_code", ""),
        subscriptions=tuple(Subscription(**one) for one in value["subscriptions"]),
        api_users=tuple(ApiUser(**one) for one in value.get("api_users", ())),
    )


def account_as_json(account: Account) -> dict[str, Any]:
    return asdict(account)
