"""The code's own shape: short functions, short files, a sentence first, no late imports, no float near money, no catch-all around it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "worker" / "momo_worker"
FILES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400

#: The ratchet: a file or function that is over the limit, at the length it has, with the reason. A figure here may only fall.
LONG_FILES: dict[str, tuple[int, str]] = {
    "steps/intake.py": (
        473,
        "one batch of jobs in one transaction; to be parted into the checks of a job and the batch",
    ),
}
LONG_FUNCTIONS: dict[str, tuple[int, str]] = {
    "ledger/migrations/versions/0001_the_first_tables.py upgrade": (308, "a list of tables, frozen once released"),
}

#: Rooms that handle money: what goes wrong in them is named, or it ends the process.
MONEY_ROOMS = ("payment", "ledger", "steps", "commons", "mtn")
#: Rooms that compute with amounts.
AMOUNT_ROOMS = ("payment", "ledger", "steps", "commons")
#: The only files that import by name at run time: the table of commands and the late modules behind it, for `momo --help` in a
#: moment; and the one that starts the worker, since importing `tasks` builds it.
LATE_IMPORTS = {"cli/app.py", "cli/lazy.py", "cli/deeds/processes.py"}


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def in_rooms(rooms: tuple[str, ...]) -> list[Path]:
    found = [path for path in FILES if name_of(path).split("/")[0] in rooms]
    assert {name_of(path).split("/")[0] for path in found} == set(rooms)
    return found


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code; the docstring is left out, so that nobody saves on it."""
    first = function.body[0]
    prose = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    return (function.end_lineno or 0) - function.lineno + 1 - prose


def inner_imports(tree: ast.Module) -> list[int]:
    kinds = ast.Import | ast.ImportFrom
    return [node.lineno for function in functions(tree) for node in ast.walk(function) if isinstance(node, kinds)]


def broad_handlers(tree: ast.Module) -> list[int]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if set(re.findall(r"\w+", caught)) & {"Exception", "BaseException", "everything"}:
                found.append(node.lineno)
    return found


def floats_near_money(tree: ast.Module) -> list[int]:
    """Calls of float(), and true divisions of amounts, whose answer would be one."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "float":
            found.append(node.lineno)
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Div)
            and re.search("amount|minor", ast.unparse(node))
        ):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_short(path: Path) -> None:
    allowed, _ = LONG_FILES.get(name_of(path), (FILE_LINES_MAX, ""))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= allowed, "a longer file is two rooms"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_function_is_short(path: Path) -> None:
    for function in functions(tree_of(path)):
        allowed, _ = LONG_FUNCTIONS.get(f"{name_of(path)} {function.name}", (FUNCTION_LINES_MAX, ""))
        assert length(function) <= allowed, f"{function.name}, line {function.lineno}"


def test_the_ratchet_holds_nothing_that_is_short_again() -> None:
    for name, (lines, reason) in LONG_FILES.items():
        assert FILE_LINES_MAX < len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= lines, name
        assert reason
    for name, (lines, reason) in LONG_FUNCTIONS.items():
        file, function = name.split()
        lengths = [length(found) for found in functions(tree_of(PACKAGE / file)) if found.name == function]
        assert FUNCTION_LINES_MAX < max(lengths) <= lines, name
        assert reason


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, "say what comes in, what goes out, and what it never does"
    assert re.search(r"[.!?]$", docstring.splitlines()[0] if "\n\n" in docstring else docstring), docstring


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "__init__.py"], ids=name_of)
def test_a_package_holds_its_sentence_and_nothing_else(path: Path) -> None:
    # The package itself may carry its version.
    names = [type(node).__name__ for node in tree_of(path).body]
    assert names == ["Expr"] or path.parent == PACKAGE


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=str)
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    assert inner_imports(tree_of(path)) == [], "an import in a function hides a knot"


def test_only_the_command_line_imports_by_name() -> None:
    by_name = {name_of(path) for path in FILES if re.search(r"import_module|__import__", path.read_text("utf-8"))}
    assert by_name <= LATE_IMPORTS


@pytest.mark.parametrize("path", in_rooms(MONEY_ROOMS), ids=name_of)
def test_nothing_catches_everything_around_money(path: Path) -> None:
    assert broad_handlers(tree_of(path)) == []


@pytest.mark.parametrize("path", in_rooms(AMOUNT_ROOMS), ids=name_of)
def test_no_amount_becomes_a_float(path: Path) -> None:
    assert floats_near_money(tree_of(path)) == []


@pytest.mark.parametrize("path", in_rooms(("ledger",)), ids=name_of)
def test_no_column_is_inexact(path: Path) -> None:
    assert re.findall(r"\b(?:Float|Double|Numeric|REAL|DOUBLE|NUMERIC)\b", path.read_text("utf-8")) == []


def test_these_checks_see_what_they_look_for() -> None:
    bad = ast.parse(
        "def f():\n"
        "    import os\n"
        "    try:\n"
        "        return float(amount), amount_minor / 100\n"
        "    except (ValueError, Exception):\n"
        "        pass\n"
        "    except:\n"
        "        pass\n"
    )
    assert inner_imports(bad) == [2]
    assert floats_near_money(bad) == [4, 4]
    assert broad_handlers(bad) == [5, 7]
    assert [length(function) for function in functions(bad)] == [8]
