"""`momo run import`: a file and what its maker says come in, a draft in the ledger goes out, or every problem at once and a copy with reasons."""

import gc
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.reading import account_with, actor, ledger_of, quiet_settings
from momo_worker.cli.deeds.run_problems import problems_path, write_problems
from momo_worker.cli.deeds.showing import moment
from momo_worker.cli.saying import DONE, AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import installation
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.runs import Run
from momo_worker.payment.job import Terms
from momo_worker.payment.money import format_amount
from momo_worker.payment.notes import NOTE_MAX
from momo_worker.payment.payment import PRODUCT_OF, Operation
from momo_worker.runs.columns import HEADERS, Column, HeaderError
from momo_worker.runs.fields import Finding
from momo_worker.runs.importing import Imported, NotImportedError, Wanted, read_file, write_draft
from momo_worker.runs.keys import NAME
from momo_worker.runs.sheets import FileError, read_bytes
from momo_worker.runs.whole_file import NotWrittenError
from momo_worker.settings import Settings

#: So many new objects between two looks for what nobody holds any more.
_LOOK_AFTER_OBJECTS = 100_000
_PROBLEMS_SHOWN = 20
_FINDINGS_SHOWN = 20
_OPERATIONS = (Operation.DISBURSE, Operation.REFUND, Operation.COLLECT)
_WHY_A_NAME = (
    "--name is missing: give the run a name that holds its period, such as salary-2026-12. The same file under the same name is the "
    "same run and is never paid twice; next month's is another run because its name is another"
)


@dataclass(frozen=True, slots=True)
class Said:
    """What stands on the command line."""

    file: str
    name: str
    operation: str
    account: str
    note: str | None
    pay_date: str | None
    expect_count: int | None
    expect_total: str | None
    columns: tuple[str, ...]
    sheet: str | None
    by: str


def import_file(said: Said, *, as_json: bool) -> int:
    """Read, check and keep; nothing is half imported."""
    settings = quiet_settings()
    operation = _operation(said.operation)
    account = account_with(settings, said.account, PRODUCT_OF[operation])
    terms = Terms(account.market.currency, account.market.region)
    with ledger_of(settings) as ledger, bar(quiet=as_json) as progress, _few_looks():
        try:
            wanted = _wanted(said, operation, terms)
            found, notes = read_file(wanted, progress.tell)
            imported = write_draft(ledger, _namespace(ledger, settings), wanted, found, progress.tell)
        except FileError as error:
            raise AnswerIsNo(f"{said.file} {error}; nothing was imported") from None
        except HeaderError as error:
            raise _refused(said, [Finding(0, "header", *problem) for problem in error.problems], None) from None
        except NotImportedError as error:
            raise _not_imported(said, error) from None
    old = problems_path(Path(said.file))
    outdated = old if not imported.repeated and old.is_file() else None
    _tell(imported, found.header.told(), found.header.unread, notes, outdated, as_json=as_json)
    return DONE


