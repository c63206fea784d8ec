"""Who is calling: client keys by digest, and a caller's own provider credential.

A key is compared by its SHA-256 in a dictionary (`ring.py`), so what a stranger can time is the look-up of
a digest that he cannot steer. Clear keys are not kept.
"""

from dataclasses import dataclass
from typing import Literal

from headgate.access.client_keys import ClientKey, digest_of, invalid_key
from headgate.access.hosts import Door, host_in, host_of, unknown_host
from headgate.access.ring import KeyRing
from headgate.clock import Clock
from headgate.wire.headers import Headers

CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key"})
"""Where clients of the three dialects put a key; none of them ever travels upstream as sent."""

OWNER_KEY_HEADERS = frozenset({b"x-dashboard-key", b"x-management-key"})
"""Where the owner puts the admin key; who sends it on a client's route gives it to nobody."""

OwnCredentials = Literal["never", "fallback", "allow"]

_PROVIDER_KEY_START = b"sk-ant-"


@dataclass(frozen=True, slots=True, repr=False)
class OwnCredential:
    """A provider credential that the caller brought along."""

    secret: bytes
    is_bearer: bool
    """An OAuth access token, which providers take as `Authorization: Bearer` only."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One admitted caller. `name` is what the record shows."""

    name: str
    own_credential: OwnCredential | None = None
    """What may be forwarded, by the owner's settings; None when nothing may."""
    uses_pool: bool = True
    """False: only the own credential serves this caller."""
    key: ClientKey | None = None
    """The client key that it showed."""
    digest: bytes = b""
    """Of what it showed: while a key is being replaced two open."""
    has_key: bool = True
    """Showed a client key, or a credential of its own that alone serves it."""


ANONYMOUS = Caller("anonymous", has_key=False)


class Callers:
    """Decides who may come in. Built anew when the settings change; the ring stays."""

    def __init__(
        self,
        ring: KeyRing,
        *,
        client_auth: str,
        listens_wide: bool,
        own_credentials: OwnCredentials,
        clock: Clock,
    ) -> None:
        self._ring = ring
        self._own_credentials = own_credentials
        self._client_auth = client_auth
        self._listens_wide = listens_wide
        self._now = clock.now

    @property
    def is_key_required(self) -> bool:
        has_reason = self._listens_wide or not self._ring.is_empty
        return self._client_auth == "required" or (self._client_auth == "auto" and has_reason)

    def door_of(self, headers: Headers) -> Door | None:
        """What the owner has said of the host that is called; None: nothing."""
        doors = self._ring.doors
        return None if doors is None else doors.of(headers)

    def identify(self, headers: Headers, query: bytes) -> Caller:
        """The caller behind a request's head. Raises `InvalidClientKey` when a key is required, and
        `UnknownHost` for who shows none and calls a host that nobody serves."""
        now = self._now()
        known: ClientKey | None = None
        own: OwnCredential | None = None
        digest, closed = b"", "none"
        for secret in secrets_shown(headers, query):
            key = self._ring.find(shown := digest_of(secret), now)
            if secret and closed == "none":
                closed = ""
            if key is not None:
                status = key.status(now) if self._ring.opens(key, headers) else "elsewhere"
                if status != "active":
                    closed = status
                elif known is None:
                    known, digest = key, shown
            elif secret.startswith(_PROVIDER_KEY_START):
                own = OwnCredential(secret, is_bearer=secret.startswith(b"sk-ant-oat"))
        if known is not None:
            forwarded = None if self._own_credentials == "never" else own
            return Caller(known.name, own_credential=forwarded, key=known, digest=digest)
        return self._admit_without_key(own, closed, headers)

    def _admit_without_key(self, own: OwnCredential | None, closed: str, headers: Headers) -> Caller:
        """`closed`: why a key of ours that was shown does not open."""
        if self._own_credentials == "never":
            own = None
        if own is not None and self._own_credentials == "allow":
            return Caller("own-credential", own_credential=own, uses_pool=False)
        door = self.door_of(headers)
        if self.is_key_required or (door is not None and self._is_asked_for(door)):
            raise invalid_key(closed)
        self._refuse_ways_round(door, headers)
        return ANONYMOUS if own is None else Caller("anonymous", own_credential=own, has_key=False)

    def _is_asked_for(self, door: Door) -> bool:
        return door.asks_for_key and self._client_auth != "off"

    def _refuse_ways_round(self, door: Door | None, headers: Headers) -> None:
        """Of who shows no key: what a host asks a key for is not to be had by the account's name either."""
        doors = self._ring.doors
        if doors is None:
            return
        # Every line: which one of two counts is for others to say.
        wishes = [value.decode("latin-1").strip() for name, value in headers if name == b"x-headgate-account"]
        if door is None and not wishes:
            raise unknown_host(host_of(host_in(headers)))
        if self._client_auth != "off" and any(doors.guards(wish) for wish in wishes):
            raise invalid_key("guarded")


def secrets_shown(headers: Headers, query: bytes) -> list[bytes]:
    """Whatever stands where clients put a key."""
    shown = [_secret_in(name, value) for name, value in headers if name in CREDENTIAL_HEADERS]
    if b"key=" in query:
        shown += [value for name, value in _query_pairs(query) if name == b"key"]
    return shown


def without_key(query: bytes) -> bytes:
    """The query as it may travel upstream: `key=…`, where one dialect carries its key, is taken out."""
    if b"key=" not in query:
        return query
    return b"&".join(pair for pair in query.split(b"&") if not pair.startswith(b"key="))


def _query_pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, _, value in (pair.partition(b"=") for pair in query.split(b"&"))]


def _secret_in(name: bytes, value: bytes) -> bytes:
    """The key in a header value; spaces round it are forgiven, as is the scheme's spelling."""
    value = value.strip()
    if name == b"authorization" and (value + b" ")[:7].lower() == b"bearer ":
        return value[7:].strip()
    return value


def digest_of_entry(entry: str) -> bytes:
    """An entry of `access.api_keys`: a plain key, or `sha256:` and its digest in hex."""
    entry = entry.strip()
    if entry.startswith("sha256:"):
        return bytes.fromhex(entry.removeprefix("sha256:"))
    return digest_of(entry)
