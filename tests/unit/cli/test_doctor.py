"""What the doctor advises where one trouble is the cause of another."""

from types import SimpleNamespace

import pytest

from momo_worker.cli.deeds import check_redis
from momo_worker.cli.deeds.finding import Verdict


@pytest.mark.parametrize(("ours", "advised"), [("b", True), (None, False)])
def test_only_a_ledger_that_could_be_read_may_take_anothers_redis(ours, advised):
    client = SimpleNamespace(get=lambda _key: b"a")

    (found,) = check_redis._ledger(client, ours)

    assert found.verdict is Verdict.FAIL
    assert ("--adopt-ledger" in found.next) is advised
    assert "None" not in found.what
