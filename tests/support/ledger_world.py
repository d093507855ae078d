"""The steps on a real ledger with MTN by script and a clock turned by hand: a ledger's URL comes in, a world to act in goes out."""

import itertools
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import text
from tests.support.factories import NOW

from momo_worker.accounts import Account, Credentials, Market, Pace, SameAgain
from momo_worker.commons.parts import Client, Parts
from momo_worker.commons.runner import InlineRunner
from momo_worker.ledger import installation, moves, work
from momo_worker.ledger.engine import Ledger
from momo_worker.mtn.reasons import explain
from momo_worker.mtn.wire import render
from momo_worker.pacing import NotDepartedError
from momo_worker.payment.after_send import SendReport
from momo_worker.payment.money import Currency
from momo_worker.payment.payment import Payment, Product, Queue, Send, Work
from momo_worker.payment.reference import payment_id
from momo_worker.payment.rules import Rules
from momo_worker.payment.verdict import Cause, LookAnswer, LookVerdict, RenderedRequest, SendAnswer, SendVerdict, Status
from momo_worker.steps import intake, outcome, polling, submission

NAMESPACE = uuid.UUID("6f0f3c1e-9f0a-4d51-8a77-0c8f5f8a1f11")
RELEASE_LIMIT = 500


class HandClock:
    """Stands still until a test turns it."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.at_ms = now_ms
        self.elapsed_seconds = 1_000.0

    def now_ms(self) -> int:
        return self.at_ms

    def elapsed(self) -> float:
        return self.elapsed_seconds

    def sleep(self, seconds: float) -> None:
        self.on(seconds)

    def on(self, seconds: float) -> None:
        """Time goes on."""
        self.at_ms += round(seconds * 1000)
        self.elapsed_seconds += seconds

    def jump(self, seconds: float) -> None:
        """The ledger's clock is set; nobody's elapsed time moves."""
        self.at_ms += round(seconds * 1000)


class FreeSlots:
    def __init__(self) -> None:
        self.slowed: list[tuple[str, str, float, bool]] = []

    def wait(self, *_: Any, look: bool) -> None:
        assert look in (True, False)

    def slow(self, account: Account, product: Product, seconds: float, *, look: bool) -> None:
        self.slowed.append((account.name, product.value, seconds, look))


class Silent:
    """Counters that nobody reads."""

    def moved(self, *_: str) -> None:
        return

    def refused_job(self, _field: str) -> None:
        return

    def taken_in(self, _door: str, _count: int) -> None:
        return

    def called(self, *_: Any) -> None:
        return


@dataclass
class Departed:
    """A POST that left."""

    account: str
    request: RenderedRequest
    secondary: bool


SendScript = Callable[[RenderedRequest, bool], SendVerdict]
LookScript = Callable[[RenderedRequest], LookVerdict]


class ScriptedMtn:
    """Answers by script and notes what left; asks `depart` first, as the real client does."""

    def __init__(self) -> None:
        self.left: list[Departed] = []
        self.looked: list[RenderedRequest] = []
        self.on_send: SendScript = lambda _request, _secondary: SendVerdict(SendAnswer.ACCEPTED, http_status=202)
        self.on_look: LookScript = lambda _request: LookVerdict(
            LookAnswer.FOUND, Status.PENDING, "PENDING", http_status=200
        )
        self.on_probe: Callable[[], Cause] = lambda: Cause.NONE
        self.probes = 0
        self.lock = threading.Lock()

    def sends_in_turn(self, *verdicts: SendVerdict) -> None:
        """Answer one POST after another; one more than these is a mistake of the test."""
        waiting = list(verdicts)
        self.on_send = lambda _request, _secondary: waiting.pop(0)

    def looks_in_turn(self, *verdicts: LookVerdict) -> None:
        waiting = list(verdicts)
        self.on_look = lambda _request: waiting.pop(0)

    def references(self) -> list[str]:
        return [departed.request.reference_id for departed in self.left]


class _Client:
    def __init__(self, mtn: ScriptedMtn, account: str) -> None:
        self._mtn = mtn
        self._account = account

    def send(self, request: RenderedRequest, depart: Callable[[], None], *, secondary: bool = False) -> SendVerdict:
        try:
            depart()
        except NotDepartedError as error:
            return SendVerdict(SendAnswer.NOT_NOW, Cause.NOT_DEPARTED, message=error.reason)
        with self._mtn.lock:
            self._mtn.left.append(Departed(self._account, request, secondary))
        return self._mtn.on_send(request, secondary)

    def look(self, request: RenderedRequest, depart: Callable[[], None]) -> LookVerdict:
        try:
            depart()
        except NotDepartedError as error:
            return LookVerdict(LookAnswer.NO_WORD, reason_message=error.reason, cause=Cause.NOT_DEPARTED)
        with self._mtn.lock:
            self._mtn.looked.append(request)
        return self._mtn.on_look(request)

    def probe(self) -> Cause:
        self._mtn.probes += 1
        return self._mtn.on_probe()


def an_account(name: str = "default", **changes: Any) -> Account:
    """A merchant in Uganda that takes everything and marks nothing, at a pace without waits."""
    both = {
        product: Credentials(f"key-{name}-{product.value}", f"user-{name}-{product.value}", "api-key", "second-key")
        for product in Product
    }
    account = Account(
        name,
        Market("uganda", "http://127.0.0.1:1", "mtnuganda", Currency("UGX", 0), "UG", "Africa/Kampala"),
        MappingProxyType(both),
        callback_url="https://callbacks.example.org/mtn",
        callback_secret="callback-secret",
        pace=Pace(0, 0),
        same_again=SameAgain.OFF,
    )
    return replace(account, **changes)


def a_job(key: str = "salary-1", **changes: Any) -> dict[str, Any]:
    """A disbursement of 150,000 UGX; None takes a field out."""
    job = {
        "operation": "disburse",
        "idempotency_key": key,
        "amount": "150000",
        "currency": "UGX",
        "msisdn": "256772123456",
    }
    return {name: value for name, value in {**job, **changes}.items() if value is not None}


#: Ids of the jobs stream that are newer than whatever a test calls old.
_NEW_ENTRIES = itertools.count(9_000_000_000_000)


def an_entry(job: dict[str, Any] | bytes, source: str | None = None, **changes: Any) -> intake.Entry:
    payload = job if isinstance(job, bytes) else json.dumps(job).encode()
    named = source or f"momo:jobs/{next(_NEW_ENTRIES)}-0"
    return intake.Entry(named, payload, "stream" if named.startswith("momo:jobs/") else "cli", **changes)


@dataclass
class World:
    """Everything a test touches. One process's view; `beside()` gives another process on the same ledger."""

    ledger: Ledger
    clock: HandClock
    parts: Parts
    mtn: ScriptedMtn
    slots: FreeSlots
    seed: int = 7
    made: list[Ledger] = field(default_factory=list)

    # ---- acting -------------------------------------------------------------------------------------------------

    def take(self, *jobs: dict[str, Any] | bytes | intake.Entry) -> intake.Taken:
        return intake.take_in(self.parts, [job if isinstance(job, intake.Entry) else an_entry(job) for job in jobs])

    def accept(self, *keys: str, **changes: Any) -> list[str]:
        """Jobs under these keys, accepted; gives their payment ids in the order of the keys."""
        taken = self.take(*[a_job(key, **changes) for key in keys])
        assert not taken.rejected, self.rejections()
        return [self.id_of(key, changes.get("account", "default")) for key in keys]

    def release(self, account: str = "default", product: Product = Product.DISBURSEMENT) -> list[str]:
        """Release whatever is due, in every queue, for sends and looks."""
        released: list[str] = []
        with self.ledger.write() as tx:
            for kind in Work:
                for queue in Queue:
                    rows = work.release(
                        tx,
                        account,
                        product,
                        kind,
                        queue,
                        limit=RELEASE_LIMIT,
                        release_ms=self.parts.rules.release_ms,
                    )
                    released += [row.payment_id for row in rows]
        return released

    def send(self, ids: Sequence[str], *, record: bool = True) -> list[SendReport]:
        """Claim, call and record, as the worker's task does."""
        reports: list[SendReport] = []
        for batch in submission.send_out(self.parts, ids):
            reports += batch
            if record:
                outcome.record_sends(self.parts, batch)
        return reports

    def look(self, ids: Sequence[str]) -> None:
        for batch in polling.ask(self.parts, ids):
            outcome.record_looks(self.parts, batch)

    def turn(self, account: str = "default", product: Product = Product.DISBURSEMENT) -> None:
        """Release what is due and do it: sends, then looks."""
        ids = self.release(account, product)
        self.send(ids)
        self.look(ids)

    def run_until(self, done: Callable[[], bool], *, seconds_max: float = 90 * 86_400, step: float = 15.0) -> None:
        """Turn the clock and work until it holds."""
        spent = 0.0
        while not done():
            assert spent < seconds_max, f"not within {seconds_max} s of the ledger's time; seed {self.seed}"
            self.clock.on(step)
            spent += step
            for product in Product:
                self.turn(product=product)

    def successful(self, key: str, **changes: Any) -> str:
        """A collection under this key that MTN says is paid."""
        (found,) = self.accept(key, operation="collect", **changes)
        self.send([found])
        self.mtn.on_look = found_as(Status.SUCCESSFUL)
        self.run_until(lambda: self.payment(found).state.value == "successful")
        return found

    # ---- seeing -------------------------------------------------------------------------------------------------

    def id_of(self, key: str, account: str = "default") -> str:
        return payment_id(self.parts.namespace, account, key)

    def payment(self, name: str) -> Payment:
        with self.ledger.read() as tx:
            return moves.read(tx, [name])[name]

    def sends(self, name: str) -> list[Send]:
        with self.ledger.read() as tx:
            return moves.sends_of(tx, [name])[name]

    def rows(self, sql: str, **values: Any) -> list[Any]:
        with self.ledger.read() as tx:
            return [row[0] if len(row) == 1 else tuple(row) for row in tx.conn.execute(text(sql), values)]

    def write(self, sql: str, **values: Any) -> int:
        with self.ledger.write() as tx:
            return tx.conn.execute(text(sql), values).rowcount

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0])

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Result events in the order in which they were written; of one payment where it is named."""
        found = [json.loads(body) for body in self.rows("SELECT body FROM outbox ORDER BY id")]
        return found if name is None else [event for event in found if event["subject"] == name]

    def types(self, name: str) -> list[str]:
        return [event["type"].removeprefix("momo.payment.") for event in self.events(name)]

    def triggers(self, name: str) -> list[str]:
        return self.rows("SELECT trigger FROM transition WHERE payment_id = :name ORDER BY id", name=name)

    def rejections(self) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events() if event["type"] == "momo.job.rejected"]

    # ---- other processes ----------------------------------------------------------------------------------------

    def beside(self, **changes: Any) -> "World":
        """Another process on the same ledger, with connections of its own."""
        ledger = Ledger(str(self.ledger.engine.url.render_as_string(hide_password=False)), self.clock, clock_rules=True)
        self.made.append(ledger)
        parts = replace(self.parts, ledger=ledger, **changes)
        return replace(self, ledger=ledger, parts=parts)


def found_as(status: Status, **changes: Any) -> LookScript:
    """A script for looks: found, with every fact equal unless `changes` say otherwise."""
    verdict = LookVerdict(LookAnswer.FOUND, status, status.value, http_status=200)
    return lambda _request: replace(verdict, **changes)


@contextmanager
def a_world(url: str, *accounts: Account, rules: Rules | None = None, seed: int = 7) -> Iterator[World]:
    """A prepared ledger with these accounts (one `default` without any), closed at the end."""
    clock, mtn, slots = HandClock(), ScriptedMtn(), FreeSlots()
    ledger = Ledger(url, clock, clock_rules=True, pool_size=4)
    with ledger.write() as tx:
        us = installation.prepare(tx, NAMESPACE, sandbox_only=False)
    known = {account.name: account for account in accounts or (an_account(),)}

    def client_for(account: str, product: Product) -> Client:
        return _Client(mtn, account)

    parts = Parts(
        ledger=ledger,
        accounts=known,
        rules=rules or Rules(),
        clock=clock,
        rng=random.Random(seed),
        namespace=us.namespace,
        client_for=client_for,
        slots=slots,
        runner=InlineRunner(),
        counters=Silent(),
        explain=_explained,
        render=render,
    )
    world = World(ledger, clock, parts, mtn, slots, seed)
    try:
        yield world
    finally:
        for one in (ledger, *world.made):
            one.close()


def _explained(code: str | None) -> dict[str, str] | None:
    if code is None:
        return None
    found = explain(code)
    return {"code": found.code, "message": found.message, "advice": found.advice}


def side_by_side(*deeds: Callable[[], Any], within_seconds: float = 30.0) -> list[Any]:
    """Do these at the same instant, each in a thread; gives their results, or the exceptions that ended them."""
    start = threading.Barrier(len(deeds))
    results: list[Any] = [None] * len(deeds)

    def run(place: int, deed: Callable[[], Any]) -> None:
        start.wait(within_seconds)
        try:
            results[place] = deed()
        except Exception as error:  # noqa: BLE001 (the test looks at it)
            results[place] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within_seconds)
        assert not thread.is_alive(), "a deed didn't end"
    return results


def failures(results: Iterable[Any]) -> list[Any]:
    """Those that ended by an exception."""
    return [result for result in results if isinstance(result, Exception)]
