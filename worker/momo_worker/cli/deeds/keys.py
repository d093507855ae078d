"""A person's key on this machine: a name and a passphrase come in, a sealed file or an open key goes out; prints and logs neither."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from momo_worker.approval.signing import SealError, seal, unseal
from momo_worker.cli.saying import AnswerIsNo, WrongUse
from momo_worker.runs.whole_file import FileIsThereError, NotWrittenError, beside, put
from momo_worker.settings import Settings

_PASSPHRASE_BYTES_MAX = 4_096


def key_path(settings: Settings, name: str) -> Path:
    """Where a person's sealed key lies."""
    return settings.home / "keys" / f"{name}.key"


def passphrase(file: str | None, *, name: str, twice: bool = False) -> str:
    """From a file (`-`: standard input), or asked for."""
    if file is not None:
        return _from_file(file)
    if not sys.stdin.isatty():
        raise WrongUse(
            f"the passphrase of {name} is missing: give it with --passphrase-file FILE (- for standard input)"
        )
    said = getpass.getpass(f"Passphrase of {name}: ")
    if twice and getpass.getpass("The same again: ") != said:
        raise WrongUse("the two passphrases differ; nothing was written")
    return said


def _from_file(file: str) -> str:
    try:
        data = sys.stdin.buffer.read(_PASSPHRASE_BYTES_MAX) if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"--passphrase-file {file} can't be read: {error}") from None


def write_key(settings: Settings, name: str, key: Ed25519PrivateKey, said: str) -> Path:
    """Seal a new key on this machine, whole or not at all; never over another."""
    path = key_path(settings, name)
    try:
        text = seal(key, said, name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with beside(path) as made:
            made.write_text(text, encoding="utf-8")
            put(made, path, force=False)
    except SealError as error:
        raise WrongUse(f"{error}; nothing was written") from None
    except FileIsThereError:
        raise AnswerIsNo(f"there is a key of {name} already: {path}; nothing was written over") from None
    except NotWrittenError as error:
        raise AnswerIsNo(str(error)) from None
    except OSError as error:
        raise AnswerIsNo(f"the key can't be written to {path}: {error.strerror}") from None
    return path


def key_left(settings: Settings, name: str, file: str | None) -> Ed25519PrivateKey | None:
    """The key of somebody who has no entry, as an `add` that was killed before it wrote one leaves it; None for no key."""
    path = key_path(settings, name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerIsNo(f"{path} can't be read: {error}; nothing was written") from None
    try:
        return unseal(text, passphrase(file, name=name), name)
    except SealError as error:
        raise AnswerIsNo(
            f"{path} {error}. {name} has this file and no entry, as after a `momo approver add` that was interrupted: say it again with "
            f"the passphrase that was chosen then, or move the file away, and {name} gets a new key; nothing was written"
        ) from None


def opener(settings: Settings, name: str, file: str | None) -> Callable[[], Ed25519PrivateKey]:
    """Opens a person's key when it is needed; the passphrase is asked for now, before long work begins."""
    path = key_path(settings, name)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise AnswerIsNo(
            f"there is no key of {name} on this machine ({path}); `momo approver add {name}` makes one, or bring the file here"
        ) from None
    said = passphrase(file, name=name)
    try:
        key = unseal(text, said, name)
    except SealError as error:
        raise AnswerIsNo(f"{path} {error}; nothing was signed") from None
    return lambda: key
