import json
import random
from itertools import islice

from headgate.testing.generated import requests, spell
from headgate.testing.process import SimulatedProvider
from tests.testing.wire import KEY, connect, read_answer


def test_same_seed_gives_the_same_requests() -> None:
    assert list(islice(requests(7), 20)) == list(islice(requests(7), 20))
    assert list(islice(requests(7), 20)) != list(islice(requests(8), 20))


def test_every_spelling_decodes_to_its_value() -> None:
    value = {"a": [1, -0.5, 1e300, True, None, {}], "ü\n😀": {"/": '"\\\b\x7f水'}, "": []}
    texts = {spell(random.Random(seed), value) for seed in range(300)}
    assert len(texts) > 250
    assert all(json.loads(text) == value for text in texts)


def test_spellings_cover_the_odd_forms() -> None:
    """Escapes in capitals, escaped pairs, blanks at the ends, a key given twice."""
    bodies = b"".join(body for _, _, body in islice(requests(1), 300))
    for form in (b"\\ud83d\\ude00", b"\\uD83D\\uDE00", b"\\/", b"\r\n  ", b"E", b"\t{"):
        assert form in bodies


def test_provider_takes_them_and_keeps_their_bytes(provider: SimulatedProvider) -> None:
    """Valid ones are answered, those without a needed field refused; none breaks the connection."""
    statuses = []
    with connect(provider.url) as sock:
        for path, headers, body in islice(requests(2), 150):
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"POST {path} HTTP/1.1\r\nx-api-key: {KEY}\r\n{lines}content-length: {len(body)}\r\n\r\n"
            sock.sendall(head.encode() + body)
            statuses.append(read_answer(sock)[0])
            row = provider.received(after=len(statuses) - 1)[0]
            assert row["head"] + row["body"] == head.encode() + body
    assert set(statuses) == {200, 400}
    assert statuses.count(200) > 120
