"""What was written about accounts and markets comes in, `Account` values go out; contradictions are problems, with the fix."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from momo_worker.accounts import Account, Credentials, DirectLimit, Market, Pace, SameAgain
from momo_worker.payment.money import AmountError, Currency, parse_amount
from momo_worker.payment.payment import Product
from momo_worker.settings_problems import Problems
from momo_worker.settings_schema import AccountSection, PaceSection, ProductSection, Section

#: MTN answers ten status reads a second.
LOOK_APART_MS_MIN = 100
ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
SANDBOX_HOST = "sandbox.momodeveloper.mtn.com"

_SECRET = re.compile(r"[!-~]{8,512}", re.ASCII)
_API_USER = re.compile(r"[!-9;-~]{1,128}", re.ASCII)
_ENVIRONMENT = re.compile(r"[a-z0-9]{1,40}", re.ASCII)
_SETTLED_CALLBACK_SECRET = 16

#: Names a place as its reader knows it: the variable it came from, or `worker.toml: accounts.shop.market`.
Where = Callable[..., str]


class MarketRow(Section):
    """A row of markets.toml."""

    base_url: str
    target_environment: Annotated[str, Field(pattern=r"^[a-z0-9]{1,40}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    exponent: Annotated[int, Field(ge=0, le=4)]
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    zone: str


@dataclass(frozen=True, slots=True)
class Read:
    """The accounts, and the subscription keys of products that `momo provision` has yet to give a user and key."""

    accounts: Mapping[str, Account]
    subscription_keys: Mapping[tuple[str, Product], str] = field(repr=False)


def read_markets(rows: Mapping[str, Any], problems: Problems) -> dict[str, Market]:
    markets: dict[str, Market] = {}
    for name, row in rows.items():
        try:
            read = MarketRow.model_validate(row)
        except ValidationError as error:
            for each in error.errors():
                key = ".".join(str(part) for part in (name, *each["loc"]))
                problems.add(f"markets.toml: {key}", _said(each["msg"]), "compare it with the rows around it")
            continue
        currency = Currency(read.currency, read.exponent)
        markets[name] = Market(name, read.base_url, read.target_environment, currency, read.country, read.zone)
        check_url(read.base_url, f"markets.toml: {name}.base_url", problems)
    _refuse_two_scales(markets, problems)
    return markets


def _refuse_two_scales(markets: Mapping[str, Market], problems: Problems) -> None:
    """A currency has as many decimals in one market as in another: sums by currency count its minor units."""
    first: dict[str, Market] = {}
    for name, market in markets.items():
        other = first.setdefault(market.currency.code, market)
        if other.currency.exponent != market.currency.exponent:
            problems.add(
                f"markets.toml: {name}.exponent",
                f"is {market.currency.exponent}, and {other.name} has {other.currency.exponent} for {market.currency.code}",
                "one currency has one number of decimals: ISO 4217's",
            )


def _said(message: str) -> str:
    """Pydantic's sentence as the middle of ours."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def loopback(url: str) -> bool:
    """Whether a URL stays on this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, where: str, problems: Problems) -> bool:
    """An http(s) URL without user, query or fragment; plain http only to this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[^!-~]", url):
        problems.add(where, "is not a URL with a host", "write it as https://host or https://host/path")
    elif "@" in parts.netloc or parts.query or parts.fragment:
        problems.add(where, "has a user, a query or a fragment", "leave only scheme, host and path")
    elif parts.scheme == "http" and not loopback(url):
        problems.add(
            where, f"sends money over plain http to {parts.hostname}", "write https://; http is for 127.0.0.1 only"
        )
    else:
        return True
    return False


def read_accounts(
    written: Mapping[str, AccountSection],
    markets: Mapping[str, Market],
    pace: PaceSection,
    where: Where,
    problems: Problems,
) -> Read:
    """Every account that was written down; `default` in the sandbox when there is none at all."""
    accounts: dict[str, Account] = {}
    keys: dict[tuple[str, Product], str] = {}
    for name, section in (written or {"default": AccountSection()}).items():
        if not ACCOUNT_NAME.fullmatch(name) or "__" in name:
            problems.add(
                f"worker.toml: accounts.{name}",
                "is no name for an account",
                "use 1 to 32 of a-z 0-9 _ -, beginning with a letter or digit, no two _ together; it can never be changed later",
            )
            continue
        market = _market(name, section, markets, where, problems)
        if market is not None:
            accounts[name] = _account(name, section, market, pace, where, problems)
            keys.update(_unprovisioned(accounts[name], section))
    _refuse_twins(accounts, where, problems)
    return Read(MappingProxyType(accounts), MappingProxyType(keys))


