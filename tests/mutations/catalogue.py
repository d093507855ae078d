"""All mutations, in the order of the rules. Nothing but data."""

from tests.mutations import deciding, keeping, restoring, sending

MUTATIONS = (*sending.MUTATIONS, *deciding.MUTATIONS, *keeping.MUTATIONS, *restoring.MUTATIONS)
