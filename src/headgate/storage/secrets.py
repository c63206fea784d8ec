"""The box that stored secrets are sealed in, and the key that opens it.

Sealing is Fernet (AES-128-CBC with HMAC-SHA-256). The first key seals, every key opens: a key is
changed by putting a new one in front. A missing key is made at the gateway's start and when something is
sealed, not before: a look must neither need one nor make one that hides the loss of the old.
"""

import base64
import hashlib
import hmac
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from headgate.config.places import SECRET_KEY_VARIABLE
from headgate.config.reading import SECRET_BYTES, read_bytes
from headgate.errors import SecretUnreadable, SettingsError, StorageError
from headgate.storage.location import permission_denied

FILE_NAME = "secret.key"
MIN_PASSPHRASE_LENGTH = 16

_MEND = (
    f"Put back the key that sealed it: the environment variable {SECRET_KEY_VARIABLE}, or the file "
    f"{FILE_NAME} beside the database. Without it the account's secret must be given again."
)

_RESTORE = (
    "Restore the key from a backup first: with any other no stored secret opens. Only where no account is "
    "stored yet, or the key is lost for good, make a new one: `openssl rand -base64 32`, and keep a copy."
)


class SecretBox:
    """Seals and opens strings, and tells equal secrets apart without opening them."""

    def __init__(self, keys: Sequence[bytes], *, file: Path | None) -> None:
        """`keys`: Fernet keys (32 bytes, URL-safe base64), the sealing one first. `file`: where they
        stand, or one will be made when there is none yet; None: the environment gave them."""
        self.file = file
        self._seen = _stamp(file)
        self._is_new = False
        self._failure: StorageError | None = None
        """Why the key file cannot be used."""
        self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(keys)
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None
        self._digest_keys = [_digest_key(key) for key in keys]

    @classmethod
    def open_or_create(cls, folder: Path, key: str | None = None) -> "SecretBox":
        """With `key` (one or more, separated by commas) nothing is read or written; else `secret.key`,
        which is made, where it is missing, with the first thing that is sealed. A file that cannot be used
        opens nothing, and is told of by whatever needs it (`refuse_broken`)."""
        if key is not None and key.strip():
            return cls([_usable(part, SECRET_KEY_VARIABLE) for part in key.split(",")], file=None)
        path = folder / FILE_NAME
        try:
            with _failing_as_storage(path):
                return cls(_read(path) if path.exists() else (), file=path)
        except StorageError as failure:
            box = cls((), file=path)
            box._failure = failure
            return box

    def refuse_broken(self) -> None:
        """StorageError for a key file that is there and cannot be used."""
        if self._failure is not None:
            raise self._failure

    @property
    def has_key(self) -> bool:
        """Whether something can be sealed without making a key."""
        if self._fernet is None:
            self._look_again()
        return self._fernet is not None

    @property
    def warnings(self) -> tuple[str, ...]:
        """For the owner: the file may be read by others."""
        if self.file is None or not self.file.exists():
            return ()
        mode = stat.S_IMODE(self.file.stat().st_mode)
        said = f"{self.file} is readable by others (mode {mode:04o}). Mend: chmod 600 {self.file}"
        return (said,) if mode & 0o077 else ()

    def seal(self, secret: str) -> str:
        self._look_again()
        self.make_key()
        assert self._fernet is not None
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str, *, of: str = "a stored secret") -> str:
        """`of` says in the message whose secret it was."""
        if self._failure is not None:
            raise SecretUnreadable(self._failure.message, hint=self._failure.hint)
        if self._fernet is None:
            self._look_again()
        if self._fernet is None:
            raise SecretUnreadable(f"There is no encryption key that opens {of}.", hint=_MEND)
        try:
            return self._fernet.decrypt(sealed).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            if self._look_again():  # another process has changed the key
                return self.open(sealed, of=of)
            raise SecretUnreadable(f"The encryption key in force does not open {of}.", hint=_MEND) from error

    def digests(self, secret: str) -> list[str]:
        """The secret's keyed digests, the current key's first: equal secrets share one."""
        self._look_again()
        self.make_key()
        return [hmac.new(key, secret.encode(), hashlib.sha256).hexdigest() for key in self._digest_keys]

    def seed(self, purpose: str) -> int | None:
        """64 bits that only this installation knows, one number for each purpose; None: there is no key."""
        if not self._digest_keys:
            return None
        digest = hmac.new(self._digest_keys[0], b"seed " + purpose.encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big")

    def explain_closed(self, names: Sequence[str]) -> str:
        """What the owner is told about accounts whose secret does not open."""
        if self._failure is not None:
            why = self._failure.message.rstrip(".")
        elif self._fernet is None:
            why = f"The encryption key is missing: there is no {self.file}"
        elif self._is_new:
            why = f"The encryption key was missing and a new one was made: {self.file}"
        else:
            why = f"The encryption key in force ({self.file or SECRET_KEY_VARIABLE}) is another one"
        return (
            f"{why}. The secrets of these accounts do not open, the others serve: {', '.join(names)}. "
            f"Mend: put back the key that sealed them, as another line of {FILE_NAME} or after a comma in "
            f"{SECRET_KEY_VARIABLE}, and restart; or give each its secret again: headgate account reauth NAME"
        )

    # ---- changing the key ----------------------------------------------------------------------------

    @property
    def old_keys(self) -> tuple[bytes, ...]:
        """Those that open and do not seal."""
        return self._keys[1:]

    def put_in_front(self, new_key: str | None) -> None:
        """Seals from now on; the others still open. None: one is made. Raises SettingsError, StorageError."""
        self.refuse_broken()
        if self.file is not None and self.file.exists():
            with _failing_as_storage(self.file):
                self._take(_read(self.file))
        key = Fernet.generate_key() if new_key is None else _usable(new_key, "the new key")
        self._write([key, *(old for old in self._keys if old != key)])

    def retire(self, keys: Sequence[bytes]) -> None:
        """These open nothing any more. One that came in front meanwhile stays."""
        self._look_again()
        self._write([key for key in self._keys if key not in keys])

    def _write(self, keys: Sequence[bytes]) -> None:
        """All of the file or none of it; of the environment's keys only our copy is another one."""
        if self.file is not None:
            with _failing_as_storage(self.file):
                _replace(self.file, keys)
            self._seen = _stamp(self.file)
        self._take(keys)

    def _look_again(self) -> bool:
        """Whether the file holds other keys than it did: another process, or its owner, has changed it."""
        seen = _stamp(self.file)
        if self.file is None or seen is None or seen == self._seen:
            return False
        try:
            with _failing_as_storage(self.file):
                keys = _read(self.file)
        except StorageError:
            return False  # half written, or spoilt: the keys that are known serve on
        self._seen, self._failure = seen, None
        if tuple(keys) == self._keys:
            return False
        self._take(keys)
        return True

    def make_key(self) -> None:
        """Where there is none yet. A key that another process has made since, or the owner has put back,
        counts."""
        self.refuse_broken()
        if self._fernet is not None or self.file is None:
            return
        with _failing_as_storage(self.file):
            if not self.file.exists():
                self._is_new = _create(self.file)
            self._take(_read(self.file))
            self._seen = _stamp(self.file)


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """Tells whether a file is another one, without reading it."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None


def _replace(path: Path, keys: Sequence[bytes]) -> None:
    """On the disk when this returns. Of a link the file that it leads to."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(key + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _failing_as_storage(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise permission_denied(path) from error
    except OSError as error:
        raise StorageError(
            f"Cannot read the encryption key: {path}: {error.strerror}",
            hint="Put the key file back in its place: with any other no stored secret opens.",
        ) from error


def _read(path: Path) -> list[bytes]:
    try:
        lines = read_bytes(path, SECRET_BYTES).decode().splitlines()
        keys = [_usable(line, str(path)) for line in lines if line.strip()]
    except UnicodeDecodeError as error:
        raise StorageError(f"The encryption key is not UTF-8 text: {path}", hint=_RESTORE) from error
    except SettingsError as error:
        raise StorageError(error.message, hint=error.hint) from error
    if not keys:
        raise StorageError(f"The encryption key file is empty: {path}", hint=_RESTORE)
    return keys


def _create(path: Path) -> bool:
    """All of the file or none of it; False: another came first, and its key stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _usable(text: str, place: str) -> bytes:
    """A Fernet key as it is; any other text long enough is stretched to one. `place` is for the message."""
    text = text.strip()
    try:
        Fernet(text)
    except ValueError:
        return _stretched(text, place)
    return text.encode()


def _stretched(passphrase: str, place: str) -> bytes:
    if len(passphrase) < MIN_PASSPHRASE_LENGTH:
        raise SettingsError(
            f"The encryption key is too short: {place}: "
            f"{MIN_PASSPHRASE_LENGTH} characters or more are wanted.",
            hint=_RESTORE,
        )
    # A variable may hold bytes that are no text. The salt is fixed because the same passphrase must give
    # the same key on every machine.
    secret = passphrase.encode("utf-8", "surrogateescape")
    key = hashlib.scrypt(secret, salt=b"headgate secret key", n=2**14, r=8, p=1, dklen=32)
    return base64.urlsafe_b64encode(key)


def _digest_key(key: bytes) -> bytes:
    """A key of its own for digests, so that none is used for two purposes."""
    return hmac.new(base64.urlsafe_b64decode(key), b"headgate secret digest", hashlib.sha256).digest()
