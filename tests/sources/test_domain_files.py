import json
from pathlib import Path
from typing import Any

import pytest

from headgate.sources.domain_files import domain_of, read, without_port
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


def test_a_port_does_not_count() -> None:
    assert [without_port(one) for one in ("a:1", "[::1]:2", "::1", "a:b")] == ["a", "::1", "::1", "a:b"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "expected"),
        ({}, "type must be"),
        ({"type": "oauth"}, "oauth is missing"),
        ({"type": "oauth", "oauth": {"refreshToken": "r"}}, "accessToken is missing"),
        ({"type": "api_key"}, "api_key is missing"),
        ({"type": "api_key", "api_key": "k", "client_api_key": 7}, "client_api_key must be a text"),
    ],
)
def test_what_is_wrong_is_named_without_a_value(document: Any, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(JsonText(json.dumps(document).encode()), Path("a.test.credentials.json"))
