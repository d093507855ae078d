"""A person's key on this machine: a name and a passphrase come in, a sealed file or an open key goes out; prints and logs neither."""

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from momo_worker.approval.signing import SealError, seal, unseal
from momo_worker.cli.saying import AnswerIsNo, WrongUse
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
    """Seal a new key on this machine; never over another."""
    path = key_path(settings, name)
    try:
        text = seal(key, said, name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
    except SealError as error:
        raise WrongUse(f"{error}; nothing was written") from None
    except FileExistsError:
        raise AnswerIsNo(f"there is a key of {name} already: {path}; nothing was written over") from None
    except OSError as error:
        raise AnswerIsNo(f"the key can't be written to {path}: {error.strerror}") from None
    return path


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
