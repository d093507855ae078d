"""Accounts, markets and credentials as they are written, and the contradictions that don't start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from momo_worker.accounts import DirectLimit, SameAgain
from momo_worker.payment.payment import Product
from momo_worker.scrubbing import forget_secrets
from momo_worker.settings import Settings, SettingsError, load

NAMESPACE = {"MOMO_NAMESPACE": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11"}
COLLECTION = {
    "MOMO_COLLECTION_SUBSCRIPTION_KEY": "0123456789abcdef",
    "MOMO_COLLECTION_API_USER": "7c1f2a30-0000-4000-8000-000000000001",
    "MOMO_COLLECTION_API_KEY": "fedcba9876543210",
}
SHOP = """
[accounts.shop-accra]
market = "ghana"
label = "Shop in Accra"
same_again = "hold"
direct_limit_per_payment = "500.50"
refund_by = "transfer"
check_before_paying = "needed"
[accounts.shop-accra.collection]
api_user = "7c1f2a30-0000-4000-8000-000000000002"
[accounts.shop-accra.pace]
look_apart_ms = 200
"""
SHOP_KEYS = {
    "MOMO_ACCOUNTS__SHOP_ACCRA__COLLECTION__SUBSCRIPTION_KEY": "shop-subscription-key",
    "MOMO_ACCOUNTS__SHOP_ACCRA__COLLECTION__API_KEY": "shop-api-key",
}


@pytest.fixture(autouse=True)
def nothing_registered() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


def loaded(folder: Path, worker_toml: str = "", **environ: str) -> Settings:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "worker.toml").write_text(worker_toml, encoding="utf-8")
    return load({"HOME": str(folder), "MOMO_HOME": str(folder), **environ}, folder)


def complaint(folder: Path, worker_toml: str = "", **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, worker_toml, **environ)
    return str(caught.value)


def test_the_default_account_is_made_of_plain_variables(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        **NAMESPACE,
        **COLLECTION,
        MOMO_MARKET="uganda",
        MOMO_COLLECTION_SECONDARY_KEY="secondary-key",
        MOMO_CALLBACK_URL="https://pay.example.com/momo/",
        MOMO_CALLBACK_SECRET="0123456789abcdef0123",
    )
    account = settings.accounts["default"]
    credentials = account.credentials[Product.COLLECTION]
    assert (account.market.target_environment, account.market.currency.code) == ("mtnuganda", "UGX")
    assert (account.market.currency.exponent, account.market.region) == (0, "UG")
    assert (credentials.subscription_key, credentials.secondary_key) == ("0123456789abcdef", "secondary-key")
    assert (credentials.api_user, credentials.api_key) == (COLLECTION["MOMO_COLLECTION_API_USER"], "fedcba9876543210")
    assert Product.DISBURSEMENT not in account.credentials
    assert not account.check_needed
    assert (account.callback_url, account.callback_secret) == ("https://pay.example.com/momo", "0123456789abcdef0123")


def test_an_account_of_the_file_takes_its_secrets_from_variables(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SHOP, **NAMESPACE, **SHOP_KEYS)
    assert list(settings.accounts) == ["shop-accra"]
    account = settings.accounts["shop-accra"]
    credentials = account.credentials[Product.COLLECTION]
    assert (credentials.subscription_key, credentials.api_key) == ("shop-subscription-key", "shop-api-key")
    assert credentials.api_user == "7c1f2a30-0000-4000-8000-000000000002"
    assert (account.label, account.same_again) == ("Shop in Accra", SameAgain.HOLD)
    assert account.direct_limit == DirectLimit(per_payment_minor=50_050)
    assert account.refund_by_transfer
    assert account.check_needed
    assert (account.pace.look_apart_ms, account.pace.send_apart_ms) == (200, 40)


def test_an_account_of_the_file_takes_its_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("shop-api-key\n")
    keys = {"MOMO_ACCOUNTS__SHOP_ACCRA__COLLECTION__API_KEY_FILE": str(tmp_path / "key")}
    keys["MOMO_ACCOUNTS__SHOP_ACCRA__COLLECTION__SUBSCRIPTION_KEY"] = "shop-subscription-key"
    settings = loaded(tmp_path, SHOP, **NAMESPACE, **keys)
    assert settings.accounts["shop-accra"].credentials[Product.COLLECTION].api_key == "shop-api-key"


def test_a_job_without_account_has_no_sandbox_to_fall_into_beside_real_accounts(tmp_path: Path) -> None:
    assert "default" not in loaded(tmp_path, SHOP, **NAMESPACE, **SHOP_KEYS).accounts
    assert "default" in loaded(tmp_path, SHOP, **NAMESPACE, **SHOP_KEYS, MOMO_MARKET="uganda").accounts


def test_the_default_account_takes_what_has_no_variable_from_the_file(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[accounts.default]\nsame_again = "off"\n', MOMO_MARKET="sandbox")
    assert settings.accounts["default"].same_again is SameAgain.OFF


def test_a_simulator_on_this_machine_may_be_any_market_and_any_pace(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        MOMO_MARKET="uganda",
        MOMO_BASE_URL="http://127.0.0.1:8901",
        MOMO_PACE__LOOK_APART_MS="1",
        MOMO_CALLBACK_URL="http://localhost:9999/cb",
        MOMO_CALLBACK_SECRET="0123456789abcdef",
    )
    assert settings.accounts["default"].market.base_url == "http://127.0.0.1:8901"
    assert settings.accounts["default"].pace.look_apart_ms == 1
    assert settings.namespace is None


CONTRADICTIONS = {
    "the sandbox's host under a real environment": (
        {"MOMO_TARGET_ENVIRONMENT": "mtnuganda", **NAMESPACE},
        "MOMO_TARGET_ENVIRONMENT: sandbox.momodeveloper.mtn.com doesn't serve the environment mtnuganda",
    ),
    "the sandbox's host in a real market": (
        {"MOMO_MARKET": "uganda", "MOMO_BASE_URL": "https://sandbox.momodeveloper.mtn.com", **NAMESPACE},
        "MOMO_BASE_URL: sandbox.momodeveloper.mtn.com doesn't serve the environment mtnuganda",
    ),
    "a real host under the sandbox": (
        {"MOMO_BASE_URL": "https://proxy.momoapi.mtn.com"},
        "MOMO_BASE_URL: proxy.momoapi.mtn.com doesn't serve the environment sandbox",
    ),
    "the sandbox's host and environment in a real market": (
        {
            "MOMO_MARKET": "uganda",
            "MOMO_TARGET_ENVIRONMENT": "sandbox",
            "MOMO_BASE_URL": "https://sandbox.momodeveloper.mtn.com",
        },
        "MOMO_TARGET_ENVIRONMENT: 'sandbox' is another world than the market uganda",
    ),
    "another market's environment": (
        {"MOMO_MARKET": "uganda", "MOMO_TARGET_ENVIRONMENT": "mtnghana", **NAMESPACE},
        "MOMO_TARGET_ENVIRONMENT: 'mtnghana' is the environment of ghana and not of uganda; set the market to ghana",
    ),
    "another currency": (
        {"MOMO_MARKET": "uganda", "MOMO_CURRENCY": "EUR", **NAMESPACE},
        "MOMO_CURRENCY: 'EUR' is not the currency of uganda (UGX)",
    ),
    "no such market": (
        {"MOMO_MARKET": "atlantis"},
        "MOMO_MARKET: 'atlantis' is no market of markets.toml; name one of: sandbox, uganda",
    ),
    "plain http to elsewhere": (
        {"MOMO_MARKET": "uganda", "MOMO_BASE_URL": "http://proxy.momoapi.mtn.com", **NAMESPACE},
        "MOMO_BASE_URL: sends money over plain http to proxy.momoapi.mtn.com; write https://",
    ),
    "no URL": ({"MOMO_BASE_URL": "proxy.momoapi.mtn.com"}, "MOMO_BASE_URL: is not a URL with a host"),
    "a password in a URL": ({"MOMO_BASE_URL": "https://me:topsecret@127.0.0.1"}, "MOMO_BASE_URL: has a user"),
    "looks faster than MTN answers": (
        {"MOMO_PACE__LOOK_APART_MS": "99"},
        "MOMO_PACE__LOOK_APART_MS: 99 is more than the ten status reads a second",
    ),
    "half a set of credentials": (
        {"MOMO_MARKET": "uganda", "MOMO_COLLECTION_SUBSCRIPTION_KEY": "0123456789abcdef", **NAMESPACE},
        "MOMO_COLLECTION_API_USER, MOMO_COLLECTION_API_KEY: are missing beside MOMO_COLLECTION_SUBSCRIPTION_KEY",
    ),
    "half a set in the sandbox": (
        {"MOMO_COLLECTION_SUBSCRIPTION_KEY": "0123456789abcdef", "MOMO_COLLECTION_API_USER": "u"},
        "MOMO_COLLECTION_API_KEY: is missing beside MOMO_COLLECTION_SUBSCRIPTION_KEY, MOMO_COLLECTION_API_USER",
    ),
    "a secondary key alone": (
        {"MOMO_DISBURSEMENT_SECONDARY_KEY": "0123456789abcdef"},
        "MOMO_DISBURSEMENT_SUBSCRIPTION_KEY, MOMO_DISBURSEMENT_API_USER, MOMO_DISBURSEMENT_API_KEY: are missing",
    ),
    "a key with a line end inside": (
        {**COLLECTION, "MOMO_COLLECTION_API_KEY": "0123456789\r\nX-Evil: 1"},
        "MOMO_COLLECTION_API_KEY: is too short or too long, or holds",
    ),
    "a callback without a secret": (
        {"MOMO_CALLBACK_URL": "https://pay.example.com"},
        "MOMO_CALLBACK_SECRET: is missing beside MOMO_CALLBACK_URL",
    ),
    "a secret without a callback": (
        {"MOMO_CALLBACK_SECRET": "0123456789abcdef"},
        "MOMO_CALLBACK_URL: is missing beside MOMO_CALLBACK_SECRET",
    ),
    "a callback that can be guessed": (
        {"MOMO_CALLBACK_URL": "https://pay.example.com", "MOMO_CALLBACK_SECRET": "short"},
        "MOMO_CALLBACK_SECRET: is too short to be secret",
    ),
    "a callback over http": (
        {"MOMO_CALLBACK_URL": "http://pay.example.com", "MOMO_CALLBACK_SECRET": "0123456789abcdef"},
        "MOMO_CALLBACK_URL: sends money over plain http",
    ),
}


@pytest.mark.parametrize(("environ", "told"), CONTRADICTIONS.values(), ids=list(CONTRADICTIONS))
def test_a_contradiction_does_not_start_and_is_told_alone(tmp_path: Path, environ: dict[str, str], told: str) -> None:
    text = complaint(tmp_path, **environ)
    assert told in text
    assert text.startswith("One setting is wrong:"), text
    for secret in ("0123456789", "fedcba", "topsecret"):
        assert secret not in text


def test_a_sandbox_key_alone_waits_for_provisioning(tmp_path: Path) -> None:
    settings = loaded(tmp_path, MOMO_COLLECTION_SUBSCRIPTION_KEY="0123456789abcdef")
    assert dict(settings.subscription_keys) == {("default", Product.COLLECTION): "0123456789abcdef"}
    assert dict(settings.accounts["default"].credentials) == {}


@pytest.mark.parametrize("name", ["Shop", "-shop", "a" * 33, "shop.accra", "a__b", "küche", ""])
def test_an_account_has_a_name_that_can_stand_for_ever(tmp_path: Path, name: str) -> None:
    text = complaint(tmp_path, f'[accounts."{name}"]\nmarket = "sandbox"\n')
    assert "is no name for an account" in text


def test_two_accounts_never_share_their_variables(tmp_path: Path) -> None:
    text = complaint(tmp_path, '[accounts.a-b]\nmarket = "sandbox"\n[accounts.a_b]\nmarket = "sandbox"\n')
    assert "accounts.a_b: has the same variables as 'a-b'" in text


def test_an_account_without_market_is_told_which_there_are(tmp_path: Path) -> None:
    assert "accounts.shop.market: is missing; name one of: sandbox" in complaint(
        tmp_path, '[accounts.shop]\nlabel = "x"\n'
    )


@pytest.mark.parametrize("limit", ['"100.5"', '"-1"', '"1e3"', "100", "100.0"])
def test_a_limit_is_an_amount_of_the_market_as_text(tmp_path: Path, limit: str) -> None:
    text = complaint(tmp_path, f'[accounts.shop]\nmarket = "uganda"\ndirect_limit_per_day = {limit}\n', **NAMESPACE)
    assert "worker.toml: accounts.shop.direct_limit_per_day" in text


def test_what_stands_in_the_file_is_told_by_its_place_there(tmp_path: Path) -> None:
    text = complaint(tmp_path, '[accounts.default]\nmarket = "atlantis"\n')
    assert "worker.toml: accounts.default.market: 'atlantis' is no market" in text


def test_markets_of_the_config_folder_replace_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "markets.toml").write_text(
        '[sandbox]\nbase_url = "https://sandbox.momodeveloper.mtn.com"\ntarget_environment = "sandbox"\n'
        'currency = "EUR"\nexponent = 2\nzone = "UTC"\n'
        '[broken]\nbase_url = "http://elsewhere.example"\ntarget_environment = "x"\ncurrency = "euro"\nzone = 3\n'
    )
    text = complaint(tmp_path)
    for key in ("broken.currency", "broken.exponent", "broken.zone"):
        assert f"markets.toml: {key}" in text


def test_a_currency_has_one_number_of_decimals_in_all_markets(tmp_path: Path) -> None:
    row = 'base_url = "https://proxy.momoapi.mtn.com"\ntarget_environment = "{0}"\ncurrency = "XAF"\nexponent = {1}\nzone = "UTC"\n'
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "markets.toml").write_text(
        "".join(f"[{name}]\n{row.format(name, exponent)}" for name, exponent in (("one", 0), ("two", 0), ("three", 2)))
    )
    text = complaint(tmp_path, '[accounts.shop]\nmarket = "one"\n', **NAMESPACE)
    assert "markets.toml: three.exponent: is 2, and one has 0 for XAF" in text
    assert "two.exponent" not in text
