"""`momo schedule apply`: a schedules.toml comes in, what it did to the ledger's schedules goes out, or every problem of all of them."""

from pathlib import Path

from momo_worker.cli.deeds.office import office_of
from momo_worker.cli.deeds.reading import actor, quiet_settings
from momo_worker.cli.deeds.schedule_words import money, refused, schedule_facts, when
from momo_worker.cli.saying import AnswerIsNo, say, say_json
from momo_worker.runs.sheets import FileError, read_bytes
from momo_worker.schedules.applying import Applied, apply_declared
from momo_worker.schedules.declared import Declared, read_declared
from momo_worker.schedules.editing import Permitted, Taken
from momo_worker.schedules.payer_file import PayerFile
from momo_worker.schedules.planning import timetable_of
from momo_worker.schedules.refusals import NotChangedError, Problem

FILE_NAME = "schedules.toml"


def apply(file: str | None, *, dry_run: bool, also: str, accept_changes: str, by: str, as_json: bool) -> None:
    """Bring a file into the ledger."""
    settings = quiet_settings()
    path = settings.config_folder / FILE_NAME if file is None else Path(file)
    permitted = Permitted(also.strip(), accept_changes.strip(), settings.schedule_changed_percent_max)
    try:
        declared = read_declared(_text(path), path.name)
        with office_of(settings) as office:
            applied = apply_declared(
                office.house.parts,
                declared,
                lambda one: _payers(path.parent, one),
                permitted,
                by=actor(by),
                dry_run=dry_run,
            )
    except NotChangedError as error:
        raise refused(error) from None
    _tell(applied, path, dry_run=dry_run, as_json=as_json)


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except FileError as error:
        raise AnswerIsNo(f"{path} {error}; nothing was changed") from None
    except UnicodeDecodeError:
        raise AnswerIsNo(f"{path} is not UTF-8 text; save it as UTF-8; nothing was changed") from None


def _payers(folder: Path, one: Declared) -> PayerFile:
    path = folder / one.payers
    try:
        return PayerFile(one.payers, read_bytes(path))
    except FileError as error:
        problem = Problem(one.place("payers"), one.payers, f"{error.reason} ({path})", error.advice)
        raise NotChangedError("1 problem, and nothing was changed", [problem]) from None


def _did(taken: Taken) -> str:
    if taken.before is None:
        return "added"
    return "edited" if taken.edited else "unchanged"


def _tell(applied: Applied, path: Path, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        told = [
            {
                **schedule_facts(one.schedule),
                "did": _did(one),
                "edited": list(one.edited),
                "payers": one.payers,
                "payers_to_sign": one.unsigned,
                "first_period": one.first.name,
            }
            for one in applied.taken
        ]
        left = [{"schedule_id": one.id, "name": one.name, "account": one.account} for one in applied.left]
        say_json({"file": str(path), "dry_run": dry_run, "schedules": told, "not_in_file": left})
        return
    count = "1 schedule" if len(applied.taken) == 1 else f"{len(applied.taken):,} schedules"
    say(f"{path}: {count}" + (", and nothing is kept of this: --dry-run" if dry_run else ""))
    for one in applied.taken:
        schedule = one.schedule
        say(f"  {_did(one):<10} {schedule.name}: {one.payers:,} payers, {money(schedule, one.total_minor)} a period")
        if one.before is None or one.edited:
            say(f"             from {when(one.first, timetable_of(schedule))}")
        for line in one.edited if one.before is not None else ():
            say(f"             {line}")
        if one.unsigned:
            say(f"             {one.unsigned:,} payers wait: momo schedule approve {schedule.name} --as NAME")
    for other in applied.left:
        say(f"  not in it  {other.name} (account {other.account}, {other.state}): it goes on. To end it:")
        say(f"             momo schedule remove {other.name} --account {other.account} --reason …")
