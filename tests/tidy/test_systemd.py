"""What the systemd units name exists and fits: commands, variables, and more time to stop than a call to MTN may take."""

import configparser
import re
from pathlib import Path

import pytest

from momo_worker.cli.app import COMMANDS
from momo_worker.payment.rules import Rules
from momo_worker.settings_schema import PLACES

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
NAMES = {"momo-migrate.service": "migrate", "momo-pump@.service": "pump", "momo-worker@.service": "worker"}


def unit(name: str) -> configparser.ConfigParser:
    # systemd repeats keys on purpose (Environment=); none of ours does, so a doubled one is a mistake.
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read_string((UNITS / name).read_text(encoding="utf-8"))
    return found


def test_there_is_a_unit_for_each_line_of_the_procfile() -> None:
    assert {path.name for path in UNITS.glob("*.service")} == set(NAMES)
    lines = (UNITS.parents[1] / "Procfile").read_text(encoding="utf-8").splitlines()
    assert {line.split()[-1] for line in lines} == set(NAMES.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_runs_its_command_without_rights(name: str) -> None:
    service = unit(name)["Service"]
    assert service["ExecStart"].split() == ["/opt/momo/bin/momo", NAMES[name]]
    assert NAMES[name] in COMMANDS
    assert service["User"] == "momo"
    assert service["NoNewPrivileges"] == "yes"
    assert service["UMask"] == "0077"
    assert {line.split("=")[0] for line in re.findall(r"MOMO_\w+=", service["Environment"])} <= set(PLACES)


@pytest.mark.parametrize("name", ["momo-pump@.service", "momo-worker@.service"])
def test_a_process_comes_back_and_has_time_to_stop(name: str) -> None:
    found = unit(name)
    assert found["Service"]["Restart"] == "always"
    assert int(found["Service"]["TimeoutStopSec"]) * 1000 > Rules().call_deadline_ms
    assert found["Unit"]["Requires"] == "momo-migrate.service"
