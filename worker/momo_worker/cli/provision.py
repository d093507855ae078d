"""The words of `momo provision`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Account, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import provision as deeds
else:
    deeds = late("momo_worker.cli.deeds.provision")


def provision(
    callback_host: Annotated[
        str,
        typer.Option(
            help="Host of your callback door; fixed for this API user from then on. Default: MOMO_CALLBACK_URL's."
        ),
    ] = "",
    product: Annotated[
        list[str] | None,
        typer.Option(help="collection or disbursement; default: each that has a subscription key and no user."),
    ] = None,
    account: Account = "default",
    yes: Annotated[bool, typer.Option("--yes", help="Overwrite credentials without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Make an API user and its key in MTN's sandbox from a subscription key, and write them to .env in MOMO_HOME (mode 0600)."""
    deeds.provision(callback_host=callback_host, products=product or [], account=account, yes=yes, as_json=as_json)
