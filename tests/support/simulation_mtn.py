"""MTN inside the simulation: the real client's bytes come in, the fake MTN's real replies go out, cut at the points where a process may die or sleep.

The client, its wire format and its verdicts are the product's own; only the socket is ours. MTN's clock is not the ledger's: it never jumps.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.simulation_swarm import MTN_FAULTS, Mode, Swarm

from momo_worker.accounts import Account
from momo_worker.mtn.adapter import Answer, Flight, WireError
from momo_worker.mtn.client import MtnClient
from momo_worker.mtn.errors import CredentialsRefusedError, NotReachableError
from momo_worker.mtn.token import Token
from momo_worker.pacing import NotDepartedError
from momo_worker.payment.payment import Product
from momo_worker.payment.verdict import Cause
from momo_worker.simulator.behaviour import Behaviour
from momo_worker.simulator.faults import Rule
from momo_worker.simulator.messages import Reply, Request
from momo_worker.simulator.model import Model
from momo_worker.simulator.store import Store

if TYPE_CHECKING:
    from tests.support.simulation import Simulation

MTN_EPOCH = 1_790_000_000.0
_TOKEN_SECONDS = 3600
_SLOT_SECONDS_MAX = 2.0
LOOK_APART_SECONDS = 0.105


@dataclass(frozen=True)
class Post:
    """A POST of a payment whose first byte has left: when, and how long its worker was suspended since it was permitted to."""

    at: float
    reference: str
    account: str
    product: str
    asleep_seconds: float
    #: What the ledger said against it at this moment, where its worker wasn't suspended and no clock has just jumped.
    against: str | None


def a_model(swarm: Swarm, faults: Iterable[Rule], clock: Callable[[], float], rng: Any) -> Model:
    """MTN in the mood that the seed gave it."""
    settings: dict[str, Any] = {"settle_seconds_min": 0.5, "settle_seconds_max": 40.0, "callback_delay_seconds": 1.0}
    if swarm.mode is Mode.FORGETS:
        settings["forget_after_seconds"] = rng.choice((60.0, 300.0, 1800.0))
    if swarm.mode is Mode.RACES:
        settings["racing_window_seconds"] = rng.choice((5.0, 900.0))
    model = Model(Store(":memory:"), clock, rng, behaviour=Behaviour().changed(settings))
    for rule in faults:
        model.faults.add(rule)
    return model


def faults_of(swarm: Swarm) -> dict[str, Rule]:
    """What it does wrong, by the swarm's names; each counts how often it did."""
    rules = {}
    for name, probability in swarm.mtn.items():
        options: dict[str, Any] = {"fault": name, **MTN_FAULTS[name]}
        if name not in swarm.without:
            rules[name] = Rule(**options, probability=probability)
    return rules


def over_the_wire(world: "Simulation", request: Request, kind: str) -> Reply:
    """What has left arrives, whatever becomes of its sender."""
    task = world.scheduler.current
    if task is None or task.inline:
        return world.model.handle(request)
    if task.fated or task.fate_at != f"{kind} left":
        world.scheduler.sleep(world.latency())
        return world.model.handle(request)
    replies: list[Reply] = []
    arrives = world.scheduler.now + world.latency()
    world.scheduler.at(arrives, lambda: replies.append(world.model.handle(request)))
    world.meet_fate(f"{kind} left")
    while not replies:
        world.scheduler.sleep(max(arrives - world.scheduler.now, 0) + 0.001)
    return replies[0]


class InProcessTokens:
    """A token for all, minted by the model when the last one ran out or was refused."""

    def __init__(self, world: "Simulation", account: Account, product: Product) -> None:
        self._world = world
        self._credentials = account.credentials[product]
        self._product = product
        self._token: Token | None = None

    def current(self) -> Token:
        if self._token is None or self._world.scheduler.now >= self._token.refresh_at:
            self._token = self._minted()
        return self._token

    def drop(self, token: Token) -> None:
        if self._token == token:
            self._token = None

    def lose(self) -> None:
        """Redis lost the token that all share; the processes that have it ask for another when it is refused or runs out."""
        self._token = None

    def forced(self) -> Token:
        self._token = None
        return self.current()

    def _minted(self) -> Token:
        basic = base64.b64encode(f"{self._credentials.api_user}:{self._credentials.api_key}".encode()).decode()
        headers = {
            "Authorization": f"Basic {basic}",
            "Ocp-Apim-Subscription-Key": self._credentials.subscription_key,
        }
        self._world.scheduler.check_alive()
        reply = over_the_wire(self._world, Request.of("POST", f"/{self._product.value}/token/", headers), "token")
        where = f"{self._product.value} token"
        if reply.delivery.kind != "answered" or reply.status != 200:
            if reply.status == 401 and reply.delivery.kind == "answered":
                raise CredentialsRefusedError("refused", where=where, advice="wait", cause=Cause.LOGIN_REFUSED)
            raise NotReachableError("no token", where=where, advice="wait", cause=Cause.FAULT)
        try:
            value = reply.json()["access_token"]
        except (ValueError, KeyError):
            raise NotReachableError("no token in it", where=where, advice="wait", cause=Cause.FAULT) from None
        now = self._world.scheduler.now
        return Token(value, value, now + _TOKEN_SECONDS - 600, now + _TOKEN_SECONDS)


