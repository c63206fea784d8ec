"""The sign-in server's token endpoint: clients, forms, and the ways in which it fails."""

import json
from typing import Any

import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import connect, fetch, talk

_LOGIN = "ada"


def _request(body: bytes, kind: str = "application/json", method: str = "POST") -> bytes:
    head = f"{method} /oauth/token HTTP/1.1\r\nhost: s\r\ncontent-type: {kind}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _refresh(token: str, **fields: str) -> bytes:
    asked = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "c"} | fields
    return _request(json.dumps(asked).encode())


def _answer(provider: SimulatedProvider, request: bytes) -> tuple[int, dict[str, Any]]:
    status, _, body = fetch(provider.url, request)
    return status, json.loads(body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/x-www-form-urlencoded", b"grant_type=refresh_token&grant_type=refresh_token"),
        ("text/plain", b"grant_type=refresh_token"),
        ("application/json", b'{"grant_type": "refresh_token"}'),
        ("application/json", b'{"client_id": "c"}'),
        ("application/json", b'{"client_id": "c", "grant_type": "refresh_token"}'),
        ("application/json", b'{"client_id": "c", "grant_type": "authorization_code"}'),
    ],
)
def test_request_that_lacks_something_is_invalid(provider: SimulatedProvider, kind: str, body: bytes) -> None:
    status, answer = _answer(provider, _request(body, kind))
    assert (status, answer["error"]) == (400, "invalid_request")


def test_unknown_grant_type_client_and_method(provider: SimulatedProvider) -> None:
    body = b'{"client_id": "c", "grant_type": "password"}'
    assert _answer(provider, _request(body))[1]["error"] == "unsupported_grant_type"
    provider.sign_in(client_ids=["mine"])
    status, answer = _answer(provider, _request(body))
    assert (status, answer["error"]) == (401, "invalid_client")
    status, headers, _ = fetch(provider.url, _request(b"", method="GET"))
    assert (status, headers["allow"]) == (405, "POST")


def test_status_in_either_form_for_so_many_calls(provider: SimulatedProvider) -> None:
    """What failed with a status was not rotated: the same refresh token serves afterwards."""
    limited = {"fault": "status", "status": 429, "retry_after": "7", "times": 1}
    unsure = {"fault": "status", "status": 400, "error": "temporarily_unavailable", "after": 1, "times": 1}
    provider.sign_in(faults=[limited, unsure])
    request = _refresh(provider.grant(_LOGIN)["refresh_token"])
    status, headers, body = fetch(provider.url, request)
    assert (status, headers["retry-after"]) == (429, "7")
    assert json.loads(body)["error"]["type"] == "rate_limit_error"
    assert _answer(provider, request) == (400, {"error": "temporarily_unavailable"})
    assert _answer(provider, request)[0] == 200
    counts = provider.sign_ins()[_LOGIN]
    assert (counts["faults"], counts["refreshes_asked"], counts["refreshes_granted"]) == ({"status": 2}, 3, 1)


@pytest.mark.parametrize("fault", ["html", "wrong_json"])
def test_answer_that_is_none(provider: SimulatedProvider, fault: str) -> None:
    provider.sign_in(faults=[{"fault": fault, "times": 1}])
    request = _refresh(provider.grant(_LOGIN)["refresh_token"])
    status, headers, body = fetch(provider.url, request)
    assert (status, headers["content-type"].startswith("text/html")) == (200, fault == "html")
    assert b"sk-ant" not in body
    assert _answer(provider, request)[0] == 200


@pytest.mark.parametrize(("fault", "then"), [("cut", 200), ("cut_after", 400)])
@pytest.mark.parametrize("ending", ["reset", "close"])
def test_cut_before_or_after_the_token_is_rotated(
    provider: SimulatedProvider, fault: str, ending: str, then: int
) -> None:
    """Cut before: the old refresh token lives. Cut after: it is dead, and nobody was told the new one."""
    provider.sign_in(faults=[{"fault": fault, "times": 1, "ending": ending}])
    request = _refresh(provider.grant(_LOGIN)["refresh_token"])
    assert talk(provider.url, request) == (b"", ending == "reset")
    assert provider.sign_ins()[_LOGIN]["refreshes_granted"] == (then == 400)
    assert _answer(provider, request)[0] == then


@pytest.mark.parametrize(("fault", "granted"), [("hang", 0), ("hang_after", 1)])
def test_silence(provider: SimulatedProvider, fault: str, granted: int) -> None:
    provider.sign_in(faults=[{"fault": fault, "times": 1}])
    request = _refresh(provider.grant(_LOGIN)["refresh_token"])
    with connect(provider.url) as sock:
        sock.sendall(request)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert provider.sign_ins()[_LOGIN]["refreshes_granted"] == granted


def test_fault_is_bound_to_login_and_grant_type(provider: SimulatedProvider) -> None:
    provider.sign_in(faults=[{"fault": "status", "login": "bob"}, {"fault": "status", "grant_type": "x"}])
    assert _answer(provider, _refresh(provider.grant(_LOGIN)["refresh_token"]))[0] == 200
    assert _answer(provider, _refresh(provider.grant("bob")["refresh_token"]))[0] == 503


def test_requests_stand_in_the_books_and_a_reset_forgets_the_people(provider: SimulatedProvider) -> None:
    token = provider.grant(_LOGIN)["refresh_token"]
    assert _answer(provider, _refresh(token))[0] == 200
    assert provider.books()["keys"]["sign_in"]["statuses"] == {"200": 1}
    provider.reset()
    assert provider.sign_ins() == {}
    assert _answer(provider, _refresh(token))[0] == 400


@pytest.mark.parametrize("parts", [{"faults": [{"fault": "typo"}]}, {"colour": "red"}])
def test_wrong_script_is_refused(provider: SimulatedProvider, parts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="refused sign_in"):
        provider.sign_in(**parts)
