"""`momo schedule add` and `edit`: words and a payers' file come in, the schedule as it stands goes out, or every problem at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from momo_worker.cli.deeds.office import Office, office_of
from momo_worker.cli.deeds.reading import account_with, actor, quiet_settings
from momo_worker.cli.deeds.schedule_words import money, period_facts, refused, schedule_facts, when
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.ledger import schedules
from momo_worker.payment.payment import Product
from momo_worker.runs.columns import Column
from momo_worker.runs.sheets import FileError, read_bytes
from momo_worker.schedules.declared import entry_of
from momo_worker.schedules.editing import Permitted, Prepared, Taken, Wish, prepare, take
from momo_worker.schedules.holding import named
from momo_worker.schedules.payer_file import PAYER_HEADERS, PayerFile
from momo_worker.schedules.planning import timetable_of
from momo_worker.schedules.refusals import NotChangedError
from momo_worker.schedules.wording import Said
from momo_worker.settings import Settings

_WARNINGS_SHOWN = 10
#: In the order of the command's options.
said = Said


@dataclass(frozen=True, slots=True)
class FileSaid:
    """The payers' file, as the command line names it."""

    path: str | None
    sheet: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class More:
    """What else stands on the command line."""

    account: str
    by: str
    also: str = ""
    accept_changes: str = ""


def add(said: Said, file: FileSaid, more: More, *, begin: str | None, print_toml: bool, as_json: bool) -> None:
    """Make a schedule, or print how it stands in schedules.toml."""
    if print_toml and (file.sheet or file.columns):
        # An entry that left them out would read the ids of other payers, or none, from the same file.
        raise WrongUse(
            "an entry of schedules.toml names neither columns nor a sheet: write the headers as docs/schedules.md lists them into the "
            "file, leave one sheet in it, and give the command without --column and --sheet"
        )
    settings = quiet_settings()
    account_with(settings, more.account, Product.COLLECTION)
    payers = payer_file(file)
    with office_of(settings) as office:
        wish = Wish(more.account, said, payers, actor(more.by), begins=begin)
        if print_toml:
            _print(office, wish, _seen_from(settings.config_folder, file.path or ""), as_json=as_json)
            return
        taken = _taken(office, wish, settings, more)
    _tell(taken, "is made", as_json=as_json)


def edit(name: str, said: Said, file: FileSaid, more: More, *, as_json: bool) -> None:
    """Change what was said."""
    settings = quiet_settings()
    account_with(settings, more.account, Product.COLLECTION)
    payers = payer_file(file)
    if payers is None and not said.told():
        raise WrongUse("nothing is to be changed: say what, such as --rule 'monthly on 10' or --payers FILE")
    with office_of(settings) as office:
        with office.house.parts.ledger.read() as tx:
            try:
                before = named(tx, more.account, name)
            except NotChangedError as error:
                raise refused(error) from None
            last_end = schedules.last_end(tx, before.id)
        wish = Wish(more.account, said, payers, actor(more.by), before, last_end)
        taken = _taken(office, wish, settings, more)
    _tell(taken, "is changed" if taken.edited else "is as it was", as_json=as_json)


def _taken(office: Office, wish: Wish, settings: Settings, more: More) -> Taken:
    permitted = Permitted(more.also.strip(), more.accept_changes.strip(), settings.schedule_changed_percent_max)
    parts = office.house.parts
    try:
        prepared = _prepared(office, wish)
        with parts.ledger.write() as tx:
            return take(tx, parts, prepared, permitted)
    except NotChangedError as error:
        raise refused(error) from None


def _prepared(office: Office, wish: Wish) -> Prepared:
    parts = office.house.parts
    with parts.ledger.read() as tx:
        now_ms = tx.now_ms
    return prepare(parts, wish, now_ms)


def _seen_from(folder: Path, path: str) -> str:
    """The payers' file as an entry of schedules.toml in the config folder names it."""
    there = Path(path).resolve()
    return str(there.relative_to(folder)) if there.is_relative_to(folder) else str(there)


def _print(office: Office, wish: Wish, path: str, *, as_json: bool) -> None:
    try:
        prepared = _prepared(office, wish)
    except NotChangedError as error:
        raise refused(error) from None
    entry = entry_of(prepared.schedule, path, wish.begins)
    if as_json:
        say_json({"toml": entry, "schedule_id": prepared.schedule.id})
        return
    say(entry)


def payer_file(file: FileSaid) -> PayerFile | None:
    """The file's bytes, under the name that was given."""
    if file.path is None:
        if file.sheet or file.columns:
            raise WrongUse("--sheet and --column speak of a file: name it with --payers")
        return None
    try:
        return PayerFile(file.path, read_bytes(Path(file.path)), file.sheet, _columns(file.columns))
    except FileError as error:
        raise AnswerIsNo(f"{file.path} {error}; nothing was changed") from None


def _columns(given: Sequence[str]) -> dict[Column, str]:
    found: dict[Column, str] = {}
    for text in given:
        field, equals, header = text.partition("=")
        if not equals or field not in set(PAYER_HEADERS) or not header:
            raise WrongUse(f"--column is {text!r}; write FIELD=HEADER with one of {', '.join(PAYER_HEADERS)}")
        found[Column(field)] = header
    return found


def _tell(taken: Taken, did: str, *, as_json: bool) -> None:
    schedule, timetable = taken.schedule, timetable_of(taken.schedule)
    if as_json:
        say_json(
            {
                **schedule_facts(schedule),
                "payers": taken.payers,
                "total": money(schedule, taken.total_minor).partition(" ")[0],
                "edited": list(taken.edited),
                "first_period": period_facts(taken.first, timetable),
                "payers_to_sign": taken.unsigned,
                "above_ceiling": taken.above_ceiling,
                "periods_passed": taken.passed,
                "warnings": [str(one) for one in taken.warnings],
            }
        )
        return
    say(f"The schedule {schedule.name} {did}: {taken.payers:,} payers, {money(schedule, taken.total_minor)} a period.")
    say(f"  id         {schedule.id}")
    say(f"  rule       {schedule.rule}")
    if taken.before is not None:
        for line in taken.edited:
            say(f"  changed    {line}")
    word = "first" if taken.before is None else "from"
    say(f"  {word:<10} {when(taken.first, timetable)}")
    for warning in taken.warnings[:_WARNINGS_SHOWN]:
        say(f"  look at    {warning}")
    if len(taken.warnings) > _WARNINGS_SHOWN:
        say(f"  look at    {len(taken.warnings) - _WARNINGS_SHOWN:,} lines more")
    if taken.passed and schedule.state == "active":
        count = "1 period" if len(taken.passed) == 1 else f"{len(taken.passed):,} periods"
        said = f"The moment of {count} has passed ({', '.join(taken.passed[:_WARNINGS_SHOWN])})"
        say(f"{said}: decided at once, and catch-up is {schedule.catch_up}.")
    _tell_of_signature(taken)


def _tell_of_signature(taken: Taken) -> None:
    if taken.unsigned:
        say(
            f"{taken.unsigned:,} of {taken.payers:,} payers wait for an approver's signature and aren't asked until then: "
            f"momo schedule approve {taken.schedule.name} --as NAME"
        )
    elif taken.above_ceiling:
        say(
            "A period asks for more than the ceiling that was signed, and nobody is asked until it is signed anew: "
            f"momo schedule approve {taken.schedule.name} --as NAME --ceiling AMOUNT"
        )
