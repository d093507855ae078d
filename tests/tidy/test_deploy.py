"""What deploy/ names exists: variables, secrets, commands, users. Docker itself isn't here to run it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from momo_worker.settings import load
from momo_worker.settings_schema import PLACES, SECRET_KEYS, SHORT_NAMES

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OURS = ("migrate", "pump", "worker")
READ = {*SHORT_NAMES, *PLACES, *(f"{name}_FILE" for name, path in SHORT_NAMES.items() if path[-1] in SECRET_KEYS)}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    subprocess.run(["sh", str(DEPLOY / "make-secrets.sh"), str(folder)], check=True, capture_output=True, timeout=20)
    return folder


def values(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}


def test_each_secret_of_compose_is_made_and_no_other(secrets: Path) -> None:
    named = {name: Path(secret["file"]) for name, secret in COMPOSE["secrets"].items()}
    assert {path.name for path in named.values()} == set(values(secrets))
    assert all(path.parent == Path("secrets") and path.name == name for name, path in named.items())


def test_secrets_are_random_hidden_and_made_once(secrets: Path) -> None:
    before = values(secrets)
    passwords = [value for name, value in before.items() if "url" not in name]
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", value) for value in passwords)
    assert len(set(passwords)) == len(passwords)
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / ".gitignore").read_text() == "*\n"
    again = subprocess.run(
        ["sh", str(DEPLOY / "make-secrets.sh"), str(secrets)], check=True, capture_output=True, timeout=20
    )
    assert values(secrets) == before
    assert again.stdout == b""


@pytest.mark.parametrize("service", OURS)
def test_a_service_loads_with_what_compose_gives_it(service: str, secrets: Path, tmp_path: Path) -> None:
    part = COMPOSE["services"][service]
    given = {source["source"] if isinstance(source, dict) else source for source in part["secrets"]}
    environ = {"HOME": str(tmp_path), "MOMO_HOME": str(tmp_path)}
    for name, path in part["environment"].items():
        assert Path(path).name in given
        environ[name] = path.replace("/run/secrets", str(secrets))
    settings = load(environ, tmp_path)
    role = "worker" if service == "worker" else "pump"
    assert settings.database_url.startswith("postgresql+psycopg://momo:")
    assert settings.redis_address == f"redis://{role}:{values(secrets)[f'redis_{role}'].strip()}@redis:6379/0"


@pytest.mark.parametrize("service", OURS)
def test_a_service_runs_its_own_command_without_rights(service: str) -> None:
    part = COMPOSE["services"][service]
    assert part["command"] == [service]
    assert part["cap_drop"] == ["ALL"]
    assert part["read_only"] is True
    assert part["stop_grace_period"] == "90s"


def test_every_user_of_the_acl_has_a_password_in_compose_and_in_start_sh() -> None:
    users = set(re.findall(r"#@(\w+)@", (DEPLOY / "redis" / "users.acl").read_text()))
    mounted = {secret["target"]: secret["source"] for secret in COMPOSE["services"]["redis"]["secrets"]}
    assert mounted == {user: f"redis_{user}" for user in users}
    loop = re.search(r"^for role in (.*); do$", (DEPLOY / "redis" / "start.sh").read_text(), re.MULTILINE)
    assert loop is not None
    assert set(loop[1].split()) == users


def test_every_variable_of_the_image_and_of_compose_is_read() -> None:
    text = (DEPLOY / "Dockerfile").read_text() + (DEPLOY / "compose.yaml").read_text()
    named = set(re.findall(r"\bMOMO_[A-Z_]+(?==|:|'\])", text))
    assert named >= {"MOMO_HOME", "MOMO_METRICS_PORT", "MOMO_DATABASE_URL_FILE", "MOMO_REDIS_URL_FILE"}
    assert named <= READ


def test_the_image_runs_without_rights_and_with_no_server_in_it() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER 10001:10001" in last_stage
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)
    code = "\n".join(line for line in lines if not line.startswith("#"))
    assert "embedded" not in code
    assert "/healthz" in code
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", code, re.MULTILINE)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{name}" for line in copied for name in line.split()} == {line for line in allowed if line[0] == "!"}
