"""`momo provision`: a subscription key comes in, an API user and key of MTN's sandbox stand in .env. Never shows a key, never overwrites unasked."""

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import typer

from momo_worker.accounts import Account, Credentials
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.clock import SystemClock
from momo_worker.ledger import installation
from momo_worker.ledger.engine import LedgerError
from momo_worker.mtn.errors import NotReachableError
from momo_worker.mtn.provisioning import Provisioning
from momo_worker.payment.payment import Product
from momo_worker.scrubbing import register_secret
from momo_worker.settings import Settings

#: MTN wants a host even where no callbacks are asked for.
_NO_CALLBACKS = "example.org"
_TRIES = 3


def provision(*, callback_host: str, products: Sequence[str], account: str, yes: bool, as_json: bool) -> None:
    """Make users and keys; what was made is kept even if a later product fails."""
    settings = quiet_settings()
    found = settings.accounts.get(account)
    if found is None:
        raise WrongUse(f"there is no account {account} (there are: {', '.join(settings.accounts)})")
    if not found.market.sandbox:
        raise WrongUse(
            f"{account} is in {found.market.target_environment}, where MTN's partner portal makes API users and keys; "
            "copy them from there into .env"
        )
    keys = _subscription_keys(settings, found, products)
    host = callback_host or (urlsplit(found.callback_url or "").hostname or _NO_CALLBACKS)
    path = settings.home / ".env"
    made: dict[str, str] = {}
    for product, key in keys.items():
        user_id = str(uuid.uuid4())
        _may_change(settings, found, product, key, user_id, yes=yes)
        credentials = _make(found, key, user_id, host)
        _write(path, _variables(account, product, credentials))
        made[product.value] = user_id
        if not as_json:
            say(f"{account} {product.value}: API user {user_id} for the host {host}; written to {path}")
    if as_json:
        say_json({"account": account, "callback_host": host, "env": str(path), "api_users": made})
    else:
        say("Next: momo doctor")


def _subscription_keys(settings: Settings, account: Account, products: Sequence[str]) -> Mapping[Product, str]:
    """The keys to work with: those asked for, else those that have no user yet."""
    wrong = [name for name in products if name not in set(Product)]
    if wrong:
        raise WrongUse(f"{wrong[0]!r} is no product; use one of {', '.join(Product)}")
    waiting = {product: key for (name, product), key in settings.subscription_keys.items() if name == account.name}
    complete = {product: credentials.subscription_key for product, credentials in account.credentials.items()}
    known = {**complete, **waiting}
    wanted = [Product(name) for name in products] or list(waiting)
    missing = [product for product in wanted if product not in known]
    if missing or not known:
        names = " and ".join(_variable(account.name, product, "subscription_key") for product in missing or Product)
        raise WrongUse(
            f"no subscription key: subscribe at MTN's developer portal, and set {names} in {settings.home / '.env'}"
        )
    if not wanted:
        raise AnswerIsNo(f"{account.name} has an API user for each of its keys; name a --product to make another one")
    return {product: known[product] for product in wanted}


def _may_change(settings: Settings, account: Account, product: Product, key: str, user_id: str, *, yes: bool) -> None:
    """Refuse what would keep the worker from starting, and ask before anything is overwritten."""
    name = _variable(account.name, product, "api_user")
    if os.environ.get(name):
        raise WrongUse(f"{name} is set in the environment, which wins over .env; unset it first")
    if product not in account.credentials:
        return
    changed = replace(account, credentials=MappingProxyType({product: Credentials(key, user_id, "not made yet")}))
    try:
        with ledger_of(settings) as ledger, ledger.read() as tx:
            installation.pin_accounts(tx, [changed], write=False)
    except LedgerError as error:
        raise AnswerIsNo(
            f"the API user of {account.name} {product.value} can't be changed: the ledger {error}"
        ) from None
    except AnswerIsNo:
        pass  # There is no ledger yet, so nothing is pinned.
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUse(f"{account.name} {product.value} has credentials already; --yes overwrites them in .env")
    typer.confirm(f"{account.name} {product.value} has credentials. Overwrite them in .env?", abort=True)


def _make(account: Account, key: str, user_id: str, host: str) -> Credentials:
    desk = Provisioning(account.market.base_url, key, clock=SystemClock())
    try:
        for left in reversed(range(_TRIES)):
            try:
                # Under the same id again after a lost answer: MTN says that it has it, and that is as good as a yes.
                desk.create_user(user_id, host)
                api_key = desk.create_key(user_id).value
                break
            except NotReachableError:
                if not left:
                    raise
    finally:
        desk.close()
    register_secret(api_key)
    return Credentials(key, user_id, api_key)


def _variable(account: str, product: Product, key: str) -> str:
    if account == "default":
        return f"MOMO_{product.value}_{key}".upper()
    return f"MOMO_ACCOUNTS__{account.replace('-', '_')}__{product.value}__{key}".upper()


def _variables(account: str, product: Product, credentials: Credentials) -> dict[str, str]:
    found = {
        "subscription_key": credentials.subscription_key,
        "api_user": credentials.api_user,
        "api_key": credentials.api_key,
    }
    return {_variable(account, product, key): text for key, text in found.items()}


def _write(path: Path, variables: Mapping[str, str]) -> None:
    """Set these lines and leave all others; a crash leaves the old file or the new one, and never a half."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in variables]
    text = "\n".join([*kept, *(f"{name}={value}" for name, value in variables.items())]) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(".env.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
