"""What the README tells a newcomer to type is typed, on free ports, and what it says is printed is printed, to the letter but for ids and times."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.valkey import free_port
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
MOMO = Path(sys.executable).with_name("momo")


def block(words: str) -> str:
    (found,) = [text for text in BLOCKS if words in text]
    assert isinstance(found, str)
    return found


def line(words: str) -> list[str]:
    """The words of the one command line that begins so, without our own program's place."""
    (found,) = [one for text in BLOCKS for one in text.splitlines() if one.removeprefix(".venv/bin/").startswith(words)]
    return shlex.split(found)


def without_chance(text: str) -> str:
    """Ids and times replaced, blanks at the end of lines gone, and the state that one looks in on only by chance, left out."""
    text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return "\n".join(one.rstrip() for one in text.strip().splitlines() if one.strip() != "now sending")


@dataclass
class Newcomer:
    """Two terminals: one in which `momo up` runs, one for commands."""

    home: Path
    redis_port: int

    def types(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "MOMO_HOME": str(self.home / "var" / "simulator")}
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120, check=False)

    def types_momo(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return self.types([str(MOMO), *words[1:]])


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    home = tmp_path_factory.mktemp("newcomer")
    redis_port = free_port()
    ports = ["--redis-port", str(redis_port), "--simulator-port", str(free_port())]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "MOMO_HOME": str(home / "var")}
    with (home / "up").open("w+") as output:
        up = subprocess.Popen([MOMO, *line("momo up")[1:], *ports], env=environ, stdout=output, stderr=output)
        try:
            eventually(
                lambda: "Momo worker is up" in (home / "up").read_text(),
                within_seconds=60,
                otherwise=(home / "up").read_text,
            )
            yield Newcomer(home, redis_port)
        finally:
            up.terminate()
            up.wait(90)


def test_the_ten_lines_pay_each_key_once(newcomer: Newcomer) -> None:
    pay = line("momo disburse")
    first = newcomer.types_momo(pay)
    assert first.returncode == 0, first.stderr
    assert without_chance(first.stdout) == without_chance(block("Accepted:"))

    again = newcomer.types_momo(pay)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("The same payment as before:")

    other = newcomer.types_momo([word if word != "1500" else "2500" for word in pay])
    assert other.returncode == 1
    refusal = without_chance(block("was used for another payment"))
    assert without_chance(other.stderr).startswith(refusal)

    drop = line("redis-cli")
    assert drop[:3] == ["redis-cli", "-p", "6388"]
    client = [sys.executable, str(ROOT / "tests" / "support" / "redis_cli.py"), "-p", str(newcomer.redis_port)]
    assert newcomer.types([*client, *drop[3:]]).returncode == 0
    tail = line("momo results tail")
    read = newcomer.types_momo([*tail, "--type", "momo.payment.successful", "--limit", "3", "--json"])
    assert read.returncode == 0, read.stderr
    # Asked for again, the salary was answered again, by the same event; one event for each key that was paid.
    found = [json.loads(one[one.index("{") :]) for one in read.stdout.splitlines()]
    assert [event["data"]["idempotency_key"] for event in found] == [*["salary-2026-11-0042"] * 2, "order-7"]
    assert found[0]["id"] == found[1]["id"] != found[2]["id"]
