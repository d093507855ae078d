"""`momo run check` and `momo run override`: a run's name comes in, what MTN says of its numbers goes out; an override is kept with who gave it.

Shows names of people to whoever asked, and writes none into a log.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import redis
from prometheus_client import CollectorRegistry
from rich.table import Column, Table

from momo_worker import logs
from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.reading import account_with, actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.runs import named
from momo_worker.cli.deeds.showing import moment, wide_console
from momo_worker.cli.saying import DONE, NO, AnswerIsNo, NotReachable, WrongUse, complain, say, say_json
from momo_worker.clock import SystemClock
from momo_worker.commons.runner import ThreadRunner
from momo_worker.ledger import installation, run_checks, stops
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.run_checks import CheckVerdict, Counts, Flagged
from momo_worker.ledger.runs import Run
from momo_worker.metrics import Metrics
from momo_worker.pace import RedisSlots
from momo_worker.pacing import Limiter
from momo_worker.payment.msisdn import masked
from momo_worker.payment.payment import PRODUCT_OF, Operation
from momo_worker.redis_client import connect
from momo_worker.runs.checking import Checked, CheckParts, MovedError, check
from momo_worker.runs.judging import WORDS, Thresholds
from momo_worker.settings import Settings
from momo_worker.wiring import Clients

#: Enough for the widest round trip at the pace of a check; more would only wait in line.
_CALLS_AT_ONCE = 8
_LINES_SHOWN = 20
_REASON_MAX = 1_000
_COLUMNS = ("row", "line", "id", "verdict", "name in the file", "name at MTN", "number", "alike", "why")


def check_run(name: str, *, account: str, again: bool, rows: int, full: bool, as_json: bool) -> int:
    """Ask MTN who has the numbers of a run, and tell whose rows somebody should look at."""
    # A token that can't be shared is no news to whoever only reads.
    settings = quiet_settings("ERROR")
    with ledger_of(settings) as ledger:
        run = _checkable(ledger, settings, account, name)
        with bar(quiet=as_json) as progress, _parts(ledger, settings, run) as parts:
            try:
                done = check(parts, run, again=again, progress=progress.tell)
            except MovedError as error:
                raise AnswerIsNo(str(error)) from None
        with ledger.read() as tx:
            counts = run_checks.counts(tx, run.id)
            open_now = run_checks.unanswered(tx, run.id)
            unchecked = run_checks.unchecked(tx, run.id)
            some = run_checks.flagged(tx, run.id, limit=rows)
    facts = {
        "run_id": run.id, "name": run.name, "account": run.account, "pass": counts.passed, "review": counts.review,
        "block": counts.block, "overridden": counts.overridden, "to_answer": open_now, "not_checked": unchecked,
        "asked": done.asked, "known": done.known, "silent_lines": done.silent_lines,
        "rows": [_facts(one, full=full) for one in some],
    }  # fmt: skip
    if not as_json:
        _tell(run, done, counts, open_now, unchecked, some, full=full)
    if done.stopped is not None:
        why = logs.scrub(done.stopped.told)
        raise NotReachable(
            f"the check of {run.name} stopped with {unchecked:,} rows to go, and what was answered is kept: {why}; "
            f"see `momo doctor`, then go on with `momo run check {run.name}`",
            facts,
        )
    if as_json:
        say_json(facts)
    return NO if open_now or unchecked else DONE


def _checkable(ledger: Ledger, settings: Settings, account: str, name: str) -> Run:
    with ledger.write() as tx:
        installation.pin_accounts(tx, settings.accounts.values(), write=False)
        run = named(tx, account, name)
    if run.operation == Operation.REFUND:
        raise AnswerIsNo(f"the run {name} gives back what was collected, to the numbers that paid: nothing to check")
    account_with(settings, account, PRODUCT_OF[Operation(run.operation)])
    return run


@contextmanager
def _parts(ledger: Ledger, settings: Settings, run: Run) -> Iterator[CheckParts]:
    """The client, the pace and the threads of a check."""
    account, product, clock = settings.accounts[run.account], PRODUCT_OF[Operation(run.operation)], SystemClock()
    client = connect(settings.redis_address)
    try:
        client.ping()
    except redis.RedisError as error:
        raise NotReachable(
            f"Redis doesn't answer, and without it nobody knows the pace: {logs.scrub(str(error))}; start it (`momo up`) or set "
            "MOMO_REDIS_URL"
        ) from None
    slots = RedisSlots(Limiter(client, clock), clock)
    runner = ThreadRunner(_CALLS_AT_ONCE)
    asks = Clients(settings, client, clock, Metrics(CollectorRegistry())).of(run.account, product)
    try:
        yield CheckParts(
            ledger=ledger,
            account=account,
            asks=asks,
            depart=partial(slots.wait_to_check, account, product, settings.check.apart_ms),
            slow=partial(slots.slow_checks, account, product),
            runner=runner,
            clock=clock,
            thresholds=Thresholds(settings.check.pass_score, settings.check.review_score),
            keep_ms=settings.check.keep_ms,
        )
    finally:
        runner.close()
        asks.close()
        client.close()


def override(name: str, *, row: int, reason: str, account: str, by: str, as_json: bool) -> None:
    """Keep who answers for a row that the check would stop."""
    if not reason.strip():
        raise WrongUse("--reason is missing: say why this person is paid on this number; approvers read it")
    if len(reason) > _REASON_MAX:
        raise WrongUse(f"--reason has {len(reason)} characters; give at most {_REASON_MAX}")
    who = actor(by)
    with ledger_of(quiet_settings()) as ledger, ledger.write() as tx:
        run = named(tx, account, name, lock=True)
        if not 0 < row <= run.rows:
            raise AnswerIsNo(f"the run {name} has no row {row}; its rows are 1 to {run.rows:,}")
        there = run_checks.check_of(tx, run.id, row)
        if there is not None and there.verdict is CheckVerdict.PASS:
            raise AnswerIsNo(f"row {row} of {name} passed the check: there is nothing to answer for")
        run_checks.override(tx, run.id, row, reason=reason.strip(), by=who)
        stops.journal(
            tx,
            actor=who,
            action="run row overridden",
            subject=f"run={run.name} account={run.account} row={row} verdict={there.verdict.value if there else 'none'}",
            reason=reason.strip(),
        )
        left = run_checks.unanswered(tx, run.id)
    if as_json:
        say_json({"run_id": run.id, "row": row, "overridden_by": who, "to_answer": left})
        return
    say(f"{who} answers for row {row} of {name}; {left:,} blocked rows left to answer")


def _tell(
    run: Run, done: Checked, counts: Counts, open_now: int, unchecked: int, some: Sequence[Flagged], *, full: bool
) -> None:
    say(f"Run {run.name}: {counts.passed:,} pass, {counts.review:,} review, {counts.block:,} block")
    say(f"  {done.asked:,} numbers were asked about now, {done.known:,} were known")
    if counts.overridden:
        say(f"  {counts.overridden:,} rows are answered for by somebody")
    if done.silent_lines:
        lines = ", ".join(map(str, done.silent_lines[:_LINES_SHOWN]))
        more = f" and {len(done.silent_lines) - _LINES_SHOWN:,} more" if len(done.silent_lines) > _LINES_SHOWN else ""
        complain(f"MTN gave no answer about lines {lines}{more}: {logs.scrub(done.silent_why or '')}")
    if some:
        wide_console().print(_table(some, full=full))
    if len(some) < counts.review + counts.block:
        say(f"and {counts.review + counts.block - len(some):,} rows more (--rows N)")
    if open_now:
        say(
            f"{open_now:,} blocked rows bar the approval: correct the file, or answer for one with "
            f"`momo run override {run.name} --row N --reason '…'`"
        )
    if unchecked:
        say(f"{unchecked:,} rows have no verdict: `momo run check {run.name}` goes on")


def _table(rows: Sequence[Flagged], *, full: bool) -> Table:
    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS), box=None)
    for one in rows:
        check_, answered = one.check, ""
        if check_.overridden_by is not None:
            answered = f" ({check_.overridden_by}: {check_.override_reason})"
        table.add_row(
            str(check_.place),
            str(one.line),
            one.row_id or "-",
            check_.verdict.value,
            one.name or "-",
            check_.holder_name or "-",
            (one.msisdn or "-") if full else masked(one.msisdn),
            "-" if check_.score is None else str(check_.score),
            WORDS.get(check_.why, check_.why) + answered,
        )
    return table


def _facts(one: Flagged, *, full: bool) -> dict[str, Any]:
    check_ = one.check
    return {
        "row": check_.place,
        "line": one.line,
        "id": one.row_id,
        "verdict": check_.verdict.value,
        "why": check_.why,
        "score": check_.score,
        "name": one.name,
        "name_at_mtn": check_.holder_name,
        "msisdn": one.msisdn if full else masked(one.msisdn),
        "checked_at": moment(check_.checked_at_ms),
        "override_reason": check_.override_reason,
        "overridden_by": check_.overridden_by,
        "overridden_at": moment(check_.overridden_at_ms),
    }
