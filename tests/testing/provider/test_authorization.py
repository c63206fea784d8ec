"""The way from the sign-in page to tokens: redirects, pages, PKCE."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import fetch

_LOOPBACK = "http://127.0.0.1:9/callback?a=1"
_ELSEWHERE = "https://provider.example/oauth/code/callback"
_VERIFIER = "v" * 43
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codes") / "clock"


@pytest.fixture(scope="module")
def running_provider(clock_file: Path) -> Iterator[SimulatedProvider]:
    with SimulatedProvider(clock=clock_file) as provider:
        yield provider


def _ask(redirect: str = _LOOPBACK, **changes: str) -> dict[str, str]:
    asked = {
        "response_type": "code",
        "client_id": "c",
        "redirect_uri": redirect,
        "scope": "user:inference",
        "state": "s&t",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (asked | changes).items() if value}


def _authorize(provider: SimulatedProvider, query: dict[str, str]) -> tuple[int, dict[str, str], str]:
    request = f"GET /oauth/authorize?{urlencode(query)} HTTP/1.1\r\nhost: s\r\n\r\n"
    status, headers, body = fetch(provider.url, request.encode())
    return status, headers, body.decode()


def _returned(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def _exchange(provider: SimulatedProvider, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": "c",
        "redirect_uri": _LOOPBACK,
        "code_verifier": _VERIFIER,
    }
    body = json.dumps(asked | changes).encode()
    head = "POST /v1/oauth/token HTTP/1.1\r\nhost: s\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    status, _, answer = fetch(provider.url, head.encode() + body)
    return status, json.loads(answer)


def _code(provider: SimulatedProvider, **changes: str) -> str:
    return _returned(_authorize(provider, _ask(**changes))[1]["location"])["code"]


def test_loopback_redirect_brings_code_and_state(provider: SimulatedProvider) -> None:
    status, headers, _ = _authorize(provider, _ask(login_hint="ada"))
    returned = _returned(headers["location"])
    assert (status, returned["a"], returned["state"]) == (302, "1", "s&t")
    status, answer = _exchange(provider, returned["code"])
    assert (status, answer["scope"], answer["account"]["email_address"]) == (
        200,
        "user:inference",
        "ada@example.test",
    )
    assert provider.sign_ins()["ada"]["exchanges"] == 1


def test_redirect_elsewhere_ends_on_a_page_with_code_and_state(provider: SimulatedProvider) -> None:
    status, _, body = _authorize(provider, _ask(_ELSEWHERE))
    shown = re.search(r'<code id="code">([^#<]+)#s&amp;t</code>', body)
    assert status == 200
    assert shown is not None
    assert _exchange(provider, shown[1], redirect_uri=_ELSEWHERE)[0] == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"state": ""}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_wrong_question_goes_back_as_an_error(
    provider: SimulatedProvider, changes: dict[str, str], error: str
) -> None:
    status, headers, _ = _authorize(provider, _ask(**changes))
    assert (status, _returned(headers["location"])["error"]) == (302, error)
    status, _, body = _authorize(provider, _ask(_ELSEWHERE, **changes))
    assert (status, f'<code id="error">{error}</code>' in body) == (400, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": ""},
        {"client_id": "other"},
        {"redirect_uri": ""},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://[127.0.0.1"},
        {"redirect_uri": "http://127.0.0.1/\r\nx: y"},
        {"redirect_uri": "http://127.0.0.1:10/unregistered"},
    ],
)
def test_doubtful_client_or_redirect_is_told_nothing(
    provider: SimulatedProvider, changes: dict[str, str]
) -> None:
    known = [_LOOPBACK, *(uri for uri in [changes.get("redirect_uri", "")] if "unregistered" not in uri)]
    provider.sign_in(client_ids=["c"], redirect_uris=known)
    assert _authorize(provider, _ask())[0] == 302
    status, headers, _ = _authorize(provider, _ask(**changes))
    assert (status, "location" in headers) == (400, False)


def test_person_can_refuse(provider: SimulatedProvider) -> None:
    provider.sign_in(denies=True)
    returned = _returned(_authorize(provider, _ask())[1]["location"])
    assert (returned["error"], returned["state"]) == ("access_denied", "s&t")


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"code_verifier": "w" * 43}, "Invalid code_verifier"),
        ({"redirect_uri": _ELSEWHERE}, "Invalid 'redirect_uri' in request."),
        ({"client_id": "other"}, "Invalid 'code' in request."),
    ],
)
def test_code_is_for_its_own_client_redirect_and_verifier(
    provider: SimulatedProvider, changes: dict[str, str], description: str
) -> None:
    """And is spent by the attempt: a thief has one guess."""
    code = _code(provider)
    refusal = {"error": "invalid_grant", "error_description": description}
    assert _exchange(provider, code, **changes) == (400, refusal)
    assert _exchange(provider, code)[0] == 400


def test_code_serves_once_and_for_ten_minutes(provider: SimulatedProvider, clock_file: Path) -> None:
    code, late = _code(provider), _code(provider)
    assert [_exchange(provider, code)[0] for _ in range(2)] == [200, 400]
    SharedClock(clock_file).advance(600)
    assert _exchange(provider, late)[1]["error"] == "invalid_grant"
