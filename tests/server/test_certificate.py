"""The files of a certificate: what is wrong with them is said, with their names and the mend."""

import logging
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from headgate.config.settings import TlsSettings
from headgate.errors import SettingsError
from headgate.server.certificate import Certificate
from tests.upstream.authority import Authority

_EC_KEY = bytes.fromhex("06072a8648ce3d0201")
"""The object identifier of the algorithm (RFC 5480, section 2.1.1)."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> tuple[Path, Path]:
    return write(tmp_path, *authority.pair())


def write(folder: Path, cert: bytes, key: bytes) -> tuple[Path, Path]:
    paths = folder / "cert.pem", folder / "key.pem"
    for path, content in zip(paths, (cert, key), strict=True):
        path.write_bytes(content)
        path.chmod(0o600)
    return paths


def refused(cert: Path, key: Path) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        Certificate(cert, key)
    assert caught.value.hint
    return caught.value


def test_a_pair_is_taken(files: tuple[Path, Path], authority: Authority) -> None:
    certificate = Certificate(*files)
    assert certificate.warnings == [] and certificate.failure is None
    assert certificate.ends_at > 0
    assert isinstance(certificate.context, ssl.SSLContext)


def test_one_file_may_hold_both(tmp_path: Path, authority: Authority) -> None:
    cert, key = authority.pair()
    both, _ = write(tmp_path, key + cert, b"")
    Certificate(both, both)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o620, 0o666])
def test_a_key_that_others_can_read_is_warned_about(files: tuple[Path, Path], mode: int) -> None:
    files[1].chmod(mode)
    (warning,) = Certificate(*files).warnings
    assert str(files[1]) in warning and f"{mode:04o}" in warning and "chmod 600" in warning


def test_a_group_may_read_a_key(files: tuple[Path, Path]) -> None:
    """As systems keep those of their services."""
    files[1].chmod(0o640)
    assert Certificate(*files).warnings == []


def test_what_is_no_pair_is_refused(tmp_path: Path, authority: Authority) -> None:
    (cert, key), (other, other_key) = authority.pair(), authority.pair()
    paths = write(tmp_path, cert, other_key)
    error = refused(*paths)
    assert (
        all(str(path) in error.message for path in paths) and "not that of the certificate" in error.message
    )
    error = refused(*write(tmp_path, other + cert, key))
    assert "does not begin with the server's own" in error.message
    assert "holds no certificate" in refused(*write(tmp_path, key, cert)).message
    assert "holds no private key" in refused(*write(tmp_path, cert, cert)).message
    assert "holds no certificate" in refused(*write(tmp_path, b"", b"")).message


@pytest.mark.parametrize(
    ("place", "other", "words"),
    [
        pytest.param(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", "no certificate", id="version"),
        pytest.param(_EC_KEY, _EC_KEY[:-1] + b"\x09", "a kind that is not known", id="algorithm of the key"),
    ],
)
async def test_odd_certificates_are_refused(
    files: tuple[Path, Path], place: bytes, other: bytes, words: str
) -> None:
    """One that nobody here can read is said so; the watch goes on, and takes the next good one."""
    cert, key = files
    kept = cert.read_bytes()
    certificate = Certificate(cert, key)
    plain = ssl.PEM_cert_to_DER_cert(kept.decode().partition("-----END")[0] + "-----END CERTIFICATE-----\n")
    assert plain.count(place) == 1
    cert.write_text(ssl.DER_cert_to_PEM_cert(plain.replace(place, other)))
    await certificate.look()
    assert certificate.failure is not None and words in certificate.failure.message
    cert.write_bytes(kept)
    await certificate.look()
    assert certificate.failure is None


def test_a_locked_key_is_refused(tmp_path: Path, authority: Authority) -> None:
    """Nobody sits at a service's terminal to be asked for a password."""
    cert, key = authority.pair()
    locked = serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    error = refused(*write(tmp_path, cert, locked))
    assert "locked by a password" in error.message and "openssl pkey" in error.hint


def test_files_that_cannot_be_read_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = files
    missing = tmp_path / "missing.pem"
    assert f"server.tls.cert: cannot read {missing}: No such file" in refused(missing, key).message
    assert f"server.tls.key: cannot read {tmp_path}: Is a directory" in refused(cert, tmp_path).message


@pytest.mark.parametrize(("there", "missing"), [("cert", "key"), ("key", "cert")])
def test_one_of_the_two_alone_is_refused(there: str, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"server.tls.{there} is set and server.tls.{missing} is not"):
        Certificate.of(TlsSettings.model_validate({there: "/x"}))
    assert Certificate.of(TlsSettings()) is None


async def test_what_is_broken_leaves_the_old_in_force(
    files: tuple[Path, Path], authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, and gone when the files are right again."""
    certificate = Certificate(*files)
    before = certificate.context.current
    kept = files[0].read_bytes()
    with caplog.at_level(logging.INFO):
        files[0].write_bytes(kept[:200])
        for _ in range(3):
            await certificate.look()
        assert certificate.failure is not None and certificate.context.current is before
        assert caplog.text.count("was not renewed") == 1
        write(files[0].parent, *authority.pair())
        await certificate.look()
    assert certificate.failure is None and certificate.context.current is not before
    assert "was read anew" in caplog.text
