"""`momo migrate`: the settings come in, a ledger of this release's schema goes out."""

from momo_worker.cli.deeds.reading import quiet_settings
from momo_worker.cli.saying import say, say_json
from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate as bring_up_to_date
from momo_worker.ledger.revision import current, newest


def migrate(*, as_json: bool) -> None:
    """Migrate the ledger that the settings name."""
    settings = quiet_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.database_url, SystemClock())
    try:
        changed = bring_up_to_date(ledger)
        found = {"ledger": ledger.where, "schema": current(ledger), "needed": newest(), "changed": changed}
    finally:
        ledger.close()
    if as_json:
        say_json(found)
    elif changed:
        say(f"The ledger at {found['ledger']} now has schema {found['schema']}.")
    else:
        say(f"The ledger at {found['ledger']} is up to date (schema {found['schema']}).")
