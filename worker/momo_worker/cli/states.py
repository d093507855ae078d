"""The words of `momo states`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import states as deeds
else:
    deeds = late("momo_worker.cli.deeds.states")


def states(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Draw it, as the docs show it.")] = False,
    as_json: Json = False,
) -> None:
    """Show the states of a payment, what moves it on, and the event that tells of it."""
    deeds.states(mermaid=mermaid, as_json=as_json)
