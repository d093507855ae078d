"""The words of `momo run`: import a file, look at its draft, answer what it asks."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Account, AnyAccount, By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import run_import, run_template
    from momo_worker.cli.deeds import runs as deeds
else:
    run_import = late("momo_worker.cli.deeds.run_import")
    run_template = late("momo_worker.cli.deeds.run_template")
    deeds = late("momo_worker.cli.deeds.runs")

run = typer.Typer(
    help="Pay many people from a file: import and look at what it would pay.",
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
        str | None, typer.Option("--expect-total", help="What their amounts must sum up to.")
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
