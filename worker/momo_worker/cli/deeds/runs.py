"""`momo run list`, `show` and `answer`: names come in, runs as the ledger has them go out; an answer is kept with who gave it."""

from collections.abc import Sequence
from typing import Any

from rich.table import Column, Table

from momo_worker.cli.deeds.approvers import people_or_nobody
from momo_worker.cli.deeds.reading import actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.showing import moment, wide_console
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import run_checks, run_outcomes, runs, stops
from momo_worker.ledger.engine import Tx
from momo_worker.ledger.run_checks import Counts
from momo_worker.ledger.runs import Run, RunFinding, RunRow
from momo_worker.payment.money import format_amount
from momo_worker.payment.msisdn import masked
from momo_worker.runs.approving import no_such_run
from momo_worker.runs.progress import look, waits_for
from momo_worker.runs.report import follows_up

_COLUMNS = ("run", "account", "state", "operation", "rows", "total", "made by", "since")
_ROW_COLUMNS = ("place", "line", "id", "name", "number", "amount", "note", "key")
_ANSWER_MAX = 1_000


def listing(*, account: str | None, limit: int, as_json: bool) -> None:
    """The runs that moved last."""
    with ledger_of(quiet_settings()) as ledger, ledger.read() as tx:
        found = runs.listed(tx, account=account, limit=limit)
    if as_json:
        say_json([_facts(run) for run in found])
        return
    if not found:
        say(
            "No runs. `momo run template` writes an example file, `momo run import FILE --name NAME` makes a draft of one."
        )
        return
    table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS), box=None)
    for run in found:
        since = moment(run.state_since_ms)
        table.add_row(run.name, run.account, run.state, run.operation, f"{run.rows:,}", _total(run), run.maker, since)
    wide_console().print(table)


def show(name: str, *, account: str, rows: int, full: bool, as_json: bool) -> None:
    """One run: its facts, its first rows, what it asks."""
    settings = quiet_settings()
    people = people_or_nobody(settings)
    with ledger_of(settings) as ledger, ledger.read() as tx:
        run = named_or_cancelled(tx, account, name)
        some = runs.rows_of(tx, run.id, limit=rows) if rows else []
        findings = runs.findings_of(tx, run.id)
        checked = run_checks.counts(tx, run.id)
        corrects = follows_up(run_outcomes.corrected_runs(tx, run.id, run.rows))
        waiting = waits_for(look(tx, run, people))
    if as_json:
        shown = [_row_facts(row, run, full=full) for row in some]
        told = [_finding_facts(one) for one in findings]
        more = {"follows_up": corrects or None, "checked": _check_facts(checked), "waits_for": waiting or None}
        say_json({**_facts(run), **more, "first_rows": shown, "findings": told})
        return
    say(f"Run {run.name}: {run.state} since {moment(run.state_since_ms)}")
    say(f"  pays       {run.rows:,} rows, {_total(run)}, {run.operation} from account {run.account}")
    say(f"  made by    {run.maker} of {run.file_name}, {moment(run.imported_at_ms)}")
    say(f"  digest     {run.digest}")
    for word, value in (("note", run.note), ("pay date", run.pay_date), ("follows up", corrects)):
        if value:
            say(f"  {word:<10} {value}")
    if checked != Counts():
        say(f"  checked    {', '.join(f'{count:,} {word}' for word, count in _check_facts(checked).items())}")
    if waiting:
        say(f"  next       {waiting}")
    for finding in findings:
        say(f"  {_finding_line(finding)}")
    if some:
        wide_console().print(_table(some, run, full=full))
        if run.rows > len(some):
            say(f"and {run.rows - len(some):,} rows more (--rows N)")


