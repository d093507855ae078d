"""config/approvers.toml: its path and the first approver come in, the people who count go out, read anew when the file changes.

Entries are only ever added, so that comments and earlier signatures stay. A file that can't be read lets nobody count.
"""

import threading
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from momo_worker.approval.people import NOBODY, Entry, People, PeopleError, SignIn, entry_of, sign_in_of, who_counts

log = structlog.get_logger(__name__)

FILE_NAME = "approvers.toml"
_HEAD = (
    "# Who may make runs and who may approve them: public keys only. Written by `momo approver`; entries count once an approver\n"
    "# has signed them in. Every machine with a worker needs this file. Taking an entry out takes the person's word away.\n"
)


class ApproversError(ValueError):
    """The file can't be read; says where and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in the file."""

    entries: tuple[Entry, ...] = ()
    signed: tuple[SignIn, ...] = ()


def read(path: Path) -> Written:
    """The file as it is; nothing where there is none. Raises ApproversError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Written()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ApproversError(f"{path} can't be read: {error}; correct it, or take it from a backup") from None
    if not found.keys() <= {"approver", "signed"} or not all(isinstance(value, list) for value in found.values()):
        raise ApproversError(f"{path} holds something else than [[approver]] and [[signed]]; take it out")
    try:
        entries = tuple(entry_of(_table(one)) for one in found.get("approver", []))
        signed = tuple(sign_in_of(_table(one)) for one in found.get("signed", []))
    except PeopleError as error:
        raise ApproversError(f"{path}: an entry {error}") from None
    return Written(entries, signed)


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise PeopleError("is no table; write it below [[approver]] or [[signed]]")
    return value


def add_entry(path: Path, entry: Entry) -> None:
    """Add a person, who doesn't count yet."""
    _append(path, "approver", (("name", entry.name), ("role", entry.role.value), ("key", entry.key)))


def add_sign_in(path: Path, signed: SignIn) -> None:
    """Add an approver's signature under a person."""
    _append(path, "signed", (("name", signed.name), ("by", signed.by), ("signature", signed.signature)))


def _append(path: Path, table: str, values: Sequence[tuple[str, str]]) -> None:
    # Names and base64 only, checked before: nothing in them needs escaping.
    lines = "".join(f'{key} = "{value}"\n' for key, value in values)
    head = "" if path.exists() else _HEAD
    with path.open("a", encoding="utf-8") as out:
        out.write(f"{head}\n[[{table}]]\n{lines}")


class ApproversFile:
    """The people who count, for a process that lives long."""

    def __init__(self, path: Path, first: Entry | None) -> None:
        self._path = path
        self._first = first
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._people: People | None = None

    def people(self) -> People:
        """Who counts now."""
        with self._lock:
            seen = self._stat()
            if self._people is None or seen != self._seen:
                self._people, self._seen = self._read(), seen
            return self._people

    def _stat(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size)

    def _read(self) -> People:
        try:
            written = read(self._path)
        except ApproversError as error:
            log.error(  # noqa: TRY400 - the error's own words say it all
                "approvers.toml can't be read, so nobody counts and no run's row is sent",
                action="nobody_counts",
                why=str(error),
                advice="correct the file; it is read again when it changes",
            )
            return NOBODY
        return who_counts(self._first, written.entries, written.signed)
