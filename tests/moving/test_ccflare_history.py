"""The requests in a database of ccflare."""

from pathlib import Path

import pytest

from headgate.moving import ccflare
from headgate.moving.ccflare_history import ended
from headgate.moving.found import PastRequest
from tests.moving import theirs


async def past(path: Path, size: int = 2) -> tuple[list[PastRequest], int]:
    history = ccflare.read(path).history
    assert history is not None
    return [one async for batch in history.batches(size) for one in batch], history.unreadable


async def test_what_a_request_was(tmp_path: Path) -> None:
    """Account, tokens, time and end; of better-ccflare also key, session and stream."""
    file = tmp_path / "better-ccflare.db"
    with theirs.ccflare(file, is_better=True) as database:
        account = theirs.ccflare_account(database, "work")
        extras = {
            "api_key_name": "laptop",
            "client_session_id": "s-1",
            "stream_terminal_state": "complete",
            "cost_usd": 0.0125,
        }
        theirs.ccflare_request(database, account, 1, path="/v1/messages?beta=true", **extras)
        theirs.ccflare_request(
            database, account, 2, status_code=429, success=0, error_message="slow down " * 100
        )
        theirs.ccflare_request(database, "no_account", 3, status_code=None, success=0)
    first, second, third = (await past(file))[0]
    assert (first.account_key, first.account_name, first.path) == (account, "work", "/v1/messages")
    assert (first.status, first.error, first.duration_ms) == (200, None, 1200)
    assert (first.input_tokens, first.output_tokens) == (100, 50)
    assert (first.cache_read_tokens, first.cache_write_tokens) == (7, 5)
    assert (first.nano_usd, second.nano_usd) == (12_500_000, None)
    assert (first.caller, first.session, first.stream) == ("laptop", "s-1", True)
    assert (second.status, second.error, len(second.reason or "")) == (429, "rate_limit_error", 299)
    assert (first.provider, third.provider) == ("anthropic", None)
    assert (third.account_key, third.status, third.error) == (None, 502, "api_error")


async def test_counts_that_were_never_said_are_not_zero(tmp_path: Path) -> None:
    """And those of an earlier day stand in older columns."""
    file = tmp_path / "ccflare.db"
    silent = dict.fromkeys(
        ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"), 0
    )
    with theirs.ccflare(file) as database:
        theirs.ccflare_request(database, None, 1, **silent, prompt_tokens=0, completion_tokens=0)
        theirs.ccflare_request(database, None, 2, **silent, prompt_tokens=30, completion_tokens=4)
    first, second = (await past(file))[0]
    assert (first.input_tokens, first.output_tokens, first.cache_read_tokens) == (None, None, None)
    assert (second.input_tokens, second.output_tokens, second.cache_read_tokens) == (30, 4, None)


async def test_rows_that_make_no_sense_are_counted_and_passed_over(tmp_path: Path) -> None:
    """SQLite takes any value in any column."""
    file = tmp_path / "ccflare.db"
    odd = {"status_code": "what", "response_time_ms": -1e300, "model": b"\xff\x00", "input_tokens": 2**62}
    with theirs.ccflare(file) as database:
        for number, when in enumerate(("noon", -5, 0, 9e18, b"", 10**15)):
            theirs.ccflare_request(database, None, number, timestamp=when)
        theirs.ccflare_request(database, None, 10, id="")
        theirs.ccflare_request(database, None, 11, **odd, method="\0" * 50, path="x" * 10_000)
    requests, unreadable = await past(file)
    assert (len(requests), unreadable) == (1, 7)
    assert (requests[0].duration_ms, requests[0].model, len(requests[0].path)) == (0.0, None, 500)


async def test_what_is_written_meanwhile_is_not_seen(tmp_path: Path) -> None:
    """They may run: one state is read, and they are not kept from writing."""
    file = tmp_path / "ccflare.db"
    with theirs.ccflare(file) as database:
        for number in range(4):
            theirs.ccflare_request(database, None, number)
        history = ccflare.read(file).history
        assert history is not None
        seen = 0
        async for batch in history.batches(2):
            seen += len(batch)
            theirs.ccflare_request(database, None, 100 + seen)
        assert seen == 4
        assert database.execute("SELECT count(*) FROM requests").fetchone() == (6,)


@pytest.mark.parametrize(
    ("status", "success", "end"),
    [
        (200, True, (200, None)),
        (200, False, (200, "api_error")),
        (None, True, (200, None)),
        (0, None, (502, "api_error")),
        (418, None, (418, "invalid_request_error")),
        (529, False, (529, "overloaded_error")),
        (503, False, (503, "api_error")),
    ],
)
def test_how_it_ended(status: int | None, success: bool | None, end: tuple[int, str | None]) -> None:
    """A failure is always told by a word, as in our own history."""
    assert ended(status, success) == end
