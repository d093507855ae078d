"""`momo run report`: a run comes in, what became of its rows goes out, as text and as files that are there whole or not at all. Reads only."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from momo_worker.cli.deeds.approvers import people_or_nobody
from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.reading import ledger_of, quiet_settings
from momo_worker.cli.deeds.runs import named_or_cancelled
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import run_outcomes, run_signing, schedule_dues, schedules
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.runs import Run
from momo_worker.mtn.reasons import explain
from momo_worker.runs.export import writable
from momo_worker.runs.outcomes import Count, Outcome, Totals, outcomes
from momo_worker.runs.progress import look, waits_for
from momo_worker.runs.report import OVERRIDES, WORDS, Subject, Writer, follows_up, override_cells
from momo_worker.runs.report_csv import CsvReport
from momo_worker.runs.report_html import HtmlReport
from momo_worker.runs.report_xlsx import XlsxReport
from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put, refuse_what_is_there

_REASONS_SHOWN = 10
_FORMS: dict[str, Callable[[Path, Subject], Writer]] = {"csv": CsvReport, "html": HtmlReport, "xlsx": XlsxReport}


@dataclass(frozen=True, slots=True)
class Files:
    """Which files are asked for: a form and a path each."""

    wanted: tuple[tuple[str, Path], ...]
    force: bool


def report(
    name: str,
    *,
    csv: str | None,
    html: str | None,
    xlsx: str | None,
    full: bool,
    force: bool,
    account: str,
    as_json: bool,
) -> None:
    """Tell what became of a run, once for all forms: they agree with one another."""
    given = (("csv", csv), ("html", html), ("xlsx", xlsx))
    files = Files(tuple((form, Path(path)) for form, path in given if path), force)
    if len({path.absolute() for _, path in files.wanted}) < len(files.wanted):
        raise WrongUse("two of the files have one name; give each its own")
    settings = quiet_settings()
    people = people_or_nobody(settings)
    with ledger_of(settings) as ledger, bar(quiet=as_json) as progress:
        subject = _subject(ledger, account, name, full=full)
        try:
            totals = _written(ledger, subject, files, progress.tell)
        except (FileIsThereError, NotWrittenError) as error:
            raise AnswerIsNo(str(error)) from None
        with ledger.read() as tx:
            waiting = waits_for(look(tx, subject.run, people))
            by_schedule = _schedule_of(tx, subject.run)
    _tell(subject, totals, files.wanted, waiting, by_schedule, as_json=as_json)


def explained(code: str | None) -> dict[str, str] | None:
    """MTN's code in words."""
    if code is None:
        return None
    found = explain(code)
    return {"code": found.code, "message": found.message, "advice": found.advice}


def _subject(ledger: Ledger, account: str, name: str, *, full: bool) -> Subject:
    with ledger.read() as tx:
        run = named_or_cancelled(tx, account, name)
        corrected = run_outcomes.corrected_runs(tx, run.id, run.rows)
        signed = tuple(f"{one.name} ({one.role.value})" for one in run_signing.signatures(tx, run.id))
        return Subject(run, follows_up(corrected), signed, tx.now_ms, full)


def _written(
    ledger: Ledger, subject: Subject, files: Files, progress: Callable[[str, int, int | None], None]
) -> Totals:
    totals, run = Totals(), subject.run
    for _, path in files.wanted:
        refuse_what_is_there(path, force=files.force)
    with ExitStack() as stack:
        made = [(stack.enter_context(beside(path)), path) for _, path in files.wanted]
        writers: list[Writer] = []
        for (form, _), (new, _) in zip(files.wanted, made, strict=True):
            writers.append(_FORMS[form](new, subject))
            stack.callback(writers[-1].close)
        for piece in outcomes(ledger, run, explained):
            totals.add(piece)
            for writer in writers:
                writer.rows(piece)
            progress("told", totals.all.rows, run.rows)
        for writer in writers:
            writer.finish(totals)
        for new, path in made:
            put(new, path, force=files.force)
    return totals


