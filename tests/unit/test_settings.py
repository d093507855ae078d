"""What is set where, which wins, and what a wrong setting is told."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from momo_worker import settings_files
from momo_worker.payment.rules import Rules
from momo_worker.scrubbing import HIDDEN, forget_secrets, scrub
from momo_worker.settings import EMBEDDED_REDIS_URL, Settings, SettingsError, load
from momo_worker.settings_check import CheckRules
from momo_worker.settings_schema import RULE_KEYS, known_variables, rule_of

NAMESPACE = "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11"


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def loaded(home: Path, cwd: Path | None = None, **environ: str) -> Settings:
    return load({"HOME": str(home), "MOMO_HOME": str(home), **environ}, cwd or home)


def complaint(home: Path, cwd: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(home, cwd, **environ)
    return str(caught.value)


def config_in(folder: Path, worker_toml: str) -> Path:
    (folder / "config").mkdir()
    (folder / "config" / "worker.toml").write_text(worker_toml, encoding="utf-8")
    return folder


def test_without_any_setting_one_machine_runs_in_the_sandbox(tmp_path: Path) -> None:
    settings = load({"HOME": str(tmp_path)}, tmp_path)
    assert settings.home == settings_files.checkout() / "var"
    assert settings.database_url == f"sqlite:///{settings.home}/momo.db"
    assert settings.redis_url is None
    assert settings.redis_address == EMBEDDED_REDIS_URL
    assert settings.namespace is None
    assert settings.rules == Rules()
    assert list(settings.accounts) == ["default"]
    assert settings.accounts["default"].market.sandbox
    assert dict(settings.accounts["default"].credentials) == {}
    assert settings.metrics_port is None


def test_outside_a_checkout_the_home_is_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings_files.shipped_config()
    monkeypatch.setattr(settings_files, "checkout", lambda: None)
    assert load({"HOME": str(tmp_path), "MOMO_CONFIG": str(config)}, tmp_path).home == tmp_path / ".momo"


def test_every_rule_can_be_set_and_every_key_is_a_rule() -> None:
    assert {rule_of(key)[0] for key in RULE_KEYS} == {field.name for field in fields(Rules)}


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(home: Path) -> None:
    config_in(home, '[log]\nlevel = "DEBUG"\n[worker]\nthreads = 3\ncall_threads = 5\n')
    (home / ".env").write_text("MOMO_LOG_LEVEL=warning\nexport MOMO_WORKER__THREADS='7'\nPATH=/elsewhere\n")
    settings = loaded(home, MOMO_LOG_LEVEL="error")
    assert (settings.log_level, settings.threads, settings.call_threads) == ("ERROR", 7, 5)


def test_the_config_of_the_current_folder_is_read_only_if_it_holds_worker_toml(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    assert loaded(home, tmp_path).config_folder == settings_files.shipped_config()
    (tmp_path / "config" / "worker.toml").write_text("[worker]\nthreads = 2\n")
    assert loaded(home, tmp_path).config_folder == tmp_path / "config"
    assert loaded(home, tmp_path).threads == 2


def test_an_empty_variable_is_as_good_as_none(home: Path) -> None:
    assert loaded(home, MOMO_REDIS_URL="", MOMO_NAMESPACE="", MOMO_COLLECTION_API_KEY="").redis_url is None


def test_times_are_read_in_the_unit_of_their_name(home: Path) -> None:
    config_in(
        home,
        "[rules]\ncall_deadline_seconds = 1.5\nlate_looks_hours = [2, 0.5]\nlook_factor = 2.5\n"
        "[jobs]\nkeep_days = 0.5\n[results]\nmax_megabytes = 3\n",
    )
    settings = loaded(home, MOMO_RULES__EXPIRES_DAYS="2", MOMO_RULES__PROBE_DELAYS_MINUTES="1, 2")
    assert settings.rules.call_deadline_ms == 1500
    assert settings.rules.late_looks_ms == (7_200_000, 1_800_000)
    assert settings.rules.look_factor == 2.5
    assert settings.rules.expires_ms == 172_800_000
    assert settings.rules.probe_delays_ms == (60_000, 120_000)
    assert settings.jobs_keep_ms == 43_200_000
    assert settings.results_max_bytes == 3_000_000


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("postgres://u:p%40ss@db/momo", "postgresql+psycopg://u:p%40ss@db/momo"),
        ("postgresql://u@db/momo?sslmode=require", "postgresql+psycopg://u@db/momo?sslmode=require"),
        ("postgresql+psycopg://u@db/momo", "postgresql+psycopg://u@db/momo"),
        ("sqlite:///ledgers/a.db", "sqlite:///{home}/ledgers/a.db"),
        ("sqlite:////srv/momo/a.db", "sqlite:////srv/momo/a.db"),
    ],
)
def test_a_ledger_url_is_made_sqlalchemys_and_relative_files_start_at_home(home: Path, written: str, read: str) -> None:
    assert loaded(home, home.parent, MOMO_DATABASE_URL=written).database_url == read.format(home=home)


@pytest.mark.parametrize(
    "written", ["mysql://u:hunter2hunter@db/momo", "sqlite://", "sqlite:///:memory:", "hunter2hunter", "sqlite:///"]
)
def test_what_is_no_ledger_is_refused_without_showing_its_password(home: Path, written: str) -> None:
    text = complaint(home, MOMO_DATABASE_URL=written)
    assert "MOMO_DATABASE_URL" in text
    assert "sqlite:///momo.db" in text
    assert "hunter2" not in text


def test_a_secret_comes_from_a_file(home: Path) -> None:
    (home / "password").write_text("postgresql://u:topsecret@db/momo\n")
    settings = loaded(home, MOMO_DATABASE_URL_FILE="password")
    assert settings.database_url == "postgresql+psycopg://u:topsecret@db/momo"
    assert scrub("it said topsecret") == f"it said {HIDDEN}"
    assert "topsecret" not in repr(settings)


def test_a_file_in_the_environment_wins_over_the_value_in_dotenv(home: Path) -> None:
    (home / ".env").write_text("MOMO_REDIS_URL=redis://dotenv:6379/0\n")
    (home / "url").write_text("redis://file:6379/0")
    assert loaded(home, MOMO_REDIS_URL_FILE=str(home / "url")).redis_url == "redis://file:6379/0"


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "can't be read"), (b" \n", "is empty"), (b"\xff\xfe\x00", "is not UTF-8"), (b"x" * 70_000, "larger")],
)
def test_a_secret_file_that_holds_no_secret_is_named(home: Path, content: bytes | None, what: str) -> None:
    if content is not None:
        (home / "secret").write_bytes(content)
    text = complaint(home, MOMO_REDIS_URL_FILE="secret")
    assert "MOMO_REDIS_URL_FILE" in text
    assert what in text


def test_a_secret_given_twice_is_refused(home: Path) -> None:
    (home / "url").write_text("redis://file:6379/0")
    assert "is set beside MOMO_REDIS_URL" in complaint(home, MOMO_REDIS_URL="redis://a", MOMO_REDIS_URL_FILE="url")


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("MOMO_REDSI_URL", "MOMO_REDIS_URL"),
        ("MOMO_COLECTION_API_KEY", "MOMO_COLLECTION_API_KEY"),
        ("MOMO_RULES__LEASE_SECOND", "MOMO_RULES__LEASE_SECONDS"),
        ("MOMO_HOMES", "MOMO_HOME"),
        ("MOMO_COLLECTION_API_KEY_FILES", "MOMO_COLLECTION_API_KEY_FILE"),
        ("MOMO_MARKET_FILE", "MOMO_MARKET"),
        ("MOMO_redis_url", "MOMO_REDIS_URL"),
    ],
)
def test_a_misspelt_variable_is_told_the_nearest(home: Path, typo: str, meant: str) -> None:
    text = complaint(home, **{typo: "topsecretvalue"})
    assert f"{typo}: is read by nothing; did you mean {meant}?" in text
    assert "topsecretvalue" not in text


def test_a_variable_like_no_other_is_sent_to_the_list(home: Path) -> None:
    assert "config/env.example lists" in complaint(home, MOMO_ZZZZZZZZZZZZZZ="1")


def test_a_variable_of_an_account_that_the_file_does_not_name_says_so(home: Path) -> None:
    text = complaint(home, MOMO_ACCOUNTS__SHOP__COLLECTION__API_KEY="0123456789abcdef")
    assert "add [accounts.shop] with its market to worker.toml" in text


def test_all_problems_of_a_load_are_told_at_once(home: Path) -> None:
    config_in(
        home,
        '[worker]\nthreads = "many"\nthread = 3\n[rules]\nlease_seconds = 100\nlook_factor = "x"\n[nothing]\na = 1\n',
    )
    text = complaint(
        home,
        MOMO_LOG_LEVEL="loud",
        MOMO_NAMESPACE="mine",
        MOMO_METRICS_PORT="70000",
        MOMO_REDIS_URL="http://x",
        MOMO_TYPO="1",
    )
    for place in (
        "worker.toml: worker.threads:",
        "worker.toml: worker.thread:",
        "worker.toml: nothing:",
        "worker.toml: rules.look_factor:",
        "MOMO_LOG_LEVEL:",
        "MOMO_NAMESPACE:",
        "MOMO_METRICS_PORT:",
        "MOMO_REDIS_URL:",
        "MOMO_TYPO:",
        "lease_ms=100000 must be over twice call_deadline_ms=60000",
    ):
        assert place in text
    assert len(text.splitlines()) == 11
    assert text.startswith("10 settings are wrong:")
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("content", "what"),
    [("[worker\n", "is not TOML"), ("[a]\n[a]\n", "is not TOML"), ("accounts = 3\n", "worker.toml: accounts")],
)
def test_a_broken_file_is_one_sentence(home: Path, content: str, what: str) -> None:
    assert what in complaint(config_in(home, content))


def test_a_section_written_as_a_value_is_named_though_a_variable_sets_a_key_in_it(home: Path) -> None:
    config_in(home, "worker = 3\n")
    assert "worker.toml: worker" in complaint(home, MOMO_WORKER__THREADS="4")


@pytest.mark.parametrize(
    ("content", "line"), [("MOMO_MARKET\n", 1), ("A=1\nMOMO MARKET=x\n", 2), ("MOMO_HOME=/elsewhere\n", None)]
)
def test_a_broken_dotenv_is_told_by_its_line(home: Path, content: str, line: int | None) -> None:
    (home / ".env").write_text(content)
    text = complaint(home)
    assert f".env: line {line}:" in text if line else ".env: MOMO_HOME:" in text


def test_a_dotenv_that_cannot_be_read_is_not_passed_over(home: Path) -> None:
    (home / ".env").mkdir()
    assert ".env: " in complaint(home)


def test_a_relative_home_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"MOMO_HOME: 'var' is relative"):
        load({"HOME": str(tmp_path), "MOMO_HOME": "var"}, tmp_path)


def test_a_config_folder_without_worker_toml_is_refused(home: Path) -> None:
    assert "holds no worker.toml" in complaint(home, MOMO_CONFIG="nowhere")


def test_secrets_in_worker_toml_are_refused_without_being_shown(home: Path) -> None:
    config_in(home, '[accounts.default.collection]\napi_key = "0123456789abcdef"\n')
    text = complaint(home)
    assert "worker.toml: accounts.default.collection.api_key: is a secret in a file" in text
    assert "0123456789abcdef" not in text
    assert scrub("0123456789abcdef") == HIDDEN


@pytest.mark.parametrize(
    ("key", "laxer", "stricter"),
    [
        ("NOT_FOUND_NEEDED", "2", "4"),
        ("NOT_FOUND_APART_SECONDS", "29", "31"),
        ("NOT_FOUND_GRACE_SECONDS", "299", "301"),
        ("SENDS_MAX", "4", "2"),
        ("SEND_WINDOW_HOURS", "7", "5"),
        ("PERMIT_AGE_MS", "1001", "500"),
        ("PERMISSION_AGE_MINUTES", "11", "9"),
        ("RESOLVE_AFTER_HOURS", "23", "48"),
        ("ATTEMPTS_MAX", "6", "3"),
        ("PROMPT_MINUTES", "5", "7"),
    ],
)
def test_what_keeps_a_payment_from_being_made_twice_is_never_laxer_where_money_moves(
    home: Path, key: str, laxer: str, stricter: str
) -> None:
    name = f"MOMO_RULES__{key}"
    real = {"MOMO_MARKET": "uganda", "MOMO_NAMESPACE": NAMESPACE}
    assert f"{name}: {laxer} is laxer than" in complaint(home, **real, **{name: laxer})
    assert loaded(home, **real, **{name: stricter}).rules != Rules()
    assert loaded(home, MOMO_MARKET="uganda", MOMO_BASE_URL="http://127.0.0.1:8080", **{name: laxer}).rules != Rules()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e999", "x", "0.0001"])
def test_a_time_is_a_positive_number_of_whole_milliseconds(home: Path, value: str) -> None:
    assert "MOMO_RULES__RELEASE_SECONDS" in complaint(home, MOMO_RULES__RELEASE_SECONDS=value)


def test_real_money_needs_the_installations_namespace(home: Path) -> None:
    text = complaint(home, MOMO_MARKET="uganda")
    assert re.search(r"MOMO_NAMESPACE: is missing, .* real money; draw one once", text)
    assert loaded(home, MOMO_MARKET="uganda", MOMO_NAMESPACE=NAMESPACE).namespace == UUID(NAMESPACE)


def test_a_wrong_namespace_is_told_once(home: Path) -> None:
    text = complaint(home, MOMO_MARKET="uganda", MOMO_NAMESPACE="mine")
    assert text.count("MOMO_NAMESPACE") == 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    environ=st.dictionaries(
        st.sampled_from(
            [*sorted(known_variables({"default": None, "shop": None})), "MOMO_CONFIG", "MOMO_REDIS_URL_FILE"]
        ),
        st.text(st.characters(exclude_characters="\0"), max_size=30)
        | st.sampled_from(
            ["sNaN", "1e400", "9" * 300, "https://[", "http://127.0.0.1:x", "redis://[::1", "1,,2", "~", "/"]
        ),
        max_size=6,
    )
)
def test_no_value_of_any_variable_gets_a_traceback(home: Path, environ: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        loaded(home, **environ)


@pytest.mark.parametrize(
    "content",
    [
        *("[[accounts]]\n", "[accounts]\nshop = 3\n", "[accounts.shop]\nmarket = 3\n", "[accounts.shop]\npace = 3\n"),
        *("[rules]\nlate_looks_hours = [1, [2]]\n", "[rules]\nlate_looks_hours = []\n", "[rules]\nlook_factor = nan\n"),
        *("[rules.lease_seconds]\nx = 1\n", "[worker]\nthreads = 2026-11-24\n", "[worker]\nthreads = 1.5\n"),
        *('redis_url = "redis://a"\n', "[log]\nlevel = 3\n", "[results]\nmax_megabytes = 0\n"),
    ],
)
def test_no_value_in_the_file_gets_a_traceback(home: Path, content: str) -> None:
    assert "worker.toml: " in complaint(config_in(home, content))


def test_settings_show_no_secret(home: Path) -> None:
    secrets = {
        "MOMO_DATABASE_URL": "postgresql://u:pw-of-database@db/momo",
        "MOMO_REDIS_URL": "redis://u:pw-of-redis@cache:6379/0",
        "MOMO_COLLECTION_SUBSCRIPTION_KEY": "subscription-key-1",
        "MOMO_COLLECTION_SECONDARY_KEY": "secondary-key-1",
        "MOMO_COLLECTION_API_USER": "an-api-user",
        "MOMO_COLLECTION_API_KEY": "api-key-1",
        "MOMO_DISBURSEMENT_SUBSCRIPTION_KEY": "subscription-key-2",
        "MOMO_CALLBACK_URL": "https://pay.example.com/momo",
        "MOMO_CALLBACK_SECRET": "a-callback-secret",
    }
    shown = repr(loaded(home, **secrets))
    hidden = ("pw-of", "subscription-key", "secondary-key", "api-key", "a-callback-secret")
    assert not [secret for secret in hidden if secret in shown]
    for secret in ("pw-of-database", "pw-of-redis", "subscription-key-1", "api-key-1", "subscription-key-2"):
        assert scrub(f"<{secret}>") == f"<{HIDDEN}>"
    # What HTTP's Basic scheme makes of user and key.
    assert HIDDEN in scrub("YW4tYXBpLXVzZXI6YXBpLWtleS0x")


def test_the_ledger_keeps_results_as_long_as_the_stream_and_a_replay_of_it_need(home: Path) -> None:
    stream = {"MOMO_RESULTS__KEEP_DAYS": "10", "MOMO_RESULTS__OUTBOX_KEEP_DAYS": "9"}
    loss = {"MOMO_RESULTS__KEEP_DAYS": "1", "MOMO_RESULTS__REPLAY_HOURS": "72", "MOMO_RESULTS__OUTBOX_KEEP_DAYS": "2"}
    assert "MOMO_RESULTS__OUTBOX_KEEP_DAYS: 9 is less than the stream keeps" in complaint(home, **stream)
    assert "set at least 3" in complaint(home, **loss)
    assert loaded(home, **{**stream, "MOMO_RESULTS__OUTBOX_KEEP_DAYS": "10"}).outbox_keep_ms == 10 * 86_400_000


def test_what_passes_a_check_is_no_less_alike_than_what_is_looked_at(home: Path) -> None:
    settings = loaded(home, MOMO_CHECK__PASS_SCORE="70", MOMO_CHECK__REVIEW_SCORE="70", MOMO_CHECK__KEEP_DAYS="1.5")
    assert settings.check == CheckRules(70, 70, keep_ms=129_600_000, apart_ms=210)
    assert "what lies between is looked at" in complaint(home, MOMO_CHECK__PASS_SCORE="50")
    assert "MOMO_CHECK__PASS_SCORE" in complaint(home, MOMO_CHECK__PASS_SCORE="101")
