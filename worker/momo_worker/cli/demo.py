"""The words of `momo demo`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import demo as deeds
else:
    deeds = late("momo_worker.cli.deeds.demo")


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the temporary home with ledger and logs.")] = False,
    as_json: Json = False,
) -> None:
    """Pay 200 salaries and collect from 50 customers at a simulated MTN on this machine, and check the books.

    Everything lives in a temporary home; no setting of yours is read, and nothing leaves this machine. Exit code 0 only if what the
    results say and what the simulator says it moved agree to the shilling.
    """
    raise typer.Exit(deeds.demo(keep=keep, as_json=as_json))
