"""Raw entries of our work queues come in, Celery messages go out; never drops an entry, never hands out a running one again.

This is kombu 5.7.0's Redis transport with overrides where Celery 5.7.0 stops workers or starts a running task a second time
when Redis goes away, and one that makes it cheaper. It rides on kombu's inside: at each bump of kombu or celery move PINS on a branch, run
`pytest -m chaos`, and keep the bump only if all of them hold.
"""

# kombu and celery carry no types; what comes from them is used here and in no other room.
# mypy: disable-error-code="no-untyped-call, untyped-decorator, misc"

import logging
import threading
import warnings
from queue import Empty
from types import SimpleNamespace
from typing import Any

import celery
import kombu
from celery import bootsteps, signals
from celery.app.amqp import AMQP
from celery.exceptions import CPendingDeprecationWarning
from kombu.connection import Connection as StockConnection
from kombu.exceptions import KombuError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from momo_worker.work_message import BrokenMessageError, check_work_message

log = logging.getLogger(__name__)

PINS = {"kombu": "5.7.0", "celery": "5.7.0"}
INVALID_SUFFIX = ".invalid"

# What Celery raises over a message it can't read. KeyError is among them, and kombu 5.7 takes a KeyError for a lost
# connection: the worker would reconnect five times a second for ever and run nothing else.
CONFUSED = (LookupError, TypeError, ValueError, AttributeError, RecursionError, KombuError)


class PinError(ImportError):
    """The installed kombu or celery is not the one whose inside this module knows."""


def check_pins(installed: dict[str, str]) -> None:
    for name, pinned in PINS.items():
        if installed[name] != pinned:
            raise PinError(
                f"momo_worker.transport rides on the inside of {name} {pinned}, but {installed[name]} is installed. "
                f"Install {name}=={pinned}; or, on a branch, move the pin in momo_worker/transport.py and pyproject.toml "
                f"and run `pytest -m chaos`: keep it only if every test holds."
            )


check_pins({"kombu": kombu.__version__, "celery": celery.__version__})

# kombu has no line from a channel to the worker it serves, so the worker is remembered when it is made.
_this_process = SimpleNamespace(worker=None, unsaid_acks=[])


@signals.worker_init.connect
def _remember_worker(sender: Any, **_: Any) -> None:
    _this_process.worker = sender
    # Eight lines at each reconnect, to advise a setting that would cut a call to MTN half-way.
    warnings.filterwarnings("ignore", message=r"\s*In Celery 5\.1 we introduced", category=CPendingDeprecationWarning)


def worker_goes_on() -> bool:
    """Tell whether a Celery worker lives in this process and isn't on its way out."""
    blueprint = getattr(_this_process.worker, "blueprint", None)
    return blueprint is not None and blueprint.state not in {bootsteps.CLOSE, bootsteps.TERMINATE}


