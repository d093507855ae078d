"""The words of `momo schedule`: make a schedule of collections, have it approved, see what it will do and did; edit, hold and end it."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Account, AnyAccount, By, Json, PassphraseFile

if TYPE_CHECKING:
    from momo_worker.cli.deeds import schedule_applying as applying
    from momo_worker.cli.deeds import schedule_editing as editing
    from momo_worker.cli.deeds import schedule_holding as holding
    from momo_worker.cli.deeds import schedule_settling as settling
    from momo_worker.cli.deeds import schedule_showing as showing
    from momo_worker.cli.deeds import schedule_signing as signing
else:
    applying = late("momo_worker.cli.deeds.schedule_applying")
    editing = late("momo_worker.cli.deeds.schedule_editing")
    holding = late("momo_worker.cli.deeds.schedule_holding")
    settling = late("momo_worker.cli.deeds.schedule_settling")
    showing = late("momo_worker.cli.deeds.schedule_showing")
    signing = late("momo_worker.cli.deeds.schedule_signing")

schedule = typer.Typer(
    help="Collect from the same people each week or month: fees, rent, contributions, instalments.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The schedule's name, or its id.")]
Rule = Annotated[
    str | None, typer.Option("--rule", help="When: monthly on 5, last working day, every 2 weeks on friday, RRULE:…")
]
Zone = Annotated[str | None, typer.Option("--zone", help="Whose clock: Africa/Kampala. Default: the market's.")]
Starts = Annotated[str | None, typer.Option("--starts", metavar="DATE", help="From when the rule counts: 2026-12-01.")]
Ends = Annotated[
    str | None, typer.Option("--ends", metavar="DATE", help="The last day on which it may fall; none for no end.")
]
Amount = Annotated[
    str | None,
    typer.Option("--amount", help="One amount for everybody; per-payer takes the file's. Default: the file's."),
]
Payers = Annotated[
    str | None, typer.Option("--payers", metavar="FILE", help="A CSV or XLSX file: id, name, phone, amount, zone.")
]
Note = Annotated[str | None, typer.Option("--note", help="What people read beside the prompt.")]
Holidays = Annotated[str | None, typer.Option("--holidays", help="Of which country: UG, or CA-QC with its part; none.")]
OnHoliday = Annotated[
    str | None,
    typer.Option("--on-holiday", help="What becomes of a day that is a holiday: keep, before, after or skip."),
]
ExtraHolidays = Annotated[
    str | None,
    typer.Option("--extra-holidays", metavar="DATES", help="Days that are in no calendar: 2026-12-24,2027-01-02."),
]
CatchUp = Annotated[
    str | None, typer.Option("--catch-up", help="What is asked after a downtime: all, latest, or within:3d.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="FIELD=HEADER", help="Which column holds a field; may be given again."),
]
Sheet = Annotated[str | None, typer.Option("--sheet", help="Which sheet of a workbook.")]
Also = Annotated[
    str, typer.Option("--also", metavar="REASON", help="Why payers may be asked by another schedule, too.")
]
Accept = Annotated[
    str, typer.Option("--accept-changes", metavar="REASON", help="Why a list that differs much is right.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a few words; it is kept.")]


@schedule.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name for people: fees-2026, rent.")],
    *,
    rule: Rule = None,
    payers: Payers = None,
    amount: Amount = None,
    begin: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PERIOD", help="The first period: 2026-12, 2026-W49 or a day. Default: the next one."
        ),
    ] = None,
    zone: Zone = None,
    starts: Starts = None,
    ends: Ends = None,
    note: Note = None,
    holidays: Holidays = None,
    on_holiday: OnHoliday = None,
    extra_holidays: ExtraHolidays = None,
    catch_up: CatchUp = None,
    column: Columns = None,
    sheet: Sheet = None,
    also: Also = "",
    print_toml: Annotated[
        bool, typer.Option("--print-toml", help="Write nothing; print it as an entry of schedules.toml, with a new id.")
    ] = False,
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Make a schedule. It asks nobody before an approver has signed for it: momo schedule approve."""
    said = editing.said(name, rule, zone, starts, ends, amount, note, holidays, on_holiday, extra_holidays, catch_up)
    file = editing.FileSaid(payers, sheet, tuple(column or ()))
    more = editing.More(account, by, also)
    editing.add(said, file, more, begin=begin, print_toml=print_toml, as_json=as_json)


