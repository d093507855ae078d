"""The words of `momo results tail` and `replay`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import By, Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import replay as replaying
    from momo_worker.cli.deeds import results as deeds
else:
    deeds = late("momo_worker.cli.deeds.results")
    replaying = late("momo_worker.cli.deeds.replay")

results = typer.Typer(
    help="Follow the results that applications read, or publish them once more.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@results.callback()
def of_results() -> None:
    """Follow the results that applications read, or publish them once more."""


Kinds = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this type, such as momo.payment.failed; may be given again."),
]


@results.command("tail")
def tail(
    since: Annotated[str, typer.Option("--from", metavar="ID|start|now", help="Where to begin.")] = "now",
    kind: Kinds = None,
    limit: Annotated[int, typer.Option(min=0, help="End after so many; 0 goes on until Ctrl-C.")] = 0,
    as_json: Json = False,
) -> None:
    """Print events of momo:results as they come, until Ctrl-C. With --json each is a line, as applications read it, after its id."""
    deeds.tail(since=since, kinds=kind or [], limit=limit, as_json=as_json)


@results.command("replay")
def replay(
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="What was published since then: a moment, or 36h.")
    ] = None,
    payment: Annotated[
        str | None, typer.Option("--payment", help="Only of this payment: id, key, reference, external id or MTN's id.")
    ] = None,
    kind: Kinds = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Publish results once more, marked replayed: same ids, epochs and sequences, so that nobody applies one twice."""
    replaying.replay(since=since, name=payment, kinds=kind or [], by=by, as_json=as_json)
