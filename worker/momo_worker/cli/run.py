"""The words of `momo run`: import a file, look at its draft, answer what it asks, check who has its numbers; sign, release, watch, hold and end it."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Account, AnyAccount, By, Json, PassphraseFile

if TYPE_CHECKING:
    from momo_worker.cli.deeds import (
        run_check,
        run_follow_up,
        run_import,
        run_proof,
        run_releasing,
        run_report,
        run_signing,
        run_template,
        run_watching,
    )
    from momo_worker.cli.deeds import runs as deeds
else:
    run_check = late("momo_worker.cli.deeds.run_check")
    run_releasing = late("momo_worker.cli.deeds.run_releasing")
    run_signing = late("momo_worker.cli.deeds.run_signing")
    run_watching = late("momo_worker.cli.deeds.run_watching")
    run_report = late("momo_worker.cli.deeds.run_report")
    run_follow_up = late("momo_worker.cli.deeds.run_follow_up")
    run_proof = late("momo_worker.cli.deeds.run_proof")
    run_import = late("momo_worker.cli.deeds.run_import")
    run_template = late("momo_worker.cli.deeds.run_template")
    deeds = late("momo_worker.cli.deeds.runs")

run = typer.Typer(
    help="Pay many people from a file: import it, have it approved, release it, follow it.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The run's name, with its period: salary-2026-12.")]


@run.command("import")
def import_file(
    file: Annotated[str, typer.Argument(help="A CSV or XLSX file with a header and one payment a row.")],
    name: Annotated[str, typer.Option("--name", help="The run's name, with its period: salary-2026-12.")] = "",
    operation: Annotated[str, typer.Option(help="disburse, refund or collect.")] = "disburse",
    account: Account = "default",
    note: Annotated[
        str | None, typer.Option(help="What people read beside the money, where a row has no note.")
    ] = None,
    pay_date: Annotated[
        str | None, typer.Option("--pay-date", metavar="DATE", help="Not before this day: 2026-12-28.")
    ] = None,
    expect_count: Annotated[
        int | None, typer.Option("--expect-count", min=0, help="How many rows there must be.")
    ] = None,
    expect_total: Annotated[
        str | None,
        typer.Option("--expect-total", help="What their amounts must sum up to, written as in a file: 5,345,000."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=HEADER", help="Which column holds a field; may be given again."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Which sheet of a workbook.")] = None,
    by: By = "",
    as_json: Json = False,
) -> int:
    """Read a file, check every row and keep it as a draft. Pays nobody: a draft is approved and released by others."""
    said = run_import.Said(
        file, name, operation, account, note, pay_date, expect_count, expect_total, tuple(column or ()), sheet, by
    )
    return run_import.import_file(said, as_json=as_json)


@run.command("template")
def template(
    file: Annotated[str, typer.Argument(help="Where to write the example: .csv or .xlsx.")] = "run-template.csv",
    operation: Annotated[str, typer.Option(help="disburse, refund or collect.")] = "disburse",
    account: Account = "default",
    columns: Annotated[bool, typer.Option("--columns", help="List the headers that are understood instead.")] = False,
    as_json: Json = False,
) -> None:
    """Write an example file to fill in."""
    run_template.template(file, operation, account, columns=columns, as_json=as_json)


@run.command("list")
def list_runs(
    account: AnyAccount = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List the runs that moved last."""
    deeds.listing(account=account, limit=limit, as_json=as_json)


@run.command("show")
def show(
    name: Name,
    account: Account = "default",
    rows: Annotated[int, typer.Option(min=0, help="How many rows to show.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Show phone numbers whole.")] = False,
    as_json: Json = False,
) -> None:
    """Show a run: what it pays, how it was read, what must be answered before it is approved."""
    deeds.show(name, account=account, rows=rows, full=full, as_json=as_json)


