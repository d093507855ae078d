"""What lies in the wallets: accounts come in, MTN's own figures go out. Reads only; needs no ledger."""

from typing import Any

from prometheus_client import CollectorRegistry

from momo_worker import logs
from momo_worker.cli.deeds.reading import quiet_settings, simulator_hint
from momo_worker.cli.saying import AnswerIsNo, NotReachable, WrongUse, say, say_json
from momo_worker.clock import SystemClock
from momo_worker.metrics import Metrics
from momo_worker.mtn.errors import MtnError, NotReachableError
from momo_worker.payment.payment import Product
from momo_worker.redis_client import connect
from momo_worker.settings import Settings
from momo_worker.wiring import Clients


def clients_of(settings: Settings) -> Clients:
    """Clients of MTN for a command that only reads: tokens are shared with the workers where Redis is there."""
    return Clients(settings, connect(settings.redis_address), SystemClock(), Metrics(CollectorRegistry()))


def balance(*, account: str | None, as_json: bool) -> None:
    """Ask for each product that has credentials; every answer is told, and one that failed decides the exit code."""
    # Without Redis each process has its own token, which is no news to whoever only reads.
    settings = quiet_settings("ERROR")
    wanted = _wanted(settings, account)
    clients = clients_of(settings)
    found: list[dict[str, Any]] = []
    errors: list[MtnError] = []
    for name, product in wanted:
        row: dict[str, Any] = {"account": name, "product": product.value}
        try:
            read = clients.of(name, product).balance()
            found.append({**row, "available": read.text, "currency": read.currency})
        except MtnError as error:
            errors.append(error)
            found.append({**row, "error": logs.scrub(str(error))})
    if not as_json:
        for row in found:
            answer = row.get("error") or f"{row['available']} {row['currency']}"
            say(f"{row['account']} {row['product']}: {answer}")
    if errors:
        kind = NotReachable if all(isinstance(error, NotReachableError) for error in errors) else AnswerIsNo
        raise kind("not every balance could be read: " + "; ".join(map(str, errors)), {"balances": found})
    if as_json:
        say_json(found)


def _wanted(settings: Settings, account: str | None) -> list[tuple[str, Product]]:
    if account is not None and account not in settings.accounts:
        raise WrongUse(f"there is no account {account} (there are: {', '.join(settings.accounts)})")
    wanted = [
        (one.name, product)
        for one in settings.accounts.values()
        if account in (None, one.name)
        for product in one.credentials
    ]
    if not wanted:
        raise WrongUse(f"no account has credentials: set them in {settings.home / '.env'}{simulator_hint(settings)}")
    return wanted
