"""The words of `momo payment list`, `show` and `cancel`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import AnyAccount, By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import cancelling
    from momo_worker.cli.deeds import payment as deeds
else:
    cancelling = late("momo_worker.cli.deeds.cancelling")
    deeds = late("momo_worker.cli.deeds.payment")

payment = typer.Typer(
    help="List, show and cancel payments.", add_completion=False, rich_markup_mode=None, no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Payment id, key, reference, external id or MTN's id.")]
Full = Annotated[bool, typer.Option("--full", help="Show the phone number whole.")]


@payment.command("list")
def list_payments(
    state: Annotated[list[str] | None, typer.Option(help="Only this state; may be given again.")] = None,
    account: AnyAccount = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """List the payments that moved last."""
    deeds.listing(states=state or [], account=account, limit=limit, full=full, as_json=as_json)


@payment.command("show")
def show(name: Name, account: AnyAccount = None, full: Full = False, as_json: Json = False) -> None:
    """Show one payment's whole story: attempts, sends, what moved it and when."""
    deeds.show(name, account=account, full=full, as_json=as_json)


@payment.command("cancel")
def cancel(
    name: Name,
    account: AnyAccount = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
    by: By = "",
    as_json: Json = False,
) -> None:
    """Cancel a payment of which nothing has been sent. "Cancelled" is said when the ledger has it; what was sent can't be cancelled."""
    cancelling.cancel(name, account=account, reason=reason, by=by, as_json=as_json)
