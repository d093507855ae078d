"""The processes of the Procfile: settings of the environment come in, one process runs until it is told to end, its exit code goes out."""

import importlib
import os
import socket

from celery.platforms import EX_OK

from momo_worker import logs
from momo_worker.celery_settings import WORKER_ARGUMENTS
from momo_worker.pump import main as pump_main


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
