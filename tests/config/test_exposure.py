from pathlib import Path

import pytest

from headgate.config.exposure import is_loopback, refuse_to_stand_open
from headgate.config.loading import load_settings
from headgate.config.settings import Settings
from headgate.errors import SettingsError


@pytest.mark.parametrize(
    ("settings", "has_client_key", "message", "mend"),
    [
        (
            {},
            False,
            "without a client key and admin.key",
            "Make a client key: `headgate key create NAME`. Set",
        ),
        ({"admin": {"key": "k"}}, False, "without a client key.", "Make a client key: `headgate key create"),
        ({}, True, "without admin.key.", "Set an admin key: `headgate config set admin.key --stdin`. Or"),
        ({"admin": {"key": "k"}, "access": {"client_auth": "off"}}, True, "is off", "Set access.client_auth"),
    ],
)
def test_beyond_loopback_both_doors_need_keys(
    settings: dict[str, object], has_client_key: bool, message: str, mend: str
) -> None:
    """The mend speaks of what is missing."""
    wide = Settings.model_validate({"server": {"host": "0.0.0.0"}, **settings})
    with pytest.raises(SettingsError) as caught:
        refuse_to_stand_open(wide, has_client_key=has_client_key)
    assert message in caught.value.message
    assert caught.value.hint.startswith(mend)


def test_this_machine_alone_needs_none() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        refuse_to_stand_open(Settings.model_validate({"server": {"host": host}}))


def test_weak_keys_and_keys_in_clear_are_warned_of_beyond_this_machine(tmp_path: Path) -> None:
    """Each with its mend and without the key, at the start and by `config check`, not by every command."""
    file = tmp_path / "config.yaml"
    long = "0123456789abcdef"
    keys = f"access: {{api_keys: [tiny, '{long}', 'sha256:{'0' * 64}']}}\nadmin: {{key: short}}\n"
    file.write_text(keys)
    file.chmod(0o600)
    assert load_settings({}, {}, file).warnings == ()
    wide = load_settings({"server.host": "0.0.0.0"}, {}, file)
    clear, owner, client = wide.warnings
    assert wide.lasting == wide.warnings
    assert (
        clear.startswith("server.host is 0.0.0.0 and server.tls.cert is not set")
        and "trusted_proxies" in clear
    )
    assert owner.startswith("admin.key has fewer than 16") and "config set admin.key --stdin" in owner
    assert client.startswith("access.api_keys has 1 with fewer") and "headgate key create NAME" in client
    assert "tiny" not in client and "short" not in owner
    strong = {"HEADGATE_ADMIN__KEY": long, "HEADGATE_ACCESS__API_KEYS": f'["{long}"]'}
    behind = {**strong, "HEADGATE_SERVER__TRUSTED_PROXIES": "10.0.0.1"}
    assert load_settings({"server.host": "::"}, behind, file).warnings == ()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    """Addresses by their range, names by the one that browsers never resolve elsewhere."""
    assert is_loopback(host) is expected
