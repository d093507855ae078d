"""The doctor on the ledger and on what moves in it: an open ledger comes in, findings go out. Reads only."""

from collections.abc import Iterator

from momo_worker.cli.deeds.finding import Finding, fail, ok, warn
from momo_worker.cli.deeds.showing import moment
from momo_worker.clock import Clock
from momo_worker.ledger import installation, intake, outbox, recovery, runs, stops, views
from momo_worker.ledger.engine import Ledger, LedgerError, Tx
from momo_worker.ledger.revision import newest
from momo_worker.payment.payment import Queue, Work
from momo_worker.settings import Settings

CLOCKS_APART_MS_MAX = 2_000
#: The tide rises each second.
_PUMP_SILENT_MS = 10_000
_LATE_MS = 120_000
_OUTBOX_LATE_MS = 60_000


def check_ledger(ledger: Ledger, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Whose it is, its clock, and what is due and not moving; the caller has checked schema and durability."""
    yield ok("ledger", f"{ledger.where}, schema {newest()}, keeps what it commits")
    before_ms = clock.now_ms()
    with ledger.read() as tx:
        yield from _clock(tx, ledger, before_ms, clock.now_ms())
        us = installation.read(tx)
        if us is None:
            yield warn("ledger id", "the ledger is new: no process has begun on it yet", "start `momo up`")
            return
        yield from _identity(tx, us, settings)
        yield from _pump(tx, us)
        yield from _recovery(tx)
        yield from _stops(tx)
        yield from _waiting(tx)
        yield from _desk(tx)
        yield from _lags(tx, settings)


def _clock(tx: Tx, ledger: Ledger, before_ms: int, after_ms: int) -> Iterator[Finding]:
    if ledger.dialect == "sqlite":
        yield ok("ledger's clock", "is this machine's")
        return
    apart_ms = max(before_ms - tx.now_ms, tx.now_ms - after_ms, 0)
    if apart_ms > CLOCKS_APART_MS_MAX:
        yield fail(
            "ledger's clock",
            f"is {apart_ms / 1000:.1f} s apart from this machine's",
            "set both by NTP; leases and not_after are told by the ledger's",
        )
    else:
        yield ok("ledger's clock", f"within {CLOCKS_APART_MS_MAX // 1000} s of this machine's")


def _identity(tx: Tx, us: installation.Installation, settings: Settings) -> Iterator[Finding]:
    if settings.namespace is not None and settings.namespace != us.namespace:
        yield fail(
            "ledger id",
            f"the ledger's namespace is {us.namespace}, and MOMO_NAMESPACE is {settings.namespace}",
            "one of the two is another installation's: correct MOMO_NAMESPACE or MOMO_DATABASE_URL",
        )
        return
    try:
        installation.pin_accounts(tx, settings.accounts.values(), write=False)
    except LedgerError as error:
        yield fail("ledger id", f"the ledger {error}", "see `momo payment list`, and set the account as it was")
        return
    yield ok("ledger id", f"{us.ledger_id}, namespace {us.namespace}, epoch {us.epoch}")


def _pump(tx: Tx, us: installation.Installation) -> Iterator[Finding]:
    silent_ms = tx.now_ms - us.tide_at_ms
    if us.tide == 0:
        yield fail("pump", "none has ever run on this ledger", "start `momo up`, or `momo pump` and `momo worker`")
    elif silent_ms > _PUMP_SILENT_MS:
        yield fail(
            "pump",
            f"none has been seen since {moment(us.tide_at_ms)}: nothing is taken in, released or published",
            "start `momo up`, or `momo pump`; its log says why it ended",
        )
    else:
        yield ok("pump", f"alive, tide {us.tide}")


def _recovery(tx: Tx) -> Iterator[Finding]:
    found = recovery.current(tx)
    if found is None:
        yield ok("recovery", "the ledger is not in recovery")
        return
    yield fail(
        "recovery",
        f"the ledger is in recovery since {moment(found.began_at_ms)} ({found.why}): nothing is sent",
        "`momo recover` shows what is known and what waits; `momo recover --release` ends it",
    )


def _stops(tx: Tx) -> Iterator[Finding]:
    found = stops.pauses(tx)
    for pause in found:
        yield warn(
            "pause",
            f"{pause.scope}, since {moment(pause.paused_at_ms)}, by {pause.actor}: {pause.reason}",
            _lifts(tx, pause),
        )
    for gate in stops.gates(tx).values():
        if gate.closed_at_ms is not None:
            yield fail(
                "suspended",
                f"{gate.account} {gate.product} since {moment(gate.closed_at_ms)}: {gate.cause} {gate.detail or ''}".rstrip(),
                f"put the cause right; the worker probes at {moment(gate.probe_at_ms)} and lifts it itself",
            )
    if not found:
        yield ok("pause", "nothing is paused")


def _lifts(tx: Tx, pause: stops.Pause) -> str:
    run = runs.find(tx, pause.run) if pause.run else None
    if run is None:
        return "`momo resume` with the same scope lifts it"
    return f"it is the run {run.name}: `momo run resume {run.name} --account {run.account} --reason …` lifts it"


def _waiting(tx: Tx) -> Iterator[Finding]:
    count, why = intake.waiting(tx)
    if count:
        yield warn(
            "waiting",
            f"{count:,} jobs wait, the oldest because {why}",
            "configure the account in every process; what waits for an unknown account is rejected after an hour",
        )


def _desk(tx: Tx) -> Iterator[Finding]:
    causes = views.held_by_cause(tx)
    if causes:
        told = ", ".join(f"{count} {cause}" for cause, count in sorted(causes.items()))
        yield warn("held", f"payments wait for a person: {told}", "`momo payment list --state held`")


def _lags(tx: Tx, settings: Settings) -> Iterator[Finding]:
    moving = outbox.moved_since(tx, tx.now_ms - _LATE_MS)
    late = [
        due
        for account in settings.accounts.values()
        for product in account.credentials
        for due in views.earliest_due(
            tx, account.name, product.value, [work.value for work in Work], [queue.value for queue in Queue]
        )
        if tx.now_ms - due.due_at_ms > _LATE_MS
    ]
    for due in late:
        seconds = (tx.now_ms - due.due_at_ms) // 1000
        what = f"{due.account} {due.product}: the oldest {due.work} in {due.queue[2:]} is {seconds} s late"
        if moving:
            yield warn("due", what, "it moves, at MTN's pace; `momo_due_lag_seconds` tells whether it catches up")
        else:
            yield fail("due", f"{what}, and nothing moves", "do a pump and a worker run? Their logs say what holds it")
    if not late:
        yield ok("due", "nothing is late")
    waiting, oldest = outbox.lag(tx)
    if oldest is not None and tx.now_ms - oldest > _OUTBOX_LATE_MS:
        yield fail("results", f"{waiting} events wait to be published since {moment(oldest)}", "does a pump run?")
