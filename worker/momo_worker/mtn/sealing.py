"""The key of what lies in Redis: an API key comes in, a sealing key goes out; who lacks the one can't read the other."""

import base64

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def seal_key(api_key: str, product: str, api_user: str) -> bytes:
    """Fernet's key, derived with HKDF: whoever reads Redis has no token who could not have asked MTN for one (design.md 8)."""
    info = f"momo-token-1\0{product}\0{api_user}".encode()
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(api_key.encode())
    return base64.urlsafe_b64encode(derived)
