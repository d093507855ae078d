"""The doctor at MTN: accounts come in, findings go out. Reads only: a token, a balance, and in the sandbox the API user."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from momo_worker.accounts import Account
from momo_worker.cli.deeds.balance import clients_of
from momo_worker.cli.deeds.finding import Finding, away, fail, ok, warn
from momo_worker.clock import Clock
from momo_worker.mtn.adapter import WireError
from momo_worker.mtn.errors import MtnError, NotReachableError
from momo_worker.mtn.line import Line
from momo_worker.mtn.provisioning import Provisioning
from momo_worker.payment.payment import Product
from momo_worker.settings import Settings
from momo_worker.wiring import Clients

_DEADLINE_SECONDS = 30.0
_CLOCKS_APART_SECONDS_MAX = 60.0


def check_mtn(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Each address once, then each account's products."""
    clients = clients_of(settings)
    for base_url in sorted({one.market.base_url for one in settings.accounts.values() if one.credentials}):
        yield from _clock(base_url, clock)
    for account in settings.accounts.values():
        for product in account.credentials:
            yield from _product(clients, account, product, clock)


def _clock(base_url: str, clock: Clock) -> Iterator[Finding]:
    """MTN's Date against ours; any answer has one, a 404 as well."""
    line = Line(base_url, clock, deadline_seconds=_DEADLINE_SECONDS, connect_timeout_seconds=5, read_timeout_seconds=15)
    try:
        answer = line.exchange("GET", "/", {"Accept": "application/json"}, None, line.flight(lambda: None))
    except WireError as error:
        yield away(f"MTN at {base_url}", str(error), "check network, egress address, proxy and firewall")
        return
    finally:
        line.close()
    date = _date({name.lower(): text for name, text in answer.headers.items()}.get("date"))
    if date is None:
        yield ok(f"MTN at {base_url}", "answers (and names no time)")
        return
    apart = abs(date.timestamp() - clock.now_ms() / 1000)
    if apart > _CLOCKS_APART_SECONDS_MAX:
        yield fail(
            f"MTN at {base_url}", f"its clock is {apart:.0f} s apart from this machine's", "set this machine's by NTP"
        )
    else:
        yield ok(f"MTN at {base_url}", "answers, and its clock is ours")


def _date(text: str | None) -> datetime | None:
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(text or "")
    return None


def _product(clients: Clients, account: Account, product: Product, clock: Clock) -> Iterator[Finding]:
    about = f"{account.name} {product.value}"
    try:
        balance = clients.of(account.name, product).balance()
    except NotReachableError as error:
        yield away(about, error.what, error.advice)
        return
    except MtnError as error:
        yield fail(about, error.what, error.advice)
        return
    wanted = account.market.currency.code
    if balance.currency != wanted:
        yield fail(
            about,
            f"MTN's wallet is in {balance.currency}, and the account's currency is {wanted}",
            "are market and target environment those of the credentials?",
        )
    else:
        yield ok(
            about,
            f"token and balance: {balance.text} {balance.currency} in {account.market.target_environment}",
        )
    yield from _callback(account, product, clock)


def _callback(account: Account, product: Product, clock: Clock) -> Iterator[Finding]:
    """Only the sandbox can be asked what an API user was made with; a market's portal shows it to people."""
    about = f"{account.name} {product.value} callback"
    ours = urlsplit(account.callback_url).hostname if account.callback_url else None
    if not account.market.sandbox:
        if ours:
            yield ok(about, f"{ours}: MTN's portal must show this host for the API user (it can't be asked here)")
        return
    credentials = account.credentials[product]
    desk = Provisioning(
        account.market.base_url, credentials.subscription_key, clock=clock, deadline_seconds=_DEADLINE_SECONDS
    )
    try:
        user = desk.user(credentials.api_user)
    except MtnError as error:
        yield warn(about, f"the API user can't be looked at: {error.what}", error.advice)
        return
    finally:
        desk.close()
    if user.target_environment not in (None, account.market.target_environment):
        yield fail(
            about,
            f"the API user is of the environment {user.target_environment}, and the account's is {account.market.target_environment}",
            "correct the market, or use this environment's API user",
        )
    elif ours and user.callback_host != ours:
        yield fail(
            about,
            f"the API user was made for the host {user.callback_host}, and MOMO_CALLBACK_URL is at {ours}: MTN refuses every payment",
            f"make another API user: momo provision --callback-host {ours}",
        )
    elif ours:
        yield ok(about, f"{ours}, as the API user was made for")
    else:
        yield ok(about, "no callbacks are asked for; payments are looked up")
