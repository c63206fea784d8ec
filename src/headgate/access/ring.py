"""All client keys by their digests: those of the settings, of the database and of the files of domains.

Changed in place while the gateway runs. Whoever keeps what `find` gave must forget it after a change.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from headgate.access.client_keys import ClientKey, invalid_key, name_of
from headgate.access.hosts import Doors
from headgate.wire.headers import Headers


class KeyRing:
    def __init__(self, *, on_first_use: Callable[[ClientKey], None] = lambda key: None) -> None:
        """`on_first_use` is told each time a key is used whose days have not begun, until the ring holds it
        as used."""
        self._on_first_use = on_first_use
        self._stored: dict[int, ClientKey] = {}
        self._declared: dict[bytes, None] = {}
        self._of_hosts: dict[bytes, ClientKey] = {}
        self.doors: Doors | None = None
        """The hosts with files of their own; None while no folder of them is set."""
        self._by_digest: dict[bytes, ClientKey] = {}
        self._by_name: dict[str, ClientKey] = {}
        """Of the database, those that are in force."""
        self._plain: dict[int, ClientKey] = {}
        """Of them, those that open without an end."""
        self.is_empty = True
        """No key that opens every host was ever made. Revoked ones count: to revoke the last one must not
        open the door."""

    @property
    def has_stored(self) -> bool:
        """Keys of the database open, whatever the settings say."""
        return any(not key.is_declared for key in self._by_name.values())

    @property
    def keys(self) -> list[ClientKey]:
        """All that were not revoked: those of the database first, in the order of their making."""
        named = sorted(self._by_name.values(), key=lambda key: key.id)
        return [*named, *self._without_row()]

    def by_name(self, name: str) -> ClientKey | None:
        if (key := self._by_name.get(name)) is not None:
            return key
        return next((key for key in self._without_row() if key.name == name), None)

    def stored(self, key_id: int) -> ClientKey | None:
        """Also a revoked one; None: the database has no such key."""
        return self._stored.get(key_id)

    def declare(self, digests: Iterable[bytes]) -> None:
        """These are the keys of the settings from now on."""
        self._declared = dict.fromkeys(digests)
        self.replace(self._stored.values())

    def follow_doors(self, doors: Doors | None) -> None:
        """These are the hosts with files, and the keys in them, from now on."""
        self.doors = doors
        self._of_hosts = {} if doors is None else {key.digest: key for key in doors.keys}
        self.replace(self._stored.values())

    def without_row(self) -> list[ClientKey]:
        """Of the files of domains, those that the database does not know."""
        return [key for key in self._without_row() if key.hosts is not None]

    def is_in_force(self, digest: bytes) -> bool:
        """Settings or files have it."""
        return digest in self._declared or digest in self._of_hosts

    def replace(self, keys: Iterable[ClientKey]) -> None:
        """These are all the keys of the database, revoked ones too."""
        self._stored = {key.id: key for key in sorted(keys, key=lambda key: key.id)}
        self._by_digest = {**self._of_hosts, **{digest: _unnamed(digest) for digest in self._declared}}
        self._by_name, self._plain = {}, {}
        for key in list(self._stored.values()):
            self._open(key)
        self._note_emptiness()

    def put(self, keys: Mapping[int, ClientKey | None]) -> None:
        """Those of the database that changed, by id; None: it is gone."""
        for key_id, key in keys.items():
            if (old := self._stored.pop(key_id, None)) is not None:
                self._close(old)
            if key is not None:
                self._stored[key_id] = key
                self._open(key)
        self._note_emptiness()

    def find(self, digest: bytes, now: float) -> ClientKey | None:
        """The key with this digest, whether it is in force or not; a replaced one only while it is good."""
        key = self._by_digest.get(digest)
        if key is not None and key.digest != digest and now >= (key.previous_until or 0.0):
            return None
        return key

    def opens(self, key: ClientKey, headers: Headers) -> bool:
        """Whether it is for the host that this request calls."""
        if key.hosts is None:
            return True
        door = None if self.doors is None else self.doors.of(headers)
        return door is not None and door.pattern in key.hosts

    def refuse_elsewhere(self, key: ClientKey, headers: Headers) -> None:
        """Raises InvalidClientKey."""
        if not self.opens(key, headers):
            raise invalid_key("elsewhere")

    def usual(self, key: ClientKey, digest: bytes) -> ClientKey | None:
        """The same as `check`, of a key that opens without an end: nobody has to look at the clock for it.
        None: ask `check`."""
        plain = self._plain.get(key.id)
        return plain if plain is not None and plain.digest == digest else None

    def check(self, key: ClientKey, digest: bytes, now: float) -> ClientKey:
        """The key as it is now, for a caller that was let in by `digest` before. Raises InvalidClientKey when
        it has come to its end since."""
        if (usual := self.usual(key, digest)) is not None:
            return usual
        current = self._stored.get(key.id) or self._by_digest.get(digest)
        if current is None or (current.is_declared and digest not in self._by_digest):
            raise invalid_key()  # it stands neither in the settings nor in a file any more
        if (status := current.status(now)) != "active":
            raise invalid_key(status)
        if digest != current.digest and now >= (current.previous_until or 0.0):
            raise invalid_key("replaced")
        if current.waits_for_first_use:
            self._on_first_use(current)
        return current

    def _open(self, key: ClientKey) -> None:
        of_host = self._of_hosts.get(key.digest) if key.digest not in self._declared else None
        if key.revoked_at is not None:
            if of_host is not None:
                self._by_digest[key.digest] = key  # a file does not open it again
            self._by_digest.setdefault(key.digest, key)  # to say so to who shows it
            return
        hosts = of_host.hosts if of_host is not None and key.is_declared else None
        if hosts != key.hosts:
            key = self._stored[key.id] = dataclasses.replace(key, hosts=hosts)
        if key.is_declared and key.digest not in self._declared and of_host is None:
            return
        self._by_name[key.name] = key
        self._by_digest[key.digest] = key
        if key.previous_digest is not None:
            self._by_digest.setdefault(key.previous_digest, key)
        if key.opens_without_end:
            self._plain[key.id] = key

    def _close(self, key: ClientKey) -> None:
        self._plain.pop(key.id, None)
        if self._by_name.get(key.name) is key:
            del self._by_name[key.name]
        for digest in (key.digest, key.previous_digest):
            if digest is None or self._by_digest.get(digest) is not key:
                continue
            del self._by_digest[digest]
            if digest in self._declared:
                self._by_digest[digest] = _unnamed(digest)
            elif digest in self._of_hosts:
                self._by_digest[digest] = self._of_hosts[digest]

    def _without_row(self) -> list[ClientKey]:
        found = (self._by_digest[one] for one in {**self._declared, **dict.fromkeys(self._of_hosts)})
        return [key for key in found if key.id == 0]

    def _note_emptiness(self) -> None:
        self.is_empty = all(key.hosts is not None for key in self._by_digest.values())


def _unnamed(digest: bytes) -> ClientKey:
    """Of the settings, and nothing else is said of it."""
    return ClientKey(id=0, name=name_of(digest), digest=digest, may_choose_account=True, is_declared=True)
