"""Tokens at the simulated provider: what opens the API, what a refresh gives and takes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from headgate.testing.clock import SharedClock
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, ask, fetch, post

_LOGIN = "ada"
_BETA = "oauth-2025-04-20"


@pytest.fixture(scope="module")
def clock_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "clock"


@pytest.fixture(scope="module")
def clock(clock_file: Path) -> Iterator[SharedClock]:
    clock = SharedClock(clock_file)
    yield clock
    clock.close()


@pytest.fixture(scope="module")
def running_provider(clock_file: Path) -> Iterator[SimulatedProvider]:
    with SimulatedProvider(clock=clock_file) as provider:
        yield provider


def _call(
    provider: SimulatedProvider, token: str, betas: str = f"files-api-2025-04-14, {_BETA}", extra: bytes = b""
) -> tuple[int, dict[str, Any]]:
    body = json.dumps(ask()).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: s\r\nauthorization: Bearer {token}\r\n"
        f"anthropic-version: 2023-06-01\r\nanthropic-beta: {betas}\r\ncontent-length: {len(body)}\r\n"
    )
    status, _, answer = fetch(provider.url, head.encode() + extra + b"\r\n" + body)
    return status, json.loads(answer)


def _refresh(
    provider: SimulatedProvider, token: str, *, form: bool = False, **fields: str
) -> tuple[int, dict[str, Any]]:
    asked = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "c"} | fields
    kind, body = "application/json", json.dumps(asked)
    if form:
        kind, body = "application/x-www-form-urlencoded", urlencode(asked)
    head = f"POST /oauth/token HTTP/1.1\r\nhost: s\r\ncontent-type: {kind}\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    status, headers, answer = fetch(provider.url, (head + body).encode())
    assert headers["cache-control"] == "no-store"
    return status, json.loads(answer)


def test_access_token_opens_the_api_and_is_kept_under_its_login(provider: SimulatedProvider) -> None:
    """Scripts, limits and books know the person, whichever token it is."""
    provider.script(_LOGIN, rules=[{"fault": "status", "status": 503, "after": 1, "times": 1}])
    first, second = provider.grant(_LOGIN), provider.grant(_LOGIN)
    statuses = [_call(provider, grant["access_token"])[0] for grant in (first, second, first)]
    assert statuses == [200, 503, 200]
    assert provider.books()["keys"][_LOGIN]["statuses"] == {"200": 2, "503": 1}


def test_early_answer_strikes_a_person_too(provider: SimulatedProvider) -> None:
    provider.script(_LOGIN, rules=[{"fault": "early_answer", "status": 429, "ending": "clean", "times": 1}])
    token = provider.grant(_LOGIN)["access_token"]
    assert [_call(provider, token)[0] for _ in range(2)] == [429, 200]


def test_access_token_needs_the_beta_flag(provider: SimulatedProvider) -> None:
    token = provider.grant(_LOGIN)["access_token"]
    status, answer = _call(provider, token, betas="files-api-2025-04-14")
    assert (status, answer["error"]["type"]) == (401, "authentication_error")
    assert answer["error"]["message"] == "OAuth authentication is currently not supported."
    lines = b"anthropic-beta: oauth-2025-04-20\r\nanthropic-beta: other\r\n"
    assert _call(provider, token, betas="one", extra=lines)[0] == 200


def test_expired_unknown_and_revoked_tokens_are_refused_in_different_words(
    provider: SimulatedProvider, clock: SharedClock
) -> None:
    token = provider.grant(_LOGIN, lifetime_seconds=60)["access_token"]
    assert _call(provider, token)[0] == 200
    clock.advance(60)
    status, answer = _call(provider, token)
    assert (status, answer["error"]["message"].partition(".")[0]) == (401, "OAuth token has expired")
    assert _call(provider, "nobody")[1]["error"]["message"] == "Invalid bearer token"
    assert provider.revoke(_LOGIN) == 1
    status, answer = _call(provider, token)
    assert (status, "revoked" in answer["error"]["message"]) == (403, True)


def test_api_key_wins_over_a_bearer_token(provider: SimulatedProvider) -> None:
    token = provider.grant(_LOGIN)["access_token"]
    assert _call(provider, token, extra=b"x-api-key: " + KEY.encode() + b"\r\n")[0] == 200
    assert list(provider.books()["keys"]) == [KEY]
    assert fetch(provider.url, post(ask(), key=token))[0] == 401


@pytest.mark.parametrize("form", [False, True])
def test_refresh_gives_new_tokens_and_ends_the_old_refresh_token(
    provider: SimulatedProvider, form: bool
) -> None:
    grant = provider.grant(_LOGIN, lifetime_seconds=-1)
    status, answer = _refresh(provider, grant["refresh_token"], form=form)
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 28_800)
    assert answer["account"]["email_address"] == "ada@example.test"
    assert _call(provider, answer["access_token"])[0] == 200
    again = _refresh(provider, grant["refresh_token"], form=form)
    assert again == (
        400,
        {"error": "invalid_grant", "error_description": "Refresh token not found or invalid"},
    )
    assert _refresh(provider, answer["refresh_token"])[0] == 200
    counts = provider.sign_ins()[_LOGIN]
    assert (counts["refreshes_asked"], counts["refreshes_granted"], counts["refused"]) == (
        3,
        2,
        {"invalid_grant": 1},
    )
    assert counts["double_refreshes"] == 1
    assert grant["refresh_token"] not in counts["refresh_tokens"]


def test_refresh_token_lives_on_where_it_does_not_rotate(provider: SimulatedProvider) -> None:
    provider.sign_in(rotate=False)
    grant = provider.grant(_LOGIN)
    answers = [_refresh(provider, grant["refresh_token"])[1] for _ in range(2)]
    assert [answer["refresh_token"] for answer in answers] == [grant["refresh_token"]] * 2


def test_rotated_token_has_its_grace(provider: SimulatedProvider, clock: SharedClock) -> None:
    provider.sign_in(reuse_seconds=30)
    token = provider.grant(_LOGIN)["refresh_token"]
    assert [_refresh(provider, token)[0] for _ in range(2)] == [200, 200]
    clock.advance(31)
    assert _refresh(provider, token)[0] == 400
    counts = provider.sign_ins()[_LOGIN]
    assert (counts["reused_in_grace"], counts["double_refreshes"]) == (1, 1)


def test_second_use_can_end_the_whole_grant(provider: SimulatedProvider) -> None:
    provider.sign_in(revokes_family=True)
    token = provider.grant(_LOGIN)["refresh_token"]
    _, answer = _refresh(provider, token)
    assert _refresh(provider, token)[0] == 400
    assert _refresh(provider, answer["refresh_token"])[0] == 400
    assert _call(provider, answer["access_token"])[0] == 403


def test_refresh_can_end_the_access_tokens_before_it(provider: SimulatedProvider) -> None:
    grant = provider.grant(_LOGIN)
    _refresh(provider, grant["refresh_token"])
    assert _call(provider, grant["access_token"])[0] == 200
    provider.sign_in(revokes_access=True)
    grant = provider.grant(_LOGIN)
    _refresh(provider, grant["refresh_token"])
    assert _call(provider, grant["access_token"])[0] == 401


def test_parts_of_the_answer_can_be_left_out(provider: SimulatedProvider) -> None:
    """Without a refresh token in the answer the one presented goes on."""
    provider.sign_in(omit_refresh_token=True, omit_expires_in=True)
    token = provider.grant(_LOGIN)["refresh_token"]
    for _ in range(2):
        status, answer = _refresh(provider, token)
        assert (status, answer.keys() & {"refresh_token", "expires_in"}) == (200, set())


def test_refresh_token_of_another_client_or_too_old_or_too_wide(
    provider: SimulatedProvider, clock: SharedClock
) -> None:
    provider.sign_in(refresh_lifetime_seconds=100)
    token = provider.grant(_LOGIN, client_id="mine", scope="a b")["refresh_token"]
    assert _refresh(provider, token, client_id="other")[1]["error"] == "invalid_grant"
    assert _refresh(provider, token, client_id="mine", scope="a c")[1]["error"] == "invalid_scope"
    clock.advance(100)
    answer = _refresh(provider, token, client_id="mine")[1]
    assert answer["error_description"] == "Refresh token expired"


def test_token_of_nobody_is_counted_apart(provider: SimulatedProvider) -> None:
    assert _refresh(provider, "made-up")[1]["error"] == "invalid_grant"
    assert provider.sign_ins()[""]["refused"] == {"invalid_grant": 1}
