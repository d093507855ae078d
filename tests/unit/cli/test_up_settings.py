"""What `momo up` refuses before anything is started: a ledger that has paid under other settings than those it would start with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command_line import momo

from momo_worker.cli import household
from momo_worker.cli.deeds import up
from momo_worker.cli.saying import WrongUse
from momo_worker.clock import SystemClock
from momo_worker.ledger import installation
from momo_worker.ledger.engine import Ledger
from momo_worker.ledger.migrate import migrate
from momo_worker.scrubbing import forget_secrets
from momo_worker.settings import Settings, load

HERE = "http://127.0.0.1:8091"


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    yield
    forget_secrets()


def simulated(home: Path, market: str = "sandbox", url: str = HERE, **more: str) -> Settings:
    money = household.Money(market, url).variables()
    return load({"HOME": str(home), "MOMO_HOME": str(home), **money, **more}, home)


@pytest.fixture
def paid(tmp_path: Path) -> Path:
    """A home whose ledger has paid in the sandbox."""
    settings = simulated(tmp_path)
    ledger = Ledger(settings.database_url, SystemClock())
    migrate(ledger)
    with ledger.write() as tx:
        installation.prepare(tx, None, sandbox_only=True)
        installation.pin_accounts(tx, settings.accounts.values(), write=True)
    ledger.close()
    return tmp_path


def test_a_home_goes_on_under_the_settings_that_it_paid_under(paid: Path, tmp_path_factory) -> None:
    up.refuse_another_ledger(simulated(paid), simulator=True)

    fresh = tmp_path_factory.mktemp("fresh")
    up.refuse_another_ledger(simulated(fresh, "uganda"), simulator=True)
    assert not list(fresh.iterdir())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"market": "uganda"}, ["MOMO_MARKET", "sandbox", "MOMO_HOME"]),
        ({"url": "http://127.0.0.1:8092"}, ["--simulator-port", HERE, "8092"]),
        ({"MOMO_NAMESPACE": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11"}, ["MOMO_NAMESPACE"]),
    ],
)
def test_a_home_that_paid_under_other_settings_is_named_with_both(paid: Path, other: dict, words: list[str]) -> None:
    with pytest.raises(WrongUse) as refused:
        up.refuse_another_ledger(simulated(paid, **other), simulator=True)

    assert "nothing was started" in refused.value.message
    assert all(word in refused.value.message for word in [*words, str(paid / "momo.db")]), refused.value.message


def test_the_answer_comes_before_the_homes_env_is_written(paid: Path) -> None:
    home = paid / "simulator"
    home.mkdir()
    (paid / "momo.db").rename(home / "momo.db")
    (home / ".env").write_text("MOMO_MARKET=sandbox\n")

    answer = momo("up", "--simulator", home=paid, MOMO_MARKET="uganda")

    assert answer.code == 2
    assert "nothing was started" in answer.err
    assert (home / ".env").read_text() == "MOMO_MARKET=sandbox\n"
    assert not (home / "valkey").exists()
