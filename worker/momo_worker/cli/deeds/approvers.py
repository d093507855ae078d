"""`momo approver add`, `sign-in` and `list`: names come in, keys on this machine and entries in approvers.toml go out."""

from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.table import Column, Table

from momo_worker.approval.people import NAME, NOBODY, Entry, People, Role, SignIn, who_counts
from momo_worker.approval.signing import new_key, public_text, sign
from momo_worker.approvers_file import FILE_NAME, ApproversError, Written, add_entry, add_sign_in, read
from momo_worker.cli.deeds.keys import key_left, key_path, opener, passphrase, write_key
from momo_worker.cli.deeds.reading import quiet_settings
from momo_worker.cli.deeds.showing import wide_console
from momo_worker.cli.saying import AnswerIsNo, WrongUse, say, say_json
from momo_worker.settings import Settings

VARIABLE = "MOMO_APPROVALS__FIRST_APPROVER"


def add(name: str, *, role: str, file: str | None, first: bool, as_json: bool) -> None:
    """Make a key for a person, and their entry, which an approver signs in; the first is named in the settings instead."""
    settings = quiet_settings()
    if not NAME.fullmatch(name):
        raise WrongUse(f"{name!r} is no name; use 1 to 32 of a-z 0-9 . _ - and begin with a letter or digit")
    if role not in tuple(Role):
        raise WrongUse(f"--role is {role!r}; use {' or '.join(Role)}")
    written = _written(settings)
    if first and (role != Role.APPROVER or settings.first_approver is not None):
        raise WrongUse(
            "--first makes the first approver"
            + (
                f", and that is {settings.first_approver.name} already"
                if settings.first_approver
                else "; leave --role out"
            )
        )
    if name in {one.name for one in written.entries} | (
        {settings.first_approver.name} if settings.first_approver else set()
    ):
        raise AnswerIsNo(f"{name} is there already (`momo approver list`); nobody's key is replaced under their name")
    key, resumed = _key_for(settings, written, name, file)
    path = key_path(settings, name)
    entry = Entry(name, Role(role), public_text(key))
    setting = f"{VARIABLE}={name}:{entry.key}"
    if first:
        _into_dotenv(settings.home / ".env", setting)
    else:
        _append(_file(settings), lambda place: add_entry(place, entry))
    if as_json:
        facts = {"name": name, "role": role, "key": entry.key, "key_file": str(path), "resumed": resumed}
        say_json({**facts, "setting": setting if first else None})
        return
    if resumed:
        say(f"There was a key of {name} without an entry: the `add` that made it was interrupted, and is done now.")
    say(
        f"The key of {name} is in {path}, under the passphrase. Keep a copy of the file; the passphrase can't be found again."
    )
    if first:
        say(f"{name} is the first approver, in {settings.home / '.env'}:")
        say(f"  {setting}")
        say("Set the same for every worker, and start them again. Then: `momo approver add OTHER --role maker`")
    elif settings.first_approver is None:
        say(f"No first approver is named yet: `momo approver add NAME --first` makes one, who then signs {name} in.")
    else:
        say(f"{name} counts once signed in: `momo approver sign-in {name} --as {settings.first_approver.name}`")


def _key_for(settings: Settings, written: Written, name: str, file: str | None) -> tuple[Ed25519PrivateKey, bool]:
    """A new key for somebody without an entry, or the one that an `add` which was interrupted left; says which."""
    if name in {one.name for one in written.signed} and key_path(settings, name).exists():
        # Not interrupted but taken out: with an entry made again, the old signature would count again.
        raise AnswerIsNo(
            f"{_file(settings)} has signatures under {name}'s entry and no entry, so somebody took it out, and {name}'s word with it. "
            f"To take {name} in again, move {key_path(settings, name)} away first: a new key is signed in anew; nothing was written"
        )
    left = key_left(settings, name, file)
    if left is not None:
        return left, True
    key = new_key()
    write_key(settings, name, key, passphrase(file, name=name, twice=True))
    return key, False