def answer(name: str, *, text: str, findings: Sequence[int], account: str, by: str, as_json: bool) -> None:
    """Keep a person's answer to what a draft asks."""
    if not text.strip():
        raise WrongUse("--text is missing: say why these rows are right; approvers read it")
    if len(text) > _ANSWER_MAX:
        raise WrongUse(f"--text has {len(text)} characters; give at most {_ANSWER_MAX}")
    who = actor(by)
    with ledger_of(quiet_settings()) as ledger, ledger.write() as tx:
        run = named(tx, account, name, lock=True)
        if run.state != "draft":
            raise AnswerIsNo(f"the run {name} is {run.state}; only a draft's questions are answered")
        open_now = [one.number for one in runs.findings_of(tx, run.id) if one.asked and one.answered_at_ms is None]
        unknown = [number for number in findings if number not in open_now]
        if unknown:
            raise AnswerIsNo(
                f"no open question has the number {unknown[0]}; open are: {_numbers(open_now)}; nothing was answered"
            )
        wanted = list(findings) or open_now
        if not wanted:
            raise AnswerIsNo(f"the run {name} asks nothing that isn't answered")
        count = runs.answer(tx, run.id, wanted, text_of_answer=text.strip(), by=who)
        stops.journal(
            tx, actor=who, action="run answered", subject=f"run={run.name} account={run.account}", reason=text.strip()
        )
    left = len(open_now) - count
    if as_json:
        say_json({"run_id": run.id, "answered": count, "to_answer": left})
        return
    say(f"{count:,} answered by {who}; {left:,} left to answer")


def named(tx: Tx, account: str, name: str, *, lock: bool = False) -> Run:
    """The run that a name stands for; raises with what there is."""
    found = runs.live(tx, account, name, lock=lock)
    if found is None:
        raise AnswerIsNo(no_such_run(tx, account, name))
    return found


def named_or_cancelled(tx: Tx, account: str, name: str) -> Run:
    """The same for who only reads: where the name stands for no run, the last that was cancelled before its first row."""
    found = runs.live(tx, account, name) or runs.last_cancelled(tx, account, name)
    if found is None:
        raise AnswerIsNo(no_such_run(tx, account, name))
    return found


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:50])) or "none"


def _total(run: Run) -> str:
    return f"{format_amount(run.total_minor, run.exponent)} {run.currency}"


def _table(rows: Sequence[RunRow], run: Run, *, full: bool) -> Table:
    table = Table(*(Column(name, no_wrap=True) for name in _ROW_COLUMNS), box=None)
    for row in rows:
        number = (
            (row.msisdn or row.collection or "-")
            if full
            else (masked(row.msisdn) if row.msisdn else row.collection or "-")
        )
        amount = format_amount(row.amount_minor, run.exponent)
        cells = (
            str(row.place),
            str(row.line),
            row.row_id or "-",
            row.name or "-",
            number,
            amount,
            row.note or "-",
            row.key,
        )
        table.add_row(*cells)
    return table


def _finding_line(finding: RunFinding) -> str:
    where = f"line {finding.line}: " if finding.line else ""
    if not finding.asked:
        return f"- {finding.number}. {where}{finding.told}"
    if finding.answered_at_ms is None:
        return f"? {finding.number}. {where}{finding.told}  (to be answered)"
    return f"✓ {finding.number}. {where}{finding.told}  ({finding.answered_by}: {finding.answer})"


def _facts(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "name": run.name,
        "account": run.account,
        "state": run.state,
        "operation": run.operation,
        "rows": run.rows,
        "total": format_amount(run.total_minor, run.exponent),
        "currency": run.currency,
        "note": run.note,
        "pay_date": run.pay_date,
        "file_name": run.file_name,
        "digest": run.digest,
        "maker": run.maker,
        "imported_at": moment(run.imported_at_ms),
        "state_since": moment(run.state_since_ms),
    }


def _check_facts(counts: Counts) -> dict[str, int]:
    return {"pass": counts.passed, "review": counts.review, "block": counts.block, "overridden": counts.overridden}


def _row_facts(row: RunRow, run: Run, *, full: bool) -> dict[str, Any]:
    return {
        "place": row.place,
        "line": row.line,
        "idempotency_key": row.key,
        "id": row.row_id,
        "name": row.name,
        "msisdn": row.msisdn if full else masked(row.msisdn),
        "amount": format_amount(row.amount_minor, run.exponent),
        "note": row.note,
        "refund_of": row.collection,
        "replaces": row.replaces,
    }


def _finding_facts(finding: RunFinding) -> dict[str, Any]:
    return {
        "number": finding.number,
        "kind": finding.kind,
        "line": finding.line,
        "told": finding.told,
        "asked": finding.asked,
        "answer": finding.answer,
        "answered_by": finding.answered_by,
        "answered_at": moment(finding.answered_at_ms),
    }
