"""The certificate that clients are shown (`server.tls`): read, and exchanged for a newer one while it runs.

Connections that are open keep the one they began with. A new pair of files takes effect as a whole or, when
anything is wrong with it, not at all.
"""

import asyncio
import logging
import os
import ssl
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.config import fingerprints
from headgate.config.places import path_of
from headgate.config.reading import read_bytes
from headgate.config.settings import TlsSettings
from headgate.errors import SettingsError
from headgate.server.handshake import DoorContext, Handshake

_LOOK_SECONDS = 0.5
"""Between two looks at the files. They count as saved when two looks see them the same."""
_MOST_BYTES = 1 << 20

_OPEN_TO_OTHERS = 0o037
"""A group may read a key, as systems keep theirs; nobody else may."""

_log = logging.getLogger("headgate.server")


@dataclass(frozen=True, slots=True)
class _Pair:
    """Files that were read and fit together."""

    context: ssl.SSLContext
    ends_at: float
    """Unix seconds."""
    warnings: list[str]


class Certificate:
    """What is in force. `context` is for the event loop, and stays the same one."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises SettingsError."""
        self._cert, self._key = cert, key
        self._seen = fingerprints.of((cert, key))
        self._pair = _read(cert, key)
        self.context = DoorContext(self._pair.context)
        self.failure: SettingsError | None = None
        """Why the newest files are not in force."""
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def of(cls, tls: TlsSettings) -> "Certificate | None":
        """None: clients are spoken to in clear. Raises SettingsError."""
        if tls.cert is None and tls.key is None:
            return None
        if tls.cert is None or tls.key is None:
            there, missing = ("cert", "key") if tls.key is None else ("key", "cert")
            raise SettingsError(
                f"server.tls.{there} is set and server.tls.{missing} is not.",
                hint="Set both, or neither to speak HTTP in clear.",
            )
        return cls(path_of(tls.cert).absolute(), path_of(tls.key).absolute())

    @property
    def ends_at(self) -> float:
        """Unix seconds; of the one in force."""
        return self._pair.ends_at

    @property
    def warnings(self) -> list[str]:
        return self._pair.warnings

    async def follow(self) -> None:
        """Take over what is put in the files' place. Ends when cancelled."""
        earlier = self._seen
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await asyncio.to_thread(fingerprints.of, self._seen)
            if now == earlier and now != self._seen:
                await self.look()
            earlier = now

    async def look(self) -> None:
        """Read the files once more. What is wrong with them is in the log, and the pair from before stays."""
        async with self._one_at_a_time:
            self._seen = await asyncio.to_thread(fingerprints.of, self._seen)
            try:
                pair = await asyncio.to_thread(_read, self._cert, self._key)
            except SettingsError as error:
                if self.failure is None or self.failure.message != error.message:
                    _log.error("The certificate was not renewed, the old one stays: %s", error.message)
                self.failure = error
                return
            self._pair, self.context.current, self.failure = pair, pair.context, None
            for warning in pair.warnings:
                _log.warning("%s", warning)
            _log.info("The certificate was read anew from %s", self._cert)


# ---- the files -----------------------------------------------------------------------------------


def _read(cert: Path, key: Path) -> _Pair:
    """Raises SettingsError, which names file and mend."""
    chain = _chain_in(cert)
    _refuse_other_key(cert, chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = Handshake
    try:
        context.load_cert_chain(cert, key, password=lambda: "")  # else OpenSSL asks whoever has the terminal
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"server.tls: {cert} and {key} cannot be used: {reason}",
            hint="Let your authority make a new certificate.",
        ) from error
    return _Pair(context, chain[0].not_valid_after_utc.timestamp(), _mode_warnings(key))


def _chain_in(cert: Path) -> list[x509.Certificate]:
    content = _content("cert", cert)
    try:
        return x509.load_pem_x509_certificates(content)
    except (ValueError, x509.InvalidVersion) as error:
        raise SettingsError(
            f"server.tls.cert: {cert} holds no certificate.",
            hint="Name the chain as PEM (-----BEGIN CERTIFICATE-----), the server's own first.",
        ) from error


def _refuse_other_key(cert: Path, chain: list[x509.Certificate], key: Path) -> None:
    content = _content("key", key)
    try:
        private = serialization.load_pem_private_key(content, None)
    except TypeError as error:
        raise SettingsError(
            f"server.tls.key: {key} is locked by a password.",
            hint=f"Keep it without one, for its owner's eyes: openssl pkey -in {key} -out NEW",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"server.tls.key: {key} holds no private key.",
            hint="Name the key as PEM (-----BEGIN PRIVATE KEY-----).",
        ) from error
    wanted = _spki(private.public_key())
    try:
        if _spki(chain[0].public_key()) == wanted:
            return
        is_behind = any(_spki(other.public_key()) == wanted for other in chain[1:])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"server.tls.cert: {cert} holds a public key of a kind that is not known here.",
            hint="Let your authority make a certificate for an EC or RSA key.",
        ) from error
    if is_behind:
        raise SettingsError(
            f"server.tls.cert: {cert} does not begin with the server's own certificate.",
            hint="Put that first, then those of its authorities.",
        )
    raise SettingsError(
        f"server.tls: the key in {key} is not that of the certificate in {cert}.",
        hint="Name two files that were made together.",
    )


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(setting: str, path: Path) -> bytes:
    try:
        return read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise SettingsError(
            f"server.tls.{setting}: cannot read {path}: {error.strerror}",
            hint="Name a file that the gateway may read, or take both lines out to speak HTTP in clear.",
        ) from error


def _mode_warnings(key: Path) -> list[str]:
    with suppress(OSError):  # it was read a moment ago; what has gone since is told by the next look
        if os.name == "posix" and (mode := stat.S_IMODE(key.stat().st_mode)) & _OPEN_TO_OTHERS:
            return [f"The key {key} is open to others (mode {mode:04o}). Mend: chmod 600 {key}"]
    return []
