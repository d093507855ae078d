"""M6 and M7: what ended by MTN's word had that very word, under its reference and with every fact equal to ours. Compares by itself."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.support.simulation import Simulation
from tests.support.simulation_story import Broken

_WORDS = {"found_successful": "SUCCESSFUL", "found_failed": "FAILED"}
_ENDED = (
    "SELECT t.payment_id, t.trigger, a.reference_id, p.amount_minor, p.exponent, p.currency, p.msisdn, p.external_id "
    "FROM transition AS t JOIN payment AS p ON p.id = t.payment_id "
    "JOIN attempt AS a ON a.payment_id = t.payment_id AND a.number = t.attempt "
    "WHERE t.trigger IN ('found_successful', 'found_failed') ORDER BY t.id"
)


def check(world: Simulation) -> list[Broken]:
    found = []
    for name, trigger, reference, amount, exponent, currency, msisdn, external_id in world.rows(_ENDED):
        ours = (Decimal(amount).scaleb(-exponent), currency, msisdn, external_id)
        said = [look.said for look in world.seen.looks.get(reference, ()) if look.http_status == 200]
        word = [facts for facts in said if facts.get("status") == _WORDS[trigger]]
        if not word:
            found.append(Broken(f"moved by {trigger}, and MTN never said {_WORDS[trigger]}", name))
        elif not any(_equal(facts, *ours) for facts in word):
            found.append(Broken(f"moved by {trigger} on facts that aren't ours: {word[-1]}", name))
    return found


def _equal(said: Mapping[str, Any], amount: Decimal, currency: str, msisdn: str | None, external_id: str) -> bool:
    party = (said.get("payer") or said.get("payee") or {}).get("partyId")
    try:
        same = said.get("amount") is None or Decimal(str(said["amount"])) == amount
    except InvalidOperation:
        return False
    return (
        same
        and said.get("currency") in (None, currency)
        and (party is None or msisdn is None or str(party) == msisdn)
        and said.get("externalId") in (None, external_id)
    )
