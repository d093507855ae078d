"""The processes of the Procfile: settings of the environment come in, one process runs until it is told to end, its exit code goes out."""

import importlib
import os
import signal
import socket
import sys

from celery.platforms import EX_OK

from momo_worker import logs
from momo_worker.celery_settings import WORKER_ARGUMENTS
from momo_worker.pump import main as pump_main


def worker() -> int:
    """Run the Celery worker of `momo_worker.tasks` in this process, under the options that no setting can give."""
    logs.configure("INFO", "worker")
    _end_at_once_when_told()
    # Importing the tasks builds the worker's parts, so it may fail in any of the ways in which a start may fail.
    app = importlib.import_module("momo_worker.tasks").app
    name = f"worker-{os.getpid()}@{socket.gethostname()}"
    ended = app.start(["--quiet", "worker", *WORKER_ARGUMENTS, "--hostname", name])
    return int(ended or EX_OK)


def pump() -> int:
    """Run a pump."""
    logs.configure("INFO", "pump")
    _end_at_once_when_told()
    return pump_main.run()


def _end_at_once_when_told() -> None:
    """Told to end before it has begun, a process has nothing in its hands and ends well; once it runs, its own handler stands here."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EX_OK))
