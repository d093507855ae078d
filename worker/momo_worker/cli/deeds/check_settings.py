"""The doctor on settings: what was loaded comes in, findings go out. Asks nobody."""

import stat
from collections.abc import Iterator

from momo_worker.cli.deeds.finding import Finding, fail, ok, warn
from momo_worker.cli.deeds.reading import simulator_hint
from momo_worker.settings import Settings


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Where they came from, which accounts can pay, and who may read the secrets."""
    yield ok("settings", f"read from the environment, {settings.home / '.env'} and {settings.config_folder}")
    yield from _accounts(settings)
    yield from _secrets(settings)


def _accounts(settings: Settings) -> Iterator[Finding]:
    for name, product in settings.subscription_keys:
        yield warn(
            f"account {name}",
            f"{product.value} has a subscription key and no API user",
            "run `momo provision`, which makes user and key in the sandbox",
        )
    for account in settings.accounts.values():
        products = ", ".join(product.value for product in account.credentials)
        if products:
            market = account.market
            yield ok(
                f"account {account.name}",
                f"{products} in {market.target_environment} ({market.currency.code}) at {market.base_url}",
            )
        elif all(name != account.name for name, _ in settings.subscription_keys):
            yield fail(
                f"account {account.name}",
                "has no credentials, so that nothing can be sent",
                f"set them in {settings.home / '.env'} (`momo init` writes one to fill in), or try `momo up --simulator`"
                f"{simulator_hint(settings)}",
            )


def _secrets(settings: Settings) -> Iterator[Finding]:
    path = settings.home / ".env"
    if not path.is_file():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield warn("secrets", f"{path} may be read by others (mode {mode:o})", f"chmod 600 {path}")
    else:
        yield ok("secrets", f"{path} is its owner's alone")
