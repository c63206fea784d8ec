import json
from hashlib import sha256
from pathlib import Path

import pytest

from headgate.testing.process import SimulatedProvider
from tests.testing.wire import (
    KEY,
    OTHER_KEY,
    ask,
    connect,
    events,
    fetch,
    post,
    read_answer,
    reset_on_close,
    wait_until,
)


def test_exact_bytes_are_kept(provider: SimulatedProvider) -> None:
    """Head and body as sent, odd spellings included; the answer's body as it came back."""
    odd = (
        b' {"model":"claude-sonnet-5-5" ,\r\n"max_tokens":1e1, "max_tokens": 12,'
        b'"messages":[{"role":"user","content":"\\u0068i"}]} \n'
    )
    request = post(odd, extra=b"X-Odd:   Value \t\r\nx-odd: again\r\n")
    status, _, body = fetch(provider.url, request)
    [row] = provider.received()
    assert status == 200 and row["head"] + row["body"] == request
    assert row["sent_body"] == body
    assert row["sent_head"].startswith(b"HTTP/1.1 200 OK\r\n")


def test_digests_are_kept_even_without_bytes(provider: SimulatedProvider) -> None:
    provider.keep_bytes(False)
    request = post(ask(stream=True))
    body = fetch(provider.url, request)[2]
    [row] = provider.received()
    assert (row["body"], row["sent_body"]) == (b"", b"")
    assert row["sent_sha256"] == sha256(body).hexdigest()
    assert row["received_sha256"] == sha256(request.partition(b"\r\n\r\n")[2]).hexdigest()


def test_received_begins_after_a_number(provider: SimulatedProvider) -> None:
    for _ in range(3):
        fetch(provider.url, post(ask()))
    assert [row["number"] for row in provider.received(after=1)] == [2, 3]


@pytest.mark.parametrize("stream", [False, True])
def test_usage_in_the_books_is_the_usage_sent(provider: SimulatedProvider, stream: bool) -> None:
    _, headers, body = fetch(provider.url, post(ask(stream=stream)))
    row = provider.books()["requests"][headers["request-id"]]
    if stream:
        sent = next(data["usage"] for name, data in events(body) if name == "message_delta")
    else:
        sent = json.loads(body)["usage"]
    assert sent == {name: row["usage"][name] for name in sent}
    assert (row["status"], row["model"], row["fully_written"]) == (200, "claude-sonnet-5-5", True)


def test_keys_have_pages_of_their_own(provider: SimulatedProvider) -> None:
    provider.script(OTHER_KEY, rules=[{"fault": "status", "status": 529}])
    for key in (KEY, KEY, OTHER_KEY):
        fetch(provider.url, post(ask("say 10 words"), key=key))
    books = provider.books(with_requests=False)
    assert books["count"] == 3 and books["requests"] == {}
    assert books["keys"][KEY]["usage"]["output_tokens"] == 20
    assert books["keys"][OTHER_KEY]["statuses"] == {"529": 1}


def test_client_that_leaves_is_seen(provider: SimulatedProvider) -> None:
    """The entry is closed, the answer was not fully written, the connection is gone."""
    provider.script(KEY, rules=[{"fault": "hang", "stage": "body"}])
    with connect(provider.url) as sock:
        sock.sendall(post(ask(stream=True)))
        assert sock.recv(65536)
        [row] = provider.books()["requests"].values()
        assert row["finished"] is False
    wait_until(lambda: provider.open_connections() == 0)
    [row] = provider.books()["requests"].values()
    assert (row["finished"], row["fully_written"]) == (True, False)


def test_request_broken_off_is_kept(provider: SimulatedProvider) -> None:
    """What came of a body before its sender left, with status 0."""
    request = post(ask())
    with connect(provider.url) as sock:
        sock.sendall(request[:-10])
        wait_until(provider.open_connections)
        reset_on_close(sock)
    wait_until(provider.received)
    [row] = provider.received()
    assert (row["status"], row["head"] + row["body"]) == (0, request[:-10])


def test_reset_forgets_everything(provider: SimulatedProvider) -> None:
    provider.script(KEY, rules=[{"fault": "status"}])
    fetch(provider.url, post(ask()))
    provider.reset()
    assert provider.books() == {"count": 0, "keys": {}, "requests": {}}
    assert fetch(provider.url, post(ask()))[0] == 200


def test_control_plane_is_not_in_the_books(provider: SimulatedProvider) -> None:
    assert provider.books()["count"] == provider.books()["count"] == 0


def test_file_gets_a_line_for_every_request(tmp_path: Path) -> None:
    """Written when the answer goes out, so a killed provider loses none."""
    path = tmp_path / "books.jsonl"
    with SimulatedProvider(books=path) as provider:
        ids = [fetch(provider.url, post(ask()))[1]["request-id"] for _ in range(3)]
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["request_id"] for line in lines] == ids
    assert all(line["fully_written"] and line["usage"]["output_tokens"] for line in lines)


def test_requests_on_one_connection_are_answered_in_order(provider: SimulatedProvider) -> None:
    """Pipelined requests wait for their turn, behind a paced answer too."""
    provider.script(KEY, pacing={"first_byte_ms": 5})
    with connect(provider.url) as sock:
        sock.sendall(b"".join(post(ask(f"say {n} words"), key=KEY) for n in (1, 2, 3)))
        data = b""
        while data.count(b"HTTP/1.1 200 OK") < 3 or not data.endswith(b"}"):
            data += sock.recv(65536)
    outputs = [row["usage"]["output_tokens"] for row in provider.books()["requests"].values()]
    assert outputs == [1, 2, 3]


def test_connection_is_kept_alive(provider: SimulatedProvider) -> None:
    with connect(provider.url) as sock:
        for _ in range(3):
            sock.sendall(post(ask()))
            assert read_answer(sock)[0] == 200
        assert provider.open_connections() == 1
