"""The processes of the Procfile: settings of the environment come in, one process runs until it is told to end, its exit code goes out."""

import importlib
import os
import socket

from celery.platforms import EX_OK

from momo_worker import logs
from momo_worker.celery_settings import WORKER_ARGUMENTS
from momo_worker.cli.saying import say, say_json
from momo_worker.clock import SystemClock
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import current, newest
from momo_worker.ledger.migrate import migrate as bring_up_to_date
from momo_worker.process import settings_of_environment
from momo_worker.pump import main as pump_main


def migrate(*, as_json: bool) -> None:
    """Migrate the ledger that the settings name."""
    logs.configure("WARNING", "migrate")
    settings = settings_of_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.database_url, SystemClock())
    changed = bring_up_to_date(ledger)
    found = {"ledger": ledger.where, "schema": current(ledger), "needed": newest(), "changed": changed}
    ledger.close()
    if as_json:
        say_json(found)
    elif changed:
        say(f"The ledger at {found['ledger']} now has schema {found['schema']}.")
    else:
        say(f"The ledger at {found['ledger']} is up to date (schema {found['schema']}).")


def worker() -> int:
    """Run the Celery worker of `momo_worker.tasks` in this process, under the options that no setting can give."""
    logs.configure("INFO", "worker")
    # Importing the tasks builds the worker's parts, so it may fail in any of the ways in which a start may fail.
    app = importlib.import_module("momo_worker.tasks").app
    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    ended = app.start(["--quiet", "worker", *WORKER_ARGUMENTS, "--hostname", name])
    return int(ended or EX_OK)


def pump() -> int:
    """Run a pump."""
    logs.configure("INFO", "pump")
    return pump_main.run()
