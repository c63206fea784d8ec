import pytest

from headgate.config.exposure import refuse_to_stand_open
from headgate.config.settings import Settings
from headgate.errors import SettingsError


@pytest.mark.parametrize(
    ("settings", "mend"),
    [
        ({}, "Set both"),
        ({"admin": {"key": "k"}}, "Set it"),
        ({"access": {"api_keys": ["k"]}}, "Set it"),
        (
            {"admin": {"key": "k"}, "access": {"api_keys": ["k"], "client_auth": "off"}},
            "Set access.client_auth",
        ),
    ],
)
def test_beyond_loopback_both_doors_need_keys(settings: dict[str, object], mend: str) -> None:
    """The mend speaks of what is missing."""
    with pytest.raises(SettingsError) as caught:
        refuse_to_stand_open(Settings.model_validate({"server": {"host": "0.0.0.0"}, **settings}))
    assert caught.value.hint.startswith(mend)


def test_this_machine_alone_needs_none() -> None:
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        refuse_to_stand_open(Settings.model_validate({"server": {"host": host}}))
