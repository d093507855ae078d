"""`momo run proof` and `verify`: a run comes in and its proof pack goes out; a pack comes in and what of it doesn't hold goes out. Moves nothing."""

import zipfile
from pathlib import Path
from typing import Any

from momo_worker.approvers_file import FILE_NAME
from momo_worker.cli.deeds.bars import bar
from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import account_with, quiet_settings
from momo_worker.cli.deeds.runs import named
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.payment.payment import PRODUCT_OF, Operation
from momo_worker.runs.proof import NoProofError, People, write_proof
from momo_worker.runs.proof_check import check, told
from momo_worker.runs.proof_reading import Checked
from momo_worker.runs.tree import RowsError
from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put, refuse_what_is_there
from momo_worker.settings import Settings

_PROBLEMS_TOLD = 20


def proof(name: str, *, file: str, force: bool, account: str, as_json: bool) -> None:
    """Write a run's proof, and check it as anybody would."""
    if not file:
        raise WrongUse("--file is missing: name the pack to write, such as salary-2026-12.proof.zip")
    path, settings = Path(file), quiet_settings()
    with office_of(settings) as office, bar(quiet=as_json) as progress:
        parts = office.house.parts
        with parts.ledger.read() as tx:
            run = named(tx, account, name)
        account_with(settings, run.account, PRODUCT_OF[Operation(run.operation)])
        try:
            refuse_what_is_there(path, force=force)
            with beside(path) as made:
                write_proof(parts, run, _people(settings), made, progress.tell)
                found = check(str(made))
                put(made, path, force=force)
        except (FileIsThereError, NotWrittenError, NoProofError) as error:
            raise AnswerIsNo(str(error)) from None
        except RowsError as error:
            more = "\n  ".join(error.problems[:_PROBLEMS_TOLD])
            raise AnswerIsNo(f"rows of {name} don't say any more what was signed for them:\n  {more}") from None
    if not as_json:
        say(f"The proof of {name} is written: {file}. Names and whole phone numbers stand in it, since it is evidence.")
        say(
            "Note down the SHA-256 of its manifest, apart from the pack: it shows later that nothing of it was changed."
        )
    _tell(found, {"file": file}, as_json=as_json)


def verify(file: str, *, as_json: bool) -> None:
    """Check a pack; refuses where something of it doesn't hold."""
    if not Path(file).is_file():
        raise WrongUse(f"{file} is no file; name a pack that `momo run proof` wrote")
    if not zipfile.is_zipfile(file):
        why = "is no proof pack, or only a part of one: it can't be read as a zip file"
        facts = {"file": file, "holds": False, "problems": [why], "remarks": []}
        raise AnswerIsNo(f"{file} {why}; name a pack that `momo run proof` wrote, or fetch it once more", facts)
    _tell(check(file), {"file": file}, as_json=as_json)


def _people(settings: Settings) -> People:
    path = settings.config_folder / FILE_NAME
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        written = b""
    except OSError as error:
        raise AnswerIsNo(f"{path} can't be read: {error.strerror}") from None
    return People(settings.first_approver, written, settings.maker_signs)


def _tell(found: Checked, more: dict[str, Any], *, as_json: bool) -> None:
    holds = not found.problems
    facts = {**more, "holds": holds, "problems": found.problems, "remarks": found.remarks, **found.facts}
    if not as_json:
        for line in told(found):
            say(line)
    if not holds:
        count, first = len(found.problems), found.problems[0]
        if count == 1:
            raise AnswerIsNo(f"one thing in {more['file']} doesn't hold: {first}", facts)
        raise AnswerIsNo(f"{count} things in {more['file']} don't hold, the first: {first}", facts)
    if as_json:
        say_json(facts)
