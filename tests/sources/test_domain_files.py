import json
from pathlib import Path
from typing import Any

import pytest

from headgate.access.client_keys import digest_of
from headgate.sources.domain_files import domain_of, read
from headgate.sources.json_text import JsonText, Malformed


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("Example.com", "example.com"),
        ("example.com:3000", "example.com"),
        ("*.example.com", "*.example.com"),
        ("*", "*"),
        ("::1", "::1"),
        ("10.0.0.1", "10.0.0.1"),
        ("a*.example.com", None),
        ("..", None),
        ("", None),
        ("ex ample", None),
    ],
)
def test_a_file_is_for_the_hosts_of_its_name(name: str, domain: str | None) -> None:
    assert domain_of(Path(f"{name}.credentials.json")) == domain


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "expected"),
        ({}, "type must be"),
        ({"type": "oauth"}, "oauth is missing"),
        ({"type": "oauth", "oauth": {"refreshToken": "r"}}, "accessToken is missing"),
        ({"type": "api_key"}, "api_key is missing"),
        ({"type": "api_key", "api_key": "k", "client_api_key": 7}, "client_api_key must be a text"),
        ({"type": "api_key", "api_key": "k", "client_api_key": ""}, "client_api_key is empty"),
        ({"type": "api_key", "api_key": "k", "client_api_key": " "}, "client_api_key is empty"),
    ],
)
def test_what_is_wrong_is_named_without_a_value(document: Any, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(JsonText(json.dumps(document).encode()), Path("a.test.credentials.json"))


@pytest.mark.parametrize(("said", "key"), [(" cnp_live_1 ", "cnp_live_1"), (None, None)])
def test_of_a_client_key_the_digest_is_kept(said: str | None, key: str | None) -> None:
    """Spaces round it are forgiven, as they are in the settings."""
    document = {"type": "api_key", "api_key": "k", "client_api_key": said}
    contents = read(JsonText(json.dumps(document).encode()), Path("a.test.credentials.json"))
    assert contents.client_key == (None if key is None else digest_of(key))
    assert "cnp_live" not in repr(contents)
