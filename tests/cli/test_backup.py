"""`headgate db backup`: the copy can always be opened with what goes along."""

from pathlib import Path

from headgate.cli.backup import _copy
from tests.gateway import Gateway


def test_every_key_goes_along(tmp_path: Path) -> None:
    """All lines of the file; and both files, where the key was changed while the database was copied."""
    source, target = tmp_path / "secret.key", tmp_path / "copy.key"
    source.write_bytes(b"new\nold phrase with spaces\n")
    _copy("encryption key", source, target, before=source.read_bytes())
    assert target.read_bytes() == source.read_bytes()
    _copy("encryption key", source, target, before=b"old phrase with spaces\nolder")
    assert target.read_bytes() == b"new\nold phrase with spaces\nolder\n"


def test_a_key_of_the_environment_cannot_go_along(tmp_path: Path) -> None:
    """Its owner is told to keep it with the copy."""
    gateway = Gateway(
        tmp_path, accounts=[], environment={"HEADGATE_SECRET_KEY": "a passphrase of some length"}
    )
    assert gateway.command("db", "upgrade").returncode == 0
    made = gateway.command("db", "backup", str(tmp_path / "copy.db"))
    assert made.returncode == 0 and "keep it with the copy" in made.stdout
    assert "a passphrase" not in made.stdout
