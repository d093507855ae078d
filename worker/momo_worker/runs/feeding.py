"""Released runs go on: the next few rows become jobs at intake's door, brakes are asked first, and what a run has reached is told.

One pass for every run; any number of pumps may do it, since a row that is handed over twice is one payment (M10). Sends nothing itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

import structlog

from momo_worker.commons.entry import RUNS, Entry, run_source
from momo_worker.commons.parts import Parts
from momo_worker.ledger import recovery, run_release, runs
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Release, Standing
from momo_worker.ledger.runs import Run
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import PRODUCT_OF, Operation, Product
from momo_worker.payment.rules import MINUTE
from momo_worker.runs import telling
from momo_worker.runs.jobs import payload_of
from momo_worker.runs.releasing import hold, pauses_of

log = structlog.get_logger(__name__)

#: Handed over in one transaction of intake's.
_PIECE = 100
_STEPS_PERCENT = (20, 40, 60, 80, 100)
_BALANCE_AGE_MS = MINUTE
#: How long a pump that dies in the middle keeps others from handing rows over.
_LEASE_MS = 30_000
#: Reasons with which MTN refuses for want of money; the second is what it says instead, and may be anything (money-review Q2).
UNFUNDED = ("NOT_ENOUGH_FUNDS", "INTERNAL_PROCESSING_ERROR")
_LAST_ROWS, _UNFUNDED_MAX = 20, 5


class Balance(Protocol):
    """Asks MTN what is in an account, in minor units; None where it doesn't say."""

    def __call__(self, account: str, product: Product) -> int | None: ...


