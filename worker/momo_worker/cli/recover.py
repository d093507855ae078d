"""The words of `momo recover`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import recover as deeds
else:
    deeds = late("momo_worker.cli.deeds.recover")

Reason = Annotated[str, typer.Option(help="Why; whoever comes next reads it.")]


def recover(
    release: Annotated[bool, typer.Option("--release", help="End the recovery: sending begins again.")] = False,
    send_unsent: Annotated[
        bool,
        typer.Option(
            "--send-unsent", help="With --release: also let go what was never sent and MTN doesn't know, all of it."
        ),
    ] = False,
    without_jobs: Annotated[
        bool,
        typer.Option("--force-without-jobs", help="With --release: don't wait for the jobs stream to be read again."),
    ] = False,
    without_search: Annotated[
        bool,
        typer.Option(
            "--force-without-search",
            help="With --release: don't wait for MTN's word; what nobody has asked about goes to the desk, unsent.",
        ),
    ] = False,
    begin: Annotated[
        bool,
        typer.Option(
            "--begin", help="Put the ledger in recovery: it was restored together with every copy of its tide."
        ),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            help="With --begin: when the backup was made, a moment or such as 12h; default: everything is read again."
        ),
    ] = None,
    adopt_ledger: Annotated[
        bool,
        typer.Option("--adopt-ledger", help="This ledger takes the place of the one that Redis names, which is lost."),
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Show a restored ledger's recovery: why, since when, what was looked for, what waits for you, and what a release would do.

    While a ledger is in recovery nothing is sent. Only --release ends it.
    """
    deeds.recover(
        deeds.Wish(
            release=release,
            send_unsent=send_unsent,
            without_jobs=without_jobs,
            without_search=without_search,
            begin=begin,
            since=since,
            adopt_ledger=adopt_ledger,
            reason=reason.strip(),
            by=by,
        ),
        as_json=as_json,
    )
