"""The box that stored secrets are sealed in, and the key that opens it.

Sealing is Fernet (AES-128-CBC with HMAC-SHA-256). The first key seals, every key opens: a key is
changed by putting a new one in front.
"""

import base64
import hashlib
import hmac
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from headgate.errors import SecretUnreadable, SettingsError, StorageError
from headgate.storage.location import permission_denied

FILE_NAME = "secret.key"
MIN_PASSPHRASE_LENGTH = 16

_MEND = (
    "Put back the key that sealed it: the environment variable HEADGATE_SECRET_KEY, or the file "
    "secret.key beside the database. Without it the account's secret must be given again."
)


class SecretBox:
    """Seals and opens strings, and tells equal secrets apart without opening them."""

    def __init__(self, keys: Sequence[bytes], warnings: Sequence[str] = ()) -> None:
        """`keys`: Fernet keys (32 bytes, URL-safe base64), the sealing one first."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._digest_keys = [_digest_key(key) for key in keys]
        self.warnings = tuple(warnings)

    @classmethod
    def open_or_create(cls, folder: Path, key: str | None = None) -> "SecretBox":
        """With `key` (one or more, separated by commas) nothing is read or written; else `secret.key`."""
        if key is not None and key.strip():
            return cls([_usable(part) for part in key.split(",")])
        path = folder / FILE_NAME
        try:
            return _from_file(path)
        except PermissionError as error:
            raise permission_denied(path) from error
        except OSError as error:
            raise StorageError(f"Cannot read the encryption key: {path}: {error.strerror}") from error

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str, *, of: str = "a stored secret") -> str:
        """`of` says in the message whose secret it was."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise SecretUnreadable(f"The encryption key in force does not open {of}.", hint=_MEND) from error

    def digests(self, secret: str) -> list[str]:
        """The secret's keyed digests, the current key's first: equal secrets share one."""
        return [hmac.new(key, secret.encode(), hashlib.sha256).hexdigest() for key in self._digest_keys]


def _from_file(path: Path) -> SecretBox:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _create(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    warnings = [f"{path} is readable by others (mode {mode:04o}). Mend: chmod 600 {path}"]
    keys = [_usable(line) for line in path.read_text().splitlines() if line.strip()]
    if not keys:
        raise StorageError(f"The encryption key file is empty: {path}", hint=_MEND)
    return SecretBox(keys, warnings if mode & 0o077 else ())


def _create(path: Path) -> None:
    """All of the file or none of it; whoever comes second keeps the first one's key."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _usable(text: str) -> bytes:
    """A Fernet key as it is; any other text long enough is stretched to one."""
    text = text.strip()
    try:
        Fernet(text)
    except ValueError:
        return _stretched(text)
    return text.encode()


def _stretched(passphrase: str) -> bytes:
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise SettingsError(
            f"The encryption key is too short: {MIN_PASSPHRASE_LENGTH} characters or more are wanted.",
            hint="Make one: `openssl rand -base64 32`, and keep it: without it no stored secret opens.",
        )
    # The salt is fixed because the same passphrase must give the same key on every machine.
    key = hashlib.scrypt(passphrase.encode(), salt=b"headgate secret key", n=2**14, r=8, p=1, dklen=32)
    return base64.urlsafe_b64encode(key)


def _digest_key(key: bytes) -> bytes:
    """A key of its own for digests, so that none is used for two purposes."""
    return hmac.new(base64.urlsafe_b64decode(key), b"headgate secret digest", hashlib.sha256).digest()
