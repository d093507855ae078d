"""The words of `momo up`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import up as deeds
else:
    deeds = late("momo_worker.cli.deeds.up")

#: Where the simulator of `momo up --simulator` listens; the ledger keeps the address, so it stays the same.
SIMULATOR_PORT = 8091
REDIS_PORT = 6388


def up(
    simulator: Annotated[
        bool, typer.Option("--simulator", help="Pay at a fake MTN: no credentials, no money, a home of its own.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers.")] = 1,
    pumps: Annotated[int, typer.Option(min=1, max=16, help="How many pumps.")] = 1,
    simulator_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the simulator listens.")
    ] = SIMULATOR_PORT,
    redis_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where the embedded Redis server listens.")
    ] = REDIS_PORT,
    as_json: Json = False,
) -> None:
    """Run the whole worker on this machine until Ctrl-C: migrates the ledger, starts what it needs, restarts what dies.

    The embedded Redis server is started where MOMO_REDIS_URL names no other. With --simulator everything lives in the folder
    simulator/ of MOMO_HOME, and other commands reach it with MOMO_HOME set to that folder.
    """
    raise typer.Exit(
        deeds.up(
            deeds.Wanted(
                simulator=simulator,
                workers=workers,
                pumps=pumps,
                simulator_port=simulator_port,
                redis_port=redis_port,
                as_json=as_json,
            )
        )
    )
