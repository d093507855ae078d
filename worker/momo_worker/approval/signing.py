"""Ed25519 keys of people: a passphrase seals the private half, the public half is written as text. Reads and writes no file.

The seal is scrypt and AES-256-GCM of the library `cryptography`, since its own PEM encryption stretches a passphrase too little.
"""

import base64
import binascii
import json
import os

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

PASSPHRASE_MIN = 10
_SEAL_RULE = "momo-key-1"
#: 64 MB and a quarter of a second: nothing for a person, much for who tries a dictionary.
_SCRYPT = {"n": 2**16, "r": 8, "p": 1}
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES, _SIGNATURE_BYTES = 16, 12, 32, 64


class SealError(ValueError):
    """A sealed key that doesn't open; says what to do."""


def new_key() -> Ed25519PrivateKey:
    """A key of its own for one person."""
    return Ed25519PrivateKey.generate()


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half, as approvers.toml holds it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")


def seal(key: Ed25519PrivateKey, passphrase: str, name: str) -> str:
    """The private half under a passphrase, as the text of a file. Raises SealError for a passphrase that is too short."""
    if len(passphrase) < PASSPHRASE_MIN:
        raise SealError(f"the passphrase has {len(passphrase)} characters; give at least {PASSPHRASE_MIN}")
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_stretched(passphrase, salt)).encrypt(nonce, key.private_bytes_raw(), _bound_to(name))
    kept = {"rule": _SEAL_RULE, "name": name, "public": public_text(key)}
    secret = {"salt": _text(salt), "nonce": _text(nonce), "sealed": _text(sealed)}
    return json.dumps({**kept, **secret}, indent=2) + "\n"


def unseal(text: str, passphrase: str, name: str) -> Ed25519PrivateKey:
    """The private half again; raises SealError for another passphrase, person or file."""
    try:
        kept = json.loads(text)
        salt, nonce, sealed = (base64.b64decode(kept[part], validate=True) for part in ("salt", "nonce", "sealed"))
        opened = AESGCM(_stretched(passphrase, salt)).decrypt(nonce, sealed, _bound_to(name))
        return Ed25519PrivateKey.from_private_bytes(opened)
    except InvalidTag:
        raise SealError("doesn't open with this passphrase") from None
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise SealError("is not a key that `momo approver add` wrote; take the file from a backup") from None


def sign(key: Ed25519PrivateKey, statement: str) -> str:
    """A signature over a statement's text, as text."""
    return _text(key.sign(statement.encode("utf-8")))


def is_signed(public: str, statement: str, signature: str) -> bool:
    """Whether the holder of this public key signed exactly this text."""
    try:
        raw, signed = base64.b64decode(public, validate=True), base64.b64decode(signature, validate=True)
        if len(raw) != _KEY_BYTES or len(signed) != _SIGNATURE_BYTES:
            return False
        Ed25519PublicKey.from_public_bytes(raw).verify(signed, statement.encode("utf-8"))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Whether this is a public key as `public_text` writes it: to the letter, since base64 has four writings of one key's last bits."""
    try:
        raw = base64.b64decode(text, validate=True)
        return len(raw) == _KEY_BYTES and _text(raw) == text
    except (binascii.Error, ValueError):
        return False


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, **_SCRYPT).derive(passphrase.encode("utf-8"))


def _bound_to(name: str) -> bytes:
    """A file that is renamed to another person's doesn't open."""
    return f"{_SEAL_RULE}\n{name}".encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
