"""What is shipped in config/ is what the code reads, at the code's defaults, and says so."""

import csv
import re
import shlex
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import phonenumbers
import pytest

from momo_worker.payment.job import Terms
from momo_worker.payment.money import Currency, parse_amount
from momo_worker.payment.msisdn import parse_msisdn
from momo_worker.schedules.declared import KEYS, read_declared
from momo_worker.schedules.payer_file import PayerFile, read_payers
from momo_worker.schedules.wording import read_words
from momo_worker.settings import EMBEDDED_REDIS_URL, load
from momo_worker.settings_schema import PLACES, SECTIONS, SHORT_NAMES, LogSection, Written, account_leaves

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"

#: ISO 4217, list one, of 2024: decimals of the currencies that MTN's markets use.
ISO_4217 = {
    **dict.fromkeys(("UGX", "XOF", "XAF", "GNF", "RWF"), 0),
    **dict.fromkeys(("EUR", "GHS", "ZMW", "SZL", "ZAR", "LRD", "SSP", "NGN"), 2),
}

#: MTN's table of target environments, with the country code of its numbers.
ENVIRONMENTS = {
    "uganda": ("mtnuganda", "UGX", 256),
    "ghana": ("mtnghana", "GHS", 233),
    "ivorycoast": ("mtnivorycoast", "XOF", 225),
    "zambia": ("mtnzambia", "ZMW", 260),
    "cameroon": ("mtncameroon", "XAF", 237),
    "benin": ("mtnbenin", "XOF", 229),
    "congo": ("mtncongo", "XAF", 242),
    "swaziland": ("mtnswaziland", "SZL", 268),
    "guineaconakry": ("mtnguineaconakry", "GNF", 224),
    "southafrica": ("mtnsouthafrica", "ZAR", 27),
    "liberia": ("mtnliberia", "LRD", 231),
    "southsudan": ("mtnsouthsudan", "SSP", 211),
    "nigeria": ("mtnnigeria", "NGN", 234),
    "rwanda": ("mtnrwanda", "RWF", 250),
}


def toml(name: str) -> dict[str, Any]:
    return tomllib.loads((CONFIG / name).read_text(encoding="utf-8"), parse_float=Decimal)


def environ_lines() -> dict[str, str]:
    text = (CONFIG / "env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#(MOMO_[A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_worker_toml_holds_every_key_that_is_read_and_no_other() -> None:
    sections = {**SECTIONS, "log": LogSection}
    written = {(section, key) for section, table in toml("worker.toml").items() for key in table}
    assert written == {(section, key) for section, model in sections.items() for key in model.model_fields}


def test_every_section_is_shipped() -> None:
    tables = {name for name, field in Written.model_fields.items() if name not in {"accounts", *_top_level()}}
    assert tables == set(toml("worker.toml"))
    assert tables == {*SECTIONS, "log"}


def _top_level() -> set[str]:
    return {path[0] for path in SHORT_NAMES.values() if len(path) == 1}


def test_worker_toml_changes_nothing() -> None:
    assert Written.model_validate(toml("worker.toml")) == Written()


def test_every_key_of_worker_toml_has_its_sentence() -> None:
    lines = (CONFIG / "worker.toml").read_text(encoding="utf-8").splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"[a-z_]+ = ", line)]
    assert [lines[number] for number in keys if not lines[number - 1].startswith("# ")] == []


def test_the_commented_account_shows_every_key_and_loads(tmp_path: Path) -> None:
    text = (CONFIG / "worker.toml").read_text(encoding="utf-8")
    commented = text[text.index("# [accounts.shop]") :].replace("\n# ", "\n").replace("\n#", "\n").removeprefix("# ")
    table = tomllib.loads(commented)["accounts"]["shop"]
    # Products are alike, and secrets have no place in this file.
    shown = {(key, *((leaf,) if isinstance(value, dict) else ())) for key, value in table.items() for leaf in value}
    readable = {
        leaf
        for leaf in account_leaves()
        if leaf[-1] not in {"subscription_key", "secondary_key", "api_key", "callback_secret"}
        and leaf[0] != "disbursement"
    }
    assert shown == readable
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "worker.toml").write_text(commented.replace("https://…", "https://proxy.momoapi.mtn.com"))
    settings = load(
        {
            "HOME": str(tmp_path),
            "MOMO_HOME": str(tmp_path),
            "MOMO_NAMESPACE": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11",
            "MOMO_ACCOUNTS__SHOP__CALLBACK_SECRET": "0123456789abcdef",
            "MOMO_ACCOUNTS__SHOP__COLLECTION__API_USER": "user",
            "MOMO_ACCOUNTS__SHOP__COLLECTION__API_KEY": "0123456789abcdef",
            "MOMO_ACCOUNTS__SHOP__COLLECTION__SUBSCRIPTION_KEY": "0123456789abcdef",
        },
        tmp_path,
    )
    assert settings.accounts["shop"].label == "Shop in Accra"


