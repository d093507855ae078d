"""A leaf of the tree that approvers sign: everything that would leave for one row comes in, the leaf's bytes go out. Pure.

Made of the request itself, so that a field which MTN would be sent can't be left out of what was signed (money-review A1).
"""

import json
from dataclasses import dataclass, field
from typing import Any

LEAF_RULE = "momo-leaf-1"
#: Begins no JSON, so that such a body is nobody's normal one.
_AS_IT_IS = b"\x00"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One row as it would be paid."""

    #: From 1, as the run shows it.
    place: int
    key: str
    #: The person's name, as the file has it; '' where it has none.
    name: str
    operation: str
    #: The key of the failed payment that this one corrects; '' for none.
    replaces: str
    #: MTN's path and the body that is posted to it.
    path: str
    body: bytes = field(repr=False)

    def data(self) -> bytes:
        """What is hashed: each part preceded by its length, so that no two rows read alike."""
        parts = (
            LEAF_RULE.encode(),
            str(self.place).encode(),
            self.key.encode(),
            self.name.encode(),
            self.operation.encode(),
            self.replaces.encode(),
            self.path.encode(),
            self.normal_body(),
        )
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def normal_body(self) -> bytes:
        """The body in one writing: a release that writes a space or an order otherwise must not void what people signed.

        One that is no JSON, or says something twice and so might be read otherwise at MTN, stays as it is: no leaf that was signed.
        """
        try:
            read = json.loads(self.body.decode("utf-8"), object_pairs_hook=_each_once)
        except (ValueError, RecursionError):
            return _AS_IT_IS + self.body
        return json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
