"""The check before paying: a run comes in, MTN is asked who has its numbers, and each row's verdict goes into the ledger. Pays nobody, bars nobody.

Answers are kept as they come, at the latest after a second, so that whoever is killed goes on where it was. A number that MTN says
nothing of gets no verdict; where it says nothing of many in a row, or refuses us, the check stops and says so.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from momo_worker.accounts import Account
from momo_worker.clock import Clock
from momo_worker.commons.parts import CallRunner
from momo_worker.commons.runner import in_batches
from momo_worker.ledger import run_checks, runs
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.run_checks import Holder, RowCheck
from momo_worker.ledger.runs import Run, RunRow
from momo_worker.payment.verdict import Cause, HolderVerdict
from momo_worker.runs.judging import Thresholds, judge

#: Rows that are looked at together; a transaction holds no more.
PAGE = 200
#: So many numbers in a row without an answer, and it isn't the numbers.
SILENT_IN_A_ROW = 10
#: How long one number is asked about while there is no slot for it or MTN asks us to wait ...
PATIENCE_SECONDS = 120.0
#: ... and how often where MTN, or the way to it, fails.
TRIES_MAX = 3
_PAUSE_SECONDS = 1.0
#: A longer wait that MTN names is a quota's: it is told, and not sat out.
_WAIT_SECONDS_MAX = 60.0

#: What speaks of us: no number would be answered.
_OF_US = frozenset({Cause.TOKEN_REFUSED, Cause.KEY_REFUSED, Cause.LOGIN_REFUSED, Cause.FORBIDDEN})
_WAITING = frozenset({Cause.NOT_DEPARTED, Cause.THROTTLED})
_FAILING = frozenset({Cause.FAULT, Cause.NEVER_SENT})

Progress = Callable[[str, int, int | None], None]


class Asks(Protocol):
    """MTN's client, as far as a check knows it."""

    def holder_active(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        """Whether the number has an active wallet."""

    def holder_name(self, msisdn: str, depart: Callable[[], None]) -> HolderVerdict:
        """What MTN calls whoever has it."""


@dataclass(frozen=True, slots=True)
class CheckParts:
    """What a check is made with."""

    ledger: Ledger
    account: Account
    asks: Asks
    #: Returns when a question may leave, or raises NotDepartedError.
    depart: Callable[[], None]
    #: Holds back all checks of the product for so many seconds, as MTN asked.
    slow: Callable[[float], None]
    runner: CallRunner
    clock: Clock
    thresholds: Thresholds
    keep_ms: int


class MovedError(Exception):
    """The run isn't any more what is being checked: another file took its place."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A number that MTN gave no answer about, and why; the words may hold anything and are scrubbed before anybody reads them."""

    msisdn: str = field(repr=False)
    cause: Cause
    told: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to."""

    asked: int = 0
    #: Numbers that MTN was asked about before, not too long ago.
    known: int = 0
    #: Lines of the file whose number MTN said nothing of, and the last reason for it.
    silent_lines: tuple[int, ...] = ()
    silent_why: str | None = None
    #: The check ended before the last row.
    stopped: Silent | None = None


def check(parts: CheckParts, run: Run, *, again: bool, progress: Progress) -> Checked:
    """Ask about every number of a run that isn't known yet, `again` about all, and judge each row. Raises MovedError."""
    with parts.ledger.read() as tx:
        since_ms = tx.now_ms if again else tx.now_ms - parts.keep_ms
    sofar, after = Checked(), 0
    while True:
        with parts.ledger.read() as tx:
            rows = runs.rows_of(tx, run.id, after=after, limit=PAGE)
        if not rows:
            return sofar
        after = rows[-1].place
        sofar = _page(parts, run, rows, since_ms, sofar, progress)
        if sofar.stopped is not None:
            return sofar


def what_bars(tx: Tx, run: Run, account: Account) -> str:
    """What the check has against paying a run, in words; '' for nothing. For whoever signs or releases it, in their transaction."""
    if blocked := run_checks.unanswered(tx, run.id):
        return (
            f"the check blocks {blocked:,} rows of the run {run.name} and nobody has answered for them: see `momo run check {run.name}`, "
            f"then correct the file, or `momo run override {run.name} --row N --reason '…'`"
        )
    if account.check_needed and (left := run_checks.unchecked(tx, run.id)):
        return (
            f"MTN wasn't asked who has the numbers of {left:,} rows of the run {run.name}, and account {run.account} needs it "
            f"(check_before_paying): `momo run check {run.name}`"
        )
    return ""


def _page(
    parts: CheckParts, run: Run, rows: Sequence[RunRow], since_ms: int, sofar: Checked, progress: Progress
) -> Checked:
    wanted = _wanted(rows)
    with parts.ledger.read() as tx:
        held = run_checks.holders_of(tx, run.account, sorted(wanted), since_ms)
    known = {msisdn: one for msisdn, one in held.items() if one.name_asked or not one.active or not wanted[msisdn]}
    missing = [(msisdn, named) for msisdn, named in wanted.items() if msisdn not in known]
    began = rows[0].place - 1
    progress("check", began, run.rows)
    asking = _Asking(parts, run)
    found: dict[str, Holder] = dict(known)
    try:
        for answers in asking.answers(missing):
            found.update({one.msisdn: one for one in answers})
            # The page's rows, by how far its numbers are.
            progress("check", began + len(rows) * len(found) // max(len(wanted), 1), run.rows)
    finally:
        asking.stop()
    with parts.ledger.write() as tx:
        _still(tx, run)
        run_checks.keep_checks(
            tx, run.id, [_judged(row, found[row.msisdn], parts) for row in rows if row.msisdn in found]
        )
    silent = [row.line for row in rows if row.msisdn in asking.silent]
    why = next(reversed(asking.silent.values())).told if asking.silent else sofar.silent_why
    progress("check", rows[-1].place, run.rows)
    return replace(
        sofar,
        asked=sofar.asked + asking.answered,
        known=sofar.known + len(known),
        silent_lines=(*sofar.silent_lines, *silent),
        silent_why=why,
        stopped=asking.stopped,
    )


def _wanted(rows: Iterable[RunRow]) -> dict[str, bool]:
    """Numbers, each once, and whether a row of theirs names somebody."""
    wanted: dict[str, bool] = {}
    for row in rows:
        if row.msisdn is not None:
            wanted[row.msisdn] = wanted.get(row.msisdn, False) or row.name is not None
    return wanted


def _judged(row: RunRow, holder: Holder, parts: CheckParts) -> RowCheck:
    found = judge(row.name, active=holder.active, holder_name=holder.name, thresholds=parts.thresholds)
    said = holder.name if row.name is not None else None
    return RowCheck(row.place, found.verdict, found.why, found.score, said)


def _still(tx: Tx, run: Run) -> None:
    """Locked, so that an approval counts verdicts either before these or after them."""
    now = runs.find(tx, run.id, lock=True)
    if now is None or now.imported_at_ms != run.imported_at_ms or now.state in ("importing", "superseded", "cancelled"):
        raise MovedError(f"the run {run.name} was imported anew or put aside in the meantime: check it again")


class _Asking:
    """A page's numbers on their way to MTN."""

    def __init__(self, parts: CheckParts, run: Run) -> None:
        self._parts = parts
        self._run = run
        self._over = threading.Event()
        self._in_a_row = 0
        self.answered = 0
        self.silent: dict[str, Silent] = {}
        self.stopped: Silent | None = None

    def answers(self, wanted: Sequence[tuple[str, bool]]) -> Iterator[list[Holder]]:
        """Ask side by side; what came is in the ledger when it is yielded."""
        results: Iterable[Holder | Silent | None] = self._parts.runner.run(self._ask, wanted)
        batches: Iterator[list[Holder | Silent]] = in_batches(self._parts.clock, results)
        for came in batches:
            holders = [one for one in came if isinstance(one, Holder)]
            if holders:
                with self._parts.ledger.write() as tx:
                    run_checks.keep_holders(tx, self._run.account, holders)
            self.answered += len(holders)
            self._listen(came)
            yield holders

    def stop(self) -> None:
        """Begin no other question: those that are left cost nothing."""
        self._over.set()

    def _listen(self, came: Sequence[Holder | Silent]) -> None:
        for one in came:
            if isinstance(one, Holder):
                self._in_a_row = 0
                continue
            self.silent[one.msisdn] = one
            self._in_a_row += 1
            hopeless = one.cause in _OF_US or one.cause in _WAITING or self._in_a_row >= SILENT_IN_A_ROW
            if hopeless and self.stopped is None:
                self.stopped = one
                self.stop()

    def _ask(self, wanted: tuple[str, bool]) -> Holder | Silent | None:
        """One number: is it active, and if a row names somebody, who is it. None once the check is over."""
        msisdn, named = wanted
        active = self._patiently(self._parts.asks.holder_active, msisdn)
        if active is None:
            return None
        if not active.answered or active.active is None:
            return Silent(msisdn, active.cause, active.message or "MTN said nothing")
        if not active.active or not named:
            return Holder(msisdn, active.active)
        name = self._patiently(self._parts.asks.holder_name, msisdn)
        if name is None:
            return None
        if not name.answered:
            return Silent(msisdn, name.cause, name.message or "MTN said nothing")
        return Holder(msisdn, active=True, name=name.name, name_asked=True)

    def _patiently(self, ask: Callable[[str, Callable[[], None]], HolderVerdict], msisdn: str) -> HolderVerdict | None:
        """Ask until something is said, or it is hopeless for now."""
        give_up_at = self._parts.clock.elapsed() + PATIENCE_SECONDS
        tries = 0
        while not self._over.is_set():
            verdict = ask(msisdn, self._parts.depart)
            tries += verdict.cause in _FAILING
            wait_seconds = _PAUSE_SECONDS * max(tries, 1)
            if verdict.cause is Cause.THROTTLED:
                wait_seconds = verdict.retry_after_seconds or _PAUSE_SECONDS
                self._parts.slow(wait_seconds)
            again = verdict.cause in _WAITING or (verdict.cause in _FAILING and tries < TRIES_MAX)
            over = wait_seconds > _WAIT_SECONDS_MAX or self._parts.clock.elapsed() + wait_seconds > give_up_at
            if verdict.answered or not again or over:
                return verdict
            self._wait(wait_seconds)
        return None

    def _wait(self, seconds: float) -> None:
        """In small pieces, so that nobody who ends the check waits for a wait."""
        ends_at = self._parts.clock.elapsed() + seconds
        while not self._over.is_set() and (left := ends_at - self._parts.clock.elapsed()) > 0:
            self._parts.clock.sleep(min(left, _PAUSE_SECONDS))
