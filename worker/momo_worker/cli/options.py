"""Options that several commands share, so that they read the same everywhere."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
Account = Annotated[str, typer.Option("--account", help="Which account.")]
AnyAccount = Annotated[str | None, typer.Option("--account", help="Only this account.")]
