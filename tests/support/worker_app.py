"""Settings from the environment come in, the smallest application on our transport goes out; pays nobody.

Run as `celery -A tests.support.worker_app worker` by tests.support.celery_worker.
"""

import json
import os
import time
from pathlib import Path

import redis
from celery import Celery, signals

from momo_worker.celery_settings import QUEUE_KEYS, celery_settings
from momo_worker.clock import SystemClock
from momo_worker.transport import Amqp
from momo_worker.watchdog import Watchdog, watch_celery, work_in_lists

JOURNAL = Path(os.environ["MOMO_TEST_JOURNAL"])

settings = celery_settings(os.environ["MOMO_TEST_BROKER"], concurrency=int(os.environ["MOMO_TEST_CONCURRENCY"]))
settings["broker_transport_options"] = {
    **settings["broker_transport_options"],  # type: ignore[dict-item]
    **json.loads(os.environ.get("MOMO_TEST_TRANSPORT_OPTIONS", "{}")),
}
settings.update(json.loads(os.environ.get("MOMO_TEST_SETTINGS", "{}")))

app = Celery("worker_app", amqp=Amqp, set_as_current=False)
app.conf.update(settings)


def note(event: str, name: str) -> None:
    # One short append is whole, also when the process is killed right after.
    with JOURNAL.open("a") as journal:
        journal.write(f"{event} {name} {os.getpid()} {time.time():.3f}\n")


@app.task(name="tests.work")
def work(name: str, seconds: float) -> None:
    note("start", name)
    time.sleep(seconds)
    note("end", name)


class ConfusesCelery(app.Task):
    """Its message passes every check, and Celery raises KeyError over it."""

    name = "tests.confuses_celery"

    def start_strategy(self, *_: object, **__: object) -> object:
        def strategy(*_: object) -> None:
            raise KeyError("what nobody thought of")

        return strategy


app.register_task(ConfusesCelery())


@signals.worker_ready.connect
def _ready(**_: object) -> None:
    note("ready", "-")


if "MOMO_TEST_TASK_LIMIT" in os.environ:
    client = redis.Redis.from_url(os.environ["MOMO_TEST_BROKER"], socket_timeout=1)
    limit_seconds = float(os.environ["MOMO_TEST_TASK_LIMIT"])
    watchdog = Watchdog(SystemClock(), limit_seconds=limit_seconds, work_waits=work_in_lists(client, QUEUE_KEYS))
    watch_celery(watchdog, check_interval_seconds=0.2)
