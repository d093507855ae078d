"""All mutations, in the order of the rules. Nothing but data."""

from tests.mutations import (
    asking,
    deciding,
    editing,
    keeping,
    people,
    reckoning,
    refusing,
    restoring,
    scheduling,
    sending,
    signing,
)

MUTATIONS = (
    *sending.MUTATIONS,
    *deciding.MUTATIONS,
    *keeping.MUTATIONS,
    *people.MUTATIONS,
    *restoring.MUTATIONS,
    *reckoning.MUTATIONS,
    *refusing.MUTATIONS,
    *signing.MUTATIONS,
    *asking.MUTATIONS,
    *scheduling.MUTATIONS,
    *editing.MUTATIONS,
)
