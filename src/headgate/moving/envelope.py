"""An export sealed with a passphrase: scrypt makes the key, Fernet seals, JSON carries both.

The file itself says how its key is made, and it may be a stranger's: what reading one costs is bounded.
"""

import base64
import hashlib
import json
import os
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from headgate.errors import ForeignDataUnreadable

KIND = "headgate-accounts"
VERSION = 1

_LOG_N, _R, _P = 16, 8, 1
"""64 MiB and about a quarter of a second, once for each try of a passphrase."""
_MOST_MEMORY = 256 << 20
_MOST_P = 4
_SALT_BYTES = 16
_SALT_LIMITS = range(8, 65)


def seal(content: bytes, passphrase: str) -> str:
    salt = os.urandom(_SALT_BYTES)
    key = _key(passphrase, salt, n=1 << _LOG_N, r=_R, p=_P)
    envelope = {
        "kind": KIND,
        "version": VERSION,
        "kdf": {"name": "scrypt", "n": 1 << _LOG_N, "r": _R, "p": _P, "salt": _text(salt)},
        "sealed": Fernet(key).encrypt(content).decode(),
    }
    return json.dumps(envelope, indent=2) + "\n"


def is_sealed(found: object) -> bool:
    """Whether what was read from a file is such an envelope."""
    return isinstance(found, dict) and found.get("kind") == KIND


def open_sealed(envelope: dict[str, Any], passphrase: str) -> bytes:
    """Raises ForeignDataUnreadable: a wrong passphrase, or an envelope that is none."""
    if envelope.get("version") != VERSION:
        raise ForeignDataUnreadable(
            f"It is sealed in form {str(envelope.get('version'))[:20]}, which this version does not know.",
            hint="Open it with the version of Headgate that wrote it, or a newer one.",
        )
    sealed, kdf = envelope.get("sealed"), envelope.get("kdf")
    if not isinstance(sealed, str) or not sealed.isascii() or not isinstance(kdf, dict):
        raise _broken("it lacks `sealed` or `kdf`")
    try:
        return Fernet(_key(passphrase, **_parameters(kdf))).decrypt(sealed)
    except InvalidToken as error:
        raise ForeignDataUnreadable(
            "The passphrase does not open it: it is another one, or the file was changed since.",
            hint="Give the passphrase of the export. Without it the accounts must be exported once more.",
        ) from error


def _parameters(kdf: dict[str, Any]) -> dict[str, Any]:
    """As the file has them, as long as they are no attack on memory or time."""
    n, r, p = (kdf.get(name) for name in ("n", "r", "p"))
    if kdf.get("name") != "scrypt" or not all(type(one) is int and one > 0 for one in (n, r, p)):
        raise _broken("its key is not made by scrypt with n, r and p")
    assert isinstance(n, int) and isinstance(r, int) and isinstance(p, int)
    if n < 2 or n & (n - 1) or 128 * n * r > _MOST_MEMORY or p > _MOST_P:
        raise _broken("its scrypt parameters are none, or would take too much memory or time")
    try:
        salt = base64.b64decode(str(kdf.get("salt")), validate=True)
    except ValueError as error:
        raise _broken("its salt is not base64") from error
    if len(salt) not in _SALT_LIMITS:
        raise _broken("its salt has a wrong length")
    return {"salt": salt, "n": n, "r": r, "p": p}


def _broken(why: str) -> ForeignDataUnreadable:
    return ForeignDataUnreadable(
        f"It is not a sealed export: {why}.", hint="`headgate account export` writes them."
    )


def _key(passphrase: str, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    # A passphrase from the environment may hold bytes that are no text.
    secret = passphrase.encode("utf-8", "surrogateescape")
    memory = 128 * r * (n + p + 2) + (1 << 20)
    return _text(hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=32), url=True).encode()


def _text(data: bytes, *, url: bool = False) -> str:
    return (base64.urlsafe_b64encode(data) if url else base64.b64encode(data)).decode()
