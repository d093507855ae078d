"""What a process does before its work begins: reads settings, sets logs, builds its parts, opens its metrics door."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

from momo_worker import logs
from momo_worker.celery_settings import QUEUE_KEYS
from momo_worker.clock import SystemClock
from momo_worker.health import Health, Limits
from momo_worker.metrics import LedgerCollector
from momo_worker.metrics_server import serve_metrics
from momo_worker.readings import readings
from momo_worker.settings import METRICS_PORT_PUMP, METRICS_PORT_WORKER, Settings, load
from momo_worker.watchdog import Watchdog, watch_celery, work_in_lists
from momo_worker.wiring import House, build


def settings_of_environment() -> Settings:
    """The settings of this process."""
    return load(os.environ, Path.cwd())


def calm_the_collector() -> None:
    """Long-lived processes: what is loaded stays, and young garbage is looked at less often (a twentieth of all CPU, measured)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def worker_house() -> House:
    """A worker's parts, its watchdog tied to Celery."""
    settings = settings_of_environment()
    logs.configure(settings.log_level, "worker")
    house = build(settings)
    calm_the_collector()
    watchdog = Watchdog(
        SystemClock(),
        # A task is a batch: while MTN hangs, a call waits a deadline for its thread, and its neighbours another; a token, too.
        limit_seconds=4 * settings.rules.call_deadline_ms / 1000,
        work_waits=work_in_lists(house.redis, QUEUE_KEYS),
    )
    watch_celery(watchdog)
    open_door(house, METRICS_PORT_WORKER, lambda: True)
    return house


def pump_house() -> House:
    """A pump's parts."""
    settings = settings_of_environment()
    logs.configure(settings.log_level, "pump")
    house = build(settings)
    calm_the_collector()
    return house


def open_door(house: House, port: int, alive: Callable[[], bool]) -> int | None:
    """Serve /metrics and /healthz on the first free of ten ports; a taken one stops nothing. Returns the port."""
    first = house.settings.metrics_port or port
    house.metrics.registry.register(LedgerCollector(lambda: readings(house.parts, house.redis)))
    limits = Limits(house.settings.health_late_ms, house.settings.health_results_late_ms)
    health = Health(house.parts, house.redis, alive, limits)
    return serve_metrics(house.metrics.registry, health, first, house.settings.metrics_host)


__all__ = ["METRICS_PORT_PUMP", "open_door", "pump_house", "settings_of_environment", "worker_house"]
