"""The words of `momo opt-out`: who is never asked to pay."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import AnyAccount, By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import opt_outs as deeds
else:
    deeds = late("momo_worker.cli.deeds.opt_outs")

opt_out = typer.Typer(
    help="Say who is never asked to pay, whatever a till, a run or a schedule wants.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Number = Annotated[
    str, typer.Argument(help="The phone number; as it is dialled at home, where an account says the country.")
]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only this account; without it every account.")]
Reason = Annotated[str, typer.Option(help="Why; whoever comes next reads it.")]


@opt_out.command("add")
def add(number: Number, account: OfAccount = None, reason: Reason = "", by: By = "", as_json: Json = False) -> None:
    """Never ask this number to pay again: new collections are rejected, and those that wait are cancelled instead of sent.

    A request that has left is followed to its end.
    """
    deeds.add(number, account=account, reason=reason, by=by, as_json=as_json)


@opt_out.command("remove")
def remove(number: Number, account: OfAccount = None, reason: Reason = "", by: By = "", as_json: Json = False) -> None:
    """Ask this number again: takes back the opt-out of exactly this scope."""
    deeds.remove(number, account=account, reason=reason, by=by, as_json=as_json)


@opt_out.command("list")
def listing(
    account: AnyAccount = None,
    full: Annotated[bool, typer.Option("--full", help="Show numbers whole.")] = False,
    as_json: Json = False,
) -> None:
    """List who is never asked, since when and why."""
    deeds.listing(account=account, full=full, as_json=as_json)