@contextmanager
def _few_looks() -> Iterator[None]:
    """The rows of a run are made once and kept to the end: to look through them for garbage again and again took an eighth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(_LOOK_AFTER_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _namespace(ledger: Ledger, settings: Settings) -> uuid.UUID:
    """Whose names these are, as every process that starts on the ledger asks; an account that was re-pointed is refused, too."""
    with ledger.write() as tx:
        us = installation.prepare(tx, settings.namespace, sandbox_only=settings.namespace is None)
        installation.pin_accounts(tx, settings.accounts.values(), write=False)
    return us.namespace


def _operation(name: str) -> Operation:
    if name not in _OPERATIONS:
        raise WrongUse(f"--operation is {name!r}; use one of {', '.join(_OPERATIONS)}")
    return Operation(name)


def _wanted(said: Said, operation: Operation, terms: Terms) -> Wanted:
    if not said.name:
        raise WrongUse(_WHY_A_NAME)
    if not NAME.fullmatch(said.name):
        raise WrongUse(f"--name is {said.name!r}; use 1 to 40 letters, digits and . _ - , such as salary-2026-12")
    if said.note is not None and not 0 < len(said.note) <= NOTE_MAX:
        raise WrongUse(f"--note has {len(said.note)} characters; give 1 to {NOTE_MAX}")
    return Wanted(
        file_name=Path(said.file).name,
        content=read_bytes(Path(said.file)),
        account=said.account,
        name=said.name,
        operation=operation,
        terms=terms,
        maker=actor(said.by),
        note=said.note,
        pay_date=_day(said.pay_date),
        sheet=said.sheet,
        columns=_columns(said.columns),
        expect_count=said.expect_count,
        expect_total=said.expect_total,
    )


def _day(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise WrongUse(f"--pay-date is {text!r}; give a day such as 2026-12-28")


def _columns(given: Sequence[str]) -> dict[Column, str]:
    found: dict[Column, str] = {}
    for text in given:
        field, equals, header = text.partition("=")
        if not equals or field not in set(HEADERS) or not header:
            raise WrongUse(f"--column is {text!r}; write FIELD=HEADER with one of {', '.join(HEADERS)}")
        found[Column(field)] = header
    return found


def _not_imported(said: Said, error: NotImportedError) -> AnswerIsNo:
    # Where no row is wrong, as where --expect-total is, a copy would be one of a file that is right.
    if error.rows is None or not any(finding.line for finding in error.findings):
        return _refused(said, error.findings, error.why)
    try:
        copy = write_problems(Path(said.file), error.rows, error.findings, said.sheet)
    except NotWrittenError as refused:
        return _refused(said, error.findings, f"{error.why}; {refused}")
    return _refused(said, error.findings, error.why, copy)


def _refused(said: Said, findings: Sequence[Finding], why: str | None, copy: Path | None = None) -> AnswerIsNo:
    lines = [f"{said.file}: {why or 'its columns could not be told, and nothing was imported'}"]
    lines += [f"  {finding}" for finding in findings[:_PROBLEMS_SHOWN]]
    if len(findings) > _PROBLEMS_SHOWN:
        lines.append(f"  and {len(findings) - _PROBLEMS_SHOWN:,} more")
    if copy is not None:
        lines.append(f"every row with its reasons stands in {copy}")
    facts: dict[str, Any] = {"problems": [_facts(finding) for finding in findings]}
    if copy is not None:
        facts["problems_file"] = str(copy)
    return AnswerIsNo("\n".join(lines), facts)


def _facts(finding: Finding) -> dict[str, Any]:
    return {
        "line": finding.line, "column": finding.column, "value": finding.value, "reason": finding.reason, "advice": finding.advice
    }  # fmt: skip


def _tell(
    imported: Imported,
    read_from: Sequence[tuple[str, str]],
    unread: Sequence[str],
    notes: Sequence[str],
    outdated: Path | None,
    *,
    as_json: bool,
) -> None:
    run, asked = imported.run, [finding for finding in imported.findings if finding.asked]
    open_now = [finding for finding in asked if finding.answered_at_ms is None]
    total = f"{format_amount(run.total_minor, run.exponent)} {run.currency}"
    if as_json:
        say_json(
            {
                "run_id": run.id, "name": run.name, "account": run.account, "state": run.state, "operation": run.operation,
                "rows": run.rows, "total": format_amount(run.total_minor, run.exponent), "currency": run.currency,
                "digest": run.digest, "imported_at": moment(run.imported_at_ms), "repeated": imported.repeated,
                "superseded": imported.superseded.id if imported.superseded else None, "read_as": list(notes),
                "columns": dict(read_from), "columns_not_read": list(unread), "to_answer": len(open_now),
                "outdated_problems_file": str(outdated) if outdated else None,
                "findings": [{"number": one.number, "kind": one.kind, "line": one.line, "told": one.told} for one in imported.findings],
            }
        )  # fmt: skip
        return
    if imported.repeated:
        say(f"The same run as before, and nothing was changed: {run.name} is {run.state}, {run.rows:,} rows, {total}.")
        return
    if imported.superseded is not None:
        say(f"{_put_aside(imported.superseded)} was put aside.")
    say(f"Draft {run.name}: {run.rows:,} rows, {total}, {run.operation} from account {run.account}. Nobody was paid.")
    say(f"  read as {'; '.join(notes)}")
    say(f"  columns: {', '.join(f'{field} from {header!r}' for field, header in read_from)}")
    if unread:
        say(f"  not read: {', '.join(map(repr, unread))}")
    for finding in imported.findings[:_FINDINGS_SHOWN]:
        where = f"line {finding.line}: " if finding.line else ""
        say(f"  {'?' if finding.asked else '-'} {finding.number}. {where}{finding.told}")
    if len(imported.findings) > _FINDINGS_SHOWN:
        say(f"  and {len(imported.findings) - _FINDINGS_SHOWN:,} more: momo run show {run.name}")
    if outdated is not None:
        say(f"  {outdated} tells problems of an earlier import; it is out of date, and yours to remove")
    if open_now:
        say(f"{len(open_now):,} must be answered before it can be approved: momo run answer {run.name} --text '…'")


def _put_aside(old: Run) -> str:
    """What had the name until now; one that people had signed loses their signatures with its place."""
    total = f"{format_amount(old.total_minor, old.exponent)} {old.currency}"
    signed = "" if old.state == "draft" else f", {old.state}: who signed it signs the new one anew"
    return f"The draft of {moment(old.imported_at_ms)} ({old.rows:,} rows, {total}{signed})"