def test_env_example_names_every_variable_that_is_read_and_no_other() -> None:
    assert set(environ_lines()) == {*SHORT_NAMES, *PLACES}


def test_env_example_shows_the_defaults(tmp_path: Path) -> None:
    plain = load({"HOME": str(tmp_path), "MOMO_HOME": str(tmp_path)}, tmp_path)
    written = {name: value for name, value in environ_lines().items() if value and name != "MOMO_HOME"}
    assert set(written) == {"MOMO_DATABASE_URL", "MOMO_MARKET", "MOMO_LOG_LEVEL", "MOMO_METRICS_HOST"}
    assert load({"HOME": str(tmp_path), "MOMO_HOME": str(tmp_path), **written}, tmp_path) == plain
    text = (CONFIG / "env.example").read_text(encoding="utf-8")
    assert "127.0.0.1:6388" in text
    assert "127.0.0.1:6388" in EMBEDDED_REDIS_URL


def test_every_variable_of_env_example_has_its_purpose() -> None:
    paragraphs = (CONFIG / "env.example").read_text(encoding="utf-8").split("\n\n")
    for paragraph in paragraphs:
        if re.search(r"^#MOMO_", paragraph, re.MULTILINE):
            assert paragraph.startswith("# "), paragraph


def test_markets_are_mtns_environments_and_the_sandbox() -> None:
    markets = toml("markets.toml")
    found = {name: (row["target_environment"], row["currency"]) for name, row in markets.items()}
    expected = {name: (environment, currency) for name, (environment, currency, _) in ENVIRONMENTS.items()}
    assert found == {"sandbox": ("sandbox", "EUR"), **expected}


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "sandbox"])
def test_a_market_has_isos_decimals_its_countrys_numbers_and_a_zone(name: str) -> None:
    row = toml("markets.toml")[name]
    assert row["exponent"] == ISO_4217[row["currency"]]
    assert ZoneInfo(row["zone"]).key == row["zone"]
    assert row["base_url"].startswith("https://")
    if name == "sandbox":
        assert "country" not in row
    else:
        assert phonenumbers.country_code_for_region(row["country"]) == ENVIRONMENTS[name][2]


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "sandbox"])
def test_every_market_loads(name: str, tmp_path: Path) -> None:
    environ = {"MOMO_MARKET": name, "MOMO_NAMESPACE": "6f1f7c1e-5a0b-4f0f-9a43-0c8f0e6f2d11"}
    settings = load({"HOME": str(tmp_path), "MOMO_HOME": str(tmp_path), **environ}, tmp_path)
    assert settings.accounts["default"].market.name == name


def test_the_salary_file_is_what_a_business_has() -> None:
    with (CONFIG / "examples" / "salaries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["employee_id", "name", "msisdn", "amount", "currency", "note"]
    assert len(rows) == 200
    assert len({row["employee_id"] for row in rows}) == len({row["msisdn"] for row in rows}) == 200
    for row in rows:
        assert parse_msisdn(row["msisdn"], "UG") == row["msisdn"]
        assert re.match(r"2567[678]", row["msisdn"])
        assert 100_000 <= parse_amount(row["amount"], Currency("UGX", 0)) <= 5_000_000
        assert row["currency"] == "UGX"
        assert 0 < len(row["note"]) <= 160
    names = [row["name"] for row in rows]
    assert len(set(names)) == 199
    assert [name for name in names if "'" in name] == ["Brigitte N'Guessan"]
    assert [name for name in names if not name.isascii()] == ["Zoé Kaggwa"]


def test_schedules_toml_is_all_comments_and_what_it_shows_is_read() -> None:
    text = (CONFIG / "schedules.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {}
    example = text[text.index("# [[schedule]]") :].replace("\n# ", "\n").removeprefix("# ")
    assert set(tomllib.loads(example)["schedule"][0]) == set(KEYS)
    (declared,) = read_declared(example, "schedules.toml")
    assert read_words(declared.said, Currency("UGX", 0)).problems == ()
    assert (CONFIG / declared.payers).is_file()


def test_the_payers_file_is_what_a_school_has() -> None:
    file = PayerFile("payers.csv", (CONFIG / "examples" / "payers.csv").read_bytes())
    payers = read_payers(file, Terms(Currency("UGX", 0), "UG"), UUID(int=1), None).payers
    assert (len(payers), len({one.msisdn for one in payers})) == (24, 23), "two children on one phone are two payers"
    assert {one.zone for one in payers} == {None, "Africa/Kigali"}


def test_config_holds_no_code() -> None:
    assert {path.suffix for path in CONFIG.rglob("*") if path.is_file()} <= {".toml", ".example", ".csv"}


def test_the_procfile_names_the_three_kinds_of_process() -> None:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    commands = dict(line.split(": ", 1) for line in lines)
    assert {kind: shlex.split(command) for kind, command in commands.items()} == {
        "release": ["momo", "migrate"],
        "worker": ["momo", "worker"],
        "pump": ["momo", "pump"],
    }