def _schedule_of(tx: Tx, run: Run) -> str:
    """What the schedule that made a run is called by; "" for a run that people made."""
    asked = schedule_dues.round_of(tx, run.id)
    schedule = None if asked is None else schedules.find(tx, asked[0])
    if schedule is None:
        return ""
    return schedule.id if schedule.state == "removed" else schedule.name


def _tell(
    subject: Subject,
    totals: Totals,
    wanted: Sequence[tuple[str, Path]],
    waiting: str,
    by_schedule: str = "",
    *,
    as_json: bool,
) -> None:
    if as_json:
        written = {form: str(path) for form, path in wanted}
        say_json({**_facts(subject, totals), "waits_for": waiting or None, "files": written})
        return
    run = subject.run
    for word, value in subject.facts():
        say(f"{word:<18} {writable(value)}")
    for state, count in totals.by_state():
        say(f"  {WORDS[state]:<24} {count.rows:>9,} {'row ' if count.rows == 1 else 'rows'}  {_money(subject, count)}")
    why_not = totals.why_not()
    for (state, _, reason, advice), count in why_not[:_REASONS_SHOWN]:
        say(writable(f"  {count.rows:>9,} {WORDS[state]}: {reason}" + (f" ({advice})" if advice else "")))
    if len(why_not) > _REASONS_SHOWN:
        say(f"  and {len(why_not) - _REASONS_SHOWN:,} reasons more, which the files hold")
    _tell_overrides(subject, totals)
    if waiting:
        say(f"{'next':<18} {waiting}")
    if totals.to_correct:
        say(_what_follows(run, by_schedule))
    for form, path in wanted:
        say(f"{form} written: {path}")
    if not wanted:
        say(f"Every row: `momo run report {run.name} --csv FILE`, --xlsx FILE, --html FILE (to print).")


def _what_follows(run: Run, by_schedule: str) -> str:
    if by_schedule:
        return f"Who owes of it, and when they are asked again: `momo schedule arrears {by_schedule}`"
    return f"What failed, to correct and pay in a run of its own: `momo run follow-up {run.name} --file FILE.csv`"


def _tell_overrides(subject: Subject, totals: Totals) -> None:
    if not totals.overrides:
        return
    say(f"  {'against the check':<24} {totals.overridden.rows:>9,} rows  {_money(subject, totals.overridden)}")
    for one in totals.overrides[:_REASONS_SHOWN]:
        place, row_id, name, number, _, state, check, by, _, why = override_cells(one, subject)
        who = " ".join(part for part in (row_id, name, number) if part)
        say(writable(f"  {'row ' + place:>13} {who} ({state}) {check}; {by}: {why}"))
    if totals.overridden.rows > _REASONS_SHOWN:
        say(f"  and {totals.overridden.rows - _REASONS_SHOWN:,} rows more, which the files hold")


def _money(subject: Subject, count: Count) -> str:
    return f"{subject.money(count.minor)} {subject.run.currency}"


def _facts(subject: Subject, totals: Totals) -> dict[str, Any]:
    run = subject.run
    return {
        "run_id": run.id,
        "name": run.name,
        "account": run.account,
        "state": run.state,
        "rows": run.rows,
        "total": subject.money(run.total_minor),
        "currency": run.currency,
        "follows_up": subject.follows_up or None,
        "as_of": moment(subject.at_ms),
        "states": {state: _counted(subject, count) for state, count in totals.by_state()},
        "reasons": [
            {"state": state, "code": code or None, "reason": reason, "advice": advice, **_counted(subject, count)}
            for (state, code, reason, advice), count in totals.why_not()
        ],
        "overridden": {
            **_counted(subject, totals.overridden),
            "first": [_override_facts(one, subject) for one in totals.overrides],
        },
    }


def _override_facts(one: Outcome, subject: Subject) -> dict[str, Any]:
    told = dict(zip(OVERRIDES, override_cells(one, subject), strict=True))
    return {word.replace(" ", "_"): text or None for word, text in told.items()} | {"place": one.row.place}


def _counted(subject: Subject, count: Count) -> dict[str, Any]:
    return {"rows": count.rows, "amount": subject.money(count.minor)}
