import pytest

from headgate.errors import SettingsError
from headgate.providers.anthropic import AnthropicProvider
from headgate.providers.provider import Provider

PROVIDER: Provider = AnthropicProvider()


def test_the_version_is_added_only_when_the_caller_left_it_out() -> None:
    assert PROVIDER.required_headers([(b"accept", b"*/*")]) == [(b"anthropic-version", b"2023-06-01")]
    assert PROVIDER.required_headers([(b"anthropic-version", b"2099-01-01")]) == []


def test_the_key_travels_as_x_api_key() -> None:
    assert PROVIDER.credential_header("sk-ant-1") == (b"x-api-key", b"sk-ant-1")


@pytest.mark.parametrize("secret", ["", "sk ant", "sk\r\nx-evil: 1", "sk-ä", "sk\x00"])
def test_a_secret_that_cannot_stand_in_a_header_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PROVIDER.credential_header(secret)
    assert not secret or secret not in caught.value.message


@pytest.mark.parametrize(
    ("sent", "goes"),
    [
        (b"accept: */*\r\n", b"accept: */*\r\nanthropic-beta: oauth-2025-04-20\r\n"),
        (b"anthropic-beta: a,b\r\nx: y\r\n", b"anthropic-beta: a,b,oauth-2025-04-20\r\nx: y\r\n"),
        (b"anthropic-beta: a, oauth-2025-04-20\r\n", b"anthropic-beta: a, oauth-2025-04-20\r\n"),
        (
            b"anthropic-beta: a\r\nanthropic-beta: b\r\n",
            b"anthropic-beta: a,oauth-2025-04-20\r\nanthropic-beta: b\r\n",
        ),
        (
            b"anthropic-beta: a\r\nanthropic-beta: oauth-2025-04-20\r\n",
            b"anthropic-beta: a\r\nanthropic-beta: oauth-2025-04-20\r\n",
        ),
        (b"x: anthropic-beta: z\r\n", b"x: anthropic-beta: z\r\nanthropic-beta: oauth-2025-04-20\r\n"),
        (b"", b"anthropic-beta: oauth-2025-04-20\r\n"),
    ],
)
def test_an_access_token_takes_the_beta_flag_along(sent: bytes, goes: bytes) -> None:
    """It joins the client's own list; nothing else of the head changes."""
    assert AnthropicProvider().bearer_lines(sent) == goes
