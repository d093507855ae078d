"""The words of `momo approver`: who may make runs and who may approve them."""

from typing import TYPE_CHECKING, Annotated

import typer

from momo_worker.cli.lazy import late
from momo_worker.cli.options import Json, PassphraseFile

if TYPE_CHECKING:
    from momo_worker.cli.deeds import approvers as deeds
else:
    deeds = late("momo_worker.cli.deeds.approvers")

approver = typer.Typer(
    help="Say who may make runs of payments and who may approve them.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The person, in small letters: ada.")]


@approver.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option("--role", help="approver or maker; nobody is both.")] = "approver",
    first: Annotated[
        bool, typer.Option("--first", help="The first approver, named in the settings and signed in by nobody.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make a key for a person on this machine, and their entry in approvers.toml."""
    deeds.add(name, role=role, file=passphrase_file, first=first, as_json=as_json)


@approver.command("sign-in")
def sign_in(
    name: Name,
    by: Annotated[str, typer.Option("--as", help="Which approver signs.")] = "",
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Let a person count, by an approver's signature."""
    deeds.sign_in(name, by=by, file=passphrase_file, as_json=as_json)


@approver.command("list")
def list_approvers(as_json: Json = False) -> None:
    """List everybody, and why some don't count."""
    deeds.listing(as_json=as_json)
