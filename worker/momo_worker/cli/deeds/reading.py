"""What short commands share: settings of the environment come in, an open ledger goes out; says what is missing in words.

Loads neither Celery nor MTN's client: whoever only looks shouldn't wait for them.
"""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from momo_worker import logs
from momo_worker.accounts import Account
from momo_worker.cli.homes import SIMULATOR_FOLDER
from momo_worker.cli.saying import AnswerIsNo, WrongUse
from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.revision import check_current
from momo_worker.payment.payment import Product
from momo_worker.settings import Settings, load

_SQLITE = "sqlite:///"
_CONNECTIONS = 2


def quiet_settings(level: str = "WARNING") -> Settings:
    """The settings, and logs on stderr that tell only what a person should see beside the answer."""
    logs.configure(level, "cli")
    return load(os.environ, Path.cwd())


def ledger_is_there(settings: Settings) -> None:
    """SQLite would make an empty file of a mistyped name; a ledger is made by `momo migrate` and by nothing else."""
    if not is_made(settings):
        path = settings.database_url.removeprefix(_SQLITE)
        raise AnswerIsNo(
            f"there is no ledger at {path} yet: `momo up` or `momo migrate` makes it{simulator_hint(settings)}; "
            "MOMO_HOME and MOMO_DATABASE_URL say where it is"
        )


def is_made(settings: Settings) -> bool:
    """Whether an SQLite ledger has its file; a PostgreSQL server answers for itself."""
    path = settings.database_url.removeprefix(_SQLITE)
    return path == settings.database_url or os.path.exists(path)  # noqa: PTH110 - a name that no path can have must not raise


def simulator_hint(settings: Settings) -> str:
    """Where `momo up --simulator` left its own home, for whoever forgot to set it."""
    home = settings.home / SIMULATOR_FOLDER
    return f" (for the one of `momo up --simulator`: export MOMO_HOME={home})" if (home / ".env").is_file() else ""


@contextmanager
def ledger_of(settings: Settings) -> Iterator[Ledger]:
    """The ledger, checked, and closed at the end."""
    ledger_is_there(settings)
    ledger = Ledger(settings.database_url, SystemClock(), pool_size=_CONNECTIONS)
    try:
        check_current(ledger)
        ledger.check_durable()
        yield ledger
    finally:
        ledger.close()


def account_with(settings: Settings, name: str, product: Product) -> Account:
    """The account, able to use the product; a command can say at once what a job from elsewhere would wait an hour for."""
    account = settings.accounts.get(name)
    if account is None:
        known = ", ".join(settings.accounts) or "none"
        raise WrongUse(f"there is no account {name} (there are: {known}); add [accounts.{name}] to worker.toml")
    if product not in account.credentials:
        advice = "`momo provision` makes them in the sandbox" if account.market.sandbox else "set them in .env"
        raise WrongUse(
            f"the account {name} has no credentials for {product.value}, so nothing could be sent: {advice}{simulator_hint(settings)}"
        )
    return account


def actor(by: str | None) -> str:
    """Who decides: the user of this machine, unless another name is given."""
    if by:
        return by[:64]
    try:
        return getpass.getuser()[:64]
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
