"""Every metric of the house, declared in one place: steps count through `Counters`, gauges are read from the ledger at each scrape.

A gauge that is read from the ledger is right whatever the number of processes; counters are each process's own and are summed by Prometheus.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_CALL_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The process's own counters, behind `commons.parts.Counters`."""

    def __init__(self, registry: CollectorRegistry, fields: Collection[str] = ()) -> None:
        """`fields` are the names that a rejection may be counted under: a producer chooses its own, and a label may not grow with them."""
        self.registry = registry
        self._fields = frozenset(fields)
        self._moved = Counter(
            "momo_transitions_total",
            "Moves of payments, by account, operation, state before and after, and what moved them.",
            ("account", "operation", "before", "after", "trigger"),
            registry=registry,
        )
        self._refused = Counter(
            "momo_jobs_rejected_total",
            "Jobs that were rejected, by the first field that was wrong.",
            ("field",),
            registry=registry,
        )
        self._taken = Counter(
            "momo_jobs_accepted_total", "Jobs that became payments, by door.", ("door",), registry=registry
        )
        self._calls = Histogram(
            "momo_mtn_call_seconds",
            "Calls to MTN, by product, kind and answer, waiting for a slot included.",
            ("product", "kind", "answer"),
            buckets=_CALL_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "momo_mtn_token_requests_total", "Tokens asked of MTN.", ("account", "product"), registry=registry
        )
        self._secondary = Counter(
            "momo_mtn_secondary_key_total",
            "Calls under the secondary subscription key.",
            ("account", "product"),
            registry=registry,
        )
        self._loops = Counter(
            "momo_pump_failures_total",
            "Passes of a pump loop that failed and were repeated.",
            ("loop",),
            registry=registry,
        )

    def moved(self, account: str, operation: str, before: str, after: str, trigger: str) -> None:
        self._moved.labels(account, operation, before, after, trigger).inc()

    def refused_job(self, field: str) -> None:
        self._refused.labels(field if field in self._fields else "other").inc()

    def taken_in(self, door: str, count: int) -> None:
        self._taken.labels(door).inc(count)

    def called(self, product: str, kind: str, answer: str, seconds: float) -> None:
        self._calls.labels(product, kind, answer).observe(seconds)

    def token_requested(self, account: str, product: str) -> None:
        self._tokens.labels(account, product).inc()

    def secondary_used(self, account: str, product: str) -> None:
        self._secondary.labels(account, product).inc()

    def loop_failed(self, loop: str) -> None:
        self._loops.labels(loop).inc()


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure read from the ledger or Redis."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


#: Gauges read at scrape time, with their sentence; a reading under another name is a mistake and raises.
GAUGES = {
    "momo_payments": "Payments by state and currency.",
    "momo_payments_amount": "Sum of the payments' amounts by state and currency, in major units.",
    "momo_payments_oldest_age_seconds": "Since when the oldest payment of a state is in it.",
    "momo_held": "Payments on a person's desk, by cause.",
    "momo_due_lag_seconds": "How late the earliest due work is, by account, product, kind and queue.",
    "momo_outbox_events": "Result events that wait to be published.",
    "momo_outbox_lag_seconds": "Since when the oldest result event waits.",
    "momo_paused": "Pauses that hold, by scope.",
    "momo_runs": "Bulk runs by state.",
    "momo_runs_oldest_age_seconds": "Since when the oldest bulk run of a state is in it.",
    "momo_schedule_dues": "What payers of schedules owe and is open, by state: due waits for a signature, or is asked in a moment.",
    "momo_schedule_dues_oldest_age_seconds": "Since when the oldest of a state is in it.",
    "momo_recovery": "1 while the restored ledger is in recovery, by why: nothing is sent.",
    "momo_recovery_searches": "Payments of a restored ledger that MTN is still to be asked about.",
    "momo_suspended": "Products that the worker has suspended, by cause.",
    "momo_jobs_stream_entries": "Entries of momo:jobs.",
    "momo_jobs_unacknowledged": "Entries of momo:jobs that were taken and aren't acknowledged.",
    "momo_work_messages": "Messages in the workers' queues.",
    "momo_invalid_messages": "Messages of the workers' queues that were set aside as broken.",
}


class LedgerCollector(Collector):
    """Reads the gauges when Prometheus asks; a ledger that can't be read leaves them out, and `up` stays 1."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for reading in self._read():
            family = families.get(reading.name)
            if family is None:
                family = GaugeMetricFamily(
                    reading.name, GAUGES[reading.name], labels=[name for name, _ in reading.labels]
                )
                families[reading.name] = family
            family.add_metric([value for _, value in reading.labels], reading.value)
        yield from families.values()
