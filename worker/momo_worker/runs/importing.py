"""A file becomes a draft of a run: bytes and what a person says of them come in, a whole draft or every reason against it goes out.

Nothing is half imported: rows are written in pieces and become a draft in one transaction at the end. Moves no money.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import IntegrityError

from momo_worker.ledger import run_release, run_signing, runs
from momo_worker.ledger.engine import ROWS_MAX as PIECE
from momo_worker.ledger.engine import Ledger, Tx
from momo_worker.ledger.runs import Run, RunFinding, RunRow
from momo_worker.payment.job import Terms
from momo_worker.payment.money import AmountError, format_amount, parse_amount
from momo_worker.payment.payment import Operation
from momo_worker.runs.amounts import plain_amount
from momo_worker.runs.collected import named_by_key
from momo_worker.runs.columns import Column
from momo_worker.runs.duplicates import Asked, listed_lines, within_file
from momo_worker.runs.fields import Finding
from momo_worker.runs.keys import row_keys, run_id
from momo_worker.runs.rows import Row, Rows, read_rows
from momo_worker.runs.sheets import open_sheet

#: Rows for the same number and amount in another run of these days are asked about.
ALIKE_WITHIN_MS = 5 * 24 * 3_600_000
_WARNINGS_KEPT = 1_000
_DIFFERENCES_TOLD = 10
Progress = Callable[[str, int, int | None], None]
_AT_ONCE = "somebody else imports {name} in this very moment: look at it with `momo run show {name}`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is imported, and what its maker says of it."""

    file_name: str
    content: bytes = field(repr=False)
    account: str
    name: str
    operation: Operation
    terms: Terms
    maker: str
    note: str | None = None
    pay_date: str | None = None
    sheet: str | None = None
    columns: Mapping[Column, str] = field(default_factory=dict)
    expect_count: int | None = None
    expect_total: str | None = None

    @property
    def digest(self) -> str:
        """Of the file alone: the same file under another name is a repetition."""
        return hashlib.sha256(self.content).hexdigest()

    def run_id(self, namespace: uuid.UUID) -> str:
        """Of all that says what would be paid: the same again is the same run."""
        return run_id(
            namespace, self.account, self.name, self.digest, self.operation.value, self.note or "", self.pay_date or ""
        )


@dataclass(frozen=True, slots=True)
class Imported:
    """A draft as it stands in the ledger."""

    run: Run
    findings: tuple[RunFinding, ...]
    #: The very same run was there before; nothing was written.
    repeated: bool = False
    #: The draft that it took the place of.
    superseded: Run | None = None


