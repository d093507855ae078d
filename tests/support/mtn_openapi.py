"""MTN's specifications: read from beside the checkout, or from the folder that MOMO_MTN_OPENAPI names; never copied into the project.

Where they are absent, tests that need them are not collected: there is nothing to compare with.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tests.support.raw_server import Request

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "mtn-openapi"
FOLDER = Path(os.environ.get("MOMO_MTN_OPENAPI", _BESIDE))
SPECIFICATIONS = sorted(FOLDER.glob("*.json"))

_Test = TypeVar("_Test", bound=Callable[..., None])


def needs_specifications(test: _Test) -> _Test:
    """Mark a test that is collected only where the specifications are."""
    test.__test__ = bool(SPECIFICATIONS)  # type: ignore[attr-defined]  # pytest's own switch
    return test


def specification(name: str) -> dict[str, Any]:
    """`collection`, `disbursement`, `remittance` or `sandbox-provisioning-api`."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def base_path(document: dict[str, Any]) -> str:
    """Where its paths begin."""
    if "basePath" in document:
        return str(document["basePath"])
    return (
        "/" + str(document["servers"][0]["url"]).split("/", 3)[3]
        if document["servers"][0]["url"].count("/") > 2
        else ""
    )


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request meets, its path's parameters filled; None when there is none."""
    begin = base_path(document)
    if not path.startswith(begin):
        return None
    asked = path.removeprefix(begin).split("/")
    for template, operations in document["paths"].items():
        parts = template.split("/")
        same = len(parts) == len(asked) and all(
            (there.startswith("{") and here) or there == here for there, here in zip(parts, asked, strict=True)
        )
        if same and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


def hold_against(document: dict[str, Any], seen: Request) -> dict[str, Any]:
    """The operation of a request; fails when there is none, or a required header is missing, or a header is nobody's."""
    operation = operation_of(document, seen.method, seen.path)
    assert operation is not None, f"{seen.method} {seen.path} is in no specification"
    headers = {one["name"].lower(): one for one in operation.get("parameters", []) if one["in"] == "header"}
    for name, parameter in headers.items():
        assert name in seen.headers or not parameter.get("required"), f"{seen.path} lacks {name}"
    transport = {"host", "accept", "accept-encoding", "user-agent", "content-length", "content-type", "connection"}
    assert seen.headers.keys() - transport - headers.keys() <= {"ocp-apim-subscription-key"}
    return operation
