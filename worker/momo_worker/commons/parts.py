"""What a step may use, passed in and never imported at use: ledger, accounts, rules, clock, chance, MTN's clients, counters."""

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from momo_worker.accounts import Account
from momo_worker.approval.people import NOBODY, People
from momo_worker.clock import Clock
from momo_worker.commons.tidemark import Tidemark
from momo_worker.ledger.engine import Ledger
from momo_worker.payment.payment import Product
from momo_worker.payment.rules import Rules
from momo_worker.payment.verdict import Cause, LookVerdict, RenderedRequest, SendVerdict

Item = TypeVar("Item")
Result = TypeVar("Result")


class Client(Protocol):
    """MTN, as a step sees it: one account, product and API user (`mtn.client.MtnClient`)."""

    def send(self, request: RenderedRequest, depart: Callable[[], None], *, secondary: bool = False) -> SendVerdict:
        """One POST on the wire at most."""

    def look(self, request: RenderedRequest, depart: Callable[[], None]) -> LookVerdict:
        """One status read."""

    def probe(self) -> Cause:
        """A token and a balance read; Cause.NONE when the product answers."""


class Slots(Protocol):
    """The pace, asked where a call leaves."""

    def wait(self, account: Account, product: Product, *, look: bool) -> None:
        """Return when this call may leave; raises NotDepartedError when it may not within two seconds."""

    def slow(self, account: Account, product: Product, seconds: float, *, look: bool) -> None:
        """Hold back calls for as long as MTN named."""


class Counters(Protocol):
    """What a step tells the metrics."""

    def moved(self, account: str, operation: str, before: str, after: str, trigger: str) -> None:
        """A payment moved."""

    def refused_job(self, field: str) -> None:
        """A job was rejected."""

    def taken_in(self, door: str, count: int) -> None:
        """Jobs became payments."""

    def called(self, product: str, kind: str, answer: str, seconds: float) -> None:
        """A call to MTN came back."""


class CallRunner(Protocol):
    """Runs calls side by side and yields each result as it comes."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterable[Result | None]:
        """Yield results as they come; None about once a second while nothing does."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """Who counts under runs, asked each time since a person may be signed in while a worker runs; and whether makers sign, too."""

    people: Callable[[], People] = lambda: NOBODY
    maker_signs: bool = True


def _never_quiet(_zone: str, _now_ms: int) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the steps are made with."""

    ledger: Ledger
    accounts: Mapping[str, Account]
    rules: Rules
    clock: Clock
    rng: random.Random
    namespace: uuid.UUID
    client_for: Callable[[str, Product], Client]
    slots: Slots
    runner: CallRunner
    counters: Counters
    explain: Callable[[str | None], dict[str, str] | None]
    render: Callable[..., RenderedRequest]
    tidemark: Tidemark = field(default_factory=Tidemark)
    approvals: Approvals = Approvals()
    #: Until when schedules ask nobody, in milliseconds, by a zone's name and the ledger's time; None while they may.
    quiet_until: Callable[[str, int], int | None] = _never_quiet