def _market(
    name: str, section: AccountSection, markets: Mapping[str, Market], where: Where, problems: Problems
) -> Market | None:
    if section.market is None and name != "default":
        problems.add(where("accounts", name, "market"), "is missing", f"name one of: {', '.join(markets)}")
        return None
    row = markets.get(section.market or "sandbox")
    if row is None:
        problems.add(
            where("accounts", name, "market"),
            f"{section.market!r} is no market of markets.toml",
            f"name one of: {', '.join(markets) or '(none could be read)'}",
        )
        return None
    market = replace(
        row,
        base_url=(section.base_url or row.base_url).rstrip("/"),
        target_environment=section.target_environment or row.target_environment,
    )
    _check_market(name, section, row, market, where, problems)
    _check_neighbour(name, section, row, markets, where, problems)
    return market


def _check_neighbour(
    name: str, section: AccountSection, row: Market, markets: Mapping[str, Market], where: Where, problems: Problems
) -> None:
    """Another market's environment under this market's currency would pay 150000 GHS where UGX was meant."""
    environment = section.target_environment
    owners = [market.name for market in markets.values() if market.target_environment == environment]
    if environment != row.target_environment and owners and "sandbox" not in owners and not row.sandbox:
        problems.add(
            where("accounts", name, "target_environment"),
            f"{environment!r} is the environment of {owners[0]} and not of {row.name}",
            f"set the market to {owners[0]}, or leave the target environment out",
        )


def _check_market(
    name: str, section: AccountSection, row: Market, market: Market, where: Where, problems: Problems
) -> None:
    """Host, environment and currency belong together; one of them from elsewhere pays nobody, or the wrong world."""
    if section.currency is not None and section.currency != row.currency.code:
        problems.add(
            where("accounts", name, "currency"),
            f"{section.currency!r} is not the currency of {row.name} ({row.currency.code})",
            f"leave it out, or name the market of that currency; another currency of {row.name} is a row of its own in markets.toml",
        )
    if not _ENVIRONMENT.fullmatch(market.target_environment):
        problems.add(
            where("accounts", name, "target_environment"),
            "is no name of an environment",
            f"leave it out, or write {row.target_environment}",
        )
        return
    if not check_url(market.base_url, where("accounts", name, "base_url"), problems) or loopback(market.base_url):
        return
    on_sandbox = urlsplit(market.base_url).hostname == SANDBOX_HOST
    if on_sandbox != market.sandbox:
        which = "target_environment" if section.target_environment and not section.base_url else "base_url"
        problems.add(
            where("accounts", name, which),
            f"{urlsplit(market.base_url).hostname} doesn't serve the environment {market.target_environment}",
            f"set the market (sandbox, or {row.name if not row.sandbox else 'uganda'} …) and leave out base URL and target environment",
        )
    elif market.sandbox != row.sandbox:
        problems.add(
            where("accounts", name, "target_environment"),
            f"{market.target_environment!r} is another world than the market {row.name}",
            "set the market, and leave out base URL and target environment",
        )


def _own_or(own: int | None, shared: int) -> int:
    """The account's own figure, which may be 0: no pace at all, on loopback."""
    return shared if own is None else own


def _account(
    name: str, section: AccountSection, market: Market, shared: PaceSection, where: Where, problems: Problems
) -> Account:
    pace = Pace(
        look_apart_ms=_own_or(section.pace.look_apart_ms, shared.look_apart_ms),
        send_apart_ms=_own_or(section.pace.send_apart_ms, shared.send_apart_ms),
    )
    if pace.look_apart_ms < LOOK_APART_MS_MIN and not loopback(market.base_url):
        own = (
            ("accounts", name, "pace", "look_apart_ms")
            if section.pace.look_apart_ms is not None
            else ("pace", "look_apart_ms")
        )
        problems.add(
            where(*own),
            f"{pace.look_apart_ms} is more than the ten status reads a second that MTN answers",
            f"set at least {LOOK_APART_MS_MIN}; less is for a simulator on 127.0.0.1",
        )
    _check_callback(name, section, where, problems)
    return Account(
        name=name,
        market=market,
        credentials=_credentials(name, section, market, where, problems),
        callback_url=section.callback_url.rstrip("/") if section.callback_url else None,
        callback_secret=section.callback_secret,
        label=section.label,
        pace=pace,
        same_again=SameAgain(section.same_again),
        direct_limit=DirectLimit(
            _limit(name, "direct_limit_per_payment", section.direct_limit_per_payment, market, where, problems),
            _limit(name, "direct_limit_per_day", section.direct_limit_per_day, market, where, problems),
        ),
        second_approval_above_minor=_limit(
            name, "second_approval_above", section.second_approval_above, market, where, problems
        ),
        refund_by_transfer=section.refund_by == "transfer",
        check_needed=section.check_before_paying == "needed",
    )


