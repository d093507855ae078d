"""A question about an account holder comes in (active? who is it?), MTN's answer goes out. Never knows a real person."""

import hashlib

from momo_worker.simulator import answers
from momo_worker.simulator.accounts import Account
from momo_worker.simulator.messages import Reply, json_reply
from momo_worker.simulator.outcomes import ACTIVE_ERRORS, INACTIVE_ENDINGS, ending
from momo_worker.simulator.routes import Route

# mtn-api 2.1: 'active' takes its type in lower case; basicuserinfo's case is open, so any is taken.
_ID_TYPES = frozenset({"msisdn", "email", "alias", "id"})
_GIVEN = ("Sand", "Amina", "Kwame", "Grace", "Joseph", "Esther", "Moses", "Fatou", "Ibrahim", "Ruth")
_FAMILY = ("Box", "Okello", "Mensah", "Nakato", "Mugisha", "Banda", "Diallo", "Traore", "Achieng", "Phiri")
# Nobody answers to this ending (mtn-api 7.1).
_NOBODY = "450"


def answer(route: Route, account: Account) -> Reply:
    id_type, number = route.values
    if route.operation == "active":
        return _active(id_type, number, account)
    if id_type.lower() not in _ID_TYPES:
        return answers.coded(500, "INTERNAL_PROCESSING_ERROR")
    if ending(account, number) == _NOBODY:
        return answers.coded(500, "RESOURCE_NOT_FOUND")
    return json_reply(200, _person(number))


def _active(id_type: str, number: str, account: Account) -> Reply:
    if id_type not in {"msisdn", "email"}:
        return answers.bad_request()
    suffix = ending(account, number)
    if suffix in ACTIVE_ERRORS:
        return answers.coded(*ACTIVE_ERRORS[suffix])
    known = account.is_sandbox or id_type != "msisdn" or number.startswith(account.country_code)
    return json_reply(200, {"result": known and suffix not in INACTIVE_ENDINGS})


def _person(number: str) -> dict[str, str]:
    """The same number is always the same invented person."""
    digest = hashlib.sha256(number.encode()).digest()
    return {
        "given_name": _GIVEN[digest[0] % len(_GIVEN)],
        "family_name": _FAMILY[digest[1] % len(_FAMILY)],
        "birthdate": f"{1960 + digest[2] % 45}-{1 + digest[3] % 12:02d}-{1 + digest[4] % 28:02d}",
        "locale": "en_UG",
        "gender": "FEMALE" if digest[5] % 2 else "MALE",
        "status": "ACTIVE",
    }
