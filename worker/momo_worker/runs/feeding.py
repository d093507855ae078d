"""Released runs go on: the next few rows become jobs at intake's door, brakes are asked first, and what a run has reached is told.

One pass for every run; any number of pumps may do it, since a row that is handed over twice is one payment (M10). Sends nothing itself,
and takes no row for handed over that the ledger doesn't show: it may be restored meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import structlog

from momo_worker.commons import noticing, run_pausing, run_telling
from momo_worker.commons.entry import RUNS, Entry, run_source
from momo_worker.commons.parts import Parts
from momo_worker.ledger import intake, run_release, runs
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_release import Release, Standing
from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.money import format_amount
from momo_worker.payment.payment import PRODUCT_OF, Operation, Product
from momo_worker.payment.rules import MINUTE
from momo_worker.runs.jobs import payload_of
from momo_worker.runs.releasing import UNFUNDED, is_payable, pauses_of

log = structlog.get_logger(__name__)

#: Handed over in one transaction of intake's.
_PIECE = 100
_STEPS_PERCENT = (20, 40, 60, 80, 100)
_BALANCE_AGE_MS = MINUTE // 2
#: A balance that can't be read may take a call's whole deadline to say so: not asked for at each pass, nor for each run.
_UNREAD_SECONDS = 15.0
#: How long a pump that dies in the middle keeps others from handing rows over.
_LEASE_MS = 30_000
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
    _balances: "dict[tuple[str, str], _Balance]" = field(default_factory=dict)
    #: When a reading failed, in the clock's elapsed seconds.
    _unread: dict[tuple[str, Product], float] = field(default_factory=dict)

    def feed(self) -> int:
        """One pass over all released runs; returns how many rows were handed over."""
        least = self.parts.tidemark.least()
        with self.parts.ledger.read() as tx:
            if noticing.in_recovery(tx, least):
                return 0
            found = run_release.in_state(tx, ("released", "stopped", "completed"))
        return sum(self._go_on(run) for run in found)

    def _go_on(self, run: Run) -> int:
        with self.parts.ledger.read() as tx:
            release = run_release.release_of(tx, run.id)
            if release is None:
                return 0
            held = bool(pauses_of(tx, run))
            unsent = run_release.unsent(tx, run.id)
            room = min(_PIECE, self.ahead_rows - unsent, release.released_to - release.fed_to)
            rows = runs.rows_of(tx, run.id, after=release.fed_to, limit=room) if room > 0 else []
            now_ms = tx.now_ms
        pays_out = run.operation != Operation.COLLECT
        # Of one that was cancelled nothing more is sent, and a pause would only keep that from its end.
        goes_on = run.state == "released" and not held and bool(rows or unsent)
        if pays_out and goes_on and self._has_run_out(run, release):
            return 0
        if not rows or held or now_ms < release.starts_at_ms or not is_payable(self.parts, run):
            self._tell(run)
            return 0
        if pays_out and not self._is_funded(run, release, sum(row.amount_minor for row in rows), now_ms):
            return 0
        least = self.parts.tidemark.least()
        with self.parts.ledger.write() as tx:
            if not _still(run_release.release_of(tx, run.id, lock=True), release, rows[-1].place):
                return 0
            # Asked once more: MTN may have taken a minute to say what is in the account.
            if noticing.in_recovery(tx, least):
                return 0
            # Under the lease, since a cancel that comes now must know that rows may be on their way into the ledger.
            leased_until_ms = run_release.lease(tx, run.id, _LEASE_MS)
        if leased_until_ms is None:
            return 0
        self.take_in([Entry(run_source(run.id, row.place), payload_of(run, row), RUNS, run=run.id) for row in rows])
        if not self._mark(run, release, rows, leased_until_ms):
            return 0
        log.info("rows of a run were handed over", run=run.name, action="fed", up_to=rows[-1].place, of=run.rows)
        self._tell(run)
        return len(rows)

    def _mark(self, run: Run, release: Release, rows: Sequence[RunRow], leased_until_ms: int) -> bool:
        """Say that these rows were handed over, where they are in the ledger as it is now; False: they are fed again from where it stands."""
        to = rows[-1].place
        with self.parts.ledger.write() as tx:
            run_release.give_back(tx, run.id, leased_until_ms)
            now = run_release.release_of(tx, run.id, lock=True)
            # A restore (a failover to a replica that was behind) takes rows away in this very moment, and earlier ones with their mark.
            if now is None or not _are_here(tx, run, rows):
                log.warning(
                    "rows of a run aren't in the ledger any more; was it restored?",
                    run=run.name,
                    action="feeds_again",
                    up_to=to,
                )
                return False
            run_release.fed(tx, run.id, release.fed_to, to)
            if release.fed_to == 0:
                run_telling.tell_started(tx, self.parts, run, run_release.standing_of(tx, run.id, to))
        return True

    def _has_run_out(self, run: Run, release: Release) -> bool:
        """Whether the last rows failed for want of money, since the release or the last resume; pauses the run then."""
        with self.parts.ledger.read() as tx:
            since = max(release.released_at_ms, run_release.last_resumed_ms(tx, run.id))
            ends = run_release.last_ends(tx, run.id, since_ms=since, limit=_LAST_ROWS)
        unfunded = sum(1 for state, code in ends if state == "failed" and code in UNFUNDED)
        if unfunded < _UNFUNDED_MAX:
            return False
        self._pause(run, f"{unfunded} of its last {len(ends)} rows failed for want of money, by MTN's word")
        return True

    def _is_funded(self, run: Run, release: Release, next_minor: int, now_ms: int) -> bool:
        """Whether MTN's balance carries what is on its way and the next rows; before the first row all of the released runs."""
        first = release.fed_to == 0
        with self.parts.ledger.read() as tx:
            on_the_way = run_release.on_the_way_minor(tx, run.account, run.currency)
            wanted = next_minor
            if first and not run_release.last_resumed_ms(tx, run.id):
                # A person who was told may say to go on.
                wanted = run_release.still_to_come_minor(tx, run.account, run.currency)
        known = self._balances.get((run.account, run.operation))
        fresh = known is not None and not first and now_ms - known.at_ms < _BALANCE_AGE_MS
        if known is not None and fresh and self._carries(known, on_the_way, wanted):
            known.spent_minor += next_minor
            return True
        available = self._available(run)
        if available is None:
            # It stops the start and not the rest: a brake, not a proof (money-review Q1).
            return not first
        known = self._balances[run.account, run.operation] = _Balance(now_ms, available, on_the_way)
        if self._carries(known, on_the_way, wanted):
            known.spent_minor += next_minor
            return True
        needed = format_amount(self._with_fees(on_the_way + wanted), run.exponent)
        has, what = format_amount(available, run.exponent), "all released runs" if first else "the next rows"
        self._pause(
            run, f"the account has {has} {run.currency}, and what is on its way with {what} and fees needs {needed}"
        )
        return False

    def _available(self, run: Run) -> int | None:
        """The account's balance as MTN says it now; None where it can't be read, or couldn't be a moment ago."""
        where = (run.account, PRODUCT_OF[Operation(run.operation)])
        failed_at = self._unread.get(where)
        if failed_at is not None and self.parts.clock.elapsed() - failed_at < _UNREAD_SECONDS:
            return None
        available = self.balance(*where)
        if available is not None:
            self._unread.pop(where, None)
            return available
        # From the end of the call: what hung for a minute isn't asked again at once.
        self._unread[where] = self.parts.clock.elapsed()
        log.warning(
            "an account's balance can't be read; its runs don't begin, and those that have begun go on",
            account=run.account,
            product=where[1].value,
            action="waits",
        )
        return None

    def _carries(self, known: "_Balance", on_the_way: int, wanted: int) -> bool:
        return self._with_fees(max(on_the_way, known.spent_minor) + wanted) <= known.available_minor

    def _with_fees(self, minor: int) -> int:
        return int(minor * (1 + self.fee_margin))

    def _pause(self, run: Run, why: str) -> None:
        with self.parts.ledger.write() as tx:
            if pauses_of(tx, run):
                return
            run_pausing.hold(tx, self.parts, run, reason=why, by="worker")
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
            # The run before its release, as whoever cancels or releases it does: in the other order they wait for each other in a circle.
            runs.find(tx, run.id, lock=True)
            now = _reached(tx, run, lock=True)
            if now is None:
                return
            for percent in _STEPS_PERCENT:
                if now.told_percent < percent <= now.percent:
                    run_telling.tell_progress(tx, self.parts, run, now.standing, percent)
            if now.state == run.state or not runs.move_if(tx, run.id, run.state, now.state):
                return
            if run.state != "completed":
                run_telling.tell_completed(tx, self.parts, run, now.standing)
            if now.state == "settled":
                run_telling.tell_settled(tx, self.parts, run, now.standing)