class InProcessLine:
    """The socket's place: one request on the wire at most, and a point wherever a process can die."""

    base_url = "http://127.0.0.1:1"

    def __init__(self, world: "Simulation", account: Account, product: Product) -> None:
        self._world = world
        self._account = account
        self._product = product

    def ends_at(self) -> float:
        return self._world.scheduler.now + self._world.parts.rules.call_deadline_ms / 1000

    def flight(self, depart: Callable[[], None], ends_at: float | None = None) -> Flight:
        at = self.ends_at() if ends_at is None else ends_at
        return Flight(self._world.clock, depart, ends_at=at, read_timeout_seconds=30)

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, flight: Flight
    ) -> Answer:
        world = self._world
        world.scheduler.check_alive()
        kind = "send" if method == "POST" else "look"
        flight.leave()
        departed_at = world.scheduler.now
        world.meet_fate(f"{kind} permitted")
        request = Request.of(method, path, headers, body or b"")
        if kind == "send":
            self._note_post(headers)
            world.seen.posted(path, headers, body or b"")
        else:
            world.seen.asked(path, self._account.budget(self._product), departed_at)
        left_at_ms = world.clock.now_ms()
        reply = over_the_wire(world, request, kind)
        world.meet_fate(f"{kind} handled")
        answer = self._answered(reply, flight, kind)
        if kind == "look":
            world.seen.answered(path, left_at_ms, answer.status, answer.body)
        return answer

    def _answered(self, reply: Reply, flight: Flight, kind: str) -> Answer:
        world = self._world
        world.scheduler.sleep(world.latency())
        slow = reply.delivery.delay_seconds
        try:
            patience = flight.read_patience_seconds()
        except TimeoutError as error:
            raise WireError(str(error)) from error
        world.scheduler.sleep(min(slow, patience))
        if slow > patience:
            raise WireError("no byte came")
        if reply.delivery.kind != "answered":
            raise WireError(f"the answer was {reply.delivery.kind}")
        world.meet_fate(f"{kind} answered")
        return Answer(reply.status, {name.title(): value for name, value in reply.headers.items()}, reply.body)

    def _note_post(self, headers: Mapping[str, str]) -> None:
        world = self._world
        task = world.scheduler.current
        asleep = task.asleep_seconds if task is not None else 0.0
        reference = headers["X-Reference-Id"]
        against = None if asleep or world.just_jumped() or world.restores.just_done() else self._against(reference)
        post = Post(world.scheduler.now, reference, self._account.name, self._product.value, asleep, against)
        world.posts.append(post)
        if task is not None:
            task.asleep_seconds = 0.0
        world.tell(reference, f"POST leaves (slept {asleep:.0f} s since its permit)")

    def _against(self, reference: str) -> str | None:
        """M1, asked once more by ourselves: the claim, its lease, and `not_after`, with the second that a permit may be old."""
        world = self._world
        sql = (
            "SELECT p.state, p.lease_until_ms, p.not_after_ms, p.fence, p.state_since_ms FROM payment AS p JOIN attempt AS a "
            "ON a.payment_id = p.id AND a.number = p.attempt WHERE a.reference_id = :reference"
        )
        found = world.rows(sql, reference=reference)
        if not found:
            return "the ledger knows no such attempt"
        state, lease_until_ms, not_after_ms, fence, since_ms = found[0]
        second_ago_ms = world.clock.now_ms() - world.parts.rules.permit_age_ms
        if state != "sending" and since_ms > second_ago_ms:
            # A sleeper's late word moved it when this send had its permit: what the lost ledger claimed was accepted by MTN.
            return None
        if state != "sending" or lease_until_ms is None:
            return f"its payment is {state}"
        if lease_until_ms - second_ago_ms < world.parts.rules.call_deadline_ms:
            return f"its lease ends in {lease_until_ms - world.clock.now_ms()} ms"
        if not_after_ms <= second_ago_ms:
            return "its time was over"
        return world.seen.against(world.scheduler.current, reference, fence)

    def close(self) -> None:
        return


class SimulatedSlots:
    """The pace, with a Redis that has no slot now and then, holds what MTN slowed, and may forget all of it."""

    def __init__(self, world: "Simulation") -> None:
        self._world = world
        self._slow_until: dict[tuple[str, bool], float] = {}
        self._next_look: dict[str, float] = {}

    def wait(self, account: Account, product: Product, *, look: bool) -> None:
        world, budget = self._world, account.budget(product)
        if world.scheduler.now < self._slow_until.get((budget, look), 0.0) or world.strikes("no_slot"):
            raise NotDepartedError("no slot within two seconds")
        if look and world.swarm.paced:
            self._wait_for_slot(budget)
        world.seen.look_slots += look

    def _wait_for_slot(self, budget: str) -> None:
        scheduler = self._world.scheduler
        task, now = scheduler.current, scheduler.now
        at = max(self._next_look.get(budget, 0.0), now)
        if at - now > (0.0 if task is None or task.inline else _SLOT_SECONDS_MAX):
            raise NotDepartedError("no slot within two seconds")
        self._next_look[budget] = at + LOOK_APART_SECONDS
        if at > now:
            scheduler.sleep(at - now)

    def slow(self, account: Account, product: Product, seconds: float, *, look: bool) -> None:
        self._slow_until[account.budget(product), look] = self._world.scheduler.now + seconds

    def forget(self) -> None:
        """Redis lost its data. As the product's do, slots begin a little later than they could."""
        self._slow_until.clear()
        self._next_look = dict.fromkeys(self._next_look, self._world.scheduler.now + 1.0)


def in_process_client(world: "Simulation", account: Account, product: Product) -> MtnClient:
    """The product's own client, with our socket and tokens."""
    tokens: Any = InProcessTokens(world, account, product)
    world.tokens.append(tokens)
    client = MtnClient(account, product, tokens, clock=world.clock)
    line: Any = InProcessLine(world, account, product)
    client._line = line
    return client
