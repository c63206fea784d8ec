from pathlib import Path

import pytest

from headgate.config.loading import load_settings
from headgate.config.shown import SettingView, shown

TEXT = """\
admin: {key: s3cret}
access: {api_keys: [s3cret, s3cret2]}
accounts:
  - {name: a, api_key: s3cret, oauth: {access_token: s3cret}, proxy: "http://me:s3cret@proxy:1"}
storage: {url: "postgresql://me:s3cret@host/db?password=s3cret"}
state: {url: "redis://:s3cret@host"}
upstream: {proxy: "socks5://me:s3cret@host:1"}
"""


def views(tmp_path: Path, text: str, **environ: str) -> dict[str, SettingView]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return {one.path: one for one in shown(load_settings({}, environ, path))}


def test_no_secret_leaves(tmp_path: Path) -> None:
    """Of a secret it is shown that there is one; of an address how it begins."""
    found = views(tmp_path, TEXT)
    assert "s3cret" not in "".join(one.model_dump_json() for one in found.values())
    assert "sha256" not in found["access.api_keys"].model_dump_json()
    assert found["access.api_keys"].value == ["***", "***"]
    assert (found["admin.key"].value, found["storage.url"].value) == ("***", "postgresql://***")
    assert found["accounts.0.name"].value == "a"


@pytest.mark.parametrize(
    "url", ["/data/h.db", "h.db", "sqlite:///data/h.db", "sqlite+aiosqlite:////data/h.db"]
)
def test_the_path_of_a_database_is_no_secret(tmp_path: Path, url: str) -> None:
    assert views(tmp_path, f"storage: {{url: '{url}'}}")["storage.url"].value == url


def test_an_address_that_lacks_its_scheme_stays_a_secret(tmp_path: Path) -> None:
    assert views(tmp_path, "storage: {url: 'me:s3cret@host/db'}")["storage.url"].value == "***"
    assert views(tmp_path, "admin: {key: h.db}")["admin.key"].value == "***"


def test_each_value_says_where_it_comes_from(tmp_path: Path) -> None:
    """With line and column where that is the file."""
    found = views(tmp_path, "retry:\n  attempts: 5\n", PORT="7")
    attempts, port, delay = (found[path] for path in ("retry.attempts", "server.port", "retry.delay_ms"))
    assert (attempts.value, attempts.default, attempts.line, attempts.column) == (5, 3, 2, 13)
    assert attempts.source.startswith("file ")
    assert (port.source, port.line, port.needs_restart) == ("environment variable PORT", None, True)
    assert (delay.source, delay.in_effect) == ("default", True)
    assert not found["server.workers"].in_effect


def test_every_setting_is_shown(tmp_path: Path) -> None:
    """Lists and maps without an entry too."""
    assert {"accounts", "providers", "models.aliases", "log.backups"} <= views(tmp_path, "").keys()
