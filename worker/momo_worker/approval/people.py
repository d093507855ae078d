"""Who may make and who may approve: entries of approvers.toml and the first approver of the settings come in, the people who count go out.

Somebody counts once an approver who counts has signed them in; the first is named in the settings. A key counts once, under one name and in
one role, so that nobody stands on both sides of a run (money-review A4).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from momo_worker.approval.signing import is_public_key, is_signed

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}", re.ASCII)
_RULE = "momo-approver-1"


class Role(StrEnum):
    """Which side of a run a key stands on."""

    MAKER = "maker"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True)
class Entry:
    """A person as approvers.toml has them: an `[[approver]]`."""

    name: str
    role: Role
    key: str

    def statement(self, by: str) -> str:
        """What an approver signs to let this person count."""
        return "\n".join((_RULE, f"name: {self.name}", f"role: {self.role}", f"key: {self.key}", f"by: {by}"))


@dataclass(frozen=True, slots=True)
class SignIn:
    """An approver's signature under somebody's entry: a `[[signed]]`."""

    name: str
    by: str
    signature: str


@dataclass(frozen=True, slots=True)
class People:
    """Those who count, by name, and why the others don't."""

    counted: Mapping[str, Entry]
    not_counted: Mapping[str, str]

    def of(self, name: str, role: Role) -> Entry | None:
        """The person of this name, where they count in this role."""
        found = self.counted.get(name)
        return found if found is not None and found.role is role else None


NOBODY = People(MappingProxyType({}), MappingProxyType({}))


class PeopleError(ValueError):
    """What is wrong with an entry, and what to do."""


def first_approver(text: str) -> Entry:
    """`name:key` of the settings. Raises PeopleError."""
    name, _, key = text.partition(":")
    if not NAME.fullmatch(name) or not is_public_key(key):
        raise PeopleError("is no name:key")
    return Entry(name, Role.APPROVER, key)


def entry_of(fields: Mapping[str, object]) -> Entry:
    """One `[[approver]]`. Raises PeopleError."""
    texts = _texts(fields, ("name", "role", "key"))
    name, role, key = texts["name"], texts["role"], texts["key"]
    if not NAME.fullmatch(name):
        raise PeopleError(f"has the name {name!r}; use 1 to 32 of a-z 0-9 . _ - and begin with a letter or digit")
    if role not in tuple(Role):
        raise PeopleError(f"{name} has the role {role!r}; use {' or '.join(Role)}")
    if not is_public_key(key):
        raise PeopleError(f"{name} has no public key of 32 bytes in base64; `momo approver add` writes it")
    return Entry(name, Role(role), key)


def sign_in_of(fields: Mapping[str, object]) -> SignIn:
    """One `[[signed]]`. Raises PeopleError."""
    texts = _texts(fields, ("name", "by", "signature"))
    return SignIn(texts["name"], texts["by"], texts["signature"])


def _texts(fields: Mapping[str, object], names: Sequence[str]) -> dict[str, str]:
    found = {name: value for name, value in fields.items() if isinstance(value, str)}
    if found.keys() != fields.keys() or found.keys() != set(names):
        raise PeopleError(
            f"has {', '.join(sorted(map(str, fields))) or 'nothing'}; it must have {', '.join(names)}, each as text"
        )
    return found


def who_counts(first: Entry | None, entries: Sequence[Entry], signed: Sequence[SignIn]) -> People:
    """Follow the signatures from the first approver; what no chain reaches doesn't count."""
    if first is None:
        return People(MappingProxyType({}), MappingProxyType({one.name: _NO_FIRST for one in entries}))
    counted = {first.name: first}
    left = [one for one in entries if one != first]
    before = len(left) + 1
    while len(left) < before:
        before = len(left)
        for entry in list(left):
            if _why_not(entry, counted, signed) is None:
                counted[entry.name] = entry
                left.remove(entry)
    # Said at the end: somebody may be the last that another waits for.
    why = {entry.name: _why_not(entry, counted, signed) or "" for entry in left}
    return People(MappingProxyType(counted), MappingProxyType(why))


_NO_FIRST = "no first approver is named in the settings ([approvals] first_approver)"


def _why_not(entry: Entry, counted: Mapping[str, Entry], signed: Sequence[SignIn]) -> str | None:
    if entry.name in counted:
        return "another of this name counts already"
    if entry.key in {one.key for one in counted.values()}:
        return "has somebody else's key; each person makes a key of their own"
    given = [one for one in signed if one.name == entry.name]
    if not given:
        return f"isn't signed in yet: `momo approver sign-in {entry.name} --as APPROVER`"
    approvers = {
        one.by: counted[one.by] for one in given if one.by in counted and counted[one.by].role is Role.APPROVER
    }
    if not approvers:
        return f"was signed in by {given[-1].by}, who doesn't count as an approver"
    for one in given:
        if one.by in approvers and is_signed(approvers[one.by].key, entry.statement(one.by), one.signature):
            return None
    return "has no signature over this entry as it stands: it was changed since it was signed in"