@run.command("answer")
def answer(
    name: Name,
    text: Annotated[str, typer.Option("--text", help="The answer, such as: salary and bonus, checked with HR.")] = "",
    finding: Annotated[
        list[int] | None, typer.Option("--finding", help="Which findings; all that are open without it.")
    ] = None,
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Answer what a draft asks: people who stand in it twice, rows that another run has, a file that was imported before."""
    deeds.answer(name, text=text, findings=finding or [], account=account, by=by, as_json=as_json)


@run.command("check")
def check(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="Ask anew also about numbers that are known.")] = False,
    account: Account = "default",
    rows: Annotated[int, typer.Option(min=0, help="How many rows to show that didn't pass.")] = 50,
    full: Annotated[bool, typer.Option("--full", help="Show phone numbers whole.")] = False,
    as_json: Json = False,
) -> None:
    """Ask MTN whether a run's numbers are active and whose they are, and compare the names. Goes on where it was stopped."""
    raise typer.Exit(run_check.check_run(name, account=account, again=again, rows=rows, full=full, as_json=as_json))


@run.command("override")
def override(
    name: Name,
    row: Annotated[int, typer.Option("--row", min=1, help="Which row, by its place: the table's first column.")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why, such as: paid on her husband's phone, form of 3 May.")
    ] = "",
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Answer for a row that the check blocks, or would have looked at."""
    run_check.override(name, row=row, reason=reason, account=account, by=by, as_json=as_json)


As = Annotated[str, typer.Option("--as", metavar="NAME", help="Who signs, with a key on this machine.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a few words; it is kept.")]


@run.command("submit")
def submit(
    name: Name,
    by: As = "",
    account: Account = "default",
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Sign a draft as its maker, for others to approve."""
    run_signing.sign(name, role="maker", by=by, account=account, file=passphrase_file, as_json=as_json)


@run.command("approve")
def approve(
    name: Name,
    by: As = "",
    account: Account = "default",
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Sign exactly these rows as an approver. Nobody approves what they made."""
    run_signing.sign(name, role="approver", by=by, account=account, file=passphrase_file, as_json=as_json)


@run.command("reopen")
def reopen(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """Take all signatures off a run that isn't released, so that it is signed anew."""
    run_signing.reopen(name, reason=reason, account=account, by=by, as_json=as_json)


@run.command("release")
def release(
    name: Name,
    first: Annotated[
        int | None, typer.Option("--first", metavar="N", min=1, help="Only the first N rows, as a trial.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="WHEN", help="Not before: 2026-12-28T06:00:00+03:00, or 90m, 2d from now."),
    ] = None,
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Let an approved run go. The pump pays its rows one after another."""
    run_releasing.release(name, first=first, at=at, account=account, by=by, as_json=as_json)


@run.command("pause")
def pause(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """Hold a run: no row of it leaves any more. What MTN has is followed to its end."""
    run_releasing.pause(name, reason=reason, account=account, by=by, as_json=as_json)


@run.command("resume")
def resume(
    name: Name,
    reason: Reason = "",
    again_unfunded: Annotated[
        bool, typer.Option("--again-unfunded", help="Try rows again that failed for want of money.")
    ] = False,
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Let a run that was paused go on."""
    run_releasing.resume(name, reason=reason, again_unfunded=again_unfunded, account=account, by=by, as_json=as_json)


@run.command("cancel")
def cancel(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """End a run: rows that weren't sent never are."""
    run_releasing.cancel(name, reason=reason, account=account, by=by, as_json=as_json)


@run.command("watch")
def watch(
    name: Name,
    account: Account = "default",
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, help="Give up after so long; exit code 1 if it isn't over by then.")
    ] = 86_400.0,
    as_json: Json = False,
) -> None:
    """Follow a run: counts, money, rate, and when it will be done at this pace."""
    run_watching.watch(name, account=account, once=once, seconds=seconds, as_json=as_json)


Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]


@run.command("report")
def report(
    name: Name,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Every row, for other programs.")] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="A page to print, on A4.")] = None,
    xlsx: Annotated[str | None, typer.Option("--xlsx", metavar="FILE", help="A workbook: totals and rows.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Show phone numbers whole.")] = False,
    force: Force = False,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Tell what became of every row: counts and money by state, reasons in words; as text, and as files where they are named."""
    run_report.report(name, csv=csv, html=html, xlsx=xlsx, full=full, force=force, account=account, as_json=as_json)


@run.command("follow-up")
def follow_up(
    name: Name,
    file: Annotated[str, typer.Option("--file", metavar="FILE.csv", help="The file to write.")] = "",
    force: Force = False,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Write the rows that failed or were rejected, to be corrected and imported as a run of their own."""
    run_follow_up.follow_up(name, file=file, force=force, account=account, as_json=as_json)


@run.command("proof")
def proof(
    name: Name,
    file: Annotated[str, typer.Option("--file", metavar="PACK.zip", help="The pack to write.")] = "",
    force: Force = False,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Write a run's proof: what was signed, what was sent, what became of it; anybody can check it without us."""
    run_proof.proof(name, file=file, force=force, account=account, as_json=as_json)


@run.command("verify")
def verify(
    file: Annotated[str, typer.Argument(metavar="PACK.zip", help="A pack that `momo run proof` wrote.")],
    as_json: Json = False,
) -> None:
    """Check a proof pack: files, signatures, rows, requests and history. Needs no ledger; exit code 1 when something doesn't hold."""
    run_proof.verify(file, as_json=as_json)
