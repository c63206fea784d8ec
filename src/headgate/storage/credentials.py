"""The stored form of a credential: sealed, with what must be seen of it in the clear beside it."""

import hashlib

import msgspec

from headgate.errors import SecretUnreadable
from headgate.pool.accounts import Credential, Kind
from headgate.storage.secrets import SecretBox


class _Tokens(msgspec.Struct, omit_defaults=True):
    access_token: str
    refresh_token: str | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()


def seal(box: SecretBox, kind: Kind, credential: Credential) -> str:
    if kind is Kind.API_KEY:
        return box.seal(credential.secret)
    tokens = _Tokens(credential.secret, credential.refresh_token, credential.expires_at, credential.scopes)
    return box.seal(msgspec.json.encode(tokens).decode())


def open_sealed(box: SecretBox, kind: Kind, sealed: str, *, version: int, of: str) -> Credential:
    """Raises SecretUnreadable. `of` says in the message whose it was."""
    text = box.open(sealed, of=of)
    if kind is Kind.API_KEY:
        return Credential(text)
    try:
        tokens = msgspec.json.decode(text, type=_Tokens)
    except msgspec.DecodeError as error:
        raise SecretUnreadable(f"{of} does not read as tokens.", hint="Sign the account in again.") from error
    return Credential(tokens.access_token, tokens.refresh_token, tokens.expires_at, tokens.scopes, version)


def digests(box: SecretBox, credential: Credential) -> list[str]:
    """By which the same account, put in twice, is noticed: an access token changes by the hour."""
    return box.digests(credential.refresh_token or credential.secret)


def in_the_clear(credential: Credential) -> dict[str, int | None]:
    """Columns of `accounts`."""
    at = credential.expires_at
    return {"expires_at": None if at is None else round(at * 1000)}


def source_digest(credential: Credential) -> str:
    """Tells whether a file that declares an account still says what it said when it was taken over. Tokens
    are random and long: a plain digest gives nothing away, and outlives a change of the encryption key."""
    return hashlib.sha256((credential.refresh_token or credential.secret).encode()).hexdigest()
