"""A question about an account holder comes in (active? who is it?), MTN's answer goes out. Never knows a real person.

Everybody is active and has an invented name, until a test says otherwise at the control door.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import Account
from momo_worker.simulator.faults import Rule
from momo_worker.simulator.messages import Reply, json_reply
from momo_worker.simulator.outcomes import ACTIVE_ERRORS, INACTIVE_ENDINGS, ending
from momo_worker.simulator.routes import Route

# mtn-api 2.1: 'active' takes its type in lower case; basicuserinfo's case is open, so any is taken.
_ID_TYPES = frozenset({"msisdn", "email", "alias", "id"})
# OAS: validated as E.164; digits with the country code first (ERR).
_MSISDN = re.compile(r"\+?[1-9][0-9]{4,14}", re.ASCII)
_GIVEN = ("Sand", "Amina", "Kwame", "Grace", "Joseph", "Esther", "Moses", "Fatou", "Ibrahim", "Ruth")
_FAMILY = ("Box", "Okello", "Mensah", "Nakato", "Mugisha", "Banda", "Diallo", "Traore", "Achieng", "Phiri")
# Nobody answers to this ending (mtn-api 7.1).
_NOBODY = "450"


@dataclass(frozen=True, slots=True)
class Holder:
    """What a test says of a number; without a name of either kind MTN has none."""

    given_name: str | None = None
    family_name: str | None = None
    active: bool = True
    #: False: MTN knows nobody of this number.
    known: bool = True


class Subscribers:
    """Who has which number, beside those that are invented. In memory only, as faults are."""

    def __init__(self) -> None:
        self._set: dict[str, Holder] = {}

    def put(self, value: Mapping[str, Any]) -> None:
        """`{"msisdn": …, "given_name": …, "family_name": …, "active": …, "known": …}`; raises ValueError or TypeError."""
        given = dict(value)
        number = given.pop("msisdn", None)
        if not isinstance(number, str) or not _MSISDN.fullmatch(number):
            raise ValueError(f"msisdn is {number!r}; give digits with the country code first")
        for name, kind in (("given_name", str), ("family_name", str), ("active", bool), ("known", bool)):
            if name in given and not isinstance(given[name], kind):
                raise TypeError(f"{name} is {given[name]!r}; it must be a {kind.__name__}")
        self._set[number.removeprefix("+")] = Holder(**given)

    def clear(self) -> None:
        self._set.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [{"msisdn": number, **asdict(holder)} for number, holder in self._set.items()]

    def answer(self, route: Route, account: Account, twists: Sequence[Rule] = ()) -> Reply:
        id_type, number = route.values
        if id_type.lower() == "msisdn" and not _MSISDN.fullmatch(number):
            # The specification has no 400 for basicuserinfo.
            return answers.bad_request() if route.operation == "active" else _failed()
        holder = self._set.get(number.removeprefix("+"))
        if route.operation == "active":
            return _twisted_result(_active(id_type, number, account, holder), twists)
        if id_type.lower() not in _ID_TYPES:
            return _failed()
        if (holder is None and ending(account, number) == _NOBODY) or (holder is not None and not holder.known):
            return answers.coded(500, "RESOURCE_NOT_FOUND")
        return json_reply(200, _twisted_person(_person(number, holder), twists))


def _failed() -> Reply:
    return answers.coded(500, "INTERNAL_PROCESSING_ERROR")


def _active(id_type: str, number: str, account: Account, holder: Holder | None) -> Reply:
    if id_type not in {"msisdn", "email"}:
        return answers.bad_request()
    if holder is not None:
        return json_reply(200, {"result": holder.known and holder.active})
    suffix = ending(account, number)
    if suffix in ACTIVE_ERRORS:
        return answers.coded(*ACTIVE_ERRORS[suffix])
    known = account.is_sandbox or id_type != "msisdn" or number.startswith(account.country_code)
    return json_reply(200, {"result": known and suffix not in INACTIVE_ENDINGS})


def _person(number: str, holder: Holder | None) -> dict[str, str]:
    """The same number is always the same invented person, but for the name that a test gave it."""
    digest = hashlib.sha256(number.encode()).digest()
    invented = {
        "given_name": _GIVEN[digest[0] % len(_GIVEN)],
        "family_name": _FAMILY[digest[1] % len(_FAMILY)],
    }
    if holder is not None:
        set_by_hand = {"given_name": holder.given_name, "family_name": holder.family_name}
        invented = {name: value for name, value in set_by_hand.items() if value is not None}
    return {
        **invented,
        "birthdate": f"{1960 + digest[2] % 45}-{1 + digest[3] % 12:02d}-{1 + digest[4] % 28:02d}",
        "locale": "en_UG",
        "gender": "FEMALE" if digest[5] % 2 else "MALE",
        "status": "ACTIVE",
    }


def _twisted_result(reply: Reply, twists: Sequence[Rule]) -> Reply:
    if any(rule.fault == "result_as_text" for rule in twists) and reply.status == HTTPStatus.OK:
        return json_reply(200, {"result": "true" if reply.json()["result"] else "false"})
    return reply


def _twisted_person(person: dict[str, str], twists: Sequence[Rule]) -> dict[str, str]:
    kinds = {rule.fault for rule in twists}
    if "missing_fields" in kinds:
        person = {name: value for name, value in person.items() if not name.endswith("_name")}
    if "whole_name" in kinds:
        parts = (person.pop(name, "") for name in ("given_name", "family_name"))
        person = {"sub": "0", "name": " ".join(part for part in parts if part), **person}
    return person
