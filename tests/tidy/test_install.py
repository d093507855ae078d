"""A plain install has what it needs: each module is imported with nothing in sight but what pyproject.toml asks for.

The tests' environment holds far more, so a missing dependency would show only on a user's machine.
"""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGE = Path(__file__).resolve().parents[2] / "worker" / "momo_worker"

#: Stands in for a site-packages without the rest: an import of any package of these distributions fails.
CHILD = """
import importlib, json, sys
from importlib.abc import MetaPathFinder

modules, hidden = json.load(sys.stdin)


class Hide(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


sys.meta_path.insert(0, Hide())
failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError as error:
        failed[module] = str(error)
print(json.dumps(failed))
"""


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(extra: str) -> set[str]:
    """Distributions that `pip install momo-worker[extra]` brings, by the metadata of what is installed."""
    found: set[str] = set()
    waiting = [("momo-worker", (extra,) if extra else ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found.add(name)
        for line in metadata.requires(name) or ():
            wanted = Requirement(line)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": one}) for one in (*extras, "")):
                waiting.append((plain(wanted.name), tuple(sorted(wanted.extras))))
    return found


def imported(modules: list[str], extra: str) -> dict[str, str]:
    """What can't be imported, and why."""
    allowed = asked_for(extra)
    owners = metadata.packages_distributions()
    hidden = [top for top, names in owners.items() if not {plain(name) for name in names} & allowed]
    assert "pytest" in hidden, "else nothing is hidden"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        input=json.dumps([modules, hidden]),
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def modules() -> list[str]:
    names = [path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py"))]
    dotted = [".".join(part for part in parts if part != "__init__") for parts in names]
    # Building a worker, running a migration and being a program aren't imports.
    return [name for name in dotted if not re.search(r"\.tasks$|\.migrations\b|\.__main__$", name)]


@pytest.mark.parametrize("extra", ["embedded", ""], ids=["embedded", "plain"])
def test_an_install_has_what_its_modules_import(extra: str) -> None:
    # Without the extra there is neither a fake MTN nor a server to start.
    needs_extra = re.compile(r"^momo_worker\.(?:simulator|embedded|cli\.(?:deeds|producers))\b")
    wanted = [name for name in modules() if extra or not needs_extra.search(name)]
    assert len(wanted) > 60
    assert imported(wanted, extra) == {}


def test_what_is_hidden_is_missed() -> None:
    assert set(imported(["momo_worker.simulator.server", "momo_worker.payment.money"], "")) == {
        "momo_worker.simulator.server"
    }
