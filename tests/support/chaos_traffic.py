"""A seed and a rate come in; jobs go out at two doors all the time, and what an application hears of them. Follows the contract, and knows nothing else of us."""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from tests.support.consumer import Consumer

_TICK_SECONDS = 0.05
_AFTER_A_FAILURE_SECONDS = 1.0
_AT_ONCE = 200
_BAD_IN = 60
_BAD = ("{not json", json.dumps({"operation": "disburse", "amount": "-5"}), "[]")


@dataclass
class Order:
    """What the application wants paid, until it has heard of it."""

    key: str
    job: dict[str, Any]
    due_at: float
    first_at: float = 0.0
    times: int = 0


@dataclass
class Hearing(Consumer):
    """Notes when it heard of each payment's end, for the time in which results come again after a disaster."""

    finals_at: list[float] = field(default_factory=list)

    def _apply(self, event: dict[str, Any]) -> None:
        known = self.states.get(event["data"].get("idempotency_key", ""))
        super()._apply(event)
        state = event["data"].get("state")
        if state in ("successful", "failed") and state != known:
            self.finals_at.append(time.time())


class Application(threading.Thread):
    """Enqueues at a rate, sends again what wasn't answered, and reads the results: an application and its outbox."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], redis.Redis],
        *,
        celery_url: str | None,
        rate: float,
        again_seconds: float,
        chance: random.Random,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._client = connect()
        # Its own, as its reads wait where the writes don't.
        self._reading = connect()
        self.consumer = Hearing(self._reading)
        self._celery = _celery(celery_url) if celery_url else None
        self.rate, self.again_seconds, self._chance = rate, again_seconds, chance
        self.orders: dict[str, Order] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.bad: dict[str, str] = {}
        self.bad_orders: dict[str, Order] = {}
        self.sent = 0
        self.sent_again = 0
        self.failures: dict[str, int] = {}
        self.broken: BaseException | None = None
        self._began_at = time.time()
        self._open = threading.Event()
        self._over = threading.Event()
        self._open.set()
        self._reader = threading.Thread(target=self._read, name=f"{name}-reads", daemon=True)

    def start(self) -> None:
        super().start()
        self._reader.start()

    def close_shop(self) -> None:
        """No new orders; what isn't answered is still sent again."""
        self._open.clear()

    def end(self) -> None:
        self._over.set()
        self.join()
        self._reader.join()
        self._client.close()
        self._reading.close()
        if self._celery is not None:
            self._celery.close()

    def unanswered(self) -> list[str]:
        return [*self.orders, *self.bad_orders]

    def run(self) -> None:
        try:
            while not self._over.wait(_TICK_SECONDS):
                self._take_orders()
                self._forget_answered()
                self._send_due()
        except BaseException as error:
            self.broken = error
            raise

    def _read(self) -> None:
        try:
            while not self._over.wait(_TICK_SECONDS * 2):
                self.consumer.read()
        except BaseException as error:
            self.broken = error
            raise

    def _take_orders(self) -> None:
        """Customers don't wait for Redis: as many as the time that has passed."""
        if not self._open.is_set():
            return
        wanted = int((time.time() - self._began_at) * self.rate)
        for number in range(len(self.made), wanted):
            key = f"{self.name}-{number}"
            self.made[key] = _job(key, self._chance)
            self.orders[key] = Order(key, self.made[key], due_at=time.time())
            if self._chance.random() < 1 / _BAD_IN:
                bad = f"{self.name}-bad-{number}"
                self.bad_orders[bad] = Order(bad, {"text": self._chance.choice(_BAD)}, due_at=time.time())

    def _forget_answered(self) -> None:
        for key in [key for key in self.orders if key in self.consumer.states]:
            del self.orders[key]
        for source in [source for source in self.bad if source in self.consumer.rejected]:
            self.bad_orders.pop(self.bad[source], None)

    def _send_due(self) -> None:
        now = time.time()
        due = [order for order in [*self.bad_orders.values(), *self.orders.values()] if order.due_at <= now][:_AT_ONCE]
        if not due:
            return
        by_celery = [o for o in due if "text" not in o.job and self._celery is not None and self._chance.random() < 0.3]
        self._send(by_celery, self._by_celery)
        self._send([order for order in due if order not in by_celery], self._by_stream)

    def _send(self, orders: list[Order], door: Callable[[list[Order]], None]) -> None:
        if not orders:
            return
        try:
            door(orders)
            wait = self.again_seconds
        except (redis.RedisError, OperationalError, OSError) as error:
            # Perhaps they are in, perhaps not: the same keys again is always right.
            name = type(error).__name__
            self.failures[name] = self.failures.get(name, 0) + 1
            wait = _AFTER_A_FAILURE_SECONDS
        for order in orders:
            order.times += 1
            self.sent += 1
            self.sent_again += order.times > 1
            order.due_at = time.time() + wait

    def _by_stream(self, orders: list[Order]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for order in orders:
                pipe.xadd("momo:jobs", {"job": order.job.get("text") or json.dumps(order.job)})
            ids = pipe.execute()
        for order, entry_id in zip(orders, ids, strict=True):
            if "text" in order.job:
                self.bad[f"momo:jobs/{entry_id}"] = order.key

    def _by_celery(self, orders: list[Order]) -> None:
        assert self._celery is not None
        for order in orders:
            fields = {name: value for name, value in order.job.items() if name != "operation"}
            self._celery.send_task(f"momo.{order.job['operation']}", kwargs=fields, queue="momo-intake")


def _celery(url: str) -> Celery:
    """As an application has it: nothing of ours."""
    app = Celery("shop", broker=url, set_as_current=False)
    app.conf.update(
        task_publish_retry=False,
        broker_transport="kombu.transport.redis:Transport",
        broker_transport_options={"socket_timeout": 3, "socket_connect_timeout": 2, "retry_on_timeout": False},
    )
    return app


def _job(key: str, chance: random.Random) -> dict[str, Any]:
    """Every operation but refunds; the key is MTN's external id, so that its own record counts per key."""
    return {
        "operation": chance.choice(["collect", "disburse", "disburse", "deposit"]),
        "idempotency_key": key,
        "external_id": key,
        "amount": str(chance.randrange(500, 90_000)),
        "currency": "UGX",
        "msisdn": f"2567724{chance.randrange(100_000):05d}",
        "lane": chance.choice(["interactive", "bulk"]),
    }