def _into_dotenv(path: Path, line: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        # A last line that nobody ended would become one with this: a secret that is wrong from then on.
        gap = "" if new or path.read_bytes()[-1:] in (b"", b"\n") else "\n"
        with path.open("a", encoding="utf-8") as out:
            out.write(f"{gap}{line}\n")
        if new:
            path.chmod(0o600)
    except OSError as error:
        raise AnswerIsNo(f"{path} can't be written: {error.strerror}; set {line} yourself") from None


def sign_in(name: str, *, by: str, file: str | None, as_json: bool) -> None:
    """Let a person count, by an approver's signature under their entry."""
    settings = quiet_settings()
    written = _written(settings)
    people = who_counts(settings.first_approver, written.entries, written.signed)
    found = [one for one in written.entries if one.name == name]
    if not found:
        raise AnswerIsNo(f"{_file(settings)} has no {name}; `momo approver add {name}` makes the entry")
    if name in people.counted:
        raise AnswerIsNo(f"{name} counts already, as {people.counted[name].role.value}")
    approver = counting(people, by, Role.APPROVER)
    key = opener(settings, approver.name, file)()
    entry = found[-1]
    if public_text(key) != approver.key:
        raise AnswerIsNo(f"the key of {by} on this machine isn't the one that counts; nothing was signed")
    signed = SignIn(name, by, sign(key, entry.statement(by)))
    after = who_counts(settings.first_approver, written.entries, (*written.signed, signed))
    if name not in after.counted:
        raise AnswerIsNo(f"{name} {after.not_counted.get(name, 'would not count')}; nothing was signed")
    _append(_file(settings), lambda place: add_sign_in(place, signed))
    if as_json:
        say_json({"name": name, "role": entry.role.value, "signed_by": by})
        return
    say(
        f"{name} counts as {entry.role.value} now, signed in by {by}. Bring {_file(settings)} to every machine with a worker."
    )


def listing(*, as_json: bool) -> None:
    """Everybody, and why some don't count."""
    settings = quiet_settings()
    written = _written(settings)
    people = who_counts(settings.first_approver, written.entries, written.signed)
    rows = [(one.name, one.role.value, "yes", one.key) for one in people.counted.values()]
    rows += [
        (one.name, one.role.value, people.not_counted[one.name], one.key)
        for one in written.entries
        if one.name in people.not_counted
    ]
    if as_json:
        say_json(
            [
                {
                    "name": name,
                    "role": role,
                    "counts": counts == "yes",
                    "why_not": None if counts == "yes" else counts,
                    "key": key,
                }
                for name, role, counts, key in rows
            ]
        )
        return
    if not rows:
        say("Nobody may approve a run yet: `momo approver add NAME --first` makes the first approver.")
        return
    table = Table(*(Column(name, no_wrap=True) for name in ("name", "role", "counts", "key")), box=None)
    for row in rows:
        table.add_row(*row)
    wide_console().print(table)


def _article(role: Role) -> str:
    return "an" if role is Role.APPROVER else "a"


def people_of(settings: Settings) -> People:
    """Who counts, for a command; a file that can't be read is told."""
    written = _written(settings)
    return who_counts(settings.first_approver, written.entries, written.signed)


def people_or_nobody(settings: Settings) -> People:
    """The same for who only looks: while the file can't be read, nobody counts anywhere."""
    try:
        return people_of(settings)
    except AnswerIsNo:
        return NOBODY


def counting(people: People, name: str, role: Role) -> Entry:
    """The person of this name in this role, or why not."""
    found = people.of(name, role)
    if found is not None:
        return found
    if not name:
        raise WrongUse(f"--as is missing: which {role.value} signs")
    other = people.counted.get(name)
    if other is not None:
        raise AnswerIsNo(
            f"{name} is {_article(other.role)} {other.role.value} and can't sign as {role.value}: each needs a key of their own"
        )
    why = people.not_counted.get(name, "isn't in approvers.toml; `momo approver list` names those there are")
    raise AnswerIsNo(f"{name} doesn't count as {role.value}: {why}")


def _file(settings: Settings) -> Path:
    return settings.config_folder / FILE_NAME


def _written(settings: Settings) -> Written:
    try:
        return read(_file(settings))
    except ApproversError as error:
        raise AnswerIsNo(str(error)) from None


def _append(path: Path, write: Callable[[Path], None]) -> None:
    try:
        write(path)
    except OSError as error:
        raise AnswerIsNo(
            f"{path} can't be written: {error.strerror}; MOMO_CONFIG names a folder of your own (`momo init`)"
        ) from None
