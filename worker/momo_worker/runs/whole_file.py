"""Files that are there whole or not at all: a path comes in, a temporary file beside it goes out, which takes the path's name at the end.

What stands under the name already is never written over, unless that was asked for.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileIsThereError(Exception):
    """A file of this name is there, and nothing was written."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is there already, and nothing was written over it; name another file, or give --force"
        )


class NotWrittenError(Exception):
    """The disk or the folder refuses; says which and why."""


def refuse_what_is_there(path: Path, *, force: bool) -> None:
    """Before long work; `put` asks once more at the end. Raises FileIsThereError or NotWrittenError."""
    if path.is_dir():
        raise NotWrittenError(f"{path} is a folder; name a file in it")
    if not force and (path.exists() or path.is_symlink()):
        raise FileIsThereError(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new file in the same folder, which only its owner reads: it holds names and wages. Taken away unless it was `put`."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise NotWrittenError(
            f"{path} can't be written ({error.strerror}); check the folder and who may write"
        ) from None
    os.close(handle)
    made = Path(name)
    try:
        yield made
    except OSError as error:
        raise NotWrittenError(f"{path} can't be written ({error.strerror or error}); check the disk") from None
    finally:
        made.unlink(missing_ok=True)


def put(made: Path, path: Path, *, force: bool) -> None:
    """Give a finished file its name, at once. Raises FileIsThereError where somebody was faster."""
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    if force:
        made.replace(path)
        return
    try:
        # A link fails where the name is taken; a rename would write over it.
        os.link(made, path)
    except FileExistsError:
        raise FileIsThereError(path) from None
    except OSError:
        # Some file systems have no links: asked and renamed, a moment later.
        refuse_what_is_there(path, force=False)
        made.replace(path)
