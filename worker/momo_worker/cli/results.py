"""The words of `momo results tail`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import results as deeds
else:
    deeds = late("momo_worker.cli.deeds.results")

results = typer.Typer(
    help="Follow the results that applications read.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@results.callback()
def of_results() -> None:
    """Follow the results that applications read."""


@results.command("tail")
def tail(
    since: Annotated[str, typer.Option("--from", metavar="ID|start|now", help="Where to begin.")] = "now",
    kind: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only this type, such as momo.payment.failed; may be given again."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="End after so many; 0 goes on until Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Print events of momo:results as they come, until Ctrl-C. With --json each is a line, as applications read it, after its id."""
    deeds.tail(since=since, kinds=kind or [], limit=limit, as_json=as_json)