@dataclass(slots=True)
class Feeder:
    """Hands rows of released runs to intake."""

    parts: Parts
    take_in: Callable[[Sequence[Entry]], None]
    balance: Balance
    ahead_rows: int
    fee_margin: Decimal
    _balances: dict[tuple[str, Product], tuple[int, int | None]] = field(default_factory=dict)

    def feed(self) -> int:
        """One pass over all released runs; returns how many rows were handed over."""
        with self.parts.ledger.read() as tx:
            if recovery.current(tx) is not None:
                return 0
            found = run_release.in_state(tx, ("released", "stopped", "completed"))
        return sum(self._go_on(run) for run in found)

    def _go_on(self, run: Run) -> int:
        with self.parts.ledger.read() as tx:
            release = run_release.release_of(tx, run.id)
            if release is None:
                return 0
            held = bool(pauses_of(tx, run))
            room = min(_PIECE, self.ahead_rows - run_release.unsent(tx, run.id), release.released_to - release.fed_to)
            rows = runs.rows_of(tx, run.id, after=release.fed_to, limit=room) if room > 0 else []
            now_ms = tx.now_ms
        if not rows or held or now_ms < release.starts_at_ms or run.account not in self.parts.accounts:
            self._tell(run)
            return 0
        if not self._may_go_on(run, release, sum(row.amount_minor for row in rows), now_ms):
            return 0
        with self.parts.ledger.write() as tx:
            # Under the lease, since a cancel that comes now must know that rows may be on their way into the ledger.
            if not run_release.lease(tx, run.id, _LEASE_MS) or run_release.release_of(tx, run.id) != _leased(
                release, tx
            ):
                return 0
        self.take_in([Entry(run_source(run.id, row.place), payload_of(run, row), RUNS, run=run.id) for row in rows])
        with self.parts.ledger.write() as tx:
            run_release.fed(tx, run.id, rows[-1].place)
            if release.fed_to == 0:
                telling.tell_started(tx, self.parts, run, run_release.standing_of(tx, run.id, rows[-1].place))
        log.info("rows of a run were handed over", run=run.name, action="fed", up_to=rows[-1].place, of=run.rows)
        self._tell(run)
        return len(rows)

    def _may_go_on(self, run: Run, release: Release, next_minor: int, now_ms: int) -> bool:
        """The brakes on money: pauses the run, with the reason, where the money seems to have run out."""
        if run.operation == Operation.COLLECT:
            return True
        with self.parts.ledger.read() as tx:
            since = max(release.released_at_ms, run_release.last_resumed_ms(tx, run.id))
            ends = run_release.last_ends(tx, run.id, since_ms=since, limit=_LAST_ROWS)
            on_the_way = run_release.on_the_way_minor(tx, run.account, run.currency)
        unfunded = sum(1 for state, code in ends if state == "failed" and code in UNFUNDED)
        if unfunded >= _UNFUNDED_MAX:
            self._pause(run, f"{unfunded} of its last {len(ends)} rows failed for want of money, by MTN's word")
            return False
        return self._is_funded(run, next_minor + on_the_way, now_ms, first=release.fed_to == 0)

    def _is_funded(self, run: Run, need_minor: int, now_ms: int, *, first: bool) -> bool:
        product = PRODUCT_OF[Operation(run.operation)]
        asked_at_ms, available = self._balances.get((run.account, product), (0, None))
        if now_ms - asked_at_ms >= _BALANCE_AGE_MS or available is None:
            available = self.balance(run.account, product)
            self._balances[run.account, product] = (now_ms, available)
        if available is None:
            if first:
                log.warning("a run waits for its account's balance, which can't be read", run=run.name, action="waits")
            # It stops the start and not the rest: a brake, not a proof (money-review Q1).
            return not first
        with_fees = int(need_minor * (1 + self.fee_margin))
        if with_fees <= available:
            return True
        said, has = (format_amount(value, run.exponent) for value in (with_fees, available))
        self._pause(
            run,
            f"the account has {has} {run.currency}, and what is on its way with the next rows and fees needs {said}",
        )
        return False

    def _pause(self, run: Run, why: str) -> None:
        with self.parts.ledger.write() as tx:
            if pauses_of(tx, run):
                return
            hold(tx, self.parts, run, reason=why, by="worker")
        log.error(
            "a run was paused for want of money",
            run=run.name,
            action="paused",
            why=why,
            advice="fund the account, then `momo run resume`; rows that failed so are tried again with --again-unfunded",
        )

    def _tell(self, run: Run) -> None:
        """Tell what a run has reached, each once, whichever pump sees it first."""
        with self.parts.ledger.read() as tx:
            reached = _reached(tx, run)
        if reached is None:
            return
        with self.parts.ledger.write() as tx:
            now = _reached(tx, run, lock=True)
            if now is None:
                return
            for percent in _STEPS_PERCENT:
                if now.told_percent < percent <= now.percent:
                    telling.tell_progress(tx, self.parts, run, now.standing, percent)
            if now.state == run.state or not runs.move_if(tx, run.id, run.state, now.state):
                return
            if run.state != "completed":
                telling.tell_completed(tx, self.parts, run, now.standing)
            if now.state == "settled":
                telling.tell_settled(tx, self.parts, run, now.standing)


def _leased(release: Release, tx: Tx) -> Release:
    return replace(release, leased_until_ms=tx.now_ms + _LEASE_MS)


@dataclass(frozen=True, slots=True)
class _Reached:
    standing: Standing
    percent: int
    told_percent: int
    #: Where the run should stand now.
    state: str


def _reached(tx: Tx, run: Run, *, lock: bool = False) -> _Reached | None:
    """What a run has reached and nobody was told yet; None for nothing new."""
    release = run_release.release_of(tx, run.id, lock=lock)
    now = runs.find(tx, run.id)
    if release is None or now is None or now.state != run.state:
        return None
    standing = run_release.standing_of(tx, run.id, release.fed_to)
    percent = standing.final * 100 // max(run.rows, 1)
    # A run that was stopped is over when what was handed over has ended; one that was released in part waits for the rest.
    over = release.fed_to == run.rows or (run.state == "stopped" and release.leased_until_ms <= tx.now_ms)
    state = run.state
    if over and standing.final >= release.fed_to:
        state = "settled"
    elif over and standing.final + standing.held >= release.fed_to:
        state = "completed"
    due = [step for step in _STEPS_PERCENT if release.told_percent < step <= percent]
    if not due and state == run.state:
        return None
    return _Reached(standing, percent, release.told_percent, state)
