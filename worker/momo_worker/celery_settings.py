"""A broker URL and a thread count come in, Celery's configuration goes out; never connects, never reads the environment."""

# kombu carries no types.
# mypy: disable-error-code="no-untyped-call"

import ssl
from urllib.parse import parse_qs, urlsplit, urlunsplit

from kombu.entity import Exchange, Queue
from redis.backoff import NoBackoff
from redis.retry import Retry

INTERACTIVE = "interactive"
BULK = "bulk"
# In the order in which a worker empties them. Our own work only: producers' lists carry no prefix and no Celery consumer.
QUEUES = (INTERACTIVE, BULK)
# The keys read momo:work:interactive, momo:work:bulk, momo:work:unacked, momo:work:bulk.invalid: one ACL rule holds them all.
KEY_PREFIX = "momo:work:"
QUEUE_KEYS = tuple(KEY_PREFIX + name for name in QUEUES)

CALL_DEADLINE_SECONDS = 60
LEASE_SECONDS = 180
VISIBILITY_TIMEOUT_SECONDS = 300

# Command-line options that Celery has no settings for. Without them each worker talks to all others at start and all the time.
WORKER_ARGUMENTS = ("--without-gossip", "--without-mingle", "--without-heartbeat")

_TRANSPORT_OPTIONS: dict[str, object] = {
    # Longer than a lease: when a dead worker's message comes back, the claim on its payments has ended. Never hours,
    # which would turn a kill -9 into hours of silence.
    "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
    # kombu's defaults multiply to one sweep each 100 s, and a sweeper killed with the mutex blocks the others for 300 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "unacked_restore_limit": 1000,
    "unacked_mutex_expire": 30,
    # Without these a publish to a half-open Redis waits for ever.
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
    # A retried LPUSH is a second message.
    "retry_on_timeout": False,
    "max_connections": 20,
    # One list a queue, so that LLEN is the truth; what is urgent has a queue of its own, and that one is emptied first.
    "priority_steps": [0],
    "queue_order_strategy": "priority",
    "global_keyprefix": KEY_PREFIX,
}

# One Sentinel of three may be gone: ask each once. redis-py's default asks a dead one eleven times before it goes on
# to the next, which cost four seconds at each connection (measured).
_SENTINEL_OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1, "retry": Retry(NoBackoff(), 0)}


def celery_settings(broker_url: str, *, concurrency: int) -> dict[str, object]:
    """Give the whole configuration; pass it to `app.conf.update` of a `Celery(amqp=momo_worker.transport.Amqp)`."""
    return {
        **_broker(broker_url),
        **_queues(),
        **_messages(),
        "worker_pool": "threads",
        "worker_concurrency": concurrency,
        "worker_prefetch_multiplier": 1,
        # Late: a message is gone from Redis only when its work is recorded. What failed is acknowledged all the same,
        # since the ledger, and not the queue, knows what is due again.
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_reject_on_worker_lost": True,
        # True would cut a call to MTN half-way, for a hiccup of Redis.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A running call gets its deadline to end in; the supervisor waits longer than this.
        "worker_soft_shutdown_timeout": CALL_DEADLINE_SECONDS,
        "worker_enable_soft_shutdown_on_idle": True,
        # Events cost 44 % of the throughput (measured). Remote control could stop workers and revoke work for
        # whoever can write to Redis, and nothing of ours asks for it.
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _queues() -> dict[str, object]:
    return {
        # The exchange without a name: a message put back by a sweep finds its queue by name, with no binding to look up.
        "task_queues": tuple(Queue(name, Exchange(""), routing_key=name) for name in QUEUES),
        "task_default_queue": BULK,
        "task_default_exchange": "",
        "task_default_routing_key": BULK,
        # A mistyped name must fail and not fill a queue that nobody reads.
        "task_create_missing_queues": False,
    }


def _messages() -> dict[str, object]:
    return {
        "task_protocol": 2,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # Outcomes live in the ledger and on momo:results.
        "result_backend": None,
        "task_ignore_result": True,
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 3, "interval_start": 0.2, "interval_max": 1},
    }


def _broker(url: str) -> dict[str, object]:
    """For Sentinel: `sentinel://[:password@]host:port/db[;sentinel://…]?master_name=NAME`, without a name `mymaster`."""
    parts = urlsplit(url)
    behind_sentinel = parts.scheme == "sentinel"
    options = dict(_TRANSPORT_OPTIONS)
    if behind_sentinel:
        options["master_name"] = parse_qs(parts.query).get("master_name", ["mymaster"])[0]
        options["sentinel_kwargs"] = _SENTINEL_OPTIONS
        url = urlunsplit(parts._replace(query=""))
    return {
        "broker_url": url,
        "broker_transport": f"momo_worker.transport:{'SentinelTransport' if behind_sentinel else 'Transport'}",
        "broker_transport_options": options,
        # kombu's own default for rediss:// checks no certificate.
        "broker_use_ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED} if parts.scheme == "rediss" else False,
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        # The default gives up after 100 attempts and ends the worker.
        "broker_connection_max_retries": None,
        # READONLY, just after a failover, is a channel error.
        "broker_channel_error_retry": True,
        "broker_connection_timeout": 4,
        "broker_pool_limit": 10,
    }
