"""Options that several commands share, so that they read the same everywhere."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Account = Annotated[str, typer.Option("--account", help="Which account.")]
AnyAccount = Annotated[str | None, typer.Option("--account", help="Only this account.")]
#: `--wait` alone stands for this long (app.run writes the number in).
WAIT_SECONDS = 120
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="[SECONDS]", min=0, help=f"Follow it to its end; {WAIT_SECONDS} if no number is given."
    ),
]
By = Annotated[str, typer.Option("--by", help="Who decides; default: the user of this machine.")]
PassphraseFile = Annotated[
    str | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Where the key's passphrase stands; - reads standard input."
    ),
]