class QoS(stock.QoS):
    """Keeps what a lost connection left running, until it is acknowledged or the worker leaves."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        # Celery 5.7 closes the channel of a lost connection, and stock kombu then puts every unacknowledged message back.
        # With Redis down that ends the worker; with Redis up it starts each running task a second time. So it happens
        # only when the worker leaves: at its own close, or at exit for channels lost before.
        if worker_goes_on():
            self._flush()
            self._let_go_when_done()
        else:
            self._say_late_acks()
            super().restore_unacked_once(stderr)

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)
        except (*self.channel.connection_errors, self.channel.ResponseError) as fault:
            # The latter is READONLY, from a master that was demoted. Celery would log this and forget it, and the work
            # would be done again after the visibility timeout.
            log.warning("An acknowledgement waits until Redis answers again: %r", fault)
            _this_process.unsaid_acks.append(delivery_tag)
            self._quick_ack(delivery_tag)
        self._let_go_when_done()

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        # The sweep's timer comes round each few seconds, on whichever channel lives.
        self._say_late_acks()
        super().restore_visible(*args, **kwargs)

    def _say_late_acks(self) -> None:
        unsaid = _this_process.unsaid_acks
        while unsaid:
            self._remove_from_indices(unsaid[0]).execute()
            unsaid.pop(0)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().reject(delivery_tag, requeue)
        self._let_go_when_done()

    def _let_go_when_done(self) -> None:
        # The hook at exit and the pool of a lost channel would otherwise pile up with each reconnect.
        if self.channel.closed and not self._delivered.keys() - self._dirty:
            self._on_collect.cancel()
            self.channel._disconnect_pools()  # noqa: SLF001 - a transport and its channel are one


class Channel(stock.Channel):
    """What both channels, for one server and behind Sentinel, do otherwise than kombu's."""

    QoS = QoS

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        # kombu cuts a collected channel off from its connection, and with it from host, port and password.
        self._lasting = SimpleNamespace(client=connection.client, default_port=connection.default_port)
        self._short_client: Any = None
        # Tasks' threads acknowledge at the same moment; without it each makes a pool, and only the last one is ever closed.
        self._one_pool = threading.RLock()
        super().__init__(connection, **kwargs)

    def _create_client(self, asynchronous: bool = False) -> Any:
        # kombu makes a client for each of its commands, which takes longer than the command. A client holds no more
        # than its pool, and is safe among threads: one does for as long as the pool lives.
        if asynchronous:
            return super()._create_client(asynchronous)
        with self._one_pool:
            if self._short_client is None or self._short_client.connection_pool is not self.pool:
                self._short_client = super()._create_client()
            return self._short_client

    def _get_pool(self, asynchronous: bool = False) -> Any:
        # The late acknowledgement of a task that outlived its connection opens a fresh pool; stock kombu finds
        # `connection` or its `client` gone and raises AttributeError.
        with self._one_pool:
            current = self.connection
            if current is None or current.client is None:
                self.connection = self._lasting
            try:
                return super()._get_pool(asynchronous)
            finally:
                self.connection = current

    def _brpop_read(self, **options: Any) -> bool:
        # As kombu's, but the entry is looked at before Celery gets it.
        try:
            try:
                reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not reply:
                raise Empty
            queue = bytes_to_str(reply[0]).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self._deliver_or_set_aside(reply[1], queue)
            return True
        finally:
            self._in_poll = False
            self._flush_brpop_reauth()

    def _deliver_or_set_aside(self, raw: bytes, queue: str) -> None:
        try:
            tag = check_work_message(raw, queue)
        except BrokenMessageError as fault:
            self._set_aside(raw, queue, str(fault))
            return
        try:
            self.connection._deliver(loads(bytes_to_str(raw)), queue)  # noqa: SLF001 - as kombu's own channel does
        except CONFUSED as fault:
            # The second net, for what the check doesn't know yet. Set aside first, forgotten after: a crash between
            # leaves it twice, never nowhere.
            log.exception("Celery could not read a message that passed the check.")
            self._set_aside(raw, queue, type(fault).__name__)
            if tag in self.qos._delivered:  # noqa: SLF001 - a channel and its QoS are one
                self.qos.reject(tag, requeue=False)

    def _set_aside(self, raw: bytes, queue: str, fault: str) -> None:
        with self.conn_or_acquire() as client:
            client.lpush(queue + INVALID_SUFFIX, raw)
        # ERROR means wake someone: whoever wrote this has no business in a work queue.
        log.error(
            "A message in %s can't be run (%s); kept in %s.",
            queue,
            fault,
            queue + INVALID_SUFFIX,
            extra={"action": "message_set_aside", "queue": queue, "fault": fault},
        )


class SentinelChannel(Channel, stock.SentinelChannel):
    """A channel to whichever server Sentinel names."""


class Transport(stock.Transport):
    Channel = Channel


class SentinelTransport(stock.SentinelTransport):
    Channel = SentinelChannel


# Given several URLs, kombu goes to the next one by that URL's scheme and forgets which transport it was told to use:
# after the first failed attempt a worker behind three Sentinels would run on the stock transport.
TRANSPORT_ALIASES.update(
    {
        "redis": "momo_worker.transport:Transport",
        "rediss": "momo_worker.transport:Transport",
        "sentinel": "momo_worker.transport:SentinelTransport",
    }
)


class Connection(StockConnection):
    """Looks for a lost Redis at least each three seconds; kombu's waits grow to half a minute and are no setting of Celery's."""

    def _ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        waits = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 3}
        return super()._ensure_connection(*args, **{**waits, **kwargs})


class Amqp(AMQP):
    """For `Celery("momo", amqp=Amqp)`: the one door by which an application takes our Connection."""

    Connection = Connection