def _check_callback(name: str, section: AccountSection, where: Where, problems: Problems) -> None:
    url, secret = section.callback_url, section.callback_secret
    if url is not None:
        check_url(url, where("accounts", name, "callback_url"), problems)
    if (url is None) != (secret is None):
        has, misses = ("callback_secret", "callback_url") if url is None else ("callback_url", "callback_secret")
        problems.add(
            where("accounts", name, misses),
            f"is missing beside {where('accounts', name, has)}",
            "set both, or neither: without the secret anybody could call the door, without the URL nobody does",
        )
    if secret is not None and (len(secret) < _SETTLED_CALLBACK_SECRET or not _SECRET.fullmatch(secret)):
        problems.add(
            where("accounts", name, "callback_secret"),
            "is too short to be secret, or holds spaces or letters that aren't ASCII",
            f"set at least {_SETTLED_CALLBACK_SECRET} random characters, such as from: openssl rand -hex 32",
        )


def _limit(name: str, key: str, text: str | None, market: Market, where: Where, problems: Problems) -> int | None:
    if text is None:
        return None
    try:
        return parse_amount(text, market.currency)
    except AmountError as error:
        problems.add(where("accounts", name, key), f"{text!r} {error.reason}", error.advice)
        return None


def _credentials(
    name: str, section: AccountSection, market: Market, where: Where, problems: Problems
) -> Mapping[Product, Credentials]:
    found: dict[Product, Credentials] = {}
    for product in Product:
        product_section: ProductSection = getattr(section, product.value)
        if _complete(name, product, product_section, market, where, problems):
            found[product] = Credentials(
                subscription_key=product_section.subscription_key or "",
                api_user=product_section.api_user or "",
                api_key=product_section.api_key or "",
                secondary_key=product_section.secondary_key,
            )
    return MappingProxyType(found)


def _complete(
    name: str, product: Product, section: ProductSection, market: Market, where: Where, problems: Problems
) -> bool:
    """Whether the set is whole and sound. Half a set is a problem, but for a sandbox key that waits for `momo provision`."""
    given = {key: value for key, value in section if value is not None}
    missing = [key for key in ("subscription_key", "api_user", "api_key") if key not in given]
    for key, value in given.items():
        form = _API_USER if key == "api_user" else _SECRET
        if not form.fullmatch(value):
            problems.add(
                where("accounts", name, product.value, key),
                "is too short or too long, or holds spaces, quotes' line ends or letters that aren't ASCII",
                "copy it again from MTN's portal, without what stands around it",
            )
    if not given or (market.sandbox and "subscription_key" in given and {"api_user", "api_key"} <= set(missing)):
        return False
    if missing:
        places = ", ".join(where("accounts", name, product.value, key) for key in missing)
        has = ", ".join(where("accounts", name, product.value, key) for key in given)
        problems.add(
            places,
            f"is missing beside {has}" if len(missing) == 1 else f"are missing beside {has}",
            "set subscription key, API user and API key together, or none of them"
            + (" (`momo provision` makes user and key in the sandbox)" if market.sandbox else ""),
        )
    return not missing


def _unprovisioned(account: Account, section: AccountSection) -> dict[tuple[str, Product], str]:
    found = {product: getattr(section, product.value).subscription_key for product in Product}
    return {
        (account.name, product): key for product, key in found.items() if key and product not in account.credentials
    }


def _refuse_twins(accounts: Mapping[str, Account], where: Where, problems: Problems) -> None:
    """Two names that share one variable (`a-b`, `a_b`) would get each other's secrets."""
    seen: dict[str, str] = {}
    for name in accounts:
        twin = seen.setdefault(name.replace("-", "_"), name)
        if twin != name:
            problems.add(
                where("accounts", name), f"has the same variables as {twin!r}", "give one of them another name"
            )
