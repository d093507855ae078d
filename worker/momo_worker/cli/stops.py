"""The words of `momo pause` and `momo resume`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import AnyAccount, By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import stops as deeds
else:
    deeds = late("momo_worker.cli.deeds.stops")

Product = Annotated[str | None, typer.Option("--product", help="Only this product: collection or disbursement.")]
Reason = Annotated[str, typer.Option(help="Why; whoever comes next reads it.")]


def pause(
    account: AnyAccount = None, product: Product = None, reason: Reason = "", by: By = "", as_json: Json = False
) -> None:
    """Stop sending: everything, or one account, or one product. A second after this has returned no payment leaves any more.

    What MTN already has is followed to its end. Only `momo resume` lifts it.
    """
    deeds.pause(account=account, product=product, reason=reason, by=by, as_json=as_json)


def resume(
    account: AnyAccount = None, product: Product = None, reason: Reason = "", by: By = "", as_json: Json = False
) -> None:
    """Lift the pauses of exactly this scope, and say what still holds."""
    deeds.resume(account=account, product=product, reason=reason, by=by, as_json=as_json)
