"""The words of `momo init`."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json

if TYPE_CHECKING:
    from momo_worker.cli.deeds import init as deeds
else:
    deeds = late("momo_worker.cli.deeds.init")


def init(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="The home to fill; default: MOMO_HOME.")] = "",
    as_json: Json = False,
) -> None:
    """Write config files and an .env to fill in, readable by you alone. Never overwrites: what is there is left as it is."""
    deeds.init(folder, as_json=as_json)
