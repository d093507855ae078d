"""Settings come in, working parts go out; the one file that knows them all. Starts no loop and sends nothing."""

import random
import threading
from dataclasses import dataclass
from decimal import ROUND_FLOOR
from functools import partial

import redis
import structlog
from celery import Celery
from prometheus_client import CollectorRegistry

from momo_worker.approvers_file import FILE_NAME, ApproversFile
from momo_worker.celery_settings import BULK, INTERACTIVE, celery_settings
from momo_worker.clock import Clock, SystemClock
from momo_worker.commons.message import Message
from momo_worker.commons.parts import Approvals, Client, Parts
from momo_worker.commons.runner import ThreadRunner
from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger import installation
from momo_worker.ledger.engine import Ledger, OtherLedgerError
from momo_worker.ledger.revision import check_current
from momo_worker.metrics import Metrics
from momo_worker.mtn.client import MtnClient
from momo_worker.mtn.errors import MtnError
from momo_worker.mtn.reasons import explain
from momo_worker.mtn.token import TokenSource
from momo_worker.mtn.wire import render
from momo_worker.pace import RedisSlots
from momo_worker.pacing import Limiter
from momo_worker.payment.envelope import ENVELOPE_PARTS
from momo_worker.payment.job import FIELDS
from momo_worker.payment.payment import Product, Work
from momo_worker.redis_client import connect
from momo_worker.settings import Settings
from momo_worker.streams import LEDGER_KEY
from momo_worker.tide_copies import TideFile, TideInRedis
from momo_worker.timing.local_time import zone_or_utc
from momo_worker.timing.quiet import quiet_until
from momo_worker.transport import Amqp

log = structlog.get_logger(__name__)

SUBMIT_TASK = "momo_worker.submit"
LOOK_TASK = "momo_worker.look"


@dataclass(frozen=True, slots=True)
class House:
    """One process's parts, and what only its own loops need."""

    settings: Settings
    ledger_id: str
    parts: Parts
    redis: redis.Redis
    metrics: Metrics
    celery: Celery
    clients: "Clients"


