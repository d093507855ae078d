"""The table of commands: words come in, the command's own file is loaded and run, an exit code goes out. No traceback ever reaches a user."""

import importlib
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from momo_worker.cli.lazy import late
from momo_worker.cli.options import WAIT_SECONDS
from momo_worker.cli.saying import DONE, NO, AnswerIsNo, Refusal, refuse

if TYPE_CHECKING:
    from momo_worker import logs
    from momo_worker.cli import failures
else:
    failures = late("momo_worker.cli.failures")
    logs = late("momo_worker.logs")


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its one line of help, the file of its words, and the function or group in it."""

    help: str
    module: str
    name: str


def _entry(text: str, file: str, name: str) -> Entry:
    return Entry(text, f"momo_worker.cli.{file}", name)


#: In the order in which a newcomer needs them.
COMMANDS: dict[str, Entry] = {
    "demo": _entry("Pay 200 salaries at a simulated MTN on this machine, and check the books.", "demo", "demo"),
    "init": _entry("Write config files and an .env to fill in.", "init", "init"),
    "provision": _entry("Make an API user and key in MTN's sandbox from a subscription key.", "provision", "provision"),
    "doctor": _entry("Check everything that a payment needs, and say what to do next.", "doctor", "doctor"),
    "up": _entry("Run the whole worker on this machine, with what it needs.", "up", "up"),
    "collect": _entry("Ask a customer to pay.", "pay", "collect"),
    "disburse": _entry("Pay somebody.", "pay", "disburse"),
    "deposit": _entry("Pay into somebody's account (MTN's deposit).", "pay", "deposit"),
    "refund": _entry("Give a collection back.", "pay", "refund"),
    "enqueue": _entry("Drop a job on Redis, as an application does.", "pay", "enqueue"),
    "payment": _entry("List and show payments; cancel, retry, release or resolve them.", "payment", "payment"),
    "run": _entry("Pay many people from a file: import, approve, release, watch.", "run", "run"),
    "schedule": _entry("Collect from the same people each week or month.", "schedule", "schedule"),
    "approver": _entry("Say who may make and who may approve runs.", "approver", "approver"),
    "results": _entry("Follow the results that applications read, or publish them once more.", "results", "results"),
    "opt-out": _entry("Say who is never asked to pay.", "opt_out", "opt_out"),
    "pause": _entry("Stop sending at once: the kill switch.", "stops", "pause"),
    "resume": _entry("Lift a pause.", "stops", "resume"),
    "recover": _entry("Show a restored ledger's recovery, and end it.", "recover", "recover"),
    "balance": _entry("Ask MTN what lies in the wallets.", "balance", "balance"),
    "states": _entry("Show the states of a payment and what moves it.", "states", "states"),
    "migrate": _entry("Bring the ledger's schema up to this release.", "processes", "migrate"),
    "worker": _entry("Run one worker: the calls to MTN.", "processes", "worker"),
    "pump": _entry("Run one pump: jobs in, due payments out, results, rescue.", "processes", "pump"),
    "simulator": _entry("Run a fake MTN on 127.0.0.1.", "processes", "simulator"),
}


class LateGroup(TyperGroup):
    """Knows its commands by the table and loads one when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else _command(cmd_name, entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _command(name: str, entry: Entry) -> Any:
    found = getattr(importlib.import_module(entry.module), entry.name)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, help=found.__doc__)(found)
        found = app
    command = typer.main.get_command(found)
    command.name = name
    return command


def _version(wanted: bool) -> None:
    if wanted:
        print(f"momo-worker {importlib.import_module('importlib.metadata').version('momo-worker')}")
        raise typer.Exit


app = typer.Typer(cls=LateGroup, add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def momo(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Collect and pay out over MTN Mobile Money, and never pay twice.

    Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 a part is not reachable. Every command takes --json.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    as_json = "--json" in arguments
    try:
        typer.main.get_command(app).main(args=_with_seconds(arguments), prog_name="momo")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else (DONE if ended.code is None else NO)
    except Refusal as refusal:
        return refuse(refusal, as_json=as_json)
    except Exception as error:  # noqa: BLE001 - the last line before the user: whatever it is, it becomes a message
        return refuse(failures.as_refusal(error) or _our_mistake(error), as_json=as_json)
    return DONE


def _with_seconds(arguments: Sequence[str]) -> list[str]:
    """Write the number in where `--wait` stands alone: typer knows no option whose value may be left out."""
    found: list[str] = []
    for at, word in enumerate(arguments):
        found.append(word)
        if word == "--wait" and not re.fullmatch(r"[0-9.]+", "".join(arguments[at + 1 : at + 2])):
            found.append(str(WAIT_SECONDS))
    return found


def _our_mistake(error: BaseException) -> Refusal:
    """Nobody thought of this one: its trace is scrubbed like any log line, and goes to whoever sets MOMO_LOG_LEVEL=DEBUG."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = logs.scrub(f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})")
    return AnswerIsNo(
        f"a mistake of ours: {text}. Nothing was changed that hadn't been told above; please report it with the command that you typed"
    )