@dataclass(slots=True)
class _Balance:
    """What MTN said, when, and what was on its way then with what was handed over since: the money may be gone before it shows."""

    at_ms: int
    available_minor: int
    spent_minor: int


def _still(now: Release | None, before: Release, to: int) -> bool:
    """Whether rows up to this place are still the next of the very same release."""
    return (
        now is not None
        and (now.fed_to, now.released_at_ms) == (before.fed_to, before.released_at_ms)
        and now.released_to >= to
    )


def _are_here(tx: Tx, run: Run, rows: Sequence[RunRow]) -> bool:
    """Whether the ledger knows what became of each: it waits, was rejected, or is a payment (in this order, since one becomes the other)."""
    sources = {run_source(run.id, row.place): row.key for row in rows}
    known = intake.sources_waiting(tx, list(sources)) | intake.rejected_among(tx, list(sources))
    left = [key for source, key in sources.items() if source not in known]
    return len(intake.by_key(tx, run.account, left)) == len(left)


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
    if run.state == "completed" and run_release.has_open(tx, run.id):
        # It may lie on a desk for weeks: its rows aren't counted twice a second until then.
        return None
    standing = run_release.standing_of(tx, run.id, release.fed_to)
    percent = standing.final * 100 // max(run.rows, 1)
    # A run that was stopped is over when what was handed over has ended; one that was released in part waits for the rest.
    over = release.fed_to == run.rows or (run.state == "stopped" and release.leased_until_ms <= tx.now_ms)
    state = run.state
    # A pump that slept through a cancel hands over more than it could mark.
    handed_over = max(release.fed_to, standing.payments)
    if over and standing.final >= handed_over:
        state = "settled"
    elif over and standing.final + standing.held >= handed_over:
        state = "completed"
    due = [step for step in _STEPS_PERCENT if release.told_percent < step <= percent]
    if not due and state == run.state:
        return None
    return _Reached(standing, percent, release.told_percent, state)
