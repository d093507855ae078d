"""The words of `momo doctor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import doctor as deeds
else:
    deeds = late("momo_worker.cli.deeds.doctor")


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Leave MTN out.")] = False, as_json: Json = False
) -> None:
    """Check settings, ledger, Redis, clocks, processes, and each product at MTN; changes nothing, and says what to do next.

    Exit codes: 0 all is well (warnings included), 1 something is wrong, 3 a part is not reachable.
    """
    raise typer.Exit(deeds.doctor(offline=offline, as_json=as_json))
