"""One running installation for all commands that only need one: nothing comes in, a town goes out."""

from collections.abc import Iterator

import pytest
from tests.support.command_line import Town, running_town

#: The same code under shorter waits: a first look after a second, a lost lease after seven.
QUICK = {
    "MOMO_RULES__CALL_DEADLINE_SECONDS": "3",
    "MOMO_RULES__LEASE_SECONDS": "7",
    "MOMO_RULES__FIRST_LOOK_COLLECTION_SECONDS": "1",
    "MOMO_RULES__FIRST_LOOK_DISBURSEMENT_SECONDS": "1",
    "MOMO_RULES__FIRST_LOOK_UNKNOWN_SECONDS": "1",
}


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("town"), **QUICK) as running:
        yield running