class NotImportedError(Exception):
    """Nothing was imported; the findings say why, each with where it stands and what to do."""

    def __init__(self, why: str, findings: Sequence[Finding] = (), rows: Rows | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.findings = tuple(findings)
        self.rows = rows


def read_file(wanted: Wanted, progress: Progress) -> tuple[Rows, tuple[str, ...]]:
    """The file's rows, and how it was read. Raises NotImportedError with every problem, FileError or HeaderError."""
    sheet = open_sheet(wanted.content, wanted.sheet)
    found: Rows | None = None
    for found in read_rows(sheet.lines, wanted.operation, wanted.terms, wanted.columns):
        progress("read", len(found.rows) + len(found.problems), None)
    assert found is not None  # noqa: S101 (a file without rows raises; a mistake of ours must not pass as an empty run)
    problems = [*found.problems, *_against_expectations(found, wanted)]
    if problems:
        raise NotImportedError(f"{_counted(problems)}, and nothing was imported", problems, found)
    return found, (sheet.form, *sheet.notes)


def _counted(problems: Sequence[Finding]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"


def _against_expectations(found: Rows, wanted: Wanted) -> list[Finding]:
    problems: list[Finding] = []
    advice = "compare the file with the list that was approved"
    if wanted.expect_count is not None and len(found.rows) != wanted.expect_count:
        reason = f"rows were read, and {wanted.expect_count:,} are expected"
        problems.append(Finding(0, "count", f"{len(found.rows):,}", reason, advice))
    if wanted.expect_total is not None:
        currency = wanted.terms.currency
        try:
            expected = parse_amount(plain_amount(wanted.expect_total, currency), currency)
        except AmountError as error:
            problems.append(Finding(0, "expected total", wanted.expect_total, error.reason, error.advice))
        else:
            if found.total_minor != expected:
                total = format_amount(found.total_minor, currency.exponent)
                problems.append(Finding(0, "total", total, f"was read, and {wanted.expect_total} is expected", advice))
    return problems


def write_draft(ledger: Ledger, namespace: uuid.UUID, wanted: Wanted, found: Rows, progress: Progress) -> Imported:
    """The rows as a draft under their run's name; the same run again is left as it is. Raises NotImportedError."""
    this = wanted.run_id(namespace)
    with ledger.read() as tx:
        # Before what the file asks is held against the ledger: a refund run that was paid has nothing left to refund, and is itself.
        if known := _known(tx, this):
            return known
    if wanted.operation is Operation.REFUND:
        found.rows, problems = named_by_key(ledger, wanted.account, found.rows)
        if problems:
            raise NotImportedError(f"{_counted(problems)}, and nothing was imported", problems, found)
    keys = row_keys(namespace, wanted.name, found.rows)
    rows = [_run_row(place, row, key) for place, (row, key) in enumerate(zip(found.rows, keys, strict=True), start=1)]
    with ledger.write() as tx:
        if known := _known(tx, this, lock=True):
            return known
        _refuse_after_release(tx, wanted, rows)
        # In one transaction with the look at it: from here on it is no draft, and nobody takes its rows for one's.
        new = _run(this, wanted, found, tx.now_ms)
        runs.add(tx, new)
        # A run that was put aside or cancelled and comes again is signed and released anew.
        run_signing.forget_signatures(tx, this)
        run_release.forget(tx, this)
    _forget(ledger, this)
    findings = _numbered(_asked(ledger, new, found.rows, wanted), found.warnings)
    try:
        _write_pieces(ledger, this, rows, findings, progress)
    except IntegrityError:
        raise NotImportedError(_AT_ONCE.format(name=wanted.name)) from None
    return _as_draft(ledger, wanted, new, rows, findings)


def _known(tx: Tx, this: str, *, lock: bool = False) -> Imported | None:
    """The very same run, where it is there and neither half imported nor over before it began."""
    before = runs.find(tx, this, lock=lock)
    if before is None or before.state in ("importing", "superseded", "cancelled"):
        return None
    return Imported(before, tuple(runs.findings_of(tx, this)), repeated=True)


def _write_pieces(
    ledger: Ledger, this: str, rows: Sequence[RunRow], findings: Sequence[RunFinding], progress: Progress
) -> None:
    for at in range(0, len(rows), PIECE):
        with ledger.write() as tx:
            runs.add_rows(tx, this, rows[at : at + PIECE])
        progress("write", min(at + PIECE, len(rows)), len(rows))
    for at in range(0, len(findings), PIECE):
        with ledger.write() as tx:
            runs.add_findings(tx, this, findings[at : at + PIECE])


def _as_draft(
    ledger: Ledger, wanted: Wanted, new: Run, rows: Sequence[RunRow], findings: Sequence[RunFinding]
) -> Imported:
    """One flag makes the pieces a draft; the draft that had the name is put aside in the same moment."""
    with ledger.write() as tx:
        _refuse_after_release(tx, wanted, rows)
        old = runs.live(tx, wanted.account, wanted.name, lock=True)
        if old is not None and not runs.move_if(tx, old.id, old.state, "superseded"):
            raise NotImportedError(f"the run {wanted.name} moved in this very moment: import it again")
        if runs.counted(tx, new.id) != (new.rows, new.total_minor) or not runs.move_if(
            tx, new.id, "importing", "draft"
        ):
            raise NotImportedError(_AT_ONCE.format(name=wanted.name))
        made = runs.find(tx, new.id)
        assert made is not None  # noqa: S101 (it was moved in this transaction)
        return Imported(made, tuple(findings), superseded=old)


def _refuse_after_release(tx: Tx, wanted: Wanted, rows: Sequence[RunRow]) -> None:
    """A name is used up by its release: another file under it would pay people a second time."""
    old = runs.live(tx, wanted.account, wanted.name, lock=True)
    if old is None or old.state in ("draft", "submitted", "approved"):
        return
    raise NotImportedError(
        f"the run {wanted.name} is {old.state}, and this is another file: give the new one a name of its own",
        _differences(tx, old, rows),
    )


def _differences(tx: Tx, old: Run, rows: Sequence[RunRow]) -> list[Finding]:
    """What a file has otherwise than the run that its name stands for."""
    new = {row.key: row for row in rows}
    told: list[Finding] = []
    after, same = 0, 0
    while piece := runs.rows_of(tx, old.id, after=after, limit=PIECE):
        after = piece[-1].place
        for row in piece:
            other = new.pop(row.key, None)
            if other is None:
                told.append(Finding(row.line, "row", row.key, "is in the run and not in this file"))
            elif (other.amount_minor, other.msisdn) != (row.amount_minor, row.msisdn):
                told.append(Finding(other.line, "row", row.key, "has another amount or number in this file"))
            else:
                same += 1
    told += [Finding(row.line, "row", row.key, "is in this file and not in the run") for row in new.values()]
    left = len(told) - _DIFFERENCES_TOLD
    more = [Finding(0, "rows", f"{left:,}", "more differ")] if left > 0 else []
    return [*told[:_DIFFERENCES_TOLD], *more, Finding(0, "rows", f"{same:,}", "are the same")]


def _forget(ledger: Ledger, this: str) -> None:
    """What an import that was killed left behind, or a draft that was put aside, in pieces."""
    while True:
        with ledger.write() as tx:
            if not runs.forget_rows(tx, this, limit=PIECE):
                return


def _asked(ledger: Ledger, new: Run, rows: Sequence[Row], wanted: Wanted) -> list[Asked]:
    """What somebody must answer before this run is approved: repetitions of files, rows and people."""
    asked: list[Asked] = []
    with ledger.read() as tx:
        same = sorted({other.name for other in runs.same_file(tx, wanted.account, wanted.digest)} - {wanted.name})
    if same:
        asked.append(Asked("repetition", 0, f"the very same file was imported as {', '.join(same)}"))
    return [
        *asked,
        *within_file(rows, new.exponent),
        *_in_other_runs(ledger, new, rows, but=frozenset({*same, wanted.name})),
    ]


def _in_other_runs(ledger: Ledger, new: Run, rows: Sequence[Row], *, but: frozenset[str]) -> list[Asked]:
    """Rows for a number and amount that another recent run has, too; one question for each run."""
    lines: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        if row.msisdn is not None:
            lines.setdefault((row.msisdn, row.amount_minor), []).append(row.line)
    numbers = sorted({msisdn for msisdn, _ in lines})
    alike: dict[str, set[int]] = {}
    for at in range(0, len(numbers), PIECE):
        with ledger.read() as tx:
            found = runs.alike_in_others(tx, new, numbers[at : at + PIECE], tx.now_ms - ALIKE_WITHIN_MS)
        for msisdn, amount_minor, name in found:
            if name not in but and (msisdn, amount_minor) in lines:
                alike.setdefault(name, set()).update(lines[msisdn, amount_minor])
    return [
        Asked(
            "earlier_run",
            min(mine),
            f"{len(mine):,} rows have number and amount as rows of run {name}: lines {listed_lines(sorted(mine))}",
        )
        for name, mine in sorted(alike.items())
    ]


def _numbered(asked: Sequence[Asked], warnings: Sequence[Finding]) -> list[RunFinding]:
    found = [RunFinding(number, one.kind, one.line, one.told, asked=True) for number, one in enumerate(asked, start=1)]
    kept = warnings[:_WARNINGS_KEPT]
    found += [
        RunFinding(number, "warning", one.line, f"{one.column}: {one.reason}", asked=False)
        for number, one in enumerate(kept, start=len(found) + 1)
    ]
    if len(warnings) > len(kept):
        found.append(
            RunFinding(len(found) + 1, "warning", 0, f"{len(warnings) - len(kept):,} more warnings", asked=False)
        )
    return found


def _run(this: str, wanted: Wanted, found: Rows, now_ms: int) -> Run:
    currency = wanted.terms.currency
    return Run(
        id=this,
        account=wanted.account,
        name=wanted.name,
        operation=wanted.operation.value,
        digest=wanted.digest,
        state="importing",
        currency=currency.code,
        exponent=currency.exponent,
        rows=len(found.rows),
        total_minor=found.total_minor,
        note=wanted.note,
        pay_date=wanted.pay_date,
        file_name=wanted.file_name,
        maker=wanted.maker,
        imported_at_ms=now_ms,
        state_since_ms=now_ms,
    )


def _run_row(place: int, row: Row, key: str) -> RunRow:
    return RunRow(
        place=place,
        line=row.line,
        key=key,
        row_id=row.row_id,
        name=row.name,
        msisdn=row.msisdn,
        amount_minor=row.amount_minor,
        note=row.note,
        collection=row.collection,
        replaces=row.replaces,
    )
