import pytest

from headgate.config.exposure import refuse_to_stand_open
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
