"""MTN's specifications come in from a folder beside the project, operations with their answers and schemas go out. Never copied into the project.

MOMO_MTN_OPENAPI names the folder. Where it is absent the tests that need it are not collected: the documents are MTN's to hand out, not ours.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DEFAULT = Path(__file__).resolve().parents[2].parent / "shared" / "mtn-openapi"
FOLDER = Path(os.environ.get("MOMO_MTN_OPENAPI", str(_DEFAULT)))
FILES = {"collection": "collection.json", "disbursement": "disbursement.json", "": "sandbox-provisioning-api.json"}
PRESENT = all((FOLDER / name).is_file() for name in FILES.values())


@dataclass(frozen=True)
class Operation:
    product: str
    method: str
    template: str
    statuses: frozenset[int]
    schema: dict[str, Any] | None  # of the 200 (or 201) answer, with its references resolvable


def operations() -> list[Operation]:
    return [
        one for product, name in FILES.items() for one in _operations(product, json.loads((FOLDER / name).read_text()))
    ]


def _operations(product: str, document: dict[str, Any]) -> list[Operation]:
    found = []
    for template, methods in document["paths"].items():
        for method, described in methods.items():
            if method in {"get", "post", "delete", "put"}:
                statuses = frozenset(int(status) for status in described["responses"])
                found.append(
                    Operation(product, method.upper(), template, statuses, _schema(document, described["responses"]))
                )
    return found


def _schema(document: dict[str, Any], responses: dict[str, Any]) -> dict[str, Any] | None:
    """Swagger 2 keeps the schema in the response, OpenAPI 3 under one of its content types (named after examples, oddly)."""
    answer = responses.get("200") or responses.get("201") or {}
    schemas = [answer.get("schema"), *(one.get("schema") for one in answer.get("content", {}).values())]
    schema = next((one for one in schemas if one), None)
    if schema is None:
        return None
    kept = {name: document[name] for name in ("components", "definitions") if name in document}
    return {**schema, **kept}
