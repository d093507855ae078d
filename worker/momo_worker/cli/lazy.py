"""A module's name comes in, the module goes out when something of it is first used: the one place that imports late.

`momo --help` answers in a tenth of a second and `momo payment --help` in three because the words of a command (its options and help) are
apart from its deed, which brings SQLAlchemy, Celery and Redis along: about a second of imports.
"""

import importlib
from typing import Any


class LateModule:
    """Stands for a module; type checkers see the real one, imported under TYPE_CHECKING beside it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


def late(name: str) -> Any:
    """The module of this name, imported when first used."""
    return LateModule(name)
