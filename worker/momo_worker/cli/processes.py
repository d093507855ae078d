"""The words of `momo migrate`, `worker`, `pump` and `simulator`: the processes of the Procfile, one each."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import migrate as migrating
    from momo_worker.cli.deeds import processes
    from momo_worker.cli.deeds import simulator as fake_mtn
else:
    migrating = late("momo_worker.cli.deeds.migrate")
    processes = late("momo_worker.cli.deeds.processes")
    fake_mtn = late("momo_worker.cli.deeds.simulator")


def migrate(as_json: Json = False) -> None:
    """Bring the ledger's schema up to this release. Says what it did; harmless to run again, and by two at once."""
    migrating.migrate(as_json=as_json)


def worker(as_json: Json = False) -> None:  # noqa: ARG001 - its log lines are JSON already
    """Run one worker until SIGTERM: it takes released payments from Redis and speaks with MTN. Any number may run."""
    raise typer.Exit(processes.worker())


def pump(as_json: Json = False) -> None:  # noqa: ARG001 - its log lines are JSON already
    """Run one pump until SIGTERM: jobs in, due payments out at MTN's pace, results, rescue. Any number may run."""
    raise typer.Exit(processes.pump())


def simulator(
    port: Annotated[int, typer.Option(help="0 takes a free one; the line on standard output says which.")] = 0,
    data: Annotated[str, typer.Option(help="SQLite file that survives a restart.")] = ":memory:",
    mode: Annotated[str, typer.Option(help="Which default accounts: both, sandbox or market.")] = "both",
    accounts: Annotated[str, typer.Option(help="JSON file with a list of accounts, instead.")] = "",
    seed: Annotated[int, typer.Option(help="Same seed, same requests: same answers.")] = 0,
    chaos: Annotated[float, typer.Option(help="Probability of each kind of fault for each request.")] = 0.0,
    settings: Annotated[str, typer.Option(help='JSON, such as {"settle_seconds_max": 5}.')] = "{}",
    as_json: Json = False,  # noqa: ARG001 - its one line is JSON already
) -> None:
    """Run a fake MTN on 127.0.0.1 until SIGTERM. No money moves; what it doesn't imitate is in its README."""
    raise typer.Exit(
        fake_mtn.simulator(
            port=port, data=data, mode=mode, accounts=accounts, seed=seed, chaos=str(chaos), settings=settings
        )
    )
