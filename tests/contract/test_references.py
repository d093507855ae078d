"""References never change (M2): the frozen examples are what this release derives, and what anyone derives who follows the rule's text."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from momo_worker.payment.reference import REFERENCE_RULE, reference_id

_FILE = Path(__file__).with_name("references.json")
FROZEN: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
EXAMPLES: list[dict[str, Any]] = FROZEN["examples"]

#: The file itself, so that nobody "repairs" an example together with the code.
DIGEST = "beccafc4ad9d4b27a6f1b6565eca7737f0211b852855d48cad153f83b238080b"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['account'][:9]} {example['key'][:20]}")
def test_a_frozen_example_gives_its_reference(example: dict[str, Any]) -> None:
    derived = reference_id(
        uuid.UUID(example["namespace"]),
        example["account"],
        example["operation"],
        example["key"],
        example["attempt"],
    )
    assert derived == example["reference"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['account'][:9]} {example['key'][:20]}")
def test_the_rule_can_be_followed_without_our_code(example: dict[str, Any]) -> None:
    parts = [FROZEN["rule"], *(str(example[name]) for name in ("namespace", "account", "operation", "key", "attempt"))]
    hashed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    first = bytearray(hashlib.sha256(hashed).digest()[:16])
    first[6] = first[6] & 0x0F | 0x40
    first[8] = first[8] & 0x3F | 0x80
    assert first.hex() == example["reference"].replace("-", "")


def test_there_are_twenty_examples_and_no_two_share_a_reference() -> None:
    assert FROZEN["rule"] == REFERENCE_RULE
    assert len(EXAMPLES) == 20
    assert len({example["reference"] for example in EXAMPLES}) == 20


def test_the_frozen_file_is_the_one_of_the_first_release() -> None:
    assert hashlib.sha256(_FILE.read_bytes()).hexdigest() == DIGEST
