"""What is named exists: commands, queues, metrics, variables, make targets, links; and what may never stand in the project doesn't."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from momo_worker import celery_settings, metrics, wiring
from momo_worker.cli.app import COMMANDS
from momo_worker.settings_schema import PLACES, SECRET_KEYS, SHORT_NAMES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "worker" / "momo_worker"
#: Every text of ours, by git's word or, outside a repository, by what lies here.
PROSE = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {part for part in path.relative_to(ROOT).parts if part.startswith(".") or part in ("var", "node_modules")}
)

#: design.md 6.4 names these, and they come later: docs may speak of them only as such.
LATER = {"run", "schedule", "account", "web", "recover"}


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_of(text: str) -> str:
    """What stands in code marks of a Markdown text: spans and blocks."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", rest)])


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    if listed.returncode:
        pytest.fail(f"git can't list the files, so nothing can be checked: {listed.stderr}")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_worker_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "worker" / "__init__.py").exists()
    assert [path.name for path in (ROOT / "worker").iterdir() if path.suffix == ".py"] == []


def test_nothing_imports_a_name_that_a_producer_may_have() -> None:
    imported = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert {"momo_worker", "celery"} <= imported
    assert not imported & {"worker", "config"}


def test_the_procfile_runs_commands_that_exist() -> None:
    commands = [line.split(": ", 1)[1].split() for line in text_of(ROOT / "Procfile").splitlines()]
    assert len(commands) == 3
    for command in commands:
        assert command[0] == "momo"
        assert command[1] in COMMANDS


@pytest.mark.parametrize("path", PROSE, ids=names)
def test_a_command_that_a_text_names_exists(path: Path) -> None:
    named = set(re.findall(r"(?:^|[\s`(/])momo ([a-z]+(?:-[a-z]+)*)\b(?!/)", code_of(text_of(path)), re.MULTILINE))
    assert named <= {*COMMANDS, *LATER}


@pytest.mark.parametrize("path", PROSE, ids=names)
def test_a_make_target_that_a_text_names_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert targets >= {"test", "demo", "bench", "lint", "clean", "help"}
    named = set(re.findall(r"(?:^|[\s`])make ([a-z-]+)\b", code_of(text_of(path)), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("path", [*PROSE, ROOT / "Makefile", ROOT / "Procfile"], ids=names)
def test_a_variable_that_a_text_names_is_read(path: Path) -> None:
    read = {*SHORT_NAMES, *PLACES, *(f"{name}_FILE" for name, where in SHORT_NAMES.items() if where[-1] in SECRET_KEYS)}
    # Not the settings' own: the tests' door to MTN's specifications, and names that stand for many.
    read |= {"MOMO_MTN_OPENAPI", "MOMO_COLLECTION", "MOMO_DISBURSEMENT", "MOMO_ACCOUNTS"}
    named = set(re.findall(r"\bMOMO_[A-Z]+(?:_[A-Z]+)*", text_of(path)))
    assert {name for name in named if not name.startswith("MOMO_ACCOUNTS")} <= read


@pytest.mark.parametrize("path", PROSE, ids=names)
def test_a_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(path)):
        if not re.match(r"https?:|mailto:", target):
            assert (path.parent / target).exists(), target


def declared_metrics() -> set[str]:
    """As Prometheus sees them: a histogram is three."""
    source = text_of(PACKAGE / "metrics.py")
    return set(re.findall(r'"(momo_[a-z_]+)"', source))


def test_metrics_that_are_read_are_the_ones_that_are_declared() -> None:
    used = set(re.findall(r'"(momo_[a-z_]+)"', text_of(PACKAGE / "readings.py")))
    assert used == set(metrics.GAUGES)


def test_every_counter_is_counted_somewhere() -> None:
    doors = {name for name, found in vars(metrics.Metrics).items() if callable(found) and not name.startswith("_")}
    elsewhere = [text_of(path) for path in PACKAGE.rglob("*.py") if path.name != "metrics.py"]
    used = {name for name in doors if any(re.search(rf"\w\.{name}\b", source) for source in elsewhere)}
    assert used == doors


@pytest.mark.parametrize("path", PROSE, ids=names)
def test_a_metric_that_a_text_names_is_declared(path: Path) -> None:
    named = set(re.findall(r"(?<![\w/.])momo_(?!worker)[a-z_]+", text_of(path)))
    assert {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in named} <= declared_metrics()


def test_work_goes_to_queues_that_workers_empty() -> None:
    queues = {queue.name for queue in celery_settings.celery_settings("redis://x", concurrency=1)["task_queues"]}
    used = set(re.findall(r"queue=([A-Z]+) if \w[\w.]* else ([A-Z]+)", text_of(PACKAGE / "wiring.py"))[0])
    assert {getattr(celery_settings, name) for name in used} == queues == set(celery_settings.QUEUES)
    sending = [path for path in PACKAGE.rglob("*.py") if ".send_task(" in text_of(path)]
    assert [path.name for path in sending if path.relative_to(PACKAGE).parts[0] != "cli"] == ["wiring.py"]


def test_the_tasks_that_are_sent_are_the_ones_that_are_registered() -> None:
    registered = set(re.findall(r"@app\.task\(name=(\w+)\)", text_of(PACKAGE / "tasks.py")))
    sent = set(re.findall(r"\b([A-Z]+_TASK)\b(?! =)", text_of(PACKAGE / "wiring.py")))
    assert registered == sent
    assert len({getattr(wiring, name) for name in registered}) == len(registered)


def test_a_task_is_a_few_lines() -> None:
    tree = ast.parse(text_of(PACKAGE / "tasks.py"))
    tasks = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.decorator_list]
    assert len(tasks) == 2
    assert all((task.end_lineno or 0) - task.lineno < 10 for task in tasks)


#: Written in two halves, so that this file isn't its own first finding.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|Us" r"ers|ho" r"me/\w+)/\w"),
    "an index's address": re.compile(
        r"https?://[\w.]*(?:py"
        r"pi\.|pythonho"
        r"sted|npm"
        r"js\.|registry\.)|--(?:extra-)?index-"
        r"url|--find-"
        r"links"
    ),
    "a package from a path": re.compile(r"@ fi" r"le:"),
    "a private key": re.compile("-----BEGIN [A-Z ]*PRIVATE KEY"),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_no_file_holds_what_may_never_stand_here(kind: str) -> None:
    found = [f"{names(path)}: {match[0]}" for path in tracked() for match in FORBIDDEN[kind].finditer(text_of(path))]
    assert found == []


def test_the_pins_are_exact_and_cover_what_is_pinned_in_the_project() -> None:
    lines = [line for line in text_of(ROOT / "constraints.txt").splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line) for line in lines)
    pinned = dict(line.lower().replace("_", "-").split("==") for line in lines)
    project = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    exact = dict(name.split("==") for name in wanted if "==" in name)
    assert set(exact) == {"celery", "kombu"}
    assert {name: pinned[name] for name in exact} == exact
    assert {re.split(r"[\[><=]", name)[0] for name in wanted} <= {*pinned, "momo-worker"}


def test_ci_calls_make_test_and_nothing_else() -> None:
    lines = [line for line in text_of(ROOT / ".ci" / "run").splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test </dev/null"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