class Clients:
    """One client of MTN per account and product, made when first asked for."""

    def __init__(self, settings: Settings, client: redis.Redis, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._redis = client
        self._clock = clock
        self._metrics = metrics
        self._lock = threading.Lock()
        self._made: dict[tuple[str, Product], MtnClient] = {}

    def __call__(self, account: str, product: Product) -> Client:
        return self.of(account, product)

    def of(self, account: str, product: Product) -> MtnClient:
        """The client of an account's product."""
        with self._lock:
            found = self._made.get((account, product))
            if found is None:
                found = self._made[account, product] = self._make(account, product)
            return found

    def available_minor(self, account: str, product: Product) -> int | None:
        """What MTN says is in an account's wallet, in minor units; None where it doesn't say, or speaks of another currency."""
        currency = self._settings.accounts[account].market.currency
        try:
            read = self.of(account, product).balance()
        except MtnError as error:
            log.warning("a balance can't be read", account=account, product=product.value, why=str(error))
            return None
        if read.currency != currency.code:
            return None
        return int(read.available.scaleb(currency.exponent).to_integral_value(ROUND_FLOOR))

    def _make(self, name: str, product: Product) -> MtnClient:
        account = self._settings.accounts[name]
        tokens = TokenSource(
            account,
            product,
            self._redis,
            self._clock,
            requested=partial(self._metrics.token_requested, name, product.value),
        )
        return MtnClient(
            account,
            product,
            tokens,
            clock=self._clock,
            deadline_seconds=self._settings.rules.call_deadline_ms / 1000,
            secondary_used=partial(self._metrics.secondary_used, name, product.value),
        )


def open_ledger(settings: Settings, clock: Clock | None = None) -> Ledger:
    """The ledger of these settings; raises LedgerError when it would lose a commit or isn't migrated."""
    threads = settings.threads + settings.call_threads
    ledger = Ledger(settings.database_url, clock or SystemClock(), pool_size=min(threads + 4, 40))
    try:
        check_current(ledger)
        ledger.check_durable()
    except BaseException:
        ledger.close()
        raise
    return ledger


def open_installation(ledger: Ledger, settings: Settings) -> installation.Installation:
    """Who the ledger is; drawn and written on the first start. Raises LedgerError where settings and ledger disagree."""
    sandbox_only = settings.namespace is None
    with ledger.write() as tx:
        found = installation.prepare(tx, settings.namespace, sandbox_only=sandbox_only)
        installation.pin_accounts(tx, settings.accounts.values(), write=False)
    return found


def claim_redis(client: redis.Redis, ledger_id: str) -> None:
    """Write the ledger's id into Redis, or hold it against the one that is there."""
    client.set(LEDGER_KEY, ledger_id, nx=True)
    named = client.get(LEDGER_KEY)
    text = named.decode() if isinstance(named, bytes) else named
    if text != ledger_id:
        raise OtherLedgerError(
            f"this Redis belongs to the ledger {text}, and ours is {ledger_id}: two installations would take each other's jobs; "
            "correct MOMO_DATABASE_URL or MOMO_REDIS_URL; if the other ledger is lost and this one takes its place, say so "
            "with `momo recover --adopt-ledger --reason '…'`"
        )


def build(settings: Settings, *, concurrency: int | None = None, claims_redis: bool = True) -> House:
    """Everything a worker, a pump or an in-process command needs. Raises LedgerError or redis.RedisError when it may not start.

    A command that also works while Redis is away builds without claiming it, and claims it before it sends anything there.
    """
    clock = SystemClock()
    ledger = open_ledger(settings, clock)
    us = open_installation(ledger, settings)
    client = connect(settings.redis_address, connections=settings.call_threads * 2 + 32)
    if claims_redis:
        claim_redis(client, us.ledger_id)
    metrics = Metrics(CollectorRegistry(), (*FIELDS, *ENVELOPE_PARTS))
    slots = RedisSlots(Limiter(client, clock), clock)
    clients = Clients(settings, client, clock, metrics)
    parts = Parts(
        ledger=ledger,
        accounts=settings.accounts,
        rules=settings.rules,
        clock=clock,
        # Jitter only; nothing that names or decides a payment is drawn.
        rng=random.Random(),  # noqa: S311
        namespace=us.namespace,
        client_for=clients,
        slots=slots,
        runner=ThreadRunner(settings.call_threads),
        counters=metrics,
        explain=_explained,
        render=render,
        tidemark=_tidemark(settings, client, us),
        approvals=approvals_of(settings),
        quiet_until=lambda zone, now_ms: quiet_until(settings.etiquette.quiet, zone_or_utc(zone), now_ms),
    )
    return House(
        settings,
        us.ledger_id,
        parts,
        client,
        metrics,
        celery_app(settings, concurrency=concurrency or settings.threads),
        clients,
    )


def approvals_of(settings: Settings) -> Approvals:
    """Who counts under runs, for this process."""
    file = ApproversFile(settings.config_folder / FILE_NAME, settings.first_approver)
    return Approvals(file.people, settings.maker_signs)


def _tidemark(settings: Settings, client: redis.Redis, us: installation.Installation) -> Tidemark:
    """What is known of the tide: Redis's copy before each send, and once, for a start while Redis is away, the file's."""
    mark = Tidemark(us.ledger_id, str(us.namespace), TideInRedis(client).read_quietly)
    kept = TideFile(settings.home).read()
    if kept is not None and (kept.ledger_id, kept.namespace) == (us.ledger_id, str(us.namespace)):
        mark.saw(kept.tide)
    return mark


def _explained(code: str | None) -> dict[str, str] | None:
    if code is None:
        return None
    found = explain(code)
    return {"code": found.code, "message": found.message, "advice": found.advice}


def celery_app(settings: Settings, *, concurrency: int) -> Celery:
    """The Celery application: distributes work, keeps nothing."""
    app = Celery("momo", amqp=Amqp, set_as_current=False)
    app.conf.update(celery_settings(settings.redis_address, concurrency=concurrency))
    return app


def hand_over(app: Celery, message: Message) -> None:
    """Give a message of released payments to the workers."""
    name = SUBMIT_TASK if message.work is Work.SEND else LOOK_TASK
    app.send_task(name, args=[list(message.ids)], queue=INTERACTIVE if message.interactive else BULK)