@schedule.command("edit")
def edit(
    name: Name,
    *,
    new_name: Annotated[str | None, typer.Option("--name", help="Another name; it means nothing.")] = None,
    rule: Rule = None,
    payers: Payers = None,
    amount: Amount = None,
    zone: Zone = None,
    starts: Starts = None,
    ends: Ends = None,
    note: Note = None,
    holidays: Holidays = None,
    on_holiday: OnHoliday = None,
    extra_holidays: ExtraHolidays = None,
    catch_up: CatchUp = None,
    column: Columns = None,
    sheet: Sheet = None,
    also: Also = "",
    accept_changes: Accept = "",
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Change a schedule, from the first period on that begins after the last one decided has ended."""
    said = editing.said(
        new_name, rule, zone, starts, ends, amount, note, holidays, on_holiday, extra_holidays, catch_up
    )
    file = editing.FileSaid(payers, sheet, tuple(column or ()))
    editing.edit(name, said, file, editing.More(account, by, also, accept_changes), as_json=as_json)


@schedule.command("list")
def list_schedules(
    account: AnyAccount = None,
    removed: Annotated[bool, typer.Option("--removed", help="Those that were removed, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the schedules."""
    showing.listing(account=account, removed=removed, as_json=as_json)


@schedule.command("show")
def show(
    name: Name,
    account: Account = "default",
    rows: Annotated[int, typer.Option("--payers", min=0, help="How many payers to show.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Show phone numbers whole.")] = False,
    as_json: Json = False,
) -> None:
    """Show a schedule: its rule, its payers, what is signed for it."""
    showing.show(name, account=account, rows=rows, full=full, as_json=as_json)


@schedule.command("preview")
def preview(
    name: Name,
    periods: Annotated[int, typer.Option("--periods", min=1, max=100, help="How many periods.")] = 6,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Show what the next periods will be: when, moved by which holiday, whom they ask and for how much."""
    showing.preview(name, count=periods, account=account, as_json=as_json)


@schedule.command("history")
def history(
    name: Name,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many periods at most.")] = 24,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Show every period that was decided, what became of it, and what people decided about the schedule."""
    showing.history(name, limit=limit, account=account, as_json=as_json)


@schedule.command("approve")
def approve(
    name: Name,
    by: Annotated[str, typer.Option("--as", metavar="NAME", help="Who signs, with a key on this machine.")] = "",
    ceiling: Annotated[
        str | None,
        typer.Option(
            "--ceiling", metavar="AMOUNT", help="The most for one period. Default: what its payers owe together."
        ),
    ] = None,
    account: Account = "default",
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Sign, once for all periods, whom a schedule may ask and for how much. Nobody approves what they made."""
    signing.approve(name, by=by, ceiling=ceiling, account=account, file=passphrase_file, as_json=as_json)


@schedule.command("pause")
def pause(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """Hold a schedule: no period fires, and what is being asked for waits. What MTN has is followed to its end."""
    holding.pause(name, reason=reason, account=account, by=by, as_json=as_json)


@schedule.command("resume")
def resume(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """Let a schedule that was paused go on."""
    holding.resume(name, reason=reason, account=account, by=by, as_json=as_json)


@schedule.command("remove")
def remove(name: Name, reason: Reason = "", account: Account = "default", by: By = "", as_json: Json = False) -> None:
    """End a schedule for good: asks that weren't sent never are. Its history stays."""
    holding.remove(name, reason=reason, account=account, by=by, as_json=as_json)


@schedule.command("apply")
def apply(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Default: schedules.toml in the config folder.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    also: Also = "",
    accept_changes: Accept = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Bring the schedules of a file into the ledger: all of it or nothing. Removes none by itself."""
    applying.apply(file, dry_run=dry_run, also=also, accept_changes=accept_changes, by=by, as_json=as_json)


@schedule.command("settle")
def settle(
    name: Name,
    payer: Annotated[str, typer.Option("--payer", metavar="ID", help="The payer's id, as in your list.")] = "",
    period: Annotated[str, typer.Option("--period", help="For which period: 2026-12, 2026-W49.")] = "",
    amount: Annotated[
        str | None, typer.Option("--amount", help="How much was paid; all that is owed without it.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="How it was paid: in cash, receipt 118.")] = "",
    account: Account = "default",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Say that a payer has paid by other means, so that nobody asks for it again."""
    settling.settle(settling.Said(name, payer, period, amount, reason, account, by), as_json=as_json)


@schedule.command("arrears")
def arrears(
    name: Name,
    period: Annotated[str | None, typer.Option("--period", help="Only this period.")] = None,
    payer: Annotated[str | None, typer.Option("--payer", metavar="ID", help="Only this payer.")] = None,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write every line to a file.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Also those who owe nothing.")] = False,
    rows: Annotated[int, typer.Option(min=0, help="How many payers to show.")] = 20,
    full: Annotated[bool, typer.Option("--full", help="Show phone numbers whole.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    account: Account = "default",
    as_json: Json = False,
) -> None:
    """Tell who owes what: due, collected, settled and outstanding, by period and payer."""
    look = settling.Look(name, period, payer, account, csv, everybody, full, rows)
    settling.show_arrears(look, force=force, as_json=as_json)
